"""The crash rounds that every full run makes, and a deliberate mistake for each promise, which a round must notice.

All rounds, as often as wanted: make faults ROUNDS=3
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.mistakes import MISTAKES
from tests.faults.rounds import ROUNDS, run_round
from tests.faults.stores import STORES, Store

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),  # a busy machine takes its time to start so many processes
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="watches processes in /proc"),
]

SEED = 42


@pytest.fixture(scope="module")
def store_called() -> Iterator[Callable[[str], Store]]:
    """A store by its name; PostgreSQL's is a server of its own, which is killed here."""
    made: dict[str, Store] = {}
    with contextlib.ExitStack() as opened:

        def called(name: str) -> Store:
            if name not in made:
                made[name] = opened.enter_context(STORES[name]())
            return made[name]

        yield called


@pytest.mark.parametrize(
    ("store", "name"),
    [
        ("sqlite", "kill-worker-half-a-request"),
        ("sqlite", "kill-web-after-commit"),
        ("postgresql", "kill-some-of-many"),
        ("postgresql", "kill-database"),
    ],
)
def test_nothing_acknowledged_is_lost_and_nothing_is_doubled(store_called, store, name):
    result = run_round(name, SEED, store_called(store))

    assert result.failures == []


#: The store and the round that notice each mistake, and a word of what is said.
CAUGHT = {
    "acknowledge before commit": ("sqlite", "kill-web-at-answer", ("lost", "contradicted")),
    "settle without epoch": ("sqlite", "sleep-past-lease-repeat-safe", ("doubled",)),
    "claim without epoch": ("postgresql", "no-fault", ("not settled",)),
    "claim without lane locks": ("postgresql", "many-processes", ("more calls at once",)),
    "synchronous off": ("sqlite", "no-fault", ("did not wait for the disk",)),
    "synchronous commit off": ("postgresql", "kill-database", ("lost", "contradicted")),
    "stop without draining": ("sqlite", "stop-worker", ("uncertain, but only 0 in flight",)),
    "repeat what is uncertain": ("postgresql", "kill-worker-request-read", ("doubled",)),
}


@pytest.mark.parametrize("mistake", CAUGHT)
def test_a_deliberate_mistake_is_noticed(store_called, mistake):
    store, name, words = CAUGHT[mistake]

    result = run_round(name, SEED, store_called(store), mistake=mistake)

    assert [failure for failure in result.failures if any(word in failure for word in words)] != []


def test_every_mistake_has_a_round_that_notices_it():
    assert CAUGHT.keys() == MISTAKES.keys()


def test_every_round_of_this_file_exists_for_its_store():
    assert all(store in ROUNDS[name].stores for store, name, _ in CAUGHT.values())
