"""Rows that hold one person's values: finding them, and erasing what is personal in them.

The search reads every row of the tenant: a value may stand anywhere in a message, and in any of several encodings.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import unquote, unquote_plus

from sqlalchemy import Connection, Select, delete, select, update

from plugin.store.deliveries import cancel
from plugin.store.tables import (
    attempts,
    deliveries,
    delivery_calls,
    episodes,
    event_values,
    events,
    trigger_bodies,
    triggers,
    verdicts,
)

#: Rows fetched from the database at a time.
_AT_A_TIME: Final = 500


@dataclass(frozen=True)
class PersonRows:
    """Ids of the rows that name a person, or that came of a row that does, and still hold values.

    triggers: with their message. events: with their values. deliveries: with what was to be sent.
    attempts: (delivery, epoch). subjects: events that are about the person by their very subject or id.
    """

    triggers: frozenset[str]
    events: frozenset[str]
    deliveries: frozenset[str]
    attempts: frozenset[tuple[str, int]]
    subjects: frozenset[str]


def rows_about(db: Connection, tenant_id: str, address: str, person: str) -> PersonRows:
    """Rows that name `address` (an e-mail address or a phone number), whatever the letters' case.

    person: the mark that deliveries to that person carry.
    """
    wanted = _Wanted(address)
    messages = {
        row.trigger_id
        for row in _stream(db, _bodies(tenant_id))
        if wanted.in_message(row.body.decode("utf-8", "replace"))
        or wanted.in_message(row.query)
        or wanted.in_values(row.headers)
    }
    subjects, named = set(), {}
    for row in _stream(db, _events(tenant_id)):
        about = wanted.in_values([row.subject, row.sender_id])
        if about:
            subjects.add(row.id)
        if about or row.trigger_id in messages or wanted.in_values(row.placeholders):
            named[row.id] = row
    calls = {
        row.id: row
        for row in _stream(db, _calls(tenant_id))
        if row.event_id in named or row.person == person or wanted.in_values(row.parameters)
    }
    made = {
        (row.delivery_id, row.epoch)
        for row in _stream(db, _attempts(tenant_id))
        if (row.parameters or row.words or row.url)
        and (row.delivery_id in calls or wanted.in_values(row.parameters) or wanted.in_message(row.words or ""))
    }
    with_body = {row.trigger_id for row in named.values() if row.has_body}
    return PersonRows(
        triggers=frozenset(messages | with_body),
        events=frozenset(id_ for id_, row in named.items() if row.placeholders),
        deliveries=frozenset(id_ for id_, row in calls.items() if row.has_call),
        attempts=frozenset(made),
        subjects=frozenset(subjects),
    )


def erase(db: Connection, tenant_id: str, rows: PersonRows, now: datetime) -> int:
    """Empty what is personal in these rows; gives how many waiting deliveries were cancelled.

    A call that is under way is let go; without its values it is not made a second time.
    """
    cancelled = 0
    for delivery_id in rows.deliveries:
        cancelled += cancel(db, tenant_id, deliveries.c.id == delivery_id, now)
        db.execute(delete(delivery_calls).where(delivery_calls.c.delivery_id == delivery_id))
    for delivery_id, epoch in rows.attempts:
        mine = (attempts.c.delivery_id == delivery_id, attempts.c.epoch == epoch)
        db.execute(update(attempts).where(*mine).values(url=None, parameters=None, words=None))
    for event_id in rows.events:
        db.execute(
            update(event_values).where(event_values.c.event_id == event_id).values(placeholders={}, unrendered=[])
        )
        db.execute(update(verdicts).where(verdicts.c.event_id == event_id).values(preview=None))
    for event_id in rows.subjects:
        _rename_subject(db, event_id)
    for trigger_id in rows.triggers:
        db.execute(delete(trigger_bodies).where(trigger_bodies.c.trigger_id == trigger_id))
        db.execute(update(triggers).where(triggers.c.id == trigger_id).values(cause_detail=""))
    return cancelled


def _rename_subject(db: Connection, event_id: str) -> None:
    # Its own id, so that the episode's row stays unique among those of its source.
    episode_id = db.execute(select(events.c.episode_id).where(events.c.id == event_id)).scalar()
    db.execute(update(events).where(events.c.id == event_id).values(subject=None, sender_id=None))
    db.execute(update(episodes).where(episodes.c.id == episode_id).values(subject=f"forgotten:{episode_id}"))


# --- every row of a tenant --------------------------------------------------------------------------------------------


def _bodies(tenant_id: str) -> Select[Any]:
    return select(
        trigger_bodies.c.trigger_id, trigger_bodies.c.query, trigger_bodies.c.headers, trigger_bodies.c.body
    ).where(trigger_bodies.c.tenant_id == tenant_id)


def _events(tenant_id: str) -> Select[Any]:
    return (
        select(
            events.c.id,
            events.c.trigger_id,
            events.c.subject,
            events.c.sender_id,
            event_values.c.placeholders,
            trigger_bodies.c.trigger_id.is_not(None).label("has_body"),
        )
        .outerjoin(event_values, event_values.c.event_id == events.c.id)
        .outerjoin(trigger_bodies, trigger_bodies.c.trigger_id == events.c.trigger_id)
        .where(events.c.tenant_id == tenant_id)
    )


def _calls(tenant_id: str) -> Select[Any]:
    return (
        select(
            deliveries.c.id,
            deliveries.c.event_id,
            delivery_calls.c.parameters,
            delivery_calls.c.person,
            delivery_calls.c.delivery_id.is_not(None).label("has_call"),
        )
        .outerjoin(delivery_calls, delivery_calls.c.delivery_id == deliveries.c.id)
        .where(deliveries.c.tenant_id == tenant_id)
    )


def _attempts(tenant_id: str) -> Select[Any]:
    return select(
        attempts.c.delivery_id, attempts.c.epoch, attempts.c.parameters, attempts.c.words, attempts.c.url
    ).where(attempts.c.tenant_id == tenant_id)


def _stream(db: Connection, query: Select[Any]) -> Iterator[Any]:
    return iter(db.execute(query.execution_options(yield_per=_AT_A_TIME)))


# --- in any encoding --------------------------------------------------------------------------------------------------

_ESCAPE: Final = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|[bfnrt])")


class _Wanted:
    """Finds an address or a number, but not as a part of a longer one: `ann@x.com` is not `joann@x.com`."""

    def __init__(self, address: str) -> None:
        text = address.strip().casefold()
        before, after = (r"(?<![\w.+-])", r"(?![\w-]|\.\w)") if "@" in text else (r"(?<!\w)", r"(?!\w)")
        self._pattern = re.compile(before + re.escape(text) + after)

    def in_values(self, value: Any) -> bool:
        """Whether any text in `value` holds it; `value` is what somebody has read from a message already."""
        return any(self._pattern.search(text.casefold()) for text in _texts(value))

    def in_message(self, text: str) -> bool:
        """Whether `text`, written in whatever format, holds it."""
        return any(self._pattern.search(reading.casefold()) for reading in _readings(text))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield name
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)


def _readings(text: str) -> Iterator[str]:
    """What `text` says: as it stands, and without the escapes of URLs and forms, JSON and HTML, one in the other."""
    # Only in a form is a plus sign a space.
    decoded = unquote(text) if text.lstrip().startswith(("{", "[", "<")) else unquote_plus(text)
    for form in (text, decoded):
        yield form
        unescaped = _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else " ", form)
        yield unescaped
        yield html.unescape(unescaped)
