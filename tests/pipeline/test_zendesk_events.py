"""Zendesk's own events and messaging, from the request to the invitation: thin events, episodes, other accounts."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from plugin.registry import InboundRequest, read_recording
from tests.acme import ACME, sign_zendesk, verdicts
from tests.answering import Answer, Answering

RECORDINGS = Path(__file__).parents[1] / "fixtures" / "triggers" / "zendesk"
SHARED_SECRET = "8564b3e6a8b20a4bdb68b05ce9bc5936"

WITHOUT_API = ACME.replace("kind: zendesk,", 'kind: zendesk, settings: {account: "9001"},')
WITH_API = WITHOUT_API.replace(
    "{signing_secret: zendesk-secret}",
    '{signing_secret: zendesk-secret, api_origin: "$helpdesk", api_email: a@acme.example, api_token: token-canary}',
)
MESSAGING = ACME.replace(
    "credentials: {signing_secret: zendesk-secret}",
    "settings: {account: 5698edbf2a43bd081be982f1}, "
    f'credentials: {{conversations_secret: {SHARED_SECRET}, api_origin: "$helpdesk", conversations_key_id: app_1, '
    "conversations_key_secret: key-canary}",
)
USER = {"id": 8447388090494, "name": "Łucja Nowak", "email": "lucja.nowak@example.com", "locale": "cs", "active": True}
ANSWERS = {
    "/api/v2/users/8447388090494.json": {"user": {**USER, "role": "end-user", "suspended": False}},
    "/sc/v2/apps/5698edbf2a43bd081be982f1/conversations/13f32c6cf7d0d38e6e0eba93/participants": {
        "participants": [{"id": "p1", "userId": "cbec0073faeda4dfcd21d0f1"}]
    },
    "/sc/v2/apps/5698edbf2a43bd081be982f1/users/cbec0073faeda4dfcd21d0f1": {
        "user": {"id": "cbec0073faeda4dfcd21d0f1", "profile": {"email": "lucja.nowak@example.com", "locale": "cs"}}
    },
}


@pytest.fixture
def helpdesk() -> Iterator[Answering]:
    with Answering() as running:
        running.answer = lambda asked: Answer(200 if asked.path in ANSWERS else 404, ANSWERS.get(asked.path, {}))
        yield running


@pytest.fixture
def config(config, helpdesk):
    return replace(config, extra_vendor_origins=(*config.extra_vendor_origins, helpdesk.origin))


def send(acme, recording, **changes):
    """A recorded event, with other values in its `detail`, as Zendesk sends it now."""
    body = read_recording((RECORDINGS / f"{recording}.json").read_bytes()).body
    if changes:
        document = json.loads(body)
        document["detail"].update(changes)
        body = json.dumps({**document, "id": f"event-{changes}"}).encode()
    return accept(acme, body, sign_zendesk(body, acme.clock()))


def accept(acme, body, headers):
    return acme.parts.acceptor.accept(acme.source(), InboundRequest("POST", "", headers, body))


def planned(acme, acceptance):
    """What the rules have decided about the only event of a message, and its notes."""
    acme.work()
    [record] = acme.receipt(acceptance).events
    return [(one.decision, one.cause) for one in record.verdicts], record.event.notes


def test_the_requester_of_a_solved_ticket_is_looked_up_and_invited_in_their_language(acme, helpdesk):
    acme.apply(WITH_API.replace("$helpdesk", helpdesk.origin))

    told, _ = planned(acme, send(acme, "event_solved"))

    assert told == [("ask", "matched")]
    [asked] = helpdesk.asked
    assert asked.headers["authorization"] == f"Basic {b64encode(b'a@acme.example/token:token-canary').decode()}"
    [sent] = acme.vendor.asked
    assert (sent["email"], sent["language"], sent["custom1"]) == ("lucja.nowak@example.com", "cs", "35436")


def test_the_closing_by_zendesk_itself_is_the_same_closing_and_asks_zendesk_nothing(acme, helpdesk):
    acme.apply(WITH_API.replace("$helpdesk", helpdesk.origin))
    planned(acme, send(acme, "event_solved"))

    told, _ = planned(acme, send(acme, "event_closed_by_itself_after_solved"))

    assert told == [("no", "same_episode")]
    assert len(helpdesk.asked) == 1
    assert len(acme.vendor.asked) == 1


def test_a_closing_that_overtakes_the_look_up_of_its_solving_invites_nobody_twice(acme, helpdesk):
    acme.apply(WITH_API.replace("$helpdesk", helpdesk.origin))
    solved = send(acme, "event_solved")

    assert verdicts(send(acme, "event_closed_by_itself_after_solved")) == [("problem", "missing")]

    assert planned(acme, solved)[0] == [("ask", "matched")]
    assert len(acme.vendor.asked) == 1


def test_a_ticket_that_was_opened_again_and_solved_again_is_a_second_closing(acme, helpdesk):
    acme.apply(WITH_API.replace("$helpdesk", helpdesk.origin))
    planned(acme, send(acme, "event_solved"))
    assert verdicts(send(acme, "event_reopened")) == [("no", "other_event")]

    assert planned(acme, send(acme, "event_solved", updated_at="2026-01-04T09:00:00Z"))[0] == [("ask", "matched")]
    assert len(acme.vendor.asked) == 2


def test_an_agent_who_wrote_the_ticket_is_not_asked(acme, helpdesk, monkeypatch):
    acme.apply(WITH_API.replace("$helpdesk", helpdesk.origin))
    agent = {"user": {**USER, "role": "agent", "email": "agent@acme.example"}}
    monkeypatch.setitem(ANSWERS, "/api/v2/users/8447388090494.json", agent)

    told, notes = planned(acme, send(acme, "event_solved"))

    assert told == [("no", "other_event")]
    assert any("works in this Zendesk" in note for note in notes)
    assert acme.vendor.asked == []


def test_without_api_credentials_the_rules_decide_at_once_about_what_is_there(acme):
    acme.apply(WITHOUT_API)
    accepted = send(acme, "event_solved")

    assert verdicts(accepted) == [("problem", "missing")]
    assert any("api_origin, api_email and api_token" in note for note in planned(acme, accepted)[1])


def test_a_user_that_zendesk_does_not_know_is_told_and_the_rules_decide_without(acme, helpdesk):
    acme.apply(WITH_API.replace("$helpdesk", helpdesk.origin))

    told, notes = planned(acme, send(acme, "event_solved", requester_id="1"))

    assert told == [("problem", "missing")]
    assert any("HTTP 404" in note for note in notes)


@pytest.mark.parametrize(
    "recording", ["event_closed_by_merge", "event_restored_as_solved", "event_archived", "event_marked_as_spam"]
)
def test_what_only_looks_like_a_closing_asks_nobody(acme, helpdesk, recording):
    acme.apply(WITH_API.replace("$helpdesk", helpdesk.origin))
    assert planned(acme, send(acme, recording))[0] == [("no", "other_event")]
    assert helpdesk.asked == []


def test_what_is_about_another_account_is_dropped(acme):
    acme.apply(WITHOUT_API)
    assert send(acme, "event_solved_of_another_account").events == ()


def test_a_conversation_whose_ticket_is_closed_invites_the_one_who_took_part(acme, helpdesk):
    acme.apply(MESSAGING.replace("$helpdesk", helpdesk.origin))
    body = read_recording((RECORDINGS / "conversations_ticket_closed.json").read_bytes()).body

    accepted = accept(acme, body, {"x-api-key": SHARED_SECRET})

    assert planned(acme, accepted)[0] == [("ask", "matched")]
    assert [sent["email"] for sent in acme.vendor.asked] == ["lucja.nowak@example.com"]
    assert accept(acme, body, {"x-api-key": SHARED_SECRET}).as_json()["events"][0]["duplicate"] is True


def test_what_is_about_another_app_is_dropped(acme, helpdesk):
    acme.apply(MESSAGING.replace("$helpdesk", helpdesk.origin))
    body = read_recording((RECORDINGS / "conversations_of_another_app.json").read_bytes()).body
    assert accept(acme, body, {"x-api-key": SHARED_SECRET}).events == ()
