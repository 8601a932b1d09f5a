"""What came in: triggers, events, episodes and verdicts; and finding out whether it came before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, insert, select, tuple_, update

from plugin.domain.episode import Episode
from plugin.store.tables import episodes, event_keys, event_values, events, trigger_bodies, triggers, verdicts


@dataclass(frozen=True)
class NewTrigger:
    """A trigger as it is stored. headers: without their secrets."""

    id: str
    source_id: str
    received_at: datetime
    method: str
    replay_mark: str | None
    query: str
    headers: Mapping[str, str]
    body: bytes
    cause: str | None = None
    cause_detail: str = ""


@dataclass(frozen=True)
class NewEvent:
    id: str
    trigger_id: str
    source_id: str
    position: int
    sender_id: str | None
    kind: str
    vendor_kind: str
    happened_at: datetime | None
    subject: str | None
    episode_id: str | None
    planned: bool
    notes: Sequence[str]
    values: Mapping[str, Any]
    unrendered: Sequence[str]


@dataclass(frozen=True)
class StoredVerdict:
    rule_id: str | None
    rule: str | None
    decision: str
    cause: str
    detail: str
    warnings: Sequence[str]
    delivery_id: str | None
    preview: Mapping[str, Any] | None


@dataclass(frozen=True)
class KnownEvent:
    """An event that has come before."""

    id: str
    trigger_id: str
    kind: str


# --- has it come before? ----------------------------------------------------------------------------------------------


_TRIGGER_BY_MARK: Final = select(triggers.c.id).where(
    triggers.c.source_id == bindparam("source"), triggers.c.replay_mark == bindparam("mark")
)


def trigger_by_replay_mark(db: Connection, source_id: str, mark: str) -> str | None:
    """The id of the trigger that carried this mark."""
    return db.execute(_TRIGGER_BY_MARK, {"source": source_id, "mark": mark}).scalar()


_KNOWN_EVENT: Final = (
    select(events.c.id, events.c.trigger_id, events.c.kind)
    .join(event_keys, event_keys.c.event_id == events.c.id)
    .where(
        event_keys.c.source_id == bindparam("source"),
        event_keys.c.key == bindparam("key"),
        event_keys.c.forget_at > bindparam("now"),
    )
)


def known_event(db: Connection, source_id: str, key: str, now: datetime) -> KnownEvent | None:
    """The event that a source has sent under this key, unless the key's time is over."""
    row = db.execute(_KNOWN_EVENT, {"source": source_id, "key": key, "now": now}).one_or_none()
    return KnownEvent(*row) if row else None


_FORGET_KEY: Final = delete(event_keys).where(
    event_keys.c.source_id == bindparam("source"), event_keys.c.key == bindparam("known_as")
)


def remember_event(
    db: Connection, tenant_id: str, source_id: str, *, key: str, event_id: str, forget_at: datetime
) -> None:
    """Remember an event's key. One whose time was over makes way for it."""
    db.execute(_FORGET_KEY, {"source": source_id, "known_as": key})
    values = {"tenant_id": tenant_id, "source_id": source_id, "key": key, "event_id": event_id, "forget_at": forget_at}
    db.execute(insert(event_keys), values)


def forget_old_keys(db: Connection, now: datetime, limit: int) -> int:
    """Drop event keys whose time is over, at most `limit`; gives how many."""
    old = select(event_keys.c.source_id, event_keys.c.key).where(event_keys.c.forget_at <= now).limit(limit)
    return db.execute(delete(event_keys).where(tuple_(event_keys.c.source_id, event_keys.c.key).in_(old))).rowcount


# --- episodes ---------------------------------------------------------------------------------------------------------

_EPISODE_COLUMNS = (episodes.c.id, episodes.c.number, episodes.c.mark, episodes.c.status, episodes.c.ended_at)


_LATEST_EPISODE: Final = (
    select(*_EPISODE_COLUMNS)
    .where(episodes.c.source_id == bindparam("source"), episodes.c.subject == bindparam("subject"))
    .order_by(episodes.c.number.desc())
    .limit(1)
)
_EPISODE_BY_MARK: Final = _LATEST_EPISODE.where(episodes.c.mark == bindparam("mark"))


def latest_episode(db: Connection, source_id: str, subject: str) -> Episode | None:
    row = db.execute(_LATEST_EPISODE, {"source": source_id, "subject": subject}).one_or_none()
    return _episode(row) if row else None


def episode_by_mark(db: Connection, source_id: str, subject: str, mark: str) -> Episode | None:
    row = db.execute(_EPISODE_BY_MARK, {"source": source_id, "subject": subject, "mark": mark}).one_or_none()
    return _episode(row) if row else None


def begin_episode(
    db: Connection, tenant_id: str, source_id: str, subject: str, episode: Episode, now: datetime
) -> None:
    db.execute(
        insert(episodes),
        {
            "id": episode.id,
            "tenant_id": tenant_id,
            "source_id": source_id,
            "subject": subject,
            "number": episode.number,
            "mark": episode.mark,
            "status": episode.status,
            "began_at": now,
        },
    )


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


def _episode(row: Any) -> Episode:
    return Episode(row.id, row.number, row.mark, row.status, ended=row.ended_at is not None)


# --- writing ----------------------------------------------------------------------------------------------------------


def add_trigger(db: Connection, tenant_id: str, trigger: NewTrigger) -> None:
    db.execute(
        insert(triggers),
        {
            "id": trigger.id,
            "tenant_id": tenant_id,
            "source_id": trigger.source_id,
            "received_at": trigger.received_at,
            "method": trigger.method,
            "replay_mark": trigger.replay_mark,
            "cause": trigger.cause,
            "cause_detail": trigger.cause_detail,
        },
    )
    db.execute(
        insert(trigger_bodies),
        {
            "trigger_id": trigger.id,
            "tenant_id": tenant_id,
            "query": trigger.query,
            "headers": dict(trigger.headers),
            "body": trigger.body,
        },
    )


def count_duplicate(db: Connection, tenant_id: str, trigger_id: str) -> None:
    """Note on a receipt that its message came once more."""
    db.execute(
        update(triggers)
        .where(triggers.c.tenant_id == tenant_id, triggers.c.id == trigger_id)
        .values(duplicates=triggers.c.duplicates + 1)
    )


def add_event(db: Connection, tenant_id: str, event: NewEvent) -> None:
    db.execute(
        insert(events),
        {
            "id": event.id,
            "tenant_id": tenant_id,
            "trigger_id": event.trigger_id,
            "source_id": event.source_id,
            "position": event.position,
            "sender_id": event.sender_id,
            "kind": event.kind,
            "vendor_kind": event.vendor_kind,
            "happened_at": event.happened_at,
            "subject": event.subject,
            "episode_id": event.episode_id,
            "planned": event.planned,
            "notes": list(event.notes),
        },
    )
    db.execute(
        insert(event_values),
        {
            "event_id": event.id,
            "tenant_id": tenant_id,
            "placeholders": dict(event.values),
            "unrendered": list(event.unrendered),
        },
    )


def add_verdicts(db: Connection, tenant_id: str, event_id: str, stored: Sequence[StoredVerdict]) -> None:
    rows = [
        {"tenant_id": tenant_id, "event_id": event_id, "position": position, **vars(verdict)}
        for position, verdict in enumerate(stored)
    ]
    if rows:
        db.execute(insert(verdicts), rows)


# --- reading ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class StoredTrigger:
    id: str
    source_id: str
    source: str
    received_at: datetime
    method: str
    cause: str | None
    cause_detail: str
    duplicates: int


@dataclass(frozen=True)
class StoredBody:
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class StoredEvent:
    id: str
    position: int
    sender_id: str | None
    kind: str
    vendor_kind: str
    happened_at: datetime | None
    subject: str | None
    episode_id: str | None
    episode_number: int | None
    planned: bool
    notes: Sequence[str]
    values: Mapping[str, Any]
    unrendered: Sequence[str]


def events_of(db: Connection, tenant_id: str, trigger_id: str) -> list[StoredEvent]:
    """The events of one trigger in their order. Values are empty where retention has removed them."""
    query = (
        select(
            events.c.id,
            events.c.position,
            events.c.sender_id,
            events.c.kind,
            events.c.vendor_kind,
            events.c.happened_at,
            events.c.subject,
            events.c.episode_id,
            episodes.c.number.label("episode_number"),
            events.c.planned,
            events.c.notes,
            event_values.c.placeholders.label("values"),
            event_values.c.unrendered,
        )
        .outerjoin(episodes, episodes.c.id == events.c.episode_id)
        .outerjoin(event_values, event_values.c.event_id == events.c.id)
        .where(events.c.tenant_id == tenant_id, events.c.trigger_id == trigger_id)
        .order_by(events.c.position)
    )
    return [
        StoredEvent(**{**row, "values": row["values"] or {}, "unrendered": row["unrendered"] or ()})
        for row in db.execute(query).mappings()
    ]


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
