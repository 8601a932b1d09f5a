"""What a scrape reads: the stored counters as they are, and how queue, lanes and workers stand."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from plugin.store import counters, errands, workers
from plugin.store.database import Database
from plugin.store.errands import Backlog
from plugin.store.queue_state import QueueState, queue_state

#: For so long the state of the queue is not asked for again, seconds; and for so many times as long as it took, since
#: counting a million waiting rows takes a good part of a second. So no more than a twentieth of a processor goes there.
KEEP_QUEUE: Final = 5.0
KEEP_TIMES: Final = 20


@dataclass(frozen=True)
class Reading:
    """workers: how many are alive; senders: their threads. heartbeat_age: of the newest, seconds; None: never one."""

    counters: counters.Deltas
    queue: QueueState
    errands: Mapping[str, Backlog]
    oldest_due_age: float
    workers: int
    senders: int
    heartbeat_age: float | None
    engine: str


class Scrape:
    """Reads for one process. now: the wall clock; monotonic: seconds that only rise."""

    def __init__(
        self, database: Database, now: Callable[[], datetime], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._now = now
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._queue: QueueState | None = None
        self._errands: Mapping[str, Backlog] = {}
        self._keep_until = 0.0

    def read(self) -> Reading:
        """Raises StoreUnavailable, StoreBroken."""
        queue = self._queue_state()
        now = self._now()
        with self._database.read() as db:
            seen = workers.all_workers(db)
            alive = [worker for worker in seen if now - worker.seen_at < workers.ALIVE]
            return Reading(
                counters=counters.all_counters(db),
                queue=queue,
                errands=self._errands,
                oldest_due_age=_age(queue.oldest_due, now) or 0.0,
                workers=len(alive),
                senders=sum(worker.threads for worker in alive),
                heartbeat_age=_age(max((worker.seen_at for worker in seen), default=None), now),
                engine=db.dialect.name,
            )

    def _queue_state(self) -> QueueState:
        # Whoever comes while it is being read waits and gets the same.
        with self._lock:
            began = self._monotonic()
            if self._queue is None or began >= self._keep_until:
                with self._database.read() as db:
                    self._queue = queue_state(db)
                    self._errands = errands.backlog(db, self._now())
                ended = self._monotonic()
                self._keep_until = ended + max(KEEP_QUEUE, KEEP_TIMES * (ended - began))
            return self._queue


def _age(moment: datetime | None, now: datetime) -> float | None:
    """Seconds since then; none for a moment that is still to come, as with clocks that differ a little."""
    return max((now - moment).total_seconds(), 0.0) if moment is not None else None
