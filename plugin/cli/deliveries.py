"""Commands about what came in and what went out: trigger, receipt, deliveries, cancel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from plugin.app import Parts
from plugin.cli.chosen import delivery_by_id, for_each
from plugin.cli.default_command import GroupWithDefault
from plugin.cli.receipt_text import receipt_json, receipt_lines
from plugin.cli.resolve import resolve
from plugin.cli.session import parts, print_json
from plugin.domain.delivery import DeliveryState
from plugin.errors import NotFound, SurveyPluginError, Unreadable
from plugin.pipeline.accept import UnreadableKept
from plugin.pipeline.draft import Draft
from plugin.redaction import mask_addresses
from plugin.registry import InboundRequest, read_recording
from plugin.store import receipts, sources, tenants
from plugin.store.receipts import PARKED, DeliveryRecord
from plugin.store.resolutions import cancel_delivery
from plugin.store.sources import StoredSource
from plugin.web.counting import count_acceptance


@click.command()
@click.argument("tenant")
@click.argument("source")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--dry-run", is_flag=True, help="Only show what would be decided; store and send nothing.")
def trigger(tenant: str, source: str, file: str, dry_run: bool) -> None:
    """Feed a recorded message from FILE into a source of TENANT; its signature is not checked.

    FILE is a recording {provenance, method, query, headers, body or body_base64}; any other file is the body itself.
    """
    opened = parts()
    with opened.database.read() as db:
        found = sources.source_by_name(db, tenants.tenant_by_slug(db, tenant).id, source)
    try:
        request = read_recording(Path(file).read_bytes())
        lines = _dry_run(opened, found, request) if dry_run else _accept(opened, found, request)
    except UnreadableKept as error:
        raise SurveyPluginError(f"{file}: {error} It is kept as receipt {error.receipt}.") from None
    except Unreadable as error:
        raise SurveyPluginError(f"{file}: {error}") from None
    for line in lines or ["The message is a handshake: there is nothing to keep."]:
        click.echo(line)


def _dry_run(opened: Parts, source: StoredSource, request: InboundRequest) -> list[str]:
    return [line for draft in opened.acceptor.dry_run(source, request) for line in _draft_lines(draft)]


def _accept(opened: Parts, source: StoredSource, request: InboundRequest) -> list[str]:
    accepted = opened.acceptor.accept(source, request, verified=True)
    count_acceptance(opened.meter, source.kind, accepted)
    if accepted.receipt is None:
        return []
    with opened.database.read() as db:
        kept = receipts.receipt(db, source.tenant_id, accepted.receipt)
    return list(receipt_lines(kept)) if kept is not None else []


@click.group(
    cls=GroupWithDefault,
    default="list",
    options_metavar="",
    subcommand_metavar="TENANT [OPTIONS] | resolve [IDS]... [OPTIONS]",
)
def deliveries() -> None:
    """List TENANT's deliveries, or resolve those that are uncertain.

    `deliveries TENANT` is short for `deliveries list TENANT`, whose help names its options.
    """


@deliveries.command(name="list")
@click.argument("tenant")
@click.option(
    "--state",
    type=click.Choice([*(state.value for state in DeliveryState), PARKED]),
    help="Only those in this state; parked: behind a pause.",
)
@click.option("--limit", default=1000, show_default=True, type=click.IntRange(1), help="The newest this many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_deliveries(tenant: str, state: str | None, limit: int, as_json: bool) -> None:
    """List TENANT's deliveries, the newest first."""
    opened = parts()
    with opened.database.read() as db:
        owner = tenants.tenant_by_slug(db, tenant)
        found = receipts.deliveries_of_tenant(db, owner.id, state=state, limit=limit)
    for record in found:
        if as_json:
            print_json(_delivery_json(record))
        else:
            shown = "parked" if record.parked else record.state
            click.echo(f"{record.id}  {shown:<9}  {record.reason or '-':<18}  {record.rule}  {record.connection}")
    if not found and not as_json:
        click.echo("There are no such deliveries.", err=True)


@click.command()
@click.argument("id_or_reference")
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
def receipt(id_or_reference: str, as_json: bool) -> None:
    """Show everything that followed from one trigger. Takes a receipt's id, a delivery's id or its reference."""
    opened = parts()
    with opened.database.read() as db:
        owner = receipts.owner_of(db, id_or_reference)
        found = receipts.receipt(db, *owner) if owner is not None else None
    if found is None:
        raise NotFound(f"There is no receipt, delivery or reference {id_or_reference}.")
    if as_json:
        print_json(receipt_json(found))
        return
    for line in receipt_lines(found):
        click.echo(line)


@click.command()
@click.argument("ids", nargs=-1, required=True)
def cancel(ids: Sequence[str]) -> None:
    """Cancel deliveries that are still to be sent, or that are uncertain."""
    opened = parts()

    def cancel_one(delivery_id: str) -> str:
        with opened.database.write() as db:
            record = delivery_by_id(db, delivery_id)
            done = cancel_delivery(db, record.tenant_id, record.id, decided_by="command", now=opened.mint.now())
        if not done:
            raise SurveyPluginError(f"{delivery_id}: it is {record.state}, so it cannot be cancelled any more.")
        return f"{delivery_id}: cancelled."

    for_each(ids, cancel_one)


def _draft_lines(draft: Draft) -> list[str]:
    lines = [f"{draft.event.kind} {draft.event.subject or ''}".rstrip()]
    if draft.before is not None:
        lines.append(f"  It has come before (receipt {draft.before.trigger_id}), so nothing more is done.")
    if draft.thin:
        lines.append("  The message does not say all; its source would be asked for the rest before the rules decide.")
    if draft.outlook:
        lines.append(f"  {draft.outlook}")
    for planned in draft.planned:
        verdict = planned.verdict
        lines.append(f"  {verdict.rule or '(no rule)'}: {verdict.decision} - {verdict.cause.sentence}")
        lines += [f"    {text}" for text in (verdict.detail, *verdict.warnings) if text]
        call = planned.call or planned.preview
        if call is not None:
            lines.append(f"    {call.bound.rule.connection}: {call.bound.rule.call}, {call.bound.rule.ask}")
            lines += [f"      {name} = {mask_addresses(value)}" for name, value in call.parameters.items()]
    return lines


def _delivery_json(record: DeliveryRecord) -> Mapping[str, Any]:
    return {
        "id": record.id,
        "state": record.state,
        "reason": record.reason,
        "rule": record.rule,
        "connection": record.connection,
        "call": record.call,
        "reference": record.reference,
        "receipt": record.trigger_id,
        "attempts": len(record.attempts),
        "due": record.due.isoformat(),
        "parked": record.parked,
        "replay_of": record.replay_of,
    }


deliveries.add_command(resolve)

COMMANDS: Sequence[click.Command] = (trigger, deliveries, receipt, cancel)
