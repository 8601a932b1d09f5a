"""Settling: recording what calls brought and, where nothing newer has happened to a delivery, applying it.

A batch takes few statements, however many calls have ended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, bindparam, func, or_, select, update

from plugin.domain.delivery import DeliveryState, Settlement
from plugin.domain.outcome import Reason
from plugin.store import counters, errands, lanes
from plugin.store.claims import ClaimedRow
from plugin.store.errands import NewErrand
from plugin.store.tables import attempts, connections, deliveries, delivery_calls, rules

#: A connection's last success is noted no more often than this: its row is shared by all workers.
_SUCCESS_NOTED: Final = timedelta(seconds=5)


@dataclass(frozen=True)
class FinishedAttempt:
    """What is known of one HTTP call, for its row. url and parameters are masked."""

    finished_at: datetime
    duration: float | None = None
    method: str | None = None
    url: str | None = None
    parameters: Sequence[tuple[str, str]] = ()
    bytes_sent: int | None = None
    status: int | None = None
    outcome: str = ""


@dataclass(frozen=True)
class Finished:
    """A call that has been made, or handed back, and is to be settled.

    sealed_memory: what the next step needs to know. hanging: whether it took too long; None when none was made.
    follow_up: what is asked about it from now on.
    """

    row: ClaimedRow
    settlement: Settlement
    attempt: FinishedAttempt
    sealed_memory: str | None = None
    hanging: bool | None = None
    follow_up: NewErrand | None = None

    @property
    def is_success(self) -> bool:
        """Whether the vendor took the call; of several steps, the last one: a login proves little."""
        return self.settlement.state is DeliveryState.ACCEPTED


def settle(db: Connection, finished: Sequence[Finished], now: datetime) -> list[Finished]:
    """Record each call and, unless a newer claim or a person's decision came first, apply it; gives the applied ones.

    What the vendor took, applied or late, is noted for its connection, and ends any row of refusals.

    A known answer counts even when the lease has run out meanwhile. One that was settled before, by a commit of which
    nobody heard, is left as it is.
    """
    if not finished:
        return []
    rows = db.execute(_FOUND, {"ids": sorted({item.row.id for item in finished})})
    found = {row.id: row for row in rows}
    open_items = [item for item in finished if not _is_settled(item, found.get(item.row.id))]
    applied = [item for item in open_items if applies(item.row, found.get(item.row.id))]
    late = [item for item in open_items if not applies(item.row, found.get(item.row.id))]
    if applied:
        settled = [_settled_values(item, found[item.row.id], now) for item in applied]
        db.execute(_SETTLE, settled)
        counters.note(db, counters.CANCELLED, by=sum(one["becomes"] is DeliveryState.CANCELLED for one in settled))
        _keep_memory(db, applied, {one["delivery"]: one["becomes"] for one in settled})
        # Nothing is asked about a person who was forgotten meanwhile.
        errands.add(db, [one.follow_up for one in applied if one.follow_up is not None and found[one.row.id].kept])
        lanes.lower(db, _dues(applied, found))
    if open_items:
        records = [_record(item, found.get(item.row.id), late=False) for item in applied]
        records += [_record(item, found.get(item.row.id), late=True) for item in late]
        db.execute(_RECORD, records)
        _note_successes(db, open_items, found, now)
    return applied


_ORPHANED: Final = or_(
    rules.c.removed_at.is_not(None), connections.c.removed_at.is_not(None), delivery_calls.c.delivery_id.is_(None)
)
_FOUND: Final = (
    select(
        deliveries.c.id,
        deliveries.c.lease_epoch,
        deliveries.c.state,
        delivery_calls.c.delivery_id.is_not(None).label("kept"),
        _ORPHANED.label("orphaned"),
        attempts.c.finished_at,
        attempts.c.outcome,
        connections.c.strikes,
        connections.c.last_success_at,
    )
    .join(rules, rules.c.id == deliveries.c.rule_id)
    .join(connections, connections.c.id == deliveries.c.connection_id)
    .outerjoin(delivery_calls, delivery_calls.c.delivery_id == deliveries.c.id)
    .outerjoin(attempts, and_(attempts.c.delivery_id == deliveries.c.id, attempts.c.epoch == deliveries.c.lease_epoch))
    .where(deliveries.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(deliveries.c.id)
    .with_for_update(of=deliveries)
)

_Found = Row[Any] | None


def applies(row: ClaimedRow, found: _Found) -> bool:
    """Whether what a call brought still decides its delivery. found: as it is now; None when its tenant is gone."""
    return found is not None and found.lease_epoch == row.epoch and found.state in {"claimed", "uncertain"}


def _is_settled(item: Finished, found: _Found) -> bool:
    return (
        found is not None
        and found.lease_epoch == item.row.epoch
        and found.finished_at == item.attempt.finished_at
        and found.outcome == item.attempt.outcome
    )


_SETTLE: Final = (
    update(deliveries)
    .where(deliveries.c.id == bindparam("delivery"), deliveries.c.lease_epoch == bindparam("at_epoch"))
    .values(
        state=bindparam("becomes"),
        reason=bindparam("because"),
        leased_until=None,
        attempts=bindparam("made"),
        due=func.coalesce(bindparam("again", type_=deliveries.c.due.type), deliveries.c.due),
        settled_at=bindparam("ended"),
        step=func.coalesce(bindparam("next", type_=deliveries.c.step.type), deliveries.c.step),
        vendor_reference=func.coalesce(
            bindparam("theirs", type_=deliveries.c.vendor_reference.type), deliveries.c.vendor_reference
        ),
    )
)


def _settled_values(item: Finished, found: Row[Any], now: datetime) -> dict[str, Any]:
    row, settlement = item.row, item.settlement
    waits = _waits(item, found)
    orphaned = settlement.due is not None and not waits
    return {
        "delivery": row.id,
        "at_epoch": row.epoch,
        "becomes": DeliveryState.CANCELLED if orphaned else settlement.state,
        "because": Reason.CANCELLED if orphaned else settlement.reason,
        # The claim's own epoch fences the row, so nobody else has counted since.
        "made": row.attempts + settlement.counts,
        "again": settlement.due,
        "ended": None if waits else now,
        "next": settlement.next_step,
        "theirs": settlement.vendor_reference,
    }


def _waits(item: Finished, found: Row[Any]) -> bool:
    """Whether it goes back to wait; not where its rule, connection or person's values were removed meanwhile."""
    return item.settlement.state is DeliveryState.SCHEDULED and not found.orphaned


_KEEP_MEMORY: Final = (
    update(delivery_calls).where(delivery_calls.c.delivery_id == bindparam("delivery")).values(memory=bindparam("kept"))
)


def _keep_memory(db: Connection, applied: Sequence[Finished], states: Mapping[str, DeliveryState]) -> None:
    """Keep what the next step is to know, and nothing beyond the end."""
    kept: list[dict[str, Any]] = []
    for item in applied:
        if states[item.row.id].is_end:
            changes, memory = item.row.memory is not None, None
        else:
            changes, memory = item.sealed_memory is not None, item.sealed_memory
        if changes:
            kept.append({"delivery": item.row.id, "kept": memory})
    if kept:
        db.execute(_KEEP_MEMORY, kept)


def _dues(applied: Sequence[Finished], found: Mapping[str, Row[Any]]) -> dict[str, datetime]:
    """When the lanes of those that go back to wait are to be looked at."""
    dues: dict[str, datetime] = {}
    for item in applied:
        lane, due = item.row.connection_id, item.settlement.due
        if due is not None and _waits(item, found[item.row.id]):
            dues[lane] = min(due, dues.get(lane, due))
    return dues


_RECORD: Final = (
    update(attempts)
    .where(attempts.c.delivery_id == bindparam("delivery"), attempts.c.epoch == bindparam("at_epoch"))
    .values(
        {
            name: bindparam(f"new_{name}")
            for name in (
                "finished_at", "duration", "method", "url", "parameters", "bytes_sent", "status", "outcome", "reason",
                "words", "late",
            )
        }
    )
)  # fmt: skip


def _record(item: Finished, found: _Found, *, late: bool) -> dict[str, Any]:
    attempt = item.attempt
    # Not where the person was forgotten while the call was under way.
    kept = found is not None and found.kept
    return {
        "delivery": item.row.id,
        "at_epoch": item.row.epoch,
        "new_finished_at": attempt.finished_at,
        "new_duration": attempt.duration,
        "new_method": attempt.method,
        "new_url": attempt.url if kept else None,
        "new_parameters": [list(pair) for pair in attempt.parameters] if kept else None,
        "new_bytes_sent": attempt.bytes_sent,
        "new_status": attempt.status,
        "new_outcome": attempt.outcome,
        "new_reason": item.settlement.reason,
        "new_words": item.settlement.words if kept else None,
        "new_late": late,
    }


# --- what it tells of the connection ----------------------------------------------------------------------------------


_NOTE_SUCCESS: Final = (
    update(connections)
    .where(connections.c.id.in_(bindparam("ids", expanding=True)))
    .values(last_success_at=bindparam("now"), strikes=0, last_struck=None)
)


def _note_successes(db: Connection, finished: Sequence[Finished], found: Mapping[str, Row[Any]], now: datetime) -> None:
    news = set()
    for item in finished:
        known = found.get(item.row.id)
        if item.is_success and known is not None and _is_news(known, now):
            news.add(item.row.connection_id)
    if news:
        db.execute(_NOTE_SUCCESS, {"ids": sorted(news), "now": now})


def _is_news(found: Row[Any], now: datetime) -> bool:
    last: datetime | None = found.last_success_at
    return last is None or bool(found.strikes) or abs(now - last) >= _SUCCESS_NOTED


_PERSON: Final = select(delivery_calls.c.person).where(delivery_calls.c.delivery_id == bindparam("delivery"))
_STRIKE: Final = (
    update(connections)
    .where(
        connections.c.id == bindparam("connection"),
        or_(connections.c.last_struck.is_(None), connections.c.last_struck != bindparam("person")),
    )
    .values(strikes=connections.c.strikes + 1, last_struck=bindparam("person"))
)
_STRIKES: Final = select(connections.c.strikes).where(connections.c.id == bindparam("connection"))


def strike(db: Connection, row: ClaimedRow) -> int:
    """Count a refusal that may be the connection's fault; gives how many came in a row for different people."""
    person = db.execute(_PERSON, {"delivery": row.id}).scalar() or row.id
    db.execute(_STRIKE, {"connection": row.connection_id, "person": person})
    # None where the tenant was removed while the call was under way.
    return db.execute(_STRIKES, {"connection": row.connection_id}).scalar() or 0
