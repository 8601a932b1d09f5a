"""What all benchmarks share: a place to work in, medians, a table, and results as JSON."""

from __future__ import annotations

import json
import os
import platform
import socket
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from subprocess import DEVNULL, Popen
from tempfile import TemporaryDirectory

RESULTS = Path(__file__).parent / "results"
ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Round:
    """One measured round: rate per second, and latencies in milliseconds where there are any."""

    rate: float
    p50: float | None = None
    p99: float | None = None


@dataclass(frozen=True)
class Row:
    """The median of interleaved rounds of one side."""

    name: str
    rate: float
    spread: float
    p50: float | None
    p99: float | None


def interleave(sides: dict[str, Callable[[], Round]], rounds: int) -> list[Row]:
    """Run each side once per round, in turn, so that what the machine does meanwhile meets all of them alike."""
    measured: dict[str, list[Round]] = {name: [] for name in sides}
    for number in range(rounds):
        for name, run in sides.items():
            result = run()
            measured[name].append(result)
            print(f"  round {number + 1}/{rounds}  {name}: {result.rate:,.0f}/s", file=sys.stderr, flush=True)
    return [_row(name, results) for name, results in measured.items()]


def _row(name: str, results: Sequence[Round]) -> Row:
    rates = [result.rate for result in results]

    def median(values: list[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return statistics.median(known) if known else None

    return Row(
        name,
        statistics.median(rates),
        (max(rates) - min(rates)) / statistics.median(rates),
        median([result.p50 for result in results]),
        median([result.p99 for result in results]),
    )


def report(name: str, rows: Sequence[Row], floor: str) -> None:
    """Print a table with each side's ratio to the floor, and keep it as JSON."""
    base = next(row.rate for row in rows if row.name == floor)
    print(f"\n{name} (floor: {floor}; medians of interleaved rounds)")
    print(f"{'':34}{'per second':>12}{'of floor':>10}{'spread':>9}{'p50 ms':>9}{'p99 ms':>9}")
    for row in rows:
        p50 = f"{row.p50:.1f}" if row.p50 is not None else "-"
        p99 = f"{row.p99:.1f}" if row.p99 is not None else "-"
        print(f"{row.name:34}{row.rate:12,.0f}{row.rate / base:10.2f}{row.spread:9.0%}{p50:>9}{p99:>9}")
    RESULTS.mkdir(exist_ok=True)
    machine = {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "system": f"{platform.system()} {platform.machine()}",
    }
    document = {"name": name, "floor": floor, "machine": machine, "rows": [asdict(row) for row in rows]}
    (RESULTS / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def percentile(sorted_values: Sequence[float], share: float) -> float:
    return sorted_values[min(int(len(sorted_values) * share), len(sorted_values) - 1)]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def work_folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="survey-plugin-bench-") as folder:
        yield Path(folder)


@contextmanager
def running(arguments: Sequence[str], environment: dict[str, str], port: int) -> Iterator[None]:
    """A server as a child, from the moment it listens."""
    process = Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=DEVNULL,
        stderr=DEVNULL,
    )
    try:
        _wait_for(port)
        yield
    finally:
        process.terminate()
        process.wait(30)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens at port {port}")
