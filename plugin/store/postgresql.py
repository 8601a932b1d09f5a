"""PostgreSQL, the engine for more than one machine.

Everything here also works behind PgBouncer in transaction mode: nothing is kept on a connection between transactions.
So no statement stays prepared, locks are those of a transaction, and the time-outs are set as each transaction begins,
in the same message as its BEGIN.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy
from sqlalchemy import URL, Connection, Engine, event, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from plugin.errors import StoreConflict, StoreUnavailable, SurveyPluginError
from plugin.store.database import WRITE_WAIT, Database, first_line

#: The oldest server this program is tested with.
OLDEST_SERVER: Final = 15

#: Connections that one process keeps, and how many more it opens when all its threads want one.
POOL_SIZE: Final = 8
POOL_OVERFLOW: Final = 12

#: Serializes schema changes; any number that no other program takes.
_SCHEMA_LOCK: Final = 0x73757276

# A statement that takes longer is a fault, and a transaction that idles keeps rows from being cleaned away, which makes
# every claim slower. Lock waits end early, since the sender of a trigger is waiting.
_TIME_OUTS: Final = (
    f"SET LOCAL lock_timeout = '{WRITE_WAIT:g}s';"
    "SET LOCAL statement_timeout = '15s';"
    "SET LOCAL idle_in_transaction_session_timeout = '30s'"
)
_BEGIN_READ: Final = f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;{_TIME_OUTS}"
_BEGIN_WRITE: Final = f"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;{_TIME_OUTS}"

#: What another writer caused: unique_violation, serialization_failure, deadlock_detected. Trying again may succeed.
#: https://www.postgresql.org/docs/18/errcodes-appendix.html
_CONFLICTS: Final = frozenset({"23505", "40001", "40P01"})
#: Not errors of operation by their class, and still none of ours: read_only_sql_transaction (a stand-by took over),
#: idle_in_transaction_session_timeout, transaction_timeout.
_AWAY: Final = frozenset({"25006", "25P03", "25P04"})


class PostgresDatabase(Database):
    """The database that `url` names on a server."""

    def __init__(self, url: URL) -> None:
        super().__init__(_engine(url))
        self._url = url

    @property
    def place(self) -> str:
        server = f"{self._url.host or 'the local socket'}{f':{self._url.port}' if self._url.port else ''}"
        return f"database {self._url.database or self._url.username} on {server}"

    @property
    def is_there(self) -> bool:
        return True

    def prepare_schema_change(self, connection: Connection) -> None:
        # Other processes that migrate wait for as long as it takes.
        connection.exec_driver_sql("SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0")
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _SCHEMA_LOCK})

    def make_room(self) -> None:
        """Databases are made by the server's administrator."""

    def checkpoint(self) -> None:
        """The server does it."""

    def write_probe(self) -> None:
        with self.write() as connection:
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = version_num WHERE false")
            connection.exec_driver_sql("SELECT pg_current_xact_id()")

    def integrity_problems(self) -> list[str]:
        # The server tells damage when it meets it; it has no quick look at everything.
        return []

    def _our_error(self, error: DBAPIError) -> SurveyPluginError | None:
        code = getattr(error.orig, "sqlstate", None)
        if code in _CONFLICTS:
            return StoreConflict("Somebody else changed the same data at the same moment; try again.")
        if isinstance(error, (OperationalError, InterfaceError)) or code in _AWAY:
            return StoreUnavailable(f"The database cannot be used now: {first_line(error)}.")
        return None


def _engine(url: URL) -> Engine:
    engine = sqlalchemy.create_engine(
        url.set(drivername="postgresql+psycopg"),
        # Parameters hold people's values; they must not show up in the text of an error.
        hide_parameters=True,
        connect_args={
            "connect_timeout": 3,
            # A prepared statement belongs to one server connection, which a pooler may give to somebody else.
            "prepare_threshold": None,
            "application_name": "survey-plugin",
            # A server that vanished without a word is noticed in 20 s, not in two hours.
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 2,
            "autocommit": True,
        },
        pool_size=POOL_SIZE,
        max_overflow=POOL_OVERFLOW,
        pool_timeout=WRITE_WAIT,
        # The newest connection first: after a rush the others grow old and are closed.
        pool_use_lifo=True,
        pool_recycle=900,
        use_native_hstore=False,
    )
    event.listen(engine, "begin", _begin)
    return engine


def _begin(connection: Connection) -> None:
    # In one message with its time-outs. The driver would send a BEGIN of its own before the first statement.
    connection.exec_driver_sql(_BEGIN_WRITE if connection.get_execution_options().get("writes") else _BEGIN_READ)
