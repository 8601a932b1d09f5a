"""What a PostgreSQL server says of itself: what an operator has to know before it matters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, text

from plugin.store.postgresql import POOL_OVERFLOW, POOL_SIZE

#: Connections that one process of this program opens at most.
CONNECTIONS_OF_A_PROCESS: Final = POOL_SIZE + POOL_OVERFLOW


@dataclass(frozen=True)
class Server:
    """version: the major one. settings: by PostgreSQL's own names. connections: that all its users may open.

    idle: transactions of this database that have been doing nothing for half a minute. now: by the server's clock.
    """

    version: int
    settings: Mapping[str, str]
    connections: int
    idle: int
    now: datetime


_SETTINGS: Final = text(
    "SELECT name, setting FROM pg_settings WHERE name IN ('server_version_num', 'fsync', 'synchronous_commit', "
    "'full_page_writes', 'autovacuum', 'max_connections', 'superuser_reserved_connections')"
)
_IDLE: Final = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%' "
    "AND state_change < clock_timestamp() - interval '30 seconds'"
)


def about_server(db: Connection) -> Server | None:
    """The server behind a connection; None where there is none, with SQLite."""
    if db.dialect.name != "postgresql":
        return None
    settings: dict[str, str] = {name: setting for name, setting in db.execute(_SETTINGS)}  # noqa: C416  # rows, not pairs
    return Server(
        version=int(settings["server_version_num"]) // 10_000,
        settings=settings,
        connections=int(settings["max_connections"]) - int(settings["superuser_reserved_connections"]),
        idle=db.execute(_IDLE).scalar_one(),
        now=db.execute(text("SELECT clock_timestamp()")).scalar_one(),
    )
