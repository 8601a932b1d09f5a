"""Messages that came while their source was in state capture, for somebody who says what is what in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, select

from plugin.store.events import StoredBody
from plugin.store.tables import events, trigger_bodies, triggers

#: How far back they are looked for, in messages of the tenant.
_LOOKED_AT: Final = 2000


@dataclass(frozen=True)
class CapturedMessage:
    """receipt: its id."""

    receipt: str
    received_at: datetime
    method: str
    body: StoredBody = field(repr=False)


def captured_messages(
    db: Connection, tenant_id: str, source_id: str, vendor_kind: str, limit: int
) -> list[CapturedMessage]:
    """The newest first. vendor_kind: what their events are marked with."""
    newest = (
        select(triggers.c.id, triggers.c.source_id, triggers.c.received_at, triggers.c.method)
        .where(triggers.c.tenant_id == tenant_id)
        .order_by(triggers.c.id.desc())
        .limit(_LOOKED_AT)
        .subquery()
    )
    query = (
        select(
            newest.c.id,
            newest.c.received_at,
            newest.c.method,
            trigger_bodies.c.query,
            trigger_bodies.c.headers,
            trigger_bodies.c.body,
        )
        .join(events, events.c.trigger_id == newest.c.id)
        .join(trigger_bodies, trigger_bodies.c.trigger_id == newest.c.id)
        .where(newest.c.source_id == source_id, events.c.tenant_id == tenant_id, events.c.vendor_kind == vendor_kind)
        .where(trigger_bodies.c.tenant_id == tenant_id)
        .order_by(newest.c.id.desc())
        .limit(limit)
    )
    return [CapturedMessage(*row[:3], StoredBody(*row[3:])) for row in db.execute(query)]
