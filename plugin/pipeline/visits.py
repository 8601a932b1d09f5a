"""What the overview shows of each source: when it last called, what it was answered, which of its keys is in use.

Written every few seconds at most, however often a source calls: a row that each trigger changed would make all triggers
of a source wait for each other.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from sqlalchemy import Connection

from plugin.errors import StoreUnavailable
from plugin.pipeline.gate import Gate
from plugin.store import sources
from plugin.store.database import Database
from plugin.store.sources import StoredSource

#: How old what is shown may be while a source calls all the time.
TAKEN_EVERY: Final = timedelta(seconds=5)
REFUSED_EVERY: Final = timedelta(seconds=10)
OLD_EVERY: Final = timedelta(minutes=1)

#: Sources and keys remembered at most; then all are forgotten, which costs one write each.
_MOST: Final = 10_000


class Visits:
    """One for a process, shared by its threads."""

    def __init__(self, database: Database, gate: Gate) -> None:
        self._database = database
        self._gate = gate
        self._lock = threading.Lock()
        self._written: dict[tuple[str, str | None, int], datetime] = {}

    def due(
        self,
        source: StoredSource,
        answer: int,
        now: datetime,
        *,
        key: str | None = None,
        every: timedelta = TAKEN_EVERY,
    ) -> list[Callable[[Connection], None]]:
        """What is to be written about a call of this source in the caller's transaction; mostly nothing."""
        writes: list[Callable[[Connection], None]] = []
        if self._is_due((source.id, key, answer), now, every):
            note = partial(sources.note_request, key=key, now=now, answer=answer)
            writes.append(lambda db: note(db, source.tenant_id, source.id))
        times = self._gate.refused(source, now)
        if times:
            writes.append(lambda db: sources.note_too_many(db, source.tenant_id, source.id, times, now))
        return writes

    def note_refusal(self, source: StoredSource, answer: int, now: datetime) -> None:
        """Write down that a request was refused, if it is time to; never worth an error."""
        writes = self.due(source, answer, now, every=REFUSED_EVERY)
        if writes:
            self._write(*writes)

    def note_old_credentials(self, source: StoredSource, now: datetime) -> None:
        """Write down that the old credentials are still needed, if it is time to; never worth an error."""
        if self._is_due((source.id, "old credentials", 0), now, OLD_EVERY):
            self._write(lambda db: sources.note_old_credentials(db, source.tenant_id, source.id, now))

    def note_strangers(self, source: StoredSource, times: int, now: datetime) -> None:
        """Count events that were dropped because they are about another account; never worth an error."""
        self._write(lambda db: sources.note_strangers(db, source.tenant_id, source.id, times, now))

    def _write(self, *writes: Callable[[Connection], None]) -> None:
        try:
            with self._database.write() as db:
                for write in writes:
                    write(db)
        except StoreUnavailable:
            # What is shown stays behind for some seconds more.
            return

    def _is_due(self, what: tuple[str, str | None, int], now: datetime, every: timedelta) -> bool:
        source_id, key, _ = what
        with self._lock:
            written = self._written.get(what)
            if written is not None and written <= now < written + every:
                return False
            if len(self._written) >= _MOST:
                self._written.clear()
            # Another answer is news, also where this one was written a moment ago.
            for other in [known for known in self._written if known[:2] == (source_id, key)]:
                del self._written[other]
            self._written[what] = now
            return True
