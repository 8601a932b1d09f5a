"""The worker's second pair of hands: errands, with senders of their own, so that no errand takes a delivery's.

The worker's own thread calls `turn`; the senders only make requests.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import structlog

from plugin.errors import StoreUnavailable
from plugin.metrics import Meter
from plugin.metrics.catalogue import ERRANDS
from plugin.pipeline.errands import Errands, FinishedErrand, Result, Task
from plugin.store.database import Database

#: How often is looked for due errands while none has finished, seconds.
_LOOK: Final = 0.25
#: What one look may cost of the worker's thread at most, however many errands wait: one part in so many.
_SHARE: Final = 10
#: How often is looked whether the last ones have ended, while the worker stops, seconds.
_DRAIN_LOOK: Final = 0.05

log = structlog.get_logger()


class ErrandWorker:
    """Does errands with `threads` senders; as part of a worker, whose thread is the only one that may call it."""

    def __init__(self, database: Database, errands: Errands, meter: Meter, *, threads: int) -> None:
        self._database = database
        self._errands = errands
        self._meter = meter
        self._threads = threads
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._finished: queue.SimpleQueue[FinishedErrand | None] = queue.SimpleQueue()
        self._unsettled: list[FinishedErrand] = []
        self._under_way = 0
        self._next_look = 0.0

    @contextmanager
    def sending(self, on_finished: Callable[[], None]) -> Iterator[None]:
        """Have the senders at work. on_finished: called from their threads, so that somebody calls `turn` soon."""
        senders = [
            threading.Thread(target=self._send_all, args=(on_finished,), name=f"errand-{number}")
            for number in range(self._threads)
        ]
        for sender in senders:
            sender.start()
        try:
            yield
        finally:
            for _ in senders:
                self._tasks.put(None)
            for sender in senders:
                sender.join()

    def turn(self) -> None:
        """Settle what has finished, and claim what is due when it is time to look. Raises StoreUnavailable."""
        self._collect()
        if self._unsettled or (time.monotonic() >= self._next_look and self._is_due()):
            self._claim_and_settle(self._threads - self._under_way)

    def drain(self, deadline: float) -> None:
        """Settle what is under way, until a moment of the monotonic clock. What is not settled is done again."""
        while (self._under_way or self._unsettled) and time.monotonic() < deadline:
            self._collect()
            try:
                if self._unsettled:
                    self._claim_and_settle(0)
            except StoreUnavailable:
                log.warning("store unavailable while errands end")
            time.sleep(_DRAIN_LOOK)

    def is_idle(self) -> bool:
        """Whether nothing is under way or due."""
        if self._under_way or self._unsettled or not self._finished.empty():
            return False
        with self._database.read() as db:
            return not self._errands.is_due(db)

    def _is_due(self) -> bool:
        began = time.monotonic()
        self._next_look = began + _LOOK
        if self._under_way >= self._threads:
            return False
        with self._database.read() as db:
            return self._errands.is_due(db)

    def _collect(self) -> None:
        while not self._finished.empty():
            item = self._finished.get()
            self._under_way -= 1
            # One that failed by a fault of this program is due again when its lease has run out.
            if item is not None:
                self._unsettled.append(item)

    def _claim_and_settle(self, free: int) -> None:
        began = time.monotonic()
        with self._database.write() as db:
            turn = self._errands.claim_and_settle(db, self._unsettled, free=free)
        # Only now is it durable; had the transaction failed, all of it would be settled the next time.
        self._unsettled.clear()
        for task in turn.tasks:
            self._under_way += 1
            self._tasks.put(task)
        for item in turn.settled:
            self._meter.count(ERRANDS, item.row.kind, item.result)
            if item.again is None and item.result is not Result.DONE:
                log.info("errand ended", errand=item.row.id, kind=item.row.kind, result=item.result)
        self._next_look = time.monotonic() + max(_LOOK, (time.monotonic() - began) * _SHARE)

    def _send_all(self, on_finished: Callable[[], None]) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                self._finished.put(self._errands.make(task))
            except Exception as error:  # whatever it is, the other errands must go on
                # No traceback: its frames may quote a URL or a person's values.
                log.error("errand failed in this program", errand=task.row.id, error=type(error).__name__)  # noqa: TRY400
                self._finished.put(None)
            on_finished()
