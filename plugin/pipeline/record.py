"""Writing a trigger down: inside the write turn there are only checks and inserts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from plugin.domain.event import Event, EventKind
from plugin.domain.identity import Mint
from plugin.domain.schedule import window_of
from plugin.pipeline.draft import Draft, Drafted, Episodes, decide_episode, digest, status_of
from plugin.pipeline.plan import PlannedCall, PlannedVerdict
from plugin.registry import InboundAnswer
from plugin.store import deliveries, events, tenants
from plugin.store.sources import StoredSource


class Outdated(Exception):
    """The state that a plan was made against has changed; plan again."""


@dataclass(frozen=True)
class AcceptedEvent:
    """verdicts: as they are answered, one for each rule. pending: a thin event that waits for its lookup."""

    id: str
    kind: str
    duplicate: bool
    verdicts: Sequence[Mapping[str, str | None]]
    pending: bool = False


@dataclass(frozen=True)
class Acceptance:
    """What became of a trigger. receipt: None for a handshake, of which nothing is kept.

    answer: what this source has to be told instead of our own JSON, if anything.
    """

    receipt: str | None
    events: Sequence[AcceptedEvent]
    answer: InboundAnswer | None = None

    def as_json(self) -> dict[str, Any]:
        return {"receipt": self.receipt, "events": [_event_json(event) for event in self.events]}


def record(
    db: Connection, source: StoredSource, trigger: events.NewTrigger, drafted: Drafted, mint: Mint
) -> Acceptance:
    """Store a trigger with everything that follows from it, or find that it came before. Raises Outdated."""
    if tenants.tenant_by_id(db, source.tenant_id).version != drafted.version:
        raise Outdated
    if trigger.replay_mark is not None:
        first = events.trigger_by_replay_mark(db, source.id, trigger.replay_mark)
        if first is not None:
            events.count_duplicate(db, source.tenant_id, first)
            return _first_acceptance(db, source.tenant_id, first)
    receipt = _record_trigger(db, source, trigger, drafted.drafts)
    accepted = []
    for position, draft in enumerate(drafted.drafts):
        if events.known_event(db, source.id, draft.key, trigger.received_at) != draft.before:
            raise Outdated
        if draft.before is None:
            accepted.append(_record_event(db, source, trigger, position, draft, mint))
        else:
            accepted.append(_accepted_before(db, source.tenant_id, draft.before.id, draft.before.kind))
    return Acceptance(receipt, accepted)


def _record_trigger(db: Connection, source: StoredSource, trigger: events.NewTrigger, drafts: Sequence[Draft]) -> str:
    """Store a message that holds something new; gives the id of the receipt, else that of the first one."""
    known = [draft.before for draft in drafts if draft.before is not None]
    if len(known) < len(drafts):
        events.add_trigger(db, source.tenant_id, trigger)
        return trigger.id
    events.count_duplicate(db, source.tenant_id, known[0].trigger_id)
    return known[0].trigger_id


def _record_event(
    db: Connection, source: StoredSource, trigger: events.NewTrigger, position: int, draft: Draft, mint: Mint
) -> AcceptedEvent:
    tenant_id, event, now = source.tenant_id, draft.event, trigger.received_at
    episode_id = _record_episode(db, source, draft, now, mint)
    events.add_event(
        db,
        tenant_id,
        events.NewEvent(
            id=draft.event_id,
            trigger_id=trigger.id,
            source_id=source.id,
            position=position,
            sender_id=event.id,
            kind=event.kind,
            vendor_kind=event.vendor_kind,
            happened_at=event.time,
            subject=event.subject,
            episode_id=episode_id,
            planned=True,
            notes=event.notes,
            values=event.values,
            unrendered=sorted(event.unrendered),
        ),
    )
    unit_id = episode_id if episode_id is not None and event.kind.closes else draft.event_id
    stored = [_record_verdict(db, tenant_id, draft, planned, unit_id, now, mint) for planned in draft.planned]
    events.add_verdicts(db, tenant_id, draft.event_id, stored)
    events.remember_event(db, tenant_id, source.id, key=draft.key, event_id=draft.event_id, forget_at=draft.forget_at)
    return AcceptedEvent(draft.event_id, event.kind, duplicate=False, verdicts=[_verdict_json(v) for v in stored])


def _record_episode(db: Connection, source: StoredSource, draft: Draft, now: datetime, mint: Mint) -> str | None:
    """Store what the event does to its episode; gives the id of the episode's row, if it has one. Raises Outdated."""
    event = draft.event
    # What a source in state test sends must leave no trace that a real closing could meet later.
    if event.subject is None or source.state == "test":
        return None
    current = decide_episode(Episodes(db, source.id), event, mint)
    if event.kind is EventKind.TICKET_REOPENED and current.episode is not None:
        events.end_episode(db, source.tenant_id, current.episode.id, now)
    if not event.kind.closes:
        return current.episode.id if current.episode is not None else None
    planned = draft.decided.episode
    if planned is None or current.episode is None or current.begins != draft.decided.begins:
        raise Outdated
    if not current.begins:
        if current.episode.id != planned.id:
            raise Outdated
        events.note_status(db, source.tenant_id, planned.id, status_of(event))
    elif current.episode.number != planned.number:
        raise Outdated
    else:
        events.begin_episode(db, source.tenant_id, source.id, event.subject, planned, now)
    return planned.id


def _record_verdict(
    db: Connection, tenant_id: str, draft: Draft, planned: PlannedVerdict, unit_id: str, now: datetime, mint: Mint
) -> events.StoredVerdict:
    delivery_id = None
    if planned.call is not None:
        delivery_id = mint.id()
        new = _new_delivery(tenant_id, delivery_id, draft, planned.call, unit_id, now)
        deliveries.add_delivery(db, tenant_id, new)
    return events.StoredVerdict(
        rule_id=planned.rule_id,
        rule=planned.verdict.rule,
        decision=planned.verdict.decision,
        cause=planned.verdict.cause,
        detail=planned.verdict.detail,
        warnings=list(planned.verdict.warnings),
        delivery_id=delivery_id,
        preview=_preview(planned.preview) if planned.preview else None,
    )


def _new_delivery(
    tenant_id: str, delivery_id: str, draft: Draft, call: PlannedCall, unit_id: str, now: datetime
) -> deliveries.NewDelivery:
    window = window_of(call.bound.rule.ask, now)
    return deliveries.NewDelivery(
        id=delivery_id,
        connection_id=call.bound.connection_id,
        rule_id=call.bound.rule.id,
        event_id=draft.event_id,
        unit_id=unit_id,
        reference=call.reference,
        call=call.bound.rule.call,
        step=call.step,
        parameters=call.parameters,
        person=person_mark(tenant_id, draft.event),
        due=window.due,
        expires_at=window.expires_at,
        created_at=now,
        resend=call.bound.rule.resend,
    )


def person_mark(tenant_id: str, event: Event) -> str | None:
    """What tells one person from another without naming them; None when the event names nobody."""
    for name in ("person.email", "person.phone"):
        value = event.values.get(name)
        if isinstance(value, str):
            return mark_of(tenant_id, value)
    return None


def mark_of(tenant_id: str, address: str) -> str:
    """What tells the person with this e-mail address or phone number from others."""
    return digest(tenant_id, address.strip().casefold())


def _preview(call: PlannedCall) -> dict[str, Any]:
    return {
        "connection": call.bound.rule.connection,
        "vendor": call.bound.vendor,
        "call": call.bound.rule.call,
        "parameters": dict(call.parameters),
        "ask": str(call.bound.rule.ask),
    }


def _first_acceptance(db: Connection, tenant_id: str, trigger_id: str) -> Acceptance:
    before = events.events_of(db, tenant_id, trigger_id)
    return Acceptance(trigger_id, [_accepted_before(db, tenant_id, event.id, event.kind) for event in before])


def _accepted_before(db: Connection, tenant_id: str, event_id: str, kind: str) -> AcceptedEvent:
    verdicts = [_verdict_json(verdict) for verdict in events.verdicts_of(db, tenant_id, event_id)]
    return AcceptedEvent(event_id, kind, duplicate=True, verdicts=verdicts)


def _verdict_json(verdict: events.StoredVerdict) -> dict[str, str | None]:
    return {
        "rule": verdict.rule,
        "verdict": verdict.decision,
        "cause": verdict.cause,
        "delivery": verdict.delivery_id,
    }


def _event_json(event: AcceptedEvent) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "id": event.id,
        "kind": event.kind,
        "duplicate": event.duplicate,
        "verdicts": list(event.verdicts),
    }
    return answer | ({"pending": True} if event.pending else {})
