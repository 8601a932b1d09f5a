"""Claiming: which deliveries are called now, by which worker. HTTP happens afterwards, in no transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, bindparam, exists, insert, literal, select, union_all, update
from sqlalchemy.sql.dml import Insert
from sqlalchemy.sql.selectable import CompoundSelect

from plugin.domain.delivery import LEASE
from plugin.domain.outcome import Reason
from plugin.domain.retry import probe_wait
from plugin.store import lanes
from plugin.store.deliveries import cancel_waiting, expire, head_of_lane
from plugin.store.lanes import DueLane
from plugin.store.tables import attempts, deliveries, delivery_calls, rules, suppressions

#: What a lane may get at once, in its turn, although many lanes are due.
_FEW: Final = 4
#: Where stale deliveries are met, so many of the lane are looked through for more.
_STALE_AT_ONCE: Final = 32


@dataclass(frozen=True)
class ClaimedRow:
    """A claimed delivery with all that its call needs; settings and memory are sealed.

    hanging: whether its lane's last call timed out. probe: whether it is let through a pause, to see what comes.
    """

    id: str
    tenant_id: str
    connection_id: str
    vendor: str
    settings: str
    call: str
    step: str
    parameters: Mapping[str, str]
    memory: str | None
    attempts: int
    epoch: int
    resend: bool
    hanging: bool
    due: datetime
    expires_at: datetime
    probe: bool = False


def claim(
    db: Connection,
    *,
    worker: str,
    now: datetime,
    free: int,
    free_for_hanging: int,
    probing: bool = False,
    allowed: Callable[[str], int] | None = None,
    invites: Callable[[str, str], bool] = lambda _vendor, _call: True,
) -> list[ClaimedRow]:
    """Claim what up to `free` senders can start at once, the longest unserved lanes first.

    Each claim writes its attempt, so that it is also the mark "may be on its way". Lanes whose last call timed out
    get at most `free_for_hanging` of the senders between them. probing: whether paused lanes whose time has come are
    tried with one delivery each. allowed: how many calls of a lane this worker may begin; as many as fit, without it.
    invites: whether a call of a vendor may reach its person; such a one is called off where the person wants no more.
    """
    found = lanes.due_lanes(db, now, hanging_too=free_for_hanging > 0, probed_too=probing)
    if not found:
        return []
    under_way = lanes.in_flight(db, [lane.connection_id for lane in found])
    shares = _Shares(found, under_way, now, free, free_for_hanging, allowed)
    claimed: list[ClaimedRow] = []
    while asked := shares.next_round():
        rows = _heads(db, asked, now)
        ended = _end_what_is_stale(db, rows, shares, now, invites)
        fresh = [row for row in rows if row.id not in ended]
        taken = _take(db, fresh, shares.lanes, worker, now)
        shares.count(asked, taken)
        claimed += taken
    lanes.limit(db, shares.next_calls(claimed))
    for probe in (row for row in claimed if row.probe):
        probes = shares.lanes[probe.connection_id].probes + 1
        lanes.note_probe(db, probe.connection_id, probes=probes, again=now + probe_wait(probes))
    lanes.serve(db, shares.served(), now)
    return claimed


def _fair(senders: int, lanes_: int) -> int:
    """How many of the free senders each lane gets in a round; a few at once, since each lane looked at has its cost."""
    return max(senders // max(lanes_, 1), min(_FEW, senders // 2), 1)


class _Shares:
    """How the free senders are shared among lanes: alike in each round, until none is free or no lane has more."""

    def __init__(
        self,
        found: Sequence[DueLane],
        under_way: Mapping[str, int],
        now: datetime,
        free: int,
        free_for_hanging: int,
        allowed: Callable[[str], int] | None,
    ) -> None:
        self.lanes = {lane.connection_id: lane for lane in found}
        self._now = now
        self._free = free
        self._free_for_hanging = free_for_hanging
        self._allowed = allowed
        self._room = {lane.connection_id: self._room_of(lane, under_way) for lane in found}
        self._hungry = [lane for lane in found if self._room[lane.connection_id] > 0]
        # Where not all due lanes were looked at, the full ones too go to the end of the line, to let others be seen.
        all_seen = len(found) < lanes.LANES_A_TIME
        self._served = {lane.connection_id for lane in found if not all_seen and lane not in self._hungry}
        self._served |= {lane.connection_id for lane in found if self._is_over_its_rate(lane)}

    def _room_of(self, lane: DueLane, under_way: Mapping[str, int]) -> int:
        room = 1 if lane.paused else lane.in_flight_cap - under_way.get(lane.connection_id, 0)
        if self._allowed is not None:
            room = min(room, self._allowed(lane.connection_id))
        return min(room, lane.rate.allowed(self._now)) if lane.rate is not None else room

    def _is_over_its_rate(self, lane: DueLane) -> bool:
        return lane.rate is not None and lane.rate.allowed(self._now) == 0

    def next_round(self) -> dict[str, int]:
        """How many deliveries each lane may give now; empty when there is nothing more to share out."""
        asked: dict[str, int] = {}
        left, left_for_hanging = self._free, self._free_for_hanging
        fair = _fair(left, len(self._hungry))
        fair_for_hanging = _fair(left_for_hanging, sum(lane.hanging for lane in self._hungry))
        for lane in self._hungry:
            share = min(fair, left, self._room[lane.connection_id])
            if lane.hanging:
                share = min(share, fair_for_hanging, left_for_hanging)
                left_for_hanging -= share
            if share > 0:
                asked[lane.connection_id] = share
                left -= share
        return asked

    def count(self, asked: Mapping[str, int], taken: Sequence[ClaimedRow]) -> None:
        """Count what a round has brought. A lane that gave less than it was asked for has no more.

        One that gave something stale is asked no more either, so that no claim lasts long.
        """
        given = dict.fromkeys(asked, 0)
        for row in taken:
            given[row.connection_id] += 1
        self._served |= asked.keys()
        for row in taken:
            self._room[row.connection_id] -= 1
            self._free -= 1
            self._free_for_hanging -= self.lanes[row.connection_id].hanging
        self._hungry = [
            lane
            for lane in self._hungry
            if self._room[lane.connection_id] > 0
            and given.get(lane.connection_id, 0) >= asked.get(lane.connection_id, 0)
        ]

    def next_calls(self, claimed: Sequence[ClaimedRow]) -> dict[str, datetime]:
        """When the lanes with a limit a minute may be called again after these calls."""
        calls = {lane.connection_id: 0 for lane in self.lanes.values() if lane.rate is not None}
        for row in claimed:
            if row.connection_id in calls:
                calls[row.connection_id] += 1
        rates = {lane: self.lanes[lane].rate for lane, count in calls.items() if count}
        return {lane: rate.after(calls[lane], self._now) for lane, rate in rates.items() if rate is not None}

    def served(self) -> list[str]:
        return sorted(self._served)


# --- rows -------------------------------------------------------------------------------------------------------------


# Whoever came to be scheduled while the person opted out is met here: after a retry, a step, a replay or a decision.
_WANTS_NO_MORE: Final = exists().where(
    suppressions.c.tenant_id == deliveries.c.tenant_id,
    suppressions.c.person.in_([delivery_calls.c.person, delivery_calls.c.phone]),
)


def _head(number: int) -> Select[Any]:
    return (
        select(
            deliveries.c.id,
            deliveries.c.tenant_id,
            deliveries.c.connection_id,
            deliveries.c.call,
            deliveries.c.step,
            deliveries.c.attempts,
            deliveries.c.resend,
            deliveries.c.expires_at,
            deliveries.c.due,
            delivery_calls.c.parameters,
            delivery_calls.c.memory,
            rules.c.removed_at.is_not(None).label("orphaned"),
            _WANTS_NO_MORE.label("unwanted"),
        )
        .join(delivery_calls, delivery_calls.c.delivery_id == deliveries.c.id)
        .join(rules, rules.c.id == deliveries.c.rule_id)
        .where(
            deliveries.c.connection_id == bindparam(f"lane{number}"),
            deliveries.c.state == "scheduled",
            deliveries.c.due <= bindparam("now"),
        )
        .order_by(deliveries.c.due, deliveries.c.id)
        .limit(bindparam(f"share{number}"))
        .with_for_update(of=deliveries, skip_locked=True)
    )


@cache
def _heads_query(count: int) -> Select[Any] | CompoundSelect[Any]:
    """The first due deliveries of so many lanes, in one statement. However long the lanes are, no more are read."""
    heads = [select(_head(number).subquery(f"head{number}")) for number in range(count)]
    return heads[0] if count == 1 else union_all(*heads)


def _heads(db: Connection, shares: Mapping[str, int], now: datetime) -> list[Row[Any]]:
    values: dict[str, Any] = {"now": now}
    for number, (lane, share) in enumerate(shares.items()):
        values |= {f"lane{number}": lane, f"share{number}": share}
    rows = db.execute(_heads_query(len(shares)), values).all()
    return sorted(rows, key=lambda row: (row.due, row.id))


def _end_what_is_stale(
    db: Connection, rows: Sequence[Row[Any]], shares: _Shares, now: datetime, invites: Callable[[str, str], bool]
) -> set[str]:
    """End what is not worth sending any more, or wanted, or whose rule or connection was removed; gives their ids."""
    orphans = {row.id for row in rows if row.orphaned or shares.lanes[row.connection_id].removed}
    cancel_waiting(db, orphans, now)
    unwanted = {
        row.id for row in rows if row.unwanted and invites(shares.lanes[row.connection_id].vendor, row.call)
    } - orphans
    cancel_waiting(db, unwanted, now, Reason.OPTED_OUT)
    stale = {row.id for row in rows if row.expires_at <= now} - orphans - unwanted
    for lane in {row.connection_id for row in rows if row.id in stale}:
        # A long line of them goes in few steps.
        expire(db, head_of_lane(db, lane, now, _STALE_AT_ONCE).stale, now)
    expire(db, stale, now)
    return orphans | unwanted | stale


_CLAIM: Final = (
    update(deliveries)
    .where(deliveries.c.id.in_(bindparam("ids", expanding=True)), deliveries.c.state == "scheduled")
    .values(state="claimed", lease_epoch=deliveries.c.lease_epoch + 1, leased_until=bindparam("until"))
    .returning(deliveries.c.id, deliveries.c.lease_epoch)
)

_BEGIN_ATTEMPTS: Final[Insert] = insert(attempts).from_select(
    ["delivery_id", "epoch", "tenant_id", "step", "worker", "claimed_at", "late"],
    select(
        deliveries.c.id,
        deliveries.c.lease_epoch,
        deliveries.c.tenant_id,
        deliveries.c.step,
        bindparam("worker", type_=attempts.c.worker.type),
        bindparam("now", type_=attempts.c.claimed_at.type),
        literal(False),
    ).where(deliveries.c.id.in_(bindparam("ids", expanding=True))),
)


def _take(
    db: Connection, rows: Sequence[Row[Any]], found: Mapping[str, DueLane], worker: str, now: datetime
) -> list[ClaimedRow]:
    if not rows:
        return []
    epochs = {
        row.id: row.lease_epoch for row in db.execute(_CLAIM, {"ids": [r.id for r in rows], "until": now + LEASE})
    }
    if epochs:
        db.execute(_BEGIN_ATTEMPTS, {"ids": list(epochs), "worker": worker, "now": now})
    return [_claimed(row, epochs[row.id], found[row.connection_id]) for row in rows if row.id in epochs]


def _claimed(row: Row[Any], epoch: int, lane: DueLane) -> ClaimedRow:
    return ClaimedRow(
        id=row.id,
        tenant_id=row.tenant_id,
        connection_id=row.connection_id,
        vendor=lane.vendor,
        settings=lane.settings,
        call=row.call,
        step=row.step,
        parameters=row.parameters,
        memory=row.memory,
        attempts=row.attempts,
        epoch=epoch,
        resend=row.resend,
        hanging=lane.hanging,
        due=row.due,
        expires_at=row.expires_at,
        probe=lane.paused,
    )
