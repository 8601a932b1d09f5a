"""Numbers that only rise, added to by every process. What they are called and mean is decided above."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, select, text

from plugin.store.tables import counters

#: Values by name and by what tells the counters of one name apart.
Deltas = Mapping[tuple[str, tuple[str, ...]], float]

# The same words in SQLite and PostgreSQL, which SQLAlchemy would build from two different classes.
_ADD: Final = text(
    "INSERT INTO counters (name, labels, value) VALUES (:name, :labels, :value) "
    "ON CONFLICT (name, labels) DO UPDATE SET value = counters.value + excluded.value"
)
_ALL: Final = select(counters.c.name, counters.c.labels, counters.c.value)


def add(db: Connection, deltas: Deltas) -> None:
    """Raise counters, which are made where they are not there yet."""
    rows = [
        {"name": name, "labels": json.dumps(labels), "value": value}
        # Always in one order: two processes that add at the same time must not wait for each other in a circle.
        for (name, labels), value in sorted(deltas.items())
    ]
    if rows:
        db.execute(_ADD, rows)


def all_counters(db: Connection) -> Deltas:
    return {(row.name, tuple(json.loads(row.labels))): row.value for row in db.execute(_ALL)}
