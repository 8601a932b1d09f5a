from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from plugin.errors import ConfigInvalid, StoreBroken, StoreUnavailable
from plugin.store.database import Database, has_wal_reset_bug, sqlite_path
from plugin.store.tables import workers
from plugin.store.turn import WriteTurn

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)

WRITER = """
import sys
from datetime import UTC, datetime
from sqlalchemy import insert
from plugin.store.database import Database
from plugin.store.tables import workers

path, name, count, hold = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] == "hold"
database = Database(f"sqlite:///{path}")
for number in range(count):
    with database.write() as db:
        now = datetime.now(UTC)
        db.execute(insert(workers).values(id=f"{name}-{number}", started_at=now, seen_at=now, threads=1))
        if hold:
            print("inside", flush=True)
            sys.stdin.readline()
"""


def add(db, name, now=NOW):
    db.execute(insert(workers).values(id=name, started_at=now, seen_at=now, threads=1))


def names(database):
    with database.read() as db:
        return sorted(db.execute(select(workers.c.id)).scalars())


def start_writer(database, name, count=1, *, hold=False):
    words = [str(database.path), name, str(count), "hold" if hold else "go"]
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, *words], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


# --- transactions -----------------------------------------------------------------------------------------------------


def test_what_is_written_is_there_for_everybody(database):
    with database.write() as db:
        add(db, "one")

    other = Database(f"sqlite:///{database.path}")
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


def test_a_commit_is_on_the_disk_and_survives_without_a_checkpoint(database, tmp_path):
    with database.write() as db:
        add(db, "one")
        modes = {name: db.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")}
        automatic = db.exec_driver_sql("PRAGMA wal_autocheckpoint").scalar()

    assert modes == {"journal_mode": "wal", "synchronous": 2}
    assert automatic == 0
    for part in ("", "-wal"):
        (tmp_path / f"copy.db{part}").write_bytes(Path(f"{database.path}{part}").read_bytes())
    copy = Database(f"sqlite:///{tmp_path / 'copy.db'}")
    assert names(copy) == ["one"]
    copy.close()


def test_a_checkpoint_moves_the_log_into_the_database(database, tmp_path):
    with database.write() as db:
        add(db, "one")

    database.checkpoint()

    (tmp_path / "copy.db").write_bytes(database.path.read_bytes())
    copy = Database(f"sqlite:///{tmp_path / 'copy.db'}")
    assert names(copy) == ["one"]
    copy.close()


def test_times_come_back_as_they_went_in_whatever_their_zone(database):
    warsaw = NOW.astimezone(timezone(timedelta(hours=1)))
    with database.write() as db:
        add(db, "one", warsaw)

    with database.read() as db:
        stored = db.execute(select(workers.c.seen_at)).scalar_one()
        raw = db.exec_driver_sql("SELECT seen_at FROM workers").scalar_one()
    assert (stored, stored.tzinfo) == (NOW, UTC)
    assert raw.startswith("2026-11-03 12:00:00")


def test_a_path_may_hold_what_has_a_meaning_in_an_address(tmp_path):
    folder = tmp_path / "100% #1"
    folder.mkdir()
    database = Database(f"sqlite:///{folder}/x.db")

    database.write_probe()
    database.close()

    assert (folder / "x.db").exists()


# --- turns ------------------------------------------------------------------------------------------------------------


def test_two_processes_that_write_at_once_both_succeed(database):
    writers = [start_writer(database, name, 50) for name in ("a", "b")]

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


def test_a_writer_that_keeps_its_turn_makes_the_others_come_again(database):
    holder = start_writer(database, "holder", hold=True)
    assert holder.stdout.readline() == "inside\n"

    with pytest.raises(StoreUnavailable, match="turn to write"), database.write() as db:
        add(db, "late")

    assert names(database) == []
    holder.communicate("go\n", timeout=10)
    assert names(database) == ["holder-0"]
    with database.write() as db:
        add(db, "late")


def test_a_thread_that_keeps_its_turn_makes_the_others_come_again(tmp_path):
    turn = WriteTurn(tmp_path / "turn")
    with turn.taken(1.0):
        outcomes = []

        def try_it():
            try:
                with turn.taken(0.05):
                    outcomes.append("taken")
            except StoreUnavailable:
                outcomes.append("refused")

        thread = threading.Thread(target=try_it)
        thread.start()
        thread.join(10)

    assert outcomes == ["refused"]
    with turn.taken(0.05):
        pass


def test_a_writer_that_is_killed_leaves_the_turn_free_and_nothing_half_written(database):
    holder = start_writer(database, "killed", hold=True)
    assert holder.stdout.readline() == "inside\n"

    holder.send_signal(signal.SIGKILL)
    assert holder.wait(10) == -signal.SIGKILL

    with database.write() as db:
        add(db, "next")
    assert names(database) == ["next"]
    assert database.integrity_problems() == []
    holder.communicate()


def test_a_writer_has_the_database_from_its_first_moment(database):
    """What it reads before it writes cannot change under its hands."""
    stranger = sqlite3.connect(database.path, isolation_level=None, timeout=0)

    with database.write(), pytest.raises(sqlite3.OperationalError, match="locked"):
        stranger.execute("BEGIN IMMEDIATE")

    stranger.close()


def test_somebody_elses_lock_is_told_as_unavailable(database):
    stranger = sqlite3.connect(database.path, isolation_level=None)
    stranger.execute("BEGIN IMMEDIATE")

    with pytest.raises(StoreUnavailable, match="database is locked"), database.write() as db:
        add(db, "one")

    stranger.execute("ROLLBACK")
    stranger.close()
    with database.write() as db:
        add(db, "one")


# --- what cannot be used ----------------------------------------------------------------------------------------------


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    # Nobody can make a file in /proc, root included.
    with pytest.raises(StoreUnavailable, match="cannot be used"), Database("sqlite:////proc/x.db").write():
        pass


def test_a_folder_that_is_not_there_is_told(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/nowhere/x.db")

    with pytest.raises(StoreUnavailable, match="lock file cannot be used: No such file"), database.write():
        pass
    with pytest.raises(StoreUnavailable, match="unable to open"), database.read():
        pass


def test_a_file_that_is_no_database_is_told(tmp_path):
    (tmp_path / "x.db").write_bytes(b"Dear diary, today I am no database." * 100)
    database = Database(f"sqlite:///{tmp_path}/x.db")

    with pytest.raises(StoreBroken, match="damaged or is no database"), database.write():
        pass
    with pytest.raises(StoreBroken, match="damaged or is no database"), database.read():
        pass


def test_a_damaged_page_is_told(database):
    with database.write() as db:
        for number in range(200):
            add(db, f"worker-{number:03}")
    database.checkpoint()
    database.close()
    raw = bytearray(database.path.read_bytes())
    raw[4096:] = os.urandom(len(raw) - 4096)
    database.path.write_bytes(raw)

    damaged = Database(f"sqlite:///{database.path}")
    with pytest.raises(StoreBroken, match="damaged"):
        names(damaged)
    damaged.close()


def test_no_value_of_a_statement_stands_in_its_error(database):
    with database.write() as db:
        add(db, "ada@example.com")

    with pytest.raises(Exception, match="UNIQUE") as caught, database.write() as db:
        add(db, "ada@example.com")

    assert "ada@example.com" not in str(caught.value)


def test_a_write_probe_proves_that_the_database_takes_a_write(database):
    database.write_probe()

    stranger = sqlite3.connect(database.path, isolation_level=None)
    stranger.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable):
        database.write_probe()
    stranger.close()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://db/x", "postgresql is not supported"),
        ("nonsense", "is not a database address"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
    ],
)
def test_an_address_that_is_no_sqlite_file_is_told(url, words):
    with pytest.raises(ConfigInvalid, match=words):
        sqlite_path(url)


@pytest.mark.parametrize(
    ("version", "has_it"),
    [
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 44, 9), False),
        ((3, 45, 0), True),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 52, 0), False),
        ((4, 0, 0), False),
    ],
)
def test_versions_of_sqlite_with_the_wal_reset_bug_are_known(version, has_it):
    assert has_wal_reset_bug(version) is has_it
