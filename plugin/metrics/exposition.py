"""A reading in the words of Prometheus. Imported by the first scrape only: no other process needs what it brings."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from plugin import __version__
from plugin.domain.outcome import Reason
from plugin.metrics.catalogue import COUNTERS, HISTOGRAMS, OTHER, Counter, Histogram
from plugin.metrics.meter import SUM
from plugin.metrics.scrape import Reading
from plugin.store.counters import Deltas

#: Why a lane is paused: what a vendor said, or a person's decision.
_PAUSE_REASONS: Final = frozenset({*Reason, "by_hand"})


def render(reading: Reading, accept: str) -> tuple[bytes, str]:
    """The page and its content type. accept: what the asking program says it can read."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Reading(reading))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class _Reading(Collector):
    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def collect(self) -> Iterator[Metric]:
        for counter in COUNTERS:
            yield _counter(counter, self._reading.counters)
        for histogram in HISTOGRAMS:
            yield _histogram(histogram, self._reading.counters)
        yield from _queue(self._reading)
        yield from _errands(self._reading)
        yield from _workers(self._reading)
        about = {"version": __version__, "database": self._reading.engine, "python": platform.python_version()}
        yield InfoMetricFamily("survey_plugin_build", "What the web process runs that answered this scrape.", about)


def _counter(counter: Counter, stored: Deltas) -> Metric:
    family = CounterMetricFamily(counter.name, counter.help, labels=counter.labels)
    found = _labelled(counter.name, len(counter.labels), stored)
    for labels, value in found or ([((), 0.0)] if not counter.labels else []):
        family.add_metric(labels, value)
    return family


def _histogram(histogram: Histogram, stored: Deltas) -> Metric:
    family = HistogramMetricFamily(histogram.name, histogram.help, labels=histogram.labels)
    size = len(histogram.labels)
    series: dict[tuple[str, ...], dict[str, float]] = {} if histogram.labels else {(): {}}
    for labels, value in _labelled(histogram.name, size + 1, stored):
        series.setdefault(labels[:size], {})[labels[size]] = value
    for labels, parts in series.items():
        family.add_metric(labels, _buckets(histogram, parts), parts.get(SUM, 0.0))
    return family


def _labelled(name: str, size: int, stored: Deltas) -> list[tuple[tuple[str, ...], float]]:
    """What is stored under a name. Another version beside this one may count with other labels: not those."""
    found = [(labels, value) for (stored_name, labels), value in stored.items() if stored_name == name]
    return sorted((labels, value) for labels, value in found if len(labels) == size)


def _buckets(histogram: Histogram, parts: dict[str, float]) -> list[tuple[str, float]]:
    """Each bucket with all that lies below it. Those of another version beside this one are shown too."""
    bounds = sorted({*histogram.bound_words, *parts} - {SUM}, key=float)
    total = 0.0
    buckets = []
    for bound in bounds:
        total += parts.get(bound, 0.0)
        buckets.append((bound, total))
    return buckets


def _queue(reading: Reading) -> Iterator[Metric]:
    queue = reading.queue
    live = GaugeMetricFamily(
        "survey_plugin_live_deliveries",
        "Deliveries that have not ended: scheduled (due now or later), parked (scheduled, behind a paused connection), "
        "claimed (a worker is at it), uncertain (may have arrived; a person decides).",
        labels=["state"],
    )
    for state in ("scheduled", "parked", "claimed", "uncertain"):
        live.add_metric([state], getattr(queue, state))
    yield live
    yield GaugeMetricFamily(
        "survey_plugin_oldest_due_seconds",
        "How long the oldest delivery has been due that no pause holds back, in seconds; 0 when nothing is due.",
        reading.oldest_due_age,
    )
    yield GaugeMetricFamily(
        "survey_plugin_lanes", "Connections to survey vendors, each with a lane of its own in the queue.", queue.lanes
    )
    paused = GaugeMetricFamily(
        "survey_plugin_paused_lanes",
        "Lanes whose connection is paused, by why: what the vendor refused for, or by_hand.",
        labels=["reason"],
    )
    for reason, number in sorted(_by_closed_reason(queue.paused).items()):
        paused.add_metric([reason], number)
    yield paused
    yield GaugeMetricFamily(
        "survey_plugin_hanging_lanes",
        "Lanes whose calls take long or time out; together they get at most a quarter of a worker's senders.",
        queue.hanging,
    )


def _errands(reading: Reading) -> Iterator[Metric]:
    family = GaugeMetricFamily(
        "survey_plugin_open_errands",
        "Requests besides deliveries that are still to be made, by what they are for: due (a worker should be at it), "
        "later (their time has not come, their connection is paused, or a worker is at them).",
        labels=["errand", "when"],
    )
    for kind, backlog in sorted(reading.errands.items()):
        family.add_metric([kind, "due"], backlog.due)
        family.add_metric([kind, "later"], backlog.open - backlog.due)
    yield family


def _by_closed_reason(paused: Mapping[str, int]) -> dict[str, int]:
    found = dict.fromkeys(("credentials", "quota", "by_hand"), 0)
    for reason, number in paused.items():
        shown = reason if reason in _PAUSE_REASONS else OTHER
        found[shown] = found.get(shown, 0) + number
    return found


def _workers(reading: Reading) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "survey_plugin_workers", "Workers whose last heartbeat is younger than 20 seconds.", reading.workers
    )
    yield GaugeMetricFamily(
        "survey_plugin_worker_senders", "Calls that these workers can have under way at a time.", reading.senders
    )
    if reading.heartbeat_age is not None:
        yield GaugeMetricFamily(
            "survey_plugin_worker_heartbeat_age_seconds",
            "Seconds since the newest heartbeat of any worker; missing while none is known.",
            reading.heartbeat_age,
        )
