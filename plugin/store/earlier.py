"""What a source said before about the same ticket or chat: found, and held while another event takes it over."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, bindparam, select

from plugin.store.tables import UtcTime, event_values, events, triggers


@dataclass(frozen=True)
class EarlierEvent:
    """vendor_kind: the sender's own word for what happened."""

    id: str
    trigger_id: str
    vendor_kind: str
    values: Mapping[str, Any]


#: Found by what they are about, and only then sorted: a server might else walk through all events, the newest first.
_SAID: Final = (
    select(events.c.id, events.c.trigger_id, events.c.vendor_kind, event_values.c.placeholders)
    .join(event_values, event_values.c.event_id == events.c.id)
    .join(triggers, triggers.c.id == events.c.trigger_id)
    .where(
        events.c.tenant_id == bindparam("tenant"),
        events.c.subject == bindparam("about"),
        events.c.source_id == bindparam("source"),
        events.c.vendor_kind.in_(bindparam("words", expanding=True)),
        # What is only tried and what is sent for real know nothing of each other.
        events.c.test == bindparam("tried"),
        # Ids sort by the time they were made.
        events.c.id < bindparam("before"),
        triggers.c.received_at >= bindparam("since", type_=UtcTime),
    )
    .cte("said")
    .prefix_with("MATERIALIZED")
)
_NEWEST: Final = select(_SAID).order_by(_SAID.c.id.desc()).limit(1)


def newest_before(
    db: Connection,
    tenant_id: str,
    source_id: str,
    subject: str,
    *,
    words: Collection[str],
    before: str,
    since: datetime,
    test: bool,
) -> EarlierEvent | None:
    """The newest event about `subject` that its sender calls one of `words`, of those whose values are still kept.

    before: the id of the event that it has to be older than. since: when it may have come in at the earliest.
    """
    given = {"tenant": tenant_id, "source": source_id, "about": subject, "words": sorted(words)}
    row = db.execute(_NEWEST, {**given, "tried": test, "before": before, "since": since}).one_or_none()
    return EarlierEvent(*row) if row is not None else None


_HOLD: Final = (
    select(event_values.c.event_id)
    .where(event_values.c.event_id.in_(bindparam("ids", expanding=True)))
    .order_by(event_values.c.event_id)
    .with_for_update(read=True)
)


def hold_values(db: Connection, event_ids: Collection[str]) -> set[str]:
    """Those of these events whose values are still kept; nobody empties them before this transaction ends."""
    return set(db.execute(_HOLD, {"ids": sorted(event_ids)}).scalars()) if event_ids else set()


_ABOUT: Final = (
    select(events.c.source_id, events.c.subject)
    .where(events.c.id.in_(bindparam("ids", expanding=True)), events.c.subject.is_not(None))
    .distinct()
)
_COMPLETED: Final = (
    select(events.c.trigger_id)
    # Without values there is nothing left to empty.
    .join(event_values, event_values.c.event_id == events.c.id)
    .where(
        events.c.tenant_id == bindparam("tenant"),
        events.c.subject == bindparam("about"),
        events.c.source_id == bindparam("source"),
        events.c.looked_up,
    )
    .distinct()
)


def subjects_of(db: Connection, event_ids: Collection[str]) -> set[tuple[str, str]]:
    """What these events are about: the ids of their sources, and their subjects there."""
    return {(row.source_id, row.subject) for row in db.execute(_ABOUT, {"ids": sorted(event_ids)})}


def receipts_completed(db: Connection, tenant_id: str, about: Collection[tuple[str, str]]) -> list[str]:
    """The receipts of events about these subjects that know more than their own messages, and know it still."""
    return [
        trigger_id
        for source_id, subject in sorted(about)
        for trigger_id in db.execute(_COMPLETED, {"tenant": tenant_id, "source": source_id, "about": subject}).scalars()
    ]
