"""Planning what could not be planned as it came in: reports, what calls have told, and what had to be completed first.

It is done by workers, outside the sender's request: read again, find the delivery that it belongs to, take over what
that one's event says, ask the rules; then write all of it down in one transaction, in which each event is still as it
was. Any number of workers may do it at once, and one that falls silent leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import structlog
from sqlalchemy import Connection

from plugin.domain.chain import DEEPEST
from plugin.domain.episode import Episode
from plugin.domain.event import Event, EventKind
from plugin.domain.identity import Mint
from plugin.domain.standing import is_news
from plugin.domain.verdict import Cause, Decision, Verdict
from plugin.errors import SourceGone, StoreUnavailable, Unreadable, VaultError
from plugin.pipeline.belonging import belonging_of, find_delivery, why_unmatched
from plugin.pipeline.draft import Setup
from plugin.pipeline.joining import Joined, join_earlier
from plugin.pipeline.plan import Circumstances, PlannedVerdict, plan_event
from plugin.pipeline.record import new_delivery, stored_verdict
from plugin.pipeline.rereading import MessageGone, Messages, ancestors, read_again, with_inherited
from plugin.pipeline.setups import read_setup
from plugin.pipeline.suppression import invites, wish_of_person
from plugin.store import deliveries, earlier, events, intake, planning, restored, tenants
from plugin.store.belonging import Called
from plugin.store.database import Database
from plugin.store.origins import Origin, origin_of, parent_of
from plugin.store.planning import NewReport, PlannedEvent, ToPlan
from plugin.vault import Vault

#: Events planned in one turn; the deliveries that are due wait no longer than that takes.
BATCH: Final = 32
#: How long the events of a source are left alone that cannot be planned for now, seconds.
_REST: Final = 30.0

log = structlog.get_logger()


@dataclass(frozen=True)
class Decided:
    """What was decided about an event. verdicts: decision and cause of each. matched: of a report, else None."""

    kind: str
    is_learnt: bool
    verdicts: Sequence[tuple[str, str]]
    matched: bool | None


@dataclass(frozen=True)
class _Plan:
    """What is to be written about one event. event: with all that it has taken over.

    version: of the configuration that it was planned by; None where none was asked. came_at: when it came in.
    before: the events that it has taken something over from. report: what is told of the delivery that it belongs to;
    known: what was reported of that delivery before. joined: with what its source said before, where that was needed.
    """

    origin: Origin
    event: Event
    verdicts: Sequence[PlannedVerdict]
    came_at: datetime
    tenant_id: str
    planned: PlannedEvent
    version: int | None = None
    before: Sequence[Origin] = ()
    report: NewReport | None = None
    known: Sequence[str] = ()
    joined: Joined | None = None

    @property
    def messages(self) -> set[str]:
        """The receipts of the messages that it was made of."""
        return {origin.event.trigger_id for origin in (self.origin, *self.before) if origin.body is not None}

    @property
    def parent_id(self) -> str | None:
        """The delivery that something is reported of."""
        return self.report.delivery_id if self.report is not None else None


class Planner:
    """Plans what waits to be planned. One for a process, used by one thread. monotonic: seconds."""

    def __init__(self, database: Database, vault: Vault, mint: Mint, *, monotonic: Callable[[], float]) -> None:
        self._database = database
        self._vault = vault
        self._mint = mint
        self._monotonic = monotonic
        #: Sources whose events are left alone, and until when.
        self._resting: dict[str, float] = {}

    def is_due(self) -> bool:
        """Whether something is to be planned now."""
        return bool(self._waiting(1))

    def turn(self) -> list[Decided]:
        """Plan the first events that wait; gives what was decided. Raises StoreUnavailable."""
        waiting = self._waiting(BATCH)
        if not waiting:
            return []
        setups = self._setups(waiting)
        ready = [one for one in waiting if one.source_id in setups]
        # A message may hold hundreds of reports; it is read once for all that come in this turn.
        read: Messages = {}
        with self._database.read() as db:
            plans = [plan for one in ready if (plan := self._plan(db, one, setups[one.source_id], read)) is not None]
        return self._store_all(plans)

    def _waiting(self, limit: int) -> list[ToPlan]:
        now = self._monotonic()
        self._resting = {source_id: until for source_id, until in self._resting.items() if until > now}
        with self._database.read() as db:
            return planning.events_to_plan(db, besides=self._resting, limit=limit)

    def _setups(self, waiting: Collection[ToPlan]) -> Mapping[str, Setup | None]:
        """What decides about the events of each source; None for one that was removed."""
        found: dict[str, Setup | None] = {}
        for tenant_id, source_id in {(one.tenant_id, one.source_id) for one in waiting}:
            try:
                found[source_id] = read_setup(self._database, self._vault, tenant_id, source_id)
            except SourceGone:
                found[source_id] = None
            except VaultError as error:
                # The operator has to mend the keys; until then its events wait.
                self._leave_alone(source_id, error)
        return found

    def _leave_alone(self, source_id: str, error: Exception) -> None:
        log.error("events cannot be planned for now", source=source_id, error=type(error).__name__)
        self._resting[source_id] = self._monotonic() + _REST

    # --- planning one ---

    def _plan(self, db: Connection, one: ToPlan, setup: Setup | None, read: Messages) -> _Plan | None:
        origin = origin_of(db, one.tenant_id, one.id)
        if origin is None:
            return None
        if setup is None:
            return _without_rules(one, origin, Decision.NO, Cause.SOURCE_GONE)
        try:
            joined = join_earlier(db, setup, origin, read)
            event = joined.event if joined is not None else read_again(db, one.tenant_id, origin, read)
            plan = self._plan_report if event.kind.is_report else self._plan_event
            return replace(plan(db, setup, origin, event), joined=joined)
        except MessageGone:
            return _without_rules(one, origin, Decision.NO, Cause.UNREADABLE, "It has been removed meanwhile.")
        except Unreadable as error:
            return _without_rules(one, origin, Decision.PROBLEM, Cause.UNREADABLE, str(error))
        except StoreUnavailable:
            raise
        except Exception as error:  # a connector's fault must not keep the others waiting
            log.error("event could not be planned", event_id=one.id, error=type(error).__name__)  # noqa: TRY400  # a traceback may quote values
            words = f"A fault in survey-plugin itself ({type(error).__name__}); please report it."
            return _without_rules(one, origin, Decision.PROBLEM, Cause.UNREADABLE, words)

    def _plan_event(self, db: Connection, setup: Setup, origin: Origin, event: Event) -> _Plan:
        """What a call has told, or an event for which something was asked or looked for first."""
        tenant_id = setup.source.tenant_id
        before = ancestors(db, tenant_id, parent_of(db, tenant_id, origin.event))
        full = with_inherited(db, tenant_id, event, before)
        stored = origin.event
        planned = PlannedEvent(
            stored.id, stored.parent_delivery_id, stored.depth, stored.episode_id, stored.subject or full.subject
        )
        verdicts = self._ask_rules(db, setup, origin, full, stored.depth, _episode(origin))
        came_at = stored.happened_at if stored.is_learnt and stored.happened_at is not None else origin.received_at
        return _Plan(origin, full, verdicts, came_at, tenant_id, planned, setup.version, before)

    def _plan_report(self, db: Connection, setup: Setup, origin: Origin, event: Event) -> _Plan:
        tenant_id, stored = setup.source.tenant_id, origin.event
        belonging = belonging_of(setup, event)
        called = find_delivery(db, tenant_id, belonging, setup.source.kind) if belonging is not None else None
        parent = origin_of(db, tenant_id, called.event_id) if called is not None else None
        # What is only tried must leave no trace on what was really sent.
        tell = None if _is_test(setup, origin) else self._report(tenant_id, origin, event, called)
        if called is None or parent is None:
            verdicts: Sequence[PlannedVerdict] = [_verdict(Decision.NO, Cause.UNMATCHED, why_unmatched(belonging))]
            planned = PlannedEvent(stored.id, None, 0, stored.episode_id, stored.subject)
            return _Plan(origin, event, verdicts, origin.received_at, tenant_id, planned, setup.version, report=tell)
        before = ancestors(db, tenant_id, parent)
        full = with_inherited(db, tenant_id, event, before)
        depth, episode = parent.event.depth + 1, _episode(parent)
        known = planning.kinds_reported(db, [called.id])[called.id]
        if is_news(event.kind, known):
            verdicts = self._ask_rules(db, setup, origin, full, depth, episode)
        else:
            verdicts = [_verdict(Decision.NO, Cause.OVERTAKEN)]
        planned = PlannedEvent(stored.id, called.id, depth, episode.id if episode is not None else None, full.subject)
        came_at = origin.received_at
        return _Plan(origin, full, verdicts, came_at, tenant_id, planned, setup.version, before, tell, known)

    def _ask_rules(
        self, db: Connection, setup: Setup, origin: Origin, event: Event, depth: int, episode: Episode | None
    ) -> Sequence[PlannedVerdict]:
        if depth >= DEEPEST:
            return [_verdict(Decision.NO, Cause.CHAIN_ENDED)]
        wish = wish_of_person(db, setup.source.tenant_id, event)
        around = Circumstances(
            source=setup.source.name,
            test=_is_test(setup, origin),
            episode=episode,
            repeated=False,
            language=setup.source.language or setup.language,
            wish=wish.sentence if wish is not None else None,
        )
        return plan_event(event, setup.rules, around, self._mint.reference)

    def _report(self, tenant_id: str, origin: Origin, event: Event, called: Called | None) -> NewReport:
        return NewReport(
            id=self._mint.id(),
            tenant_id=tenant_id,
            delivery_id=called.id if called is not None else None,
            event_id=origin.event.id,
            kind=event.kind,
            happened_at=event.time or origin.received_at,
            received_at=origin.received_at,
            words=event.vendor_kind,
        )

    # --- writing down ---

    def _store_all(self, plans: Sequence[_Plan]) -> list[Decided]:
        """Write plans down; one that cannot be written keeps none of the others from it."""
        try:
            return self._store(plans)
        except StoreUnavailable:
            raise
        except Exception as error:  # whatever it is, the other events and deliveries must go on
            if len(plans) > 1:
                return [decided for plan in plans for decided in self._store_all([plan])]
            self._leave_alone(plans[0].origin.source_id, error)
            return []

    def _store(self, plans: Sequence[_Plan]) -> list[Decided]:
        """In one transaction, those plans that still hold; the others are made anew with the next turn."""
        parents = {plan.parent_id for plan in plans if plan.parent_id is not None}
        with self._database.write() as db:
            versions = tenants.versions(db, {plan.tenant_id for plan in plans})
            planning.hold_deliveries(db, parents)
            # Before the events themselves, as whoever empties them does.
            kept = earlier.hold_values(db, {one for plan in plans if plan.joined for one in plan.joined.held})
            held = planning.hold_unplanned(db, [plan.origin.event.id for plan in plans])
            known = planning.kinds_reported(db, parents)
            # What was forgotten meanwhile must not come back in a new delivery.
            gone = planning.emptied_among(db, {message for plan in plans for message in plan.messages})
            good = [
                plan
                for plan in plans
                if plan.origin.event.id in held
                and plan.version in {None, versions.get(plan.tenant_id)}
                and not plan.messages & gone
                and (plan.joined is None or plan.joined.held <= kept)
                and _still_news(plan, known)
                and _still_wanted(db, plan)
            ]
            self._write(db, good, held)
        return [_decided(plan) for plan in good]

    def _write(self, db: Connection, plans: Sequence[_Plan], held: Mapping[str, bool]) -> None:
        now = self._mint.now()
        promised = [(plan, self._promises(plan, now)) for plan in plans]
        planning.note_planned(db, [plan.planned for plan in plans])
        for plan in plans:
            if plan.joined is not None:
                _note_joined(db, plan, plan.joined.event)
        intake.add_verdicts(
            db,
            [
                (
                    plan.tenant_id,
                    plan.origin.event.id,
                    [
                        stored_verdict(verdict, new.id if new is not None else None)
                        for verdict, new in zip(plan.verdicts, promises, strict=True)
                    ],
                )
                for plan, promises in promised
            ],
        )
        new_deliveries = [(plan, new) for plan, promises in promised for new in promises if new is not None]
        deliveries.add_deliveries(db, [(plan.tenant_id, new) for plan, new in new_deliveries])
        planning.add_reports(db, [plan.report for plan in plans if plan.report is not None])
        restored.hold(
            db, [new.id for plan, new in new_deliveries if held[plan.origin.event.id] and not new.resend], now
        )

    def _promises(self, plan: _Plan, now: datetime) -> list[deliveries.NewDelivery | None]:
        """What is promised for each of the plan's verdicts; None for one that asks for nothing."""
        return [
            new_delivery(
                plan.tenant_id,
                self._mint.id(),
                plan.origin.event.id,
                plan.event,
                verdict.call,
                plan.origin.event.unit_id,
                came_at=plan.came_at,
                now=now,
            )
            if verdict.call is not None
            else None
            for verdict in plan.verdicts
        ]


def _without_rules(one: ToPlan, origin: Origin, decision: Decision, cause: Cause, detail: str = "") -> _Plan:
    """An event about which no rule is asked."""
    stored = origin.event
    planned = PlannedEvent(stored.id, stored.parent_delivery_id, stored.depth, stored.episode_id, stored.subject)
    event = Event(EventKind(stored.kind))
    return _Plan(origin, event, [_verdict(decision, cause, detail)], origin.received_at, one.tenant_id, planned)


def _note_joined(db: Connection, plan: _Plan, event: Event) -> None:
    events.complete_event(
        db,
        plan.tenant_id,
        plan.origin.event.id,
        kind=event.kind,
        happened_at=event.time,
        subject=event.subject,
        episode_id=plan.planned.episode_id,
        planned=True,
        notes=event.notes,
        values=event.values,
        unrendered=sorted(event.unrendered),
    )


def _verdict(decision: Decision, cause: Cause, detail: str = "") -> PlannedVerdict:
    return PlannedVerdict(Verdict(None, decision, cause, detail), None)


def _is_test(setup: Setup, origin: Origin) -> bool:
    return origin.event.test or not setup.source.is_live


def _episode(origin: Origin) -> Episode | None:
    event = origin.event
    return Episode(event.episode_id, event.episode_number) if event.episode_id and event.episode_number else None


def _still_wanted(db: Connection, plan: _Plan) -> bool:
    """Whether nobody is invited who has said meanwhile that they want no more of it."""
    calls = [verdict.call for verdict in plan.verdicts if verdict.call is not None]
    if not any(invites(call.bound.vendor, call.bound.rule.call) for call in calls):
        return True
    return wish_of_person(db, plan.tenant_id, plan.event) is None


def _still_news(plan: _Plan, known: dict[str, list[str]]) -> bool:
    """Whether nothing was reported of the delivery since; takes the plan's own report into account."""
    if plan.report is None or plan.report.delivery_id is None:
        return True
    kinds = known[plan.report.delivery_id]
    if kinds != list(plan.known):
        return False
    kinds.append(plan.report.kind)
    return True


def _decided(plan: _Plan) -> Decided:
    matched = plan.report.delivery_id is not None if plan.report is not None else None
    verdicts = [(str(one.verdict.decision), str(one.verdict.cause)) for one in plan.verdicts]
    return Decided(plan.origin.event.kind, plan.origin.event.is_learnt, verdicts, matched)
