"""Bringing the schema to the newest version, with Alembic."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from plugin.errors import StoreBroken
from plugin.store.database import Database


def migrate(database: Database) -> tuple[str | None, str]:
    """Bring the schema to the newest version; gives the versions before and after.

    Raises StoreBroken when a newer program made the database, StoreUnavailable when it cannot be written.
    """
    config = _config()
    database.make_room()
    newest = _newest(config)
    with database.write() as connection:
        database.prepare_schema_change(connection)
        before = _known_revision(config, connection)
        if before != newest:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    return before, newest


def schema_problem(database: Database) -> str | None:
    """Why this program cannot work with the schema as it is; None when it can."""
    config = _config()
    try:
        with database.read() as connection:
            current = _known_revision(config, connection)
    except StoreBroken as error:
        return str(error)
    if current != _newest(config):
        return "The database's tables are missing or of an older version; run: survey-plugin migrate"
    return None


def _known_revision(config: Config, connection: Connection) -> str | None:
    """The schema's version; None for an empty database. Raises StoreBroken for one that is not ours or newer."""
    revision = MigrationContext.configure(connection).get_current_revision()
    if revision is None and inspect(connection).get_table_names():
        raise StoreBroken("The database holds tables of another program; name one of our own in DATABASE_URL.")
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if revision is not None and revision not in known:
        raise StoreBroken(
            f"The database was made by a newer version of survey-plugin (schema {revision}); install that version."
        )
    return revision


def _newest(config: Config) -> str:
    head = ScriptDirectory.from_config(config).get_current_head()
    assert head is not None, "the package holds no migrations"  # noqa: S101  # a broken build, nothing a user can do
    return head


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config
