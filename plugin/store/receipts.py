"""Receipts: everything that followed from one trigger, put together for people; and finding one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, and_, case, func, or_, select

from plugin.domain.delivery import DeliveryState
from plugin.domain.event import EventKind
from plugin.domain.evidence import LOST, UNCERTAIN, evidence
from plugin.domain.standing import standing
from plugin.store import errands
from plugin.store.connections import Pause
from plugin.store.errands import OpenErrand
from plugin.store.events import StoredBody, StoredEvent, StoredVerdict, body_of, events_of, verdicts_of
from plugin.store.resolutions import Resolved, resolutions_of
from plugin.store.tables import (
    attempts,
    connections,
    deliveries,
    delivery_calls,
    events,
    lanes,
    reports,
    rules,
    sources,
    tenants,
    triggers,
    verdicts,
)

#: What the receipts' list can be narrowed to, besides the states of deliveries.
NOTHING_SENT: Final = "nothing sent"
PROBLEM: Final = "problem"
PARKED: Final = "parked"
UNMATCHED: Final = "unmatched"


@dataclass(frozen=True)
class Attempt:
    """One HTTP call made for a delivery. url and parameters are masked; words are the vendor's."""

    epoch: int
    step: str
    claimed_at: datetime
    finished_at: datetime | None
    duration: float | None
    method: str | None
    url: str | None
    parameters: Sequence[Sequence[str]] | None
    bytes_sent: int | None
    status: int | None
    outcome: str | None
    reason: str | None
    words: str | None
    late: bool

    @property
    def evidence(self) -> str:
        """How far a call got whose fate is unknown, in a sentence; empty for any other."""
        return evidence(outcome=self.outcome, status=self.status, bytes_sent=self.bytes_sent, duration=self.duration)


@dataclass(frozen=True)
class Report:
    """What was told of a delivery later. receipt_id: of the message that told it; None for what we asked for.

    kind: of the event, or `follow_up`. words: the sender's.
    """

    kind: str
    happened_at: datetime
    received_at: datetime
    words: str
    event_id: str | None
    receipt_id: str | None


@dataclass(frozen=True)
class DeliveryRecord:
    """A delivery with its history. parked: it waits behind a paused connection; pause: why that makes no calls.

    follow_up: what the vendor is still to be asked about it, after its end. standing: how things stand by all that was
    reported, as kinds of events: for each way that the invitation went, the furthest.
    """

    id: str
    tenant_id: str
    trigger_id: str
    rule: str
    connection: str
    vendor: str
    call: str
    reference: str
    state: str
    reason: str | None
    step: str
    due: datetime
    expires_at: datetime
    attempts_made: int
    created_at: datetime
    settled_at: datetime | None
    vendor_reference: str | None
    replay_of: str | None
    parked: bool
    pause: Pause | None
    parameters: Mapping[str, str]
    attempts: Sequence[Attempt]
    resolutions: Sequence[Resolved]
    reports: Sequence[Report]
    standing: Sequence[EventKind] = ()
    follow_up: OpenErrand | None = None

    @property
    def may_have_called(self) -> bool:
        """Whether a call was made, or may have been, of which the request was not recorded."""
        return any(attempt.outcome in {LOST, UNCERTAIN} for attempt in self.attempts)

    @property
    def is_delayed(self) -> bool:
        """Whether it waits for a first call that its rule wants later than the event came in."""
        is_waiting = self.state == DeliveryState.SCHEDULED and not self.parked
        return is_waiting and not self.attempts and self.due > self.created_at


@dataclass(frozen=True)
class Parent:
    """The delivery that an event belongs to, and the receipt on which it stands."""

    delivery_id: str
    receipt_id: str
    rule: str
    connection: str
    reference: str


@dataclass(frozen=True)
class EventRecord:
    """lookup: what its source is still to be asked before the rules decide about it.

    parent: the delivery that it belongs to; for a report, and for what a call has told.
    """

    event: StoredEvent
    verdicts: Sequence[StoredVerdict]
    deliveries: Sequence[DeliveryRecord]
    lookup: OpenErrand | None = None
    parent: Parent | None = None

    @property
    def is_unplanned(self) -> bool:
        """Whether it waits for nothing but a worker, which plans it."""
        return not self.event.planned and self.lookup is None


@dataclass(frozen=True)
class Receipt:
    """timezone: the tenant's, in which its times are shown. body: None once the receipt was emptied.

    emptied_for: `retention` or `forgotten`.
    """

    id: str
    tenant_id: str
    source: str
    source_kind: str
    source_state: str
    timezone: str
    received_at: datetime
    method: str
    cause: str | None
    cause_detail: str
    duplicates: int
    emptied_at: datetime | None
    emptied_for: str | None
    body: StoredBody | None
    events: Sequence[EventRecord]

    @property
    def emptied(self) -> str:
        """When and why values were removed, as a sentence; empty while all is there."""
        if self.emptied_at is None:
            return ""
        if self.emptied_for == "forgotten":
            return f"The person was forgotten on {self.emptied_at:%Y-%m-%d}: message and personal values were removed."
        days = (self.emptied_at - self.received_at).days
        return f"Message and personal values were removed after {days} day{'' if days == 1 else 's'}."


@dataclass(frozen=True)
class ReceiptLine:
    """A receipt in the list. decisions: how many rules decided what. states: of its deliveries, parked among them."""

    id: str
    received_at: datetime
    source: str
    cause: str | None
    kinds: Sequence[str]
    subjects: Sequence[str]
    decisions: Mapping[str, int]
    states: Sequence[str]


# --- one receipt ------------------------------------------------------------------------------------------------------


def receipt(db: Connection, tenant_id: str, receipt_id: str) -> Receipt | None:
    """A receipt by its id, whole; None when this tenant has none of that id."""
    row = (
        db.execute(
            select(
                triggers.c.id,
                triggers.c.tenant_id,
                sources.c.name.label("source"),
                sources.c.kind.label("source_kind"),
                sources.c.state.label("source_state"),
                tenants.c.timezone,
                triggers.c.received_at,
                triggers.c.method,
                triggers.c.cause,
                triggers.c.cause_detail,
                triggers.c.duplicates,
                triggers.c.emptied_at,
                triggers.c.emptied_for,
            )
            .join(sources, sources.c.id == triggers.c.source_id)
            .join(tenants, tenants.c.id == triggers.c.tenant_id)
            .where(triggers.c.tenant_id == tenant_id, triggers.c.id == receipt_id)
        )
        .mappings()
        .one_or_none()
    )
    if row is None:
        return None
    return Receipt(
        **row,
        body=body_of(db, tenant_id, receipt_id),
        events=[
            EventRecord(
                event,
                verdicts_of(db, tenant_id, event.id),
                deliveries_of_event(db, tenant_id, event.id),
                None if event.planned else errands.lookup_of(db, tenant_id, event.id),
                _parent(db, tenant_id, event.parent_delivery_id) if event.parent_delivery_id is not None else None,
            )
            for event in events_of(db, tenant_id, receipt_id)
        ],
    )


def _parent(db: Connection, tenant_id: str, delivery_id: str) -> Parent | None:
    query = (
        select(deliveries.c.id, events.c.trigger_id, rules.c.name, connections.c.name, deliveries.c.reference)
        .join(events, events.c.id == deliveries.c.event_id)
        .join(rules, rules.c.id == deliveries.c.rule_id)
        .join(connections, connections.c.id == deliveries.c.connection_id)
        .where(deliveries.c.tenant_id == tenant_id, deliveries.c.id == delivery_id)
    )
    row = db.execute(query).one_or_none()
    return Parent(*row) if row is not None else None


def owner_of(db: Connection, receipt_or_reference: str) -> tuple[str, str] | None:
    """Tenant and receipt of a receipt id, a delivery id or a delivery's reference: for the operator, who sees all."""
    row = db.execute(
        select(triggers.c.tenant_id, triggers.c.id).where(triggers.c.id == receipt_or_reference)
    ).one_or_none()
    if row is None:
        row = db.execute(
            select(events.c.tenant_id, events.c.trigger_id)
            .join(deliveries, deliveries.c.event_id == events.c.id)
            .where(or_(deliveries.c.reference == receipt_or_reference, deliveries.c.id == receipt_or_reference))
        ).one_or_none()
    return (row[0], row[1]) if row is not None else None


# --- deliveries -------------------------------------------------------------------------------------------------------


def deliveries_of_event(db: Connection, tenant_id: str, event_id: str) -> list[DeliveryRecord]:
    return _records(db, _deliveries(deliveries.c.tenant_id == tenant_id, deliveries.c.event_id == event_id))


def delivery_by_id(db: Connection, delivery_id: str, tenant_id: str | None = None) -> DeliveryRecord | None:
    """A delivery by its id; of whichever tenant when none is given, for the operator."""
    which = [deliveries.c.id == delivery_id]
    if tenant_id is not None:
        which.append(deliveries.c.tenant_id == tenant_id)
    found = _records(db, _deliveries(*which))
    return found[0] if found else None


def delivery_by_name(db: Connection, id_or_reference: str) -> DeliveryRecord | None:
    """A delivery by its id or its reference, of whichever tenant: for the operator, who sees all."""
    named = or_(deliveries.c.id == id_or_reference, deliveries.c.reference == id_or_reference)
    return next(iter(_records(db, _deliveries(named))), None)


def deliveries_of_tenant(
    db: Connection, tenant_id: str, *, state: str | None = None, limit: int = 1000
) -> list[DeliveryRecord]:
    """The newest first. state: a delivery's state, or PARKED."""
    which = [deliveries.c.tenant_id == tenant_id]
    if state == PARKED:
        which.append(_is_parked())
    elif state is not None:
        which.append(deliveries.c.state == state)
    return _records(db, _deliveries(*which).order_by(deliveries.c.id.desc()).limit(limit))


def _is_parked() -> ColumnElement[bool]:
    return and_(deliveries.c.state == DeliveryState.SCHEDULED, connections.c.paused_at.is_not(None))


def _deliveries(*which: ColumnElement[bool]) -> Select[Any]:
    return (
        select(
            deliveries.c.id,
            deliveries.c.tenant_id,
            events.c.trigger_id,
            rules.c.name.label("rule"),
            connections.c.name.label("connection"),
            connections.c.vendor,
            deliveries.c.call,
            deliveries.c.reference,
            deliveries.c.state,
            deliveries.c.reason,
            deliveries.c.step,
            deliveries.c.due,
            deliveries.c.expires_at,
            deliveries.c.attempts.label("attempts_made"),
            deliveries.c.created_at,
            deliveries.c.settled_at,
            deliveries.c.vendor_reference,
            deliveries.c.replay_of,
            connections.c.paused_at,
            connections.c.paused_reason,
            connections.c.paused_words,
            lanes.c.probe_at,
            delivery_calls.c.parameters,
        )
        .join(events, events.c.id == deliveries.c.event_id)
        .join(rules, rules.c.id == deliveries.c.rule_id)
        .join(connections, connections.c.id == deliveries.c.connection_id)
        .join(lanes, lanes.c.connection_id == deliveries.c.connection_id)
        # What was sent is gone where its person was forgotten.
        .outerjoin(delivery_calls, delivery_calls.c.delivery_id == deliveries.c.id)
        .where(*which)
    )


_PAUSE_COLUMNS: Final = ("paused_at", "paused_reason", "paused_words", "probe_at")


def _own(row: RowMapping) -> dict[str, Any]:
    """What a delivery's own row says, as DeliveryRecord has it."""
    values = {str(name): value for name, value in row.items()}
    paused_at, *more = (values.pop(name) for name in _PAUSE_COLUMNS)
    parked = paused_at is not None and row["state"] == DeliveryState.SCHEDULED
    pause = Pause(paused_at, *more) if parked else None
    return values | {"parked": parked, "pause": pause, "parameters": row["parameters"] or {}}


def _records(db: Connection, query: Select[Any]) -> list[DeliveryRecord]:
    rows = db.execute(query).mappings().all()
    ids = [row["id"] for row in rows]
    made = _attempts(db, ids)
    decided = resolutions_of(db, ids)
    told = _reports(db, ids)
    followed = {found: one for some in _batches(ids) for found, one in errands.follow_ups_of(db, some).items()}
    return [
        DeliveryRecord(
            **_own(row),
            attempts=made.get(row["id"], []),
            resolutions=decided.get(row["id"], []),
            reports=told.get(row["id"], []),
            standing=standing(report.kind for report in told.get(row["id"], [])),
            follow_up=followed.get(row["id"]),
        )
        for row in rows
    ]


def _attempts(db: Connection, ids: Sequence[str]) -> dict[str, list[Attempt]]:
    found: dict[str, list[Attempt]] = {}
    query = select(
        attempts.c.delivery_id,
        attempts.c.epoch,
        attempts.c.step,
        attempts.c.claimed_at,
        attempts.c.finished_at,
        attempts.c.duration,
        attempts.c.method,
        attempts.c.url,
        attempts.c.parameters,
        attempts.c.bytes_sent,
        attempts.c.status,
        attempts.c.outcome,
        attempts.c.reason,
        attempts.c.words,
        attempts.c.late,
    )
    for some in _batches(ids):
        for row in db.execute(query.where(attempts.c.delivery_id.in_(some)).order_by(attempts.c.epoch)).mappings():
            values = dict(row)
            found.setdefault(values.pop("delivery_id"), []).append(Attempt(**values))
    return found


def _reports(db: Connection, ids: Sequence[str]) -> dict[str, list[Report]]:
    found: dict[str, list[Report]] = {}
    query = select(
        reports.c.delivery_id,
        reports.c.kind,
        reports.c.happened_at,
        reports.c.received_at,
        reports.c.words,
        reports.c.event_id,
        events.c.trigger_id,
    ).outerjoin(events, events.c.id == reports.c.event_id)
    for some in _batches(ids):
        rows = db.execute(query.where(reports.c.delivery_id.in_(some)).order_by(reports.c.happened_at, reports.c.id))
        for delivery_id, *rest in rows:
            found.setdefault(delivery_id, []).append(Report(*rest))
    return found


def _batches(ids: Sequence[str], size: int = 500) -> list[Sequence[str]]:
    return [ids[i : i + size] for i in range(0, len(ids), size)]


# --- the list ---------------------------------------------------------------------------------------------------------


def find_receipts(
    db: Connection,
    tenant_id: str,
    *,
    text: str = "",
    state: str | None = None,
    before: str | None = None,
    limit: int = 50,
) -> list[ReceiptLine]:
    """Receipts of a tenant, the newest first.

    text: a ticket's, chat's or record's id, the sender's event id, a delivery's reference or a receipt's id.
    state: a delivery's state, or PARKED, PROBLEM, NOTHING_SENT, UNMATCHED. before: the last receipt id of the page
    before.
    """
    query = select(triggers.c.id, triggers.c.received_at, sources.c.name, triggers.c.cause)
    query = query.join(sources, sources.c.id == triggers.c.source_id).where(triggers.c.tenant_id == tenant_id)
    if before is not None:
        query = query.where(triggers.c.id < before)
    if text:
        query = query.where(_about(tenant_id, text))
    if state is not None:
        query = query.where(_in_state(tenant_id, state))
    rows = db.execute(query.order_by(triggers.c.id.desc()).limit(limit)).all()
    return [_line(db, tenant_id, *row) for row in rows]


def _about(tenant_id: str, text: str) -> ColumnElement[bool]:
    subjects = [text, *(f"{kind}:{text}" for kind in ("ticket", "chat"))]
    named = select(events.c.trigger_id).where(
        events.c.tenant_id == tenant_id,
        or_(
            events.c.subject.in_(subjects),
            events.c.subject.endswith(f":{text}", autoescape=True),
            events.c.sender_id == text,
        ),
    )
    referred = (
        select(events.c.trigger_id)
        .join(deliveries, deliveries.c.event_id == events.c.id)
        .where(
            deliveries.c.tenant_id == tenant_id,
            or_(deliveries.c.reference == text, deliveries.c.id == text),
        )
    )
    return or_(triggers.c.id == text, triggers.c.id.in_(named), triggers.c.id.in_(referred))


def _in_state(tenant_id: str, state: str) -> ColumnElement[bool]:
    delivered = (
        select(events.c.trigger_id)
        .join(deliveries, deliveries.c.event_id == events.c.id)
        .join(connections, connections.c.id == deliveries.c.connection_id)
        .where(deliveries.c.tenant_id == tenant_id)
    )
    if state == NOTHING_SENT:
        return triggers.c.id.not_in(delivered)
    if state == PROBLEM:
        problems = (
            select(events.c.trigger_id)
            .join(verdicts, verdicts.c.event_id == events.c.id)
            .where(verdicts.c.tenant_id == tenant_id, verdicts.c.decision == "problem")
        )
        return or_(triggers.c.cause.is_not(None), triggers.c.id.in_(problems))
    if state == UNMATCHED:
        told = select(events.c.trigger_id).join(reports, reports.c.event_id == events.c.id)
        return triggers.c.id.in_(told.where(reports.c.tenant_id == tenant_id, reports.c.delivery_id.is_(None)))
    if state == PARKED:
        return triggers.c.id.in_(delivered.where(_is_parked()))
    return triggers.c.id.in_(delivered.where(deliveries.c.state == state))


def _line(
    db: Connection, tenant_id: str, trigger_id: str, received_at: datetime, source: str, cause: str | None
) -> ReceiptLine:
    mine = db.execute(
        select(events.c.id, events.c.kind, events.c.subject)
        .where(events.c.tenant_id == tenant_id, events.c.trigger_id == trigger_id)
        .order_by(events.c.position)
    ).all()
    ids = [row.id for row in mine]
    decided = db.execute(
        select(verdicts.c.decision, func.count()).where(verdicts.c.event_id.in_(ids)).group_by(verdicts.c.decision)
    ).all()
    shown_state = case((_is_parked(), PARKED), else_=deliveries.c.state)
    states = db.execute(
        select(shown_state)
        .join(connections, connections.c.id == deliveries.c.connection_id)
        .where(deliveries.c.event_id.in_(ids))
        .distinct()
        .order_by(shown_state)
    ).scalars()
    return ReceiptLine(
        id=trigger_id,
        received_at=received_at,
        source=source,
        cause=cause,
        kinds=list(dict.fromkeys(row.kind for row in mine)),
        subjects=list(dict.fromkeys(row.subject for row in mine if row.subject)),
        decisions={row[0]: row[1] for row in decided},
        states=list(states),
    )
