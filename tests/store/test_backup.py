"""A copy made while others write: one state of the database, checked, and nobody waits for it."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from plugin.errors import NotAllowed, StoreBroken, StoreUnavailable
from plugin.store.backup import back_up
from plugin.store.restored import BACKUP_MARK

MAKE = """
import sqlite3, sys, os
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA journal_mode = WAL")
db.execute("PRAGMA wal_autocheckpoint = 0")
db.execute("CREATE TABLE alembic_version (version_num TEXT)")
db.execute("INSERT INTO alembic_version VALUES ('0002')")
db.execute("CREATE TABLE workers (id TEXT)")
db.execute("INSERT INTO workers VALUES ('busy')")
db.execute("CREATE TABLE filling (block BLOB)")
db.execute("CREATE TABLE written (number INTEGER)")
db.execute("BEGIN")
for _ in range(3000):
    db.execute("INSERT INTO filling VALUES (zeroblob(4000))")
db.execute("COMMIT")
os._exit(0)  # as when it is killed: the write-ahead log stays as it is
"""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database of some 12 MB, all of it in the write-ahead log."""
    path = tmp_path / "live" / "survey.db"
    path.parent.mkdir()
    subprocess.run([sys.executable, "-c", MAKE, path], check=True, timeout=60)
    return path


def copy(database: Path, target: Path, *, replace: bool = False) -> list[tuple[int, int]]:
    """Make a backup; gives what it told of its progress."""
    told: list[tuple[int, int]] = []
    back_up(database, target, replace=replace, progress=lambda done, total: told.append((done, total)))
    return told


def ask(path: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(query).fetchall()


def test_a_copy_holds_one_state_while_others_go_on_writing(database: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(database, timeout=0, isolation_level=None)) as writer:
        writer.execute("PRAGMA wal_autocheckpoint = 0")
        steps: list[int] = []

        def write_between(done: int, total: int) -> None:
            steps.append(done)
            writer.execute("INSERT INTO written VALUES (?)", (len(steps),))

        back_up(database, tmp_path / "copy.db", replace=False, progress=write_between)

        assert writer.execute("SELECT count(*) FROM written").fetchone()[0] == len(steps)
    assert ask(tmp_path / "copy.db", "SELECT count(*) FROM written") == [(0,)]
    assert ask(tmp_path / "copy.db", "SELECT count(*) FROM filling") == [(3000,)]
    # What others write would have it begin anew, had it not kept its state.
    assert steps == sorted(set(steps))
    assert len(steps) >= 3


def test_a_backup_never_checkpoints_though_its_connection_is_the_last(database: Path, tmp_path: Path) -> None:
    log = database.with_name("survey.db-wal")
    before = database.read_bytes(), log.read_bytes()

    copy(database, tmp_path / "copy.db")

    assert (database.read_bytes(), log.read_bytes()) == before


def test_a_copy_is_one_file_that_only_its_owner_reads_and_that_says_what_it_is(database: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copies"
    folder.mkdir()

    told = copy(database, folder / "copy.db")

    assert [path.name for path in folder.iterdir()] == ["copy.db"]
    assert stat.S_IMODE((folder / "copy.db").stat().st_mode) == 0o600
    assert ask(folder / "copy.db", "PRAGMA application_id") == [(BACKUP_MARK,)]
    assert ask(folder / "copy.db", "SELECT count(*) FROM workers") == [(0,)]
    assert ask(database, "PRAGMA application_id") == [(0,)]
    assert told[-1][0] == told[-1][1] > 0


def test_a_file_that_exists_is_replaced_only_when_that_was_said(database: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    target.write_text("older")

    with pytest.raises(NotAllowed, match="exists already"):
        copy(database, target)
    assert target.read_text() == "older"

    copy(database, target, replace=True)
    assert ask(target, "SELECT version_num FROM alembic_version") == [("0002",)]


def test_the_database_never_replaces_itself(database: Path, tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(database)
    before = database.read_bytes()

    for target in (database, tmp_path / "link.db"):
        with pytest.raises(NotAllowed, match="the database itself"):
            copy(database, target, replace=True)
    assert database.read_bytes() == before


def test_a_damaged_database_leaves_the_older_backup_as_it_was(database: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    copy(database, target)
    older = target.read_bytes()
    damaged = bytearray(older)
    for start in range(4096, len(damaged), 4096):
        damaged[start : start + 300] = b"\xff" * 300
    (tmp_path / "damaged.db").write_bytes(damaged)

    with pytest.raises(StoreBroken, match="damaged"):
        copy(tmp_path / "damaged.db", target, replace=True)

    assert target.read_bytes() == older
    assert list(tmp_path.glob(".*")) == []


def test_a_backup_that_is_given_up_leaves_nothing(database: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copies"
    folder.mkdir()

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        back_up(database, folder / "copy.db", replace=False, progress=interrupt)
    assert list(folder.iterdir()) == []


def test_what_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not a database\n" * 100)

    with pytest.raises(StoreBroken, match="is no database"):
        copy(tmp_path / "text", tmp_path / "copy.db")
    with pytest.raises(StoreUnavailable, match="could not be made"):
        copy(tmp_path / "nothing", tmp_path / "copy.db")
