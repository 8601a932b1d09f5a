"""What becomes of a delivery after one call, as a table."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from plugin.domain.delivery import MOVES, DeliveryState, Settlement
from plugin.domain.outcome import PAUSING_REASONS, Accepted, NextRequest, Reason, Rejected, RetryLater, Uncertain
from plugin.domain.retry import DELAYS, decide_next, delay_before

NOW = datetime(2026, 11, 3, 16, 5, tzinfo=UTC)
EXPIRES = NOW + timedelta(hours=72)


def decide(outcome, *, attempts=0, repeat_safe=False, expires_at=EXPIRES, chance=0.0):
    return decide_next(
        outcome,
        attempts=attempts,
        repeat_safe=repeat_safe,
        expires_at=expires_at,
        now=NOW,
        chance=lambda: chance,
    )


@pytest.mark.parametrize(
    ("failed", "seconds"),
    [(1, 10), (2, 60), (3, 300), (4, 1800), (5, 7200), (6, 21600), (7, 43200), (8, 86400), (9, 86400), (500, 86400)],
)
def test_the_wait_is_half_fixed_and_half_by_chance(failed, seconds):
    assert delay_before(failed, lambda: 0.0) == timedelta(seconds=seconds / 2)
    assert delay_before(failed, lambda: 0.5) == timedelta(seconds=seconds * 0.75)
    assert delay_before(failed, lambda: 1.0) == timedelta(seconds=seconds)


def test_waits_grow():
    assert all(shorter < longer for shorter, longer in pairwise(DELAYS))


@pytest.mark.parametrize(
    ("outcome", "settlement"),
    [
        (
            Accepted("resp-7", words="ok"),
            Settlement(DeliveryState.ACCEPTED, Reason.DONE, "ok", vendor_reference="resp-7"),
        ),
        (Accepted(reason=Reason.OPENED), Settlement(DeliveryState.ACCEPTED, Reason.OPENED)),
        (Rejected(Reason.OPTED_OUT, "gone"), Settlement(DeliveryState.REJECTED, Reason.OPTED_OUT, "gone")),
        (
            Rejected(Reason.CREDENTIALS, "bad token"),
            Settlement(DeliveryState.REJECTED, Reason.CREDENTIALS, "bad token", pause=True),
        ),
        (
            Uncertain(Reason.NO_ANSWER, "time-out"),
            Settlement(DeliveryState.UNCERTAIN, Reason.NO_ANSWER, "time-out"),
        ),
        (
            NextRequest("send", {"id": "7"}, after=3.0, words="added"),
            Settlement(
                DeliveryState.SCHEDULED,
                Reason.NEXT_STEP,
                "added",
                due=NOW + timedelta(seconds=3),
                counts=False,
                next_step="send",
                memory={"id": "7"},
            ),
        ),
        (
            RetryLater(Reason.NOT_REACHED, "refused"),
            Settlement(DeliveryState.SCHEDULED, Reason.NOT_REACHED, "refused", due=NOW + timedelta(seconds=5)),
        ),
        (
            RetryLater(Reason.RATE_LIMITED, "slow down", after=30.0),
            Settlement(
                DeliveryState.SCHEDULED, Reason.RATE_LIMITED, "slow down", due=NOW + timedelta(seconds=30), counts=False
            ),
        ),
        (
            RetryLater(Reason.VENDOR_UNAVAILABLE, "mail server away", memory={"id": "7"}),
            Settlement(
                DeliveryState.SCHEDULED,
                Reason.VENDOR_UNAVAILABLE,
                "mail server away",
                due=NOW + timedelta(seconds=5),
                memory={"id": "7"},
            ),
        ),
    ],
)
def test_each_outcome_of_a_first_call_is_settled(outcome, settlement):
    assert decide(outcome) == settlement


@pytest.mark.parametrize("reason", Reason)
def test_only_reasons_that_concern_the_whole_connection_pause_it(reason):
    assert decide(Rejected(reason)).pause is (reason in PAUSING_REASONS)


def test_the_reasons_that_pause_are_credentials_quota_and_a_forbidden_address():
    assert {Reason.CREDENTIALS, Reason.QUOTA, Reason.FORBIDDEN_ADDRESS} == PAUSING_REASONS


@pytest.mark.parametrize(("attempts", "seconds"), [(0, 10), (1, 60), (4, 7200), (7, 86400), (30, 86400)])
@pytest.mark.parametrize(
    ("outcome", "repeat_safe"),
    [(RetryLater(Reason.NOT_REACHED), False), (Uncertain(Reason.VENDOR_ERROR), True)],
)
def test_the_calls_made_before_decide_the_wait(outcome, repeat_safe, attempts, seconds):
    settlement = decide(outcome, attempts=attempts, repeat_safe=repeat_safe, chance=1.0)
    assert (settlement.due, settlement.counts) == (NOW + timedelta(seconds=seconds), True)


def test_an_uncertain_call_is_repeated_only_when_that_is_harmless():
    assert decide(Uncertain(Reason.NO_ANSWER)).state is DeliveryState.UNCERTAIN
    assert decide(Uncertain(Reason.NO_ANSWER), repeat_safe=True).state is DeliveryState.SCHEDULED


@pytest.mark.parametrize(
    ("asked", "waited"),
    [
        (0, 1),
        (-5, 1),
        (0.2, 1),
        (90, 90),
        (86_400, 86_400),
        (86_401, 86_400),
        (1e300, 86_400),
        (10**400, 86_400),
        (math.inf, 86_400),
        (-math.inf, 1),
        (math.nan, 1),
    ],
)
def test_a_vendor_may_ask_for_a_wait_of_a_second_to_a_day(asked, waited):
    settlement = decide(RetryLater(Reason.RATE_LIMITED, after=asked), attempts=5)
    assert (settlement.due, settlement.counts) == (NOW + timedelta(seconds=waited), False)


@pytest.mark.parametrize(
    "outcome",
    [RetryLater(Reason.NOT_REACHED), RetryLater(Reason.RATE_LIMITED, after=7200), Uncertain(Reason.NO_ANSWER)],
)
def test_a_call_is_never_put_off_beyond_the_time_it_expires(outcome):
    soon = NOW + timedelta(minutes=1)
    settlement = decide(outcome, attempts=5, repeat_safe=True, expires_at=soon, chance=1.0)
    assert (settlement.state, settlement.due) == (DeliveryState.SCHEDULED, soon)


@pytest.mark.parametrize(
    "outcome",
    [
        Accepted(),
        Rejected(Reason.REFUSED),
        Uncertain(Reason.NO_ANSWER),
        RetryLater(Reason.NOT_REACHED),
        NextRequest("send"),
    ],
)
@pytest.mark.parametrize("repeat_safe", [True, False])
def test_every_settlement_is_a_move_that_a_claimed_delivery_may_make(outcome, repeat_safe):
    settlement = decide(outcome, repeat_safe=repeat_safe)
    assert settlement.state in MOVES[DeliveryState.CLAIMED]
    assert (settlement.due is not None) is (settlement.state is DeliveryState.SCHEDULED)
