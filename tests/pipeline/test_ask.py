"""What a rule says about time and about calls whose fate is unknown, from its file to the vendor."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from plugin.pipeline.replay import replay_delivery
from plugin.store import connections
from plugin.store.claims import claim
from plugin.store.tables import deliveries
from plugin.store.tables import rules as rule_rows
from tests.acme import ACME, states


def saying(what: str) -> str:
    """The usual tenant, whose rule says this too."""
    return ACME.replace("    connection: lab\n", f"    {what}\n    connection: lab\n")


def resends(acme) -> list[bool]:
    with acme.parts.database.read() as db:
        return list(db.execute(select(deliveries.c.resend).order_by(deliveries.c.id)).scalars())


def test_a_rule_with_a_delay_asks_when_it_is_over_and_not_before(acme):
    acme.apply(saying("ask: {delay_minutes: 30}"))
    acme.close()
    delivery = acme.delivery()
    assert (delivery.due, delivery.is_delayed) == (acme.clock() + timedelta(minutes=30), True)

    acme.clock.advance(minutes=29, seconds=59)
    acme.work()
    assert acme.vendor.received == []

    acme.clock.advance(seconds=1)
    acme.work()

    assert (acme.delivery().state, acme.delivery().is_delayed) == ("accepted", False)
    assert len(acme.vendor.received) == 1


def test_an_invitation_that_is_no_longer_fresh_is_not_sent(acme):
    acme.apply(saying("ask: {delay_minutes: 30, expires_hours: 1}"))
    acme.close()

    acme.clock.advance(hours=1)
    acme.work()

    assert (acme.delivery().state, acme.vendor.received) == ("expired", [])


def test_a_replay_is_made_at_once_and_is_fresh_from_then_on(acme):
    acme.apply(saying("ask: {delay_minutes: 30, expires_hours: 1}"))
    acme.close()
    acme.clock.advance(hours=5)
    acme.work()
    with acme.parts.database.write() as db:
        replay_delivery(db, acme.parts.mint, acme.tenant.id, acme.delivery().id)

    second = acme.deliveries()[1]
    assert (second.due, second.expires_at) == (acme.clock(), acme.clock() + timedelta(hours=1))
    acme.work()
    assert acme.deliveries()[1].state == "accepted"


def test_what_grows_stale_behind_a_pause_is_ended_also_where_it_waits_behind_something_fresher(acme):
    acme.apply(saying("ask: {expires_hours: 720}"))
    acme.close("1")
    acme.apply(saying("ask: {expires_hours: 1}"))
    acme.close("2")
    with acme.parts.database.write() as db:
        lab = connections.connection_by_name(db, acme.tenant.id, "lab")
        connections.pause_connection(db, acme.tenant.id, lab.id, reason="by_hand", words="", now=acme.clock())
    acme.clock.advance(hours=2)

    acme.work()

    assert states(acme.deliveries()) == ["scheduled", "expired"]


def test_a_rule_saved_by_an_older_version_asks_at_once_and_holds_what_is_uncertain(acme):
    with acme.parts.database.write() as db:
        definition = dict(db.execute(select(rule_rows.c.definition)).scalar_one())
        del definition["ask"], definition["when_uncertain"]
        db.execute(update(rule_rows).values(definition=definition))

    acme.close()

    delivery = acme.delivery()
    assert (delivery.due, delivery.expires_at) == (acme.clock(), acme.clock() + timedelta(hours=72))
    assert resends(acme) == [False]


# --- calls whose fate is unknown --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "state"), [("stop: false", "uncertain"), ("when_uncertain: hold", "uncertain")], ids=["unsaid", "hold"]
)
def test_a_call_whose_fate_is_unknown_is_held(acme, what, state):
    acme.apply(saying(what))
    acme.close(email="gateway@example.com")

    acme.work()
    acme.clock.advance(hours=1)
    acme.work()

    assert (acme.delivery().state, len(acme.vendor.received)) == (state, 1)


def test_a_rule_may_have_a_call_whose_fate_is_unknown_made_again(acme):
    acme.apply(saying("when_uncertain: resend"))
    acme.close(email="gateway@example.com")

    acme.work()
    assert (acme.delivery().state, acme.delivery().reason) == ("scheduled", "vendor_error")
    acme.clock.advance(seconds=10)
    acme.work()

    assert len(acme.vendor.received) == 2


def test_an_answer_that_is_not_understood_is_held_whatever_the_rule_says(acme):
    acme.apply(saying("when_uncertain: resend"))
    acme.close(email="empty@example.com")

    acme.work()

    assert (acme.delivery().state, acme.delivery().reason) == ("uncertain", "unrecognised")


def test_a_replay_goes_by_what_the_rule_says_now(acme):
    acme.close(email="gateway@example.com")
    acme.work()
    acme.apply(saying("when_uncertain: resend"))

    with acme.parts.database.write() as db:
        replay_delivery(db, acme.parts.mint, acme.tenant.id, acme.delivery().id, again=True)

    assert resends(acme) == [False, True]


# --- how much at a time -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "claimed"),
    [("{in_flight: 1}", 1), ("{in_flight: 5}", 5), ("{calls_per_minute: 1}", 1), ("{}", 8)],
)
def test_no_more_calls_are_begun_through_a_connection_than_it_says(acme, limits, claimed):
    acme.apply(ACME.replace("vendor: surveylab,", f"vendor: surveylab, limits: {limits},"))
    for number in range(12):
        acme.close(str(number))

    with acme.parts.database.write() as db:
        rows = claim(db, worker="w1", now=acme.clock(), free=32, free_for_hanging=8)

    assert len(rows) == claimed
