"""The benchmarks run; what they measure is nobody's business here."""

import json

import pytest

from benchmarks import measure
from benchmarks.__main__ import NAMES, run
from benchmarks.installation import STORES


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_measures_ours_beside_its_floor_and_keeps_the_result(name, store, tmp_path, capsys):
    run(name, measure.Scope(store, quick=True), keep_in=tmp_path)

    result = json.loads((tmp_path / f"{name}.json").read_text("utf-8"))["stores"][store]
    assert len(result["rows"]) > 1
    assert all(figure >= 0 for row in result["rows"].values() for figure in row.values())
    assert all(target["what"] in capsys.readouterr().out for target in result["targets"][:1])
