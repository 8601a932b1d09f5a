"""How much memory one worker needs under load, beside a bare loop with as many threads."""

from __future__ import annotations

import time
from collections.abc import Callable

from benchmarks.bare_loop import bare_loops
from benchmarks.bulk import Stock
from benchmarks.installation import installation
from benchmarks.measure import Result, Round, Scope, Target
from benchmarks.processes import resident_megabytes
from benchmarks.vendor import Vendor, vendor

#: A worker's own default.
THREADS = 32
LANES = 32
CALLS = 10_000
_DELAY = 0.05


def measure(scope: Scope) -> Result:
    ours, bare = f"worker, {scope.store}", "bare loop"
    calls = scope.calls(CALLS)
    with vendor(_DELAY) as sink, installation(scope.store, sink.origins) as place:
        place.add_tenant("bench", sink.origins * LANES)
        stock = Stock(place, "bench")
        with bare_loops(sink.origins[0], 1, THREADS) as loops:
            rows = {bare: _watch(sink, loops.pids[0], lambda: loops.start(calls), calls)}
        with place.workers(1, THREADS) as [pid]:
            rows[ours] = _watch(sink, pid, lambda: stock.add_due_in(1.0 + calls / 10_000, calls), calls)
    return Result(
        "memory",
        f"a bare `requests` loop with {THREADS} threads",
        rows,
        [Target(f"highest resident memory of a worker in MB, {scope.store}", 120, rows[ours]["megabytes"], most=True)],
    )


def _watch(sink: Vendor, pid: int, start: Callable[[], None], calls: int) -> Round:
    """The highest of many looks while the calls are made."""
    start()
    began = time.monotonic()
    highest = resident_megabytes(pid)
    while sink.count() < calls:
        highest = max(highest, resident_megabytes(pid))
        if time.monotonic() - began > 300:
            raise RuntimeError("the calls did not come within 300 s")
        time.sleep(0.1)
    sink.take()
    return {"megabytes": max(highest, resident_megabytes(pid))}
