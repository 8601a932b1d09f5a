"""How fast triggers are taken: the real web part, beside a bare view under the same server and the same load."""

from __future__ import annotations

import os
from contextlib import ExitStack

from benchmarks.installation import Installation, installation
from benchmarks.load import Load, run_load
from benchmarks.measure import Result, Round, Scope, Target, interleave, with_share
from benchmarks.processes import cpu_seconds, free_port, server

BARE = "a bare view"
SECONDS = 4.0
ROUNDS = 5
CLIENTS = 16
_SHARE_OF_BARE = {"sqlite": 0.30, "postgresql": 0.20}


def measure(scope: Scope) -> Result:
    ours = f"accept, {scope.store}"
    with installation(scope.store) as place, ExitStack() as stack:
        path = place.add_tenant("bench", ["https://www.mysurveylab.com"])
        # The worker moves what was written into the database's file, as it does in earnest, and calls nobody.
        place.run("connection", "pause", "bench", "vendor0")
        stack.enter_context(place.workers(1, threads=8))
        ours_port, ours_pid = stack.enter_context(place.web())
        bare_port = free_port()
        bare_pid = stack.enter_context(
            server(["-m", "benchmarks.bare_view", str(bare_port)], place.environment, bare_port)
        )
        sides = {
            BARE: lambda: _round(scope, bare_port, path, bare_pid, None),
            ours: lambda: _round(scope, ours_port, path, ours_pid, place),
        }
        for run in sides.values():
            run()
        rows = with_share(interleave(sides, scope.rounds(ROUNDS)), {ours: BARE})
    return Result(
        "accept",
        "a Flask view that reads the body and answers 202, under the same gunicorn settings and the same clients",
        rows,
        [
            Target(f"share of the bare view, {scope.store}", _SHARE_OF_BARE[scope.store], rows[ours]["of_floor"]),
            Target(f"p99 in ms, {scope.store}", 50.0, rows[ours]["p99"], most=True),
        ],
    )


def _round(scope: Scope, port: int, path: str, pid: int, place: Installation | None) -> Round:
    clients = int(os.environ.get("BENCH_CLIENTS", CLIENTS))
    before = cpu_seconds(pid), place.store_cpu_seconds() if place else 0.0
    loaded = run_load(Load(port, [path], scope.seconds(SECONDS), clients))
    result = {
        "rate": loaded.rate,
        "p50": loaded.milliseconds(0.5),
        "p99": loaded.milliseconds(0.99),
        "server_cpu": (cpu_seconds(pid) - before[0]) * 1000 / loaded.count,
        "load_cpu": loaded.cpu * 1000 / loaded.count,
    }
    if place and place.store_pid:
        result["store_cpu"] = (place.store_cpu_seconds() - before[1]) * 1000 / loaded.count
    return result
