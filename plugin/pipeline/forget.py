"""Finding one person in all that a tenant keeps, and erasing them. What was decided stays; whom it was about goes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from plugin.pipeline.draft import digest
from plugin.store import persons


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
    """Where a person is found by e-mail address or phone number; the letters' case does not matter."""
    rows = persons.rows_about(db, tenant_id, address, digest(tenant_id, address.casefold()))
    return Found(len(rows.triggers), len(rows.events), len(rows.deliveries), rows.attempts)


def forget_person(db: Connection, tenant_id: str, address: str, now: datetime) -> Found:
    """Erase a person from every row that holds them, in the caller's transaction."""
    rows = persons.rows_about(db, tenant_id, address, digest(tenant_id, address.casefold()))
    cancelled = persons.erase(db, tenant_id, rows, now)
    return Found(len(rows.triggers), len(rows.events), len(rows.deliveries), rows.attempts, cancelled)
