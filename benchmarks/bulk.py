"""Deliveries by the thousand, made inside the database: one that was properly accepted serves as the model of all."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Connection,
    String,
    Table,
    cast,
    func,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.sql.selectable import FromClause

from benchmarks.installation import Installation
from plugin.registry import InboundRequest
from plugin.store import sources, tenants
from plugin.store.tables import connections, deliveries, delivery_calls, lanes

#: Steps through all numbers below 10^12 in an order that looks random, as the references of real deliveries do.
_STRIDE, _WRAP = 618_033_989, 10**12


class Stock:
    """Makes deliveries for every connection of a tenant."""

    def __init__(self, place: Installation, slug: str) -> None:
        self._place = place
        parts = place.parts
        with parts.database.read() as db:
            self.tenant_id = tenants.tenant_by_slug(db, slug).id
            self.lanes: Sequence[str] = (
                db.execute(select(connections.c.id).where(connections.c.tenant_id == self.tenant_id)).scalars().all()
            )
            source = sources.source_by_name(db, self.tenant_id, "desk")
        ticket = {"id": "model", "requester": {"email": "lucja@example.com", "name": "Łucja Nowak"}}
        body = json.dumps({"event": {"kind": "ticket.closed"}, "ticket": ticket}).encode()
        accepted = parts.acceptor.accept(source, InboundRequest("POST", "", {}, body), verified=True)
        [[verdict]] = [event.verdicts for event in accepted.events]
        self.model: str = verdict["delivery"]
        with parts.database.write() as db:
            # It is copied and never sent itself.
            hidden = update(deliveries).where(deliveries.c.id == self.model)
            db.execute(hidden.values(state="cancelled", settled_at=parts.mint.now()))
            db.execute(update(lanes).where(lanes.c.tenant_id == self.tenant_id).values(next_due=None))

    def add_due_in(self, seconds: float, count: int) -> None:
        """`count` deliveries that all become due so many seconds from now. Raises RuntimeError when time was short."""
        mint = self._place.parts.mint
        due = mint.now() + timedelta(seconds=seconds)
        with self._place.parts.database.write() as db:
            self.add(db, count, due)
        if mint.now() >= due:
            raise RuntimeError("the deliveries were due before all of them were there")

    def add(self, db: Connection, count: int, due: datetime) -> None:
        """`count` deliveries that become due at `due`, spread evenly over all lanes."""
        batch = self._batch()
        for number, lane in enumerate(self.lanes):
            share = count // len(self.lanes) + (number < count % len(self.lanes))
            own = {"connection_id": lane, "state": "scheduled", "reason": None, "settled_at": None, "due": due}
            self._copy(db, share, batch, number, own)
        db.execute(update(lanes).where(lanes.c.connection_id.in_(self.lanes)).values(next_due=due))

    def add_done(self, db: Connection, count: int, at: datetime) -> None:
        """`count` deliveries that were accepted."""
        own = {"connection_id": self.lanes[0], "state": "accepted", "settled_at": at, "due": at, "attempts": 1}
        self._copy(db, count, self._batch(), 0, own)

    def _batch(self) -> str:
        """The beginning of ids that sort behind all before."""
        return self._place.parts.mint.id()[:14]

    def _copy(self, db: Connection, count: int, batch: str, lane: int, values: Mapping[str, Any]) -> None:
        if not count:
            return
        numbers = _numbers(count)
        i = numbers.c.i
        made = literal(f"{batch}{lane:03}").concat(_digits(i, 9))
        own = {
            **values,
            "id": made,
            "unit_id": made,
            "reference": literal(batch.lower()).concat(
                _digits((i * 1000 + lane) * literal(_STRIDE, BigInteger) % literal(_WRAP, BigInteger), 12)
            ),
            "expires_at": values["due"] + timedelta(days=3),
        }
        db.execute(_copies(deliveries, deliveries.c.id == self.model, own, numbers))
        call = {"delivery_id": made}
        db.execute(_copies(delivery_calls, delivery_calls.c.delivery_id == self.model, call, numbers))


def _numbers(count: int) -> CTE:
    first = select(literal(1, BigInteger).label("i")).cte("numbers", recursive=True)
    return first.union_all(select(first.c.i + 1).where(first.c.i < count))


def _digits(number: ColumnElement[int], width: int) -> ColumnElement[str]:
    """A number as text with leading zeros."""
    return func.substr(cast(number + literal(10**width, BigInteger), String), 2)


def _copies(table: Table, which: ColumnElement[bool], own: Mapping[str, Any], numbers: FromClause) -> Any:
    """Copy one row as often as there are numbers, with columns of its own."""
    values = [
        own[column.name]
        if isinstance(own.get(column.name), ColumnElement)
        else literal(own[column.name], column.type).label(column.name)
        if column.name in own
        else column
        for column in table.columns
    ]
    names = [column.name for column in table.columns]
    return insert(table).from_select(
        names, select(*values).select_from(table.join(numbers, literal(True))).where(which)
    )
