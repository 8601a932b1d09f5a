"""Emptying receipts: payloads and personal values go; verdicts, states, times and counts stay.

What becomes of each column that may name or describe a person, when a receipt is emptied because it is old
(`retention`) or because somebody in it was forgotten (`forgotten`):

| column | |
|---|---|
| trigger_bodies (query, headers, body) | the row is deleted |
| event_values (placeholders, unrendered) | the row is deleted |
| delivery_calls (parameters, memory, person, phone, tracked) | the row is deleted; without it nothing more is sent |
| attempts.url, .parameters, .words | emptied; method, status, outcome and times stay |
| errands (memory, words) | the row is deleted; nothing more is asked |
| reports.words, replay_items.detail | emptied |
| deliveries.vendor_reference | emptied: at the vendor it leads to a person; our own reference is random and stays |
| triggers.cause_detail, verdicts.detail, .warnings, .preview, events.notes | emptied: they may quote the message |
| events.sender_id | emptied: only the sender knows what its ids are made of |
| events.subject, episodes.subject | stay where they are ids (`ticket:35`), not where they are addresses |
| events.vendor_kind, episodes.mark, .status | the sender's words; emptied where they hold an address |
| event_keys, triggers.replay_mark | digests that cannot be turned back; keys end by themselves after 35 days |
| connections.last_struck | a digest of tenant and address; emptied when that person is forgotten |
| suppressions.person, .words | a digest, which stays; addresses are masked, and emptied when the person is forgotten |
| connections.paused_words | addresses are masked before they are stored |
| configurations, rules, sources | the tenant's own decisions; nothing of a message |
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import (
    Column,
    Connection,
    Executable,
    bindparam,
    case,
    delete,
    func,
    literal,
    null,
    or_,
    select,
    update,
)

from plugin.domain.delivery import LIVE_STATES
from plugin.store.tables import (
    UtcTime,
    attempts,
    connections,
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

#: Why a receipt was emptied.
Occasion = Literal["retention", "forgotten"]

#: Ids in one statement; databases take only so many.
_IDS_AT_ONCE: Final = 1000


def empty_receipts(db: Connection, trigger_ids: Collection[str], now: datetime, occasion: Occasion) -> None:
    """Empty these receipts, whatever state their deliveries are in. Doing it twice is harmless."""
    empty_events(db, _ids(db, _EVENTS, trigger_ids))
    empty_messages(db, trigger_ids, now, occasion)


def empty_events(db: Connection, event_ids: Collection[str]) -> None:
    """Empty these events and all that came of them, but not the messages that brought them."""
    delivery_ids = _ids(db, _DELIVERIES, event_ids)
    for statement in _BY_DELIVERY:
        _for_each(db, statement, delivery_ids)
    for statement in _BY_EVENT:
        _for_each(db, statement, event_ids)


def empty_messages(db: Connection, trigger_ids: Collection[str], now: datetime, occasion: Occasion) -> None:
    """Remove these messages, and have their receipts say when that was and what for."""
    _for_each(db, _EMPTY_TRIGGERS, trigger_ids, now=now, occasion=occasion)
    _for_each(db, _DELETE_BODIES, trigger_ids)


def rename_subjects(db: Connection, event_ids: Collection[str]) -> None:
    """Have the subjects of these events and of their episodes name nobody, whatever they look like."""
    _for_each(db, _RENAME_EPISODES, event_ids)
    _for_each(db, _EMPTY_SUBJECTS, event_ids)


def forget_struck(db: Connection, tenant_id: str, person: str) -> None:
    """Have no connection remember the mark of this person."""
    db.execute(
        update(connections)
        .where(connections.c.tenant_id == tenant_id, connections.c.last_struck == person)
        .values(last_struck=None)
    )


# --- which receipts are old -------------------------------------------------------------------------------------------
# Ids sort by the time they were made, so primary keys serve as indices by age.


def _old(key: Column[str]) -> Any:
    return (
        select(key).where(key > bindparam("after"), key < bindparam("before")).order_by(key).limit(bindparam("limit"))
    )


_OLD_BODIES: Final = _old(trigger_bodies.c.trigger_id)
_OLD_VALUES: Final = _old(event_values.c.event_id)
_OLD_CALLS: Final = _old(delivery_calls.c.delivery_id)
_TRIGGERS_OF_EVENTS: Final = select(events.c.trigger_id).where(events.c.id.in_(bindparam("ids", expanding=True)))
_TRIGGERS_OF_DELIVERIES: Final = (
    select(events.c.trigger_id)
    .join(deliveries, deliveries.c.event_id == events.c.id)
    .where(deliveries.c.id.in_(bindparam("ids", expanding=True)))
)

#: Where values may be left, in the order in which a pass looks: messages first, for with them all of a receipt goes;
#: then what remains beside a message that is gone already.
TRACES: Final[Sequence[tuple[Any, Any]]] = (
    (_OLD_BODIES, None),
    (_OLD_VALUES, _TRIGGERS_OF_EVENTS),
    (_OLD_CALLS, _TRIGGERS_OF_DELIVERIES),
)


def old_receipts(db: Connection, trace: int, *, after: str, before: str, limit: int) -> tuple[list[str], str | None]:
    """Receipts that hold values by this trace (a position in TRACES), made before the id `before`.

    Looks at `limit` rows behind the id `after`. Gives the receipts, and the last id looked at: None at the end.
    """
    rows, owners = TRACES[trace]
    keys = list(db.execute(rows, {"after": after, "before": before, "limit": limit}).scalars())
    if not keys:
        return [], None
    found = keys if owners is None else list(db.execute(owners, {"ids": keys}).scalars())
    return list(dict.fromkeys(found)), keys[-1]


#: Receipts that are counted before one says "or more".
COUNTED_AT_MOST: Final = 10_000

_OVERDUE: Final = (
    select(trigger_bodies.c.trigger_id)
    .where(trigger_bodies.c.trigger_id < bindparam("before"))
    .order_by(trigger_bodies.c.trigger_id)
    .limit(COUNTED_AT_MOST)
)


def count_overdue(db: Connection, before: str) -> tuple[int, int]:
    """How many receipts made before the id `before` hold their message; how many of them wait for a decision."""
    overdue = list(db.execute(_OVERDUE, {"before": before}).scalars())
    undecided = sum(len(db.execute(_LIVE, {"ids": some}).all()) for some in _batches(overdue))
    return len(overdue), undecided


_LOCK: Final = (
    select(triggers.c.id)
    .where(triggers.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(triggers.c.id)
    # Another worker is at the others.
    .with_for_update(skip_locked=True, key_share=True)
)
_LIVE: Final = (
    select(events.c.trigger_id)
    .join(deliveries, deliveries.c.event_id == events.c.id)
    .where(events.c.trigger_id.in_(bindparam("ids", expanding=True)), deliveries.c.state.in_(LIVE_STATES))
    .distinct()
)


def take_settled(db: Connection, trigger_ids: Collection[str]) -> list[str]:
    """Those of these receipts without a delivery that is still to be decided, kept from other workers meanwhile."""
    taken = list(db.execute(_LOCK, {"ids": list(trigger_ids)}).scalars())
    live = set(db.execute(_LIVE, {"ids": taken}).scalars())
    return [trigger_id for trigger_id in taken if trigger_id not in live]


# --- statements -------------------------------------------------------------------------------------------------------


def _among(column: Column[Any]) -> Any:
    return column.in_(bindparam("ids", expanding=True))


_EVENTS: Final = select(events.c.id).where(_among(events.c.trigger_id))
_DELIVERIES: Final = select(deliveries.c.id).where(_among(deliveries.c.event_id))
_EPISODES: Final = select(events.c.episode_id).where(_among(events.c.id), events.c.episode_id.is_not(None))


def _names_somebody(column: Column[Any]) -> Any:
    """Whether a text that should be an id is an e-mail address or an international phone number instead."""
    return or_(column.like("%@%"), column.like("+%"), column.like("%:+%"))


def _unless_personal(column: Column[Any]) -> Any:
    return case((_names_somebody(column), null()), else_=column)


_BY_DELIVERY: Final[Sequence[Executable]] = (
    delete(delivery_calls).where(_among(delivery_calls.c.delivery_id)),
    delete(errands).where(_among(errands.c.delivery_id)),
    update(attempts)
    .where(_among(attempts.c.delivery_id), or_(attempts.c.url.is_not(None), attempts.c.words.is_not(None)))
    .values(url=None, parameters=null(), words=None),
    update(deliveries)
    .where(_among(deliveries.c.id), deliveries.c.vendor_reference.is_not(None))
    .values(vendor_reference=None),
    update(reports).where(_among(reports.c.delivery_id), reports.c.words != "").values(words=""),
)
_FORGOTTEN_SUBJECT: Final = literal("forgotten:") + episodes.c.id
_BY_EVENT: Final[Sequence[Executable]] = (
    delete(event_values).where(_among(event_values.c.event_id)),
    update(verdicts).where(_among(verdicts.c.event_id)).values(detail="", warnings=[], preview=null()),
    delete(errands).where(_among(errands.c.event_id)),
    update(reports).where(_among(reports.c.event_id), reports.c.words != "").values(words=""),
    update(replay_items).where(_among(replay_items.c.event_id), replay_items.c.detail != "").values(detail=""),
    update(episodes)
    .where(episodes.c.id.in_(_EPISODES))
    .where(or_(*(_names_somebody(column) for column in (episodes.c.subject, episodes.c.mark, episodes.c.status))))
    .values(
        # Its own id, so that the row stays unique among those of its source.
        subject=case((_names_somebody(episodes.c.subject), _FORGOTTEN_SUBJECT), else_=episodes.c.subject),
        mark=_unless_personal(episodes.c.mark),
        status=_unless_personal(episodes.c.status),
    ),
    update(events)
    .where(_among(events.c.id))
    .values(
        sender_id=None,
        # What it waited for is asked no more.
        waits=False,
        notes=[],
        subject=_unless_personal(events.c.subject),
        vendor_kind=func.coalesce(_unless_personal(events.c.vendor_kind), ""),
    ),
)
_RENAME_EPISODES: Final = (
    update(episodes).where(episodes.c.id.in_(_EPISODES)).values(subject=_FORGOTTEN_SUBJECT, mark=None, status=None)
)
_EMPTY_SUBJECTS: Final = update(events).where(_among(events.c.id)).values(subject=None)
_EMPTY_TRIGGERS: Final = (
    update(triggers)
    .where(_among(triggers.c.id))
    # What it was first emptied for stays.
    .values(
        cause_detail="",
        emptied_at=func.coalesce(triggers.c.emptied_at, bindparam("now", type_=UtcTime)),
        emptied_for=func.coalesce(triggers.c.emptied_for, bindparam("occasion")),
    )
)
_DELETE_BODIES: Final = delete(trigger_bodies).where(_among(trigger_bodies.c.trigger_id))


def _ids(db: Connection, query: Any, of: Collection[str]) -> list[str]:
    return [found for some in _batches(of) for found in db.execute(query, {"ids": some}).scalars()]


def _for_each(db: Connection, statement: Executable, ids: Collection[str], **values: Any) -> None:
    for some in _batches(ids):
        db.execute(statement, {"ids": some, **values})


def _batches(ids: Collection[str]) -> list[list[str]]:
    every = list(ids)
    return [every[i : i + _IDS_AT_ONCE] for i in range(0, len(every), _IDS_AT_ONCE)]
