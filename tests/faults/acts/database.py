"""The database is full, killed, away for a while, or forgets who is connected."""

from __future__ import annotations

import time
from typing import Final

from tests.faults.stores import PostgresStore
from tests.faults.trial import SHORT_LEASE, STRIKE, Trial
from tests.postgresql import Cluster

#: How long the load lasts while the database comes and goes, seconds.
_WHILE: Final = 5.0


def store_full(trial: Trial) -> None:
    """For a while the database cannot grow."""
    full = trial.folder / "full"
    trial.begin(web={"room": str(full)}, worker={"room": str(full)})
    trial.wait_a_while()
    full.touch()
    time.sleep(trial.random.uniform(0.5, SHORT_LEASE + 1.0))
    full.unlink()
    trial.desk.wait(STRIKE)
    trial.expect("Nobody was told that nothing could be stored.", so=trial.desk.answers[503] > 0)


def kill_database(trial: Trial) -> None:
    """kill -9 of the postmaster and all its backends, and an immediate restart."""
    _kill_database(trial, times=1)


def kill_database_often(trial: Trial) -> None:
    """Again and again, each time soon after it has come up."""
    _kill_database(trial, times=4)


def _kill_database(trial: Trial, times: int) -> None:
    trial.spread_load(_WHILE)
    _, worker = trial.begin()
    trial.wait_for_calls()
    for _ in range(times):
        time.sleep(trial.random.uniform(0.3, _WHILE / times))
        trial.struck(worker.pid)
        _cluster(trial).restart()
        trial.restarted()


def database_away(trial: Trial) -> None:
    """For ten seconds under load; what the vendor answers meanwhile is kept, so nothing is uncertain."""
    trial.spread_load(_WHILE)
    trial.begin()
    trial.wait_for_calls()
    _cluster(trial).stop()
    time.sleep(10.0)
    _cluster(trial).start()
    trial.restarted()
    trial.desk.wait(60)
    trial.expect("Nobody was told that nothing could be stored.", so=trial.desk.answers[503] > 0)
    trial.expect("A request was left without an answer.", so=trial.desk.answers[0] == 0)


def database_disconnects(trial: Trial) -> None:
    """Everybody is thrown out a few times, as a failover or a restarted PgBouncer does."""
    trial.spread_load(_WHILE)
    _, worker = trial.begin()
    trial.wait_for_calls()
    for _ in range(5):
        time.sleep(trial.random.uniform(0.2, _WHILE / 5))
        trial.struck(worker.pid)
        with _cluster(trial).connect() as connection:
            connection.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname like 'round_%'")


def _cluster(trial: Trial) -> Cluster:
    assert isinstance(trial.store, PostgresStore)
    return trial.store.cluster
