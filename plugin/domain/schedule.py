"""When a rule asks: how long after the event, and how long an invitation is worth sending."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from plugin.domain.delivery import FRESHNESS

#: What a rule may say of both, as `delay_minutes` and `expires_hours`.
LONGEST_DELAY_MINUTES: Final = 43_200
LONGEST_FRESHNESS_HOURS: Final = 720


@dataclass(frozen=True)
class Ask:
    """delay: from the acceptance of the event to the call. fresh_for: from there too, how long it is worth making."""

    delay: timedelta = timedelta(0)
    fresh_for: timedelta = FRESHNESS

    def __str__(self) -> str:
        begin = f"{in_words(self.delay)} after the event came in" if self.delay else "at once"
        return f"{begin}, and no more after {in_words(self.fresh_for)}"


@dataclass(frozen=True)
class Window:
    """due: the call is not made before. expires_at: it is not made from then on."""

    due: datetime
    expires_at: datetime


def window_of(ask: Ask, accepted_at: datetime) -> Window:
    """The time in which a delivery may be made.

    Both ends count from the acceptance, which is the one moment that every event has and that our own clock tells:
    many senders give no time of the closing, and those that do go by a clock that nobody here can vouch for. So a
    delay never eats into what a rule calls fresh twice, and a wrong clock elsewhere makes nothing late or stale.
    """
    return Window(accepted_at + ask.delay, accepted_at + ask.fresh_for)


def window_of_replay(ask: Ask, now: datetime) -> Window:
    """The same for a call that a person wants made once more: at once, and fresh from now on."""
    return Window(now, now + ask.fresh_for)


_UNITS: Final = ((timedelta(days=1), "day"), (timedelta(hours=1), "hour"), (timedelta(minutes=1), "minute"))


def in_words(span: timedelta) -> str:
    """A span of whole minutes as people say it: `2 hours 30 minutes`, `3 days`."""
    words = []
    for unit, name in _UNITS:
        count, span = divmod(span, unit)
        if count:
            words.append(f"{count} {name}{'' if count == 1 else 's'}")
    return " ".join(words) or "0 minutes"
