"""Writing a trigger down: inside the write turn there are only checks and inserts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from plugin import registry
from plugin.domain.event import Event, EventKind
from plugin.domain.identity import Mint
from plugin.domain.schedule import window_of
from plugin.pipeline.draft import Draft, EpisodeDecision, Setup, decide_episode, is_closed, left_by, status_of
from plugin.pipeline.errand_task import lookup_of
from plugin.pipeline.fingerprint import digest, mark_of, person_marks
from plugin.pipeline.plan import PlannedCall, PlannedVerdict
from plugin.registry import InboundAnswer
from plugin.store import deliveries, errands, events, intake, tenants
from plugin.store.errands import NewErrand
from plugin.store.recall import KnownEvent, Memory, Question, recall


class Outdated(Exception):
    """The state that a plan was made against has changed; plan again."""


class Crowded(Outdated):
    """Another message of the same transaction is about the same; plan again when that one is stored."""


@dataclass(frozen=True)
class AcceptedEvent:
    """verdicts: as they are answered, one for each rule. pending: there are none yet, since a worker plans it."""

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


@dataclass(frozen=True)
class Entry:
    """A message with what was planned for it, ready to be stored. notes: to be written beside it."""

    setup: Setup
    trigger: intake.NewTrigger
    question: Question
    drafts: Sequence[Draft]
    notes: Sequence[Callable[[Connection], None]] = ()


def record(db: Connection, entries: Sequence[Entry], mint: Mint) -> list[Acceptance | Outdated]:
    """Store messages with everything that follows from them, or find that they came before.

    Each is stored whole or, where what it was planned against has changed, not at all.
    """
    versions = tenants.versions(db, {entry.setup.source.tenant_id for entry in entries})
    memory = recall(db, [entry.question for entry in entries])
    rows, changing = _Rows(), set[tuple[str, str, str]]()
    answers: list[Acceptance | Outdated] = []
    for entry in entries:
        topics = entry.question.topics()
        if versions.get(entry.setup.source.tenant_id) != entry.setup.version:
            answers.append(Outdated())
        elif topics & changing:
            answers.append(Crowded())
        else:
            writer = _Writer(db, entry, memory, mint)
            answers.append(writer.accept_or_not())
            if writer.rows.new_events:
                changing |= topics
            if isinstance(answers[-1], Acceptance):
                rows.add(writer.rows)
    rows.write(db)
    return answers


@dataclass
class _Rows:
    """What is to be written, so that each table is written once for all messages of a transaction."""

    new_triggers: list[tuple[str, intake.NewTrigger]] = field(default_factory=list)
    new_episodes: list[intake.NewEpisode] = field(default_factory=list)
    new_events: list[tuple[str, intake.NewEvent]] = field(default_factory=list)
    new_verdicts: list[tuple[str, str, Sequence[events.StoredVerdict]]] = field(default_factory=list)
    new_keys: list[intake.NewKey] = field(default_factory=list)
    new_deliveries: list[tuple[str, deliveries.NewDelivery]] = field(default_factory=list)
    new_errands: list[NewErrand] = field(default_factory=list)
    #: What changes rows that are there already.
    changes: list[Callable[[Connection], None]] = field(default_factory=list)

    def add(self, other: _Rows) -> None:
        for name, more in vars(other).items():
            getattr(self, name).extend(more)

    def write(self, db: Connection) -> None:
        """Rows that others refer to come first."""
        intake.add_triggers(db, self.new_triggers)
        intake.begin_episodes(db, self.new_episodes)
        intake.add_events(db, self.new_events)
        intake.add_verdicts(db, self.new_verdicts)
        intake.remember(db, self.new_keys)
        deliveries.add_deliveries(db, self.new_deliveries)
        errands.add(db, self.new_errands)
        for change in self.changes:
            change(db)


class _Writer:
    """Turns one message into rows, while comparing with what is stored by now."""

    def __init__(self, db: Connection, entry: Entry, memory: Memory, mint: Mint) -> None:
        self.rows = _Rows()
        self._db = db
        self._entry = entry
        self._source = entry.setup.source
        self._tenant_id = entry.setup.source.tenant_id
        self._trigger = entry.trigger
        self._drafts = entry.drafts
        self._memory = memory
        self._mint = mint
        self._accepted: dict[str, AcceptedEvent] = {}

    def accept_or_not(self) -> Acceptance | Outdated:
        """What becomes of the message; its rows are to be written only when it is accepted."""
        try:
            return self._accept()
        except Outdated as outdated:
            return outdated

    def _accept(self) -> Acceptance:
        """Raises Outdated."""
        first = self._memory.trigger(self._source.id, self._trigger.replay_mark)
        if first is not None:
            self._count_duplicate(first)
            before = events.events_of(self._db, self._tenant_id, first)
            return Acceptance(first, [self._accepted_before(event.id, event.kind) for event in before])
        accepted = [self._event(position, draft) for position, draft in enumerate(self._drafts)]
        self.rows.changes += self._entry.notes
        return Acceptance(self._receipt(), accepted)

    def _receipt(self) -> str:
        """Store a message that holds something new; gives the id of the receipt, else that of the first one."""
        known = [draft.before for draft in self._drafts if draft.before is not None]
        if len(known) < len(self._drafts):
            self.rows.new_triggers.append((self._tenant_id, self._trigger))
            return self._trigger.id
        self._count_duplicate(known[0].trigger_id)
        return known[0].trigger_id

    def _event(self, position: int, draft: Draft) -> AcceptedEvent:
        if self._memory.event(self._source.id, draft.key, self._trigger.received_at) != draft.before:
            raise Outdated
        if draft.before is not None:
            return self._accepted_before(draft.before.id, draft.before.kind)
        if not draft.pending and self._memory.wish_of(person_marks(self._tenant_id, draft.event)) != draft.wish:
            raise Outdated
        event, event_id = draft.event, draft.event_id
        episode_id = self._episode(draft)
        unit_id = episode_id if episode_id is not None and event.kind.closes else event_id
        stored = [self._verdict(draft, planned, unit_id) for planned in draft.planned]
        self.rows.new_events.append((self._tenant_id, self._new_event(position, draft, episode_id)))
        self.rows.new_verdicts.append((self._tenant_id, event_id, stored))
        if draft.thin:
            now = self._trigger.received_at
            self.rows.new_errands.append(lookup_of(self._tenant_id, self._source.id, event_id, self._mint.id(), now))
        if self._memory.is_over(self._source.id, draft.key, self._trigger.received_at):
            events.forget_key(self._db, self._tenant_id, self._source.id, draft.key)
        self.rows.new_keys.append(intake.NewKey(self._tenant_id, self._source.id, draft.key, event_id, draft.forget_at))
        known = KnownEvent(event_id, self._trigger.id, event.kind)
        self._memory.put_event(self._source.id, draft.key, known, draft.forget_at)
        verdicts = [_verdict_json(verdict) for verdict in stored]
        accepted = AcceptedEvent(event_id, event.kind, duplicate=False, verdicts=verdicts, pending=draft.pending)
        self._accepted[event_id] = accepted
        return accepted

    def _new_event(self, position: int, draft: Draft, episode_id: str | None) -> intake.NewEvent:
        event = draft.event
        return intake.NewEvent(
            id=draft.event_id,
            trigger_id=self._trigger.id,
            source_id=self._source.id,
            position=position,
            sender_id=event.id,
            kind=event.kind,
            vendor_kind=event.vendor_kind,
            happened_at=event.time,
            subject=event.subject,
            episode_id=episode_id,
            planned=not draft.pending,
            waits=draft.thin,
            notes=event.notes,
            values=event.values,
            unrendered=sorted(event.unrendered),
            test=not self._source.is_live,
        )

    def _episode(self, draft: Draft) -> str | None:
        """What the event does to its episode; gives the id of the episode's row, if it has one. Raises Outdated."""
        event, source = draft.event, self._source
        # What a source in state test sends must leave no trace that a real closing could meet later.
        if event.subject is None or not source.is_live or draft.thin:
            return None
        current = decide_episode(self._memory, source.id, event, self._mint)
        if event.only_after_closing and is_closed(current.episode) != (event.kind is EventKind.TICKET_REOPENED):
            raise Outdated
        if not event.kind.closes:
            if current.episode is None:
                return None
            if event.kind is EventKind.TICKET_REOPENED:
                self._change(events.end_episode, current.episode.id, self._trigger.received_at)
            self._memory.put_episode(source.id, event.subject, left_by(event, current.episode))
            return current.episode.id
        planned = draft.decided.episode
        if planned is None or not _is_same(current, draft.decided):
            raise Outdated
        if current.begins:
            self.rows.new_episodes.append(
                intake.NewEpisode(self._tenant_id, source.id, event.subject, planned, self._trigger.received_at)
            )
        else:
            self._change(events.note_status, planned.id, status_of(event))
        self._memory.put_episode(source.id, event.subject, left_by(event, planned))
        return planned.id

    def _verdict(self, draft: Draft, planned: PlannedVerdict, unit_id: str) -> events.StoredVerdict:
        delivery_id = None
        if planned.call is not None:
            delivery_id = self._mint.id()
            now = self._trigger.received_at
            new = new_delivery(
                self._tenant_id, delivery_id, draft.event_id, draft.event, planned.call, unit_id, came_at=now, now=now
            )
            self.rows.new_deliveries.append((self._tenant_id, new))
        return stored_verdict(planned, delivery_id)

    def _accepted_before(self, event_id: str, kind: str) -> AcceptedEvent:
        """An event of an earlier message, or of this one."""
        earlier = self._accepted.get(event_id)
        if earlier is not None:
            return replace(earlier, duplicate=True)
        decided = events.verdicts_of(self._db, self._tenant_id, event_id)
        # What a replay decided later is no answer to the message; the receipt shows it.
        verdicts = [_verdict_json(verdict) for verdict in decided if verdict.planned_again_at is None]
        # Whatever is planned has a verdict, be it that there is no rule.
        return AcceptedEvent(event_id, kind, duplicate=True, verdicts=verdicts, pending=not decided)

    def _count_duplicate(self, trigger_id: str) -> None:
        self._change(events.count_duplicate, trigger_id)

    def _change(self, change: Callable[..., None], *what: object) -> None:
        self.rows.changes.append(lambda db: change(db, self._tenant_id, *what))


def _is_same(current: EpisodeDecision, drafted: EpisodeDecision) -> bool:
    """Whether an event still belongs to the closing that it was planned for."""
    if current.episode is None or drafted.episode is None or current.begins != drafted.begins:
        return False
    return (
        current.episode.number == drafted.episode.number if current.begins else current.episode.id == drafted.episode.id
    )


def new_delivery(
    tenant_id: str,
    delivery_id: str,
    event_id: str,
    event: Event,
    call: PlannedCall,
    unit_id: str,
    *,
    came_at: datetime,
    now: datetime,
) -> deliveries.NewDelivery:
    """What is promised for a planned call. came_at: when the event came in, from which its rule counts the time."""
    window = window_of(call.bound.rule.ask, came_at)
    return deliveries.NewDelivery(
        id=delivery_id,
        connection_id=call.bound.connection_id,
        rule_id=call.bound.rule.id,
        event_id=event_id,
        unit_id=unit_id,
        reference=call.reference,
        call=call.bound.rule.call,
        step=call.step,
        parameters=call.parameters,
        marks=marks_of(tenant_id, event, call),
        due=window.due,
        expires_at=window.expires_at,
        created_at=now,
        resend=call.bound.rule.resend,
    )


def stored_verdict(
    planned: PlannedVerdict, delivery_id: str | None, *, planned_again_at: datetime | None = None
) -> events.StoredVerdict:
    """A verdict as it is kept. delivery_id: of what was promised for it, if anything."""
    return events.StoredVerdict(
        rule_id=planned.rule_id,
        rule=planned.verdict.rule,
        decision=planned.verdict.decision,
        cause=planned.verdict.cause,
        detail=planned.verdict.detail,
        warnings=list(planned.verdict.warnings),
        delivery_id=delivery_id,
        preview=_preview(planned.preview) if planned.preview else None,
        planned_again_at=planned_again_at,
    )


def marks_of(tenant_id: str, event: Event, call: PlannedCall) -> deliveries.Marks:
    """What a delivery is found by when something is told of it later."""
    email, phone = (_mark_of_value(tenant_id, event.values.get(name)) for name in ("person.email", "person.phone"))
    return deliveries.Marks(
        person=email or phone,
        phone=phone if email is not None else None,
        tracked=_tracked_mark(tenant_id, call),
    )


def _tracked_mark(tenant_id: str, call: PlannedCall) -> str | None:
    declared = registry.vendor(call.bound.vendor).VENDOR.calls[call.bound.rule.call].tracked
    value = call.parameters.get(declared, "") if declared is not None else ""
    return tracked_mark(tenant_id, value) if value and value != call.reference else None


def tracked_mark(tenant_id: str, value: str) -> str:
    """What a delivery is found by through the value that its vendor was given to name it by."""
    return digest(tenant_id, "tracked", value.strip())


def _mark_of_value(tenant_id: str, value: object) -> str | None:
    return mark_of(tenant_id, value) if isinstance(value, str) else None


def _preview(call: PlannedCall) -> dict[str, Any]:
    return {
        "connection": call.bound.rule.connection,
        "vendor": call.bound.vendor,
        "call": call.bound.rule.call,
        "parameters": dict(call.parameters),
        "ask": str(call.bound.rule.ask),
    }


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
