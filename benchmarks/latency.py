"""How long from a trigger to its call, at a quarter of the rate at which triggers can be taken.

Beside it a relay: a bare view, under the same server, that makes the call itself before it answers, and keeps nothing.
Without the wake hint a worker finds due work only by looking for it, as one on another machine does.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

from benchmarks.installation import Installation, installation
from benchmarks.load import Load, run_load
from benchmarks.measure import Result, Round, Scope, Target, interleave, percentile, progress
from benchmarks.processes import free_port, server
from benchmarks.vendor import Vendor, vendor
from plugin.wake import wake_folder

SECONDS = 6.0
ROUNDS = 5
TENANTS = 8
#: A worker's own default.
THREADS = 32
_CLIENTS = 32


def measure(scope: Scope) -> Result:
    relay, hinted, looking = "relay", f"one machine, {scope.store}", f"across machines, {scope.store}"
    with ExitStack() as stack:
        sink = stack.enter_context(vendor(0.0))
        place = stack.enter_context(installation(scope.store, sink.origins))
        paths = [place.add_tenant(f"tenant{number}", sink.origins) for number in range(TENANTS)]
        port, _ = stack.enter_context(place.web())
        relay_port = free_port()
        arguments = ["-m", "benchmarks.bare_view", str(relay_port), sink.origins[0]]
        stack.enter_context(server(arguments, place.environment, relay_port))
        top = _top_rate(scope, place, sink, port, paths)
        progress(f"top rate {top:,.0f}/s")
        load = partial(Load, paths=paths, seconds=scope.seconds(SECONDS), clients=_CLIENTS, rate=top / 4)
        rows = interleave(
            {
                relay: lambda: _round(sink, load(relay_port)),
                hinted: lambda: _worker_round(place, sink, load(port), hints=True),
                looking: lambda: _worker_round(place, sink, load(port), hints=False),
            },
            scope.rounds(ROUNDS),
        )
    return Result(
        "latency",
        f"a bare view that makes the call itself, at the same {top / 4:,.0f} triggers a second",
        rows,
        [
            Target(f"trigger to call, p50 in ms, {hinted}", 15, rows[hinted]["p50"], most=True),
            Target(f"trigger to call, p50 in ms, {looking}", 60, rows[looking]["p50"], most=True),
        ],
    )


def _top_rate(scope: Scope, place: Installation, sink: Vendor, port: int, paths: list[str]) -> float:
    """Triggers a second when each client sends the next as soon as it is answered; all are delivered afterwards."""
    loads = [run_load(Load(port, paths, scope.seconds(seconds))) for seconds in (1.0, 3.0)]
    with place.workers(1, THREADS):
        sink.wait_for(sum(load.count for load in loads), 120)
    return loads[-1].rate


def _worker_round(place: Installation, sink: Vendor, load: Load, *, hints: bool) -> Round:
    with place.workers(1, THREADS):
        if not hints:
            for listening in wake_folder(place.environment["DATABASE_URL"]).iterdir():
                listening.unlink()
        return _round(sink, load)


def _round(sink: Vendor, load: Load) -> Round:
    loaded = run_load(load)
    late = sorted(call.at - loaded.sent[call.key] for call in sink.wait_for(loaded.count, 60))
    return {"p50": percentile(late, 0.5) * 1000, "p99": percentile(late, 0.99) * 1000, "samples": len(late)}
