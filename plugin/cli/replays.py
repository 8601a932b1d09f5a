"""`replay`: making survey calls once more, by id or in bulk."""

from __future__ import annotations

from collections.abc import Sequence

import click

from plugin.cli.chosen import delivery_by_id, for_each
from plugin.cli.session import parts
from plugin.pipeline.replay import replay_delivery


@click.command()
@click.argument("ids", nargs=-1, required=True)
@click.option("--again", is_flag=True, help="Also where the person may have got an invitation already.")
def replay(ids: Sequence[str], again: bool) -> None:
    """Make the calls of deliveries once more, each as a new delivery, by the rules as they are now."""
    opened = parts()

    def replay_one(delivery_id: str) -> str:
        with opened.database.write() as db:
            record = delivery_by_id(db, delivery_id)
            new = replay_delivery(db, opened.mint, record.tenant_id, record.id, again=again)
        return f"{delivery_id}: replayed as {new}."

    for_each(ids, replay_one)


COMMANDS: Sequence[click.Command] = (replay,)
