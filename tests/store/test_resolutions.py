from __future__ import annotations

import pytest
from sqlalchemy import delete, select

from plugin.domain.delivery import MOVES, DeliveryState, Resolution, Settlement
from plugin.domain.outcome import Reason
from plugin.store.claims import claim
from plugin.store.resolutions import resolve, uncertain_deliveries
from plugin.store.settling import Finished, FinishedAttempt
from plugin.store.settling import settle as settle_all
from plugin.store.tables import attempts, delivery_calls, lanes
from tests.acme import ACME


def settle(db, acme, row, settlement):
    """Settle one call; whether it was applied."""
    now = acme.clock()
    return settle_all(db, [Finished(row, settlement, FinishedAttempt(now, outcome="any"))], now) != []


@pytest.fixture
def uncertain(acme):
    """A delivery whose call was made and whose answer nobody understood; its attempt is `claimed`."""
    acme.close("35", email="ada@example.com")
    with acme.parts.database.write() as db:
        [row] = claim(db, worker="one", now=acme.clock(), free=1, free_for_hanging=1)
        settle(db, acme, row, Settlement(DeliveryState.UNCERTAIN, Reason.NO_ANSWER))
    acme.clock.advance(minutes=5)
    return row


def say(acme, row, resolution, by="jan"):
    with acme.parts.database.write() as db:
        return resolve(db, acme.tenant.id, row.id, resolution, decided_by=by, now=acme.clock())


@pytest.mark.parametrize("resolution", Resolution)
def test_what_a_person_says_is_an_allowed_move(resolution):
    assert resolution.state in MOVES[DeliveryState.UNCERTAIN]


@pytest.mark.parametrize(
    ("resolution", "state", "reason"),
    [
        (Resolution.SENT, "accepted", "resolved_sent"),
        (Resolution.NOT_SENT, "scheduled", "resolved_not_sent"),
        (Resolution.CANCEL, "cancelled", "cancelled"),
    ],
)
def test_an_uncertain_delivery_becomes_what_a_person_says(acme, uncertain, resolution, state, reason):
    assert say(acme, uncertain, resolution) == state

    delivery = acme.delivery()
    assert (delivery.state, delivery.reason) == (state, reason)
    assert delivery.settled_at == (None if state == "scheduled" else acme.clock())


def test_who_said_it_and_when_is_kept_with_the_delivery(acme, uncertain):
    say(acme, uncertain, Resolution.SENT, by="jan")

    [kept] = acme.delivery().resolutions
    assert (kept.resolution, kept.decided_by, kept.decided_at) == ("sent", "jan", acme.clock())


def test_it_is_decided_once(acme, uncertain):
    say(acme, uncertain, Resolution.CANCEL)

    assert say(acme, uncertain, Resolution.NOT_SENT) is None
    assert (acme.delivery().state, len(acme.delivery().resolutions)) == ("cancelled", 1)


@pytest.mark.parametrize("state", ["scheduled", "claimed", "accepted"])
def test_only_what_is_uncertain_is_decided(acme, state):
    acme.close()
    if state == "claimed":
        with acme.parts.database.write() as db:
            claim(db, worker="one", now=acme.clock(), free=1, free_for_hanging=1)
    elif state == "accepted":
        acme.work()

    assert say(acme, acme.delivery(), Resolution.CANCEL) is None
    assert (acme.delivery().state, acme.delivery().resolutions) == (state, [])


def test_another_tenants_delivery_is_not_decided(acme, uncertain):
    with acme.parts.database.write() as db:
        assert resolve(db, "another", uncertain.id, Resolution.SENT, decided_by="jan", now=acme.clock()) is None

    assert acme.delivery().state == "uncertain"


def test_what_was_not_sent_is_sent_by_the_next_worker(acme, uncertain):
    say(acme, uncertain, Resolution.NOT_SENT)

    acme.work()

    delivery = acme.delivery()
    assert (delivery.state, [attempt.epoch for attempt in delivery.attempts]) == ("accepted", [1, 2])
    assert len(acme.vendor.asked) == 1


def test_what_was_not_sent_is_fresh_for_as_long_as_it_was_at_first(acme, uncertain):
    before = acme.delivery()
    acme.clock.advance(days=30)

    say(acme, uncertain, Resolution.NOT_SENT)
    acme.work()

    assert acme.delivery().expires_at - acme.clock() == before.expires_at - before.created_at
    assert acme.delivery().state == "accepted"


@pytest.mark.parametrize("resolution", Resolution)
def test_an_answer_that_comes_after_the_decision_is_only_recorded(acme, uncertain, resolution):
    say(acme, uncertain, resolution)

    with acme.parts.database.write() as db:
        late = Settlement(DeliveryState.REJECTED, Reason.REFUSED, words="No such person")
        assert settle(db, acme, uncertain, late) is False

    delivery = acme.delivery()
    assert delivery.state == resolution.state
    assert (delivery.attempts[0].late, delivery.attempts[0].words) == (True, "No such person")


def test_an_answer_of_the_old_call_does_not_settle_the_new_one(acme, uncertain):
    say(acme, uncertain, Resolution.NOT_SENT)
    with acme.parts.database.write() as db:
        [anew] = claim(db, worker="two", now=acme.clock(), free=1, free_for_hanging=1)
        late = Settlement(DeliveryState.ACCEPTED, Reason.DONE)
        assert settle(db, acme, uncertain, late) is False
        assert settle(db, acme, anew, late) is True
        late_by_epoch = dict(db.execute(select(attempts.c.epoch, attempts.c.late)).all())

    assert late_by_epoch == {1: True, 2: False}


def test_a_second_uncertain_end_is_decided_on_its_own(acme, uncertain):
    say(acme, uncertain, Resolution.NOT_SENT)
    with acme.parts.database.write() as db:
        [anew] = claim(db, worker="two", now=acme.clock(), free=1, free_for_hanging=1)
        settle(db, acme, anew, Settlement(DeliveryState.UNCERTAIN, Reason.NO_ANSWER))

    say(acme, anew, Resolution.SENT)

    assert [one.resolution for one in acme.delivery().resolutions] == ["not_sent", "sent"]


def test_a_lane_learns_what_is_due_again(acme, uncertain):
    with acme.parts.database.write() as db:
        db.execute(lanes.update().values(next_due=None))

    say(acme, uncertain, Resolution.NOT_SENT)

    with acme.parts.database.read() as db:
        assert db.execute(select(lanes.c.next_due)).scalar_one() == acme.clock()


def test_what_was_not_sent_is_cancelled_where_its_rule_is_gone(acme, uncertain):
    acme.apply(ACME[: ACME.index("rules:")] + "rules: []\n")

    assert say(acme, uncertain, Resolution.NOT_SENT) == "cancelled"
    assert acme.delivery().state == "cancelled"


def test_what_was_not_sent_is_cancelled_where_its_person_was_forgotten(acme, uncertain):
    with acme.parts.database.write() as db:
        db.execute(delete(delivery_calls))

    assert say(acme, uncertain, Resolution.NOT_SENT) == "cancelled"


def test_uncertain_deliveries_are_found_by_connection_and_time_a_page_at_a_time(acme):
    for ticket in "123":
        acme.close(ticket, email="empty@example.com")
        acme.work()
    first, second, third = acme.deliveries()

    def found(**which):
        given = {"until": acme.clock() + (third.created_at - first.created_at), "limit": 10, **which}
        with acme.parts.database.read() as db:
            return uncertain_deliveries(db, acme.tenant.id, **given)

    assert found() == [first.id, second.id, third.id]
    assert found(connection="lab") == [first.id, second.id, third.id]
    assert found(connection="old") == []
    assert found(since=second.created_at) == [second.id, third.id]
    assert found(until=second.created_at) == [first.id]
    assert found(limit=1) == [first.id]
    assert found(limit=1, after=first.id) == [second.id]
