"""Numbers that only rise, added to by every process. What they are called and mean is decided above.

Most things are counted in memory and added from time to time. What ends without a call (cancelled, expired, lost) ends
in many places, so it is noted here, by the statement that ends it, in its own transaction.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, delete, func, insert, select, text

from plugin.store.tables import counters

#: Values by name and by what tells the counters of one name apart.
Deltas = Mapping[tuple[str, tuple[str, ...]], float]

#: Names of what is noted within the store.
CANCELLED: Final = "survey_plugin_deliveries_cancelled_total"
EXPIRED: Final = "survey_plugin_deliveries_expired_total"
SETTLED: Final = "survey_plugin_deliveries_settled_total"
ATTEMPTS: Final = "survey_plugin_attempts_total"

# The same words in SQLite and PostgreSQL, which SQLAlchemy would build from two different classes.
_ADD: Final = text(
    "INSERT INTO counters (name, labels, part, value) VALUES (:name, :labels, '', :value) "
    "ON CONFLICT (name, labels, part) DO UPDATE SET value = counters.value + excluded.value"
)
_NOTE: Final = insert(counters)
_KEY: Final = (counters.c.name, counters.c.labels)
_FOLD: Final = delete(counters).where(counters.c.part != "").returning(*_KEY, counters.c.value)
_ALL: Final = select(*_KEY, func.sum(counters.c.value)).group_by(*_KEY)


def add(db: Connection, deltas: Deltas) -> None:
    """Raise counters, which are made where they are not there yet. The last thing that a transaction does."""
    rows = [
        {"name": name, "labels": json.dumps(labels), "value": value}
        # Always in one order: two processes that add at the same time must not wait for each other in a circle.
        for (name, labels), value in sorted(deltas.items())
    ]
    if rows:
        db.execute(_ADD, rows)


def note(db: Connection, name: str, *labels: str, by: int = 1) -> None:
    """Count what the caller's transaction does, which goes with it when it is undone; nothing where `by` is 0.

    It waits for nobody: each note is a row of its own until `fold`.
    """
    if by:
        part = secrets.token_hex(13)
        db.execute(_NOTE, {"name": name, "labels": json.dumps(labels), "part": part, "value": float(by)})


def fold(db: Connection) -> None:
    """Add up what was noted."""
    deltas: dict[tuple[str, tuple[str, ...]], float] = {}
    for name, labels, value in db.execute(_FOLD):
        key = (name, tuple(json.loads(labels)))
        deltas[key] = deltas.get(key, 0.0) + value
    add(db, deltas)


def all_counters(db: Connection) -> Deltas:
    return {(name, tuple(json.loads(labels))): value for name, labels, value in db.execute(_ALL)}
