"""An event on its way to its row: its key, its closing, and what was planned for it. Stores nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from plugin import registry
from plugin.domain.episode import Episode, same_episode
from plugin.domain.event import Event, EventKind
from plugin.domain.identity import Mint
from plugin.domain.language import choose_language
from plugin.pipeline.fingerprint import digest, person_marks
from plugin.pipeline.plan import Circumstances, PlannedVerdict, plan_event
from plugin.store.intake import NewTrigger
from plugin.store.recall import KnownEvent, Memory, Question
from plugin.store.rules import BoundRule
from plugin.store.sources import StoredSource
from plugin.store.suppressions import Suppression

#: Characters of a status that an episode keeps; no system has names as long.
LONGEST_STATUS: Final = 100

#: How long an event's own id is remembered, and a fingerprint made here where the sender gave none.
ID_MEMORY: Final = timedelta(days=35)
FINGERPRINT_MEMORY: Final = timedelta(hours=24)


@dataclass(frozen=True)
class EpisodeDecision:
    """Which closing an event belongs to, and whether it is the one that begins it."""

    episode: Episode | None = None
    begins: bool = False


@dataclass(frozen=True)
class Draft:
    """key: what a repeated event is recognised by, until forget_at.

    before: the event that this one repeats, of an earlier message or of this one; then nothing is planned.
    pending: it cannot be planned as it comes in, so a worker does that; `planned` is empty.
    outlook: of a dry run, what would become of it then.
    thin: its source has to be asked for more before that.
    wish: of its person, to be sent no more invitations.
    """

    event: Event
    event_id: str
    key: str
    forget_at: datetime
    before: KnownEvent | None = None
    decided: EpisodeDecision = EpisodeDecision()
    planned: Sequence[PlannedVerdict] = ()
    pending: bool = False
    outlook: str = ""
    thin: bool = False
    wish: Suppression | None = None


@dataclass(frozen=True)
class Setup:
    """What a tenant has set up, as far as it decides about a message of `source`. version: of the configuration.

    old_credentials: also taken, while the other side is changed over. reading: how the source's messages are read.
    """

    source: StoredSource
    credentials: registry.Credentials = field(repr=False)
    language: str
    rules: Sequence[BoundRule]
    version: int
    old_credentials: registry.Credentials | None = field(default=None, repr=False)
    reading: Mapping[str, Any] = field(default_factory=dict)


def draft_events(memory: Memory, setup: Setup, trigger: NewTrigger, parsed: Sequence[Event], mint: Mint) -> list[Draft]:
    """Plan every event of a message on top of what is remembered. The memory learns what they are going to leave."""
    drafts = []
    for position, event in enumerate(parsed):
        draft = _new_draft(setup.source, trigger, event, position, mint)
        before = memory.event(setup.source.id, draft.key, trigger.received_at)
        if before is None:
            draft = _planned(draft, setup, memory, mint)
            known = KnownEvent(draft.event_id, trigger.id, event.kind)
            memory.put_event(setup.source.id, draft.key, known, draft.forget_at)
        else:
            draft = replace(draft, before=before)
        drafts.append(draft)
    return drafts


def question_of(source: StoredSource, trigger: NewTrigger, parsed: Sequence[Event]) -> Question:
    """What a message has to be compared with before anything can be said about it."""
    closings = [event for event in parsed if event.kind.closes]
    return Question(
        source_id=source.id,
        mark=trigger.replay_mark,
        keys=[key_of(source, trigger, event, position)[0] for position, event in enumerate(parsed)],
        subjects=[event.subject for event in parsed if event.subject is not None],
        tenant_id=source.tenant_id,
        persons=[mark for event in parsed for mark in person_marks(source.tenant_id, event)],
        closing_marks=[event.closing_mark for event in closings if event.closing_mark is not None],
    )


def decide_episode(memory: Memory, source_id: str, event: Event, mint: Mint) -> EpisodeDecision:
    """The closing that an event belongs to."""
    if event.subject is None:
        # Nothing says what was closed, so nothing can repeat it.
        return EpisodeDecision(Episode(mint.id(), 1), begins=True) if event.kind.closes else EpisodeDecision()
    latest = memory.latest(source_id, event.subject)
    if not event.kind.closes:
        return EpisodeDecision(latest)
    mark, status = event.closing_mark, status_of(event)
    known = same_episode(latest, memory.marked(source_id, event.subject, mark), mark=mark, status=status)
    if known is not None:
        return EpisodeDecision(known)
    number = latest.number + 1 if latest is not None else 1
    return EpisodeDecision(Episode(mint.id(), number, mark, status), begins=True)


def as_it_turns_out(event: Event, latest: Episode | None) -> Event:
    """The event with the kind that it has after the ticket's latest closing, where the sender could not say it."""
    if not event.only_after_closing or is_closed(latest):
        return event
    note = "No closing of this ticket is known that it could have ended, so it is not taken for a re-opening."
    return replace(event, kind=EventKind.UNSUPPORTED, notes=(*event.notes, note))


def is_closed(latest: Episode | None) -> bool:
    return latest is not None and not latest.ended


def left_by(event: Event, episode: Episode) -> Episode:
    """An episode as an event leaves it."""
    if event.kind is EventKind.TICKET_REOPENED:
        return replace(episode, ended=True)
    if event.kind.closes:
        return replace(episode, status=status_of(event) or episode.status)
    return episode


def status_of(event: Event) -> str | None:
    """The ticket's status as the event tells it, as much of it as is kept of an episode."""
    status = event.values.get("ticket.status")
    return status[:LONGEST_STATUS] if isinstance(status, str) else None


def key_of(source: StoredSource, trigger: NewTrigger, event: Event, position: int) -> tuple[str, timedelta]:
    """What an event is recognised by when it comes again, and for how long."""
    # The state is part of the key: a message tried in state test must not silence the same one sent live.
    if event.id is not None:
        return digest(source.state, "id", event.id), ID_MEMORY
    return digest(source.state, "fingerprint", trigger.query, trigger.body, position), FINGERPRINT_MEMORY


def _new_draft(source: StoredSource, trigger: NewTrigger, event: Event, position: int, mint: Mint) -> Draft:
    key, memory = key_of(source, trigger, event, position)
    return Draft(event, mint.id(), key, trigger.received_at + memory)


def with_language(event: Event, source_language: str | None, tenant_language: str) -> Event:
    """The event with the language in which its person is to be asked, and a note of where that comes from."""
    if event.kind is EventKind.UNSUPPORTED or event.kind.is_report:
        return event
    told = event.values.get("person.language")
    chosen = choose_language(
        told if isinstance(told, str) else None,
        unrendered="person.language" in event.unrendered,
        source=source_language,
        tenant=tenant_language,
    )
    values = {**event.values, "person.language": chosen.tag}
    return replace(event, values=values, notes=(*event.notes, chosen.sentence))


def _is_thin(event: Event, setup: Setup) -> bool:
    """Whether the source has to be asked for more before the rules can decide about an event."""
    module = registry.lookup_module(setup.source.kind)
    return module is not None and module.lookup(event, setup.credentials) is not None


def says_too_little(event: Event) -> bool:
    """Whether an event ends something and does not say whose it was."""
    return event.kind.closes and event.subject is not None and "person.email" not in event.values


def _is_joined(event: Event, setup: Setup, decided: EpisodeDecision) -> bool:
    """Whether an event is completed by what its source said before. One that repeats a closing asks nobody anyway."""
    remembers = registry.source(setup.source.kind).SOURCE.remembers
    return bool(remembers) and decided.begins and says_too_little(event)


def _planned(draft: Draft, setup: Setup, memory: Memory, mint: Mint) -> Draft:
    if _is_thin(draft.event, setup):
        # What happened, and which closing it is, is known only when the source has told the rest.
        return replace(draft, pending=True, thin=True)
    source, subject = setup.source, draft.event.subject
    event = as_it_turns_out(draft.event, memory.latest(source.id, subject) if subject is not None else None)
    event = with_language(event, source.language, setup.language)
    wish = memory.wish_of(person_marks(source.tenant_id, event))
    draft = replace(draft, event=event, wish=wish)
    decided = decide_episode(memory, source.id, event, mint)
    if event.subject is not None and decided.episode is not None:
        memory.put_episode(source.id, event.subject, left_by(event, decided.episode))
    if event.kind.is_report or _is_joined(event, setup, decided):
        # Whose delivery it belongs to, or what was said before, is looked for outside the sender's request.
        return replace(draft, decided=decided, pending=True)
    around = Circumstances(
        source=source.name,
        test=not source.is_live,
        episode=decided.episode,
        repeated=event.kind.closes and not decided.begins,
        language=setup.source.language or setup.language,
        wish=wish.sentence if wish is not None else None,
    )
    return replace(draft, decided=decided, planned=plan_event(event, setup.rules, around, mint.reference))
