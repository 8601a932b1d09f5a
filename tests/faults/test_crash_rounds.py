"""The crash rounds that every full run makes, and a deliberate mistake for each promise, which a round must notice.

All rounds, as often as wanted: make faults ROUNDS=3
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.mistakes import MISTAKES
from tests.faults.rounds import ROUNDS, run_round

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="watches processes in /proc"),
]

SEED = 42


@pytest.mark.parametrize("name", ["kill-worker-half-a-request", "kill-web-after-commit", "stop-past-lease-repeat-safe"])
def test_nothing_acknowledged_is_lost_and_nothing_is_doubled(name):
    result = run_round(name, SEED)

    assert result.failures == []


#: The round that notices each mistake, and a word of what it says.
CAUGHT = {
    "acknowledge before commit": ("kill-web-at-answer", ("lost", "contradicted")),
    "settle without epoch": ("stop-past-lease-repeat-safe", ("doubled",)),
    "claim without epoch": ("no-fault", ("not settled",)),
    "synchronous off": ("no-fault", ("did not wait for the disk",)),
    "repeat what is uncertain": ("kill-worker-request-read", ("doubled",)),
}


@pytest.mark.parametrize("mistake", CAUGHT)
def test_a_deliberate_mistake_is_noticed(mistake):
    name, words = CAUGHT[mistake]

    result = run_round(name, SEED, mistake=mistake)

    assert [failure for failure in result.failures if any(word in failure for word in words)] != []


def test_every_mistake_has_a_round_that_notices_it():
    assert CAUGHT.keys() == MISTAKES.keys()


def test_every_round_of_this_file_exists():
    assert {name for name, _ in CAUGHT.values()} <= ROUNDS.keys()
