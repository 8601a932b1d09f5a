"""The judge of the crash rounds, by cases: it must see each kind of broken promise, and no other."""

from __future__ import annotations

import pytest

from tests.faults.judge import StoredDelivery, judge

SENT = {"ticket": "7", "invites": True}
PUT_OFF = {"ticket": "7", "invites": False}


def judged(requests, stored, promised=("d1",)):
    """Everything that is found of one acknowledged ticket."""
    found = judge([{"ticket": "7", "deliveries": list(promised)}], requests, stored)
    return {name for name, tickets in vars(found).items() if name != "acknowledged" and list(tickets) == ["7"]}


@pytest.mark.parametrize(
    ("requests", "state", "claims", "findings"),
    [
        ([SENT], "accepted", 1, set()),
        ([PUT_OFF, SENT], "accepted", 2, set()),
        ([SENT], "uncertain", 1, {"uncertain"}),
        ([], "uncertain", 1, {"uncertain"}),
        ([], "uncertain", 0, {"uncertain", "lost"}),
        ([], "scheduled", 0, {"unsettled"}),
        ([], "claimed", 1, {"unsettled"}),
        ([SENT], "scheduled", 1, {"unsettled"}),
        ([SENT, SENT], "accepted", 2, {"doubled"}),
        ([SENT, SENT], "uncertain", 2, {"doubled", "uncertain"}),
        ([], "accepted", 1, {"lost"}),
        ([PUT_OFF], "accepted", 1, {"lost"}),
        ([], "rejected", 1, {"lost"}),
        ([], "expired", 0, {"lost"}),
        ([SENT], "rejected", 1, {"contradicted"}),
        ([SENT], "cancelled", 1, {"contradicted"}),
    ],
)
def test_what_is_found_of_a_ticket(requests, state, claims, findings):
    assert judged(requests, {"d1": StoredDelivery(state, claims)}) == findings


def test_a_delivery_that_is_not_stored_is_lost():
    assert judged([], {}) == {"lost"}


def test_a_ticket_that_was_promised_two_deliveries_is_a_contradiction():
    stored = {"d1": StoredDelivery("accepted", 1), "d2": StoredDelivery("cancelled", 0)}
    assert judged([SENT], stored, promised=("d1", "d2")) == {"contradicted"}


def test_a_second_invitation_counts_although_nothing_was_acknowledged():
    assert list(judge([], [SENT, SENT], {}).doubled) == ["7"]


def test_tickets_are_counted_and_not_acknowledgements():
    acknowledgement = {"ticket": "7", "deliveries": ["d1"]}
    assert judge([acknowledgement] * 3, [SENT], {"d1": StoredDelivery("accepted", 1)}).acknowledged == 1
