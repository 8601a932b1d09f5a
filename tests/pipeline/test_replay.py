from __future__ import annotations

import pytest
from sqlalchemy import delete

from plugin.errors import NotAllowed, NotFound
from plugin.pipeline.replay import replay_delivery
from plugin.store import deliveries
from plugin.store.tables import trigger_bodies
from tests.acme import ACME


def replay(acme, delivery, **more):
    with acme.parts.database.write() as db:
        return replay_delivery(db, acme.parts.mint, acme.tenant.id, delivery.id, **more)


def rejected(acme):
    acme.close("35", email="failed@example.com")
    acme.work()
    [delivery] = acme.deliveries()
    assert delivery.state == "rejected"
    return delivery


def test_a_rejected_delivery_is_made_anew_with_a_reference_of_its_own(acme):
    first = rejected(acme)
    acme.clock.advance(hours=1)

    new_id = replay(acme, first)

    _, second = acme.deliveries()
    assert (second.id, second.replay_of, second.state, second.due) == (new_id, first.id, "scheduled", acme.clock())
    assert second.reference != first.reference
    assert second.parameters == {**first.parameters, "crk": second.reference}
    assert second.trigger_id == first.trigger_id


def test_a_replay_goes_by_the_rule_as_it_is_now(acme):
    first = rejected(acme)
    acme.apply(ACME.replace('"{{ person.email }}"', '"mended@example.com"'))

    replay(acme, first)
    acme.work()

    assert acme.deliveries()[1].state == "accepted"
    assert acme.vendor.asked[1]["email"] == "mended@example.com"


def test_a_replay_may_be_replayed(acme):
    first = rejected(acme)
    acme.clock.advance(seconds=1)
    replay(acme, first)
    acme.work()
    second = acme.deliveries()[1]
    acme.clock.advance(seconds=1)

    replay(acme, second)

    assert acme.deliveries()[2].replay_of == second.id


def test_the_closing_counts_as_asked_also_after_a_replay(acme):
    acme.close("35", email="failed@example.com", updated_at="2026-11-03T11:00:00Z")
    acme.work()
    replay(acme, acme.delivery())

    acme.close("35", email="failed@example.com", updated_at="2026-11-03T11:00:00Z")

    assert len(acme.deliveries()) == 2


@pytest.mark.parametrize(("word", "state"), [("ada", "accepted"), ("empty", "uncertain")])
def test_a_person_who_may_have_an_invitation_gets_another_only_if_somebody_insists(acme, word, state):
    acme.close(email=f"{word}@example.com")
    acme.work()
    assert acme.delivery().state == state

    with pytest.raises(NotAllowed, match="may have got an invitation already"):
        replay(acme, acme.delivery())

    assert replay(acme, acme.delivery(), again=True)


@pytest.mark.parametrize("again", [False, True])
def test_what_is_still_to_be_sent_is_not_replayed(acme, again):
    acme.close()

    with pytest.raises(NotAllowed, match="still to be sent"):
        replay(acme, acme.delivery(), again=again)


def test_a_cancelled_and_an_expired_delivery_may_be_replayed(acme):
    acme.close("1")
    with acme.parts.database.write() as db:
        assert deliveries.cancel_by_id(db, acme.tenant.id, acme.delivery().id, acme.clock())
    acme.clock.advance(seconds=1)
    acme.close("2")
    acme.clock.advance(hours=73)
    acme.work()
    cancelled, expired = acme.deliveries()
    assert (cancelled.state, expired.state) == ("cancelled", "expired")

    assert replay(acme, cancelled)
    assert replay(acme, expired)


def test_a_rule_that_was_removed_is_told(acme):
    first = rejected(acme)
    acme.apply(ACME[: ACME.index("rules:")] + "rules: []\n")

    with pytest.raises(NotAllowed, match=r"Its rule has been removed.* It was named csat\."):
        replay(acme, first)


def test_a_message_that_was_removed_is_told(acme):
    first = rejected(acme)
    with acme.parts.database.write() as db:
        db.execute(delete(trigger_bodies))

    with pytest.raises(NotAllowed, match="The message has been removed"):
        replay(acme, first)


def test_a_mapping_that_fails_now_is_told(acme):
    first = rejected(acme)
    acme.apply(ACME.replace('"{{ person.email }}"', '"{{ person.phone }}"'))

    with pytest.raises(NotAllowed, match=r"cannot be planned anew.* email: is required"):
        replay(acme, first)


def test_a_source_in_state_test_replays_nothing(acme):
    first = rejected(acme)
    acme.apply(ACME.replace("kind: zendesk,", "kind: zendesk, state: test,"))

    with pytest.raises(NotAllowed, match="state test"):
        replay(acme, first)


def test_a_delivery_that_does_not_exist_is_told(acme):
    with acme.parts.database.write() as db, pytest.raises(NotFound):
        replay_delivery(db, acme.parts.mint, acme.tenant.id, "nothing")


def test_a_delivery_of_another_tenant_does_not_exist(acme):
    first = rejected(acme)

    with acme.parts.database.write() as db, pytest.raises(NotFound):
        replay_delivery(db, acme.parts.mint, "another tenant", first.id)


def test_the_right_one_of_several_events_is_replayed(acme):
    acme.send(
        [
            {"ticket": {"id": str(number), "requester": {"email": f"{word}@example.com"}}}
            for number, word in enumerate(["ada", "failed", "ben"])
        ],
        source="any",
    )
    acme.work()
    [failed] = [delivery for delivery in acme.deliveries() if delivery.state == "rejected"]

    new_id = replay(acme, failed)

    [new] = [delivery for delivery in acme.deliveries() if delivery.id == new_id]
    assert new.parameters["custom1"] == "1"


def test_an_events_id_survives_to_its_replay(acme):
    acme.apply(ACME.replace('custom1: "{{ ticket.id }}"', 'custom1: "{{ event.id }}"'))
    message = {"ticket": {"id": "35", "requester": {"email": "failed@example.com"}}}
    acme.send(message, source="any", idempotency_key="sent-1")
    acme.work()

    replay(acme, acme.delivery())

    assert [delivery.parameters["custom1"] for delivery in acme.deliveries()] == ["sent-1", "sent-1"]
