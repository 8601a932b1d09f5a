"""What becomes of recorded messages in a row: who is asked, once for each closing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from plugin.triggers.base.recording import read_recording
from tests.acme import Acme, verdicts

RECORDINGS = Path(__file__).parents[1] / "fixtures/triggers"
TENANT = """
tenant: acme
name: Acme
timezone: Europe/Warsaw
language: cs
sources:
  - name: chatwoot
    kind: chatwoot
    credentials: {url_only: true}
    settings: {account: "3", base_url: "https://chat.example.com"}
  - {name: zammad, kind: zammad, language: pl, credentials: {bearer: bearer-secret}}
connections:
  - {name: lab, vendor: surveylab, settings: {origin: "$sandbox", api_token: lab-token}}
rules:
  - name: csat
    when: {events: [ticket.closed, chat.ended]}
    connection: lab
    call: add_respondent
    parameters: {cId: "837", email: "{{ person.email }}", language: "{{ person.language }}"}
"""
ASKED, REPEATED, OTHER = [("ask", "matched")], [("no", "same_episode")], [("no", "other_event")]


def send(acme: Acme, source: str, recording: str, **headers: str):
    request = read_recording((RECORDINGS / source / f"{recording}.json").read_bytes())
    request = replace(request, headers={**request.headers, "authorization": "Bearer bearer-secret", **headers})
    return acme.parts.acceptor.accept(acme.source(source), request)


@pytest.fixture
def desks(acme: Acme) -> Acme:
    acme.apply(TENANT)
    return acme


@pytest.mark.parametrize(
    ("source", "steps"),
    [
        (
            "chatwoot",
            [
                ("conversation_pending", OTHER),
                ("conversation_resolved", ASKED),
                ("automation_event_conversation_resolved", REPEATED),
                ("conversation_updated_resolved_lookalike", OTHER),
                ("conversation_reopened", OTHER),
                ("conversation_resolved_again", ASKED),
            ],
        ),
        (
            "zammad",
            [
                ("ticket_pending_close", OTHER),
                ("ticket_closed", ASKED),
                ("ticket_closed_new_article", REPEATED),
                ("ticket_reopened", OTHER),
                ("ticket_closed_again", ASKED),
                ("ticket_merged", OTHER),
            ],
        ),
    ],
)
def test_each_closing_is_asked_about_once(desks, source, steps):
    assert [(name, verdicts(send(desks, source, name))) for name, _ in steps] == steps
    desks.work()
    assert [sent["email"] for sent in desks.vendor.asked] == ["lucja.nowak@example.com"] * 2
    assert {sent["language"] for sent in desks.vendor.asked} == {"pl"}


@pytest.mark.parametrize(("source", "recording"), [("chatwoot", "conversation_resolved"), ("zammad", "ticket_closed")])
def test_the_same_message_again_is_answered_with_the_first_receipt(desks, source, recording):
    first = send(desks, source, recording)
    again = send(desks, source, recording)
    assert [event.duplicate for event in (*first.events, *again.events)] == [False, True]
    assert again.receipt == first.receipt
    assert len(desks.deliveries()) == 1


def test_chatwoots_deliveries_of_one_change_are_one_event(desks):
    send(desks, "chatwoot", "conversation_resolved")
    other = send(desks, "chatwoot", "conversation_resolved", **{"x-chatwoot-delivery": "of-the-inbox"})
    assert [event.duplicate for event in other.events] == [True]


def test_what_another_account_of_chatwoot_sends_is_dropped(desks):
    assert send(desks, "chatwoot", "conversation_resolved_other_account").events == ()
    assert desks.deliveries() == []


@pytest.mark.parametrize("recording", ["conversation_resolved_by_bot_alone", "conversation_resolved_blocked_contact"])
def test_nobody_is_asked_after_a_bot_or_a_blocked_contact(desks, recording):
    assert verdicts(send(desks, "chatwoot", recording)) == OTHER
    assert desks.deliveries() == []


def test_what_was_put_right_in_a_message_stands_on_its_receipt(desks):
    accepted = send(desks, "zammad", "ticket_closed_own_body_title_with_backslash")
    assert verdicts(accepted) == ASKED
    assert any("not quite JSON" in note for note in desks.receipt(accepted).events[0].event.notes)
