"""Connections to survey vendors, their pauses and their lanes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, bindparam, exists, func, insert, or_, select, update

from plugin.errors import NotFound
from plugin.store import errands
from plugin.store.database import put_row
from plugin.store.tables import connections, deliveries, lanes


@dataclass(frozen=True)
class Pause:
    """Why a connection makes no calls. words: the vendor's, or of whoever paused it by hand.

    probe_at: when one call is let through to see whether the vendor takes it again; None when only a person ends it.
    """

    since: datetime
    reason: str | None
    words: str | None
    probe_at: datetime | None


@dataclass(frozen=True)
class StoredConnection:
    """A connection's row with its lane's; `settings` is sealed.

    probe_at: see Pause. in_flight_cap: calls that may be under way at a time. calls_per_minute: None for any number.
    """

    id: str
    tenant_id: str
    name: str
    vendor: str
    settings: str
    paused_at: datetime | None
    paused_reason: str | None
    paused_words: str | None
    last_success_at: datetime | None
    probe_at: datetime | None
    in_flight_cap: int
    calls_per_minute: int | None

    @property
    def pause(self) -> Pause | None:
        if self.paused_at is None:
            return None
        return Pause(self.paused_at, self.paused_reason, self.paused_words, self.probe_at)


_CONNECTION_COLUMNS = (
    connections.c.id,
    connections.c.tenant_id,
    connections.c.name,
    connections.c.vendor,
    connections.c.settings,
    connections.c.paused_at,
    connections.c.paused_reason,
    connections.c.paused_words,
    connections.c.last_success_at,
    lanes.c.probe_at,
    lanes.c.in_flight_cap,
    lanes.c.calls_per_minute,
)


def connections_of(db: Connection, tenant_id: str) -> list[StoredConnection]:
    query = (
        select(*_CONNECTION_COLUMNS)
        .join(lanes, lanes.c.connection_id == connections.c.id)
        .where(connections.c.tenant_id == tenant_id, connections.c.removed_at.is_(None))
        .order_by(connections.c.position)
    )
    return [StoredConnection(**row) for row in db.execute(query).mappings()]


def connection_by_name(db: Connection, tenant_id: str, name: str) -> StoredConnection:
    """Raises NotFound."""
    for connection in connections_of(db, tenant_id):
        if connection.name == name:
            return connection
    raise NotFound(f"This tenant has no connection named {name}.")


def put_connection(db: Connection, tenant_id: str, values: Mapping[str, Any], now: datetime) -> None:
    """Insert or change a connection by its id; a new one gets its lane."""
    if put_row(db, connections, tenant_id, values):
        db.execute(insert(lanes).values(connection_id=values["id"], tenant_id=tenant_id, served_at=now))


def put_limits(
    db: Connection, tenant_id: str, connection_id: str, *, in_flight: int, calls_per_minute: int | None
) -> None:
    """Say how many calls may be under way through a connection at a time, and may begin in a minute (None: any)."""
    db.execute(
        update(lanes)
        .where(lanes.c.tenant_id == tenant_id, lanes.c.connection_id == connection_id)
        .values(in_flight_cap=in_flight, calls_per_minute=calls_per_minute)
    )


def remove_connection(db: Connection, tenant_id: str, connection_id: str, now: datetime) -> None:
    db.execute(
        update(connections)
        .where(connections.c.tenant_id == tenant_id, connections.c.id == connection_id)
        .values(removed_at=now)
    )
    errands.remove_of_lane(db, tenant_id, connection_id)


def pause_connection(
    db: Connection,
    tenant_id: str,
    connection_id: str,
    *,
    reason: str,
    words: str,
    now: datetime,
    probe_at: datetime | None = None,
) -> None:
    """Stop calling through a connection. Its deliveries stay scheduled and are shown as parked.

    probe_at: when it is tried again by itself; None for a pause by a person's hand, which nothing else changes. A
    connection that is paused already keeps its moment and its next try, and gets the newer words.
    """
    lane = and_(lanes.c.tenant_id == tenant_id, lanes.c.connection_id == connection_id)
    which = and_(connections.c.tenant_id == tenant_id, connections.c.id == connection_id)
    if probe_at is not None:
        which = and_(which, or_(connections.c.paused_at.is_(None), exists().where(lane, lanes.c.probe_at.is_not(None))))
    db.execute(
        update(connections)
        .where(which)
        .values(
            paused_at=func.coalesce(connections.c.paused_at, bindparam("now", now, type_=connections.c.paused_at.type)),
            paused_reason=reason,
            paused_words=words,
        )
    )
    if probe_at is None:
        db.execute(update(lanes).where(lane).values(paused=True, probe_at=None, probes=0))
    else:
        # Not where it is paused already: a probe has set the next one, and a person wants none.
        db.execute(
            update(lanes).where(lane, lanes.c.paused.is_(False)).values(paused=True, probe_at=probe_at, probes=0)
        )


def resume_after_probe(db: Connection, tenant_id: str, connection_id: str) -> None:
    """Resume a connection whose vendor has taken a call again, unless a person has paused it meanwhile."""
    probed = select(lanes.c.connection_id).where(
        lanes.c.tenant_id == tenant_id, lanes.c.connection_id == connection_id, lanes.c.probe_at.is_not(None)
    )
    if db.execute(probed).first() is not None:
        resume_connection(db, tenant_id, connection_id)


def resume_connection(db: Connection, tenant_id: str, connection_id: str) -> None:
    """Call through a connection again; what was parked is due at once or when its own time comes."""
    db.execute(
        update(connections)
        .where(connections.c.tenant_id == tenant_id, connections.c.id == connection_id)
        .values(paused_at=None, paused_reason=None, paused_words=None, strikes=0, last_struck=None)
    )
    earliest = (
        select(func.min(deliveries.c.due))
        .where(deliveries.c.connection_id == connection_id, deliveries.c.state == "scheduled")
        .scalar_subquery()
    )
    db.execute(
        update(lanes)
        .where(lanes.c.tenant_id == tenant_id, lanes.c.connection_id == connection_id)
        .values(paused=False, hanging=False, next_due=earliest, probe_at=None, probes=0)
    )


def parked_counts(db: Connection, tenant_id: str) -> dict[str, int]:
    """Scheduled deliveries by connection id."""
    query = (
        select(deliveries.c.connection_id, func.count().label("parked"))
        .where(deliveries.c.tenant_id == tenant_id, deliveries.c.state == "scheduled")
        .group_by(deliveries.c.connection_id)
    )
    return {row.connection_id: row.parked for row in db.execute(query)}
