"""`deliveries resolve`: a person says what became of calls that nobody knows the end of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import click

from plugin.app import Parts
from plugin.cli.chosen import counted, for_each, in_zone, moment
from plugin.cli.session import parts
from plugin.domain.delivery import DeliveryState, Resolution
from plugin.errors import NotAllowed, NotFound
from plugin.store import receipts, tenants
from plugin.store.resolutions import resolve as resolve_delivery
from plugin.store.resolutions import uncertain_deliveries

#: Deliveries that are looked up at a time.
_PAGE: Final = 200

_BECOMES: Final = {
    DeliveryState.ACCEPTED: "accepted",
    DeliveryState.SCHEDULED: "scheduled again",
    DeliveryState.CANCELLED: "cancelled",
}


@dataclass(frozen=True)
class _Chosen:
    """Uncertain deliveries of one tenant, by connection and by the time they were made."""

    tenant_id: str
    connection: str | None
    since: datetime | None
    until: datetime


@click.command()
@click.argument("ids", nargs=-1)
@click.option("--sent", is_flag=True, help="The vendor has them: they are accepted.")
@click.option("--not-sent", is_flag=True, help="The vendor never got them: the calls are made again, at once.")
@click.option("--cancel", is_flag=True, help="Leave them; nothing more is to be sent.")
@click.option("--tenant", help="Instead of IDS: all uncertain deliveries of this tenant.")
@click.option(
    "--state",
    type=click.Choice([DeliveryState.UNCERTAIN.value]),
    expose_value=False,
    help="The only state that can be resolved, so it need not be said.",
)
@click.option("--connection", help="With --tenant: only those of this connection.")
@click.option("--since", type=moment, metavar="TIME", help="With --tenant: only those made from this time on.")
@click.option("--until", type=moment, metavar="TIME", help="With --tenant: only those made before this time.")
@click.option("--by", "decided_by", default="command", show_default=True, help="Who decides, for the receipt.")
@click.option("--yes", is_flag=True, help="With --tenant: do not ask.")
def resolve(
    ids: Sequence[str],
    sent: bool,
    not_sent: bool,
    cancel: bool,
    tenant: str | None,
    connection: str | None,
    since: datetime | None,
    until: datetime | None,
    decided_by: str,
    yes: bool,
) -> None:
    """Say what became of uncertain deliveries, by their ids or references or all of a tenant.

    Look at the vendor first: what is said to be not sent is sent again. Of a call of several steps, --not-sent makes
    the step in doubt again and goes on from there, and --sent ends the whole call. Who said it, and when, stays on the
    receipt. Times are by the tenant's clock unless they say otherwise (2026-11-01T12:00Z).
    """
    said = _said({Resolution.SENT: sent, Resolution.NOT_SENT: not_sent, Resolution.CANCEL: cancel})
    if bool(ids) == (tenant is not None):
        raise click.UsageError("Name deliveries by IDS, or all of a tenant's by --tenant; one of the two.")
    if ids and (connection or since or until):
        raise click.UsageError("--connection, --since and --until narrow --tenant down; IDS name what they name.")
    opened = parts()
    if tenant is None:
        for_each(ids, lambda named: _resolve_named(opened, named, said, decided_by))
        return
    with opened.database.read() as db:
        owner = tenants.tenant_by_slug(db, tenant)
    chosen = _Chosen(
        owner.id, connection, in_zone(since, owner.timezone), in_zone(until, owner.timezone) or opened.mint.now()
    )
    _resolve_chosen(opened, chosen, said, decided_by, yes)


def _said(flags: Mapping[Resolution, bool]) -> Resolution:
    given = [resolution for resolution, is_given in flags.items() if is_given]
    if len(given) != 1:
        raise click.UsageError("Say what became of them by one of --sent, --not-sent and --cancel.")
    return given[0]


def _resolve_named(opened: Parts, named: str, said: Resolution, decided_by: str) -> str:
    with opened.database.write() as db:
        record = receipts.delivery_by_name(db, named)
        if record is None:
            raise NotFound(f"{named}: there is no such delivery.")
        state = resolve_delivery(db, record.tenant_id, record.id, said, decided_by=decided_by, now=opened.mint.now())
    if state is None:
        raise NotAllowed(f"{named}: it is {record.state}, and only an uncertain delivery can be resolved.")
    if state is not said.state:
        return f"{named}: cancelled, because its rule, its connection or its person's values have been removed."
    return f"{named}: {_BECOMES[state]}."


def _resolve_chosen(opened: Parts, chosen: _Chosen, said: Resolution, decided_by: str, yes: bool) -> None:
    found = sum(len(page) for page in _pages(opened, chosen))
    if not found:
        click.echo("There are no such uncertain deliveries.", err=True)
        return
    if not yes:
        become = f"{counted(found)} will be {_BECOMES[said.state]}."
        click.confirm(f"{become} Go on?", abort=True)
    became = dict.fromkeys(DeliveryState, 0)
    for page in _pages(opened, chosen):
        # One transaction a page: a stop in between leaves whole pages decided, and the rest uncertain as they were.
        with opened.database.write() as db:
            for delivery_id in page:
                state = resolve_delivery(
                    db, chosen.tenant_id, delivery_id, said, decided_by=decided_by, now=opened.mint.now()
                )
                if state is not None:
                    became[state] += 1
    for state, number in became.items():
        if number:
            click.echo(f"{counted(number)}: {_BECOMES[state]}.")


def _pages(opened: Parts, chosen: _Chosen) -> Iterator[list[str]]:
    after = ""
    while True:
        with opened.database.read() as db:
            page = uncertain_deliveries(
                db,
                chosen.tenant_id,
                connection=chosen.connection,
                since=chosen.since,
                until=chosen.until,
                after=after,
                limit=_PAGE,
            )
        if not page:
            return
        yield page
        after = page[-1]
