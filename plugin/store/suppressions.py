"""People who want no more invitations: who said so, and since when. Persons are known by their marks alone."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, delete, exists, insert, or_, select, update

from plugin.domain.delivery import DeliveryState
from plugin.store.tables import connections, deliveries, delivery_calls, events, suppressions, tenants


@dataclass(frozen=True)
class Suppression:
    """person: a mark. said_by: a connection's name, or who wrote it down. delivery_id: whose answer said it."""

    person: str
    since: datetime
    said_by: str
    words: str = ""
    delivery_id: str | None = None
    trigger_id: str | None = None

    @property
    def sentence(self) -> str:
        """What was said, by whom and when."""
        words = f" “{self.words}”" if self.words else ""
        return f"{self.said_by} said so on {self.since:%Y-%m-%d}.{words}"


@dataclass(frozen=True)
class Waiting:
    """A delivery to somebody that has not been made yet."""

    id: str
    vendor: str
    call: str


_LOCK: Final = (
    select(tenants.c.id)
    .where(tenants.c.id.in_(bindparam("tenants", expanding=True)))
    .order_by(tenants.c.id)
    .with_for_update()
)


def hold_tenants(db: Connection, tenant_ids: Collection[str]) -> None:
    """Let no message of these tenants be stored before this transaction ends.

    What was planned for a person meanwhile is stored by then, and seen; what is planned later sees the person's wish.
    To be called before any other row is locked, since messages lock their tenant first.
    """
    db.execute(_LOCK, {"tenants": sorted(set(tenant_ids))}).all()


def suppress(db: Connection, tenant_id: str, new: Suppression) -> bool:
    """Put a person on the list; False when they were on it already, which is left as it was."""
    is_known = select(exists().where(suppressions.c.tenant_id == tenant_id, suppressions.c.person == new.person))
    if db.execute(is_known).scalar_one():
        return False
    db.execute(
        insert(suppressions).values(
            tenant_id=tenant_id,
            person=new.person,
            since=new.since,
            said_by=new.said_by,
            words=new.words,
            delivery_id=new.delivery_id,
        )
    )
    return True


def lift(db: Connection, tenant_id: str, person: str) -> bool:
    """Take a person off the list; False when they were not on it."""
    found = db.execute(
        delete(suppressions).where(suppressions.c.tenant_id == tenant_id, suppressions.c.person == person)
    )
    return found.rowcount == 1


def forget_words(db: Connection, tenant_id: str, person: str) -> None:
    """Have a person's wish stay without the words it was told in, which may name or describe them."""
    db.execute(
        update(suppressions)
        .where(suppressions.c.tenant_id == tenant_id, suppressions.c.person == person)
        .values(words="")
    )


_COLUMNS: Final = (
    suppressions.c.person,
    suppressions.c.since,
    suppressions.c.said_by,
    suppressions.c.words,
    suppressions.c.delivery_id,
    events.c.trigger_id,
)
_ALL: Final = (
    select(*_COLUMNS)
    .select_from(suppressions)
    .outerjoin(deliveries, deliveries.c.id == suppressions.c.delivery_id)
    .outerjoin(events, events.c.id == deliveries.c.event_id)
)


def suppressions_of(db: Connection, tenant_id: str, limit: int) -> list[Suppression]:
    """The newest first."""
    query = (
        _ALL.where(suppressions.c.tenant_id == tenant_id)
        .order_by(suppressions.c.since.desc(), suppressions.c.person)
        .limit(limit)
    )
    return [Suppression(**row) for row in db.execute(query).mappings()]


_WISHES: Final = select(
    suppressions.c.person,
    suppressions.c.since,
    suppressions.c.said_by,
    suppressions.c.words,
    suppressions.c.delivery_id,
).where(
    suppressions.c.tenant_id.in_(bindparam("tenants", expanding=True)),
    suppressions.c.person.in_(bindparam("persons", expanding=True)),
)


def wishes_of(db: Connection, tenant_ids: Collection[str], marks: Collection[str]) -> list[Suppression]:
    """Who of these people is on the list. A mark tells tenants apart as well."""
    if not marks:
        return []
    found = db.execute(_WISHES, {"tenants": list(tenant_ids), "persons": list(marks)})
    return [Suppression(**row) for row in found.mappings()]


# --- what waits for a person --------------------------------------------------------------------------------------

_NAME: Final = select(connections.c.name).where(connections.c.id == bindparam("connection"))


def name_of_connection(db: Connection, connection_id: str) -> str:
    """A connection's name, also of one that was removed."""
    return str(db.execute(_NAME, {"connection": connection_id}).scalar_one())


_MARKS: Final = select(delivery_calls.c.person, delivery_calls.c.phone).where(
    delivery_calls.c.delivery_id == bindparam("delivery")
)


def marks_of_delivery(db: Connection, delivery_id: str) -> list[str]:
    """What tells the person of a delivery from others; nothing where the person is not known or was forgotten."""
    row = db.execute(_MARKS, {"delivery": delivery_id}).one_or_none()
    return [mark for mark in row if mark is not None] if row is not None else []


_WAITING: Final = (
    select(deliveries.c.id, connections.c.vendor, deliveries.c.call)
    .join(delivery_calls, delivery_calls.c.delivery_id == deliveries.c.id)
    .join(connections, connections.c.id == deliveries.c.connection_id)
    .where(
        delivery_calls.c.tenant_id == bindparam("tenant"),
        or_(
            delivery_calls.c.person.in_(bindparam("marks", expanding=True)),
            delivery_calls.c.phone.in_(bindparam("marks", expanding=True)),
        ),
        deliveries.c.state == DeliveryState.SCHEDULED,
    )
)


def waiting_for(db: Connection, tenant_id: str, marks: Collection[str]) -> list[Waiting]:
    """Deliveries to this person that are still to be made."""
    return [Waiting(*row) for row in db.execute(_WAITING, {"tenant": tenant_id, "marks": list(marks)})]
