"""Events that a worker plans, since they cannot be planned as they come in; and the reports among them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, select, text, update

from plugin.store.bulk import insert_rows
from plugin.store.tables import deliveries, events, reports, triggers

# --- which are to be planned ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ToPlan:
    id: str
    tenant_id: str
    source_id: str


#: In the very words of the partial index, which holds nothing else.
_IS_TO_PLAN: Final = text("NOT events.planned AND NOT events.waits")

_TO_PLAN: Final = (
    select(events.c.id, events.c.tenant_id, events.c.source_id)
    .where(_IS_TO_PLAN)
    .order_by(events.c.id)
    .limit(bindparam("most"))
)


def events_to_plan(db: Connection, *, besides: Collection[str], limit: int) -> list[ToPlan]:
    """The first events that nothing stands in the way of, but none of the sources `besides`."""
    query = _TO_PLAN.where(events.c.source_id.not_in(sorted(besides))) if besides else _TO_PLAN
    return [ToPlan(*row) for row in db.execute(query, {"most": limit})]


# --- writing down what was planned ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NewReport:
    """delivery_id: None for one that belongs to no delivery that we know. event_id: None for what we asked for."""

    id: str
    tenant_id: str
    delivery_id: str | None
    event_id: str | None
    kind: str
    happened_at: datetime
    received_at: datetime
    words: str


_HOLD_DELIVERIES: Final = (
    select(deliveries.c.id)
    .where(deliveries.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(deliveries.c.id)
    .with_for_update(key_share=True)
)
_HOLD_EVENTS: Final = (
    select(events.c.id, events.c.held)
    .where(events.c.id.in_(bindparam("ids", expanding=True)), _IS_TO_PLAN)
    .order_by(events.c.id)
    # Another worker is planning the others.
    .with_for_update(skip_locked=True, key_share=True)
)
_KINDS: Final = (
    select(reports.c.delivery_id, reports.c.kind)
    .where(reports.c.delivery_id.in_(bindparam("ids", expanding=True)))
    .order_by(reports.c.delivery_id, reports.c.id)
)
_PLANNED: Final = (
    update(events)
    .where(events.c.id == bindparam("event"))
    .values(
        planned=True,
        parent_delivery_id=bindparam("parent"),
        depth=bindparam("deep"),
        episode_id=bindparam("episode"),
        subject=bindparam("about"),
    )
)


def hold_deliveries(db: Connection, delivery_ids: Collection[str]) -> None:
    """Let nobody else write down a report of these deliveries before this transaction ends."""
    if delivery_ids:
        db.execute(_HOLD_DELIVERIES, {"ids": sorted(delivery_ids)})


def hold_unplanned(db: Connection, event_ids: Collection[str]) -> dict[str, bool]:
    """Those of these events that are still to be planned, for this transaction alone; and whether each is `held`."""
    return {row.id: row.held for row in db.execute(_HOLD_EVENTS, {"ids": sorted(event_ids)})}


def kinds_reported(db: Connection, delivery_ids: Collection[str]) -> dict[str, list[str]]:
    """The kinds of what was reported of each of these deliveries, in the order it came."""
    found: dict[str, list[str]] = {delivery_id: [] for delivery_id in delivery_ids}
    for row in db.execute(_KINDS, {"ids": sorted(delivery_ids)}) if delivery_ids else ():
        found[row.delivery_id].append(row.kind)
    return found


_EMPTIED: Final = select(triggers.c.id).where(
    triggers.c.id.in_(bindparam("ids", expanding=True)), triggers.c.emptied_at.is_not(None)
)


def emptied_among(db: Connection, trigger_ids: Collection[str]) -> set[str]:
    """Those of these receipts whose message was removed."""
    return set(db.execute(_EMPTIED, {"ids": sorted(trigger_ids)}).scalars())


@dataclass(frozen=True)
class PlannedEvent:
    """What planning has found out about an event. parent_delivery_id: the delivery that it belongs to, if any."""

    event_id: str
    parent_delivery_id: str | None
    depth: int
    episode_id: str | None
    subject: str | None


def note_planned(db: Connection, planned: Sequence[PlannedEvent]) -> None:
    """Have nobody plan these events again."""
    values = [
        {
            "event": one.event_id,
            "parent": one.parent_delivery_id,
            "deep": one.depth,
            "episode": one.episode_id,
            "about": one.subject,
        }
        for one in planned
    ]
    if values:
        db.execute(_PLANNED, values)


def add_reports(db: Connection, new: Sequence[NewReport]) -> None:
    """Store what was told of deliveries."""
    insert_rows(db, reports, [vars(one) for one in new])
