from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from sqlalchemy import update

from plugin.domain.identity import Mint
from plugin.errors import NotFound, SignatureInvalid, StoreUnavailable
from plugin.pipeline.accept import Acceptor, UnreadableKept
from plugin.registry import InboundRequest
from plugin.store import intake, tenants
from plugin.store.tables import tenants as tenants_table
from tests.acme import ACME, Acme, closing, sign_zendesk, states, verdicts

TWO_RULES = (
    ACME
    + """
  - name: second
    when: {events: [ticket.closed]}
    connection: lab
    call: add_respondent
    parameters: {cId: "838", email: "{{ person.email }}"}
"""
)
NOTHING_NEW = {"triggers", "events", "event_keys", "episodes", "verdicts", "deliveries", "delivery_calls"}


def kept(acme: Acme) -> dict[str, int]:
    return {name: number for name, number in acme.counts().items() if name in NOTHING_NEW}


# --- one message ------------------------------------------------------------------------------------------------------


def test_an_event_gives_receipt_verdict_and_delivery(acme):
    acceptance = acme.close("35436")

    receipt = acme.receipt(acceptance)
    [record] = receipt.events
    assert (record.event.kind, record.event.subject, record.event.episode_number) == (
        "ticket.closed",
        "ticket:35436",
        1,
    )
    assert verdicts(acceptance) == [("ask", "matched")]
    [delivery] = record.deliveries
    assert delivery.id == acceptance.events[0].verdicts[0]["delivery"]
    assert (delivery.state, delivery.due, delivery.connection) == ("scheduled", acme.clock(), "lab")
    assert delivery.parameters["custom1"] == "35436"
    assert receipt.body is not None
    assert json.loads(receipt.body.body)["ticket"]["id"] == "35436"


def test_the_answer_names_receipt_event_and_verdicts(acme):
    answer = acme.close().as_json()

    [event] = answer["events"]
    assert answer.keys() == {"receipt", "events"}
    assert event.keys() == {"id", "kind", "duplicate", "verdicts"}
    assert event["verdicts"][0] == {
        "rule": "csat",
        "verdict": "ask",
        "cause": "matched",
        "delivery": acme.delivery().id,
    }


def test_the_overview_learns_when_a_source_was_called(acme):
    acme.close()

    assert (acme.source().last_request_at, acme.source().last_answer) == (acme.clock(), 202)


@pytest.mark.parametrize("failing_call", range(2, 9))
def test_nothing_is_stored_when_anything_fails_on_the_way(acme, failing_call):
    """The mint is asked for an id at each step; here it gives out at one of them."""
    calls = iter(range(1, 100))

    def entropy(size: int) -> bytes:
        if next(calls) == failing_call:
            raise RuntimeError("the dice are gone")
        return b"x" * size

    parts = acme.parts
    broken = Acceptor(parts.database, parts.vault, Mint(acme.clock, entropy))
    body = json.dumps([closing("1"), closing("2")]).encode()
    request = InboundRequest("POST", "", sign_zendesk(body, acme.clock()), body)
    before = acme.counts()

    with pytest.raises(Exception):  # noqa: B017, PT011  # the dice's own, or the database's for an id given twice
        broken.accept(acme.source(), request)

    assert acme.counts() == before


def test_an_event_that_closes_without_a_subject_is_asked_about(acme):
    message = {"event": {"kind": "ticket.closed"}, "ticket": {"requester": {"email": "ada@example.com"}}}

    first = acme.send(message)
    acme.clock.advance(hours=25)
    second = acme.send(message)

    assert verdicts(first) == verdicts(second) == [("ask", "matched")]
    assert len({delivery.reference for delivery in acme.deliveries()}) == 2
    assert acme.counts()["episodes"] == 0


def test_a_handshake_stores_nothing(acme):
    before = acme.counts()

    acceptance = acme.send(b"")

    assert acceptance.as_json() == {"receipt": None, "events": []}
    assert acme.counts() == before


def test_an_unreadable_message_keeps_a_receipt_with_its_cause(acme):
    with pytest.raises(UnreadableKept) as caught:
        acme.send(b'{"ticket": ')

    receipt = acme.receipt(caught.value.receipt)
    assert (receipt.cause, receipt.cause_detail) == ("unreadable", str(caught.value))
    assert receipt.body.body == b'{"ticket": '
    assert (receipt.events, acme.source().last_answer) == ([], 400)


def test_an_unreadable_message_may_be_sent_again(acme):
    for _ in range(2):
        with pytest.raises(UnreadableKept):
            acme.send(b"{")

    assert acme.counts()["triggers"] == 2


def test_an_unproven_message_stores_nothing(acme):
    body = b"{}"
    request = InboundRequest("POST", "", sign_zendesk(body, acme.clock(), secret="guess"), body)
    before = acme.counts()

    with pytest.raises(SignatureInvalid):
        acme.parts.acceptor.accept(acme.source(), request)

    assert acme.counts() == before


def test_a_recorded_message_needs_no_proof(acme):
    request = InboundRequest("POST", "", {}, json.dumps(closing("35")).encode())

    acceptance = acme.parts.acceptor.accept(acme.source(), request, verified=True)

    assert verdicts(acceptance) == [("ask", "matched")]


def test_a_dry_run_says_what_would_be_decided_and_stores_nothing(acme):
    request = InboundRequest("POST", "", {}, json.dumps(closing("35")).encode())
    before = acme.counts()

    [draft] = acme.parts.acceptor.dry_run(acme.source(), request)

    assert draft.planned[0].call.parameters["email"] == "ada@example.com"
    assert acme.counts() == before


def test_a_dry_run_tells_a_message_that_has_come_before(acme):
    first = acme.send(closing("35"), webhook_id="one")
    request = InboundRequest("POST", "", {"webhook-id": "one"}, json.dumps(closing("35")).encode())

    [draft] = acme.parts.acceptor.dry_run(acme.source(), request)

    assert (draft.before.trigger_id, draft.planned) == (first.receipt, ())


def test_a_removed_tenant_takes_nothing_more(acme):
    source = acme.source()
    with acme.parts.database.write() as db:
        tenants.remove_tenant(db, acme.tenant.id)
    body = json.dumps(closing("35")).encode()

    with pytest.raises(NotFound):
        acme.parts.acceptor.accept(source, InboundRequest("POST", "", sign_zendesk(body, acme.clock()), body))


# --- what is kept of a request ----------------------------------------------------------------------------------------


def test_no_secret_is_kept_among_the_headers(acme):
    acceptance = acme.send(
        closing("35"),
        source="any",
        cookie="session=geheim",
        x_api_key="geheim",
        x_note="Bearer bearer-secret",
        x_original_uri="/triggers/0123456789abcdef0123456789abcdef",
        user_agent="helpdesk/1",
        idempotency_key="event-1",
    )

    headers = acme.receipt(acceptance).body.headers
    assert headers["user-agent"] == "helpdesk/1"
    assert headers["idempotency-key"] == "event-1"
    for secret in ("geheim", "bearer-secret", "0123456789abcdef"):
        assert secret not in str(headers)
    assert "authorization" not in headers


def test_a_signature_is_not_kept(acme):
    headers = acme.receipt(acme.close()).body.headers

    assert not [name for name in headers if "signature" in name]
    assert headers["x-zendesk-webhook-invocation-id"] == "invocation-1"


# --- repeats ----------------------------------------------------------------------------------------------------------


def test_the_same_event_id_is_answered_with_the_first_receipt(acme):
    first = acme.send(closing("35"), x_zendesk_webhook_invocation_id="one")
    acme.clock.advance(seconds=9)

    again = acme.send(closing("35"), x_zendesk_webhook_invocation_id="one")

    assert again.receipt == first.receipt
    assert [event.duplicate for event in again.events] == [True]
    assert verdicts(again) == verdicts(first)
    assert acme.receipt(first).duplicates == 1
    assert len(acme.deliveries()) == 1


def test_the_same_signature_with_another_event_id_is_a_repeat(acme):
    first = acme.send(closing("35"), x_zendesk_webhook_invocation_id="one")

    again = acme.send(closing("35"), x_zendesk_webhook_invocation_id="two")

    assert (again.receipt, again.events[0].duplicate) == (first.receipt, True)
    assert len(acme.deliveries()) == 1


def test_the_same_event_id_from_another_source_is_another_event(acme):
    acme.send(closing("35"), webhook_id="one")

    other = acme.send(closing("35"), source="any", webhook_id="one")

    assert other.events[0].duplicate is False
    assert len(acme.deliveries()) == 2


def test_an_event_id_is_remembered_for_more_than_a_month(acme):
    acme.send(closing("35"), source="any", webhook_id="one")
    acme.clock.advance(days=34)

    assert acme.send(closing("35"), source="any", webhook_id="one").events[0].duplicate is True


def test_a_message_without_an_id_is_remembered_for_a_day(acme):
    message = {"event": "ticket.closed", "ticket": {"requester": {"email": "ada@example.com"}}}
    acme.send(message, source="any")
    acme.clock.advance(hours=23, minutes=59)
    assert acme.send(message, source="any").events[0].duplicate is True

    acme.clock.advance(minutes=1)
    fresh = acme.send(message, source="any")

    assert fresh.events[0].duplicate is False
    assert len(acme.deliveries()) == 2
    assert acme.send(message, source="any").receipt == fresh.receipt


def until_taken(acme, source, headers, body) -> str:
    """Send a message as a helpdesk does, which comes again while the store is too busy; gives its receipt."""
    while True:
        try:
            return acme.parts.acceptor.accept(source, InboundRequest("POST", "", headers, body)).receipt or ""
        except StoreUnavailable:
            continue


def test_fifty_senders_at_once_make_one_delivery(acme):
    body = json.dumps(closing("35")).encode()
    source = acme.source()
    gate = threading.Barrier(50)

    def send(number: int) -> str:
        headers = sign_zendesk(body, acme.clock()) | {"x-zendesk-webhook-invocation-id": f"one-{number % 5}"}
        gate.wait()
        return until_taken(acme, source, headers, body)

    with ThreadPoolExecutor(50) as senders:
        given = list(senders.map(send, range(50)))

    assert len(set(given)) == 1
    assert acme.delivery().state == "scheduled"
    assert kept(acme)["triggers"] == kept(acme)["events"] == 1


def test_closings_of_one_ticket_at_the_same_time_are_numbered_one_by_one(acme):
    source = acme.source("any")
    gate = threading.Barrier(12)

    def send(number: int) -> str:
        body = json.dumps(closing("35", closed_at=f"2026-11-03T10:00:{number:02}Z")).encode()
        headers = {"authorization": "Bearer bearer-secret", "webhook-id": str(number)}
        gate.wait()
        return until_taken(acme, source, headers, body)

    with ThreadPoolExecutor(12) as senders:
        given = list(senders.map(send, range(12)))

    assert sorted(acme.receipt(one).events[0].event.episode_number for one in given) == list(range(1, 13))
    assert len({delivery.reference for delivery in acme.deliveries()}) == 12


# --- several events in one message ------------------------------------------------------------------------------------


def test_old_and_new_events_in_one_message_are_told_apart(acme):
    old = {"event": {"id": "a"}, **closing("1", closed_at="2026-11-01T10:00:00Z")}
    new = {"event": {"id": "b"}, **closing("2", closed_at="2026-11-01T11:00:00Z")}
    first = acme.send([old], source="any")

    both = acme.send([old, new], source="any")

    assert both.receipt != first.receipt
    assert [event.duplicate for event in both.events] == [True, False]
    assert both.events[0].id == first.events[0].id
    assert len(acme.deliveries()) == 2


def test_a_repeat_does_not_hide_a_new_closing_of_the_same_ticket(acme):
    old = {"event": {"id": "a"}, **closing("1")}
    new = {"event": {"id": "b"}, **closing("1")}
    acme.send([old], source="any")

    both = acme.send([old, new], source="any")

    assert [event.duplicate for event in both.events] == [True, False]
    assert acme.receipt(both).events[0].event.episode_number == 2


def test_an_event_that_stands_twice_in_one_message_counts_once(acme):
    one, another = {"event": {"id": "a"}, **closing("1")}, {"event": {"id": "b"}, **closing("1")}

    acceptance = acme.send([one, one, another], source="any")

    assert [event.duplicate for event in acceptance.events] == [False, True, False]
    assert acceptance.events[0].id == acceptance.events[1].id
    assert len(acme.deliveries()) == 2


def test_a_whole_list_sent_again_is_answered_with_the_first_receipt(acme):
    messages = [closing("1"), closing("2")]
    first = acme.send(messages, source="any", webhook_id="one")

    again = acme.send(messages, source="any", webhook_id="one")

    assert again.receipt == first.receipt
    assert [event.duplicate for event in again.events] == [True, True]


# --- episodes ---------------------------------------------------------------------------------------------------------


def test_two_closings_of_one_ticket_are_two_episodes_with_two_references(acme):
    first, second = acme.close("35"), acme.close("35")

    numbers = [acme.receipt(one).events[0].event.episode_number for one in (first, second)]
    assert numbers == [1, 2]
    assert len({delivery.parameters["crk"] for delivery in acme.deliveries()}) == 2


def test_the_same_closing_mark_is_the_same_episode(acme):
    acme.close("35", updated_at="2026-11-03T11:00:00Z")

    repeat = acme.close("35", updated_at="2026-11-03T11:00:00Z")

    assert verdicts(repeat) == [("no", "same_episode")]
    assert acme.receipt(repeat).events[0].event.episode_number == 1
    assert len(acme.deliveries()) == 1


def test_the_late_repeat_of_an_older_closing_is_that_closing(acme):
    acme.close("35", updated_at="2026-11-03T11:00:00Z")
    acme.close("35", updated_at="2026-11-03T12:00:00Z")

    late = acme.close("35", updated_at="2026-11-03T11:00:00Z")

    assert verdicts(late) == [("no", "same_episode")]
    assert acme.receipt(late).events[0].event.episode_number == 1
    assert len(acme.deliveries()) == 2


def test_closed_after_solved_is_the_same_episode(acme):
    acme.close("35", status="solved")

    closed = acme.close("35", status="closed")

    assert verdicts(closed) == [("no", "same_episode")]
    assert len(acme.deliveries()) == 1


def test_closed_after_solved_with_a_reopening_between_is_a_new_episode(acme):
    acme.close("35", status="solved")
    reopened = acme.send({"event": {"kind": "ticket.reopened"}, "ticket": {"id": "35"}})

    closed = acme.close("35", status="closed")

    assert verdicts(reopened) == [("no", "other_event")]
    assert verdicts(closed) == [("ask", "matched")]
    assert acme.receipt(closed).events[0].event.episode_number == 2


def test_solved_twice_is_two_episodes(acme):
    acme.close("35", status="solved")

    assert verdicts(acme.close("35", status="solved")) == [("ask", "matched")]


@pytest.mark.parametrize(
    ("marks", "numbers"),
    [
        (["10", "11"], [1, 2]),
        (["10", "10"], [1, 1]),
        (["10", "11", "10"], [1, 2, 1]),
        (["10", "11", "10", "12"], [1, 2, 1, 3]),
    ],
)
def test_closings_of_one_ticket_within_one_message(acme, marks, numbers):
    messages = [
        {"event": {"id": f"id-{position}"}, **closing("35", closed_at=f"2026-11-03T{hour}:00:00Z")}
        for position, hour in enumerate(marks)
    ]

    acceptance = acme.send(messages, source="any")

    found = [record.event.episode_number for record in acme.receipt(acceptance).events]
    assert found == numbers
    assert len(acme.deliveries()) == max(numbers)


def test_a_message_may_close_reopen_and_close(acme):
    acceptance = acme.send(
        [
            {"event": {"id": "1", "kind": "ticket.closed"}, **closing("35", status="solved")},
            {"event": {"id": "2", "kind": "ticket.closed"}, **closing("35", status="closed")},
            {"event": {"id": "3", "kind": "ticket.reopened"}, "ticket": {"id": "35"}},
            {"event": {"id": "4", "kind": "ticket.closed"}, **closing("35", status="closed")},
            {"event": {"id": "5", "kind": "ticket.closed"}, **closing("35", status="closed")},
        ],
        source="any",
    )

    found = [record.event.episode_number for record in acme.receipt(acceptance).events]
    assert found == [1, 1, 1, 2, 3]


def test_a_message_may_tell_twice_that_a_solved_ticket_was_closed(acme):
    acceptance = acme.send(
        [
            {"event": {"id": "1"}, **closing("35", status="solved")},
            {"event": {"id": "2"}, **closing("35", status="closed")},
            {"event": {"id": "3"}, **closing("35", status="closed")},
        ],
        source="any",
    )

    assert [record.event.episode_number for record in acme.receipt(acceptance).events] == [1, 1, 2]


def test_two_rules_on_one_closing_have_two_references(acme):
    acme.apply(TWO_RULES)

    acme.close()

    first, second = acme.deliveries()
    assert {first.rule, second.rule} == {"csat", "second"}
    assert first.parameters["crk"] != second.parameters["crk"]
    assert first.parameters["crk"] == first.reference


# --- state test -------------------------------------------------------------------------------------------------------

IN_TEST = ACME.replace("kind: zendesk,", "kind: zendesk, state: test,")
PUBLIC_SECRET = "dGhpc19zZWNyZXRfaXNfZm9yX3Rlc3Rpbmdfb25seQ=="


def test_state_test_shows_what_would_be_sent_and_sends_nothing(acme):
    acme.apply(IN_TEST)

    acceptance = acme.close("35")

    assert verdicts(acceptance) == [("no", "test_state")]
    [verdict] = acme.receipt(acceptance).events[0].verdicts
    assert (verdict.preview["vendor"], verdict.preview["call"]) == ("surveylab", "add_respondent")
    assert verdict.preview["parameters"]["custom1"] == "35"
    assert acme.deliveries() == []


def test_state_test_leaves_no_trace_that_a_live_closing_could_meet(acme):
    acme.apply(IN_TEST)
    acme.send(closing("35", updated_at="2026-11-03T11:00:00Z"), webhook_id="one")
    assert acme.counts()["episodes"] == 0
    acme.apply(ACME)

    live = acme.send(closing("35", updated_at="2026-11-03T11:00:00Z"), webhook_id="one")

    assert verdicts(live) == [("ask", "matched")]
    assert acme.receipt(live).events[0].event.episode_number == 1


@pytest.mark.parametrize(("text", "taken"), [(IN_TEST, True), (ACME, False)])
def test_zendesks_public_test_secret_counts_in_state_test_only(acme, text, taken):
    acme.apply(text)
    body = json.dumps(closing("35")).encode()
    request = InboundRequest("POST", "", sign_zendesk(body, acme.clock(), PUBLIC_SECRET), body)

    if taken:
        assert verdicts(acme.parts.acceptor.accept(acme.source(), request)) == [("no", "test_state")]
    else:
        with pytest.raises(SignatureInvalid):
            acme.parts.acceptor.accept(acme.source(), request)


# --- what changes between planning and writing ------------------------------------------------------------------------


class Interrupting:
    """A database in which something else happens before each of the first writes."""

    def __init__(self, database, happening, times):
        self._database = database
        self._happening = happening
        self.left = times

    def read(self):
        return self._database.read()

    def write(self):
        if self.left:
            self.left -= 1
            self._happening()
        return self._database.write()


def accept_while(acme: Acme, happening, *, times: int, message=None):
    database = Interrupting(acme.parts.database, happening, times)
    acceptor = Acceptor(database, acme.parts.vault, acme.parts.mint)
    body = json.dumps(message or closing("35", updated_at="2026-11-03T11:00:00Z")).encode()
    return acceptor.accept(acme.source(), InboundRequest("POST", "", sign_zendesk(body, acme.clock()), body))


def test_a_change_of_the_configuration_meanwhile_has_the_event_planned_anew(acme):
    def change() -> None:
        acme.apply(ACME.replace('cId: "837"', 'cId: "999"'))

    acceptance = accept_while(acme, change, times=1)

    assert verdicts(acceptance) == [("ask", "matched")]
    assert acme.delivery().parameters["cId"] == "999"


def test_a_closing_that_came_first_meanwhile_has_the_event_planned_anew(acme):
    acceptance = accept_while(acme, lambda: acme.close("35", updated_at="2026-11-03T11:00:00Z"), times=1)

    assert verdicts(acceptance) == [("no", "same_episode")]
    assert len(acme.deliveries()) == 1


def test_the_same_event_meanwhile_is_answered_with_its_receipt(acme):
    # Not a closing, which its episode would give away too.
    message = {"event": {"id": "one", "kind": "ticket.reopened"}, "ticket": {"id": "35"}}
    first = []

    acceptance = accept_while(
        acme,
        lambda: first.append(acme.send(message, x_zendesk_webhook_invocation_id="one")),
        times=1,
        message=[message],
    )

    assert (acceptance.receipt, acceptance.events[0].duplicate) == (first[0].receipt, True)
    assert kept(acme)["events"] == 1


def test_another_closing_meanwhile_has_the_event_planned_under_the_next_number(acme):
    acceptance = accept_while(acme, lambda: acme.close("35"), times=1)

    assert acme.receipt(acceptance).events[0].event.episode_number == 2
    assert len(acme.deliveries()) == 2


def test_a_configuration_that_never_stands_still_is_told_as_unavailable(acme):
    def change() -> None:
        with acme.parts.database.write() as db:
            db.execute(update(tenants_table).values(version=tenants_table.c.version + 1))

    with pytest.raises(StoreUnavailable, match="kept changing"):
        accept_while(acme, change, times=4)

    assert kept(acme)["triggers"] == 0


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_a_refusal_is_noted_once_in_ten_seconds(acme):
    acme.parts.acceptor.note_refusal(acme.source(), 401)
    noted_at = acme.clock()
    acme.clock.advance(seconds=9)
    acme.parts.acceptor.note_refusal(acme.source(), 401)
    assert (acme.source().last_request_at, acme.source().last_answer) == (noted_at, 401)

    acme.clock.advance(seconds=1)
    acme.parts.acceptor.note_refusal(acme.source(), 401)

    assert acme.source().last_request_at == acme.clock()


def test_the_key_finds_its_source_and_no_other_does(acme):
    acme.apply(ACME.replace("kind: zendesk,", "kind: zendesk, key: 0123456789abcdef,"))

    found = acme.parts.acceptor.source_for("0123456789abcdef")

    assert found == acme.source()
    assert acme.parts.acceptor.source_for("0123456789abcdeX") is None


def test_a_scheduled_delivery_is_worth_sending_for_three_days(acme):
    acme.close()

    delivery = acme.delivery()
    assert (delivery.expires_at - delivery.created_at).total_seconds() == 72 * 3600
    assert states([delivery]) == ["scheduled"]


# --- callers at the same moment, and what they bring ------------------------------------------------------------------


def test_messages_of_many_threads_are_each_stored_once_and_answered_for_themselves(acme):
    messages = [closing(str(number % 20), updated_at=f"2026-11-03T11:00:{number % 20:02}Z") for number in range(60)]

    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(acme.send, messages))

    assert len({answer.receipt for answer in answers}) == 20
    assert sum(not answer.events[0].duplicate for answer in answers) == 20
    assert acme.counts()["deliveries"] == acme.counts()["episodes"] == 20


def test_one_message_that_many_threads_bring_at_once_is_stored_once(acme):
    message = closing("35", updated_at="2026-11-03T11:00:00Z")

    def send(_number):
        for _ in range(20):
            # On a machine that is busy with other things some are told to come again, and they do.
            with suppress(StoreUnavailable):
                return acme.send(message)
        raise AssertionError("it was never taken")

    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(send, range(60)))

    assert len({answer.receipt for answer in answers}) == 1
    assert acme.counts()["triggers"] == 1


def test_one_message_that_cannot_be_stored_keeps_none_of_the_others_from_it(acme, monkeypatch):
    def refuse(db, new):
        if any(event.subject == "ticket:13" for _, event in new):
            raise RuntimeError("nobody can store this")
        add_events(db, new)

    add_events = intake.add_events
    monkeypatch.setattr(intake, "add_events", refuse)

    def send(number):
        try:
            return acme.send(closing(str(number)))
        except RuntimeError:
            return None

    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(send, range(30)))

    assert [number for number, answer in enumerate(answers) if answer is None] == [13]
    assert kept(acme)["events"] == 29


@pytest.mark.parametrize("text", ["x" * 5000, "a\x00b", "\ud800", " ", "'; DROP TABLE events"])
@pytest.mark.parametrize("place", [("ticket", "id"), ("ticket", "status"), ("ticket", "updated_at"), ("event", "id")])
def test_whatever_stands_in_a_field_both_engines_store_the_message(acme, text, place):
    message = {"event": {"kind": "ticket.closed", "id": "one"}, **closing("35")}
    family, name = place
    message[family] = {**message[family], name: text}

    assert acme.send(message, source="any").receipt is not None
