"""What people decide about uncertain deliveries: sent, not sent, cancel. The receipt keeps who said it, and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, bindparam, func, insert, select, update

from plugin.domain.delivery import DeliveryState, Resolution
from plugin.domain.identity import first_id
from plugin.store import counters, lanes
from plugin.store.deliveries import cancel_by_id, cancel_orphan, forget_steps
from plugin.store.tables import connections, deliveries, resolutions

#: An id is made within this time of what its row says of its making, also over a clock that was set back.
ID_DRIFT: Final = timedelta(hours=1)


@dataclass(frozen=True)
class Resolved:
    """One decision of a person."""

    resolution: str
    decided_by: str
    decided_at: datetime


# --- deciding ---------------------------------------------------------------------------------------------------------

_HELD: Final = (
    select(deliveries.c.connection_id, deliveries.c.lease_epoch, deliveries.c.created_at, deliveries.c.expires_at)
    .where(
        deliveries.c.tenant_id == bindparam("tenant"),
        deliveries.c.id == bindparam("delivery"),
        deliveries.c.state == DeliveryState.UNCERTAIN,
    )
    .with_for_update()
)
_RESOLVE: Final = update(deliveries).where(
    deliveries.c.id == bindparam("delivery"),
    deliveries.c.state == DeliveryState.UNCERTAIN,
    deliveries.c.lease_epoch == bindparam("epoch"),
)
_NEXT_NUMBER: Final = select(func.count() + 1).where(resolutions.c.delivery_id == bindparam("delivery"))


def resolve(
    db: Connection, tenant_id: str, delivery_id: str, resolution: Resolution, *, decided_by: str, now: datetime
) -> DeliveryState | None:
    """Decide an uncertain delivery; gives its state then, or None (and nothing is changed) when it is not uncertain.

    What was not sent is scheduled at once, and is fresh for as long as it was at first; of a call of several steps, the
    one in doubt is made again, with what the steps before it have left. Where its rule, its connection
    or its person's values are gone there is nothing to send, and it is cancelled instead.
    """
    row = db.execute(_HELD, {"tenant": tenant_id, "delivery": delivery_id}).one_or_none()
    if row is None:
        return None
    values: dict[str, Any] = {"state": resolution.state, "reason": resolution.reason, "settled_at": now}
    if resolution is Resolution.NOT_SENT:
        values |= {"settled_at": None, "due": now, "expires_at": now + (row.expires_at - row.created_at)}
    fence = {"delivery": delivery_id, "epoch": row.lease_epoch}
    if not db.execute(_RESOLVE, fence | values).rowcount:
        return None
    db.execute(
        insert(resolutions),
        {
            "delivery_id": delivery_id,
            "number": db.execute(_NEXT_NUMBER, {"delivery": delivery_id}).scalar_one(),
            "tenant_id": tenant_id,
            "resolution": resolution,
            "decided_by": decided_by,
            "decided_at": now,
        },
    )
    if resolution is not Resolution.NOT_SENT:
        forget_steps(db, [delivery_id])
        counters.note(db, counters.CANCELLED, by=int(resolution is Resolution.CANCEL))
        return resolution.state
    if cancel_orphan(db, delivery_id, now):
        return DeliveryState.CANCELLED
    lanes.lower(db, {row.connection_id: now})
    return DeliveryState.SCHEDULED


def cancel_delivery(db: Connection, tenant_id: str, delivery_id: str, *, decided_by: str, now: datetime) -> bool:
    """Cancel a scheduled or an uncertain delivery; whether it could still be."""
    resolved = resolve(db, tenant_id, delivery_id, Resolution.CANCEL, decided_by=decided_by, now=now)
    return resolved is not None or cancel_by_id(db, tenant_id, delivery_id, now)


# --- finding ----------------------------------------------------------------------------------------------------------


def uncertain_deliveries(
    db: Connection,
    tenant_id: str,
    *,
    connection: str | None = None,
    since: datetime | None = None,
    until: datetime,
    after: str = "",
    limit: int,
) -> list[str]:
    """Ids of uncertain deliveries that were made from `since` on and before `until`, in the order of their making.

    connection: its name; all of them when None. after: the last id of the page before.
    """
    query = (
        select(deliveries.c.id)
        .join(connections, connections.c.id == deliveries.c.connection_id)
        .where(
            deliveries.c.tenant_id == tenant_id,
            deliveries.c.state == DeliveryState.UNCERTAIN,
            deliveries.c.id > after,
            deliveries.c.id < first_id(until + ID_DRIFT),
            deliveries.c.created_at < until,
        )
    )
    if connection is not None:
        query = query.where(connections.c.name == connection)
    if since is not None:
        query = query.where(deliveries.c.id >= first_id(since - ID_DRIFT), deliveries.c.created_at >= since)
    return list(db.execute(query.order_by(deliveries.c.id).limit(limit)).scalars())


def resolutions_of(db: Connection, delivery_ids: Sequence[str]) -> dict[str, list[Resolved]]:
    """What people decided about each of these deliveries, the oldest first."""
    found: dict[str, list[Resolved]] = {}
    query = select(
        resolutions.c.delivery_id,
        resolutions.c.resolution,
        resolutions.c.decided_by,
        resolutions.c.decided_at,
    ).order_by(resolutions.c.number)
    for start in range(0, len(delivery_ids), 500):
        some = delivery_ids[start : start + 500]
        for delivery_id, *rest in db.execute(query.where(resolutions.c.delivery_id.in_(some))):
            found.setdefault(delivery_id, []).append(Resolved(*rest))
    return found
