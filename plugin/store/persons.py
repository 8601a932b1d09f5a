"""Finding one person in all that a tenant keeps, receipt by receipt, and erasing them there.

Every row of every receipt is read: a value may stand anywhere in a message, and in any of several encodings. A page of
receipts is looked through at a time, so the memory stays flat and no transaction is long, however much a tenant keeps.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import unquote, unquote_plus

from sqlalchemy import Connection, bindparam, func, or_, select, union_all

from plugin.store.deliveries import cancel
from plugin.store.erasure import empty_events, empty_messages, forget_struck, rename_subjects
from plugin.store.suppressions import forget_words
from plugin.store.tables import (
    UtcTime,
    attempts,
    deliveries,
    delivery_calls,
    episodes,
    errands,
    event_values,
    events,
    replay_items,
    reports,
    trigger_bodies,
    triggers,
    verdicts,
)

#: Receipts looked through at a time; each may hold a message of up to 1 MiB.
PAGE: Final = 50

#: What is counted, in the order in which it is told.
KINDS: Final = ("stored messages", "events", "verdicts", "survey calls", "attempts", "reports", "errands", "replays")


@dataclass(frozen=True)
class Page:
    """Some receipts of a tenant, in the order they came. last: where the next page begins."""

    trigger_ids: list[str]
    last: tuple[datetime, str]


@dataclass
class Traces:
    """Where one page of receipts names a person.

    searched: receipts looked through. counts: rows by KINDS. triggers: messages to be removed. events: events to be
    emptied with all that came of them; subjects: those among them that are about the person by their very subject.
    ahead: those of the messages that came later, about calls to the person, whether they name anybody or not.
    under_way: calls to the person that were being made.
    """

    searched: int
    counts: Counter[str] = field(default_factory=Counter)
    triggers: set[str] = field(default_factory=set)
    events: set[str] = field(default_factory=set)
    subjects: set[str] = field(default_factory=set)
    ahead: set[str] = field(default_factory=set)
    under_way: int = 0

    def note(self, kind: str, event_id: str) -> None:
        self.counts[kind] += 1
        self.events.add(event_id)


_FIRST_PAGE: Final = (
    select(triggers.c.received_at, triggers.c.id)
    .where(triggers.c.tenant_id == bindparam("tenant"))
    .order_by(triggers.c.received_at, triggers.c.id)
    .limit(PAGE)
)
_NEXT_PAGE: Final = _FIRST_PAGE.where(
    triggers.c.received_at >= bindparam("at", type_=UtcTime),
    or_(triggers.c.received_at > bindparam("at", type_=UtcTime), triggers.c.id > bindparam("after")),
)


def count_receipts(db: Connection, tenant_id: str) -> int:
    return db.execute(select(func.count()).where(triggers.c.tenant_id == tenant_id)).scalar_one()


def page_of_receipts(db: Connection, tenant_id: str, last: tuple[datetime, str] | None) -> Page | None:
    """The receipts behind `last`, or the first ones; None when there are no more."""
    if last is None:
        rows = db.execute(_FIRST_PAGE, {"tenant": tenant_id}).all()
    else:
        rows = db.execute(_NEXT_PAGE, {"tenant": tenant_id, "at": last[0], "after": last[1]}).all()
    return Page([row.id for row in rows], (rows[-1].received_at, rows[-1].id)) if rows else None


def traces_in(db: Connection, trigger_ids: Sequence[str], wanted: Wanted, person: str) -> Traces:
    """Where these receipts name somebody. person: the mark that deliveries to them carry."""
    traces = Traces(len(trigger_ids))
    events_of: dict[str, set[str]] = {trigger_id: set() for trigger_id in trigger_ids}
    for event in db.execute(_EVENTS, {"ids": trigger_ids}):
        events_of[event.trigger_id].add(event.id)
        _look_at_event(event, wanted, traces)
    event_ids = [event_id for several in events_of.values() for event_id in several]
    for kind, query in _FOLLOWING.items():
        for row in db.execute(query, {"ids": event_ids}):
            if wanted.in_row(tuple(row)[1:]):
                traces.note(kind, row.event_id)
    _look_at_calls(db, event_ids, wanted, person, traces)
    for message in db.execute(_MESSAGES, {"ids": trigger_ids}):
        if _is_in_message(message, wanted):
            traces.counts["stored messages"] += 1
            traces.triggers.add(message.id)
    for trigger_id, its_events in events_of.items():
        if its_events & traces.events:
            traces.triggers.add(trigger_id)
        elif trigger_id in traces.triggers:
            # The message names the person, and none of its events alone does: it may be about any of them.
            traces.events |= its_events
    _look_at_followers(db, set(events_of), traces)
    return traces


def erase_traces(db: Connection, tenant_id: str, traces: Traces, now: datetime) -> int:
    """Empty what names the person; gives how many waiting deliveries were cancelled.

    A call that is under way is let go; without its values it is not made a second time.
    """
    cancelled = cancel(db, tenant_id, deliveries.c.event_id.in_(traces.events), now) if traces.events else 0
    rename_subjects(db, traces.subjects)
    empty_events(db, traces.events)
    empty_messages(db, traces.triggers, now, "forgotten")
    return cancelled


def erase_mark(db: Connection, tenant_id: str, person: str) -> None:
    """Have no connection remember that it was last refused for this person, and their wish say in which words."""
    forget_struck(db, tenant_id, person)
    forget_words(db, tenant_id, person)


def _look_at_event(row: Any, wanted: Wanted, traces: Traces) -> None:
    if wanted.in_values([row.subject, row.sender_id, row.status, row.mark]):
        traces.subjects.add(row.id)
    elif not wanted.in_values([row.placeholders, row.unrendered, row.notes, row.vendor_kind]):
        return
    traces.note("events", row.id)


def _look_at_calls(db: Connection, event_ids: Collection[str], wanted: Wanted, person: str, traces: Traces) -> None:
    for row in db.execute(_CALLS, {"ids": list(event_ids)}):
        if row.person == person or wanted.in_row([row.parameters, row.vendor_reference]):
            traces.note("survey calls", row.event_id)
            traces.under_way += row.state == "claimed"


def _look_at_followers(db: Connection, page: Collection[str], traces: Traces) -> None:
    """What follows from calls to the person is about the person as well, and so on."""
    found = set(traces.events)
    while found:
        rows = db.execute(_FOLLOWERS, {"ids": sorted(found)}).all()
        found = {row.id for row in rows} - traces.events
        traces.events |= found
        traces.triggers |= {row.trigger_id for row in rows}
        traces.ahead |= {row.trigger_id for row in rows}.difference(page)


def _is_in_message(row: Any, wanted: Wanted) -> bool:
    body = (row.body or b"").decode("utf-8", "replace")
    return wanted.in_row([row.cause_detail, body, row.query, row.headers])


# --- everything of some receipts --------------------------------------------------------------------------------------


def _among(column: Any) -> Any:
    return column.in_(bindparam("ids", expanding=True))


_EVENTS: Final = (
    select(
        events.c.id,
        events.c.trigger_id,
        events.c.subject,
        events.c.sender_id,
        events.c.notes,
        events.c.vendor_kind,
        event_values.c.placeholders,
        event_values.c.unrendered,
        episodes.c.status,
        episodes.c.mark,
    )
    .outerjoin(event_values, event_values.c.event_id == events.c.id)
    .outerjoin(episodes, episodes.c.id == events.c.episode_id)
    .where(_among(events.c.trigger_id))
)
_CALLS: Final = (
    select(
        deliveries.c.event_id,
        deliveries.c.state,
        deliveries.c.vendor_reference,
        delivery_calls.c.parameters,
        delivery_calls.c.person,
    )
    .outerjoin(delivery_calls, delivery_calls.c.delivery_id == deliveries.c.id)
    .where(_among(deliveries.c.event_id))
)
_FOLLOWERS: Final = (
    select(events.c.id, events.c.trigger_id)
    .join(deliveries, deliveries.c.id == events.c.parent_delivery_id)
    .where(_among(deliveries.c.event_id))
)
_MESSAGES: Final = (
    select(
        triggers.c.id,
        triggers.c.cause_detail,
        trigger_bodies.c.query,
        trigger_bodies.c.headers,
        trigger_bodies.c.body,
    )
    .outerjoin(trigger_bodies, trigger_bodies.c.trigger_id == triggers.c.id)
    .where(_among(triggers.c.id))
)
#: What else came of events: the event, then what may name somebody.
_FOLLOWING: Final[Mapping[str, Any]] = {
    "verdicts": select(verdicts.c.event_id, verdicts.c.detail, verdicts.c.warnings, verdicts.c.preview).where(
        _among(verdicts.c.event_id)
    ),
    "attempts": select(deliveries.c.event_id, attempts.c.url, attempts.c.parameters, attempts.c.words)
    .join(attempts, attempts.c.delivery_id == deliveries.c.id)
    .where(_among(deliveries.c.event_id)),
    "reports": union_all(
        select(deliveries.c.event_id, reports.c.words)
        .join(reports, reports.c.delivery_id == deliveries.c.id)
        .where(_among(deliveries.c.event_id)),
        select(reports.c.event_id, reports.c.words).where(reports.c.delivery_id.is_(None), _among(reports.c.event_id)),
    ),
    "errands": select(func.coalesce(errands.c.event_id, deliveries.c.event_id).label("event_id"), errands.c.words)
    .outerjoin(deliveries, deliveries.c.id == errands.c.delivery_id)
    .where(or_(_among(errands.c.event_id), _among(deliveries.c.event_id))),
    "replays": select(replay_items.c.event_id, replay_items.c.detail).where(
        _among(replay_items.c.event_id), replay_items.c.detail != ""
    ),
}


# --- in any encoding --------------------------------------------------------------------------------------------------

_ESCAPE: Final = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|[bfnrt])")


class Wanted:
    """Finds an address or a number, but not as a part of a longer one: `ann@x.com` is not `joann@x.com`."""

    def __init__(self, address: str) -> None:
        self._text = address.strip().casefold()
        before, after = (r"(?<![\w.+-])", r"(?![\w-]|\.\w)") if "@" in self._text else (r"(?<!\w)", r"(?!\w)")
        self._pattern = re.compile(before + re.escape(self._text) + after)

    def in_values(self, value: Any) -> bool:
        """Whether any text in `value` holds it; `value` is what somebody has read from a message already."""
        return any(self._is_in(text) for text in _texts(value))

    def in_row(self, row: Iterable[Any]) -> bool:
        """Whether a row's columns hold it: texts in whatever format, and values."""
        return any(self.in_message(one) if isinstance(one, str) else self.in_values(one) for one in row)

    def in_message(self, text: str) -> bool:
        """Whether `text`, written in whatever format, holds it."""
        return any(self._is_in(reading) for reading in _readings(text))

    def _is_in(self, text: str) -> bool:
        folded = text.casefold()
        # Plainly looking for it is many times faster, and nearly always says no.
        return self._text in folded and self._pattern.search(folded) is not None


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield name
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)


def _readings(text: str) -> Iterator[str]:
    """What `text` says: as it stands, and without the escapes of URLs and forms, JSON and HTML, one in the other."""
    # Only in a form is a plus sign a space.
    decoded = unquote(text) if text.lstrip().startswith(("{", "[", "<")) else unquote_plus(text)
    for form in dict.fromkeys((text, decoded)):
        yield form
        unescaped = form
        if "\\" in form:
            unescaped = _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else " ", form)
            yield unescaped
        if "&" in unescaped:
            yield html.unescape(unescaped)
