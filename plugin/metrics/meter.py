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

_LABELS: Final[Mapping[str, tuple[str, ...]]] = {metric.name: metric.labels for metric in (*COUNTERS, *HISTOGRAMS)}

log = structlog.get_logger()


class Meter:
    """Counts for one process, from all its threads. Counting takes about a microsecond and touches no database.

    sources, vendors: the values that the labels of these names may have; any other becomes `other`.
    """

    def __init__(self, database: Database, *, sources: Iterable[str], vendors: Iterable[str]) -> None:
        self._database = database
        self._closed = {**CLOSED, "source": frozenset({*sources, NO_SOURCE}), "vendor": frozenset(vendors)}
        self._lock = threading.Lock()
        self._deltas: dict[tuple[str, tuple[str, ...]], float] = {}
        self._flushing = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def count(self, counter: Counter, *labels: str, by: float = 1.0) -> None:
        """labels: their values, in the order of the counter's names."""
        key = (counter.name, labels)
        with self._lock:
            self._deltas[key] = self._deltas.get(key, 0.0) + by

    def observe(self, histogram: Histogram, value: float, *labels: str) -> None:
        """Put a value, in the histogram's unit, into its bucket."""
        bucket = (histogram.name, (*labels, histogram.bound_words[bisect_left(histogram.bounds, value)]))
        total = (histogram.name, (*labels, SUM))
        with self._lock:
            self._deltas[bucket] = self._deltas.get(bucket, 0.0) + 1.0
            self._deltas[total] = self._deltas.get(total, 0.0) + value

    def flush(self) -> None:
        """Add to the store what was counted since the last time, in one short write.

        Raises StoreUnavailable; what was counted is then kept for the next time.
        """
        with self._flushing:
            with self._lock:
                taken, self._deltas = self._deltas, {}
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

    def _put_back(self, taken: Mapping[tuple[str, tuple[str, ...]], float]) -> None:
        with self._lock:
            for key, value in taken.items():
                self._deltas[key] = self._deltas.get(key, 0.0) + value

    def _with_closed_labels(self, taken: Mapping[tuple[str, tuple[str, ...]], float]) -> counters.Deltas:
        """Done here and not where things are counted, where it would cost time with each of them."""
        closed: dict[tuple[str, tuple[str, ...]], float] = {}
        for (name, values), value in taken.items():
            names = _LABELS[name]
            shown = tuple(
                one if one in self._closed[label] else OTHER for label, one in zip(names, values, strict=False)
            )
            key = (name, (*shown, *values[len(names) :]))
            closed[key] = closed.get(key, 0.0) + value
        return closed
