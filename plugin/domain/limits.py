"""How much at a time: calls through a connection, and what one source may send."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

#: Calls that may be under way through one connection at a time, unless it says otherwise; and the most it may say.
IN_FLIGHT: Final = 8
MOST_IN_FLIGHT: Final = 64
MOST_CALLS_PER_MINUTE: Final = 60_000

#: Requests that a source may send in a minute, unless it says otherwise; and the most it may say.
REQUESTS_PER_MINUTE: Final = 6_000
MOST_REQUESTS_PER_MINUTE: Final = 60_000

_MINUTE: Final = timedelta(minutes=1)


@dataclass
class Bucket:
    """Lets a number of requests through in a minute: after a quiet minute all at once, then evenly.

    per_minute: what it fills by, and the most it holds. at: when `left` was counted.
    """

    per_minute: int
    left: float
    at: datetime

    @classmethod
    def full(cls, per_minute: int, now: datetime) -> Bucket:
        return cls(per_minute, per_minute, now)

    def has_room(self, now: datetime) -> bool:
        """Whether one more may come now. Takes nothing."""
        self._fill(now)
        return self.left >= 1

    def take(self, now: datetime) -> bool:
        """Let one through, if there is room."""
        if not self.has_room(now):
            return False
        self.left -= 1
        return True

    def _fill(self, now: datetime) -> None:
        # A clock that was set back gives nothing and takes nothing; from then on it counts by the new time.
        passed = max(now - self.at, timedelta(0))
        self.left = min(self.left + self.per_minute * (passed / _MINUTE), self.per_minute)
        self.at = now
