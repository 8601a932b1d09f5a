"""Claiming deliveries for a call and settling what it brought. HTTP happens in between, in no transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, func, insert, or_, select, update

from plugin.domain.delivery import LEASE, DeliveryState, Settlement
from plugin.domain.outcome import Reason
from plugin.store.deliveries import cancel_orphan, expire, head_of_lane, lower_lane
from plugin.store.tables import attempts, connections, deliveries, delivery_calls, lanes

#: Calls that may be under way through one connection at a time.
LANE_CAP: Final = 8
#: Lanes that one claim looks at, of those that answer and of those that hang.
_LANES_A_TIME: Final = 16
#: Due deliveries of a lane that one claim looks at; those among them that are stale are ended.
_HEAD: Final = 32


@dataclass(frozen=True)
class ClaimedRow:
    """A claimed delivery with all that its call needs; settings and memory are sealed."""

    id: str
    tenant_id: str
    connection_id: str
    vendor: str
    settings: str
    call: str
    step: str
    parameters: Mapping[str, str]
    memory: str | None
    attempts: int
    epoch: int
    resend: bool
    hanging: bool
    due: datetime
    expires_at: datetime


@dataclass(frozen=True)
class FinishedAttempt:
    """What is known of one HTTP call, for its row. url and parameters are masked."""

    finished_at: datetime
    duration: float | None = None
    method: str | None = None
    url: str | None = None
    parameters: Sequence[tuple[str, str]] = ()
    status: int | None = None
    outcome: str = ""


# --- claiming -------------------------------------------------------------------------------------------------------


def claim(db: Connection, *, worker: str, now: datetime, free: int, free_for_hanging: int) -> list[ClaimedRow]:
    """Claim what up to `free` senders can start at once, the longest unserved lanes first.

    Each claim writes its attempt, so that it is also the mark "may be on its way". Lanes whose last call timed out
    get at most `free_for_hanging` of the senders between them.
    """
    claimed: list[ClaimedRow] = []
    for lane in _due_lanes(db, now, hanging_too=free_for_hanging > 0):
        senders = min(free - len(claimed), free_for_hanging if lane.hanging else free)
        if senders <= 0:
            continue
        room = min(senders, LANE_CAP - _in_flight(db, lane.connection_id))
        rows = _claim_lane(db, lane.connection_id, worker, now, room) if room > 0 else []
        if lane.hanging:
            free_for_hanging -= len(rows)
        claimed += rows
        _serve_lane(db, lane.connection_id, now)
    return claimed


_LANES: Final = (
    select(lanes.c.connection_id, lanes.c.hanging, lanes.c.served_at)
    .where(lanes.c.next_due <= bindparam("now"), lanes.c.paused.is_(False))
    .order_by(lanes.c.served_at)
    .limit(_LANES_A_TIME)
)
_DUE_LANES: Final = _LANES.where(lanes.c.hanging.is_(False))
_DUE_HANGING_LANES: Final = _LANES.where(lanes.c.hanging.is_(True))


def _due_lanes(db: Connection, now: datetime, *, hanging_too: bool) -> list[Row[tuple[str, bool, datetime]]]:
    """Lanes with due work, the longest unserved first. Hanging ones are counted apart, so they never fill the list."""
    found = [*db.execute(_DUE_LANES, {"now": now})]
    if hanging_too:
        found += db.execute(_DUE_HANGING_LANES, {"now": now})
    return sorted(found, key=lambda lane: lane.served_at)


_IN_FLIGHT: Final = select(func.count()).where(
    deliveries.c.connection_id == bindparam("connection"), deliveries.c.state == "claimed"
)


def _in_flight(db: Connection, connection_id: str) -> int:
    return db.execute(_IN_FLIGHT, {"connection": connection_id}).scalar_one()


_CLAIM: Final = (
    update(deliveries)
    .where(deliveries.c.id.in_(bindparam("ids", expanding=True)), deliveries.c.state == "scheduled")
    .values(state="claimed", lease_epoch=deliveries.c.lease_epoch + 1, leased_until=bindparam("until"))
    .returning(deliveries.c.id)
)


def _claim_lane(db: Connection, connection_id: str, worker: str, now: datetime, room: int) -> list[ClaimedRow]:
    head = head_of_lane(db, connection_id, now, _HEAD)
    expire(db, head.stale, now)
    ids = db.execute(_CLAIM, {"ids": head.fresh[:room], "until": now + LEASE}).scalars()
    rows = _claimed_rows(db, list(ids))
    if rows:
        db.execute(
            insert(attempts),
            [
                {
                    "delivery_id": row.id,
                    "tenant_id": row.tenant_id,
                    "epoch": row.epoch,
                    "step": row.step,
                    "worker": worker,
                    "claimed_at": now,
                }
                for row in rows
            ],
        )
    return rows


_CLAIMED_ROWS: Final = (
    select(
        deliveries.c.id,
        deliveries.c.tenant_id,
        deliveries.c.connection_id,
        connections.c.vendor,
        connections.c.settings,
        deliveries.c.call,
        deliveries.c.step,
        delivery_calls.c.parameters,
        delivery_calls.c.memory,
        deliveries.c.attempts,
        deliveries.c.lease_epoch.label("epoch"),
        deliveries.c.resend,
        lanes.c.hanging,
        deliveries.c.due,
        deliveries.c.expires_at,
    )
    .join(lanes, lanes.c.connection_id == deliveries.c.connection_id)
    .join(connections, connections.c.id == deliveries.c.connection_id)
    .join(delivery_calls, delivery_calls.c.delivery_id == deliveries.c.id)
    .where(deliveries.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(deliveries.c.due, deliveries.c.id)
)


def _claimed_rows(db: Connection, ids: list[str]) -> list[ClaimedRow]:
    if not ids:
        return []
    return [ClaimedRow(**row) for row in db.execute(_CLAIMED_ROWS, {"ids": ids}).mappings()]


_SERVE_LANE: Final = (
    update(lanes)
    .where(lanes.c.connection_id == bindparam("connection"))
    .values(
        served_at=bindparam("now"),
        next_due=select(func.min(deliveries.c.due))
        .where(deliveries.c.connection_id == bindparam("connection"), deliveries.c.state == "scheduled")
        .scalar_subquery(),
    )
)


def _serve_lane(db: Connection, connection_id: str, now: datetime) -> None:
    """Send a lane to the end of the line, with the time that its next delivery is due."""
    db.execute(_SERVE_LANE, {"connection": connection_id, "now": now})


# --- settling ---------------------------------------------------------------------------------------------------------


_SETTLE: Final = update(deliveries).where(
    deliveries.c.tenant_id == bindparam("tenant"),
    deliveries.c.id == bindparam("delivery"),
    deliveries.c.lease_epoch == bindparam("epoch"),
    deliveries.c.state.in_(("claimed", "uncertain")),
)


def settle(
    db: Connection,
    row: ClaimedRow,
    settlement: Settlement,
    attempt: FinishedAttempt,
    *,
    sealed_memory: str | None = None,
) -> bool:
    """Record what a call brought and, unless a newer claim or a person's decision came first, apply it.

    A known answer counts even when the lease has run out meanwhile. sealed_memory: what the next step needs to know.
    Gives whether it was applied.
    """
    fence = {"tenant": row.tenant_id, "delivery": row.id, "epoch": row.epoch}
    changed = db.execute(_SETTLE, fence | _settled_values(row, settlement, attempt.finished_at))
    applied = changed.rowcount == 1
    _record_attempt(db, row, settlement, attempt, late=not applied)
    if not applied:
        return False
    if settlement.next_step is not None:
        db.execute(update(delivery_calls).where(delivery_calls.c.delivery_id == row.id).values(memory=sealed_memory))
    if settlement.due is not None and not cancel_orphan(db, row.id, attempt.finished_at):
        lower_lane(db, row.connection_id, settlement.due)
    return True


def _settled_values(row: ClaimedRow, settlement: Settlement, now: datetime) -> dict[str, Any]:
    values: dict[str, Any] = {"state": settlement.state, "reason": settlement.reason, "leased_until": None}
    if settlement.counts:
        # The claim's own epoch fences the row, so nobody else has counted since.
        values["attempts"] = row.attempts + 1
    if settlement.state is DeliveryState.SCHEDULED:
        values["due"] = settlement.due
    else:
        values["settled_at"] = now
    if settlement.next_step is not None:
        values["step"] = settlement.next_step
    if settlement.vendor_reference is not None:
        values["vendor_reference"] = settlement.vendor_reference
    return values


_KEPT_CALL: Final = select(delivery_calls.c.delivery_id).where(delivery_calls.c.delivery_id == bindparam("delivery"))
_RECORD_ATTEMPT: Final = update(attempts).where(
    attempts.c.delivery_id == bindparam("delivery"), attempts.c.epoch == bindparam("at_epoch")
)


def _record_attempt(
    db: Connection, row: ClaimedRow, settlement: Settlement, attempt: FinishedAttempt, *, late: bool
) -> None:
    values: dict[str, Any] = {
        "delivery": row.id,
        "at_epoch": row.epoch,
        "finished_at": attempt.finished_at,
        "duration": attempt.duration,
        "method": attempt.method,
        "status": attempt.status,
        "outcome": attempt.outcome,
        "reason": settlement.reason,
        "late": late,
    }
    if db.execute(_KEPT_CALL, {"delivery": row.id}).first() is not None:
        # Not where the person was forgotten while the call was under way.
        values |= {
            "url": attempt.url,
            "parameters": [list(pair) for pair in attempt.parameters],
            "words": settlement.words,
        }
    db.execute(_RECORD_ATTEMPT, values)


_MARK_LANE: Final = (
    update(lanes)
    .where(lanes.c.connection_id == bindparam("connection"), lanes.c.hanging != bindparam("seen"))
    .values(hanging=bindparam("seen"))
)


def mark_lane(db: Connection, connection_id: str, *, hanging: bool) -> None:
    """Remember whether a lane's last call timed out."""
    db.execute(_MARK_LANE, {"connection": connection_id, "seen": hanging})


_NOTE_SUCCESS: Final = (
    update(connections)
    .where(connections.c.id == bindparam("connection"))
    .values(last_success_at=bindparam("now"), strikes=0, last_struck=None)
)


def note_success(db: Connection, connection_id: str, now: datetime) -> None:
    db.execute(_NOTE_SUCCESS, {"connection": connection_id, "now": now})


def strike(db: Connection, row: ClaimedRow) -> int:
    """Count a refusal that may be the connection's fault; gives how many came in a row for different people."""
    query = select(delivery_calls.c.person).where(delivery_calls.c.delivery_id == row.id)
    person = db.execute(query).scalar() or row.id
    db.execute(
        update(connections)
        .where(
            connections.c.id == row.connection_id,
            or_(connections.c.last_struck.is_(None), connections.c.last_struck != person),
        )
        .values(strikes=connections.c.strikes + 1, last_struck=person)
    )
    # None where the tenant was removed while the call was under way.
    return db.execute(select(connections.c.strikes).where(connections.c.id == row.connection_id)).scalar() or 0


@dataclass(frozen=True)
class LostClaim:
    """A claim whose worker went silent."""

    id: str
    tenant_id: str
    connection_id: str
    vendor: str
    call: str
    step: str
    epoch: int
    resend: bool


def lost_claims(db: Connection, now: datetime, limit: int = 100) -> list[LostClaim]:
    query = (
        select(
            deliveries.c.id,
            deliveries.c.tenant_id,
            deliveries.c.connection_id,
            connections.c.vendor,
            deliveries.c.call,
            deliveries.c.step,
            deliveries.c.lease_epoch.label("epoch"),
            deliveries.c.resend,
        )
        .join(connections, connections.c.id == deliveries.c.connection_id)
        .where(deliveries.c.state == "claimed", deliveries.c.leased_until <= now)
        .limit(limit)
    )
    return [LostClaim(**row) for row in db.execute(query).mappings()]


def recover(db: Connection, lost: LostClaim, now: datetime, *, repeat: bool) -> None:
    """Decide a lost claim: again when repeating is safe, else uncertain.

    The epoch stays, so that a late answer to an uncertain one applies; to a scheduled one none does, and a new claim
    raises the epoch.
    """
    state = DeliveryState.SCHEDULED if repeat else DeliveryState.UNCERTAIN
    values: dict[str, Any] = {"state": state, "reason": Reason.LEASE_LOST, "leased_until": None}
    if repeat:
        values["due"] = now
    else:
        values["settled_at"] = now
    changed = db.execute(
        update(deliveries)
        .where(deliveries.c.id == lost.id, deliveries.c.lease_epoch == lost.epoch, deliveries.c.state == "claimed")
        .values(**values)
    )
    if not changed.rowcount:
        return
    db.execute(
        update(attempts)
        .where(attempts.c.delivery_id == lost.id, attempts.c.epoch == lost.epoch)
        .values(finished_at=now, outcome="lost", reason=Reason.LEASE_LOST)
    )
    if repeat and not cancel_orphan(db, lost.id, now):
        lower_lane(db, lost.connection_id, now)


_IS_DUE: Final = (
    select(lanes.c.connection_id).where(lanes.c.next_due <= bindparam("now"), lanes.c.paused.is_(False)).limit(1)
)


def is_due(db: Connection, now: datetime) -> bool:
    """Whether any lane has work to be done now."""
    return db.execute(_IS_DUE, {"now": now}).first() is not None
