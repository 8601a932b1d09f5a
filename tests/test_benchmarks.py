"""The benchmarks run; what they measure is nobody's business here."""

import json
import os

import pytest
import structlog

from benchmarks import accept, deliver, measure


@pytest.fixture
def small(tmp_path, monkeypatch):
    """One short round each, results in a folder of the test's own, the environment as it was afterwards."""
    monkeypatch.setattr(measure, "RESULTS", tmp_path)
    monkeypatch.setattr(accept, "SECONDS", 0.2)
    monkeypatch.setattr(deliver, "CALLS", 100)
    for module in (accept, deliver):
        monkeypatch.setattr(module, "ROUNDS", 1)
    for name in ("DATABASE_URL", "EXTRA_VENDOR_ORIGINS", "WORKER_THREADS"):
        monkeypatch.setenv(name, os.environ.get(name, ""))
    yield tmp_path
    structlog.reset_defaults()


@pytest.mark.slow
@pytest.mark.parametrize("benchmark", [accept, deliver])
def test_a_benchmark_measures_both_sides_and_keeps_the_result(benchmark, small, capsys):
    benchmark.main()

    [result] = [json.loads(path.read_text()) for path in small.glob("*.json")]
    assert len(result["rows"]) == 2
    assert all(row["rate"] > 0 for row in result["rows"])
    assert "of floor" in capsys.readouterr().out
