"""The states of a delivery and the moves between them."""

from __future__ import annotations

import pytest

from plugin.domain.delivery import CALL_DEADLINE, GIVE_BACK_AFTER, LEASE, LIVE_STATES, MOVES, DeliveryState, Settlement
from plugin.domain.outcome import Reason

ALLOWED = {
    "scheduled": {"claimed", "expired", "cancelled", "uncertain"},
    "claimed": {"accepted", "rejected", "uncertain", "scheduled"},
    "uncertain": {"accepted", "rejected", "scheduled", "cancelled"},
    "accepted": set(),
    "rejected": set(),
    "expired": set(),
    "cancelled": set(),
}


@pytest.mark.parametrize("state", DeliveryState)
def test_the_allowed_moves_of_each_state(state):
    assert {target.value for target in MOVES[state]} == ALLOWED[state.value]


@pytest.mark.parametrize("state", DeliveryState)
def test_a_state_is_either_live_or_an_end(state):
    assert state.is_end is (state not in LIVE_STATES)


def test_every_state_can_be_reached_from_scheduled():
    reached = {DeliveryState.SCHEDULED}
    while (wider := reached.union(*(MOVES[state] for state in reached))) != reached:
        reached = wider
    assert reached == set(DeliveryState)


def test_a_call_that_starts_at_the_last_moment_ends_within_its_lease():
    assert GIVE_BACK_AFTER + CALL_DEADLINE < LEASE


def test_a_settlement_counts_as_an_attempt_unless_it_says_otherwise():
    assert Settlement(DeliveryState.ACCEPTED, Reason.DONE).counts
