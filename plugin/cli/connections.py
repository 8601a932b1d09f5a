"""Commands about a tenant's connections: list, pause, resume, choices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final
from zoneinfo import ZoneInfo

import click
from sqlalchemy import Connection

from plugin.cli.receipt_text import local_time, pause_lines
from plugin.cli.session import parts, print_json
from plugin.pipeline.choices import Listed
from plugin.store import connections, tenants
from plugin.store.connections import StoredConnection
from plugin.store.tenants import Tenant

#: How long a person at a terminal is kept waiting for a vendor's lists, seconds.
_PATIENCE: Final = 30.0


@click.group()
def connection() -> None:
    """List, pause and resume a tenant's connections, and see what their vendors can list."""


@connection.command(name="list")
@click.argument("tenant")
def list_connections(tenant: str) -> None:
    """Show each connection of TENANT: its limits, what waits for it and, where it is paused, why and until when."""
    opened = parts()
    with opened.database.read() as db:
        owner = tenants.tenant_by_slug(db, tenant)
        found = connections.connections_of(db, owner.id)
        waiting = connections.parked_counts(db, owner.id)
    for one in found:
        for line in _lines(one, waiting.get(one.id, 0), ZoneInfo(owner.timezone)):
            click.echo(line)
    if not found:
        click.echo("There is no connection yet.", err=True)


def _lines(one: StoredConnection, waiting: int, zone: ZoneInfo) -> Iterator[str]:
    yield f"{one.name} ({one.vendor}): {'paused' if one.pause is not None else 'active'}"
    if one.pause is not None:
        yield from pause_lines(one.name, one.pause, zone, "  ")
    yield f"  {'parked' if one.pause is not None else 'waiting'}: {waiting}"
    rate = f" and {one.calls_per_minute} a minute" if one.calls_per_minute is not None else ""
    yield f"  calls: at most {one.in_flight_cap} at a time{rate}"
    yield f"  last success: {local_time(one.last_success_at, zone) if one.last_success_at is not None else 'none yet'}"


@connection.command()
@click.argument("tenant")
@click.argument("name")
@click.option("--because", default="Paused by the operator.", help="Shown on the settings page.")
def pause(tenant: str, name: str, because: str) -> None:
    """Make no more calls through a connection. What is due is parked until it is resumed or grows stale."""
    opened = parts()
    with opened.database.write() as db:
        found, parked, _ = _found(db, tenant, name)
        now = opened.mint.now()
        connections.pause_connection(db, found.tenant_id, found.id, reason="by_hand", words=because, now=now)
    click.echo(f"{name} is paused until it is resumed by hand; deliveries that are parked now: {parked}.")


@connection.command()
@click.argument("tenant")
@click.argument("name")
def resume(tenant: str, name: str) -> None:
    """Make calls through a connection again."""
    opened = parts()
    with opened.database.write() as db:
        found, parked, owner = _found(db, tenant, name)
        connections.resume_connection(db, found.tenant_id, found.id)
    if found.pause is None:
        click.echo(f"{name} was not paused.")
        return
    since = local_time(found.pause.since, ZoneInfo(owner.timezone))
    click.echo(f"{name} is resumed; it was paused since {since}.")
    click.echo(f"Deliveries that were parked and go out when they are due: {parked}.")


@connection.command(name="choices")
@click.argument("tenant")
@click.argument("name")
@click.argument("list_name", metavar="[LIST]", required=False)
@click.option("--json", "as_json", is_flag=True, help="One object a line: list, parameters, value, label.")
@click.pass_context
def choices(context: click.Context, tenant: str, name: str, list_name: str | None, as_json: bool) -> None:
    """Ask a connection's vendor what there is to choose from, such as its surveys; without LIST, everything it lists.

    Each line is an id and what it stands for. Exits with 1 when the vendor told less than it should have.
    """
    opened = parts()
    with opened.database.read() as db:
        found = connections.connection_by_name(db, tenants.tenant_by_slug(db, tenant).id, name)
    listed = opened.chooser().choices(found, list_name, patience=_PATIENCE)
    for one in listed:
        _print_list(one, as_json)
    if not listed:
        click.echo(f"{found.vendor} lists nothing; copy ids from its own pages.", err=True)
    if any(one.problem for one in listed):
        context.exit(1)


def _print_list(one: Listed, as_json: bool) -> None:
    """Choices on standard output, and what is to be said about them beside it."""
    if not as_json:
        click.echo(f"{one.name}: {one.label}, for {', '.join(one.parameters)}", err=True)
    for value, label in one.items:
        if as_json:
            print_json({"list": one.name, "parameters": list(one.parameters), "value": value, "label": label})
        else:
            click.echo(f"{value}\t{label}")
    if one.problem:
        words = f" It said: {one.words}" if one.words else ""
        click.echo(f"{one.name}: {one.problem}{words}", err=True)
    elif not one.items:
        click.echo(f"{one.name}: the vendor's list is empty.", err=True)
    if one.more:
        click.echo(f"{one.name}: there may be more than the {len(one.items)} shown.", err=True)


def _found(db: Connection, tenant: str, name: str) -> tuple[StoredConnection, int, Tenant]:
    """A connection, how many deliveries wait for it, and whose it is. Raises NotFound."""
    owner = tenants.tenant_by_slug(db, tenant)
    found = connections.connection_by_name(db, owner.id, name)
    return found, connections.parked_counts(db, owner.id).get(found.id, 0), owner


COMMANDS: Sequence[click.Command] = (connection,)
