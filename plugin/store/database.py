"""The database: connections and transactions, the same over SQLite and PostgreSQL.

Both engines run the same statements. Where they differ (how a transaction begins, who may write at a time, what an
error means) stands in `sqlite.py` and `postgresql.py`.
"""

from __future__ import annotations

import random
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Final

import sqlalchemy
from sqlalchemy import Connection, Engine, Table, insert, update
from sqlalchemy.exc import DBAPIError

from plugin.errors import StoreUnavailable, SurveyPluginError

#: How long a writer waits for its turn before the caller is told to come again, seconds.
WRITE_WAIT: Final = 2.0

#: Tries to begin a transaction: connections that were kept open may have died with the server that is back by now.
_TRIES: Final = 3
_LONGEST_PAUSE: Final = 0.2


class Database(ABC):
    """One database for the life of a process. Open it after forking, never before."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    @abstractmethod
    def place(self) -> str:
        """Where the database is, for people: a file, or a server and a name. Never with a password."""

    @property
    @abstractmethod
    def is_there(self) -> bool:
        """Whether there is something to connect to; a server is taken to be there."""

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees one state of the database. Raises StoreUnavailable, StoreBroken."""
        with self._translated(), self._begun(self._engine, {}) as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that is durable when the block ends, or undone when it raises.

        Raises StoreUnavailable when it cannot be had within WRITE_WAIT or the database cannot be written, and
        StoreConflict when another writer was first; nothing is stored then.
        """
        with self._translated(), self._turn_to_write(), self._begun(self._engine, {"writes": True}) as connection:
            yield connection

    @abstractmethod
    def prepare_schema_change(self, connection: Connection) -> None:
        """Keep every other process from changing the schema until the transaction ends."""

    @abstractmethod
    def make_room(self) -> None:
        """Make what a first migration needs, such as a folder. Raises StoreUnavailable."""

    @abstractmethod
    def checkpoint(self) -> None:
        """Move what a write-ahead log holds into place, where that is this program's task. Raises StoreUnavailable."""

    @abstractmethod
    def write_probe(self) -> None:
        """Prove that the database takes a write. Raises StoreUnavailable."""

    @abstractmethod
    def integrity_problems(self) -> list[str]:
        """What the database itself reports about its own state; empty when it is sound."""

    def close(self) -> None:
        self._engine.dispose()

    def _turn_to_write(self) -> AbstractContextManager[None]:
        return nullcontext()

    @abstractmethod
    def _our_error(self, error: DBAPIError) -> SurveyPluginError | None:
        """What a driver's error means to callers; None for a fault of this program."""

    @contextmanager
    def _begun(self, engine: Engine, options: Mapping[str, Any]) -> Iterator[Connection]:
        with self._connect(engine, options) as connection, connection.get_transaction() or connection.begin():
            yield connection

    def _connect(self, engine: Engine, options: Mapping[str, Any]) -> Connection:
        """A connection with its transaction begun. One that turns out to be dead is replaced, and so are all others."""
        for left in reversed(range(_TRIES)):
            connection = engine.connect()
            try:
                connection.execution_options(**options)
                connection.begin()
            except DBAPIError as error:
                connection.close()
                if not error.connection_invalidated or not left:
                    raise
                # Everybody lost the server at the same moment, and should not come back at the same moment.
                time.sleep(random.uniform(0, _LONGEST_PAUSE))  # noqa: S311  # jitter, no secret
            else:
                return connection
        raise AssertionError  # the last try returns or raises

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """SQLAlchemy's errors as ours, without their statements and values."""
        try:
            yield
        except sqlalchemy.exc.TimeoutError as error:
            raise StoreUnavailable("The database is busy: no connection became free in time.") from error
        except DBAPIError as error:
            ours = self._our_error(error)
            if ours is None:
                raise
            raise ours from error


def first_line(error: DBAPIError) -> str:
    """What the driver says, without the lines below that may quote values."""
    return str(error.orig).splitlines()[0] if str(error.orig) else type(error.orig).__name__


def put_row(db: Connection, table: Table, tenant_id: str, values: Mapping[str, Any]) -> bool:
    """Insert or change a row by its id; whether it is new."""
    changed = db.execute(
        update(table).where(table.c.tenant_id == tenant_id, table.c.id == values["id"]).values(**values)
    )
    if changed.rowcount:
        return False
    db.execute(insert(table).values(tenant_id=tenant_id, **values))
    return True
