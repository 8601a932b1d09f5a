"""When a rule asks, as a table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from plugin.domain.schedule import Ask, Window, in_words, window_of, window_of_replay

NOW = datetime(2026, 11, 3, 16, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ask", "due", "expires"),
    [
        (Ask(), timedelta(0), timedelta(hours=72)),
        (Ask(delay=timedelta(minutes=30)), timedelta(minutes=30), timedelta(hours=72)),
        (Ask(fresh_for=timedelta(hours=1)), timedelta(0), timedelta(hours=1)),
        (Ask(timedelta(days=2), timedelta(days=30)), timedelta(days=2), timedelta(days=30)),
    ],
)
def test_both_ends_of_the_time_to_ask_count_from_the_acceptance(ask, due, expires):
    assert window_of(ask, NOW) == Window(NOW + due, NOW + expires)


def test_a_replay_is_made_at_once_and_is_fresh_from_then_on():
    assert window_of_replay(Ask(timedelta(hours=2), timedelta(hours=5)), NOW) == Window(NOW, NOW + timedelta(hours=5))


@pytest.mark.parametrize(
    ("minutes", "words"),
    [
        (0, "0 minutes"),
        (1, "1 minute"),
        (90, "1 hour 30 minutes"),
        (1440, "1 day"),
        (4320, "3 days"),
        (43199, "29 days 23 hours 59 minutes"),
    ],
)
def test_a_span_is_told_as_people_say_it(minutes, words):
    assert in_words(timedelta(minutes=minutes)) == words


def test_when_a_rule_asks_is_a_sentence():
    assert str(Ask()) == "at once, and no more after 3 days"
    assert str(Ask(timedelta(minutes=90), timedelta(hours=5))) == (
        "1 hour 30 minutes after the event came in, and no more after 5 hours"
    )
