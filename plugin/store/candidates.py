"""What a bulk replay may be made of, found a page at a time.

Every page looks at a bounded number of rows in the order of an index, and what it is narrowed down by is compared
afterwards: so a page costs the same whether everything in it fits or nothing, and however much there is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final, Self

from sqlalchemy import Connection, bindparam, literal, select, tuple_

from plugin.domain.delivery import DeliveryState
from plugin.domain.identity import first_id
from plugin.domain.verdict import Cause, Decision
from plugin.store.resolutions import ID_DRIFT
from plugin.store.tables import UtcTime, connections, deliveries, events, rules, triggers, verdicts

#: States of deliveries that can be made once more.
REPLAYABLE: Final = (
    DeliveryState.REJECTED,
    DeliveryState.EXPIRED,
    DeliveryState.CANCELLED,
    DeliveryState.UNCERTAIN,
    DeliveryState.ACCEPTED,
)
#: Causes for which nobody was asked and the rules may decide otherwise by now, by decision.
PLANNABLE: Final[Mapping[str, tuple[Cause, ...]]] = {
    Decision.PROBLEM: (Cause.MISSING, Cause.UNRENDERED, Cause.TEMPLATE, Cause.TOO_LONG),
    Decision.NO: (Cause.DISABLED, Cause.CONDITION),
}


@dataclass(frozen=True)
class Selection:
    """Which deliveries are to be made once more (states), or which events are to be planned anew (verdict).

    since, until: when the delivery was made, or the event came in; until is not part of it. reasons: of the deliveries;
    causes: of the verdicts. rules, connections: their names; empty for all. again: also where the person may have got
    an invitation already.
    """

    until: datetime
    since: datetime | None = None
    states: Sequence[str] = ()
    reasons: Sequence[str] = ()
    verdict: str | None = None
    causes: Sequence[str] = ()
    rules: Sequence[str] = ()
    connections: Sequence[str] = ()
    again: bool = False

    def as_json(self) -> dict[str, Any]:
        since = self.since.isoformat() if self.since is not None else None
        return asdict(self) | {"until": self.until.isoformat(), "since": since}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        since = datetime.fromisoformat(stored["since"]) if stored["since"] is not None else None
        return cls(**{**stored, "until": datetime.fromisoformat(stored["until"]), "since": since})

    def takes(self, rule: str, connection: str | None, why: str | None) -> bool:
        """Whether it is narrowed down to these. why: the reason of a delivery, or the cause of a verdict."""
        return (
            (not self.rules or rule in self.rules)
            and (not self.connections or connection in self.connections)
            and (not (wanted := self.reasons or self.causes) or why in wanted)
        )


@dataclass(frozen=True)
class Candidate:
    """delivery_id: what is to be made once more; None where the event is to be planned anew for the rule.

    was: the state of the delivery, or the decision of the verdict. why: its reason, or its cause.
    """

    event_id: str
    rule: str
    delivery_id: str | None
    was: str
    why: str | None


@dataclass(frozen=True)
class Page:
    """to: where the next page begins; None after the last one."""

    candidates: Sequence[Candidate]
    to: str | None


def candidates_after(db: Connection, tenant_id: str, selection: Selection, to: str | None, limit: int) -> Page:
    """The page behind the one that ended at `to` (None: the first). It looks at no more than `limit` rows."""
    if selection.verdict is None:
        return _deliveries_after(db, tenant_id, selection, to, limit)
    return _verdicts_after(db, tenant_id, selection, to, limit)


# --- deliveries -------------------------------------------------------------------------------------------------------

_ROWS: Final = (
    select(
        deliveries.c.id,
        deliveries.c.event_id,
        deliveries.c.state,
        deliveries.c.reason,
        deliveries.c.created_at,
        rules.c.name.label("rule"),
        connections.c.name.label("connection"),
    )
    .join(rules, rules.c.id == deliveries.c.rule_id)
    .join(connections, connections.c.id == deliveries.c.connection_id)
    .where(
        deliveries.c.tenant_id == bindparam("tenant"),
        deliveries.c.state == bindparam("in_state"),
        deliveries.c.id > bindparam("after"),
        deliveries.c.id < bindparam("before"),
    )
    .order_by(deliveries.c.id)
    .limit(bindparam("at_most"))
)


def _deliveries_after(db: Connection, tenant_id: str, selection: Selection, to: str | None, limit: int) -> Page:
    """One state after the other: within a state, the index that holds it gives the ids in their order."""
    first = first_id(selection.since - ID_DRIFT) if selection.since is not None else ""
    state, _, after = to.partition(" ") if to is not None else (selection.states[0], "", "")
    given = {
        "tenant": tenant_id,
        "in_state": state,
        "after": max(after, first),
        "before": first_id(selection.until + ID_DRIFT),
        "at_most": limit,
    }
    rows = db.execute(_ROWS, given).all()
    found = [
        Candidate(row.event_id, row.rule, row.id, row.state, row.reason)
        for row in rows
        if row.created_at < selection.until
        and (selection.since is None or row.created_at >= selection.since)
        and selection.takes(row.rule, row.connection, row.reason)
    ]
    if len(rows) == limit:
        return Page(found, f"{state} {rows[-1].id}")
    others = list(selection.states)[list(selection.states).index(state) + 1 :]
    return Page(found, f"{others[0]} " if others else None)


# --- verdicts ---------------------------------------------------------------------------------------------------------


def _verdicts_after(db: Connection, tenant_id: str, selection: Selection, to: str | None, limit: int) -> Page:
    """One message after the other, since verdicts have no time of their own; `limit` messages at most."""
    query = select(triggers.c.id, triggers.c.received_at).where(
        triggers.c.tenant_id == tenant_id, triggers.c.received_at < selection.until
    )
    if selection.since is not None:
        query = query.where(triggers.c.received_at >= selection.since)
    if to is not None:
        at, _, after = to.partition(" ")
        passed = tuple_(literal(datetime.fromisoformat(at), UtcTime), literal(after))
        query = query.where(tuple_(triggers.c.received_at, triggers.c.id) > passed)
    rows = db.execute(query.order_by(triggers.c.received_at, triggers.c.id).limit(limit)).all()
    found = _undecided(db, selection, [row.id for row in rows])
    last = rows[-1] if len(rows) == limit else None
    return Page(found, f"{last.received_at.isoformat()} {last.id}" if last is not None else None)


_VERDICTS: Final = (
    select(
        events.c.id.label("event_id"),
        verdicts.c.rule,
        verdicts.c.decision,
        verdicts.c.cause,
        connections.c.name.label("connection"),
    )
    .join(verdicts, verdicts.c.event_id == events.c.id)
    .outerjoin(rules, rules.c.id == verdicts.c.rule_id)
    .outerjoin(connections, connections.c.id == rules.c.connection_id)
    .where(events.c.trigger_id.in_(bindparam("messages", expanding=True)), verdicts.c.rule.is_not(None))
    .order_by(events.c.id, verdicts.c.position)
)


def _undecided(db: Connection, selection: Selection, trigger_ids: Sequence[str]) -> list[Candidate]:
    """What the last verdict of each rule on each event was, where it is one that is asked for."""
    last = {(row.event_id, row.rule): row for row in db.execute(_VERDICTS, {"messages": trigger_ids})}
    return [
        Candidate(row.event_id, row.rule, None, row.decision, row.cause)
        for row in last.values()
        if row.decision == selection.verdict
        and row.cause in PLANNABLE[row.decision]
        and selection.takes(row.rule, row.connection, row.cause)
    ]
