"""What all benchmarks share: interleaved rounds, medians, a table, targets, and results as JSON."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from plugin import __version__

RESULTS = Path(__file__).parent / "results"

#: One measured round: figures by the keys of COLUMNS.
Round = Mapping[str, float]

#: What a figure is called in a table, and how it is written.
COLUMNS: Mapping[str, tuple[str, str]] = {
    "rate": ("per second", ",.0f"),
    "accepted": ("accepted/s", ",.0f"),
    "delivered": ("delivered/s", ",.0f"),
    "of_floor": ("of floor", ".2f"),
    "of_bound": ("of bound", ".2f"),
    "spread": ("spread", ".0%"),
    "p50": ("p50 ms", ",.2f"),
    "p99": ("p99 ms", ",.1f"),
    "of_base": ("p99 of base", ".2f"),
    "early_p99": ("p99 before ms", ",.1f"),
    "base_p50": ("p50 ms beside", ",.2f"),
    "of_reference": ("ratio", ".2f"),
    "server_cpu": ("CPU ms", ".3f"),
    "store_cpu": ("PostgreSQL CPU ms", ".3f"),
    "load_cpu": ("load CPU ms", ".3f"),
    "megabytes": ("MB", ",.0f"),
    "samples": ("samples", ",.0f"),
}


@dataclass(frozen=True)
class Scope:
    """How one benchmark is run. quick: tiny, to see that it works; its figures mean nothing. only_rounds: how many
    rounds instead of the usual number.
    """

    store: str
    quick: bool = False
    only_rounds: int | None = None

    def rounds(self, full: int) -> int:
        return 1 if self.quick else self.only_rounds or full

    def seconds(self, full: float) -> float:
        return min(full, 0.3) if self.quick else full

    def calls(self, full: int) -> int:
        return min(full, 100) if self.quick else full


@dataclass(frozen=True)
class Target:
    """A figure that is to be reached: at least `bound`, or at most where `most` is set."""

    what: str
    bound: float
    measured: float
    most: bool = False

    @property
    def is_met(self) -> bool:
        return self.measured <= self.bound if self.most else self.measured >= self.bound

    def sentence(self) -> str:
        compare = "at most" if self.most else "at least"
        return f"{self.what}: {_short(self.measured)} ({compare} {_short(self.bound)})"


@dataclass(frozen=True)
class Result:
    """What one benchmark found on one store. floor: in words, what the figures are to be read against."""

    name: str
    floor: str
    rows: Mapping[str, Round]
    targets: Sequence[Target] = field(default=())


def interleave(sides: Mapping[str, Callable[[], Round]], rounds: int) -> dict[str, Round]:
    """Run each side once per round, in turn, so that what the machine does meanwhile meets all of them alike.

    Gives the medians of each side, and as `spread` how far its first figure moved between rounds, over its median.
    """
    measured: dict[str, list[Round]] = {name: [] for name in sides}
    for number in range(rounds):
        for name, run in sides.items():
            result = run()
            measured[name].append(result)
            progress(f"round {number + 1}/{rounds}  {name}: {_written(result)}")
    return {name: medians(results) for name, results in measured.items()}


def medians(results: Sequence[Round]) -> Round:
    middle = {key: statistics.median(result[key] for result in results) for key in results[0]}
    first = next(iter(middle))
    values = [result[first] for result in results]
    return {**middle, "spread": (max(values) - min(values)) / middle[first] if middle[first] else 0.0}


def with_share(rows: Mapping[str, Round], of: Mapping[str, str], key: str = "of_floor") -> dict[str, Round]:
    """Each row with its rate's share of another row's. of: the other row's name by the row's."""
    return {
        name: {**row, key: row["rate"] / rows[of[name]]["rate"]} if name in of else row for name, row in rows.items()
    }


def percentile(sorted_values: Sequence[float], share: float) -> float:
    return sorted_values[min(int(len(sorted_values) * share), len(sorted_values) - 1)]


def progress(words: str) -> None:
    print(f"  {words}", file=sys.stderr, flush=True)


# --- tables and files ---------------------------------------------------------------------------------------------


def show(result: Result, store: str) -> str:
    """A table for people."""
    columns = [key for key in COLUMNS if any(key in row for row in result.rows.values())]
    width = max(len(name) for name in result.rows) + 2
    heads = [COLUMNS[key][0] for key in columns]
    lines = [
        f"\n{result.name} on {store} (floor: {result.floor})",
        " " * width + "".join(f"{head:>{len(head) + 3}}" for head in heads),
    ]
    for name, row in result.rows.items():
        cells = [cell(row, key).rjust(len(head) + 3) for key, head in zip(columns, heads, strict=True)]
        lines.append(f"{name:{width}}{''.join(cells)}")
    lines += [f"{'reached' if target.is_met else 'MISSED '}  {target.sentence()}" for target in result.targets]
    return "\n".join(lines)


def cell(row: Round, key: str) -> str:
    return format(row[key], COLUMNS[key][1]) if key in row else "-"


def keep(result: Result, store: str, versions: Mapping[str, str], folder: Path) -> None:
    """Write the result to its file in `folder`, beside what the file says of the other store."""
    folder.mkdir(exist_ok=True)
    file = folder / f"{result.name}.json"
    document = json.loads(file.read_text("utf-8")) if file.exists() else {"name": result.name, "stores": {}}
    document["stores"][store] = {
        "measured": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "versions": {"survey-plugin": __version__, "python": platform.python_version(), **versions},
        "floor": result.floor,
        "rows": result.rows,
        "targets": [{**asdict(target), "met": target.is_met} for target in result.targets],
    }
    file.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def sqlite_version() -> str:
    return sqlite3.sqlite_version


def machine() -> dict[str, object]:
    """What the figures hang on, without a name or a path."""
    return {"cores": os.cpu_count(), "processor": _processor(), "system": f"{platform.system()} {platform.machine()}"}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _written(result: Round) -> str:
    return ", ".join(f"{COLUMNS[key][0]} {cell(result, key)}" for key in result)


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}".rstrip("0").rstrip(".")
