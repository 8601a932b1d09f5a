"""Finding the delivery that a report belongs to, by what its sender may name it by; newest first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Column, Connection, Select, bindparam, select

from plugin.store.tables import connections, deliveries, delivery_calls

#: Deliveries of one person, or with one value, that are looked at.
_LOOKED_AT: Final = 20


@dataclass(frozen=True)
class Called:
    """A delivery that a report may be about."""

    id: str
    event_id: str
    state: str
    vendor: str


_CALLED: Final = select(deliveries.c.id, deliveries.c.event_id, deliveries.c.state, connections.c.vendor).join(
    connections, connections.c.id == deliveries.c.connection_id
)
_BY_REFERENCE: Final = _CALLED.where(
    deliveries.c.tenant_id == bindparam("tenant"), deliveries.c.reference == bindparam("reference")
)


def _marked(mark: Column[Any]) -> Select[Any]:
    """The last deliveries with this mark of which a call was begun: nothing can be told of the others."""
    return (
        _CALLED.join(delivery_calls, delivery_calls.c.delivery_id == deliveries.c.id)
        .where(delivery_calls.c.tenant_id == bindparam("tenant"), mark == bindparam("mark"))
        .where(deliveries.c.lease_epoch > 0)
        .order_by(delivery_calls.c.delivery_id.desc())
        .limit(_LOOKED_AT)
    )


_BY_PERSON: Final = _marked(delivery_calls.c.person)
_BY_PHONE: Final = _marked(delivery_calls.c.phone)
_BY_TRACKED: Final = _marked(delivery_calls.c.tracked)


def by_reference(db: Connection, tenant_id: str, reference: str) -> list[Called]:
    """The delivery with this reference of ours, if there is one."""
    found = db.execute(_BY_REFERENCE, {"tenant": tenant_id, "reference": reference.strip().casefold()})
    return [Called(*row) for row in found]


def by_person(db: Connection, tenant_id: str, mark: str) -> list[Called]:
    """The last calls to the person whose address or phone number has this mark."""
    given = {"tenant": tenant_id, "mark": mark}
    found = [Called(*row) for query in (_BY_PERSON, _BY_PHONE) for row in db.execute(query, given)]
    return sorted(found, key=lambda call: call.id, reverse=True)


def by_tracked(db: Connection, tenant_id: str, mark: str) -> list[Called]:
    """The last calls whose tracked value has this mark."""
    return [Called(*row) for row in db.execute(_BY_TRACKED, {"tenant": tenant_id, "mark": mark})]
