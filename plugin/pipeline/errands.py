"""Errands: which are done now, and what becomes of them. The requests are made elsewhere, in no transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from plugin.domain.identity import Mint
from plugin.domain.retry import Chance
from plugin.outbound import Outbound
from plugin.pipeline import lookups
from plugin.pipeline.errand_task import FinishedErrand, Result, Task, ended, given_up
from plugin.pipeline.follow_ups import FollowUps
from plugin.pipeline.lookups import LookUps
from plugin.store import errands
from plugin.store.errands import AT_ONCE, FOLLOW_UP, LOOKUP, ErrandRow, FollowedCall, Owner
from plugin.store.origins import origin_of
from plugin.vault import Vault

__all__ = ["Errands", "FinishedErrand", "Result", "Task", "Turn"]


@dataclass(frozen=True)
class Turn:
    """What one transaction has done. tasks: to be made now. settled: errands with what has become of them."""

    tasks: Sequence[Task]
    settled: Sequence[FinishedErrand]


class Errands:
    """Does errands. One for a process, shared by its threads. monotonic: seconds that only rise."""

    def __init__(
        self, outbound: Outbound, vault: Vault, mint: Mint, *, monotonic: Callable[[], float], chance: Chance
    ) -> None:
        self._mint = mint
        self._follow_ups = FollowUps(outbound, vault, mint, chance)
        self._look_ups = LookUps(outbound, vault, mint, monotonic, chance)

    def make(self, task: Task) -> FinishedErrand:
        """Make a claimed errand's request. In a sender's thread; touches no database."""
        return self._follow_ups.make(task) if task.row.kind == FOLLOW_UP else self._look_ups.make(task)

    def is_due(self, db: Connection) -> bool:
        return errands.is_due(db, self._mint.now())

    def claim_and_settle(self, db: Connection, finished: Sequence[FinishedErrand], *, free: int) -> Turn:
        """Settle what has finished and claim what `free` senders can start, in the caller's transaction."""
        now = self._mint.now()
        settled = self._settle(db, finished, now)
        if free <= 0:
            return Turn((), settled)
        due = errands.due_errands(db, now)
        stale = [row for row in due if row.give_up_at <= now]
        fresh = [row for row in due if row.give_up_at > now]
        choice = _choose(fresh, errands.owners(db, fresh, now), free)
        errands.put_off(db, choice.paused, now)
        over = [*map(given_up, stale), *(ended(row, Result.REMOVED) for row in choice.orphans)]
        return Turn(self._take(db, choice.chosen, now), [*settled, *self._settle(db, over, now)])

    def _settle(self, db: Connection, finished: Iterable[FinishedErrand], now: datetime) -> list[FinishedErrand]:
        """Write down what became of errands; gives those that were this claim's still."""
        return [item for item in finished if self._settle_one(db, item, now)]

    def _settle_one(self, db: Connection, item: FinishedErrand, now: datetime) -> bool:
        row = item.row
        if item.again is None:
            held = errands.end(db, row)
        else:
            held = errands.again(
                db,
                row,
                due=item.again,
                attempts=item.attempts,
                step=item.step,
                memory=item.memory,
                words=item.words,
            )
        # Else somebody else has done it since, or its person was forgotten.
        if held and row.kind == LOOKUP and item.again is None:
            lookups.write_down(db, self._mint, item)
        elif held and row.delivery_id is not None and item.told:
            errands.report(
                db, row.tenant_id, row.delivery_id, self._mint.id(), item.told, now, repeat=item.again is None
            )
        return held

    def _take(self, db: Connection, chosen: Mapping[str, tuple[ErrandRow, Owner]], now: datetime) -> list[Task]:
        calls = errands.followed_calls(db, [row for row, _ in chosen.values()])
        taken = [(errands.take(db, row, now), owner) for row, owner in chosen.values()]
        return [_task(db, row, owner, calls) for row, owner in taken if row is not None]


def _task(db: Connection, row: ErrandRow, owner: Owner, calls: Mapping[str, FollowedCall]) -> Task:
    if row.event_id is not None:
        return Task(row, owner, origin=origin_of(db, row.tenant_id, row.event_id))
    return Task(row, owner, call=calls.get(row.delivery_id or ""))


@dataclass(frozen=True)
class _Choice:
    """chosen: by id, with their lanes' owners. orphans: what they would go through was removed."""

    chosen: Mapping[str, tuple[ErrandRow, Owner]]
    paused: Sequence[ErrandRow]
    orphans: Sequence[ErrandRow]


def _choose(rows: Sequence[ErrandRow], owners: Mapping[str, Owner], free: int) -> _Choice:
    """Of the due ones the longest due, a few of each lane. A lane without an owner is looked at by another worker."""
    owned = [(row, owners[row.lane]) for row in rows if row.lane in owners]
    open_ = [(row, owner) for row, owner in owned if not owner.removed and not owner.paused]
    under_way = Counter({lane: owner.under_way for lane, owner in owners.items()})
    chosen: dict[str, tuple[ErrandRow, Owner]] = {}
    for row, owner in open_:
        if len(chosen) < free and under_way[row.lane] < AT_ONCE:
            under_way[row.lane] += 1
            chosen[row.id] = row, owner
    return _Choice(
        chosen,
        paused=[row for row, owner in owned if owner.paused and not owner.removed],
        orphans=[row for row, owner in owned if owner.removed],
    )
