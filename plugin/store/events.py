"""What came in, as it is stored: events and verdicts, keys that are forgotten, episodes that go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, bindparam, delete, func, insert, select, tuple_, update

from plugin.domain.event import EventKind
from plugin.store.tables import episodes, event_keys, event_values, events, trigger_bodies, triggers, verdicts


@dataclass(frozen=True)
class StoredVerdict:
    """planned_again_at: when a replay has planned the event anew for this rule; None as the event came."""

    rule_id: str | None
    rule: str | None
    decision: str
    cause: str
    detail: str
    warnings: Sequence[str]
    delivery_id: str | None
    preview: Mapping[str, Any] | None
    planned_again_at: datetime | None = None


# --- forgetting -------------------------------------------------------------------------------------------------------


_OLD_KEYS: Final = (
    select(event_keys.c.source_id, event_keys.c.key)
    .where(event_keys.c.forget_at <= bindparam("now"))
    .order_by(event_keys.c.forget_at)
    .limit(bindparam("most"))
)


def has_old_keys(db: Connection, now: datetime) -> bool:
    """Whether there are event keys whose time is over."""
    return db.execute(_OLD_KEYS, {"now": now, "most": 1}).first() is not None


def forget_old_keys(db: Connection, now: datetime, most: int) -> int:
    """Drop event keys whose time is over, at most so many; gives how many. Other workers take others."""
    old = _OLD_KEYS.with_for_update(skip_locked=True)
    statement = delete(event_keys).where(tuple_(event_keys.c.source_id, event_keys.c.key).in_(old))
    return db.execute(statement, {"now": now, "most": most}).rowcount


# --- episodes ---------------------------------------------------------------------------------------------------------


def end_episode(db: Connection, tenant_id: str, episode_id: str, now: datetime) -> None:
    """A re-opening ends the episode: the next closing is another one."""
    db.execute(
        update(episodes)
        .where(episodes.c.tenant_id == tenant_id, episodes.c.id == episode_id, episodes.c.ended_at.is_(None))
        .values(ended_at=now)
    )


def note_status(db: Connection, tenant_id: str, episode_id: str, status: str | None) -> None:
    """Remember the status a repeated closing brought (solved, then closed)."""
    if status is not None:
        db.execute(
            update(episodes).where(episodes.c.tenant_id == tenant_id, episodes.c.id == episode_id).values(status=status)
        )


# --- writing ----------------------------------------------------------------------------------------------------------


def count_duplicate(db: Connection, tenant_id: str, trigger_id: str) -> None:
    """Note on a receipt that its message came once more."""
    db.execute(
        update(triggers)
        .where(triggers.c.tenant_id == tenant_id, triggers.c.id == trigger_id)
        .values(duplicates=triggers.c.duplicates + 1)
    )


def forget_key(db: Connection, tenant_id: str, source_id: str, key: str) -> None:
    """Let a key whose time is over make way for the same one anew."""
    db.execute(
        delete(event_keys).where(
            event_keys.c.tenant_id == tenant_id, event_keys.c.source_id == source_id, event_keys.c.key == key
        )
    )


def complete_event(
    db: Connection,
    tenant_id: str,
    event_id: str,
    *,
    kind: str,
    happened_at: datetime | None,
    subject: str | None,
    episode_id: str | None,
    planned: bool,
    notes: Sequence[str],
    values: Mapping[str, Any],
    unrendered: Sequence[str],
) -> None:
    """Write down what was found out about an event besides its message; it then waits for it no more."""
    which = (events.c.tenant_id == tenant_id, events.c.id == event_id)
    told = {"kind": kind, "happened_at": happened_at, "subject": subject, "episode_id": episode_id}
    state = {"planned": planned, "waits": False, "looked_up": True, "notes": list(notes)}
    db.execute(update(events).where(*which).values(**told, **state))
    db.execute(
        update(event_values)
        .where(event_values.c.tenant_id == tenant_id, event_values.c.event_id == event_id)
        .values(placeholders=dict(values), unrendered=list(unrendered))
    )


def wait_no_more(db: Connection, tenant_id: str, event_id: str, *, note: str) -> None:
    """Have an event planned with what it has. note: why there is no more, for its receipt; may be empty."""
    which = (events.c.tenant_id == tenant_id, events.c.id == event_id)
    notes = db.execute(select(events.c.notes).where(*which).with_for_update()).scalar()
    if notes is not None:
        told = [*notes, note] if note else list(notes)
        db.execute(update(events).where(*which).values(waits=False, notes=told))


def add_later_verdict(db: Connection, tenant_id: str, event_id: str, stored: StoredVerdict) -> None:
    """Add what was decided when an event was planned again; the verdicts before stay. The event must be held."""
    position = db.execute(select(func.count()).where(verdicts.c.event_id == event_id)).scalar_one()
    row = {"tenant_id": tenant_id, "event_id": event_id, "position": position, **vars(stored)}
    db.execute(insert(verdicts), row)


_HOLD_EVENT: Final = (
    select(events.c.id)
    .where(events.c.tenant_id == bindparam("tenant"), events.c.id == bindparam("event"))
    .with_for_update(key_share=True)
)


def hold_event(db: Connection, tenant_id: str, event_id: str) -> None:
    """Let nobody else make a delivery of this event by hand before this transaction ends."""
    db.execute(_HOLD_EVENT, {"tenant": tenant_id, "event": event_id})


# --- reading ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class StoredBody:
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class StoredEvent:
    """values: empty where retention has removed them. test: its source was in state test when it came.

    looked_up: whether it was completed by what its source was asked for, or has said before: then the values hold more
    than the message.
    waits: something is asked first, before it is planned. parent_delivery_id: the delivery that it belongs to; depth:
    how many calls lie between it and a message from outside.
    """

    id: str
    trigger_id: str
    position: int
    sender_id: str | None
    kind: str
    vendor_kind: str
    happened_at: datetime | None
    subject: str | None
    episode_id: str | None
    episode_number: int | None
    planned: bool
    looked_up: bool
    waits: bool
    parent_delivery_id: str | None
    depth: int
    notes: Sequence[str]
    test: bool
    values: Mapping[str, Any]
    unrendered: Sequence[str]

    @property
    def unit_id(self) -> str:
        """What a rule asks for at most once: the episode that the event closes, else the event."""
        return self.episode_id if self.episode_id is not None and EventKind(self.kind).closes else self.id

    @property
    def is_learnt(self) -> bool:
        """Whether a vendor's answer told it, so that no message holds it."""
        return self.parent_delivery_id is not None and not EventKind(self.kind).is_report


_EVENTS: Final = (
    select(
        events.c.id,
        events.c.trigger_id,
        events.c.position,
        events.c.sender_id,
        events.c.kind,
        events.c.vendor_kind,
        events.c.happened_at,
        events.c.subject,
        events.c.episode_id,
        episodes.c.number.label("episode_number"),
        events.c.planned,
        events.c.looked_up,
        events.c.waits,
        events.c.parent_delivery_id,
        events.c.depth,
        events.c.notes,
        events.c.test,
        event_values.c.placeholders.label("values"),
        event_values.c.unrendered,
    )
    .outerjoin(episodes, episodes.c.id == events.c.episode_id)
    .outerjoin(event_values, event_values.c.event_id == events.c.id)
    .where(events.c.tenant_id == bindparam("tenant"))
)
_EVENTS_OF: Final = _EVENTS.where(events.c.trigger_id == bindparam("trigger")).order_by(events.c.position, events.c.id)
_EVENT_BY_ID: Final = _EVENTS.where(events.c.id == bindparam("event"))


def events_of(db: Connection, tenant_id: str, trigger_id: str) -> list[StoredEvent]:
    """The events of one trigger in their order."""
    found = db.execute(_EVENTS_OF, {"tenant": tenant_id, "trigger": trigger_id})
    return [_stored_event(row) for row in found.mappings()]


def event_by_id(db: Connection, tenant_id: str, event_id: str) -> StoredEvent | None:
    row = db.execute(_EVENT_BY_ID, {"tenant": tenant_id, "event": event_id}).mappings().one_or_none()
    return _stored_event(row) if row is not None else None


def _stored_event(row: RowMapping) -> StoredEvent:
    return StoredEvent(**{**row, "values": row["values"] or {}, "unrendered": row["unrendered"] or ()})


def verdicts_of(db: Connection, tenant_id: str, event_id: str) -> list[StoredVerdict]:
    query = (
        select(
            verdicts.c.rule_id,
            verdicts.c.rule,
            verdicts.c.decision,
            verdicts.c.cause,
            verdicts.c.detail,
            verdicts.c.warnings,
            verdicts.c.delivery_id,
            verdicts.c.preview,
            verdicts.c.planned_again_at,
        )
        .where(verdicts.c.tenant_id == tenant_id, verdicts.c.event_id == event_id)
        .order_by(verdicts.c.position)
    )
    return [StoredVerdict(*row) for row in db.execute(query)]


def body_of(db: Connection, tenant_id: str, trigger_id: str) -> StoredBody | None:
    """The message as it came; None where retention has removed it."""
    row = db.execute(
        select(trigger_bodies.c.query, trigger_bodies.c.headers, trigger_bodies.c.body).where(
            trigger_bodies.c.tenant_id == tenant_id, trigger_bodies.c.trigger_id == trigger_id
        )
    ).one_or_none()
    return StoredBody(*row) if row else None
