"""HubSpot's thin events on their way to an invitation: its CRM is played by a real HTTP server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from plugin.registry import InboundRequest
from plugin.triggers.base.recording import read_recording
from tests.acme import ACME
from tests.answering import Answer, Answering
from tests.triggers.conftest import RECORDINGS
from tests.triggers.sender_hubspot import CONTACT, SECRET, TICKET, prove

CREDENTIALS = json.dumps({"client_secret": SECRET, "api_token": "pat-eu1-token", "api_origin": "$crm"})
HUBSPOT = ACME.replace(
    "connections:",
    f"  - name: hub\n    kind: hubspot\n    credentials: {CREDENTIALS}\n"
    '    settings: {portal_id: "62515", closed_stages: "4"}\nconnections:',
)


@pytest.fixture
def crm() -> Iterator[Answering]:
    with Answering() as running:
        running.answer = lambda asked: Answer(200, TICKET if "/tickets/" in asked.path else CONTACT)
        yield running


@pytest.fixture
def config(config, crm):
    return replace(config, extra_vendor_origins=(*config.extra_vendor_origins, crm.origin))


@pytest.fixture
def send(acme, crm):
    acme.apply(HUBSPOT.replace("$crm", crm.origin))

    def send(recording: str):
        recorded = read_recording((RECORDINGS / "hubspot" / f"{recording}.json").read_bytes())
        request = InboundRequest(recorded.method, "", {}, recorded.body, url="https://survey.example.com/x")
        return acme.parts.acceptor.accept(acme.source("hub"), prove(request, acme.clock()))

    return send


def notes_of(acme, acceptance):
    return [note for record in acme.receipt(acceptance).events for note in record.event.notes]


def test_the_contact_of_the_ticket_is_asked_in_their_own_language(acme, crm, send):
    acceptance = send("ticket_closed")
    acme.work()

    assert [asked.path for asked in crm.asked] == ["/crm/v3/objects/tickets/35436", "/crm/v3/objects/contacts/3234574"]
    assert {asked.headers["authorization"] for asked in crm.asked} == {"Bearer pat-eu1-token"}
    assert crm.asked[0].query["associations"] == "contacts"
    [asked] = acme.vendor.asked
    assert (asked["email"], asked["custom1"], asked["language"]) == ("lucja.nowak@example.com", "35436", "pl")
    assert not any("api_token" in note for note in notes_of(acme, acceptance))


def test_one_closing_that_two_subscriptions_report_asks_once(acme, send):
    send("ticket_closed")
    acme.work()
    acme.clock.advance(seconds=2)
    second = send("ticket_closed_date_entered")
    acme.work()

    assert len(acme.vendor.asked) == 1
    [record] = acme.receipt(second).events
    assert [(verdict.decision, verdict.cause) for verdict in record.verdicts] == [("no", "same_episode")]


def test_a_retry_is_known_although_its_body_and_its_signature_are_new(acme, crm, send):
    first = send("ticket_closed")
    acme.work()
    acme.clock.advance(hours=20)
    again = send("ticket_closed_retry")
    acme.work()

    assert again.receipt == first.receipt
    assert [event.duplicate for event in again.events] == [True]
    assert len(acme.vendor.asked) == 1
    assert len(crm.asked) == 2


def test_what_an_app_tells_of_other_accounts_is_not_this_tenants(acme, crm, send):
    acceptance = send("ticket_closed_mixed_accounts")
    assert [record.event.subject for record in acme.receipt(acceptance).events] == ["ticket:35436", "ticket:35437"]


def test_a_token_that_is_refused_leaves_the_event_to_the_rules_with_the_reason(acme, crm, send):
    crm.answer = lambda asked: Answer(401, {"status": "error", "category": "INVALID_AUTHENTICATION"})
    acceptance = send("ticket_closed")
    acme.work()

    [record] = acme.receipt(acceptance).events
    assert [(verdict.decision, verdict.cause) for verdict in record.verdicts] == [("problem", "missing")]
    assert any("HTTP 401" in note for note in record.event.notes)
    assert acme.vendor.asked == []


def test_what_a_workflow_says_itself_is_asked_nowhere(acme, crm, send):
    send("workflow_action")
    acme.work()

    assert crm.asked == []
    assert [asked["email"] for asked in acme.vendor.asked] == ["lucja.nowak@example.com"]
