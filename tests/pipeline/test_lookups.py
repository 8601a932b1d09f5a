"""Events whose message says too little: their source is asked for the rest, and only then do the rules decide."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import select

import plugin.triggers
from plugin import registry
from plugin.cli.receipt_text import receipt_lines
from plugin.pipeline.errands import Errands
from plugin.pipeline.forget import forget_person
from plugin.pipeline.replay import replay_delivery
from plugin.registry import InboundRequest
from plugin.store import errands
from plugin.store.restored import hold_unplanned
from plugin.store.tables import errands as errand_rows
from tests.acme import ACME, verdicts
from tests.answering import Answer, Answering

# A helpdesk that sends ids alone. Its API knows the ticket, and then the ticket's requester.
SOURCE = """
import json

from dataclasses import replace
from plugin.domain.event import Event, EventKind, tidy_values
from plugin.domain.fields import SecretText, StrictSchema, Text
from plugin.domain.survey_call import OutboundRequest
from plugin.errors import SignatureInvalid, Unreadable
from plugin.triggers.base import Source


class Credentials(StrictSchema):
    origin = Text(label="Address", required=True)
    token = SecretText(label="Token", required=True)


SOURCE = Source("Thin", Credentials, frozenset({EventKind.TICKET_CLOSED}))


def verify(request, credentials, now):
    if request.headers.get("authorization") != "Bearer " + credentials["token"].reveal():
        raise SignatureInvalid


def parse(request):
    told = json.loads(request.body)
    names = {"ticket.id": "id", "ticket.status": "status", "person.email": "email"}
    tidied = tidy_values({name: told.get(theirs) for name, theirs in names.items()})
    return [
        Event(EventKind.CRM_CHANGED, id=told.get("event"), subject="ticket:" + told["id"], values=tidied.values,
              unrendered=tidied.unrendered, payload=told)
    ]


def lookup(event, credentials):
    if event.values.get("ticket.id") == "broken":
        raise ZeroDivisionError(credentials["token"].reveal())
    if "ticket.requester.external_id" not in event.values and "person.email" not in event.values:
        return _get(credentials, "tickets", event.values["ticket.id"])
    if "person.email" not in event.values:
        return _get(credentials, "people", event.values["ticket.requester.external_id"])
    return None


def _get(credentials, *path):
    headers = (("Authorization", credentials["token"]),)
    return OutboundRequest("GET", credentials["origin"], path, headers=headers)


def lookup_origins(credentials):
    return [credentials["origin"]]


def complete(event, response):
    said = response.json_object
    if not said:
        raise Unreadable("The helpdesk's answer is not a ticket.")
    tidied = tidy_values({**event.values, **{name: said[name] for name in said if "." in name}})
    closed = "closed_at" in said
    return replace(
        event,
        kind=EventKind.TICKET_CLOSED if closed else event.kind,
        closing_mark=said.get("closed_at", event.closing_mark),
        values=tidied.values,
        notes=(*event.notes, "Completed."),
    )
"""
THIN = ACME.replace(
    "connections:",
    '  - {name: thin, kind: thinsource, credentials: {origin: "$helpdesk", token: thin-token}}\nconnections:',
)
TICKET = {"ticket.title": "Printer", "ticket.requester.external_id": "7", "closed_at": "2026-11-03T12:00:00Z"}
PERSON = {"person.email": "ada@example.com", "ticket.tags": ["a", "b"]}


@pytest.fixture
def helpdesk() -> Iterator[Answering]:
    with Answering() as running:
        running.answer = lambda asked: Answer(200, TICKET if asked.path.startswith("/tickets") else PERSON)
        yield running


@pytest.fixture
def config(config, helpdesk):
    return replace(config, extra_vendor_origins=(*config.extra_vendor_origins, helpdesk.origin))


@pytest.fixture
def thin(acme, tmp_path, monkeypatch, helpdesk):
    """The tenant has a source whose messages hold no more than ids."""
    (tmp_path / "triggers").mkdir()
    (tmp_path / "triggers" / "thinsource.py").write_text(SOURCE)
    monkeypatch.setattr(plugin.triggers, "__path__", [*plugin.triggers.__path__, str(tmp_path / "triggers")])
    registry.source_names.cache_clear()
    acme.apply(THIN.replace("$helpdesk", helpdesk.origin))
    yield acme
    monkeypatch.undo()
    registry.source_names.cache_clear()


def send(acme, ticket="35", **told):
    body = b'{"id": "%s"%s}' % (
        ticket.encode(),
        b"".join(b', "%s": "%s"' % (name.encode(), value.encode()) for name, value in told.items()),
    )
    request = InboundRequest("POST", "", {"authorization": "Bearer thin-token"}, body)
    return acme.parts.acceptor.accept(acme.source("thin"), request)


def only_event(acme, acceptance):
    [record] = acme.receipt(acceptance).events
    return record


def open_errands(acme):
    with acme.parts.database.read() as db:
        return db.execute(select(errand_rows).order_by(errand_rows.c.id)).all()


# --- accepting --------------------------------------------------------------------------------------------------------


def test_a_thin_event_is_kept_and_its_sender_told_that_it_is_pending(thin, helpdesk):
    acceptance = send(thin)

    [answered] = acceptance.as_json()["events"]
    assert (answered["verdicts"], answered["pending"], answered["duplicate"]) == ([], True, False)
    [errand] = open_errands(thin)
    assert (errand.kind, errand.event_id, errand.lane) == ("lookup", answered["id"], thin.source("thin").id)
    assert helpdesk.asked == []
    assert thin.deliveries() == []


def test_a_dry_run_says_that_more_would_be_asked_and_asks_nothing(thin, helpdesk):
    request = InboundRequest("POST", "", {"authorization": "Bearer thin-token"}, b'{"id": "35"}')

    [draft] = thin.parts.acceptor.dry_run(thin.source("thin"), request)

    assert (draft.thin, draft.pending, list(draft.planned)) == (True, True, [])
    assert helpdesk.asked == []
    assert thin.counts()["errands"] == 0


def test_an_event_that_says_enough_is_planned_as_it_comes_in(thin, helpdesk):
    acceptance = send(thin, email="ada@example.com")

    assert verdicts(acceptance) == [("no", "other_event")]
    assert open_errands(thin) == []


def test_the_same_event_again_is_a_duplicate_that_is_pending_still(thin):
    first = send(thin, event="e1")

    again = send(thin, event="e1")

    assert again.receipt == first.receipt
    assert [(event.duplicate, event.pending) for event in again.events] == [(True, True)]
    assert len(open_errands(thin)) == 1


# --- asking -----------------------------------------------------------------------------------------------------------


def test_the_source_is_asked_until_all_is_known_and_then_the_rules_decide(thin, helpdesk):
    acceptance = send(thin)

    thin.work()

    assert [asked.path for asked in helpdesk.asked] == ["/tickets/35", "/people/7"]
    assert {asked.headers["authorization"] for asked in helpdesk.asked} == {"thin-token"}
    record = only_event(thin, acceptance)
    assert (record.event.kind, record.event.planned, record.event.episode_number) == ("ticket.closed", True, 1)
    assert record.event.values["ticket.title"] == "Printer"
    assert [(one.decision, one.cause) for one in record.verdicts] == [("ask", "matched")]
    assert [call["email"] for call in thin.vendor.asked] == ["ada@example.com"]
    assert open_errands(thin) == []


def test_the_receipt_says_what_an_event_waits_for(thin, helpdesk):
    helpdesk.answer = lambda asked: Answer(503, {"error": "asleep"})
    acceptance = send(thin)
    assert "    the source is asked for the rest at " in "\n".join(receipt_lines(thin.receipt(acceptance)))

    thin.work()

    lines = "\n".join(receipt_lines(thin.receipt(acceptance)))
    assert "the last answer: “" in lines
    assert "asleep" in lines


@pytest.mark.parametrize("answer", [Answer(503), Answer(500), Answer(429, None, (("Retry-After", "30"),))])
def test_a_source_that_is_away_is_asked_again(thin, helpdesk, answer):
    well = helpdesk.answer
    helpdesk.answer = lambda asked: answer
    acceptance = send(thin)
    thin.work()
    assert only_event(thin, acceptance).verdicts == []

    helpdesk.answer = well
    thin.clock.advance(seconds=31)
    thin.work()

    assert thin.delivery().state == "accepted"


def test_a_source_that_cannot_be_reached_is_asked_again(thin, helpdesk):
    acceptance = send(thin)
    helpdesk.stop()

    thin.work()

    [errand] = open_errands(thin)
    assert errand.due > thin.clock()
    assert only_event(thin, acceptance).event.planned is False


@pytest.mark.parametrize("status", [401, 403, 404, 302])
def test_a_source_that_refuses_is_asked_no_more_and_the_rules_decide_by_the_message(thin, helpdesk, status):
    helpdesk.answer = lambda asked: Answer(status, {"error": "not for thin-token"})
    acceptance = send(thin)

    thin.work()

    record = only_event(thin, acceptance)
    assert [(one.decision, one.cause) for one in record.verdicts] == [("no", "other_event")]
    [note] = [note for note in record.event.notes if "rest" in note]
    assert note.startswith(f"The source did not tell the rest (HTTP {status}): ")
    assert "thin-token" not in note
    assert open_errands(thin) == []


def test_an_answer_that_is_none_of_the_known_ones_ends_the_asking_with_the_sources_words(thin, helpdesk):
    helpdesk.answer = lambda asked: Answer(200, [])
    acceptance = send(thin)

    thin.work()

    assert (
        "The source did not tell the rest: The helpdesk's answer is not a ticket."
        in only_event(thin, acceptance).event.notes
    )


def test_a_source_that_never_has_enough_is_asked_four_times(thin, helpdesk):
    helpdesk.answer = lambda asked: Answer(200, {"ticket.title": "Printer"})
    acceptance = send(thin)

    thin.work()

    assert len(helpdesk.asked) == 4
    assert any("after 4 requests" in note for note in only_event(thin, acceptance).event.notes)


def test_after_a_day_it_is_given_up_and_the_rules_decide_by_the_message(thin, helpdesk):
    helpdesk.answer = lambda asked: Answer(503, {"error": "asleep"})
    acceptance = send(thin)
    thin.work()
    thin.clock.advance(hours=24)

    thin.work()

    record = only_event(thin, acceptance)
    assert len(record.verdicts) == 1
    assert any(note.startswith("The source did not tell the rest within 24 hours.") for note in record.event.notes)


# --- closings ---------------------------------------------------------------------------------------------------------


def test_one_closing_that_is_told_twice_asks_once(thin):
    first = send(thin, event="e1")
    thin.work()
    again = send(thin, event="e2")

    thin.work()

    assert [(one.decision, one.cause) for one in only_event(thin, again).verdicts] == [("no", "same_episode")]
    assert only_event(thin, first).event.episode_id == only_event(thin, again).event.episode_id
    assert len(thin.vendor.received) == 1


def test_two_closings_of_one_ticket_that_are_looked_up_together_ask_once(thin):
    send(thin, event="e1")
    send(thin, event="e2")

    thin.work()

    assert len(thin.deliveries()) == 1


def test_a_ticket_that_is_closed_another_time_asks_again(thin, helpdesk):
    send(thin, event="e1")
    thin.work()
    helpdesk.answer = lambda asked: Answer(
        200, {**TICKET, "closed_at": "2026-11-04T12:00:00Z"} if asked.path.startswith("/tickets") else PERSON
    )

    second = send(thin, event="e2")
    thin.work()

    assert only_event(thin, second).event.episode_number == 2
    assert len(thin.vendor.received) == 2


def test_a_replay_knows_what_was_looked_up(thin, helpdesk):
    send(thin)
    thin.work()
    asked = len(helpdesk.asked)

    with thin.parts.database.write() as db:
        replay_delivery(db, thin.parts.mint, thin.tenant.id, thin.delivery().id, again=True)
    thin.work()

    assert [call["email"] for call in thin.vendor.asked] == ["ada@example.com"] * 2
    assert len(helpdesk.asked) == asked


# --- what may happen meanwhile ----------------------------------------------------------------------------------------


class Hand:
    """Does errands step by step."""

    def __init__(self, acme, outbound):
        self.acme = acme
        parts = acme.parts
        self.errands = Errands(outbound, parts.vault, parts.mint, monotonic=time.monotonic, chance=lambda: 0.0)

    def claim(self, *finished, free=8):
        with self.acme.parts.database.write() as db:
            return list(self.errands.claim_and_settle(db, finished, free=free).tasks)


@pytest.fixture
def hand(thin) -> Iterator[Hand]:
    with thin.parts.outbound() as outbound:
        yield Hand(thin, outbound)


def test_what_a_silent_worker_was_at_is_asked_again_and_planned_once(hand, thin):
    send(thin)
    [silent] = hand.claim()
    late = hand.errands.make(silent)
    thin.clock.advance(seconds=46)

    thin.work()
    hand.claim(late, free=0)
    thin.work()

    assert len(thin.deliveries()) == 1


def test_a_person_who_was_forgotten_meanwhile_is_not_completed(hand, thin):
    acceptance = send(thin, status="mona@example.com")
    [task] = hand.claim()
    finished = hand.errands.make(task)

    forget_person(thin.parts.database, thin.parts.mint, thin.tenant.id, "mona@example.com", lambda *_: None)
    hand.claim(finished, free=0)
    thin.work()

    record = only_event(thin, acceptance)
    assert (record.event.values, record.event.planned) == ({}, True)
    assert [one.detail for one in record.verdicts] == ["It has been removed meanwhile."]
    assert thin.deliveries() == []
    assert open_errands(thin) == []


def test_what_an_event_of_a_database_put_back_from_a_backup_asks_for_is_held(thin):
    send(thin)
    with thin.parts.database.write() as db:
        hold_unplanned(db, thin.tenant.id)

    thin.work()

    assert (thin.delivery().state, thin.delivery().reason) == ("uncertain", "restored")
    assert thin.vendor.received == []


def test_an_event_whose_source_was_removed_waits_no_longer(thin, helpdesk):
    acceptance = send(thin)
    thin.apply(ACME)

    thin.work()

    assert helpdesk.asked == []
    assert only_event(thin, acceptance).event.planned is True


def test_a_source_that_hangs_keeps_no_delivery_and_no_sender_waiting(thin, helpdesk):
    release = threading.Event()
    well = helpdesk.answer

    def answer(asked):
        release.wait(20)
        return well(asked)

    helpdesk.answer = answer
    accepted = [send(thin, str(number), event=f"e{number}") for number in range(5)]
    worker = threading.Thread(target=thin.work)
    worker.start()
    deadline = time.monotonic() + 10
    thin.close("99")
    while "accepted" not in [delivery.state for delivery in thin.deliveries()]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert len(helpdesk.asked) <= errands.AT_ONCE
    release.set()
    worker.join(30)

    assert all(event.pending for acceptance in accepted for event in acceptance.events)
    assert len(thin.deliveries()) == 6


def test_credentials_go_nowhere_but_to_their_own_place(thin, helpdesk, monkeypatch):
    module = registry.lookup_module("thinsource")
    monkeypatch.setattr(module, "lookup_origins", lambda credentials: ["https://elsewhere.example.com"])
    with thin.parts.outbound() as outbound:
        outbound._extra_origins = frozenset()
        send(thin)
        hand = Hand(thin, outbound)
        [task] = hand.claim()
        hand.claim(hand.errands.make(task), free=0)

    assert helpdesk.asked == []
    assert open_errands(thin) == []
