"""An event on its way to its row: its key, its closing, and what was planned for it. Reads, stores nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from plugin.domain.episode import Episode, same_episode
from plugin.domain.event import Event, EventKind
from plugin.domain.identity import Mint
from plugin.pipeline.plan import Circumstances, PlannedVerdict, plan_event
from plugin.store import events, rules, tenants
from plugin.store.events import KnownEvent, NewTrigger
from plugin.store.rules import BoundRule
from plugin.store.sources import StoredSource

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
    """

    event: Event
    event_id: str
    key: str
    forget_at: datetime
    before: KnownEvent | None = None
    decided: EpisodeDecision = EpisodeDecision()
    planned: Sequence[PlannedVerdict] = ()


@dataclass(frozen=True)
class Drafted:
    """All drafts of one message, and the version of the configuration that they were planned under."""

    drafts: Sequence[Draft]
    version: int


class Episodes:
    """The episodes of one source, as they are stored and as the events drafted so far are going to leave them."""

    def __init__(self, db: Connection, source_id: str) -> None:
        self._db = db
        self._source_id = source_id
        self._latest: dict[str, Episode] = {}
        self._marked: dict[tuple[str, str], Episode] = {}

    def latest(self, subject: str) -> Episode | None:
        return self._latest.get(subject) or events.latest_episode(self._db, self._source_id, subject)

    def marked(self, subject: str, mark: str | None) -> Episode | None:
        """The one that was closed under this mark."""
        if mark is None:
            return None
        drafted = self._marked.get((subject, mark))
        return drafted or events.episode_by_mark(self._db, self._source_id, subject, mark)

    def put(self, subject: str, episode: Episode) -> None:
        latest = self.latest(subject)
        if latest is None or episode.number >= latest.number:
            self._latest[subject] = episode
        if episode.mark is not None:
            self._marked[subject, episode.mark] = episode


def draft_events(
    db: Connection, source: StoredSource, trigger: NewTrigger, parsed: Sequence[Event], mint: Mint
) -> Drafted:
    """Plan every event of a message against the state that `db` shows. Raises NotFound when the tenant is gone."""
    tenant = tenants.tenant_by_id(db, source.tenant_id)
    bound = rules.rules_of(db, source.tenant_id)
    episodes = Episodes(db, source.id)
    seen: dict[str, KnownEvent] = {}
    drafts = []
    for position, event in enumerate(parsed):
        draft = _new_draft(source, trigger, event, position, mint)
        before = seen.get(draft.key) or events.known_event(db, source.id, draft.key, trigger.received_at)
        if before is None:
            draft = _planned(draft, source, tenant.language, bound, episodes, mint)
        else:
            draft = replace(draft, before=before)
        seen[draft.key] = before or KnownEvent(draft.event_id, trigger.id, event.kind)
        drafts.append(draft)
    return Drafted(drafts, tenant.version)


def decide_episode(episodes: Episodes, event: Event, mint: Mint) -> EpisodeDecision:
    """The closing that an event belongs to."""
    if event.subject is None:
        # Nothing says what was closed, so nothing can repeat it.
        return EpisodeDecision(Episode(mint.id(), 1), begins=True) if event.kind.closes else EpisodeDecision()
    latest = episodes.latest(event.subject)
    if not event.kind.closes:
        return EpisodeDecision(latest)
    mark, status = event.closing_mark, status_of(event)
    known = same_episode(latest, episodes.marked(event.subject, mark), mark=mark, status=status)
    if known is not None:
        return EpisodeDecision(known)
    number = latest.number + 1 if latest is not None else 1
    return EpisodeDecision(Episode(mint.id(), number, mark, status), begins=True)


def status_of(event: Event) -> str | None:
    """The ticket's status as the event tells it."""
    status = event.values.get("ticket.status")
    return status if isinstance(status, str) else None


def digest(*parts: str | bytes | int) -> str:
    """A fingerprint of parts that cannot run into each other."""
    total = hashlib.sha256()
    for part in parts:
        raw = part if isinstance(part, bytes) else str(part).encode("utf-8", "surrogatepass")
        total.update(len(raw).to_bytes(8, "big") + raw)
    return total.hexdigest()


def _new_draft(source: StoredSource, trigger: NewTrigger, event: Event, position: int, mint: Mint) -> Draft:
    # The state is part of the key: a message tried in state test must not silence the same one sent live.
    if event.id is not None:
        key, memory = digest(source.state, "id", event.id), ID_MEMORY
    else:
        key, memory = digest(source.state, "fingerprint", trigger.query, trigger.body, position), FINGERPRINT_MEMORY
    return Draft(event, mint.id(), key, trigger.received_at + memory)


def _planned(
    draft: Draft, source: StoredSource, language: str, bound: Sequence[BoundRule], episodes: Episodes, mint: Mint
) -> Draft:
    event = draft.event
    decided = decide_episode(episodes, event, mint)
    if event.subject is not None and decided.episode is not None:
        episodes.put(event.subject, _left_by(event, decided.episode))
    around = Circumstances(
        source=source.name,
        test=source.state == "test",
        episode=decided.episode,
        repeated=event.kind.closes and not decided.begins,
        language=language,
    )
    return replace(draft, decided=decided, planned=plan_event(event, bound, around, mint.reference))


def _left_by(event: Event, episode: Episode) -> Episode:
    if event.kind is EventKind.TICKET_REOPENED:
        return replace(episode, ended=True)
    if event.kind.closes:
        return replace(episode, status=status_of(event) or episode.status)
    return episode
