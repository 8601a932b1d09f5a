"""What healthy tenants notice of others whose vendors hang: the time from a trigger to its call, from 30 s after on."""

from __future__ import annotations

import time
from contextlib import ExitStack

from benchmarks.bulk import Stock
from benchmarks.installation import installation
from benchmarks.load import Load, Loaded, start_load
from benchmarks.measure import Result, Round, Scope, Target, percentile, progress
from benchmarks.vendor import Arrival, Vendor, vendor

HANGING = (1, 10, 50)
HEALTHY = 4
#: Triggers a second of all healthy tenants together.
RATE = 40.0
#: Seconds from the beginning of the hang to the measurement, and of the measurement.
SETTLING = 30.0
SECONDS = 30.0
_HEALTHY_DELAY = 0.05
#: Due deliveries of each hanging tenant; more than can be tried in a round.
_BACKLOG = 100
#: A worker's own default.
_THREADS = 32


def measure(scope: Scope) -> Result:
    base, rows = "none hanging", {}
    for hanging in (0, *(HANGING[:1] if scope.quick else HANGING)):
        name = f"{hanging} hanging" if hanging else base
        rows[name] = _round(scope, hanging)
        progress(f"{name}: p50 {rows[name]['p50']:.1f} ms, p99 {rows[name]['p99']:.1f} ms")
    rows = {name: {**row, "of_base": row["p99"] / rows[base]["p99"]} for name, row in rows.items()}
    target = "10 hanging" if "10 hanging" in rows else "1 hanging"
    return Result(
        "neighbours",
        "the same healthy tenants with none hanging beside them",
        {f"{name}, {scope.store}": row for name, row in rows.items()},
        [
            Target(
                f"healthy p99 beside {target}, times its base, {scope.store}", 3.0, rows[target]["of_base"], most=True
            )
        ],
    )


def _round(scope: Scope, hanging: int) -> Round:
    settling = scope.seconds(SETTLING)
    with ExitStack() as stack:
        sink = stack.enter_context(vendor(_HEALTHY_DELAY, *[None] * hanging))
        place = stack.enter_context(installation(scope.store, sink.origins))
        healthy, *others = sink.origins
        paths = [place.add_tenant(f"healthy{number}", [healthy]) for number in range(HEALTHY)]
        stocks = []
        for number, origin in enumerate(others):
            place.add_tenant(f"hanging{number}", [origin])
            stocks.append(Stock(place, f"hanging{number}"))
        port, _ = stack.enter_context(place.web())
        stack.enter_context(place.workers(1, _THREADS))
        # The worker waits for the calls under way when it stops, so the vendor is the first to go.
        stack.callback(sink.hang_up)
        with place.parts.database.write() as db:
            for stock in stocks:
                stock.add(db, _BACKLOG, place.parts.mint.now())
        rate = min(RATE, 10.0) if scope.quick else RATE
        with start_load(Load(port, paths, settling + scope.seconds(SECONDS), rate=rate)) as finish:
            loaded = finish()
        arrivals = _arrivals(sink, loaded.count)
        return _figures(loaded, arrivals, min(loaded.sent.values()) + settling)


def _arrivals(sink: Vendor, healthy_calls: int) -> list[Arrival]:
    """All calls at the healthy door."""
    found: list[Arrival] = []
    deadline = time.monotonic() + 60
    while len(found) < healthy_calls:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{len(found)} of {healthy_calls} healthy calls came")
        time.sleep(0.2)
        found += [arrival for arrival in sink.take() if arrival.door == 0]
    return found


def _figures(loaded: Loaded, arrivals: list[Arrival], after: float) -> Round:
    taken = [(loaded.sent[arrival.key], (arrival.at - loaded.sent[arrival.key]) * 1000) for arrival in arrivals]
    settled = sorted(late for sent, late in taken if sent >= after)
    early = sorted(late for sent, late in taken if sent < after)
    return {
        "p50": percentile(settled, 0.5),
        "p99": percentile(settled, 0.99),
        "samples": len(settled),
        "early_p99": percentile(early, 0.99),
    }
