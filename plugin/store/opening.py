"""From an address to a database."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import URL
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from plugin.errors import ConfigInvalid
from plugin.store.database import Database
from plugin.store.filesystem import refuse_shared_filesystem
from plugin.store.postgresql import PostgresDatabase
from plugin.store.sqlite import SqliteDatabase

_EXAMPLES: Final = "sqlite:///var/survey-plugin.db or postgresql+psycopg://user:password@host/name"


def open_database(url: str) -> Database:
    """The database that DATABASE_URL names; connects when it is first used. Raises ConfigInvalid."""
    path = sqlite_path(url)
    if path is None:
        return PostgresDatabase(_parsed(url))
    refuse_shared_filesystem(path)
    return SqliteDatabase(path)


def sqlite_path(url: str) -> Path | None:
    """The file that `url` names, None for a PostgreSQL server. Raises ConfigInvalid for anything else."""
    parsed = _parsed(url)
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        return None
    if backend != "sqlite":
        raise ConfigInvalid([f"DATABASE_URL: {backend} is not supported; write {_EXAMPLES}"])
    if not parsed.database or parsed.database == ":memory:":
        raise ConfigInvalid(["DATABASE_URL: names no file; write sqlite:///var/survey-plugin.db"])
    return Path(parsed.database)


def _parsed(url: str) -> URL:
    try:
        return make_url(url)
    except ArgumentError:
        raise ConfigInvalid([f"DATABASE_URL: is not a database address; write {_EXAMPLES}"]) from None
