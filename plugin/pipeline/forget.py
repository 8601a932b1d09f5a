"""Finding one person in all that a tenant keeps, and erasing them. What was decided stays; whom it was about goes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from plugin.errors import NotAllowed
from plugin.pipeline.record import mark_of
from plugin.store import persons
from plugin.store.persons import PersonRows

#: The shortest text that is searched for.
_SHORTEST: Final = 5


@dataclass(frozen=True)
class Found:
    """How many rows hold a person. cancelled: deliveries to them that were still waiting (when erasing)."""

    messages: int
    events: int
    deliveries: int
    attempts: int
    cancelled: int = 0

    @property
    def is_empty(self) -> bool:
        return not (self.messages or self.events or self.deliveries or self.attempts)

    def sentence(self) -> str:
        if self.is_empty:
            return "Nothing that is kept names this person."
        return (
            f"Found in {self.messages} stored messages, the values of {self.events} events, {self.deliveries} survey "
            f"calls and {self.attempts} attempts."
        )


def find_person(db: Connection, tenant_id: str, address: str) -> Found:
    """Where a person is found by e-mail address or phone number; the letters' case does not matter.

    Raises NotAllowed when the address is too short to be one.
    """
    return _found(_rows(db, tenant_id, address))


def forget_person(db: Connection, tenant_id: str, address: str, now: datetime) -> Found:
    """Erase a person from every row that holds them, in the caller's transaction. Raises NotAllowed, as find_person."""
    rows = _rows(db, tenant_id, address)
    return replace(_found(rows), cancelled=persons.erase(db, tenant_id, rows, now))


def _rows(db: Connection, tenant_id: str, address: str) -> PersonRows:
    if len(address.strip()) < _SHORTEST:
        raise NotAllowed("Give the whole e-mail address or phone number; a part of one would be found in many others.")
    return persons.rows_about(db, tenant_id, address, mark_of(tenant_id, address))


def _found(rows: PersonRows) -> Found:
    return Found(len(rows.triggers), len(rows.events | rows.subjects), len(rows.deliveries), len(rows.attempts))
