from __future__ import annotations

from bisect import bisect_left
from datetime import UTC, datetime, timedelta

import pytest

from plugin.domain.rate import Rate

NOW = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)


def begun(per_minute, every, seconds, demand=1_000):
    """When calls begin for a worker that looks in `every` so many seconds and has any number of calls to make."""
    next_call, starts = None, []
    for tick in range(round(seconds / every)):
        now = NOW + timedelta(seconds=tick * every)
        rate = Rate(per_minute, next_call)
        calls = min(rate.allowed(now), demand)
        if calls:
            next_call = rate.after(calls, now)
        starts += [now] * calls
    return starts


def most_in_a_minute(starts):
    return max(bisect_left(starts, first + timedelta(minutes=1)) - at for at, first in enumerate(starts))


@pytest.mark.parametrize("per_minute", [1, 2, 59, 60, 61, 119, 120, 600, 6000])
def test_no_minute_holds_more_calls_than_the_limit_wherever_it_begins(per_minute):
    starts = begun(per_minute, 0.1, 150)

    assert most_in_a_minute(starts) <= per_minute
    # And nearly as many as allowed.
    assert most_in_a_minute(starts) >= per_minute * 0.95 - 1


def test_calls_are_evenly_spaced():
    starts = begun(6, 0.5, 60)

    assert [(start - NOW).total_seconds() for start in starts] == [0, 10, 20, 30, 40, 50]


def test_what_was_not_used_is_not_saved_up_beyond_two_seconds():
    rate = Rate(600, NOW - timedelta(hours=1))

    assert rate.allowed(NOW) == 20


def test_nothing_is_allowed_before_the_next_call():
    rate = Rate(30, NOW + timedelta(seconds=0.5))

    assert (rate.allowed(NOW), rate.allowed(NOW + timedelta(seconds=0.5))) == (0, 1)
