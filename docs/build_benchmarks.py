"""Writes the tables of docs/benchmarks.md from benchmarks/results/: python docs/build_benchmarks.py"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.measure import COLUMNS, RESULTS, Target, cell

TARGET = Path(__file__).with_name("benchmarks.md")
_TITLES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
_PLACE = re.compile(r"(<!-- results of (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def page(written: str, folder: Path = RESULTS) -> str:
    """The page with the tables that the results in `folder` make; its own words stay as they are."""
    return _PLACE.sub(lambda place: f"{place[1]}{_results(folder / f'{place[2]}.json')}{place[3]}", written)


def _results(file: Path) -> str:
    if not file.exists():
        return "Not measured yet.\n"
    stores = json.loads(file.read_text("utf-8"))["stores"]
    return "".join(line + "\n" for store, found in stores.items() for line in _store(store, found)).rstrip("\n") + "\n"


def _store(store: str, found: Mapping[str, Any]) -> Iterator[str]:
    machine, versions = found["machine"], ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    yield f"**{_TITLES[store]}**, {found['measured']}: {machine['cores']} cores ({machine['processor']}, "
    yield f"{machine['system']}), {versions}. Floor: {found['floor']}."
    yield ""
    rows = found["rows"]
    columns = [key for key in COLUMNS if any(key in row for row in rows.values())]
    yield "| | " + " | ".join(COLUMNS[key][0] for key in columns) + " |"
    yield "|---|" + "---:|" * len(columns)
    for name, row in rows.items():
        yield f"| {name} | " + " | ".join(cell(row, key) for key in columns) + " |"
    yield ""
    for target in found["targets"]:
        words = Target(**{name: value for name, value in target.items() if name != "met"}).sentence()
        yield f"- {'reached' if target['met'] else '**missed**'}: {words}"
    yield ""


if __name__ == "__main__":
    TARGET.write_text(page(TARGET.read_text("utf-8")), encoding="utf-8")
