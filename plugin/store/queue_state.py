"""How the queue stands, over all tenants. Only live rows are looked at, by the partial indices that hold just them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, Subquery, case, func, literal_column, null, select

from plugin.store.tables import connections, deliveries, lanes


@dataclass(frozen=True)
class QueueState:
    """scheduled: without those that are parked behind a paused lane. oldest_due: of those; None when there are none.

    paused: lanes by the reason of their pause.
    """

    scheduled: int
    parked: int
    claimed: int
    uncertain: int
    oldest_due: datetime | None
    lanes: int
    hanging: int
    paused: Mapping[str, int]


def _by_lane(state: str) -> Subquery:
    """Deliveries in a state, grouped as the partial index of that state is ordered: else SQLite reads all rows."""
    return (
        select(
            deliveries.c.connection_id,
            func.count().label("waiting"),
            func.min(deliveries.c.due).label("first_due"),
        )
        # In the statement's own text, so that a plan made for any value knows that the partial index fits.
        .where(deliveries.c.state == literal_column(f"'{state}'"))
        .group_by(deliveries.c.connection_id)
        .subquery()
    )


_BY_LANE: Final = _by_lane("scheduled")
_ON: Final = lanes.c.paused.is_(False)
_LANES: Final = (
    select(
        func.count().label("lanes"),
        func.sum(case((lanes.c.hanging, 1), else_=0)).label("hanging"),
        func.sum(case((_ON, _BY_LANE.c.waiting))).label("scheduled"),
        func.sum(case((_ON, null()), else_=_BY_LANE.c.waiting)).label("parked"),
        func.min(case((_ON, _BY_LANE.c.first_due))).label("oldest_due"),
    )
    .select_from(lanes)
    .join(connections, connections.c.id == lanes.c.connection_id)
    .outerjoin(_BY_LANE, _BY_LANE.c.connection_id == lanes.c.connection_id)
    .where(connections.c.removed_at.is_(None))
)
_CLAIMED: Final = select(func.sum(_by_lane("claimed").c.waiting))
_UNCERTAIN: Final = select(func.sum(_by_lane("uncertain").c.waiting))
_PAUSED: Final = (
    select(connections.c.paused_reason, func.count())
    .where(connections.c.paused_at.is_not(None), connections.c.removed_at.is_(None))
    .group_by(connections.c.paused_reason)
)


def queue_state(db: Connection) -> QueueState:
    """How many deliveries are in each live state, and how the lanes are."""
    row = db.execute(_LANES).one()
    return QueueState(
        scheduled=int(row.scheduled or 0),
        parked=int(row.parked or 0),
        claimed=int(db.execute(_CLAIMED).scalar() or 0),
        uncertain=int(db.execute(_UNCERTAIN).scalar() or 0),
        oldest_due=row.oldest_due,
        lanes=row.lanes,
        hanging=int(row.hanging or 0),
        paused={reason or "": number for reason, number in db.execute(_PAUSED)},
    )
