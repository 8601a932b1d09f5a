"""Accepting and delivering at once: web and worker side by side, beside a bare view and a bare loop side by side.

The figure is the smaller of the two rates: what comes in and goes out again while more comes in.
"""

from __future__ import annotations

from contextlib import ExitStack

from benchmarks.bare_loop import bare_loops
from benchmarks.installation import installation
from benchmarks.load import Load, Loaded, run_load
from benchmarks.measure import Result, Round, Scope, Target, interleave, with_share
from benchmarks.processes import free_port, server
from benchmarks.vendor import vendor

SECONDS = 5.0
ROUNDS = 5
CLIENTS = 16
THREADS = 8
#: More than one, so that no cap of a lane is in the way.
TENANTS = 8
_PER_SECOND = {"sqlite": 1000, "postgresql": 600}


def measure(scope: Scope) -> Result:
    ours, bare = f"web and worker, {scope.store}", "bare view and bare loop"
    with ExitStack() as stack:
        sink = stack.enter_context(vendor(0.0))
        place = stack.enter_context(installation(scope.store, sink.origins))
        paths = [place.add_tenant(f"tenant{number}", sink.origins) for number in range(TENANTS)]
        web_port, _ = stack.enter_context(place.web())
        stack.enter_context(place.workers(1, THREADS))
        bare_port = free_port()
        stack.enter_context(server(["-m", "benchmarks.bare_view", str(bare_port)], place.environment, bare_port))

        def our_round() -> Round:
            loaded = run_load(Load(web_port, paths, scope.seconds(SECONDS), CLIENTS))
            arrived = len(sink.take())
            # What is left over is not counted, but must not burden the next round.
            sink.wait_for(loaded.count - arrived, 120)
            return _figures(loaded, arrived)

        def bare_round() -> Round:
            with bare_loops(sink.origins[0], 1, THREADS) as loops:
                loops.start(1_000_000)
                sink.take()
                loaded = run_load(Load(bare_port, paths, scope.seconds(SECONDS), CLIENTS))
                arrived = len(sink.take())
            sink.take()
            return _figures(loaded, arrived)

        our_round()
        rows = with_share(interleave({bare: bare_round, ours: our_round}, scope.rounds(ROUNDS)), {ours: bare})
    return Result(
        "both",
        "the bare view and the bare loop at once",
        rows,
        [Target(f"accepted and delivered per second, {scope.store}", _PER_SECOND[scope.store], rows[ours]["rate"])],
    )


def _figures(loaded: Loaded, arrived: int) -> Round:
    delivered = arrived / loaded.took
    return {
        "rate": min(loaded.rate, delivered),
        "accepted": loaded.rate,
        "delivered": delivered,
        "p50": loaded.milliseconds(0.5),
        "p99": loaded.milliseconds(0.99),
    }
