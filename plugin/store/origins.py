"""What an event came of, as much as planning it anew needs: its message and its source, not the whole receipt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, bindparam, select

from plugin.store.events import StoredBody, StoredEvent, body_of, event_by_id
from plugin.store.tables import deliveries, rules, sources, triggers


@dataclass(frozen=True)
class Origin:
    """body: None where it has been removed; emptied_for says why, `retention` or `forgotten`.

    source_state: as it is now. event.test: whether it was `test` when the event came.
    """

    event: StoredEvent
    source_id: str
    source: str
    source_kind: str
    source_state: str
    source_settings: Mapping[str, Any] | None
    source_language: str | None
    received_at: datetime
    method: str
    emptied_for: str | None
    body: StoredBody | None


_TRIGGER: Final = (
    select(
        sources.c.id.label("source_id"),
        sources.c.name.label("source"),
        sources.c.kind.label("source_kind"),
        sources.c.state.label("source_state"),
        sources.c.settings.label("source_settings"),
        sources.c.language.label("source_language"),
        triggers.c.received_at,
        triggers.c.method,
        triggers.c.emptied_for,
    )
    .join(sources, sources.c.id == triggers.c.source_id)
    .where(triggers.c.tenant_id == bindparam("tenant"), triggers.c.id == bindparam("trigger"))
)


def origin_of(db: Connection, tenant_id: str, event_id: str) -> Origin | None:
    """None when the tenant has no such event."""
    event = event_by_id(db, tenant_id, event_id)
    if event is None:
        return None
    trigger = db.execute(_TRIGGER, {"tenant": tenant_id, "trigger": event.trigger_id}).mappings().one()
    return Origin(event=event, body=body_of(db, tenant_id, event.trigger_id), **trigger)


_EVENT_OF: Final = select(deliveries.c.event_id).where(
    deliveries.c.tenant_id == bindparam("tenant"), deliveries.c.id == bindparam("delivery")
)


def parent_of(db: Connection, tenant_id: str, event: StoredEvent) -> Origin | None:
    """The event whose delivery this one belongs to; None where it belongs to none."""
    if event.parent_delivery_id is None:
        return None
    given = {"tenant": tenant_id, "delivery": event.parent_delivery_id}
    parent_id = db.execute(_EVENT_OF, given).scalar()
    return origin_of(db, tenant_id, parent_id) if parent_id is not None else None


@dataclass(frozen=True)
class MadeDelivery:
    """A delivery as a replay sees it. rule: its name."""

    id: str
    event_id: str
    rule: str
    state: str


_MADE: Final = (
    select(deliveries.c.id, deliveries.c.event_id, rules.c.name, deliveries.c.state)
    .join(rules, rules.c.id == deliveries.c.rule_id)
    .where(deliveries.c.tenant_id == bindparam("tenant"))
)
_BY_ID: Final = _MADE.where(deliveries.c.id == bindparam("delivery"))
_OF_UNIT: Final = _MADE.where(deliveries.c.unit_id == bindparam("unit"), deliveries.c.replay_of.is_(None))
_REPLAY_OF: Final = (
    select(deliveries.c.id)
    .where(deliveries.c.event_id == bindparam("event"), deliveries.c.replay_of == bindparam("delivery"))
    .order_by(deliveries.c.id)
    .limit(1)
)


def made_delivery(db: Connection, tenant_id: str, delivery_id: str) -> MadeDelivery | None:
    row = db.execute(_BY_ID, {"tenant": tenant_id, "delivery": delivery_id}).one_or_none()
    return MadeDelivery(*row) if row is not None else None


def first_replay_of(db: Connection, made: MadeDelivery) -> str | None:
    """The delivery that was made of this one first, if any."""
    return db.execute(_REPLAY_OF, {"event": made.event_id, "delivery": made.id}).scalar()


def deliveries_of_unit(db: Connection, tenant_id: str, unit_id: str) -> list[MadeDelivery]:
    """What the rules have asked for in one episode, or for one event that has none; without replays."""
    return [MadeDelivery(*row) for row in db.execute(_OF_UNIT, {"tenant": tenant_id, "unit": unit_id})]
