"""Errands: requests that may be repeated without harm, and that no delivery waits for.

A row is an errand that is still to be done; it is deleted with its end. A claim puts its time off to the end of the
lease, so one whose worker fell silent is simply due again, and the epoch keeps the silent one from settling it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Select, bindparam, case, delete, func, literal, select, update

from plugin.domain.delivery import LEASE
from plugin.store.bulk import insert_rows
from plugin.store.planning import NewReport, add_reports
from plugin.store.tables import connections, deliveries, delivery_calls, errands, events, reports, sources

FOLLOW_UP: Final = "follow_up"
LOOKUP: Final = "lookup"
KINDS: Final = (FOLLOW_UP, LOOKUP)

#: Errands of one lane that may be under way at a time, over all workers.
AT_ONCE: Final = 2
#: Due errands that one claim looks at.
_LOOKED_AT: Final = 64
#: How long an errand is left alone that met a paused connection.
_PAUSED_WAIT: Final = timedelta(minutes=5)


@dataclass(frozen=True)
class NewErrand:
    """memory: sealed. due: not before this. give_up_at: not after this."""

    id: str
    tenant_id: str
    kind: str
    lane: str
    delivery_id: str | None
    event_id: str | None
    step: str
    memory: str | None
    due: datetime
    give_up_at: datetime


@dataclass(frozen=True)
class ErrandRow:
    """An errand as it is stored. attempts: calls in a row that have failed. words: what the last answer said."""

    id: str
    tenant_id: str
    kind: str
    lane: str
    delivery_id: str | None
    event_id: str | None
    step: str
    memory: str | None
    give_up_at: datetime
    attempts: int
    epoch: int
    words: str


@dataclass(frozen=True)
class OpenErrand:
    """What is still being asked, for a receipt. under_way: whether a worker is at it now."""

    step: str
    due: datetime
    give_up_at: datetime
    under_way: bool
    words: str


@dataclass(frozen=True)
class Backlog:
    """Errands of a kind: how many there are, and how many of them are due and not under way."""

    open: int
    due: int


def add(db: Connection, new: Sequence[NewErrand]) -> None:
    """Store errands; nothing is done where there are none."""
    insert_rows(db, errands, [vars(one) for one in new])


# --- which are due ----------------------------------------------------------------------------------------------------

_IS_DUE: Final = select(errands.c.id).where(errands.c.due <= bindparam("now")).limit(1)


def is_due(db: Connection, now: datetime) -> bool:
    return db.execute(_IS_DUE, {"now": now}).first() is not None


# Grouped here and not there: a database may well take another index for that, and read all that waits.
_UNDER_WAY: Final = select(errands.c.lane).where(
    errands.c.leased_until.is_not(None), errands.c.leased_until > bindparam("now")
)


def _under_way(db: Connection, now: datetime) -> Counter[str]:
    """How many errands of each lane workers are at."""
    return Counter(db.execute(_UNDER_WAY, {"now": now}).scalars())


_ROWS: Final = select(
    errands.c.id,
    errands.c.tenant_id,
    errands.c.kind,
    errands.c.lane,
    errands.c.delivery_id,
    errands.c.event_id,
    errands.c.step,
    errands.c.memory,
    errands.c.give_up_at,
    errands.c.attempts,
    errands.c.lease_epoch.label("epoch"),
    errands.c.words,
)
_DUE: Final = _ROWS.where(errands.c.due <= bindparam("now")).order_by(errands.c.due, errands.c.id).limit(_LOOKED_AT)


def _heads() -> Select[Any]:
    """The first errand of each lane, if it is due: one step of the index for each lane, however many wait in it."""
    walk = select(func.min(errands.c.lane).label("lane")).cte("walk", recursive=True)
    following = select(func.min(errands.c.lane)).where(errands.c.lane > walk.c.lane).scalar_subquery()
    walk = walk.union_all(select(following).where(walk.c.lane.is_not(None)))
    others = errands.alias("others")
    first = (
        select(others.c.id)
        # Not by equality: a server that thinks a lane is most of the table would then look through it by time.
        .where(others.c.lane.between(walk.c.lane, walk.c.lane))
        .order_by(others.c.lane, others.c.due)
        .limit(1)
        .scalar_subquery()
    )
    found = select(first.label("id")).select_from(walk).where(walk.c.lane.not_in(bindparam("full", expanding=True)))
    due = errands.c.due <= bindparam("now")
    return _ROWS.where(errands.c.id.in_(found), due).order_by(errands.c.due, errands.c.id).limit(_LOOKED_AT)


_HEADS: Final = _heads()


def due_errands(db: Connection, now: datetime) -> list[ErrandRow]:
    """The errands that have been due for longest, without those of full lanes.

    Where full lanes hold so many that no others are seen behind them, the first of each of the other lanes.
    """
    full = [lane for lane, count in _under_way(db, now).items() if count >= AT_ONCE]
    due = [ErrandRow(**row) for row in db.execute(_DUE, {"now": now}).mappings()]
    free = [row for row in due if row.lane not in full]
    if free or len(due) < _LOOKED_AT:
        return free
    return [ErrandRow(**row) for row in db.execute(_HEADS, {"now": now, "full": full}).mappings()]


# --- what their calls go through --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Owner:
    """The connection or the source of a lane. module: the connector's name. sealed: its settings or credentials.

    under_way: errands of the lane that workers are at.
    """

    module: str
    sealed: str
    removed: bool
    paused: bool
    under_way: int


# Whoever holds a lane's owner decides alone what is claimed of the lane. A row that somebody else holds is left for the
# next time, and whoever writes to it waits for no more than one short transaction.
_CONNECTIONS: Final = (
    select(
        connections.c.id,
        connections.c.vendor,
        connections.c.settings,
        connections.c.removed_at.is_not(None),
        connections.c.paused_at.is_not(None),
    )
    .where(connections.c.id.in_(bindparam("lanes", expanding=True)))
    .with_for_update(key_share=True, skip_locked=True)
)
_SOURCES: Final = (
    select(sources.c.id, sources.c.kind, sources.c.credentials, sources.c.removed_at.is_not(None), literal(False))
    .where(sources.c.id.in_(bindparam("lanes", expanding=True)))
    .with_for_update(key_share=True, skip_locked=True)
)
_OWNERS: Final[Mapping[str, Any]] = {FOLLOW_UP: _CONNECTIONS, LOOKUP: _SOURCES}


def owners(db: Connection, rows: Collection[ErrandRow], now: datetime) -> dict[str, Owner]:
    """Owners of the lanes of these errands that nobody else is at, held until this transaction ends."""
    found: dict[str, tuple[str, str, bool, bool]] = {}
    for kind, query in _OWNERS.items():
        lanes = sorted({row.lane for row in rows if row.kind == kind})
        if lanes:
            found |= {row[0]: (row[1], row[2], row[3], row[4]) for row in db.execute(query, {"lanes": lanes})}
    under_way = _under_way(db, now) if found else Counter()
    return {lane: Owner(*rest, under_way[lane]) for lane, rest in found.items()}


@dataclass(frozen=True)
class FollowedCall:
    """The call that an ended delivery has made."""

    call: str
    parameters: Mapping[str, str]


_CALLS: Final = (
    select(deliveries.c.id, deliveries.c.call, delivery_calls.c.parameters)
    .join(delivery_calls, delivery_calls.c.delivery_id == deliveries.c.id)
    .where(deliveries.c.id.in_(bindparam("ids", expanding=True)))
)


def followed_calls(db: Connection, rows: Collection[ErrandRow]) -> dict[str, FollowedCall]:
    """The calls of the deliveries that these errands follow, by delivery; none of a person who was forgotten."""
    ids = sorted({row.delivery_id for row in rows if row.delivery_id is not None})
    return {row[0]: FollowedCall(*row[1:]) for row in db.execute(_CALLS, {"ids": ids})} if ids else {}


# --- claims -----------------------------------------------------------------------------------------------------------

_TAKE: Final = (
    update(errands)
    .where(
        errands.c.id == bindparam("errand"),
        errands.c.lease_epoch == bindparam("seen"),
        errands.c.due <= bindparam("now"),
    )
    .values(lease_epoch=errands.c.lease_epoch + 1, due=bindparam("until"), leased_until=bindparam("until"))
)


def take(db: Connection, row: ErrandRow, now: datetime) -> ErrandRow | None:
    """Claim one; gives it with the claim's own epoch, or None where somebody else was first."""
    values = {"errand": row.id, "seen": row.epoch, "now": now, "until": now + LEASE}
    return replace(row, epoch=row.epoch + 1) if db.execute(_TAKE, values).rowcount else None


_PUT_OFF: Final = (
    update(errands)
    .where(errands.c.id == bindparam("errand"), errands.c.lease_epoch == bindparam("seen"))
    .values(due=bindparam("later"))
)


def put_off(db: Connection, rows: Collection[ErrandRow], now: datetime) -> None:
    """Leave errands of paused connections alone for a while, so that others are seen."""
    if rows:
        values = [
            {"errand": row.id, "seen": row.epoch, "later": min(now + _PAUSED_WAIT, row.give_up_at)} for row in rows
        ]
        db.execute(_PUT_OFF, values)


# --- what has become of them ------------------------------------------------------------------------------------------

_AGAIN: Final = (
    update(errands)
    .where(errands.c.id == bindparam("errand"), errands.c.lease_epoch == bindparam("at_epoch"))
    .values(
        due=bindparam("later"),
        leased_until=None,
        attempts=bindparam("failed"),
        step=bindparam("next"),
        memory=bindparam("kept"),
        words=bindparam("said"),
    )
)
_END: Final = delete(errands).where(errands.c.id == bindparam("errand"), errands.c.lease_epoch == bindparam("at_epoch"))


def again(
    db: Connection, row: ErrandRow, *, due: datetime, attempts: int, step: str, memory: str | None, words: str
) -> bool:
    """Have an errand done again; whether it was still this claim's. memory: sealed."""
    values = {
        "errand": row.id,
        "at_epoch": row.epoch,
        "later": min(due, row.give_up_at),
        "failed": attempts,
        "next": step,
        "kept": memory,
        "said": words,
    }
    return db.execute(_AGAIN, values).rowcount == 1


def end(db: Connection, row: ErrandRow) -> bool:
    """End an errand; whether it was still this claim's."""
    return db.execute(_END, {"errand": row.id, "at_epoch": row.epoch}).rowcount == 1


_LAST_REPORT: Final = (
    select(reports.c.words)
    .where(reports.c.delivery_id == bindparam("delivery"), reports.c.kind == FOLLOW_UP)
    .order_by(reports.c.id.desc())
    .limit(1)
)


def report(
    db: Connection, tenant_id: str, delivery_id: str, report_id: str, words: str, now: datetime, *, repeat: bool
) -> None:
    """Keep what a follow-up has learnt about its delivery. repeat: also when the last one said the same."""
    if not repeat and db.execute(_LAST_REPORT, {"delivery": delivery_id}).scalar() == words:
        return
    new = NewReport(
        id=report_id,
        tenant_id=tenant_id,
        delivery_id=delivery_id,
        event_id=None,
        kind=FOLLOW_UP,
        happened_at=now,
        received_at=now,
        words=words,
    )
    add_reports(db, [new])


_WAITING: Final = (
    select(errands.c.event_id)
    .where(errands.c.tenant_id == bindparam("tenant"), errands.c.lane == bindparam("lane"))
    .where(errands.c.event_id.is_not(None))
)
_WAIT_NO_MORE: Final = update(events).where(events.c.id.in_(_WAITING), events.c.waits).values(waits=False)


def remove_of_lane(db: Connection, tenant_id: str, lane: str) -> None:
    """Remove what was to be asked through a connection or a source that is removed; events wait for it no more."""
    db.execute(_WAIT_NO_MORE, {"tenant": tenant_id, "lane": lane})
    db.execute(delete(errands).where(errands.c.tenant_id == tenant_id, errands.c.lane == lane))


# --- for people -------------------------------------------------------------------------------------------------------

_OPEN: Final = select(
    errands.c.step, errands.c.due, errands.c.give_up_at, errands.c.leased_until.is_not(None), errands.c.words
)


def follow_ups_of(db: Connection, delivery_ids: Sequence[str]) -> dict[str, OpenErrand]:
    """What is still being asked about these deliveries."""
    query = _OPEN.add_columns(errands.c.delivery_id).where(errands.c.delivery_id.in_(delivery_ids))
    return {row.delivery_id: OpenErrand(*row[:-1]) for row in db.execute(query)}


def lookup_of(db: Connection, tenant_id: str, event_id: str) -> OpenErrand | None:
    """What an event still waits for."""
    query = _OPEN.where(errands.c.tenant_id == tenant_id, errands.c.event_id == event_id)
    row = db.execute(query).first()
    return OpenErrand(*row) if row is not None else None


_BACKLOG: Final = select(
    errands.c.kind, func.count(), func.sum(case((errands.c.due <= bindparam("now"), 1), else_=0))
).group_by(errands.c.kind)


def backlog(db: Connection, now: datetime) -> dict[str, Backlog]:
    """How many errands of each kind there are."""
    found = {kind: Backlog(0, 0) for kind in KINDS}
    return found | {row[0]: Backlog(row[1], int(row[2] or 0)) for row in db.execute(_BACKLOG, {"now": now})}
