"""SQLite, the embedded default: one file, one machine.

WAL with synchronous=FULL, so a commit is on the disk before it is acknowledged. Writers take turns by a lock file,
because SQLite's own busy handler sleeps without a queue and lets one process starve another. Library versions with the
WAL-reset bug may damage a database when a checkpoint runs beside a writer; so automatic checkpoints are off everywhere,
and `checkpoint()`, called by the worker, holds the turn as writers do.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final

import sqlalchemy
from sqlalchemy import URL, Connection, Engine, event
from sqlalchemy.exc import DatabaseError, DBAPIError, OperationalError

from plugin.errors import StoreBroken, StoreUnavailable, SurveyPluginError
from plugin.store.database import WRITE_WAIT, Database, first_line
from plugin.store.turn import WriteTurn

#: SQLite versions free of the WAL-reset bug: this one and later, and two older lines that got the repair.
WAL_RESET_FIXED: Final = ((3, 51, 3), (3, 50, 7), (3, 44, 6))


class SqliteDatabase(Database):
    """A database in the file `path`."""

    def __init__(self, path: Path) -> None:
        super().__init__(_engine(path))
        self.path = path
        self._turn = WriteTurn(path.with_name(path.name + ".turn"))

    @property
    def place(self) -> str:
        return str(self.path)

    @property
    def is_there(self) -> bool:
        return self.path.exists()

    def prepare_schema_change(self, connection: Connection) -> None:  # noqa: ARG002  # the turn is enough
        return

    def make_room(self) -> None:
        folder = self.path.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # It holds people's values: nobody else of this machine may read it, nor what SQLite keeps beside it.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise StoreUnavailable(f"The database cannot be made in folder {folder}: {error.strerror}.") from error

    def checkpoint(self) -> None:
        with self._translated(), self._turn_to_write(), self._engine.connect() as connection:
            connection.execution_options(plain=True)
            connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")

    def write_probe(self) -> None:
        with self.write() as connection:
            connection.exec_driver_sql("PRAGMA user_version = 0")

    def integrity_problems(self) -> list[str]:
        with self.read() as connection:
            rows = connection.exec_driver_sql("PRAGMA quick_check").scalars().all()
        return [str(row) for row in rows if row != "ok"]

    def _turn_to_write(self) -> AbstractContextManager[None]:
        return self._turn.taken(WRITE_WAIT)

    def _our_error(self, error: DBAPIError) -> SurveyPluginError | None:
        if isinstance(error, OperationalError):
            return StoreUnavailable(f"The database cannot be used now: {first_line(error)}.")
        if isinstance(error, DatabaseError) and type(error.orig) is sqlite3.DatabaseError:
            return StoreBroken(f"The database file is damaged or is no database: {first_line(error)}.")
        return None


def has_wal_reset_bug(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> bool:
    """Whether this SQLite library may damage a database when a checkpoint meets a writer (3.7.0 to 3.51.2)."""
    newest, *repaired_lines = WAL_RESET_FIXED
    if version >= newest:
        return False
    return not any(version[:2] == line[:2] and version >= line for line in repaired_lines)


def _engine(path: Path) -> Engine:
    engine = sqlalchemy.create_engine(
        # Not a text: a ? or a % in the path would be read as part of the address.
        URL.create("sqlite", database=str(path)),
        # Parameters hold people's values; they must not show up in the text of an error.
        hide_parameters=True,
        connect_args={"timeout": WRITE_WAIT, "check_same_thread": False},
        pool_size=20,
        max_overflow=20,
        pool_timeout=WRITE_WAIT,
    )
    event.listen(engine, "connect", _prepare_connection)
    event.listen(engine, "begin", _begin)
    return engine


_PRAGMAS: Final = (
    "busy_timeout = 2000",
    "journal_mode = WAL",
    "synchronous = FULL",
    "foreign_keys = ON",
    "wal_autocheckpoint = 0",
    "mmap_size = 0",
)


def _prepare_connection(connection: Any, record: Any) -> None:  # noqa: ARG001  # SQLAlchemy's signature
    # The driver would begin transactions by its own rules (and none for SELECT); _begin says when and how.
    connection.isolation_level = None
    try:
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
    except sqlite3.Error:
        # The pool never got it, so nobody else would close it.
        connection.close()
        raise


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get("plain"):
        return
    connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("writes") else "BEGIN")
