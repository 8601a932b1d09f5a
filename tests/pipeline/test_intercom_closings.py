"""What Intercom tells of one closing, in several messages and orders, through the whole pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from plugin.triggers.base.recording import read_recording
from tests.acme import ACME
from tests.answering import Answer, Answering
from tests.triggers import sender_intercom

RECORDINGS = Path(__file__).parents[1] / "fixtures/triggers/intercom"
INTERCOM = ACME.replace(
    "connections:",
    "  - name: inter\n    kind: intercom\n    settings: {app_id: lqh5r2xz}\n"
    '    credentials: {client_secret: intercom-client-secret, access_token: token-0123456789, api_origin: "$api"}\n'
    "connections:",
)


@pytest.fixture
def api() -> Iterator[Answering]:
    with Answering() as running:
        running.answer = lambda _asked: Answer(200, sender_intercom.CONTACT)
        yield running


@pytest.fixture
def config(config, api):
    return replace(config, extra_vendor_origins=(*config.extra_vendor_origins, api.origin))


@pytest.fixture
def tenant(acme, api):
    acme.apply(INTERCOM.replace("$api", api.origin))
    return acme


def send(acme, name):
    recorded = read_recording((RECORDINGS / f"{name}.json").read_bytes())
    return acme.parts.acceptor.accept(acme.source("inter"), recorded)


def asked_after(acme, *names):
    """The addresses that were invited, and what the rule said of each closing."""
    acceptances = [send(acme, name) for name in names]
    acme.work()
    said = [
        (one.decision, one.cause)
        for acceptance in acceptances
        for event in acme.receipt(acceptance).events
        for one in event.verdicts
    ]
    return [call["email"] for call in acme.vendor.asked], said


TOLD = ("ticket_closed", "ticket_state_resolved", "conversation_closed_with_ticket")


@pytest.mark.parametrize("names", [TOLD, TOLD[1:] + TOLD[:1], TOLD[2:] + TOLD[:2]], ids=TOLD)
def test_a_ticket_its_state_and_its_conversation_ask_once_whichever_comes_first(tenant, names):
    invited, said = asked_after(tenant, *names)
    assert invited == ["lucja.nowak@example.com"]
    assert sorted(said) == [("ask", "matched"), ("no", "same_episode"), ("no", "same_episode")]


def test_a_ticket_that_is_resolved_and_closed_days_later_asks_once(tenant):
    _, resolved = asked_after(tenant, "ticket_state_resolved_not_closed_yet")
    tenant.clock.advance(days=2)
    invited, closed = asked_after(tenant, "ticket_closed_later_than_resolved")
    assert invited == ["lucja.nowak@example.com"]
    assert (resolved, closed) == ([("ask", "matched")], [("no", "same_episode")])


def test_a_conversation_that_is_closed_again_asks_again(tenant):
    invited, _ = asked_after(tenant, "conversation_closed_contact_ids", "conversation_closed_again")
    assert len(invited) == 2


def test_what_another_workspace_sends_is_dropped(tenant, api):
    acceptance = send(tenant, "conversation_closed_other_workspace")
    tenant.work()
    assert (acceptance.receipt, api.asked) == (None, [])


def test_a_contact_that_intercom_does_not_know_any_more_is_told(tenant, api):
    api.answer = lambda _asked: Answer(404, {"type": "error.list"})
    acceptance = send(tenant, "ticket_closed")
    tenant.work()
    [record] = tenant.receipt(acceptance).events
    assert [(one.decision, one.cause) for one in record.verdicts] == [("problem", "missing")]
    assert any("HTTP 404" in note for note in record.event.notes)


def test_the_token_stands_in_no_url_and_in_no_note(tenant, api):
    acceptance = send(tenant, "ticket_closed")
    tenant.work()
    [asked] = api.asked
    assert asked.path == "/contacts/696346bbaebb5a479d3851a3"
    assert asked.headers["authorization"] == "Bearer token-0123456789"
    assert "token-0123456789" not in repr(tenant.receipt(acceptance))
