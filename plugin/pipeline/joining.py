"""Completing an event by what its source said before: the closing of a chat by the message that it began with.

Some senders name the customer when a chat begins and never again. A source declares which of its messages those are
(`Source.remembers`); they are kept as events like any other, and nothing of them is kept for longer or elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from sqlalchemy import Connection

from plugin import registry
from plugin.domain.event import Event
from plugin.pipeline.draft import Setup, says_too_little, with_language
from plugin.pipeline.rereading import Messages, read_message, values_of
from plugin.store.earlier import EarlierEvent, newest_before
from plugin.store.origins import Origin

#: How long before an event something may have been said to complete it.
REMEMBERED: Final = timedelta(days=7)


@dataclass(frozen=True)
class Joined:
    """An event with what was said before. held: ids of the events whose values must still be there to write it down."""

    event: Event
    held: frozenset[str]


def join_earlier(db: Connection, setup: Setup, origin: Origin, read: Messages) -> Joined | None:
    """The event of `origin` with what its source said before about the same chat; None where it says enough itself.

    Raises MessageGone, Unreadable, as `rereading.read_message`.
    """
    words = registry.source(setup.source.kind).SOURCE.remembers
    stored = origin.event
    if stored.is_learnt or stored.looked_up or not words:
        return None
    event = read_message(origin, read)
    if event.subject is None or not says_too_little(event):
        return None
    earlier = newest_before(
        db,
        setup.source.tenant_id,
        origin.source_id,
        event.subject,
        words=words,
        before=stored.id,
        since=origin.received_at - REMEMBERED,
        test=stored.test,
    )
    full = _completed(event, earlier, words)
    held = frozenset({stored.id, earlier.id} if earlier is not None else {stored.id})
    return Joined(with_language(full, setup.source.language, setup.language), held)


def _completed(event: Event, earlier: EarlierEvent | None, words: Collection[str]) -> Event:
    """The event with what it does not say itself; and a note of where that comes from, or why there is none."""
    named = ", ".join(sorted(words))
    if earlier is None:
        days = REMEMBERED // timedelta(days=1)
        note = f"It does not name the customer, and nothing that does ({named}) came in the {days} days before."
        return replace(event, notes=(*event.notes, note))
    known = values_of(earlier.values)
    told = {name: value for name, value in known.items() if not name.startswith("event.")}
    values = {**told, **event.values}
    note = f"Who the customer is was taken from {earlier.vendor_kind}, which came before (receipt {earlier.trigger_id})"
    missing = "" if "person.email" in told else "; no e-mail address was given there"
    return replace(
        event, values=values, unrendered=event.unrendered - values.keys(), notes=(*event.notes, f"{note}{missing}.")
    )
