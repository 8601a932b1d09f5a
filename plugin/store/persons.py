"""Rows that hold one person's values: finding them, and erasing what is personal in them.

The search reads every row of the tenant: a value may stand anywhere in a message, and in any of several encodings.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import unquote_plus

from sqlalchemy import Connection, delete, select, update

from plugin.store.deliveries import cancel
from plugin.store.tables import (
    attempts,
    deliveries,
    delivery_calls,
    event_values,
    events,
    trigger_bodies,
    triggers,
    verdicts,
)


@dataclass(frozen=True)
class PersonRows:
    """Ids of the rows that name a person, or that came of a row that does. attempts: of deliveries, counted."""

    triggers: frozenset[str]
    events: frozenset[str]
    deliveries: frozenset[str]
    attempts: int


def rows_about(db: Connection, tenant_id: str, address: str, person: str) -> PersonRows:
    """Rows that name `address` (an e-mail address or a phone number), whatever the letters' case.

    person: the mark that deliveries to that person carry.
    """
    wanted = address.strip().casefold()
    bodies = select(trigger_bodies.c.trigger_id, trigger_bodies.c.query, trigger_bodies.c.body).where(
        trigger_bodies.c.tenant_id == tenant_id
    )
    in_bodies = {
        row.trigger_id for row in db.execute(bodies).yield_per(500) if _message_names(row.query, row.body, wanted)
    }
    values = (
        select(event_values.c.event_id, event_values.c.placeholders, events.c.trigger_id)
        .join(events, events.c.id == event_values.c.event_id)
        .where(event_values.c.tenant_id == tenant_id)
    )
    in_values = {
        row.event_id: row.trigger_id
        for row in db.execute(values).yield_per(500)
        if row.trigger_id in in_bodies or _names(row.placeholders, wanted)
    }
    calls = (
        select(
            delivery_calls.c.delivery_id, delivery_calls.c.parameters, delivery_calls.c.person, deliveries.c.event_id
        )
        .join(deliveries, deliveries.c.id == delivery_calls.c.delivery_id)
        .where(delivery_calls.c.tenant_id == tenant_id)
    )
    in_calls = {
        row.delivery_id
        for row in db.execute(calls).yield_per(500)
        if row.event_id in in_values or row.person == person or _names(row.parameters, wanted)
    }
    made = select(attempts.c.delivery_id, attempts.c.parameters, attempts.c.words, attempts.c.url).where(
        attempts.c.tenant_id == tenant_id
    )
    held = [
        row.delivery_id
        for row in db.execute(made).yield_per(500)
        if (row.parameters or row.words or row.url)
        and (row.delivery_id in in_calls or _names([row.parameters, row.words], wanted))
    ]
    return PersonRows(
        frozenset(in_bodies | _kept_bodies(db, tenant_id, in_values.values())),
        frozenset(event for event in in_values if _has_values(db, event)),
        frozenset(delivery for delivery in in_calls if _has_parameters(db, delivery)) | frozenset(held),
        len(held),
    )


def erase(db: Connection, tenant_id: str, rows: PersonRows, now: datetime) -> int:
    """Empty what is personal in these rows; gives how many waiting deliveries were cancelled."""
    cancelled = 0
    for delivery_id in rows.deliveries:
        cancelled += cancel(db, tenant_id, deliveries.c.id == delivery_id, now)
        mine = delivery_calls.c.delivery_id == delivery_id
        db.execute(update(delivery_calls).where(mine).values(parameters={}, memory=None, person=None))
        db.execute(
            update(attempts).where(attempts.c.delivery_id == delivery_id).values(url=None, parameters=None, words=None)
        )
    for event_id in rows.events:
        db.execute(
            update(event_values).where(event_values.c.event_id == event_id).values(placeholders={}, unrendered=[])
        )
        db.execute(update(verdicts).where(verdicts.c.event_id == event_id).values(preview=None))
    for trigger_id in rows.triggers:
        db.execute(delete(trigger_bodies).where(trigger_bodies.c.trigger_id == trigger_id))
        db.execute(update(triggers).where(triggers.c.id == trigger_id).values(cause_detail=""))
    return cancelled


def _kept_bodies(db: Connection, tenant_id: str, trigger_ids: Any) -> set[str]:
    kept = select(trigger_bodies.c.trigger_id).where(trigger_bodies.c.tenant_id == tenant_id)
    return set(trigger_ids) & set(db.execute(kept).scalars())


def _has_values(db: Connection, event_id: str) -> bool:
    query = select(event_values.c.placeholders).where(event_values.c.event_id == event_id)
    return bool(db.execute(query).scalar())


def _has_parameters(db: Connection, delivery_id: str) -> bool:
    query = select(delivery_calls.c.parameters, delivery_calls.c.person).where(
        delivery_calls.c.delivery_id == delivery_id
    )
    row = db.execute(query).one_or_none()
    return row is not None and bool(row.parameters or row.person)


def _message_names(query: str, body: bytes, wanted: str) -> bool:
    text = body.decode("utf-8", "replace")
    forms = [text, unquote_plus(text), unquote_plus(query)]
    if any(wanted in form.casefold() for form in forms):
        return True
    try:
        return _names(json.loads(text), wanted)
    except (ValueError, RecursionError):
        return False


def _names(value: Any, wanted: str) -> bool:
    return any(wanted in text.casefold() for text in _texts(value))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)
