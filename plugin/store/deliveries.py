"""Deliveries: the durable promise of a survey call, and the ends that need no call: cancelled, expired."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, exists, func, or_, select, update

from plugin.domain.delivery import DeliveryState
from plugin.domain.outcome import Reason
from plugin.store import counters, lanes
from plugin.store.bulk import insert_rows
from plugin.store.tables import connections, deliveries, delivery_calls, rules
from plugin.store.tables import lanes as lane_rows

_ENDS: Final = tuple(state for state in DeliveryState if state.is_end)

#: Parked deliveries of one lane that are expired in one transaction.
_PARKED_AT_ONCE: Final = 500


@dataclass(frozen=True)
class Marks:
    """Digests that a delivery is found by later, without naming anybody.

    person: of the address, else the number, that tells its person from others. phone: of the number, beside an address.
    tracked: of the value that its vendor was given to name it by, where that is not the reference.
    """

    person: str | None
    phone: str | None = None
    tracked: str | None = None


@dataclass(frozen=True)
class NewDelivery:
    """unit_id: what the rule asks for at most once: the episode, or the event where there is none.

    resend: the rule wants the call made again when nobody knows whether it was.
    """

    id: str
    connection_id: str
    rule_id: str
    event_id: str
    unit_id: str
    reference: str
    call: str
    step: str
    parameters: Mapping[str, str]
    marks: Marks
    due: datetime
    expires_at: datetime
    created_at: datetime
    resend: bool = False
    replay_of: str | None = None


def add_delivery(db: Connection, tenant_id: str, new: NewDelivery) -> None:
    """Store a promise and let its lane know when it is due."""
    add_deliveries(db, [(tenant_id, new)])


def add_deliveries(db: Connection, new: Sequence[tuple[str, NewDelivery]]) -> None:
    """Store promises, each with the id of its tenant, and let their lanes know when they are due."""
    if not new:
        return
    insert_rows(
        db,
        deliveries,
        [
            {
                "id": one.id,
                "tenant_id": tenant_id,
                "connection_id": one.connection_id,
                "rule_id": one.rule_id,
                "event_id": one.event_id,
                "unit_id": one.unit_id,
                "reference": one.reference,
                "replay_of": one.replay_of,
                "state": DeliveryState.SCHEDULED,
                "call": one.call,
                "step": one.step,
                "due": one.due,
                "expires_at": one.expires_at,
                "resend": one.resend,
                "created_at": one.created_at,
            }
            for tenant_id, one in new
        ],
    )
    insert_rows(
        db,
        delivery_calls,
        [
            {
                "delivery_id": one.id,
                "tenant_id": tenant_id,
                "parameters": dict(one.parameters),
                "person": one.marks.person,
                "phone": one.marks.phone,
                "tracked": one.marks.tracked,
            }
            for tenant_id, one in new
        ],
    )
    due: dict[str, datetime] = {}
    for _, one in new:
        due[one.connection_id] = min(one.due, due.get(one.connection_id, one.due))
    lanes.lower(db, due)


# --- what a person may do ---------------------------------------------------------------------------------------------


def cancel(db: Connection, tenant_id: str, which: ColumnElement[bool], now: datetime) -> int:
    """Cancel scheduled and uncertain deliveries among `which`; gives how many. A claimed one is on its way already."""
    cancelled = db.execute(
        update(deliveries)
        .where(
            deliveries.c.tenant_id == tenant_id,
            which,
            deliveries.c.state.in_(("scheduled", "uncertain")),
        )
        .values(state="cancelled", reason=Reason.CANCELLED, settled_at=now)
    ).rowcount
    counters.note(db, counters.CANCELLED, by=cancelled)
    if cancelled:
        _forget_steps(db, deliveries.c.tenant_id == tenant_id)
    return cancelled


def cancel_by_id(db: Connection, tenant_id: str, delivery_id: str, now: datetime) -> bool:
    return cancel(db, tenant_id, deliveries.c.id == delivery_id, now) == 1


def cancel_of_rule(db: Connection, tenant_id: str, rule_id: str, now: datetime) -> int:
    return cancel(db, tenant_id, and_(deliveries.c.rule_id == rule_id, deliveries.c.state == "scheduled"), now)


def cancel_of_connection(db: Connection, tenant_id: str, connection_id: str, now: datetime) -> int:
    return cancel(
        db, tenant_id, and_(deliveries.c.connection_id == connection_id, deliveries.c.state == "scheduled"), now
    )


def count_waiting(db: Connection, tenant_id: str, *, rule_ids: Collection[str], connection_ids: Collection[str]) -> int:
    """How many scheduled deliveries would be cancelled if these rules and connections were removed."""
    concerned = or_(deliveries.c.rule_id.in_(rule_ids), deliveries.c.connection_id.in_(connection_ids))
    return db.execute(
        select(func.count()).where(deliveries.c.tenant_id == tenant_id, concerned, deliveries.c.state == "scheduled")
    ).scalar_one()


# --- ends that come by themselves -------------------------------------------------------------------------------------


def cancel_waiting(
    db: Connection, delivery_ids: Collection[str], now: datetime, reason: Reason = Reason.CANCELLED
) -> None:
    """Cancel deliveries that wait, by id."""
    if delivery_ids:
        cancelled = {"state": "cancelled", "reason": reason, "settled_at": now}
        changed = db.execute(
            update(deliveries)
            .where(deliveries.c.id.in_(delivery_ids), deliveries.c.state == "scheduled")
            .values(**cancelled)
        )
        forget_steps(db, delivery_ids)
        counters.note(db, counters.CANCELLED, by=changed.rowcount)


def cancel_orphan(db: Connection, delivery_id: str, now: datetime) -> bool:
    """Cancel a delivery that came back to wait while its rule, its connection or its person's values were removed."""
    orphaned = or_(
        exists().where(rules.c.id == deliveries.c.rule_id, rules.c.removed_at.is_not(None)),
        exists().where(connections.c.id == deliveries.c.connection_id, connections.c.removed_at.is_not(None)),
        ~exists().where(delivery_calls.c.delivery_id == deliveries.c.id),
    )
    changed = db.execute(
        update(deliveries)
        .where(deliveries.c.id == delivery_id, deliveries.c.state == "scheduled", orphaned)
        .values(state="cancelled", reason=Reason.CANCELLED, settled_at=now)
    )
    forget_steps(db, [delivery_id])
    counters.note(db, counters.CANCELLED, by=changed.rowcount)
    return changed.rowcount == 1


def forget_steps(db: Connection, delivery_ids: Collection[str]) -> None:
    """Drop what the steps of these deliveries remember, where they have ended: it may be a session or a person's id."""
    if delivery_ids:
        _forget_steps(db, deliveries.c.id.in_(delivery_ids))


def _forget_steps(db: Connection, which: ColumnElement[bool]) -> None:
    ended = exists().where(deliveries.c.id == delivery_calls.c.delivery_id, which, deliveries.c.state.in_(_ENDS))
    db.execute(update(delivery_calls).where(delivery_calls.c.memory.is_not(None), ended).values(memory=None))


@dataclass(frozen=True)
class Head:
    """The first due deliveries of a lane, by id: those worth sending, and those no longer so."""

    fresh: Sequence[str]
    stale: Sequence[str]


def head_of_lane(db: Connection, connection_id: str, now: datetime, limit: int) -> Head:
    """The first `limit` due deliveries of a lane. However long the lane is, no more are looked at."""
    query = (
        select(deliveries.c.id, deliveries.c.expires_at)
        .where(
            deliveries.c.connection_id == connection_id,
            deliveries.c.state == "scheduled",
            deliveries.c.due <= now,
        )
        .order_by(deliveries.c.due, deliveries.c.id)
        .limit(limit)
    )
    rows = db.execute(query).all()
    return Head([row.id for row in rows if row.expires_at > now], [row.id for row in rows if row.expires_at <= now])


def expire(db: Connection, delivery_ids: Collection[str], now: datetime) -> int:
    """End scheduled deliveries that are no longer worth sending; gives how many."""
    if not delivery_ids:
        return 0
    expired = db.execute(
        update(deliveries)
        .where(deliveries.c.id.in_(delivery_ids), deliveries.c.state == "scheduled")
        .values(state="expired", reason=Reason.EXPIRED, settled_at=now)
    ).rowcount
    forget_steps(db, delivery_ids)
    counters.note(db, counters.EXPIRED, by=expired)
    return expired


def expire_parked(db: Connection, now: datetime) -> int:
    """End what grew stale at the head of a paused lane, where no claim passes by; gives how many."""
    ended = 0
    for row in db.execute(_stale_lanes(now)).all():
        ended += expire(db, head_of_lane(db, row.connection_id, now, _PARKED_AT_ONCE).stale, now)
    return ended


def has_stale_parked(db: Connection, now: datetime) -> bool:
    """Whether `expire_parked` has something to do."""
    return db.execute(_stale_lanes(now).limit(1)).first() is not None


def _stale_lanes(now: datetime) -> Select[Any]:
    first_expires = (
        select(deliveries.c.expires_at)
        .where(deliveries.c.connection_id == lane_rows.c.connection_id, deliveries.c.state == "scheduled")
        .order_by(deliveries.c.due, deliveries.c.id)
        .limit(1)
        .scalar_subquery()
    )
    return select(lane_rows.c.connection_id).where(lane_rows.c.paused.is_(True), first_expires <= now)


_STALE_BEHIND_PAUSES: Final = (
    select(deliveries.c.id)
    .join(lane_rows, lane_rows.c.connection_id == deliveries.c.connection_id)
    .where(lane_rows.c.paused.is_(True), deliveries.c.state == "scheduled", deliveries.c.expires_at <= bindparam("now"))
    .limit(_PARKED_AT_ONCE)
)


def stale_behind_pauses(db: Connection, now: datetime) -> list[str]:
    """Deliveries that grew stale anywhere in a paused lane: rules differ in how long they call an invitation fresh.

    Looks at all that is parked, so it is for now and then; see `expire_parked` for what stands at the head.
    """
    return list(db.execute(_STALE_BEHIND_PAUSES, {"now": now}).scalars())
