"""`replay`: making survey calls once more, by id or in bulk."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import click

from plugin.app import Parts
from plugin.cli.chosen import counted, delivery_by_id, for_each, in_zone, moment
from plugin.cli.default_command import GroupWithDefault
from plugin.cli.replay_run import REPLAY_ID, counts_line, run_replay
from plugin.cli.session import parts, print_json
from plugin.domain.verdict import Decision
from plugin.errors import NotAllowed, NotFound
from plugin.pipeline.bulk_replay import Prospect, begin_replay, look_ahead
from plugin.pipeline.replay import Refusal, ReplayRefused, replay_delivery
from plugin.store import replays as stored_replays
from plugin.store import rules, tenants
from plugin.store.candidates import PLANNABLE, REPLAYABLE, Selection
from plugin.store.replays import Item, Replay
from plugin.store.tenants import Tenant

#: Items that `replay show` reads at a time.
_PAGE = 500


@click.group(
    cls=GroupWithDefault,
    default="start",
    options_metavar="",
    subcommand_metavar="ID... [--again] | --tenant TENANT [OPTIONS] | COMMAND",
)
def replay() -> None:
    """Make survey calls once more, by the rules as they are now.

    `replay ID...` and `replay --tenant TENANT ...` are short for `replay start`, whose help names all options.
    """


@replay.command()
@click.argument("ids", nargs=-1)
@click.option("--again", is_flag=True, help="Also where the person may have got an invitation already.")
@click.option("--tenant", help="Instead of IDS: many deliveries or events of this tenant.")
@click.option("--state", "states", multiple=True, type=click.Choice([str(state) for state in REPLAYABLE]),
              help="Deliveries in this state; may be given several times.")  # fmt: skip
@click.option("--reason", "reasons", multiple=True, help="With --state: only those that ended for this reason.")
@click.option("--verdict", type=click.Choice([str(decision) for decision in PLANNABLE]),
              help="Instead of --state: events of which a rule decided this, planned anew for that rule.")  # fmt: skip
@click.option("--cause", "causes", multiple=True,
              type=click.Choice([str(cause) for causes in PLANNABLE.values() for cause in causes]),
              help="With --verdict: only for this cause; must be given with `no`.")  # fmt: skip
@click.option("--rule", "rule_names", multiple=True, help="Only of this rule.")
@click.option("--connection", "connections", multiple=True, help="Only through this connection.")
@click.option("--since", type=moment, metavar="TIME", help="Only what was made, or came in, from this time on.")
@click.option("--until", type=moment, metavar="TIME", help="Only what was made, or came in, before this time.")
@click.option("--per-minute", default=60, show_default=True, type=click.IntRange(1, 6000),
              help="New deliveries that are made in a minute.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Only show what would be made and what would be refused.")
def start(
    ids: Sequence[str],
    again: bool,
    tenant: str | None,
    states: Sequence[str],
    reasons: Sequence[str],
    verdict: str | None,
    causes: Sequence[str],
    rule_names: Sequence[str],
    connections: Sequence[str],
    since: datetime | None,
    until: datetime | None,
    per_minute: int,
    dry_run: bool,
) -> None:
    """Make the calls of deliveries once more, each as a new delivery; by IDS, or many of a tenant.

    Many are chosen first and written down, then made one after the other. Stop it at any time: `replay resume` goes on
    where it stood, and nothing is made twice. With --verdict, events that led to no delivery are planned anew.
    Times are by the tenant's clock unless they say otherwise (2026-11-01T12:00Z).
    """
    narrowing = (states, reasons, verdict, causes, rule_names, connections, since, until, dry_run)
    if tenant is None:
        _check_ids(ids, is_narrowed=any(narrowing))
        _replay_named(parts(), ids, again=again)
        return
    if ids:
        raise click.UsageError("Name deliveries by IDS, or choose many by --tenant; one of the two.")
    _check_choice(states, reasons, verdict, causes)
    opened = parts()
    owner = _tenant_with(opened, tenant, rule_names)
    now = opened.mint.now()
    selection = Selection(
        until=min(in_zone(until, owner.timezone) or now, now),
        since=in_zone(since, owner.timezone),
        states=states,
        reasons=reasons,
        verdict=verdict,
        causes=causes,
        rules=rule_names,
        connections=connections,
        again=again,
    )
    if dry_run:
        _look_ahead(opened, owner.id, selection)
        return
    begun = begin_replay(opened.database, opened.mint, owner.id, selection, per_minute)
    run_replay(opened, begun.id)


@replay.command()
@click.argument("replay_id", metavar=REPLAY_ID)
def resume(replay_id: str) -> None:
    """Go on with a replay that was stopped."""
    run_replay(parts(), replay_id)


@replay.command(name="list")
@click.argument("tenant")
def list_replays(tenant: str) -> None:
    """List TENANT's replays in bulk, the newest first."""
    opened = parts()
    with opened.database.read() as db:
        owner = tenants.tenant_by_slug(db, tenant)
        found = stored_replays.replays_of(db, owner.id)
    for one in found:
        begun = one.created_at.astimezone(ZoneInfo(owner.timezone))
        click.echo(f"{one.id}  {begun:%Y-%m-%d %H:%M %Z}  {one.state:<8}  {counts_line(one)}")
    if not found:
        click.echo("There are no replays in bulk.", err=True)


@replay.command()
@click.argument("replay_id", metavar=REPLAY_ID)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def show(replay_id: str, as_json: bool) -> None:
    """List what a replay has chosen, and what became of each."""
    opened = parts()
    position = 0
    with opened.database.read() as db:
        found = stored_replays.replay_by_id(db, replay_id)
    while True:
        with opened.database.read() as db:
            items = stored_replays.items_from(db, found.id, position, _PAGE)
        for item in items:
            _show_item(found, item, as_json=as_json)
        if len(items) < _PAGE:
            return
        position = items[-1].position + 1


def _show_item(replay: Replay, item: Item, *, as_json: bool) -> None:
    refusal = Refusal(item.refusal) if item.refusal is not None else None
    if as_json:
        print_json(
            {
                "replay": replay.id,
                "delivery": item.delivery_id,
                "event": item.event_id,
                "rule": item.rule,
                "state": item.state,
                "new_delivery": item.new_delivery_id,
                "refusal": refusal,
                "detail": item.detail,
            }
        )
        return
    why = f"{refusal.sentence} {item.detail}".rstrip() if refusal is not None else item.new_delivery_id or "-"
    click.echo(f"{item.delivery_id or item.event_id}  {item.rule}  {item.state:<7}  {why}")


# --- by id ------------------------------------------------------------------------------------------------------------


def _check_ids(ids: Sequence[str], *, is_narrowed: bool) -> None:
    if not ids:
        raise click.UsageError("Missing argument 'IDS...', or --tenant with what to choose.")
    if is_narrowed:
        raise click.UsageError("IDS name what they name; the other options choose among a --tenant's deliveries.")


def _replay_named(opened: Parts, ids: Sequence[str], *, again: bool) -> None:
    def replay_one(delivery_id: str) -> str:
        with opened.database.write() as db:
            record = delivery_by_id(db, delivery_id)
            try:
                new = replay_delivery(db, opened.mint, record.tenant_id, record.id, again=again)
            except ReplayRefused as refused:
                raise NotAllowed(f"{delivery_id}: {refused}") from None
        return f"{delivery_id}: replayed as {new}."

    for_each(ids, replay_one)


# --- in bulk ----------------------------------------------------------------------------------------------------------


def _check_choice(states: Sequence[str], reasons: Sequence[str], verdict: str | None, causes: Sequence[str]) -> None:
    if bool(states) == (verdict is not None):
        raise click.UsageError("Say what to choose: deliveries by --state, or events by --verdict; one of the two.")
    if verdict is None and causes:
        raise click.UsageError("--cause goes with --verdict; deliveries have a --reason.")
    if verdict is not None and reasons:
        raise click.UsageError("--reason goes with --state; verdicts have a --cause.")
    if verdict == Decision.NO and not causes:
        raise click.UsageError("Most events are rightly not asked about: say for which --cause, disabled or condition.")
    strange = [cause for cause in causes if verdict is not None and cause not in PLANNABLE[verdict]]
    if strange:
        raise click.UsageError(f"No verdict `{verdict}` has the cause {', '.join(strange)}.")


def _tenant_with(opened: Parts, tenant: str, rule_names: Sequence[str]) -> Tenant:
    """Raises NotFound, also when the tenant never had a rule of one of the names."""
    with opened.database.read() as db:
        owner = tenants.tenant_by_slug(db, tenant)
        unknown = set(rule_names) - rules.names_ever(db, owner.id)
    if unknown:
        raise NotFound(f"{tenant} has no rule named {', '.join(sorted(unknown))}.")
    return owner


def _look_ahead(opened: Parts, tenant_id: str, selection: Selection) -> None:
    prospect = Prospect()
    for found in look_ahead(opened.database, opened.mint, tenant_id, selection):
        prospect = found
    click.echo(f"Would be made: {counted(prospect.would.total(), 'new delivery', 'new deliveries')}.")
    for (was, rule, why), times in prospect.would.most_common():
        click.echo(f"  {times}  {was}  {rule}  {why}")
    if prospect.refused:
        click.echo(f"Would be refused: {prospect.refused.total():,}.")
    for refusal, times in prospect.refused.most_common():
        click.echo(f"  {times}  {refusal.sentence}")
    click.echo("Nothing was made: this was a dry run.")


COMMANDS: Sequence[click.Command] = (replay,)
