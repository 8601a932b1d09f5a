"""What a bucket lets through, as tables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from plugin.domain.limits import Bucket

NOW = datetime(2026, 11, 3, 16, 5, tzinfo=UTC)


def let_through(bucket: Bucket, asked: int, seconds: float = 0) -> int:
    return sum(bucket.take(NOW + timedelta(seconds=seconds)) for _ in range(asked))


@pytest.mark.parametrize("per_minute", [1, 2, 60, 6000])
def test_after_a_quiet_minute_the_limit_may_come_at_once_and_no_more(per_minute):
    assert let_through(Bucket.full(per_minute, NOW), per_minute + 5) == per_minute


@pytest.mark.parametrize(
    ("per_minute", "seconds", "passed"),
    [(60, 0.9, 0), (60, 1, 1), (60, 30, 30), (60, 60, 60), (60, 3600, 60), (1, 59, 0), (1, 60, 1), (6000, 0.01, 1)],
)
def test_an_empty_bucket_fills_evenly_up_to_its_limit(per_minute, seconds, passed):
    bucket = Bucket.full(per_minute, NOW)
    assert let_through(bucket, per_minute) == per_minute

    assert let_through(bucket, 100, seconds) == passed


def test_many_small_waits_add_up():
    bucket = Bucket.full(60, NOW)
    let_through(bucket, 60)

    assert sum(let_through(bucket, 1, step / 10) for step in range(1, 101)) in {9, 10}


def test_asking_for_room_takes_nothing():
    bucket = Bucket.full(1, NOW)

    assert [bucket.has_room(NOW) for _ in range(3)] == [True] * 3
    assert (bucket.take(NOW), bucket.has_room(NOW)) == (True, False)


def test_a_clock_that_is_set_back_neither_fills_nor_empties_it():
    bucket = Bucket.full(60, NOW)
    let_through(bucket, 30)

    assert let_through(bucket, 100, -3600) == 30
    assert let_through(bucket, 100, -3599) == 1
