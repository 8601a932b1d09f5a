"""How much each source may send, so that a flood from one leaves room for the others.

Counted in the memory of each web process, since a count that all processes share would cost a write for each refusal,
which is what a flood must not be able to cause. With several web processes a source may so send up to that many times
its limit; it is never refused before it has sent its limit to one of them.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from plugin.domain.limits import REQUESTS_PER_MINUTE, Bucket
from plugin.store.sources import StoredSource

#: How often refusals are written down, however many there are.
_TOLD_EVERY: Final = timedelta(seconds=10)


@dataclass
class _Intake:
    """What one source has sent. refused: since told_at, when refusals were last handed over to be written down."""

    bucket: Bucket
    refused: int = 0
    told_at: datetime | None = None


class Gate:
    """Counts what each source sends to this process. One for a process, shared by its threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Only requests that have found their source come here, so it holds no more than there are sources.
        self._intakes: dict[str, _Intake] = {}

    def has_room(self, source: StoredSource, now: datetime) -> bool:
        """Whether one more request may come from this source. Takes nothing."""
        with self._lock:
            return self._intake(source, now).bucket.has_room(now)

    def take(self, source: StoredSource, now: datetime) -> bool:
        """Let one request of this source through, if there is room."""
        with self._lock:
            return self._intake(source, now).bucket.take(now)

    def refuse(self, source: StoredSource, now: datetime, times: int = 1) -> None:
        """Count requests that were refused."""
        with self._lock:
            self._intake(source, now).refused += times

    def refused(self, source: StoredSource, now: datetime) -> int:
        """How many refusals are to be written down now, which the caller does; they are given out once."""
        with self._lock:
            intake = self._intake(source, now)
            if not intake.refused or (intake.told_at is not None and now - intake.told_at < _TOLD_EVERY):
                return 0
            told, intake.refused, intake.told_at = intake.refused, 0, now
            return told

    def _intake(self, source: StoredSource, now: datetime) -> _Intake:
        limit = source.limit_per_minute or REQUESTS_PER_MINUTE
        intake = self._intakes.get(source.id)
        if intake is None:
            intake = self._intakes[source.id] = _Intake(Bucket.full(limit, now))
        elif intake.bucket.per_minute != limit:
            intake.bucket = Bucket.full(limit, now)
        return intake
