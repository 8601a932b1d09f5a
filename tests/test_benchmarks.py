"""The benchmarks run and their page shows what was kept; what they measure is nobody's business here."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import measure
from benchmarks.__main__ import NAMES, run

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("name", "store"),
    # What the others do does not differ from store to store.
    [*((name, "sqlite") for name in NAMES), *((name, "postgresql") for name in ("accept", "deliver", "backlog"))],
)
def test_a_benchmark_prints_what_it_measured_and_keeps_it(name, store, tmp_path, capsys):
    run(name, measure.Scope(store, quick=True), keep_in=tmp_path)

    result = json.loads((tmp_path / f"{name}.json").read_text("utf-8"))["stores"][store]
    printed = capsys.readouterr().out
    assert result["rows"]
    assert all(name in printed for name in result["rows"])
    assert all(figure >= 0 for row in result["rows"].values() for figure in row.values())
    assert all(target["what"] in printed for target in result["targets"])


def _build_benchmarks():
    spec = importlib.util.spec_from_file_location("build_benchmarks", ROOT / "docs/build_benchmarks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_benchmarks_shows_the_results_that_are_kept():
    written = (ROOT / "docs/benchmarks.md").read_text("utf-8")
    assert written == _build_benchmarks().page(written)


def test_the_page_has_a_place_for_the_results_of_each_benchmark(tmp_path):
    result = measure.Result("x", "a floor", {"a row": {"rate": 1234.0}}, [measure.Target("rate", 1000, 1234.0)])
    for name in NAMES:
        measure.keep(replace(result, name=name), "sqlite", {"sqlite": "3"}, tmp_path)

    page = _build_benchmarks().page((ROOT / "docs/benchmarks.md").read_text("utf-8"), tmp_path)

    assert page.count("| a row | 1,234 |") == len(NAMES)
    assert page.count("- reached: rate: 1,234 (at least 1,000)") == len(NAMES)


def test_a_result_stands_beside_that_of_the_other_store(tmp_path):
    for store, rate in (("sqlite", 1.0), ("postgresql", 2.0), ("sqlite", 3.0)):
        measure.keep(measure.Result("x", "a floor", {"a row": {"rate": rate}}), store, {}, tmp_path)

    stores = json.loads((tmp_path / "x.json").read_text("utf-8"))["stores"]
    assert {store: found["rows"]["a row"]["rate"] for store, found in stores.items()} == {
        "sqlite": 3.0,
        "postgresql": 2.0,
    }


def test_what_is_kept_of_the_machine_does_not_name_it():
    assert set(measure.machine()) == {"cores", "processor", "system"}


def test_sides_take_turns_and_the_medians_of_their_rounds_are_kept():
    order = []

    def side(name, rates):
        def run():
            order.append(name)
            return {"rate": rates.pop(0)}

        return run

    rows = measure.interleave({"floor": side("floor", [10.0, 30.0, 20.0]), "ours": side("ours", [5.0, 5.0, 5.0])}, 3)

    assert order == ["floor", "ours"] * 3
    assert rows == {"floor": {"rate": 20.0, "spread": 1.0}, "ours": {"rate": 5.0, "spread": 0.0}}
    assert measure.with_share(rows, {"ours": "floor"})["ours"]["of_floor"] == 0.25


@pytest.mark.parametrize(
    ("most", "measured", "met"), [(False, 0.9, True), (False, 0.7, False), (True, 0.7, True), (True, 0.9, False)]
)
def test_a_target_is_a_least_or_a_most(most, measured, met):
    assert measure.Target("share", 0.8, measured, most).is_met is met
