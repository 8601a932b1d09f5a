"""What an event says, read again from its kept message; and what it takes over from the events before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from plugin.domain.chain import inherit
from plugin.domain.event import Event, EventKind, Value
from plugin.errors import Unreadable
from plugin.pipeline.credentials import load_reading
from plugin.pipeline.draft import with_language
from plugin.pipeline.reading import read_events
from plugin.registry import InboundRequest
from plugin.store import tenants
from plugin.store.events import StoredEvent
from plugin.store.origins import Origin, parent_of


class MessageGone(Exception):
    """The message was removed. emptied_for: `retention` or `forgotten`."""

    def __init__(self, emptied_for: str) -> None:
        super().__init__(emptied_for)
        self.emptied_for = emptied_for


#: What messages hold, by their receipts: those that are read for many of their events in one go.
Messages = dict[str, Sequence[Event]]


def read_message(origin: Origin, read: Messages | None = None) -> Event:
    """An event as its kept message tells it. read: messages that need not be read anew; this one is added to them.

    Raises MessageGone, Unreadable.
    """
    if origin.body is None:
        raise MessageGone(origin.emptied_for or "retention")
    parsed = read.get(origin.event.trigger_id) if read is not None else None
    if parsed is None:
        request = InboundRequest(origin.method, origin.body.query, origin.body.headers, origin.body.body)
        settings = load_reading(origin.source_kind, origin.source_settings)
        parsed = read_events(origin.source_kind, request, settings).events
    if read is not None:
        read[origin.event.trigger_id] = parsed
    if origin.event.position >= len(parsed):
        raise Unreadable("It does not hold this event any more.")
    event = parsed[origin.event.position]
    # Whether it ended a closing was decided when it came in.
    return replace(event, kind=EventKind(origin.event.kind)) if event.only_after_closing else event


def read_again(db: Connection, tenant_id: str, origin: Origin, read: Messages | None = None) -> Event:
    """An event with all that was found out about it: what its message tells, or the answer of a vendor that told it,
    and what its source was asked for besides. read: as in `read_message`. Raises MessageGone, Unreadable.
    """
    if not origin.event.is_learnt:
        tenant_language = tenants.tenant_by_id(db, tenant_id).language
        return with_language(
            _completed(read_message(origin, read), origin.event), origin.source_language, tenant_language
        )
    if not origin.event.values:
        raise MessageGone(origin.emptied_for or "retention")
    return Event(EventKind(origin.event.kind), time=origin.event.happened_at, values=values_of(origin.event.values))


def ancestors(db: Connection, tenant_id: str, parent: Origin | None) -> list[Origin]:
    """The event that another one follows from, and those before it; the nearest first."""
    found = []
    while parent is not None:
        found.append(parent)
        parent = parent_of(db, tenant_id, parent.event)
    return found


def with_inherited(db: Connection, tenant_id: str, event: Event, before: Sequence[Origin]) -> Event:
    """The event with what it takes over from its `ancestors`; where a message is gone, what it said is missing."""
    for origin in before:
        try:
            event = inherit(event, read_again(db, tenant_id, origin))
        except (MessageGone, Unreadable):
            continue
    return event


def _completed(event: Event, stored: StoredEvent) -> Event:
    if not stored.looked_up:
        return event
    return replace(
        event,
        kind=EventKind(stored.kind),
        time=stored.happened_at,
        subject=stored.subject,
        values=values_of(stored.values),
        unrendered=frozenset(stored.unrendered),
        notes=tuple(stored.notes),
    )


def values_of(stored: Mapping[str, Any]) -> dict[str, Value]:
    """An event's values as they are stored, in the form that events have them."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()}
