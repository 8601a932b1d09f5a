"""Counting: in memory where things happen, and from there into the store."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import Final

import structlog

from plugin.errors import SurveyPluginError
from plugin.metrics.catalogue import CLOSED, COUNTERS, HISTOGRAMS, NO_SOURCE, OTHER, Counter, Histogram
from plugin.store import counters
from plugin.store.database import Database

#: How often what was counted goes into the store, seconds. A process that is killed loses no more than this.
FLUSH_EVERY: Final = 5.0

#: Beside a histogram's buckets: the sum of all its values.
SUM: Final = "sum"

_BOUND_WORDS: Final[Mapping[str, tuple[str, ...]]] = {one.name: one.bound_words for one in HISTOGRAMS}
_LABELS: Final[Mapping[str, tuple[str, ...]]] = {metric.name: metric.labels for metric in (*COUNTERS, *HISTOGRAMS)}

#: Name, and the values of its labels.
_Key = tuple[str, tuple[str, ...]]

log = structlog.get_logger()


class Meter:
    """Counts for one process, from all its threads. Counting takes about a microsecond and touches no database.

    sources, vendors: the values that the labels of these names may have; any other becomes `other`.
    """

    def __init__(self, database: Database, *, sources: Iterable[str], vendors: Iterable[str]) -> None:
        self._database = database
        self._closed = {**CLOSED, "source": frozenset({*sources, NO_SOURCE}), "vendor": frozenset(vendors)}
        self._lock = threading.Lock()
        self._counted: dict[_Key, float] = {}
        # How many values fell into each bucket, and at the end their sum.
        self._observed: dict[_Key, list[float]] = {}
        self._flushing = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def count(self, counter: Counter, *labels: str, by: float = 1.0) -> None:
        """labels: their values, in the order of the counter's names."""
        key = (counter.name, labels)
        with self._lock:
            self._counted[key] = self._counted.get(key, 0.0) + by

    def observe(self, histogram: Histogram, value: float, *labels: str) -> None:
        """Put a value, in the histogram's unit, into its bucket."""
        key = (histogram.name, labels)
        with self._lock:
            series = self._observed.get(key)
            if series is None:
                series = self._observed[key] = [0.0] * (len(histogram.bound_words) + 1)
            series[bisect_left(histogram.bounds, value)] += 1.0
            series[-1] += value

    def flush(self) -> None:
        """Add to the store what was counted since the last time, in one short write.

        Raises StoreUnavailable; what was counted is then kept for the next time.
        """
        with self._flushing:
            taken = self._take()
            if not taken:
                return
            try:
                with self._database.write() as db:
                    counters.add(db, self._with_closed_labels(taken))
            except BaseException:
                self._put_back(taken)
                raise

    def keep_flushing(self) -> None:
        """Flush every few seconds from a thread of its own, from the first call on and until `close`."""
        if self._thread is not None:
            return
        with self._lock:
            if self._thread is None and not self._stop.is_set():
                self._thread = threading.Thread(target=self._flush_until_stopped, name="metrics", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """End the thread, if there is one, and flush for the last time. Never raises for a store that is away."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self._try_to_flush()

    def _flush_until_stopped(self) -> None:
        while not self._stop.wait(FLUSH_EVERY):
            self._try_to_flush()

    def _try_to_flush(self) -> None:
        try:
            self.flush()
        except SurveyPluginError as error:
            log.warning("counts not stored yet", detail=str(error))

    def _take(self) -> Mapping[_Key, float]:
        """Everything since the last time, as it is stored: a bucket is a counter with its bound as the last label."""
        with self._lock:
            taken, self._counted = self._counted, {}
            observed, self._observed = self._observed, {}
        for (name, labels), series in observed.items():
            for word, value in zip((*_BOUND_WORDS[name], SUM), series, strict=True):
                if value:
                    taken[name, (*labels, word)] = value
        return taken

    def _put_back(self, taken: Mapping[_Key, float]) -> None:
        with self._lock:
            for key, value in taken.items():
                self._counted[key] = self._counted.get(key, 0.0) + value

    def _with_closed_labels(self, taken: Mapping[_Key, float]) -> counters.Deltas:
        """Done here and not where things are counted, where it would cost time with each of them."""
        closed: dict[_Key, float] = {}
        for (name, values), value in taken.items():
            names = _LABELS[name]
            shown = tuple(
                one if one in self._closed[label] else OTHER for label, one in zip(names, values, strict=False)
            )
            key = (name, (*shown, *values[len(names) :]))
            closed[key] = closed.get(key, 0.0) + value
        return closed
