from __future__ import annotations

import os
import sqlite3
import threading
from pathlib import Path

import pytest

from plugin.errors import ConfigInvalid, StoreBroken, StoreUnavailable
from plugin.store.opening import open_database, sqlite_path
from plugin.store.sqlite import has_wal_reset_bug
from plugin.store.turn import WriteTurn
from tests.store.writers import add, names, writer_inside


@pytest.fixture
def database_url(sqlite_url):
    return sqlite_url


# --- transactions -----------------------------------------------------------------------------------------------------


def test_a_commit_is_on_the_disk_and_survives_without_a_checkpoint(database, tmp_path):
    with database.write() as db:
        add(db, "one")
        modes = {name: db.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")}
        automatic = db.exec_driver_sql("PRAGMA wal_autocheckpoint").scalar()

    assert modes == {"journal_mode": "wal", "synchronous": 2}
    assert automatic == 0
    for part in ("", "-wal"):
        (tmp_path / f"copy.db{part}").write_bytes(Path(f"{database.path}{part}").read_bytes())
    copy = open_database(f"sqlite:///{tmp_path / 'copy.db'}")
    assert names(copy) == ["one"]
    copy.close()


def test_a_checkpoint_moves_the_log_into_the_database(database, tmp_path):
    with database.write() as db:
        add(db, "one")

    database.checkpoint()

    (tmp_path / "copy.db").write_bytes(database.path.read_bytes())
    copy = open_database(f"sqlite:///{tmp_path / 'copy.db'}")
    assert names(copy) == ["one"]
    copy.close()


def test_a_path_may_hold_what_has_a_meaning_in_an_address(tmp_path):
    folder = tmp_path / "100% #1"
    folder.mkdir()
    database = open_database(f"sqlite:///{folder}/x.db")

    database.write_probe()
    database.close()

    assert (folder / "x.db").exists()


# --- turns ------------------------------------------------------------------------------------------------------------


def test_a_writer_that_keeps_its_turn_makes_the_others_come_again(database, database_url):
    with writer_inside(database_url, "holder"):
        with pytest.raises(StoreUnavailable, match="turn to write"), database.write() as db:
            add(db, "late")
        assert names(database) == []

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
    with pytest.raises(StoreUnavailable, match="cannot be used"), open_database("sqlite:////proc/x.db").write():
        pass


def test_a_folder_that_is_not_there_is_told(tmp_path):
    database = open_database(f"sqlite:///{tmp_path}/nowhere/x.db")

    with pytest.raises(StoreUnavailable, match="lock file cannot be used: No such file"), database.write():
        pass
    with pytest.raises(StoreUnavailable, match="unable to open"), database.read():
        pass


def test_a_file_that_is_no_database_is_told(tmp_path):
    (tmp_path / "x.db").write_bytes(b"Dear diary, today I am no database." * 100)
    database = open_database(f"sqlite:///{tmp_path}/x.db")

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

    damaged = open_database(f"sqlite:///{database.path}")
    with pytest.raises(StoreBroken, match="damaged"):
        names(damaged)
    damaged.close()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://db/x", "mysql is not supported"),
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


def test_a_write_probe_proves_that_the_database_takes_a_write(database):
    database.write_probe()

    stranger = sqlite3.connect(database.path, isolation_level=None)
    stranger.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable):
        database.write_probe()
    stranger.close()


def test_times_sort_as_text(database):
    with database.write() as db:
        add(db, "one")

    with database.read() as db:
        assert db.exec_driver_sql("SELECT seen_at FROM workers").scalar_one().startswith("2026-11-03 12:00:00")
