"""`backup` copies the database while everything runs; `restored` says what becomes of what waited in a copy."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

import click

from plugin.app import Config, Parts
from plugin.cli.progress import progress_bar
from plugin.cli.session import configuration, open_for_command, parts
from plugin.errors import NotAllowed, NotFound
from plugin.store import workers
from plugin.store.backup import back_up
from plugin.store.restored import hold_unplanned, hold_waiting, release_copy, tenant_ids
from plugin.store.sqlite import SqliteDatabase

#: A worker that has said something within this time may still deliver.
_ALIVE: Final = timedelta(seconds=30)


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Replace FILE when it exists.")
def backup(file: Path, force: bool) -> None:
    """Copy the database to FILE while web and workers go on; checks the copy.

    FILE is one state of everything but the keys. See docs/operating.md for putting it back.
    """
    opened = open_for_command(configuration())
    if not isinstance(opened.database, SqliteDatabase):
        raise NotAllowed(
            "This command copies SQLite databases. For PostgreSQL run: pg_dump --format=custom --file=FILE DATABASE; "
            "keep SECRET_KEYS and DATA_KEYS as well, apart from it: without them its secrets cannot be read."
        )
    if not opened.database.is_there:
        raise NotFound(f"There is no database at {opened.database.place} to be copied.")
    with progress_bar("Copying pages") as show:
        made = back_up(opened.database.path, file, replace=force, progress=show)
    click.echo(f"{made.path}: {made.size:,} bytes, schema {made.schema}, checked.")
    click.echo(_about_keys(opened.config))


def _about_keys(config: Config) -> str:
    path = config.keys_file
    keys = path if path is not None and path.exists() else "SECRET_KEYS and DATA_KEYS"
    return f"The keys are not in it. Keep a copy of {keys} elsewhere: without them a backup's secrets cannot be read."


@click.command()
@click.option("--hold", "decision", flag_value="hold", help="Hold what waited, as uncertain, for a person to decide.")
@click.option("--send", "decision", flag_value="send", help="Send what waited; a person may be asked a second time.")
def restored(decision: str | None) -> None:
    """Say, after putting a backup back, what becomes of the deliveries that waited when it was made.

    They may have been sent after that. Until this is said, no worker delivers from a copy that `backup` made.
    """
    if decision is None:
        raise click.UsageError("Say --hold or --send.")
    opened = parts(create=True)
    _refuse_beside_workers(opened)
    held = _hold(opened) if decision == "hold" else 0
    with opened.database.write() as db:
        release_copy(db)
    if decision == "hold":
        click.echo(
            f"Held as uncertain: {held}. List them with: survey-plugin deliveries TENANT --state uncertain; "
            "decide with: survey-plugin deliveries resolve --tenant TENANT"
        )
    else:
        click.echo("What waits is sent as soon as a worker runs.")


def _refuse_beside_workers(opened: Parts) -> None:
    with opened.database.read() as db:
        alive = [one for one in workers.all_workers(db) if opened.mint.now() - one.seen_at < _ALIVE]
    if alive:
        raise NotAllowed("A worker is running (or was, less than 30 s ago); stop the workers first.")


def _hold(opened: Parts) -> int:
    held = 0
    now = opened.mint.now()
    with opened.database.read() as db:
        owners = tenant_ids(db)
    with progress_bar("Tenants") as show:
        for number, tenant_id in enumerate(owners):
            show(number, len(owners))
            with opened.database.write() as db:
                hold_unplanned(db, tenant_id)
            after: str | None = ""
            while after is not None:
                with opened.database.write() as db:
                    count, after = hold_waiting(db, tenant_id, now, after)
                held += count
    return held


COMMANDS: Sequence[click.Command] = (backup, restored)
