"""What calls have told besides: stored as events on the receipts of their deliveries, for a worker to plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, func, select

from plugin.store.bulk import insert_rows
from plugin.store.tables import deliveries, delivery_calls, event_values, events


@dataclass(frozen=True)
class LearntEvent:
    """id: of the new event. delivery_id: whose call has told it. values: placeholders by flat name."""

    id: str
    delivery_id: str
    kind: str
    values: Mapping[str, str]


_SIBLINGS: Final = events.alias("siblings")
_PARENTS: Final = (
    select(
        deliveries.c.id,
        events.c.tenant_id,
        events.c.trigger_id,
        events.c.source_id,
        events.c.subject,
        events.c.episode_id,
        events.c.depth,
        select(func.max(_SIBLINGS.c.position))
        .where(_SIBLINGS.c.trigger_id == events.c.trigger_id)
        .scalar_subquery()
        .label("last_position"),
    )
    .join(events, events.c.id == deliveries.c.event_id)
    # Gone where the person was forgotten meanwhile: then nothing more is kept.
    .join(delivery_calls, delivery_calls.c.delivery_id == deliveries.c.id)
    .where(deliveries.c.id.in_(bindparam("ids", expanding=True)))
)


def add_learnt(db: Connection, learnt: Sequence[LearntEvent], now: datetime) -> None:
    """Store what calls have told. The deliveries must be held by the caller's transaction."""
    if not learnt:
        return
    ids = sorted({one.delivery_id for one in learnt})
    parents = {row.id: row for row in db.execute(_PARENTS, {"ids": ids})}
    kept = [(one, parents[one.delivery_id]) for one in learnt if one.delivery_id in parents]
    last: dict[str, int] = {row.trigger_id: row.last_position for row in parents.values()}
    rows = []
    for one, parent in kept:
        last[parent.trigger_id] += 1
        rows.append(
            {
                "id": one.id,
                "tenant_id": parent.tenant_id,
                "trigger_id": parent.trigger_id,
                "source_id": parent.source_id,
                "position": last[parent.trigger_id],
                "kind": one.kind,
                "vendor_kind": "",
                "happened_at": now,
                "subject": parent.subject,
                "episode_id": parent.episode_id,
                "planned": False,
                "parent_delivery_id": parent.id,
                "depth": parent.depth + 1,
                "notes": [],
            }
        )
    insert_rows(db, events, rows)
    insert_rows(
        db,
        event_values,
        [
            {"event_id": one.id, "tenant_id": parent.tenant_id, "placeholders": dict(one.values), "unrendered": []}
            for one, parent in kept
        ],
    )
