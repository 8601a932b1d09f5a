"""The database: connections, transactions and the write turn.

SQLite: WAL with synchronous=FULL, so a commit is on the disk before it is acknowledged. Writers take turns by a lock
file, because SQLite's own busy handler sleeps without a queue and lets one process starve another. Library versions
with the WAL-reset bug may damage a database when a checkpoint runs beside a writer; so automatic checkpoints are off
everywhere, and `checkpoint()`, called by the worker, holds the turn as writers do.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import sqlalchemy
from sqlalchemy import URL, Connection, Engine, Table, event, insert, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, OperationalError

from plugin.errors import ConfigInvalid, StoreBroken, StoreUnavailable
from plugin.store.turn import WriteTurn

#: How long a writer waits for its turn before the caller is told to come again, seconds.
WRITE_WAIT: Final = 2.0

#: SQLite versions free of the WAL-reset bug: this one and later, and two older lines that got the repair.
WAL_RESET_FIXED: Final = ((3, 51, 3), (3, 50, 7), (3, 44, 6))


class Database:
    """One database for the life of a process. Open it after forking, never before."""

    def __init__(self, url: str) -> None:
        self.path = sqlite_path(url)
        self._turn = WriteTurn(self.path.with_name(self.path.name + ".turn"))
        self._engine = _sqlite_engine(self.path)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees one state of the database. Raises StoreUnavailable."""
        with _translated(), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that is durable when the block ends, or undone when it raises.

        Raises StoreUnavailable when the turn does not come within WRITE_WAIT or the database cannot be written;
        nothing is stored then.
        """
        with _translated(), self._turn.taken(WRITE_WAIT), self._engine.connect() as connection:
            connection.execution_options(writes=True)
            with connection.begin():
                yield connection

    def checkpoint(self) -> None:
        """Move what the write-ahead log holds into the database file. Raises StoreUnavailable."""
        with _translated(), self._turn.taken(WRITE_WAIT), self._engine.connect() as connection:
            connection.execution_options(plain=True)
            connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")

    def write_probe(self) -> None:
        """Prove that the database takes a write. Raises StoreUnavailable."""
        with self.write() as connection:
            connection.exec_driver_sql("PRAGMA user_version = 0")

    def integrity_problems(self) -> list[str]:
        """What the database itself reports about its own state; empty when it is sound."""
        with self.read() as connection:
            rows = connection.exec_driver_sql("PRAGMA quick_check").scalars().all()
        return [str(row) for row in rows if row != "ok"]

    def close(self) -> None:
        self._engine.dispose()


def put_row(db: Connection, table: Table, tenant_id: str, values: Mapping[str, Any]) -> bool:
    """Insert or change a row by its id; whether it is new."""
    changed = db.execute(
        update(table).where(table.c.tenant_id == tenant_id, table.c.id == values["id"]).values(**values)
    )
    if changed.rowcount:
        return False
    db.execute(insert(table).values(tenant_id=tenant_id, **values))
    return True


def sqlite_path(url: str) -> Path:
    """The file that `url` names. Raises ConfigInvalid for anything that is not a SQLite file."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigInvalid(["DATABASE_URL: is not a database address; write sqlite:///var/survey-plugin.db"]) from None
    if parsed.get_backend_name() != "sqlite":
        raise ConfigInvalid(
            [
                f"DATABASE_URL: {parsed.get_backend_name()} is not supported by this version; write sqlite:///path/to/file.db"
            ]
        )
    if not parsed.database or parsed.database == ":memory:":
        raise ConfigInvalid(["DATABASE_URL: names no file; write sqlite:///var/survey-plugin.db"])
    return Path(parsed.database)


def has_wal_reset_bug(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> bool:
    """Whether this SQLite library may damage a database when a checkpoint meets a writer (3.7.0 to 3.51.2)."""
    newest, *repaired_lines = WAL_RESET_FIXED
    if version >= newest:
        return False
    return not any(version[:2] == line[:2] and version >= line for line in repaired_lines)


def _sqlite_engine(path: Path) -> Engine:
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


@contextmanager
def _translated() -> Iterator[None]:
    """SQLAlchemy's errors as ours. The original text is kept only where it cannot hold a person's values."""
    try:
        yield
    except OperationalError as error:
        raise StoreUnavailable(f"The database cannot be used now: {_first_line(error)}.") from error
    except sqlalchemy.exc.TimeoutError as error:
        raise StoreUnavailable("The database is busy: no connection became free in time.") from error
    except DatabaseError as error:
        if isinstance(error.orig, sqlite3.DatabaseError) and type(error.orig) is sqlite3.DatabaseError:
            raise StoreBroken(f"The database file is damaged or is no database: {_first_line(error)}.") from error
        raise


def _first_line(error: DatabaseError) -> str:
    return str(error.orig).splitlines()[0] if str(error.orig) else type(error.orig).__name__
