from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from plugin.domain.delivery import LEASE, DeliveryState, Settlement
from plugin.domain.outcome import Reason
from plugin.store import claims, connections, deliveries, leases, settling
from plugin.store import lanes as lane_store
from plugin.store.settling import Finished, FinishedAttempt
from plugin.store.tables import lanes
from tests.acme import ACME

#: The calls that may be under way through one lane, unless its row says otherwise.
LANE_CAP = 8

TWO_LANES = ACME.replace(
    "rules:\n",
    """  - {name: other, vendor: surveylab, settings: {origin: "$sandbox", api_token: other-token}}
rules:
  - name: chats
    when: {events: [chat.ended]}
    connection: other
    call: add_respondent
    parameters: {cId: "838", email: "{{ person.email }}"}
""",
).replace("events: [ticket.closed, chat.ended]", "events: [ticket.closed]")


class Engine:
    """The claims of one installation, each call in a transaction of its own."""

    def __init__(self, acme):
        self.acme = acme

    def claim(self, free=100, free_for_hanging=100):
        with self.acme.parts.database.write() as db:
            return claims.claim(db, worker="w1", now=self.acme.clock(), free=free, free_for_hanging=free_for_hanging)

    def settle(self, row, state, reason=Reason.DONE, **more):
        if state is DeliveryState.SCHEDULED:
            more.setdefault("due", self.acme.clock())
        attempt = FinishedAttempt(self.acme.clock(), 0.2, "GET", "https://vendor.example/", outcome=str(state))
        memory = more.pop("sealed_memory", None)
        finished = Finished(row, Settlement(state, reason, **more), attempt, memory)
        with self.acme.parts.database.write() as db:
            return settling.settle(db, [finished], self.acme.clock()) == [finished]

    def recover(self, *, repeat):
        with self.acme.parts.database.write() as db:
            lost = leases.lost_claims(db, self.acme.clock())
            for one in lost:
                leases.recover(db, one, self.acme.clock(), repeat=repeat)
        return lost

    def is_due(self):
        with self.acme.parts.database.read() as db:
            return lane_store.is_due(db, self.acme.clock())

    def lane(self, name="lab"):
        with self.acme.parts.database.read() as db:
            connection = connections.connection_by_name(db, self.acme.tenant.id, name)
            return db.execute(select(lanes).where(lanes.c.connection_id == connection.id)).one()

    def pause(self, name="lab"):
        with self.acme.parts.database.write() as db:
            found = connections.connection_by_name(db, self.acme.tenant.id, name)
            connections.pause_connection(
                db, found.tenant_id, found.id, reason="by_hand", words="", now=self.acme.clock()
            )

    def resume(self, name="lab"):
        with self.acme.parts.database.write() as db:
            found = connections.connection_by_name(db, self.acme.tenant.id, name)
            connections.resume_connection(db, found.tenant_id, found.id)

    def hang(self, name="lab"):
        with self.acme.parts.database.write() as db:
            found = connections.connection_by_name(db, self.acme.tenant.id, name)
            lane_store.mark(db, {found.id: True})

    def cancel(self):
        with self.acme.parts.database.write() as db:
            return deliveries.cancel_by_id(db, self.acme.tenant.id, self.acme.delivery().id, self.acme.clock())


@pytest.fixture
def engine(acme):
    return Engine(acme)


def chat(acme, name):
    acme.send({"event": "chat.ended", "chat": {"id": name, "visitor": {"email": "ada@example.com"}}}, source="any")


# --- claiming ---------------------------------------------------------------------------------------------------------


def test_a_claim_raises_the_epoch_leases_the_row_and_writes_the_attempt(acme, engine):
    acme.close()

    [row] = engine.claim()

    delivery = acme.delivery()
    assert (row.id, row.epoch, row.step, row.attempts) == (delivery.id, 1, "add", 0)
    assert delivery.state == "claimed"
    [attempt] = delivery.attempts
    assert (attempt.epoch, attempt.claimed_at, attempt.finished_at) == (1, acme.clock(), None)


def test_what_is_claimed_is_claimed_once(acme, engine):
    acme.close()
    engine.claim()

    assert engine.claim() == []


def test_no_more_is_claimed_than_senders_are_free(acme, engine):
    for number in range(5):
        acme.close(str(number))

    assert len(engine.claim(free=3)) == 3
    assert len(engine.claim(free=3)) == 2


def test_a_lane_has_at_most_its_cap_under_way(acme, engine):
    for number in range(LANE_CAP + 2):
        acme.close(str(number))

    claimed = engine.claim()
    assert len(claimed) == LANE_CAP
    assert engine.claim() == []

    engine.settle(claimed[0], DeliveryState.ACCEPTED)
    assert len(engine.claim()) == 1


def test_a_lane_is_worked_off_in_the_order_its_deliveries_are_due(acme, engine):
    for number in range(3):
        acme.close(str(number))
    first, *_ = engine.claim(free=1)
    engine.settle(first, DeliveryState.SCHEDULED, Reason.NOT_REACHED, due=acme.clock() + timedelta(seconds=10))
    acme.clock.advance(seconds=20)

    claimed = engine.claim()

    assert [row.parameters["custom1"] for row in claimed] == ["1", "2", "0"]


def test_nothing_is_claimed_before_it_is_due(acme, engine):
    acme.close()
    [row] = engine.claim()
    engine.settle(row, DeliveryState.SCHEDULED, Reason.NOT_REACHED, due=acme.clock() + timedelta(seconds=10))
    acme.clock.advance(seconds=9)
    assert (engine.claim(), engine.is_due()) == ([], False)

    acme.clock.advance(seconds=1)

    assert engine.is_due()
    assert [row.epoch for row in engine.claim()] == [2]


def test_the_lane_that_waited_longest_is_served_first(acme, engine):
    acme.apply(TWO_LANES)
    acme.close("1")
    acme.close("2")
    chat(acme, "1")
    chat(acme, "2")

    served = []
    for _ in range(4):
        acme.clock.advance(seconds=1)
        [row] = engine.claim(free=1)
        served.append(row.connection_id)

    assert served[:2] == served[2:]
    assert served[0] != served[1]


def test_a_paused_lane_is_passed_by(acme, engine):
    acme.close()
    engine.pause()

    assert (engine.claim(), engine.is_due()) == ([], False)
    assert acme.delivery().parked

    engine.resume()
    assert len(engine.claim()) == 1


def test_hanging_lanes_share_what_they_are_given(acme, engine):
    acme.apply(TWO_LANES)
    for number in range(4):
        acme.close(str(number))
        chat(acme, str(number))
    engine.hang("lab")

    claimed = engine.claim(free=100, free_for_hanging=1)

    assert sum(row.hanging for row in claimed) == 1
    assert len(claimed) == 5
    assert all(row.hanging for row in engine.claim(free=100, free_for_hanging=3))


def many_lanes(count):
    rules = "".join(
        f"""
  - name: rule {number}
    when: {{events: [ticket.closed]}}
    connection: lane {number}
    call: add_respondent
    parameters: {{cId: "{number}", email: "{{{{ person.email }}}}"}}"""
        for number in range(count)
    )
    settings = '{origin: "$sandbox", api_token: t}'
    lanes_ = "".join(
        f"\n  - {{name: lane {number}, vendor: surveylab, settings: {settings}}}" for number in range(count)
    )
    head, _ = ACME.split("connections:")
    return f"{head}connections:{lanes_}\nrules:{rules}\n"


def test_any_number_of_hanging_lanes_leaves_the_others_their_share(acme, engine):
    acme.apply(many_lanes(40))
    with acme.parts.database.write() as db:
        healthy = connections.connection_by_name(db, acme.tenant.id, "lane 39").id
        db.execute(update(lanes).where(lanes.c.connection_id != healthy).values(hanging=True))
    acme.close()

    claimed = engine.claim(free=8, free_for_hanging=2)

    assert [row.parameters["cId"] for row in claimed if not row.hanging] == ["39"]
    assert sum(row.hanging for row in claimed) == 2


def test_full_lanes_do_not_keep_the_others_waiting(acme, engine):
    acme.apply(many_lanes(20))
    for number in range(LANE_CAP + 1):
        acme.close(str(number))
    engine.pause("lane 19")
    claimed = []
    while len(claimed) < 19 * LANE_CAP:
        acme.clock.advance(seconds=0.01)
        claimed += engine.claim(free=32)
    engine.resume("lane 19")
    acme.clock.advance(seconds=1)
    with acme.parts.database.write() as db:
        last = connections.connection_by_name(db, acme.tenant.id, "lane 19").id
        db.execute(update(lanes).where(lanes.c.connection_id == last).values(served_at=acme.clock()))

    acme.clock.advance(seconds=1)
    rest = [row for _ in range(2) for row in engine.claim(free=LANE_CAP)]

    assert [row.connection_id for row in rest] == [last] * LANE_CAP


# --- growing stale ----------------------------------------------------------------------------------------------------


def test_what_has_grown_stale_is_ended_and_not_claimed(acme, engine):
    acme.close("1")
    acme.clock.advance(hours=71, minutes=59)
    acme.close("2")
    acme.clock.advance(minutes=1)

    assert [row.parameters["custom1"] for row in engine.claim()] == ["2"]
    stale = acme.deliveries()[0]
    assert (stale.state, stale.reason, stale.settled_at) == ("expired", "expired", acme.clock())


def test_a_long_line_of_stale_deliveries_is_ended_little_by_little(acme, engine):
    for number in range(70):
        acme.close(str(number))
    acme.clock.advance(hours=73)
    acme.close("fresh")

    claimed = [engine.claim() for _ in range(3)]

    assert [len(rows) for rows in claimed] == [0, 0, 1]
    assert sum(delivery.state == "expired" for delivery in acme.deliveries()) == 70


def test_what_grows_stale_behind_a_pause_is_ended_there(acme, engine):
    acme.close("1")
    engine.pause()
    acme.clock.advance(hours=71)
    acme.close("2")
    acme.clock.advance(hours=1, seconds=-1)
    with acme.parts.database.read() as db:
        assert deliveries.has_stale_parked(db, acme.clock()) is True

    with acme.parts.database.write() as db:
        assert deliveries.expire_parked(db, acme.clock()) == 1
        assert deliveries.has_stale_parked(db, acme.clock()) is False

    assert [delivery.state for delivery in acme.deliveries()] == ["expired", "scheduled"]


# --- settling ---------------------------------------------------------------------------------------------------------


def test_an_answer_settles_the_delivery_and_completes_its_attempt(acme, engine):
    acme.close()
    [row] = engine.claim()
    acme.clock.advance(seconds=2)

    assert engine.settle(row, DeliveryState.ACCEPTED, words="taken", vendor_reference="v-1")

    delivery = acme.delivery()
    assert (delivery.state, delivery.reason, delivery.vendor_reference) == ("accepted", "done", "v-1")
    assert (delivery.settled_at, delivery.attempts_made) == (acme.clock(), 1)
    [attempt] = delivery.attempts
    assert (attempt.words, attempt.outcome, attempt.late) == ("taken", "accepted", False)


def test_a_deferral_is_no_attempt(acme, engine):
    acme.close()
    [row] = engine.claim()

    engine.settle(row, DeliveryState.SCHEDULED, Reason.RATE_LIMITED, counts=False)

    assert acme.delivery().attempts_made == 0


def test_after_each_settling_the_lane_knows_when_it_is_due(acme, engine):
    acme.close()
    due = acme.clock()
    assert engine.lane().next_due == due
    [row] = engine.claim()
    assert engine.lane().next_due is None

    later = due + timedelta(minutes=5)
    engine.settle(row, DeliveryState.SCHEDULED, Reason.NOT_REACHED, due=later)
    assert engine.lane().next_due == later

    acme.close("36")
    assert engine.lane().next_due == acme.clock()
    engine.claim()
    assert engine.lane().next_due == later


def test_the_next_step_begins_where_the_last_one_ended(acme, engine):
    acme.close()
    [row] = engine.claim()

    engine.settle(row, DeliveryState.SCHEDULED, next_step="send", sealed_memory="sealed", counts=False)

    [second] = engine.claim()
    assert (second.step, second.memory, second.epoch, second.attempts) == ("send", "sealed", 2, 0)
    assert [attempt.step for attempt in acme.delivery().attempts] == ["add", "send"]


# --- leases that ran out, and answers that came late ------------------------------------------------------------------


def test_a_lost_claim_is_uncertain(acme, engine):
    acme.close()
    engine.claim()
    acme.clock.advance(seconds=LEASE.total_seconds() - 1)
    assert engine.recover(repeat=False) == []

    acme.clock.advance(seconds=1)
    engine.recover(repeat=False)

    delivery = acme.delivery()
    assert (delivery.state, delivery.reason) == ("uncertain", "lease_lost")
    assert (delivery.attempts[0].outcome, delivery.attempts[0].finished_at) == ("lost", acme.clock())


def test_a_known_answer_counts_also_after_the_lease(acme, engine):
    acme.close()
    [row] = engine.claim()
    acme.clock.advance(minutes=1)
    engine.recover(repeat=False)

    assert engine.settle(row, DeliveryState.ACCEPTED)

    delivery = acme.delivery()
    assert (delivery.state, delivery.reason) == ("accepted", "done")
    assert (delivery.attempts[0].outcome, delivery.attempts[0].late) == ("accepted", False)


def test_a_lost_claim_that_may_be_repeated_is_scheduled_at_once(acme, engine):
    acme.close()
    engine.claim()
    acme.clock.advance(minutes=1)

    engine.recover(repeat=True)

    assert (acme.delivery().state, acme.delivery().due) == ("scheduled", acme.clock())
    assert len(engine.claim()) == 1


@pytest.mark.parametrize("claimed_again", [False, True])
def test_an_answer_is_late_once_the_row_may_be_claimed_anew(acme, engine, claimed_again):
    acme.close()
    [row] = engine.claim()
    acme.clock.advance(minutes=1)
    engine.recover(repeat=True)
    if claimed_again:
        engine.claim()
    before = acme.delivery().state

    assert not engine.settle(row, DeliveryState.REJECTED, Reason.REFUSED, words="too late")

    delivery = acme.delivery()
    assert delivery.state == before
    assert (delivery.attempts[0].late, delivery.attempts[0].words) == (True, "too late")


def test_an_answer_after_a_persons_decision_is_recorded_and_not_applied(acme, engine):
    acme.close()
    [row] = engine.claim()
    acme.clock.advance(minutes=1)
    engine.recover(repeat=False)
    assert engine.cancel()

    assert not engine.settle(row, DeliveryState.ACCEPTED)

    delivery = acme.delivery()
    assert delivery.state == "cancelled"
    assert (delivery.attempts[0].outcome, delivery.attempts[0].late) == ("accepted", True)


def test_a_claimed_delivery_cannot_be_cancelled(acme, engine):
    acme.close()
    engine.claim()

    assert not engine.cancel()
    assert acme.delivery().state == "claimed"


# --- removed while under way ------------------------------------------------------------------------------------------

NO_RULE = ACME[: ACME.index("rules:")] + "rules: []\n"
NO_CONNECTION = ACME[: ACME.index("connections:")] + "connections: []\nrules: []\n"


@pytest.mark.parametrize("text", [NO_RULE, NO_CONNECTION])
def test_a_call_whose_rule_or_connection_was_removed_is_not_made_a_second_time(acme, engine, text):
    acme.close()
    [row] = engine.claim()
    acme.apply(text)

    engine.settle(row, DeliveryState.SCHEDULED, Reason.NOT_REACHED)

    assert acme.delivery().state == "cancelled"
    assert not engine.is_due()


@pytest.mark.parametrize("text", [NO_RULE, NO_CONNECTION])
def test_a_lost_claim_whose_rule_or_connection_was_removed_is_cancelled(acme, engine, text):
    acme.close()
    engine.claim()
    acme.apply(text)
    acme.clock.advance(minutes=1)

    engine.recover(repeat=True)

    assert acme.delivery().state == "cancelled"


def test_the_answer_to_a_call_whose_rule_was_removed_still_counts(acme, engine):
    acme.close()
    [row] = engine.claim()
    acme.apply(NO_RULE)

    engine.settle(row, DeliveryState.ACCEPTED)

    assert acme.delivery().state == "accepted"


# --- limits of a lane -------------------------------------------------------------------------------------------------


def limit(acme, name="lab", **values):
    with acme.parts.database.write() as db:
        found = connections.connection_by_name(db, acme.tenant.id, name)
        db.execute(update(lanes).where(lanes.c.connection_id == found.id).values(**values))


def test_a_lane_may_have_a_cap_of_its_own(acme, engine):
    limit(acme, in_flight_cap=2)
    for number in range(5):
        acme.close(str(number))

    claimed = engine.claim()
    assert len(claimed) == 2
    assert engine.claim() == []

    engine.settle(claimed[0], DeliveryState.ACCEPTED)
    assert len(engine.claim()) == 1


def test_a_lane_with_a_rate_sleeps_until_its_next_call_and_burns_no_attempt(acme, engine):
    limit(acme, calls_per_minute=6)
    for number in range(3):
        acme.close(str(number))

    [first] = engine.claim()
    engine.settle(first, DeliveryState.ACCEPTED)
    assert engine.lane().next_due == acme.clock() + timedelta(seconds=10)
    assert not engine.is_due()

    acme.clock.advance(seconds=9.9)
    assert engine.claim() == []
    acme.clock.advance(seconds=0.1)
    [second] = engine.claim()

    assert (second.parameters["custom1"], second.attempts) == ("1", 0)
    assert [delivery.attempts_made for delivery in acme.deliveries()] == [1, 0, 0]


def test_a_new_delivery_does_not_wake_a_lane_before_its_next_call(acme, engine):
    limit(acme, calls_per_minute=6)
    acme.close("1")
    engine.claim()
    acme.close("2")

    assert engine.claim() == []

    assert not engine.is_due()
    assert engine.lane().next_due == engine.lane().next_call


def test_what_was_parked_goes_out_at_the_lanes_rate(acme, engine):
    limit(acme, calls_per_minute=30)
    engine.pause()
    for number in range(4):
        acme.close(str(number))
    engine.resume()

    claimed = []
    for _ in range(4):
        claimed.append(len(engine.claim()))
        acme.clock.advance(seconds=2)

    assert claimed == [1, 1, 1, 1]


def test_senders_are_shared_alike_among_the_lanes_that_are_due(acme, engine):
    acme.apply(TWO_LANES)
    for number in range(8):
        acme.close(str(number))
        chat(acme, str(number))

    claimed = engine.claim(free=6)

    assert sorted(Counter(row.connection_id for row in claimed).values()) == [3, 3]


def test_what_one_lane_does_not_need_another_one_gets(acme, engine):
    acme.apply(TWO_LANES)
    chat(acme, "1")
    for number in range(8):
        acme.close(str(number))

    claimed = engine.claim(free=8)

    assert sorted(Counter(row.connection_id for row in claimed).values()) == [1, 7]


@pytest.mark.parametrize("hanging", [1, 10, 39])
def test_beside_any_number_of_hanging_lanes_a_healthy_one_gets_three_quarters(acme, engine, hanging):
    acme.apply(many_lanes(40))
    with acme.parts.database.write() as db:
        sick = [connections.connection_by_name(db, acme.tenant.id, f"lane {n}").id for n in range(hanging)]
        healthy = connections.connection_by_name(db, acme.tenant.id, "lane 39").id
        db.execute(update(lanes).where(lanes.c.connection_id.in_(sick)).values(hanging=True))
        others = lanes.c.connection_id.not_in([*sick, healthy])
        db.execute(update(lanes).where(others).values(paused=True))
    for number in range(6):
        acme.close(str(number))

    claimed = engine.claim(free=8, free_for_hanging=2)

    assert sum(row.connection_id == healthy for row in claimed) == 6
    assert sum(row.hanging for row in claimed) == 2


def test_one_claim_at_a_time_serves_every_lane_in_turn(acme, engine):
    acme.apply(many_lanes(20))
    acme.close("1")

    served = []
    for _ in range(20):
        acme.clock.advance(seconds=0.01)
        served += [row.connection_id for row in engine.claim(free=1, free_for_hanging=1)]

    assert len(set(served)) == 20


# --- lost wake-ups ----------------------------------------------------------------------------------------------------


def test_a_lane_that_sleeps_past_a_delivery_is_found(acme, engine):
    acme.close()
    with acme.parts.database.write() as db:
        db.execute(update(lanes).values(next_due=None, served_at=acme.clock()))
    assert not engine.is_due()

    with acme.parts.database.read() as db:
        missed = lane_store.missed_dues(db, acme.clock())
    with acme.parts.database.write() as db:
        lane_store.lower(db, missed)

    assert engine.is_due()
    assert engine.lane().next_due == acme.delivery().due


def test_lanes_that_sleep_for_a_reason_are_left_alone(acme, engine):
    limit(acme, calls_per_minute=6)
    acme.close("1")
    acme.close("2")
    engine.claim()

    with acme.parts.database.read() as db:
        assert lane_store.missed_dues(db, acme.clock()) == {}

    engine.pause()
    with acme.parts.database.read() as db:
        assert lane_store.missed_dues(db, acme.clock()) == {}


# --- batches ----------------------------------------------------------------------------------------------------------


def test_a_batch_settles_each_call_by_its_own_answer(acme, engine):
    for number in range(4):
        acme.close(str(number))
    rows = engine.claim()
    now = acme.clock()
    settlements = [
        Settlement(DeliveryState.ACCEPTED, Reason.DONE, "taken", vendor_reference="v-0"),
        Settlement(DeliveryState.REJECTED, Reason.REFUSED, "no"),
        Settlement(DeliveryState.SCHEDULED, Reason.RATE_LIMITED, due=now + timedelta(minutes=1), counts=False),
        Settlement(DeliveryState.UNCERTAIN, Reason.NO_ANSWER),
    ]
    finished = [
        Finished(row, settlement, FinishedAttempt(now, outcome=settlement.state))
        for row, settlement in zip(rows, settlements, strict=True)
    ]

    with acme.parts.database.write() as db:
        assert settling.settle(db, finished, now) == finished

    found = acme.deliveries()
    assert [(one.state, one.reason, one.attempts_made) for one in found] == [
        ("accepted", "done", 1),
        ("rejected", "refused", 1),
        ("scheduled", "rate_limited", 0),
        ("uncertain", "no_answer", 1),
    ]
    assert [one.vendor_reference for one in found] == ["v-0", None, None, None]
    assert [one.attempts[0].outcome for one in found] == ["accepted", "rejected", "scheduled", "uncertain"]


def test_what_was_settled_by_a_commit_of_which_nobody_heard_is_not_settled_twice(acme, engine):
    acme.close()
    [row] = engine.claim()
    assert engine.settle(row, DeliveryState.ACCEPTED)

    assert not engine.settle(row, DeliveryState.ACCEPTED)

    [attempt] = acme.delivery().attempts
    assert (acme.delivery().state, attempt.outcome, attempt.late) == ("accepted", "accepted", False)


def test_claims_of_which_nobody_heard_are_given_back(acme, engine):
    acme.close("1")
    acme.close("2")
    heard, unheard = engine.claim()

    with acme.parts.database.write() as db:
        [found] = leases.claims_of(db, "w1", besides={(heard.id, heard.epoch)})
        leases.give_back(db, found, acme.clock())

    assert found.id == unheard.id
    first, second = acme.deliveries()
    assert (first.state, second.state, second.reason) == ("claimed", "scheduled", "given_back")
    assert second.attempts_made == 0
    assert engine.is_due()
