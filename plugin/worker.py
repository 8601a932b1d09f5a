"""The worker: claims what is due and delivers it until told to stop.

One thread (the caller of `run`) speaks to the database: it settles what has finished and claims what the free senders
can start, in the same transaction. The senders are threads that only make HTTP calls.
"""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

import structlog

from plugin.domain.delivery import CALL_DEADLINE, DeliveryState
from plugin.domain.identity import Mint
from plugin.errand_worker import ErrandWorker
from plugin.errors import StoreConflict, StoreUnavailable
from plugin.metrics import FLUSH_EVERY, Meter
from plugin.metrics.catalogue import (
    ATTEMPTS,
    CALL_SECONDS,
    CLAIM_SECONDS,
    CLAIMED,
    DUE_TO_CLAIM_SECONDS,
    EVENTS,
    REPORTS,
    SETTLED,
    VERDICTS,
)
from plugin.pacing import Pacing
from plugin.pipeline.deliver import SLOW, Claim, Deliverer
from plugin.pipeline.pending import Planner
from plugin.pipeline.retention import Retention
from plugin.store import counters, deliveries, lanes, leases, links, workers
from plugin.store.database import Database
from plugin.store.settling import Finished
from plugin.wake import WakeListener

#: How often an idle worker looks for due work, seconds.
POLL: Final = 0.05
#: A transaction costs much the same for one call as for many, so the first that has ended waits this long, seconds,
#: where many are under way and few have ended with it.
_MOMENT: Final = 0.002
#: A call that has been under way for so long, seconds, keeps its thread but no longer its place among the senders:
#: another is started for it, up to so many times as many as there are places.
_KEEPS_ITS_PLACE: Final = 1.0
_MOST_THREADS: Final = 4
_COMPANY: Final = 16
_HEARTBEAT: Final = 5.0
_RECOVERY: Final = 1.0
_CHECKPOINT: Final = 2.0
_REPAIR: Final = 5.0
_CLEANING: Final = 60.0
#: How often one looks for events that are to be planned, seconds.
_PLANNING: Final = 0.05
#: How often retention is asked whether it is time for its next batch, seconds.
_RETENTION: Final = 0.25
#: A worker that has said nothing for this long is forgotten.
_SILENT: Final = timedelta(hours=1)
#: How long a stopping worker waits for the calls under way: their own deadline and a little more, seconds.
_DRAIN: Final = CALL_DEADLINE.total_seconds() + 5.0
#: Waits for a store that is away: the first one, and the longest, seconds.
_FIRST_WAIT: Final = 0.1
_LONGEST_WAIT: Final = 5.0

log = structlog.get_logger()


class Worker:
    """Delivers with `threads` senders. name: for attempts and heartbeats, unique among the workers of a database."""

    def __init__(
        self,
        database: Database,
        deliverer: Deliverer,
        errands: ErrandWorker,
        planner: Planner,
        retention: Retention,
        mint: Mint,
        meter: Meter,
        listener: WakeListener,
        *,
        name: str,
        threads: int,
    ) -> None:
        self._database = database
        self._deliverer = deliverer
        self._errands = errands
        self._planner = planner
        self._mint = mint
        self._meter = meter
        self._listener = listener
        self._name = name
        self._threads = threads
        self._tasks: queue.SimpleQueue[Claim | None] = queue.SimpleQueue()
        self._finished: queue.SimpleQueue[Finished | None] = queue.SimpleQueue()
        self._unsettled: list[Finished] = []
        self._under_way: dict[tuple[str, int], Claim] = {}
        self._senders: list[threading.Thread] = []
        self._pacing = Pacing(threads, time.monotonic)
        self._marked_slow: set[str] = set()
        self._probing = False
        #: Whether a transaction may have been committed of which this worker heard nothing.
        self._in_doubt = False
        self._failures = 0
        self._chores = (
            _Chore(_PLANNING, self._plan),
            _Chore(_HEARTBEAT, self._beat),
            _Chore(_RECOVERY, self._recover),
            _Chore(_RECOVERY, self._mark_slow_lanes),
            _Chore(_REPAIR, self._repair_lanes),
            _Chore(_CHECKPOINT, database.checkpoint),
            _Chore(_CLEANING, self._clean),
            _Chore(FLUSH_EVERY, meter.flush),
            _Chore(_RETENTION, retention.turn),
        )

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set, then let the calls under way end and settle them."""
        log.info("worker started", worker=self._name, threads=self._threads)
        with self._sending(), self._errands.sending(self.wake), self._listener.listening(self.wake):
            while not stop.is_set():
                self._guarded(self._turn, stop)
            self._drain()
        self._meter.close()
        self._guarded(self._say_goodbye, stop)
        log.info("worker stopped", worker=self._name)

    def run_until_idle(self, give_up_after: float) -> bool:
        """Work until nothing is due or under way any more; whether that came within `give_up_after` seconds."""
        deadline = time.monotonic() + give_up_after
        with self._sending(), self._errands.sending(self.wake):
            while time.monotonic() < deadline:
                self._turn()
                if not self._under_way and not self._unsettled and not self._has_more():
                    return True
        return False

    def _has_more(self) -> bool:
        """Whether there is work that nobody is at. Asked first: what is planned or asked may make deliveries."""
        return self._planner.is_due() or not self._errands.is_idle() or self._is_due()

    def wake(self) -> None:
        """Look for due work at once. From any thread."""
        if self._finished.empty():
            self._finished.put(None)

    @contextmanager
    def _sending(self) -> Iterator[None]:
        self._start_senders(self._threads)
        try:
            yield
        finally:
            for _ in self._senders:
                self._tasks.put(None)
            for sender in self._senders:
                sender.join()
            self._senders.clear()

    def _start_senders(self, wanted: int) -> None:
        """Have at least so many senders; none ends before the worker does."""
        for number in range(len(self._senders), wanted):
            sender = threading.Thread(target=self._send_all, name=f"sender-{number}")
            self._senders.append(sender)
            sender.start()

    def _guarded(self, step: Callable[[], None], stop: threading.Event) -> None:
        """Run a step; a store that is away makes it wait and come again, and what has finished is kept meanwhile."""
        try:
            step()
        except StoreConflict:
            # Another worker was first, and nothing of this step was stored.
            stop.wait(_FIRST_WAIT * random.random())  # noqa: S311  # spreads load, guards nothing
        except StoreUnavailable as error:
            self._in_doubt = True
            self._failures += 1
            log.warning("store unavailable", worker=self._name, detail=str(error))
            # By chance, so that many workers do not come back at the same moment.
            wait = min(_FIRST_WAIT * 2 ** min(self._failures, 10), _LONGEST_WAIT)
            stop.wait(wait * random.uniform(0.5, 1.0))  # noqa: S311  # spreads load, guards nothing
        else:
            self._failures = 0

    def _turn(self) -> None:
        self._collect(POLL)
        if self._in_doubt:
            self._give_back_unheard()
        if self._unsettled or (self._free() > 0 and (self._probing or self._is_due())):
            for claim in self._claim_and_settle(self._free()):
                self._under_way[claim.row.id, claim.row.epoch] = claim
                self._pacing.begun(claim.row.connection_id)
                self._tasks.put(claim)
            self._start_senders(len(self._under_way))
        self._errands.turn()
        self._pacing.forget_idle()
        for chore in self._chores:
            chore.run_when_due()

    def _collect(self, wait: float) -> None:
        """Take what the senders have finished; waits up to `wait` seconds for the first, and a moment for company."""
        try:
            self._keep(self._finished.get(timeout=wait))
            if self._unsettled and self._finished.qsize() < min(len(self._under_way) // 2, _COMPANY):
                time.sleep(_MOMENT)
            while True:
                self._keep(self._finished.get_nowait())
        except queue.Empty:
            return

    def _keep(self, item: Finished | None) -> None:
        if item is not None:
            self._unsettled.append(item)
            self._pacing.ended(item.row.connection_id, hanging=bool(item.hanging))

    def _claim_and_settle(self, free: int) -> list[Claim]:
        finished = list(self._unsettled)
        began = time.monotonic()
        with self._database.write() as db:
            claimed = self._deliverer.claim_and_settle(
                db,
                finished,
                worker=self._name,
                free=free,
                free_for_hanging=self._free_for_hanging(),
                probing=self._probing,
                allowed=self._pacing.allowed,
            )
        self._probing = False
        self._meter.observe(CLAIM_SECONDS, time.monotonic() - began)
        self._count(finished, claimed)
        # Only now is it durable; had the transaction failed, all of it would be settled the next time.
        for item in finished:
            self._under_way.pop((item.row.id, item.row.epoch), None)
        self._unsettled.clear()
        _tell(finished)
        return claimed

    def _count(self, finished: Sequence[Finished], claimed: Sequence[Claim]) -> None:
        """What one transaction has settled and claimed, once it is durable."""
        meter, now = self._meter, self._mint.now()
        meter.observe(CLAIMED, len(claimed))
        for claim in claimed:
            meter.observe(DUE_TO_CLAIM_SECONDS, max((now - claim.row.due).total_seconds(), 0.0))
        for item in finished:
            vendor, settlement, attempt = item.row.vendor, item.settlement, item.attempt
            meter.count(SETTLED, vendor, settlement.state, settlement.reason)
            meter.count(ATTEMPTS, vendor, attempt.outcome.replace(" ", "_"))
            if attempt.duration is not None:
                meter.observe(CALL_SECONDS, attempt.duration, vendor)

    def _calls(self) -> list[Claim]:
        """The calls that are being made."""
        finished = {(item.row.id, item.row.epoch) for item in self._unsettled}
        return [claim for key, claim in self._under_way.items() if key not in finished]

    def _free(self) -> int:
        """How many calls may begin."""
        calls = self._calls()
        places = sum(self._deliverer.age(claim) < _KEEPS_ITS_PLACE for claim in calls)
        return max(min(self._threads - places, self._threads * _MOST_THREADS - len(calls)), 0)

    def _free_for_hanging(self) -> int:
        """Lanes that hang share a quarter of this worker's senders, however many they are."""
        hanging = sum(claim.row.hanging or claim.row.connection_id in self._marked_slow for claim in self._calls())
        return max(max(self._threads // 4, 1) - hanging, 0)

    def _is_due(self) -> bool:
        with self._database.read() as db:
            return lanes.is_due(db, self._mint.now(), hanging_too=self._free_for_hanging() > 0)

    def _send_all(self) -> None:
        while (claim := self._tasks.get()) is not None:
            self._send(claim)

    def _send(self, claim: Claim) -> None:
        try:
            self._finished.put(self._deliverer.call(claim))
        except Exception as error:  # whatever it is, the other deliveries must go on
            # No traceback: its frames may quote a URL or a person's values.
            log.error("call failed in this program", delivery=claim.row.id, error=type(error).__name__)  # noqa: TRY400
            self._finished.put(self._deliverer.broken(claim, error))

    def _drain(self) -> None:
        deadline = time.monotonic() + _DRAIN
        while self._under_way and time.monotonic() < deadline:
            self._collect(POLL)
            if self._unsettled:
                try:
                    self._claim_and_settle(free=0)
                except StoreUnavailable:
                    time.sleep(POLL)
        self._errands.drain(deadline)

    # --- chores ---

    def _plan(self) -> None:
        decided = self._planner.turn()
        for one in decided:
            # What came in was counted as it came.
            if one.is_learnt:
                self._meter.count(EVENTS, one.kind)
            if one.matched is not None:
                self._meter.count(REPORTS, one.kind, "matched" if one.matched else "unmatched")
            for decision, cause in one.verdicts:
                self._meter.count(VERDICTS, decision, cause)
        if decided:
            self.wake()

    def _beat(self) -> None:
        with self._database.write() as db:
            workers.beat(db, self._name, now=self._mint.now(), threads=self._threads)

    def _recover(self) -> None:
        now = self._mint.now()
        with self._database.read() as db:
            lost = leases.has_lost_claims(db, now)
            parked = deliveries.has_stale_parked(db, now)
            # With the next claim, which knows how many senders are free.
            self._probing = lanes.is_probe_due(db, now)
        if lost or parked:
            with self._database.write() as db:
                self._deliverer.recover_lost(db)

    def _mark_slow_lanes(self) -> None:
        """Mark lanes as hanging already while their calls take long; a time-out would say so only much later."""
        slow = {claim.row.connection_id for claim in self._under_way.values() if self._deliverer.age(claim) > SLOW}
        fresh = slow - self._marked_slow
        if fresh:
            with self._database.write() as db:
                lanes.mark(db, dict.fromkeys(fresh, True))
        self._marked_slow = slow

    def _repair_lanes(self) -> None:
        now = self._mint.now()
        with self._database.read() as db:
            missed = lanes.missed_dues(db, now)
        if missed:
            with self._database.write() as db:
                lanes.lower(db, missed)

    def _give_back_unheard(self) -> None:
        known = set(self._under_way)
        with self._database.write() as db:
            self._deliverer.give_back_unheard(db, self._name, known)
        self._in_doubt = False

    def _clean(self) -> None:
        now = self._mint.now()
        with self._database.read() as db:
            stale = deliveries.stale_behind_pauses(db, now)
        with self._database.write() as db:
            deliveries.expire(db, stale, now)
            links.remove_stale_sessions(db, now)
            workers.forget_silent(db, now - _SILENT)
            counters.fold(db)

    def _say_goodbye(self) -> None:
        with self._database.write() as db:
            workers.gone(db, self._name)


def _tell(finished: Sequence[Finished]) -> None:
    """A line for each call that was not accepted. The others are many, and metrics and receipts have them."""
    for item in finished:
        if item.settlement.state is not DeliveryState.ACCEPTED:
            log.info(
                "delivery settled",
                delivery=item.row.id,
                vendor=item.row.vendor,
                state=item.settlement.state,
                reason=item.settlement.reason,
                seconds=round(item.attempt.duration or 0.0, 3),
            )


class _Chore:
    """Something to be done every so many seconds, the first time at once."""

    def __init__(self, every: float, work: Callable[[], None]) -> None:
        self._every = every
        self._work = work
        self._due = 0.0

    def run_when_due(self) -> None:
        now = time.monotonic()
        if now >= self._due:
            self._due = now + self._every
            self._work()
