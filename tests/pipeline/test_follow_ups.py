"""What a vendor is asked about a delivery that has ended, and that nothing of it changes how it ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from sqlalchemy import event as sql_event
from sqlalchemy import insert, select, update

import plugin.surveys
from plugin import registry
from plugin.cli.receipt_text import receipt_json, receipt_lines
from plugin.pipeline.errands import Errands
from plugin.pipeline.forget import forget_person
from plugin.pipeline.reencrypt import reencrypt
from plugin.store import connections, errands, tenants
from plugin.store.errands import AT_ONCE
from plugin.store.restored import hold_waiting
from plugin.store.tables import errands as errand_rows
from plugin.vault import Vault
from tests.acme import ACME, closing, states
from tests.answering import Answer, Answering

# A vendor whose call is accepted at once, and that tells by its second answer and later what became of it.
VENDOR = """
from plugin.domain.fields import SecretText, StrictSchema, Text
from plugin.domain.outcome import Accepted, NextRequest, Reason, Rejected
from plugin.domain.survey_call import OutboundRequest
from plugin.surveys.base import ANY_PUBLIC_HTTPS, Call, Step, Vendor
from plugin.surveys.base.answers import outcome_for_status


class Connection(StrictSchema):
    origin = Text(label="Origin", required=True)
    token = SecretText(label="Token", required=True)


class Parameters(StrictSchema):
    email = Text(label="E-mail", required=True)


STEPS = [Step("send"), Step("status", repeat_safe=True, source="https://example.com", follow_up=True)]
VENDOR = Vendor("Follow", Connection, ANY_PUBLIC_HTTPS, {"invite": Call("Invite", Parameters, STEPS)})


def build_request(call, connection, step, memory):
    query = (("email", call.parameters["email"]), ("token", connection["token"]), ("batch", memory.get("batch", "")))
    if memory.get("batch") == "broken":
        raise ZeroDivisionError
    return OutboundRequest("GET", connection["origin"], (step,), query)


def read_response(call, response, step, memory):
    said = response.json_object
    if step == "send":
        follow_up = NextRequest("status", {"batch": said.get("batch", "b-1")}, after=said.get("after", 60))
        return Accepted(follow_up=follow_up if "nothing" not in said else None)
    match said.get("state"):
        case "done":
            return Accepted(words=said.get("words", "Sent to 1 person."))
        case "running":
            return NextRequest("status", {"batch": said["batch"]}, after=120, words=said["words"])
        case "refused":
            return Rejected(Reason.CREDENTIALS, "token " + said["token"] + " is wrong")
        case _:
            return outcome_for_status(response)
"""
FOLLOWED = ACME.replace(
    'vendor: surveylab, settings: {origin: "$sandbox", api_token: lab-token}',
    'vendor: followvendor, settings: {origin: "$sandbox", token: follow-token}',
)
FOLLOWED = FOLLOWED[: FOLLOWED.index("    call:")] + '    call: invite\n    parameters: {email: "{{ person.email }}"}\n'


@pytest.fixture
def server() -> Iterator[Answering]:
    with Answering() as running:
        yield running


@pytest.fixture
def config(config, server):
    return replace(config, extra_vendor_origins=(*config.extra_vendor_origins, server.origin))


@pytest.fixture
def followed(acme, tmp_path, monkeypatch, server):
    """The tenant's connection leads to a vendor whose deliveries are followed up."""
    (tmp_path / "surveys").mkdir()
    (tmp_path / "surveys" / "followvendor.py").write_text(VENDOR)
    monkeypatch.setattr(plugin.surveys, "__path__", [*plugin.surveys.__path__, str(tmp_path / "surveys")])
    registry.vendor_names.cache_clear()
    acme.apply(FOLLOWED, origin=server.origin)
    yield acme
    monkeypatch.undo()
    registry.vendor_names.cache_clear()


@pytest.fixture
def hand(followed) -> Iterator[Hand]:
    with followed.parts.outbound() as outbound:
        yield Hand(followed, outbound)


class Hand:
    """Does errands step by step."""

    def __init__(self, acme, outbound):
        self.acme = acme
        parts = acme.parts
        self.errands = Errands(outbound, parts.vault, parts.mint, monotonic=time.monotonic, chance=lambda: 0.0)

    def claim(self, *finished, free=8):
        with self.acme.parts.database.write() as db:
            return list(self.errands.claim_and_settle(db, finished, free=free).tasks)

    def do(self):
        self.claim(*map(self.errands.make, self.claim()), free=0)


def open_errands(acme):
    with acme.parts.database.read() as db:
        return db.execute(select(errand_rows).order_by(errand_rows.c.id)).all()


def told(acme):
    return [report.words for report in acme.delivery().reports]


def states_by_step(**answers):
    """Answers by the last part of the path; a list is used up from its beginning."""

    def answer(asked):
        found = answers[asked.path.strip("/")]
        return found.pop(0) if isinstance(found, list) else found

    return answer


# --- asking -----------------------------------------------------------------------------------------------------------


def test_a_vendor_is_asked_later_what_became_of_a_delivery_and_the_receipt_tells_it(followed, server):
    server.answer = states_by_step(send=Answer(200, {}), status=Answer(200, {"state": "done"}))
    followed.close()

    followed.work()
    [errand] = open_errands(followed)
    assert (followed.delivery().state, errand.kind, errand.step) == ("accepted", "follow_up", "status")
    assert (errand.due - followed.clock()).total_seconds() == 60
    assert [asked.path for asked in server.asked] == ["/send"]
    followed.clock.advance(seconds=60)
    followed.work()

    assert told(followed) == ["Sent to 1 person."]
    assert server.asked[1].query == {"email": "ada@example.com", "token": "follow-token", "batch": "b-1"}
    assert open_errands(followed) == []


def test_what_a_follow_up_remembers_is_sealed(followed, server):
    server.answer = lambda asked: Answer(200, {"batch": "b-secret"})
    followed.close()

    followed.work()

    [errand] = open_errands(followed)
    assert errand.memory is not None
    assert "b-secret" not in errand.memory


def test_it_is_asked_again_with_what_was_learnt_and_says_only_what_is_new(followed, server):
    running = [Answer(200, {"state": "running", "batch": f"b-{n}", "words": words}) for n, words in
               enumerate(["Waiting.", "Waiting.", "Half is sent."], start=2)]  # fmt: skip
    server.answer = states_by_step(send=Answer(200, {}), status=[*running, Answer(200, {"state": "done"})])
    followed.close()
    followed.work()

    for seconds in (60, 120, 120, 120):
        followed.clock.advance(seconds=seconds)
        followed.work()

    assert [asked.query["batch"] for asked in server.asked[1:]] == ["b-1", "b-2", "b-3", "b-4"]
    assert told(followed) == ["Waiting.", "Half is sent.", "Sent to 1 person."]
    assert followed.delivery().state == "accepted"


def test_a_vendor_that_is_away_is_asked_again_after_longer_and_longer_waits(hand, followed, server):
    server.answer = states_by_step(send=Answer(200, {}), status=Answer(500, {}))
    followed.close()
    followed.work()
    waits = []
    for _ in range(4):
        [errand] = open_errands(followed)
        waits.append((errand.due - followed.clock()).total_seconds())
        followed.clock.now = errand.due
        hand.do()

    assert waits == [60, 5, 30, 150]
    assert told(followed) == []


def test_a_vendor_that_asks_for_time_gets_it(hand, followed, server):
    slow_down = Answer(429, {}, (("Retry-After", "700"),))
    server.answer = states_by_step(send=Answer(200, {}), status=slow_down)
    followed.close()
    followed.work()
    followed.clock.advance(seconds=60)

    hand.do()

    [errand] = open_errands(followed)
    assert (errand.due - followed.clock()).total_seconds() == 700
    assert errand.attempts == 0


def test_a_refusal_ends_the_asking_and_changes_nothing_else(followed, server):
    refused = Answer(200, {"state": "refused", "token": "follow-token"})
    server.answer = states_by_step(send=Answer(200, {}), status=refused)
    followed.close()
    followed.work()
    followed.clock.advance(seconds=60)

    followed.work()

    [words] = told(followed)
    assert words.startswith("What became of it could not be learnt (HTTP 200): token ")
    assert "follow-token" not in words
    assert (followed.delivery().state, followed.delivery().reason) == ("accepted", "done")
    assert open_errands(followed) == []
    with followed.parts.database.read() as db:
        assert connections.connection_by_name(db, followed.tenant.id, "lab").pause is None


def test_a_fault_of_this_program_is_tried_again(hand, followed, server):
    server.answer = lambda asked: Answer(200, {"batch": "broken"})
    followed.close()
    followed.work()
    followed.clock.advance(seconds=60)

    hand.do()

    [errand] = open_errands(followed)
    assert "ZeroDivisionError" in errand.words
    assert errand.due > followed.clock()


def test_after_two_days_it_is_asked_no_more(followed, server):
    server.answer = states_by_step(send=Answer(200, {}), status=Answer(503, {"error": "asleep"}))
    followed.close()
    followed.work()
    followed.clock.advance(seconds=60)
    followed.work()
    followed.clock.advance(hours=48)

    followed.work()

    [words] = told(followed)
    assert words.startswith(
        "What became of it is asked no more: no final answer came within 48 hours. The last one said:"
    )
    assert "asleep" in words
    assert open_errands(followed) == []
    assert len(server.asked) == 2


# --- what may happen meanwhile ----------------------------------------------------------------------------------------


def begun(acme, server):
    """A delivery whose follow-up is due now."""
    server.answer = states_by_step(send=Answer(200, {}), status=Answer(200, {"state": "done"}))
    acme.close()
    acme.work()
    acme.clock.advance(seconds=60)


def test_the_receipt_says_when_the_vendor_is_asked_again(hand, followed, server):
    begun(followed, server)
    server.answer = lambda asked: Answer(503, {"error": "asleep"})
    receipt_id = followed.delivery().trigger_id
    lines = "\n".join(receipt_lines(followed.receipt(receipt_id)))
    assert "the vendor is asked what became of it at 2026-11-03 13:01:01 CET, and no more after 2026-11-05" in lines

    [task] = hand.claim()
    assert "asked what became of it now," in "\n".join(receipt_lines(followed.receipt(receipt_id)))
    hand.claim(hand.errands.make(task), free=0)

    assert "the last answer: “" in "\n".join(receipt_lines(followed.receipt(receipt_id)))
    [event] = receipt_json(followed.receipt(receipt_id))["events"]
    assert event["deliveries"][0]["follow_up"]["step"] == "status"


def test_a_paused_connection_is_asked_nothing_until_it_is_resumed(followed, server):
    begun(followed, server)
    with followed.parts.database.write() as db:
        lab = connections.connection_by_name(db, followed.tenant.id, "lab")
        connections.pause_connection(db, lab.tenant_id, lab.id, reason="by_hand", words="", now=followed.clock())

    followed.work()
    assert [asked.path for asked in server.asked] == ["/send"]
    assert len(open_errands(followed)) == 1
    with followed.parts.database.write() as db:
        connections.resume_connection(db, lab.tenant_id, lab.id)
    followed.clock.advance(minutes=5)
    followed.work()

    assert told(followed) == ["Sent to 1 person."]


def test_a_removed_connection_is_asked_nothing_more(followed, server):
    begun(followed, server)
    followed.apply(ACME)
    with followed.parts.database.write() as db:
        lab = connections.connections_of(db, followed.tenant.id)[0]
    assert lab.vendor == "surveylab"

    followed.work()

    assert open_errands(followed) == []
    assert len(server.asked) == 1


def test_a_follow_up_that_was_stored_after_its_connection_was_removed_goes_without_a_call(hand, followed, server):
    begun(followed, server)
    [errand] = open_errands(followed)
    followed.apply(ACME)
    with followed.parts.database.write() as db:
        db.execute(insert(errand_rows).values(errand._mapping))

    followed.work()

    assert open_errands(followed) == []
    assert len(server.asked) == 1


def test_what_comes_for_a_tenant_that_was_removed_meanwhile_is_dropped(hand, followed, server):
    begun(followed, server)
    [task] = hand.claim()
    with followed.parts.database.write() as db:
        tenants.remove_tenant(db, followed.tenant.id)

    hand.claim(hand.errands.make(task), free=0)

    assert followed.counts()["reports"] == 0


def test_a_person_who_was_forgotten_is_not_asked_about(hand, followed, server):
    begun(followed, server)
    [task] = hand.claim()
    finished = hand.errands.make(task)

    forget_person(followed.parts.database, followed.parts.mint, followed.tenant.id, "ada@example.com", lambda *_: None)
    hand.claim(finished, free=0)
    followed.work()

    assert (followed.counts()["errands"], followed.counts()["reports"]) == (0, 0)


def test_the_newest_key_alone_opens_what_a_follow_up_remembers_after_reencrypting(followed, server):
    begun(followed, server)
    vault = Vault([b"n" * 32, b"k" * 32], followed.parts.mint.entropy)

    reencrypt(followed.parts.database, vault, lambda *_: None)

    [errand] = open_errands(followed)
    assert vault.key_of(errand.memory) == vault.key_ids[0]
    followed.parts.vault._ring.update(vault._ring)
    followed.work()
    assert server.asked[-1].query["batch"] == "b-1"


def test_a_database_put_back_from_a_backup_goes_on_asking(followed, server):
    begun(followed, server)
    with followed.parts.database.write() as db:
        hold_waiting(db, followed.tenant.id, followed.clock(), "")

    followed.work()

    assert told(followed) == ["Sent to 1 person."]


# --- workers ----------------------------------------------------------------------------------------------------------


def test_what_a_silent_worker_was_at_is_asked_again_and_told_once(hand, followed, server):
    begun(followed, server)
    [silent] = hand.claim()
    late = hand.errands.make(silent)
    assert hand.claim() == []
    followed.clock.advance(seconds=46)

    followed.work()
    hand.claim(late, free=0)

    assert told(followed) == ["Sent to 1 person."]
    assert len(server.asked) == 3


def test_settling_twice_tells_once(hand, followed, server):
    begun(followed, server)
    [task] = hand.claim()
    finished = hand.errands.make(task)

    hand.claim(finished, free=0)
    hand.claim(finished, free=0)

    assert told(followed) == ["Sent to 1 person."]


def test_no_more_than_two_of_a_lane_are_under_way(hand, followed, server):
    server.answer = lambda asked: Answer(200, {})
    for number in range(5):
        followed.close(str(number))
    followed.work()
    followed.clock.advance(seconds=60)

    first = hand.claim()
    assert (len(first), hand.claim()) == (AT_ONCE, [])
    second = hand.claim(hand.errands.make(first[0]))

    assert len(second) == 1
    assert {task.row.id for task in second}.isdisjoint(task.row.id for task in first)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_two_workers_at_the_same_moment_keep_to_the_two_of_a_lane_and_wait_for_nobody(hand, followed, server):
    server.answer = lambda asked: Answer(200, {})
    for number in range(5):
        followed.close(str(number))
    followed.work()
    followed.clock.advance(seconds=60)
    database = followed.parts.database

    with database.write() as one, database.write() as other:
        assert len(hand.errands.claim_and_settle(one, [], free=1).tasks) == 1
        # The lane is the other one's until that has committed.
        assert hand.errands.claim_and_settle(other, [], free=8).tasks == []

    assert len(hand.claim()) == 1


def test_two_workers_ask_about_each_delivery_once(followed, server):
    server.answer = states_by_step(send=Answer(200, {}), status=Answer(200, {"state": "done"}))
    followed.send([closing(str(number)) for number in range(40)], source="any")
    followed.work()
    followed.clock.advance(seconds=60)

    parts = followed.parts
    with parts.outbound() as outbound, running(parts.worker(outbound)), running(parts.worker(outbound)):
        wait_until(lambda: not open_errands(followed), 30)

    assert len(server.asked) == 80
    assert [len(delivery.reports) for delivery in followed.deliveries()] == [1] * 40


def test_a_follow_up_that_hangs_keeps_no_delivery_waiting(followed, server, monkeypatch):
    release = threading.Event()

    def answer(asked):
        if asked.path == "/status":
            release.wait(20)
        return Answer(200, {"state": "done"})

    server.answer = answer
    for number in range(6):
        followed.close(str(number))
    followed.work()
    followed.clock.advance(seconds=60)

    with followed.parts.outbound() as outbound, running(followed.parts.worker(outbound)):
        wait_until(lambda: sum(asked.path == "/status" for asked in server.asked) == AT_ONCE)
        for number in range(20):
            followed.close(f"1{number}")
        followed.parts.hint.send()
        wait_until(lambda: states(followed.deliveries()) == ["accepted"] * 26)
        assert sum(asked.path == "/status" for asked in server.asked) == AT_ONCE
        release.set()


def test_a_worker_that_is_told_to_stop_settles_the_follow_ups_under_way(followed, server):
    begun(followed, server)
    asked_it = threading.Event()

    def answer(asked):
        asked_it.set()
        time.sleep(0.3)
        return Answer(200, {"state": "done"})

    server.answer = answer
    with followed.parts.outbound() as outbound, running(followed.parts.worker(outbound)):
        assert asked_it.wait(10)

    assert told(followed) == ["Sent to 1 person."]


# --- what it costs ----------------------------------------------------------------------------------------------------


def test_deliveries_without_follow_ups_cost_no_statement_more(hand, followed, server):
    server.answer = lambda asked: Answer(200, {"nothing": True})
    followed.close()
    statements = []
    sql_event.listen(
        followed.parts.database._engine, "before_cursor_execute", lambda *given: statements.append(given[2])
    )

    with followed.parts.outbound() as outbound:
        deliverer = followed.parts.deliverer(outbound)
        with followed.parts.database.write() as db:
            [claim] = deliverer.claim_and_settle(db, [], worker="w1", free=1, free_for_hanging=1)
        with followed.parts.database.write() as db:
            deliverer.claim_and_settle(db, [deliverer.call(claim)], worker="w1", free=0, free_for_hanging=0)

    assert [statement for statement in statements if "errands" in statement] == []
    assert followed.delivery().state == "accepted"


def test_a_thousand_errands_of_a_full_lane_keep_no_other_lane_waiting(hand, followed, server):
    begun(followed, server)
    [errand] = open_errands(followed)
    with followed.parts.database.write() as db:
        others = [{**errand._mapping, "id": f"e{number}", "lane": "full"} for number in range(1000)]
        db.execute(insert(errand_rows), [{**one, "due": followed.clock.now.replace(year=2025)} for one in others])
        busy = update(errand_rows).where(errand_rows.c.id.in_(["e0", "e1"]))
        db.execute(busy.values(leased_until=followed.clock.now.replace(year=2027)))

    [task] = hand.claim()

    assert task.row.id == errand.id


def test_the_backlog_is_counted_by_kind(followed, server):
    begun(followed, server)

    with followed.parts.database.read() as db:
        counted = errands.backlog(db, followed.clock())

    assert counted == {"follow_up": errands.Backlog(1, 1), "lookup": errands.Backlog(0, 0)}


def wait_until(holds, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)


@contextmanager
def running(worker):
    stop = threading.Event()
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()
