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
from plugin.store.sources import StoredSource

#: How long an event's own id is remembered, and a fingerprint made here where the sender gave none.
ID_MEMORY: Final = timedelta(days=35)
FINGERPRINT_MEMORY: Final = timedelta(hours=24)


@dataclass(frozen=True)
class EpisodeDecision:
    """Which closing an event belongs to, and whether it is the one that begins it."""

    episode: Episode | None
    begins: bool


@dataclass(frozen=True)
class Draft:
    """key: what a repeated event is recognised by, until forget_at."""

    event: Event
    event_id: str
    key: str
    forget_at: datetime
    decided: EpisodeDecision
    planned: Sequence[PlannedVerdict]


@dataclass(frozen=True)
class Drafted:
    """All drafts of one message, and the version of the configuration that they were planned under."""

    drafts: Sequence[Draft]
    version: int


def draft_events(
    db: Connection, source: StoredSource, trigger: events.NewTrigger, parsed: Sequence[Event], mint: Mint
) -> Drafted:
    """Plan every event of a message against the state that `db` shows."""
    tenant = tenants.tenant_by_id(db, source.tenant_id)
    bound = rules.rules_of(db, source.tenant_id)
    #: Episodes as this very message leaves them: two closings of one ticket may come in one message.
    within: dict[str, Episode] = {}
    drafts = []
    for position, event in enumerate(parsed):
        decided = decide_episode(db, source.id, event, within.get(event.subject or ""), mint)
        if event.subject is not None and decided.episode is not None:
            ended = event.kind is EventKind.TICKET_REOPENED
            within[event.subject] = replace(decided.episode, ended=decided.episode.ended or ended)
        around = Circumstances(
            source=source.name,
            test=source.state == "test",
            episode=decided.episode,
            repeated=event.kind.closes and not decided.begins,
            language=tenant.language,
        )
        event_id = mint.id()
        drafts.append(
            Draft(
                event=event,
                event_id=event_id,
                key=_event_key(source, trigger, event, position),
                forget_at=trigger.received_at + (ID_MEMORY if event.id else FINGERPRINT_MEMORY),
                decided=decided,
                planned=plan_event(event, event_id, bound, around, mint.reference),
            )
        )
    return Drafted(drafts, tenant.version)


def decide_episode(db: Connection, source_id: str, event: Event, within: Episode | None, mint: Mint) -> EpisodeDecision:
    """The closing that an event belongs to. within: the subject's latest, as the same message left it, if it did."""
    if event.subject is None:
        # Nothing says what was closed, so nothing can repeat it.
        return EpisodeDecision(Episode(mint.id(), 1) if event.kind.closes else None, begins=event.kind.closes)
    latest = within or events.latest_episode(db, source_id, event.subject)
    if not event.kind.closes:
        return EpisodeDecision(latest, begins=False)
    mark, status = event.closing_mark, status_of(event)
    known = same_episode(latest, _marked(db, source_id, event.subject, mark, within), mark=mark, status=status)
    if known is not None:
        return EpisodeDecision(known, begins=False)
    number = latest.number + 1 if latest is not None else 1
    return EpisodeDecision(Episode(mint.id(), number, mark, status), begins=True)


def status_of(event: Event) -> str | None:
    status = event.values.get("ticket.status")
    return status if isinstance(status, str) else None


def digest(*parts: str | bytes | int) -> str:
    """A fingerprint of parts that cannot run into each other."""
    total = hashlib.sha256()
    for part in parts:
        raw = part if isinstance(part, bytes) else str(part).encode("utf-8", "surrogatepass")
        total.update(len(raw).to_bytes(8, "big") + raw)
    return total.hexdigest()


def _marked(db: Connection, source_id: str, subject: str, mark: str | None, within: Episode | None) -> Episode | None:
    if mark is None:
        return None
    if within is not None and within.mark == mark:
        return within
    return events.episode_by_mark(db, source_id, subject, mark)


def _event_key(source: StoredSource, trigger: events.NewTrigger, event: Event, position: int) -> str:
    # The state is part of it: a message tried in state test must not silence the same one sent live.
    if event.id is not None:
        return digest(source.state, "id", event.id)
    return digest(source.state, "fingerprint", trigger.query, trigger.body, position)
