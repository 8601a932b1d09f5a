"""The worker: claims what is due and delivers it until told to stop.

One thread (the caller of `run`) speaks to the database: it settles what has finished and claims what the free senders
can start, in the same transaction. The senders are threads that only make HTTP calls.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Final

import structlog

from plugin.domain.delivery import CALL_DEADLINE
from plugin.domain.identity import Mint
from plugin.errors import StoreUnavailable
from plugin.metrics import FLUSH_EVERY, Meter
from plugin.metrics.catalogue import ATTEMPTS, CALL_SECONDS, CLAIM_SECONDS, CLAIMED, DUE_TO_CLAIM_SECONDS, SETTLED
from plugin.pipeline.deliver import Claim, Deliverer, Finished
from plugin.pipeline.retention import Retention
from plugin.store import claims, deliveries, events, links, workers
from plugin.store.database import Database

#: How often an idle worker looks for due work, seconds.
POLL: Final = 0.1
_HEARTBEAT: Final = 5.0
_RECOVERY: Final = 1.0
_CHECKPOINT: Final = 2.0
_CLEANING: Final = 60.0
#: How often retention is asked whether it is time for its next batch, seconds.
_RETENTION: Final = 0.25
#: A worker that has said nothing for this long is forgotten.
_SILENT: Final = timedelta(hours=1)
#: How long a stopping worker waits for the calls under way: their own deadline and a little more, seconds.
_DRAIN: Final = CALL_DEADLINE.total_seconds() + 5.0

log = structlog.get_logger()


class Worker:
    """Delivers with `threads` senders. name: for attempts and heartbeats, unique among the workers of a database."""

    def __init__(
        self,
        database: Database,
        deliverer: Deliverer,
        retention: Retention,
        mint: Mint,
        meter: Meter,
        *,
        name: str,
        threads: int,
    ) -> None:
        self._database = database
        self._deliverer = deliverer
        self._mint = mint
        self._meter = meter
        self._name = name
        self._threads = threads
        self._finished: queue.SimpleQueue[Finished] = queue.SimpleQueue()
        self._unsettled: list[Finished] = []
        self._under_way: dict[tuple[str, int], Claim] = {}
        self._chores = (
            _Chore(_HEARTBEAT, self._beat),
            _Chore(_RECOVERY, self._recover),
            _Chore(_CHECKPOINT, database.checkpoint),
            _Chore(_CLEANING, self._clean),
            _Chore(FLUSH_EVERY, meter.flush),
            _Chore(_RETENTION, retention.turn),
        )

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set, then let the calls under way end and settle them."""
        log.info("worker started", worker=self._name, threads=self._threads)
        with ThreadPoolExecutor(self._threads, thread_name_prefix="sender") as senders:
            while not stop.is_set():
                self._guarded(partial(self._turn, senders), stop)
            self._drain()
        self._meter.close()
        self._guarded(self._say_goodbye, stop)
        log.info("worker stopped", worker=self._name)

    def run_until_idle(self, give_up_after: float) -> bool:
        """Work until nothing is due or under way any more; whether that came within `give_up_after` seconds."""
        deadline = time.monotonic() + give_up_after
        with ThreadPoolExecutor(self._threads, thread_name_prefix="sender") as senders:
            while time.monotonic() < deadline:
                self._turn(senders)
                if not self._under_way and not self._unsettled and not self._is_due():
                    return True
        return False

    def _guarded(self, step: Callable[[], None], stop: threading.Event) -> None:
        """Run a step; a store that is away makes it wait and come again, and what has finished is kept meanwhile."""
        try:
            step()
        except StoreUnavailable as error:
            log.warning("store unavailable", worker=self._name, detail=str(error))
            stop.wait(0.5)

    def _turn(self, senders: ThreadPoolExecutor) -> None:
        self._collect(POLL)
        if self._unsettled or (self._free() > 0 and self._is_due()):
            for claim in self._claim_and_settle(self._free() + len(self._unsettled)):
                self._under_way[claim.row.id, claim.row.epoch] = claim
                senders.submit(self._send, claim)
        for chore in self._chores:
            chore.run_when_due()

    def _collect(self, wait: float) -> None:
        """Take what the senders have finished; waits up to `wait` seconds for the first, not at all for the others."""
        try:
            self._unsettled.append(self._finished.get(timeout=wait))
            while True:
                self._unsettled.append(self._finished.get_nowait())
        except queue.Empty:
            return

    def _claim_and_settle(self, free: int) -> list[Claim]:
        finished = list(self._unsettled)
        hanging = sum(claim.row.hanging for claim in self._under_way.values())
        began = time.monotonic()
        with self._database.write() as db:
            claimed = self._deliverer.claim_and_settle(
                db,
                finished,
                worker=self._name,
                free=free,
                free_for_hanging=max(max(self._threads // 4, 1) - hanging, 0),
            )
        self._meter.observe(CLAIM_SECONDS, time.monotonic() - began)
        self._count(finished, claimed)
        # Only now is it durable; had the transaction failed, all of it would be settled the next time.
        for item in finished:
            self._under_way.pop((item.row.id, item.row.epoch), None)
            log.info(
                "delivery settled",
                delivery=item.row.id,
                vendor=item.row.vendor,
                state=item.settlement.state,
                reason=item.settlement.reason,
                seconds=round(item.attempt.duration or 0.0, 3),
            )
        self._unsettled.clear()
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

    def _free(self) -> int:
        return self._threads - len(self._under_way)

    def _is_due(self) -> bool:
        with self._database.read() as db:
            return claims.is_due(db, self._mint.now())

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

    # --- chores ---

    def _beat(self) -> None:
        with self._database.write() as db:
            workers.beat(db, self._name, now=self._mint.now(), threads=self._threads)

    def _recover(self) -> None:
        with self._database.read() as db:
            lost = claims.lost_claims(db, self._mint.now(), limit=1)
            parked = deliveries.has_stale_parked(db, self._mint.now())
        if lost or parked:
            with self._database.write() as db:
                self._deliverer.recover_lost(db)

    def _clean(self) -> None:
        now = self._mint.now()
        with self._database.write() as db:
            events.forget_old_keys(db, now, limit=500)
            links.remove_stale_sessions(db, now)
            workers.forget_silent(db, now - _SILENT)

    def _say_goodbye(self) -> None:
        with self._database.write() as db:
            workers.gone(db, self._name)


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
