"""Look-ups: asking a source for what a thin event's message does not say, and completing the event with it.

Until then the event is kept and no rule decides about it; from then on it can be planned, whatever the asking brought.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Final

import structlog
from sqlalchemy import Connection

from plugin import registry
from plugin.domain.delivery import CALL_DEADLINE
from plugin.domain.episode import Episode
from plugin.domain.event import Event, EventKind
from plugin.domain.identity import Mint
from plugin.domain.outcome import Outcome, Reason, RetryLater
from plugin.domain.retry import Chance
from plugin.domain.survey_call import OutboundRequest, OutboundResponse
from plugin.errors import OutboundFailed, Unreadable, VaultError
from plugin.outbound import Outbound
from plugin.pipeline.credentials import open_credentials
from plugin.pipeline.deliver import fault_words, outcome_of_failure, storable
from plugin.pipeline.draft import EpisodeDecision, decide_episode, status_of, with_language
from plugin.pipeline.errand_task import FinishedErrand, Result, Task, asked_later, ended
from plugin.pipeline.plan import Circumstances, plan_event
from plugin.pipeline.record import stored_verdict
from plugin.pipeline.rereading import MessageGone, read_message
from plugin.redaction import Secret, mask_secrets
from plugin.registry import Credentials
from plugin.store import events, intake, rules, tenants
from plugin.store.errands import ErrandRow
from plugin.store.origins import Origin, origin_of
from plugin.store.recall import Question, recall
from plugin.vault import Vault

#: Requests that one event may need; each asks for what the answer before has made known.
MOST_REQUESTS: Final = 4
#: Characters of a subject that are kept; no system has ids as long.
_LONGEST_SUBJECT: Final = 300
#: What is left of an errand's time for its last request at least, seconds.
_LEAST: Final = 0.1

log = structlog.get_logger()


@dataclass(frozen=True)
class LookUps:
    """Makes the requests of look-ups. One for a process, shared by its threads."""

    outbound: Outbound
    vault: Vault
    mint: Mint
    monotonic: Callable[[], float]
    chance: Chance

    def make(self, task: Task) -> FinishedErrand:
        """Ask for all that is missing; what goes wrong is asked again later, unless the source refuses for good."""
        row, origin = task.row, task.origin
        try:
            event = read_message(origin) if origin is not None else None
        except (MessageGone, Unreadable):
            event = None
        if event is None:
            return ended(row, Result.REFUSED, "The message cannot be read any more, so nothing was asked.")
        try:
            credentials = open_credentials(
                self.vault,
                tenant_id=row.tenant_id,
                source_id=row.lane,
                kind=task.owner.module,
                sealed=task.owner.sealed,
            )
            return self._asked(row, task.owner.module, event, credentials)
        except VaultError as error:
            return self._later(row, RetryLater(Reason.NOT_REACHED, str(error)))
        except Exception as error:  # a connector's fault is mended with the next version, and then asked again
            log.error("look-up failed in this program", errand=row.id, error=type(error).__name__)  # noqa: TRY400  # a traceback may quote values
            return self._later(row, RetryLater(Reason.NOT_REACHED, fault_words(error)))

    def _asked(self, row: ErrandRow, kind: str, event: Event, credentials: Credentials) -> FinishedErrand:
        module = registry.lookup_module(kind)
        if module is None:
            return FinishedErrand(row, Result.DONE, event=event)
        until = self.monotonic() + CALL_DEADLINE.total_seconds()
        for _ in range(MOST_REQUESTS):
            request = module.lookup(event, credentials)
            if request is None:
                return FinishedErrand(row, Result.DONE, event=_storable(event))
            answer = self._sent(request, module.lookup_origins(credentials), until - self.monotonic())
            if not isinstance(answer, OutboundResponse):
                return self._later(row, answer, request.secrets)
            if not 200 <= answer.status < 300:
                outcome = registry.outcome_for_status(answer)
                return self._later(row, outcome, request.secrets, f" (HTTP {answer.status})")
            try:
                event = module.complete(event, answer)
            except Unreadable as error:
                return self._refused(row, mask_secrets(storable(str(error)), request.secrets))
        return self._refused(row, f"after {MOST_REQUESTS} requests something was missing still")

    def _sent(self, request: OutboundRequest, origins: Collection[str], seconds: float) -> OutboundResponse | Outcome:
        try:
            return self.outbound.send(request, allowed_origins=origins, deadline=max(seconds, _LEAST))
        except OutboundFailed as failure:
            return outcome_of_failure(failure)

    def _later(
        self, row: ErrandRow, outcome: Outcome, secrets: tuple[Secret, ...] = (), status: str = ""
    ) -> FinishedErrand:
        """What a request without a good answer comes to: again later, or never."""
        words = mask_secrets(storable(outcome.words), secrets)
        again = asked_later(row, outcome, words, self.mint.now(), self.chance)
        return again or self._refused(row, words, status)

    def _refused(self, row: ErrandRow, words: str, status: str = "") -> FinishedErrand:
        told = f"The source did not tell the rest{status}{f': {words}' if words else '.'}"
        return ended(row, Result.REFUSED, told)


def _storable(event: Event) -> Event:
    """A completed event as a database takes it, whatever the answer held."""
    values = {
        name: storable(value) if isinstance(value, str) else tuple(map(storable, value))
        for name, value in event.values.items()
    }
    subject = storable(event.subject)[:_LONGEST_SUBJECT] if event.subject is not None else None
    return replace(event, subject=subject, values=values, notes=tuple(map(storable, event.notes)))


# --- writing it down --------------------------------------------------------------------------------------------------


def write_down(db: Connection, mint: Mint, item: FinishedErrand) -> None:
    """Store what a look-up that has ended brought, and have the event planned."""
    row = item.row
    if row.event_id is None:
        return
    if item.event is None:
        events.wait_no_more(db, row.tenant_id, row.event_id, note=item.told)
        return
    origin = origin_of(db, row.tenant_id, row.event_id)
    if origin is None:
        return
    event = with_language(item.event, origin.source_language, tenants.tenant_by_id(db, row.tenant_id).language)
    decided = _closing(db, mint, row, origin, event)
    repeated = event.kind.closes and not decided.begins and not origin.event.test
    events.complete_event(
        db,
        row.tenant_id,
        row.event_id,
        kind=event.kind,
        happened_at=event.time,
        subject=event.subject,
        episode_id=decided.episode.id if decided.episode is not None and event.subject is not None else None,
        planned=repeated,
        notes=event.notes,
        values=event.values,
        unrendered=sorted(event.unrendered),
    )
    if repeated:
        _say_repeated(db, mint, row, origin, event, decided.episode)


def _closing(db: Connection, mint: Mint, row: ErrandRow, origin: Origin, event: Event) -> EpisodeDecision:
    """The closing that a completed event belongs to, begun or ended by it."""
    if event.subject is None or origin.event.test:
        return EpisodeDecision(begins=True)
    now = mint.now()
    marks = [event.closing_mark] if event.closing_mark is not None else []
    memory = recall(db, [Question(row.lane, None, [], [event.subject], marks)])
    decided = decide_episode(memory, row.lane, event, mint)
    episode = decided.episode
    if episode is None:
        return decided
    if event.kind.closes and decided.begins:
        intake.begin_episodes(db, [intake.NewEpisode(row.tenant_id, row.lane, event.subject, episode, now)])
    elif event.kind.closes:
        events.note_status(db, row.tenant_id, episode.id, status_of(event))
    elif event.kind is EventKind.TICKET_REOPENED:
        events.end_episode(db, row.tenant_id, episode.id, now)
    return decided


def _say_repeated(
    db: Connection, mint: Mint, row: ErrandRow, origin: Origin, event: Event, episode: Episode | None
) -> None:
    """A closing that came before asks nobody once more: each rule says so."""
    around = Circumstances(
        source=origin.source,
        test=False,
        episode=episode,
        repeated=True,
        language=tenants.tenant_by_id(db, row.tenant_id).language,
    )
    planned = plan_event(event, rules.rules_of(db, row.tenant_id), around, mint.reference)
    verdicts = [stored_verdict(one, None) for one in planned]
    intake.add_verdicts(db, [(row.tenant_id, str(row.event_id), verdicts)])
