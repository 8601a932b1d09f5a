"""What PostgreSQL asks of us: connections that die, conflicts between writers, and a pooler between."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from sqlalchemy import select, text, update

from plugin.errors import StoreConflict, StoreUnavailable
from plugin.store.opening import open_database
from plugin.store.schema import migrate, schema_problem
from plugin.store.tables import workers
from tests.postgresql import Cluster
from tests.store.writers import NOW, add, names


@pytest.fixture
def database_url(postgresql_url):
    return postgresql_url


@pytest.fixture(scope="module")
def cluster():
    with Cluster() as running:
        yield running


@pytest.fixture
def mortal(cluster):
    """A database on a server that a test may kill."""
    cluster.start()
    cluster.drop("mortal")
    opened = open_database(cluster.create("mortal"))
    migrate(opened)
    yield opened
    opened.close()


def states_of_backends(url):
    """What everybody else's connections to this database are doing."""
    others = "datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as watcher:
        return {state for (state,) in watcher.execute(f"SELECT state FROM pg_stat_activity WHERE {others}")}


def wait_until(true, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# --- a server that goes away ------------------------------------------------------------------------------------------


def test_a_server_that_came_back_is_used_again_without_a_single_error(mortal, cluster):
    with ThreadPoolExecutor(4) as threads:
        for pool in [threads.submit(names, mortal) for _ in range(8)]:
            pool.result(10)

    cluster.restart()

    assert names(mortal) == []
    with mortal.write() as db:
        add(db, "after")
    assert names(mortal) == ["after"]


def test_a_server_that_is_away_is_told_as_unavailable_and_does_not_keep_anybody_waiting(mortal, cluster):
    cluster.kill()
    began = time.monotonic()

    with pytest.raises(StoreUnavailable, match="cannot be used now"), mortal.write() as db:
        add(db, "lost")

    assert time.monotonic() - began < 5
    cluster.start()
    assert names(mortal) == []


def test_a_server_that_dies_within_a_transaction_leaves_nothing(mortal, cluster):
    def write_over_a_restart(db):
        add(db, "half")
        cluster.restart()
        add(db, "whole")

    with pytest.raises(StoreUnavailable), mortal.write() as db:
        write_over_a_restart(db)

    assert names(mortal) == []


def test_a_password_is_in_no_error(monkeypatch):
    database = open_database("postgresql+psycopg://someone:hidden-word@127.0.0.1:1/nowhere")

    with pytest.raises(StoreUnavailable) as caught, database.read():
        pass

    assert "hidden-word" not in str(caught.value)
    assert "hidden-word" not in database.place
    assert "nowhere" in database.place
    database.close()


# --- writers at the same time -----------------------------------------------------------------------------------------


def test_two_writers_of_the_same_key_make_a_conflict_for_the_second(database):
    with database.write() as first, ThreadPoolExecutor(1) as threads:
        add(first, "one")
        second = threads.submit(_write, database, "one")
        first.commit()
        error = second.exception(10)

    assert isinstance(error, StoreConflict)
    assert "same moment" in str(error)
    assert names(database) == ["one"]


def test_a_deadlock_is_a_conflict_for_one_of_the_two(database):
    _write(database, "a")
    _write(database, "b")
    both_have_one = threading.Barrier(2)

    def cross(first, second):
        with database.write() as db:
            _touch(db, first)
            both_have_one.wait(10)
            _touch(db, second)

    with ThreadPoolExecutor(2) as threads:
        crossing = [threads.submit(cross, *pair) for pair in (("a", "b"), ("b", "a"))]
        errors = [future.exception(20) for future in crossing]

    assert [type(error) for error in errors if error is not None] == [StoreConflict]


def test_a_lock_that_another_keeps_is_told_as_unavailable_after_two_seconds(database):
    _write(database, "a")
    with database.write() as holder:
        _touch(holder, "a")

        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match="lock timeout"), database.write() as db:
            _touch(db, "a")

    assert 1.5 < time.monotonic() - began < 10


def test_processes_that_migrate_at_the_same_moment_all_find_the_schema_made(postgresql):
    url = postgresql.create("survey_plugin_migrated_at_once")
    databases = [open_database(url) for _ in range(4)]

    with ThreadPoolExecutor(4) as threads:
        made = [future.result(60) for future in [threads.submit(migrate, one) for one in databases]]

    assert sorted(before is None for before, _ in made) == [False, False, False, True]
    assert schema_problem(databases[0]) is None
    for one in databases:
        one.close()
    postgresql.drop("survey_plugin_migrated_at_once")


def _write(database, name):
    with database.write() as db:
        add(db, name)


def _touch(db, name):
    db.execute(update(workers).where(workers.c.id == name).values(seen_at=NOW))


# --- behind a pooler --------------------------------------------------------------------------------------------------


def test_nothing_stays_on_a_connection_between_transactions(database):
    """A pooler in transaction mode gives each transaction any server connection, and what it holds to somebody else."""
    for number in range(12):
        with database.write() as db:
            add(db, f"worker-{number}")
            [pid] = db.execute(text("SELECT pg_backend_pid()")).scalars()

    with database.read() as db:
        assert db.execute(text("SELECT pg_backend_pid()")).scalar_one() == pid
        assert db.execute(text("SELECT count(*) FROM pg_prepared_statements")).scalar_one() == 0
        assert db.execute(text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")).scalar_one() == 0
        db.exec_driver_sql("ROLLBACK")
        # Outside of a transaction the server's own settings hold again.
        after = [db.exec_driver_sql(f"SHOW {name}").scalar_one() for name in ("lock_timeout", "statement_timeout")]
        assert after == ["0", "0"]
        assert db.execute(text("SELECT count(*) FROM pg_listening_channels()")).scalar_one() == 0


def test_each_transaction_is_limited_in_time(database):
    for opened in (database.read(), database.write()):
        with opened as db:
            shown = {
                name: db.exec_driver_sql(f"SHOW {name}").scalar_one()
                for name in ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
            }
        assert shown == {
            "lock_timeout": "2s",
            "statement_timeout": "15s",
            "idle_in_transaction_session_timeout": "30s",
        }


def test_no_transaction_stays_open_when_its_block_has_ended(database, database_url):
    names(database)
    _write(database, "one")

    wait_until(lambda: states_of_backends(database_url) == {"idle"})


def test_a_reader_cannot_write(database):
    with pytest.raises(StoreUnavailable, match="read-only"), database.read() as db:
        add(db, "one")


def test_a_reader_in_the_middle_of_a_change_sees_none_of_it(database):
    with database.write() as db:
        add(db, "one")
        assert names(database) == []
    with database.read() as db:
        assert db.execute(select(workers.c.id)).scalars().all() == ["one"]
