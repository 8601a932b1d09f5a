"""Lanes: which connection is served next, and what each remembers of it.

Locks are taken in one order everywhere: deliveries, connections, lanes. A claim takes lanes first, but waits for none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final

from sqlalchemy import Boolean, Connection, Select, and_, bindparam, case, func, or_, select, union_all, update
from sqlalchemy.sql.selectable import CompoundSelect

from plugin.domain.rate import Rate
from plugin.store.tables import connections, deliveries, lanes

#: Lanes that one claim looks at, of those that answer, of those that hang and of those to be probed.
LANES_A_TIME: Final = 16
#: A transaction that stores a delivery has ended after this; until then its lane may have missed it.
_MISSED: Final = timedelta(minutes=1)


@dataclass(frozen=True)
class DueLane:
    """A lane with due work, and what its calls need; settings are sealed. next_call: see `Rate`."""

    connection_id: str
    vendor: str
    settings: str
    removed: bool
    served_at: datetime
    hanging: bool
    paused: bool
    probes: int
    in_flight_cap: int
    calls_per_minute: int | None
    next_call: datetime | None

    @property
    def rate(self) -> Rate | None:
        return Rate(self.calls_per_minute, self.next_call) if self.calls_per_minute else None


def _lanes_that(*conditions: Any) -> Select[Any]:
    return (
        select(
            lanes.c.connection_id,
            connections.c.vendor,
            connections.c.settings,
            connections.c.removed_at.is_not(None).label("removed"),
            lanes.c.served_at,
            lanes.c.hanging,
            lanes.c.paused,
            lanes.c.probes,
            lanes.c.in_flight_cap,
            lanes.c.calls_per_minute,
            lanes.c.next_call,
        )
        .join(connections, connections.c.id == lanes.c.connection_id)
        .where(lanes.c.next_due <= bindparam("now"), *conditions)
        .order_by(lanes.c.served_at)
        .limit(LANES_A_TIME)
        .with_for_update(of=lanes, skip_locked=True)
    )


#: The kinds of lanes; each is counted apart, so that lanes that hang never fill the list.
_KINDS: Final = (
    and_(lanes.c.paused.is_(False), lanes.c.hanging.is_(False)),
    and_(lanes.c.paused.is_(False), lanes.c.hanging.is_(True)),
    and_(lanes.c.paused.is_(True), lanes.c.probe_at <= bindparam("now")),
)


@cache
def _lanes_of(*kinds: int) -> Select[Any] | CompoundSelect[Any]:
    found = [select(_lanes_that(_KINDS[kind]).subquery(f"kind{kind}")) for kind in kinds]
    return found[0] if len(found) == 1 else union_all(*found)


def due_lanes(db: Connection, now: datetime, *, hanging_too: bool, probed_too: bool) -> list[DueLane]:
    """Lanes with due work, the longest unserved first; no other claim sees them until this transaction ends."""
    kinds = [0, *([1] if hanging_too else []), *([2] if probed_too else [])]
    found = [DueLane(*row) for row in db.execute(_lanes_of(*kinds), {"now": now})]
    return sorted(found, key=lambda lane: lane.served_at)


_IS_DUE: Final = (
    select(lanes.c.connection_id)
    .where(
        lanes.c.next_due <= bindparam("now"),
        lanes.c.paused.is_(False),
        or_(lanes.c.hanging.is_(False), bindparam("hanging_too", type_=Boolean)),
    )
    .limit(1)
)


def is_due(db: Connection, now: datetime, *, hanging_too: bool = True) -> bool:
    """Whether any lane has work to be done now."""
    return db.execute(_IS_DUE, {"now": now, "hanging_too": hanging_too}).first() is not None


_IS_PROBE_DUE: Final = (
    select(lanes.c.connection_id)
    .where(lanes.c.paused.is_(True), lanes.c.probe_at <= bindparam("now"), lanes.c.next_due <= bindparam("now"))
    .limit(1)
)


def is_probe_due(db: Connection, now: datetime) -> bool:
    """Whether a paused lane is to be tried, and has something to try it with."""
    return db.execute(_IS_PROBE_DUE, {"now": now}).first() is not None


_IN_FLIGHT: Final = (
    select(deliveries.c.connection_id, func.count())
    .where(deliveries.c.connection_id.in_(bindparam("lanes", expanding=True)), deliveries.c.state == "claimed")
    .group_by(deliveries.c.connection_id)
)


def in_flight(db: Connection, connection_ids: Sequence[str]) -> Mapping[str, int]:
    """How many calls are under way through each of these lanes; exact while they are locked."""
    return {row[0]: row[1] for row in db.execute(_IN_FLIGHT, {"lanes": connection_ids})}


_EARLIEST: Final = (
    select(func.min(deliveries.c.due))
    .where(deliveries.c.connection_id == lanes.c.connection_id, deliveries.c.state == "scheduled")
    .correlate(lanes)
    .scalar_subquery()
)
_NEXT_DUE: Final = case((lanes.c.next_call > _EARLIEST, lanes.c.next_call), else_=_EARLIEST)
_SERVE: Final = (
    update(lanes)
    .where(lanes.c.connection_id.in_(bindparam("served", expanding=True)))
    .values(served_at=bindparam("now"), next_due=_NEXT_DUE)
)


def serve(db: Connection, connection_ids: Sequence[str], now: datetime) -> None:
    """Send lanes to the end of the line, each with the time that its next delivery may go."""
    if connection_ids:
        db.execute(_SERVE, {"served": connection_ids, "now": now})


_LIMIT: Final = (
    update(lanes).where(lanes.c.connection_id == bindparam("lane")).values(next_call=bindparam("not_before"))
)


def limit(db: Connection, next_calls: Mapping[str, datetime]) -> None:
    """Remember when lanes with a limit a minute may be called again."""
    if next_calls:
        db.execute(_LIMIT, [{"lane": lane, "not_before": at} for lane, at in next_calls.items()])


_PROBE: Final = (
    update(lanes)
    .where(lanes.c.connection_id == bindparam("lane"))
    .values(probe_at=bindparam("again"), probes=bindparam("made"))
)


def note_probe(db: Connection, connection_id: str, *, probes: int, again: datetime) -> None:
    """Remember that a paused lane is tried now. again: when the next try is, should this one not resume it."""
    db.execute(_PROBE, {"lane": connection_id, "made": probes, "again": again})


_GO_ON: Final = (
    update(lanes)
    .where(lanes.c.connection_id == bindparam("lane"), lanes.c.probe_at.is_not(None))
    .values(probe_at=bindparam("at"), probes=lanes.c.probes - 1, next_due=bindparam("at"))
)


def go_on_probing(db: Connection, connection_id: str, at: datetime) -> None:
    """Let the delivery that tries a paused lane make its next step then; all its steps are one try."""
    db.execute(_GO_ON, {"lane": connection_id, "at": at})


_LOWER: Final = (
    update(lanes)
    .where(
        lanes.c.connection_id == bindparam("lane"), or_(lanes.c.next_due.is_(None), lanes.c.next_due > bindparam("due"))
    )
    .values(next_due=bindparam("due"))
)


def lower(db: Connection, dues: Mapping[str, datetime]) -> None:
    """Have lanes looked at by these times. Only a later time is changed, so that a busy lane's row is left alone."""
    if dues:
        # In one order, so that two transactions never wait for each other.
        db.execute(_LOWER, [{"lane": lane, "due": dues[lane]} for lane in sorted(dues)])


_MARK: Final = (
    update(lanes)
    .where(lanes.c.connection_id == bindparam("lane"), lanes.c.hanging != bindparam("seen"))
    .values(hanging=bindparam("seen"))
)


def mark(db: Connection, hanging: Mapping[str, bool]) -> None:
    """Remember of lanes whether their last call timed out or takes too long."""
    if hanging:
        db.execute(_MARK, [{"lane": lane, "seen": hanging[lane]} for lane in sorted(hanging)])


_MISSED_DUES: Final = select(lanes.c.connection_id, _EARLIEST.label("earliest")).where(
    lanes.c.served_at > bindparam("since"), lanes.c.paused.is_(False)
)


def missed_dues(db: Connection, now: datetime) -> Mapping[str, datetime]:
    """Lanes that sleep past a delivery of theirs, and when it is due.

    A claim sets a lane's time by the deliveries that it sees. One whose transaction was still open then is not among
    them, and has found nothing to lower before. Only a lane that was served lately can have missed one.
    """
    seen = _MISSED_DUES.add_columns(lanes.c.next_due, lanes.c.next_call).subquery()
    sleeping = or_(seen.c.next_due.is_(None), seen.c.next_due > seen.c.earliest)
    limited = and_(seen.c.next_call.is_not(None), seen.c.next_call >= seen.c.next_due)
    query = select(seen.c.connection_id, seen.c.earliest).where(seen.c.earliest.is_not(None), sleeping, ~limited)
    return {row.connection_id: row.earliest for row in db.execute(query, {"since": now - _MISSED})}
