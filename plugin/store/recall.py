"""What came before: messages, events and episodes of a source. Read for many messages in a few statements."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, func, or_, select

from plugin.domain.episode import Episode
from plugin.store.suppressions import Suppression, wishes_of
from plugin.store.tables import episodes, event_keys, events, triggers


@dataclass(frozen=True)
class KnownEvent:
    """An event that has come before."""

    id: str
    trigger_id: str
    kind: str


@dataclass(frozen=True)
class Question:
    """What one message has to be compared with. mark: its replay mark. closing_marks: of its events.

    persons: the marks of those whom they are about.
    """

    source_id: str
    mark: str | None
    keys: Sequence[str]
    subjects: Sequence[str]
    closing_marks: Sequence[str]
    tenant_id: str = ""
    persons: Sequence[str] = ()

    def topics(self) -> set[tuple[str, str, str]]:
        """What this message is about; two messages without a common topic have nothing to do with each other."""
        marks = [self.mark] if self.mark is not None else []
        named = {"mark": marks, "key": self.keys, "subject": self.subjects}
        return {(self.source_id, kind, value) for kind, values in named.items() for value in values}


@dataclass(frozen=True)
class Memory:
    """What came before, by source; and what is decided on top of it before it is stored.

    An empty one says that nothing came before.
    """

    _triggers: dict[tuple[str, str], str] = field(default_factory=dict)
    _events: dict[tuple[str, str], tuple[KnownEvent, datetime]] = field(default_factory=dict)
    _latest: dict[tuple[str, str], Episode] = field(default_factory=dict)
    _marked: dict[tuple[str, str, str], Episode] = field(default_factory=dict)
    _wishes: dict[str, Suppression] = field(default_factory=dict)

    def trigger(self, source_id: str, mark: str | None) -> str | None:
        """The id of the trigger that carried this replay mark."""
        return self._triggers.get((source_id, mark)) if mark is not None else None

    def event(self, source_id: str, key: str, now: datetime) -> KnownEvent | None:
        """The event that a source has sent under this key, unless the key's time is over."""
        found = self._events.get((source_id, key))
        return found[0] if found is not None and found[1] > now else None

    def is_over(self, source_id: str, key: str, now: datetime) -> bool:
        """Whether a source has sent an event under this key so long ago that the key's time is over."""
        found = self._events.get((source_id, key))
        return found is not None and found[1] <= now

    def latest(self, source_id: str, subject: str) -> Episode | None:
        return self._latest.get((source_id, subject))

    def marked(self, source_id: str, subject: str, mark: str | None) -> Episode | None:
        """The episode that was closed under this mark."""
        return self._marked.get((source_id, subject, mark)) if mark is not None else None

    def wish_of(self, marks: Iterable[str]) -> Suppression | None:
        """The wish of a person with one of these marks to be sent no more invitations."""
        return next((self._wishes[mark] for mark in marks if mark in self._wishes), None)

    def put_wish(self, wish: Suppression) -> None:
        self._wishes[wish.person] = wish

    def put_trigger(self, source_id: str, mark: str, trigger_id: str) -> None:
        self._triggers[source_id, mark] = trigger_id

    def put_event(self, source_id: str, key: str, event: KnownEvent, forget_at: datetime) -> None:
        self._events[source_id, key] = event, forget_at

    def put_episode(self, source_id: str, subject: str, episode: Episode) -> None:
        latest = self.latest(source_id, subject)
        if latest is None or episode.number >= latest.number:
            self._latest[source_id, subject] = episode
        if episode.mark is not None:
            self._marked[source_id, subject, episode.mark] = episode


def recall(db: Connection, questions: Sequence[Question]) -> Memory:
    """What is stored about all that these messages may repeat."""
    memory = Memory()
    asked_sources = _distinct([question.source_id] for question in questions)
    marks = _distinct([question.mark] for question in questions if question.mark is not None)
    keys = _distinct(question.keys for question in questions)
    subjects = _distinct(question.subjects for question in questions)
    closing_marks = _distinct(question.closing_marks for question in questions)
    for row in _found(db, _TRIGGERS, sources=asked_sources, marks=marks):
        memory.put_trigger(row.source_id, row.replay_mark, row.id)
    for row in _found(db, _EVENTS, sources=asked_sources, keys=keys):
        memory.put_event(row.source_id, row.key, KnownEvent(row.id, row.trigger_id, row.kind), row.forget_at)
    for row in _found(db, _EPISODES, sources=asked_sources, subjects=subjects, marks=closing_marks or [""]):
        memory.put_episode(row.source_id, row.subject, _episode(row))
    asking_tenants = _distinct([question.tenant_id] for question in questions)
    for wish in wishes_of(db, asking_tenants, _distinct(question.persons for question in questions)):
        memory.put_wish(wish)
    return memory


def _distinct(values: Iterable[Iterable[str | None]]) -> list[str]:
    return sorted({value for some in values for value in some if value is not None})


def _found(db: Connection, query: Any, **among: list[str]) -> Sequence[Row[Any]]:
    return db.execute(query, among).all() if all(among.values()) else ()


def _any_of(name: str) -> Any:
    return bindparam(name, expanding=True)


_TRIGGERS: Final = select(triggers.c.source_id, triggers.c.replay_mark, triggers.c.id).where(
    triggers.c.source_id.in_(_any_of("sources")), triggers.c.replay_mark.in_(_any_of("marks"))
)
_EVENTS: Final = (
    select(
        event_keys.c.source_id,
        event_keys.c.key,
        event_keys.c.forget_at,
        events.c.id,
        events.c.trigger_id,
        events.c.kind,
    )
    .join(events, events.c.id == event_keys.c.event_id)
    .where(event_keys.c.source_id.in_(_any_of("sources")), event_keys.c.key.in_(_any_of("keys")))
)
_LATER: Final = episodes.alias("later")
_EPISODES: Final = select(
    episodes.c.source_id,
    episodes.c.subject,
    episodes.c.id,
    episodes.c.number,
    episodes.c.mark,
    episodes.c.status,
    episodes.c.ended_at,
).where(
    episodes.c.source_id.in_(_any_of("sources")),
    episodes.c.subject.in_(_any_of("subjects")),
    # The last of each subject, and whichever was closed under one of the marks.
    or_(
        episodes.c.number
        == select(func.max(_LATER.c.number))
        .where(_LATER.c.source_id == episodes.c.source_id, _LATER.c.subject == episodes.c.subject)
        .scalar_subquery(),
        episodes.c.mark.in_(_any_of("marks")),
    ),
)


def _episode(row: Row[Any]) -> Episode:
    return Episode(row.id, row.number, row.mark, row.status, ended=row.ended_at is not None)
