"""Commands about the people who want no more invitations."""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo

import click

from plugin.cli.receipt_text import local_time
from plugin.cli.session import parts
from plugin.pipeline import suppression as wishes
from plugin.redaction import mask_addresses
from plugin.store import suppressions, tenants

#: How many people are listed at most.
_LISTED = 1000


@click.group()
def suppression() -> None:
    """See to the people who want no more invitations.

    A vendor that says somebody has unsubscribed puts them on the list. They are known by a fingerprint of their
    address alone, so the list names nobody, and forgetting a person leaves their wish in place.
    """


@suppression.command(name="list")
@click.argument("tenant")
def list_people(tenant: str) -> None:
    """Show who wants no more invitations from TENANT: since when, who said so, and on which receipt."""
    opened = parts()
    with opened.database.read() as db:
        owner = tenants.tenant_by_slug(db, tenant)
        found = suppressions.suppressions_of(db, owner.id, _LISTED)
    for one in found:
        receipt = f", receipt {one.trigger_id}" if one.trigger_id else ""
        click.echo(f"{one.person[:12]}  {local_time(one.since, ZoneInfo(owner.timezone))}  {one.said_by}{receipt}")
        if one.words:
            click.echo(f"              “{mask_addresses(one.words)}”")
    if not found:
        click.echo("Nobody is on the list.", err=True)


@suppression.command()
@click.argument("tenant")
@click.argument("address")
@click.option("--because", default="", help="Shown on the list and on receipts.")
def add(tenant: str, address: str, because: str) -> None:
    """Send no more invitations to the person with this e-mail ADDRESS or phone number.

    What is waiting to be sent to them is cancelled. Calls that only keep records are still made.
    """
    opened = parts()
    with opened.database.write() as db:
        owner = tenants.tenant_by_slug(db, tenant)
        is_new = wishes.add_by_hand(db, owner.id, address, because, opened.mint.now())
    click.echo("This person is sent no more invitations." if is_new else "This person was on the list already.")


@suppression.command()
@click.argument("tenant")
@click.argument("address")
def remove(tenant: str, address: str) -> None:
    """Let the person with this e-mail ADDRESS or phone number be invited again."""
    opened = parts()
    with opened.database.write() as db:
        owner = tenants.tenant_by_slug(db, tenant)
        was_there = wishes.remove_by_hand(db, owner.id, address)
    click.echo("This person may be invited again." if was_there else "This person was not on the list.")


COMMANDS: Sequence[click.Command] = (suppression,)
