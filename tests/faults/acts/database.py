"""The database is full, killed, away for a while, or forgets who is connected."""

from __future__ import annotations

import time
from typing import Final

from sqlalchemy.engine import make_url

from plugin.store.tables import metadata
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
    _wait_while_full(trial)
    full.unlink()
    _expect_refusals(trial)


def disk_full(trial: Trial) -> None:
    """For a while the server has no room left for any row."""
    trial.spread_load(_WHILE)
    trial.begin()
    trial.wait_for_calls()
    database = str(make_url(trial.database_url).database)
    tables = [table.name for table in metadata.sorted_tables]
    with _cluster(trial).connect(database) as connection:
        connection.execute(_NO_ROOM)
        for table in tables:
            connection.execute(f"create trigger no_room before insert or update on {table} execute function no_room()")
        _wait_while_full(trial)
        for table in tables:
            connection.execute(f"drop trigger no_room on {table}")
    _expect_refusals(trial)


#: The error that a full disk brings: https://www.postgresql.org/docs/18/errcodes-appendix.html
_NO_ROOM: Final = """
create function no_room() returns trigger language plpgsql as
$$ begin raise exception 'could not extend file: No space left on device' using errcode = '53100'; end $$
"""


def _wait_while_full(trial: Trial) -> None:
    time.sleep(trial.random.uniform(0.5, SHORT_LEASE + 1.0))


def _expect_refusals(trial: Trial) -> None:
    trial.desk.wait(STRIKE)
    trial.expect("Nobody was told that nothing could be stored.", so=trial.desk.answers[503] > 0)
    trial.expect("A request met a fault of the program.", so=trial.desk.answers[500] == 0)


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
