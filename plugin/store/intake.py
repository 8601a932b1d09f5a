"""Writing down what came in: the rows of many messages at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from plugin.domain.episode import Episode
from plugin.store.bulk import insert_rows
from plugin.store.events import StoredVerdict
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
    test: bool = False
    waits: bool = False


@dataclass(frozen=True)
class NewKey:
    """What an event is recognised by when it comes again, until forget_at."""

    tenant_id: str
    source_id: str
    key: str
    event_id: str
    forget_at: datetime


@dataclass(frozen=True)
class NewEpisode:
    tenant_id: str
    source_id: str
    subject: str
    episode: Episode
    began_at: datetime


def add_triggers(db: Connection, new: Sequence[tuple[str, NewTrigger]]) -> None:
    """Store triggers, each with the id of its tenant."""
    if not new:
        return
    insert_rows(
        db,
        triggers,
        [
            {
                "id": trigger.id,
                "tenant_id": tenant_id,
                "source_id": trigger.source_id,
                "received_at": trigger.received_at,
                "method": trigger.method,
                "replay_mark": trigger.replay_mark,
                "cause": trigger.cause,
                "cause_detail": trigger.cause_detail,
            }
            for tenant_id, trigger in new
        ],
    )
    insert_rows(
        db,
        trigger_bodies,
        [
            {
                "trigger_id": trigger.id,
                "tenant_id": tenant_id,
                "query": trigger.query,
                "headers": dict(trigger.headers),
                "body": trigger.body,
            }
            for tenant_id, trigger in new
        ],
    )


def begin_episodes(db: Connection, new: Sequence[NewEpisode]) -> None:
    if not new:
        return
    insert_rows(
        db,
        episodes,
        [
            {
                "id": one.episode.id,
                "tenant_id": one.tenant_id,
                "source_id": one.source_id,
                "subject": one.subject,
                "number": one.episode.number,
                "mark": one.episode.mark,
                "status": one.episode.status,
                "began_at": one.began_at,
            }
            for one in new
        ],
    )


def add_events(db: Connection, new: Sequence[tuple[str, NewEvent]]) -> None:
    """Store events with their values, each with the id of its tenant; `remember` their keys as well."""
    if not new:
        return
    insert_rows(
        db,
        events,
        [
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
                "test": event.test,
                "waits": event.waits,
            }
            for tenant_id, event in new
        ],
    )
    insert_rows(
        db,
        event_values,
        [
            {
                "event_id": event.id,
                "tenant_id": tenant_id,
                "placeholders": dict(event.values),
                "unrendered": list(event.unrendered),
            }
            for tenant_id, event in new
        ],
    )


def remember(db: Connection, new: Sequence[NewKey]) -> None:
    """Remember events by their keys."""
    if not new:
        return
    rows = [
        {
            "tenant_id": key.tenant_id,
            "source_id": key.source_id,
            "key": key.key,
            "event_id": key.event_id,
            "forget_at": key.forget_at,
        }
        for key in new
    ]
    insert_rows(db, event_keys, rows)


def add_verdicts(db: Connection, new: Sequence[tuple[str, str, Sequence[StoredVerdict]]]) -> None:
    """Store the verdicts of events: of each the ids of its tenant and its own, and its verdicts in their order."""
    rows = [
        {"tenant_id": tenant_id, "event_id": event_id, "position": position, **vars(verdict)}
        for tenant_id, event_id, stored in new
        for position, verdict in enumerate(stored)
    ]
    if rows:
        insert_rows(db, verdicts, rows)
