from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import select

from plugin.pipeline.bulk_replay import begin_replay, choose, look_ahead, make_next
from plugin.pipeline.forget import forget_person
from plugin.pipeline.replay import replay_delivery
from plugin.store import replays
from plugin.store.candidates import Selection
from plugin.store.tables import replay_items
from tests.acme import ACME, closing, verdicts

WRONG = ACME.replace('"{{ person.email }}"', '"{{ person.phone }}"')
TWO_RULES = ACME.replace(
    "rules:",
    '  - {name: other, vendor: surveylab, settings: {origin: "$sandbox", api_token: token}}\nrules:',
) + ACME[ACME.index("  - name: csat") :].replace("name: csat", "name: nps").replace(
    "connection: lab", "connection: other"
)


def begin(acme, **which):
    """A replay with everything chosen."""
    selection = Selection(until=which.pop("until", acme.clock() + timedelta(seconds=1)), **which)
    begun = begin_replay(acme.parts.database, acme.parts.mint, acme.tenant.id, selection, per_minute=60)
    *_, replay = choose(acme.parts.database, acme.parts.mint, begun.id)
    return replay


def go_on(acme, replay, items=1000):
    """Handle so many items at most; gives the replay then."""
    for _ in range(items):
        replay, item = make_next(acme.parts.database, acme.parts.mint, replay.id)
        if item is None:
            break
    return replay


def run(acme, **which):
    return go_on(acme, begin(acme, **which))


def items(acme, replay):
    with acme.parts.database.read() as db:
        return replays.items_from(db, replay.id, 0, 1000)


def refusals(acme, replay):
    with acme.parts.database.read() as db:
        return replays.refusal_counts(db, replay.id)


def prospect(acme, **which):
    selection = Selection(until=which.pop("until", acme.clock() + timedelta(seconds=1)), **which)
    *_, last = look_ahead(acme.parts.database, acme.parts.mint, acme.tenant.id, selection)
    return last


def rejected(acme, count=3):
    for number in range(count):
        acme.close(str(number), email="failed@example.com")
    acme.work()
    found = [delivery for delivery in acme.deliveries() if delivery.state == "rejected"]
    assert len(found) == count
    return found


def replayed(acme):
    """What was made anew, by what it was made of."""
    made = {}
    for delivery in acme.deliveries():
        if delivery.replay_of is not None:
            assert delivery.replay_of not in made, "made twice"
            made[delivery.replay_of] = delivery
    return made


# --- deliveries -------------------------------------------------------------------------------------------------------


def test_every_delivery_in_the_state_is_made_once_more(acme):
    first = rejected(acme)
    acme.close("ok")

    replay = run(acme, states=["rejected"])

    assert (replay.state, replay.chosen, replay.made, replay.refused) == ("done", 3, 3, 0)
    assert replay.finished_at == acme.clock()
    assert replayed(acme).keys() == {delivery.id for delivery in first}
    assert [item.new_delivery_id for item in items(acme, replay)] == [one.id for one in replayed(acme).values()]


def test_several_states_are_chosen_one_after_the_other(acme):
    rejected(acme, 2)
    acme.close("ok")
    acme.work()

    replay = run(acme, states=["accepted", "rejected"], again=True)

    assert (replay.chosen, replay.made) == (3, 3)


@pytest.mark.parametrize(
    ("narrowed", "chosen"),
    [
        ({"rules": ["csat"]}, 2),
        ({"rules": ["csat", "nps"]}, 4),
        ({"connections": ["other"]}, 2),
        ({"connections": ["other"], "rules": ["csat"]}, 0),
        ({"reasons": ["refused"]}, 4),
        ({"reasons": ["quota"]}, 0),
    ],
)
def test_the_choice_is_narrowed_by_rule_connection_and_reason(acme, narrowed, chosen):
    acme.apply(TWO_RULES)
    for ticket in "12":
        acme.close(ticket, email="failed@example.com")
    acme.work()

    assert begin(acme, states=["rejected"], **narrowed).chosen == chosen


def test_the_choice_is_narrowed_by_the_time_of_making(acme):
    first, second, third = rejected(acme)

    def chosen(**times):
        return [item.delivery_id for item in items(acme, begin(acme, states=["rejected"], **times))]

    assert chosen(since=second.created_at) == [second.id, third.id]
    assert chosen(until=second.created_at) == [first.id]
    assert chosen(since=second.created_at, until=third.created_at) == [second.id]
    assert chosen(since=third.created_at + timedelta(hours=2)) == []


def test_nothing_to_choose_is_done_at_once(acme):
    replay = run(acme, states=["rejected"])

    assert (replay.state, replay.chosen, replay.finished_at) == ("done", 0, acme.clock())


def test_what_happens_after_the_choosing_adds_nothing(acme):
    rejected(acme, 2)
    replay = begin(acme, states=["rejected"])
    rejected_later = acme.close("later", email="failed@example.com")
    acme.work()

    replay = go_on(acme, replay)

    assert replay.made == 2
    assert acme.receipt(rejected_later).events[0].deliveries[0].id not in replayed(acme)


@pytest.mark.parametrize("page", [1, 2, 3, 4, 100])
def test_choosing_that_was_stopped_goes_on_where_it_stood(acme, page):
    first = rejected(acme, 4)
    acme.close("ok")
    acme.work()
    selection = Selection(until=acme.clock() + timedelta(seconds=1), states=["expired", "rejected", "accepted"])
    parts = acme.parts
    begun = begin_replay(parts.database, parts.mint, acme.tenant.id, selection, per_minute=60)

    replay = begun
    while replay.state == "choosing":
        # Each page by a chooser of its own: the one before was stopped after its page.
        replay = next(choose(parts.database, parts.mint, begun.id, page=page))

    chosen = [item.delivery_id for item in items(acme, replay)]
    assert chosen[:4] == [delivery.id for delivery in first]
    assert len(chosen) == len(set(chosen)) == replay.chosen == 5


@pytest.mark.parametrize("stopped_after", [0, 1, 2, 3])
def test_making_that_was_stopped_goes_on_where_it_stood(acme, stopped_after):
    first = rejected(acme)
    replay = go_on(acme, begin(acme, states=["rejected"]), items=stopped_after)
    assert replay.made == stopped_after

    replay = go_on(acme, replay)

    assert (replay.state, replay.made) == ("done", 3)
    assert replayed(acme).keys() == {delivery.id for delivery in first}


def test_a_replay_that_is_done_makes_nothing_more(acme):
    rejected(acme)
    replay = run(acme, states=["rejected"])

    assert make_next(acme.parts.database, acme.parts.mint, replay.id) == (replay, None)
    assert len(acme.deliveries()) == 6


def test_two_programs_at_one_replay_make_each_item_once(acme):
    rejected(acme, 20)
    replay = begin(acme, states=["rejected"])

    with ThreadPoolExecutor(2) as both:
        list(both.map(lambda _: go_on(acme, replay), range(2)))

    assert len(replayed(acme)) == 20
    with acme.parts.database.read() as db:
        assert set(db.execute(select(replay_items.c.state)).scalars()) == {"made"}


def test_a_second_replay_of_the_same_makes_nothing_twice(acme):
    rejected(acme)
    run(acme, states=["rejected"])

    second = run(acme, states=["rejected"], again=True)

    assert (second.made, second.refused) == (0, 3)
    assert refusals(acme, second) == {"replayed": 3}


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_who_may_have_an_invitation_gets_another_only_if_somebody_insists(acme):
    for ticket, word in enumerate(["ada", "empty"]):
        acme.close(str(ticket), email=f"{word}@example.com")
    acme.work()

    without = run(acme, states=["accepted", "uncertain"])
    insisted = run(acme, states=["accepted", "uncertain"], again=True)

    assert (without.made, refusals(acme, without)) == (0, {"maybe_sent": 2})
    assert insisted.made == 2


def test_what_is_refused_is_noted_and_does_not_keep_the_others(acme):
    first = rejected(acme)
    with acme.parts.database.write() as db:
        replay_delivery(db, acme.parts.mint, acme.tenant.id, first[1].id)

    replay = run(acme, states=["rejected"])

    assert [item.state for item in items(acme, replay)] == ["made", "refused", "made"]
    refused = items(acme, replay)[1]
    assert (refused.refusal, refused.new_delivery_id) == ("replayed", None)
    assert refused.detail.startswith("The new delivery is ")


def test_a_rule_that_was_removed_refuses_all_of_its_deliveries(acme):
    rejected(acme)
    acme.apply(ACME[: ACME.index("rules:")] + "rules: []\n")

    assert refusals(acme, run(acme, states=["rejected"])) == {"rule_removed": 3}


def test_a_person_who_was_forgotten_is_not_asked(acme):
    rejected(acme, 2)
    parts = acme.parts
    forget_person(parts.database, parts.mint, acme.tenant.id, "failed@example.com", lambda *_: None)

    assert refusals(acme, run(acme, states=["rejected"])) == {"forgotten": 2}
    assert replayed(acme) == {}


def test_a_mapping_that_fails_now_is_told_for_each(acme):
    rejected(acme, 1)
    acme.apply(WRONG)

    [item] = items(acme, run(acme, states=["rejected"]))

    assert item.refusal == "problem"
    assert "email: is required" in item.detail


# --- looking ahead ----------------------------------------------------------------------------------------------------


def test_looking_ahead_counts_what_would_be_made_and_stores_nothing(acme):
    first = rejected(acme)
    acme.close("ok")
    acme.work()
    with acme.parts.database.write() as db:
        replay_delivery(db, acme.parts.mint, acme.tenant.id, first[0].id)
    before = acme.counts()

    found = prospect(acme, states=["rejected", "accepted"])

    assert found.would == {("rejected", "csat", "refused"): 2}
    assert found.refused == {"replayed": 1, "maybe_sent": 1}
    assert acme.counts() == before


def test_looking_ahead_tells_which_events_would_be_planned(acme):
    acme.apply(WRONG)
    acme.close("1")
    assert prospect(acme, verdict="problem").refused == {"problem": 1}
    acme.apply(ACME)

    assert prospect(acme, verdict="problem").would == {("problem", "csat", "missing"): 1}


# --- events without a delivery ----------------------------------------------------------------------------------------


def test_events_whose_mapping_was_wrong_are_planned_anew_after_it_is_mended(acme):
    acme.apply(WRONG)
    accepted = [acme.close(ticket) for ticket in "123"]
    assert verdicts(accepted[0]) == [("problem", "missing")]
    acme.apply(ACME)

    replay = run(acme, verdict="problem")
    acme.work()

    assert (replay.made, replay.refused) == (3, 0)
    assert sorted(asked["custom1"] for asked in acme.vendor.asked) == ["1", "2", "3"]
    assert all(delivery.replay_of is None for delivery in acme.deliveries())


def test_the_receipt_keeps_the_first_verdict_and_shows_the_new_one(acme):
    acme.apply(WRONG)
    accepted = acme.close()
    acme.apply(ACME)
    acme.clock.advance(hours=1)

    run(acme, verdict="problem")

    first, second = acme.receipt(accepted).events[0].verdicts
    assert (first.decision, first.planned_again_at, first.delivery_id) == ("problem", None, None)
    assert (second.decision, second.cause, second.planned_again_at) == ("ask", "matched", acme.clock())
    assert second.delivery_id == acme.delivery().id


def test_the_same_message_again_is_answered_as_the_first_time(acme):
    acme.apply(WRONG)
    message = closing("35")
    first = acme.send(message, source="any", idempotency_key="once")
    acme.apply(ACME)
    run(acme, verdict="problem")

    again = acme.send(message, source="any", idempotency_key="once")

    assert verdicts(again) == verdicts(first) == [("problem", "missing")]


def test_what_was_planned_anew_is_not_chosen_again(acme):
    acme.apply(WRONG)
    acme.close()
    acme.apply(ACME)
    run(acme, verdict="problem")

    assert run(acme, verdict="problem").chosen == 0
    assert len(acme.deliveries()) == 1


def test_a_closing_is_asked_about_once_by_a_rule(acme):
    acme.apply(WRONG)
    acme.close()
    acme.apply(ACME)
    twice = [begin(acme, verdict="problem"), begin(acme, verdict="problem")]

    made, refused = [go_on(acme, replay) for replay in twice]

    assert (made.made, refusals(acme, refused)) == (1, {"asked": 1})


def test_one_that_still_fails_keeps_its_verdict(acme):
    acme.apply(WRONG)
    accepted = acme.close()

    replay = run(acme, verdict="problem")

    assert refusals(acme, replay) == {"problem": 1}
    assert len(acme.receipt(accepted).events[0].verdicts) == 1


def test_events_of_a_rule_that_was_off_are_planned_when_asked_for(acme):
    off = ACME.replace("name: csat", "name: csat\n    enabled: false")
    acme.apply(off)
    acme.close()
    assert refusals(acme, run(acme, verdict="no", causes=["disabled"])) == {"not_asked": 1}
    acme.apply(ACME)

    assert run(acme, verdict="no", causes=["condition"]).chosen == 0
    assert run(acme, verdict="problem").chosen == 0
    assert run(acme, verdict="no", causes=["disabled"]).made == 1


def test_events_that_a_condition_let_by_are_planned_when_it_is_mended(acme):
    narrow = "when: {events: [ticket.closed], conditions: [{field: ticket.id, op: is, value: 'none'}]}"
    acme.apply(ACME.replace("when: {events: [ticket.closed, chat.ended]}", narrow))
    acme.close()
    acme.apply(ACME)

    assert run(acme, verdict="no", causes=["condition"]).made == 1


def test_events_are_narrowed_by_rule_connection_and_time(acme):
    acme.apply(TWO_RULES.replace("{{ person.email }}", "{{ person.phone }}"))
    for ticket in "12":
        acme.close(ticket)
        acme.clock.advance(hours=1)
    acme.apply(TWO_RULES)
    now = acme.clock()

    assert begin(acme, verdict="problem").chosen == 4
    assert begin(acme, verdict="problem", rules=["nps"]).chosen == 2
    assert begin(acme, verdict="problem", connections=["lab"]).chosen == 2
    assert begin(acme, verdict="problem", causes=["template"]).chosen == 0
    assert begin(acme, verdict="problem", since=now - timedelta(minutes=90)).chosen == 2
    assert begin(acme, verdict="problem", until=now - timedelta(hours=3)).chosen == 0


@pytest.mark.parametrize("page", [1, 2, 3, 100])
def test_choosing_events_goes_on_where_it_stood(acme, page):
    acme.apply(WRONG)
    for ticket in "123":
        acme.close(ticket)
    parts = acme.parts
    selection = Selection(until=acme.clock() + timedelta(seconds=1), verdict="problem")
    begun = begin_replay(parts.database, parts.mint, acme.tenant.id, selection, per_minute=60)

    replay = begun
    while replay.state == "choosing":
        replay = next(choose(parts.database, parts.mint, begun.id, page=page))

    chosen = [item.event_id for item in items(acme, replay)]
    assert len(chosen) == len(set(chosen)) == 3
    assert chosen == sorted(chosen)


def test_what_was_tried_in_state_test_is_never_sent(acme):
    acme.apply(WRONG.replace("kind: zendesk,", "kind: zendesk, state: test,"))
    acme.close()
    acme.apply(ACME)

    assert refusals(acme, run(acme, verdict="problem")) == {"test_state": 1}
    assert acme.deliveries() == []


@pytest.mark.parametrize(("stopping", "made"), [("csat", 0), ("nps", 1)])
def test_no_rule_asks_beside_another_where_the_earlier_of_the_two_stops(acme, stopping, made):
    mended = TWO_RULES.replace(f"name: {stopping}", f"name: {stopping}\n    stop: true")
    acme.apply(mended.replace('"{{ person.email }}"', '"{{ person.phone }}"', 1))
    assert verdicts(acme.close()) == [("problem", "missing"), ("ask", "matched")]
    acme.apply(mended)

    replay = run(acme, verdict="problem")

    assert (replay.made, replay.refused) == (made, 1 - made)
    assert refusals(acme, replay) == ({} if made else {"asked": 1})
