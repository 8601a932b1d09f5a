"""What an event says, read again from its kept message; and what it takes over from the events before it."""

from __future__ import annotations

from sqlalchemy import Connection

from plugin import registry
from plugin.domain.chain import inherit
from plugin.domain.event import Event, EventKind
from plugin.errors import Unreadable
from plugin.registry import InboundRequest
from plugin.store.origins import Origin, parent_of


class MessageGone(Exception):
    """The message was removed. emptied_for: `retention` or `forgotten`."""

    def __init__(self, emptied_for: str) -> None:
        super().__init__(emptied_for)
        self.emptied_for = emptied_for


def read_again(origin: Origin) -> Event:
    """An event as its own message, or the vendor's answer that told it, has it. Raises MessageGone, Unreadable."""
    if origin.body is None or (origin.event.is_learnt and not origin.event.values):
        raise MessageGone(origin.emptied_for or "retention")
    if origin.event.is_learnt:
        return _as_told(origin)
    request = InboundRequest(origin.method, origin.body.query, origin.body.headers, origin.body.body)
    parsed = registry.source(origin.source_kind).parse(request)
    if origin.event.position >= len(parsed):
        raise Unreadable("It does not hold this event any more.")
    return parsed[origin.event.position]


def with_inherited(db: Connection, tenant_id: str, event: Event, parent: Origin | None) -> Event:
    """The event with what it takes over from the one whose delivery it belongs to, and from those before that.

    Where a message is gone by now, what it said is missing.
    """
    if parent is None:
        return event
    try:
        before = read_again(parent)
    except (MessageGone, Unreadable):
        before = Event(EventKind(parent.event.kind))
    return inherit(event, with_inherited(db, tenant_id, before, parent_of(db, tenant_id, parent.event)))


def _as_told(origin: Origin) -> Event:
    told = origin.event
    return Event(EventKind(told.kind), time=told.happened_at, subject=told.subject, values=dict(told.values))
