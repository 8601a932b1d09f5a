"""What both engines promise."""

from __future__ import annotations

import signal
import threading
from datetime import UTC, timedelta, timezone

import pytest
from sqlalchemy import select

from plugin.store.opening import open_database
from plugin.store.tables import workers
from tests.store.writers import NOW, add, names, start_writer, writer_inside


def test_what_is_written_is_there_for_everybody(database, database_url):
    with database.write() as db:
        add(db, "one")

    other = open_database(database_url)
    assert names(other) == ["one"]
    other.close()


def test_an_exception_undoes_the_whole_transaction(database):
    def fail(db):
        add(db, "one")
        raise KeyError

    with pytest.raises(KeyError), database.write() as db:
        fail(db)

    assert names(database) == []
    with database.write() as db:
        add(db, "two")
    assert names(database) == ["two"]


def test_a_reader_sees_one_state_from_beginning_to_end(database):
    with database.read() as db:
        before = db.execute(select(workers.c.id)).all()
        with database.write() as other:
            add(other, "one")
        after = db.execute(select(workers.c.id)).all()

    assert before == after == []
    assert names(database) == ["one"]


def test_times_come_back_as_they_went_in_whatever_their_zone(database):
    warsaw = NOW.astimezone(timezone(timedelta(hours=1)))
    with database.write() as db:
        add(db, "one", warsaw)

    with database.read() as db:
        stored = db.execute(select(workers.c.seen_at)).scalar_one()
    assert (stored, stored.tzinfo) == (NOW, UTC)


def test_two_processes_that_write_at_once_both_succeed(database, database_url):
    writers = [start_writer(database_url, name, 50) for name in ("a", "b")]

    assert [writer.communicate(timeout=60) and writer.returncode for writer in writers] == [0, 0]
    assert len(names(database)) == 100


def test_threads_that_write_at_once_all_succeed(database):
    def write(number):
        with database.write() as db:
            add(db, f"thread-{number:02}")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert len(names(database)) == 30


def test_a_writer_that_is_killed_leaves_nothing_half_written_and_nobody_waiting(database, database_url):
    with writer_inside(database_url, "killed") as holder:
        holder.send_signal(signal.SIGKILL)
        assert holder.wait(10) == -signal.SIGKILL

        with database.write() as db:
            add(db, "killed-0")

    assert names(database) == ["killed-0"]
    assert database.integrity_problems() == []


def test_no_value_of_a_statement_stands_in_its_error(database):
    with database.write() as db:
        add(db, "ada@example.com")

    with pytest.raises(Exception, match=r"UNIQUE|same data") as caught, database.write() as db:
        add(db, "ada@example.com")

    assert "ada@example.com" not in str(caught.value)


def test_a_write_probe_changes_nothing(database):
    database.write_probe()

    assert names(database) == []
