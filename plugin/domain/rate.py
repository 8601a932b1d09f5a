"""A limit of calls a minute, as the generic cell rate algorithm keeps it: one time is all there is to remember.

Calls are evenly spaced, but for two seconds' worth that may come at once, so that a worker that looks in every now and
then still reaches the rate. The space between them is such that no minute, wherever it begins, holds more than the
limit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Rate:
    """A lane's limit. next_call: what `after` gave the last time; None when no call was made yet."""

    calls_per_minute: int
    next_call: datetime | None

    @property
    def _burst(self) -> int:
        return math.ceil(self.calls_per_minute / 30)

    @property
    def _space(self) -> timedelta:
        return _MINUTE / (self.calls_per_minute - self._burst + 1)

    def _first(self, now: datetime) -> datetime:
        """When the next call could have begun; no more than a burst is saved up."""
        saved = now - (self._burst - 1) * self._space
        return saved if self.next_call is None else max(self.next_call, saved)

    def allowed(self, now: datetime) -> int:
        """How many calls may begin now."""
        first = self._first(now)
        return (now - first) // self._space + 1 if first <= now else 0

    def after(self, calls: int, now: datetime) -> datetime:
        """When the call after these may begin."""
        return self._first(now) + calls * self._space
