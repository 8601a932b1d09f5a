"""Removing payloads and personal values that are older than their retention time, a little at a time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final

import structlog

from plugin.domain.identity import Mint, first_id
from plugin.store import erasure, events
from plugin.store.database import Database

#: Receipts looked at in one transaction; a few milliseconds' work.
BATCH: Final = 50
#: Keys of events dropped in one transaction.
KEYS: Final = 500
#: How long a pass rests before the next one begins, seconds.
REST: Final = 600.0
#: Of the worker's time, no more than this part goes into it.
_SHARE: Final = 0.2

log = structlog.get_logger()


class Retention:
    """Empties old receipts, but none with a delivery that is still to be decided; and drops the keys of old events.

    Any number of workers may do it at once: each receipt is taken by one of them. After a crash it begins anew, and
    finds only what is left. days: how long payloads and personal values are kept. monotonic: seconds.
    """

    def __init__(self, database: Database, mint: Mint, *, days: int, monotonic: Callable[[], float]) -> None:
        self._database = database
        self._mint = mint
        self._age = timedelta(days=days)
        self._monotonic = monotonic
        self._next = 0.0
        self._trace = 0
        self._after = ""
        self._emptied = 0

    def turn(self) -> None:
        """Do one batch when it is time for one: the worker calls this often. Raises StoreUnavailable."""
        began = self._monotonic()
        if began < self._next:
            return
        is_over = self._do_batch()
        now = self._monotonic()
        self._next = now + (REST if is_over else (now - began) * (1 / _SHARE - 1))

    def _do_batch(self) -> bool:
        """Do the next batch, wherever there is one; whether the pass is over."""
        before = first_id(self._mint.now() - self._age)
        while self._trace < len(erasure.TRACES):
            with self._database.read() as db:
                old, last = erasure.old_receipts(db, self._trace, after=self._after, before=before, limit=BATCH)
            if last is not None:
                self._after = last
                self._empty(old)
                return False
            self._trace, self._after = self._trace + 1, ""
        return self._forget_keys()

    def _empty(self, old: list[str]) -> None:
        with self._database.write() as db:
            settled = erasure.take_settled(db, old)
            erasure.empty_receipts(db, settled, self._mint.now(), "retention")
        self._emptied += len(settled)

    def _forget_keys(self) -> bool:
        """Drop what told repeated events, where its own time is over; whether all such has gone."""
        now = self._mint.now()
        with self._database.read() as db:
            is_over = not events.has_old_keys(db, now)
        if not is_over:
            with self._database.write() as db:
                events.forget_old_keys(db, now, KEYS)
            return False
        if self._emptied:
            log.info("retention removed values", receipts=self._emptied)
        self._trace, self._emptied = 0, 0
        return True
