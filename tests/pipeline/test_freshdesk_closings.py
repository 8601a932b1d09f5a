"""Freshdesk's and Freshchat's messages all the way: who is asked once, who again, and who only after a look-up."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from plugin.triggers.base.recording import read_recording
from tests.acme import ACME, verdicts
from tests.answering import Answer, Answering

RECORDINGS = Path(__file__).parents[1] / "fixtures/triggers/freshdesk"
USER = "5cac723a-13aa-473e-846b-9cdb7d2c41a5"
ASKED = [("ask", "matched")]


@pytest.fixture(scope="module")
def signing_key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def freshchat() -> Iterator[Answering]:
    with Answering() as running:
        running.answer = lambda asked: Answer(
            200,
            {"id": USER, "email": "ada@example.com", "first_name": "Ada"}
            if "/users/" in asked.path
            else {"conversation_id": "c", "users": [{"id": USER}], "agents": [{"id": "a"}]},
        )
        yield running


@pytest.fixture
def config(config, freshchat):
    return replace(config, extra_vendor_origins=(*config.extra_vendor_origins, freshchat.origin))


@pytest.fixture
def fresh(acme, freshchat, signing_key):
    """The tenant has a source for tickets and one for chats."""
    key = signing_key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    chat = {"freshchat_public_key": key.decode(), "api_token": "fc-token", "api_origin": freshchat.origin}
    tickets = {"header": {"name": "X-Survey-Secret", "value": "freshdesk-secret"}}
    sources = [
        {"name": name, "kind": "freshdesk", "credentials": credentials}
        for name, credentials in (("tickets", tickets), ("chats", chat))
    ]
    lines = "".join(f"  - {json.dumps(source)}\n" for source in sources)
    acme.apply(ACME.replace("connections:", f"{lines}connections:"))
    return acme


def send(acme, recording, signing_key=None):
    request = read_recording((RECORDINGS / f"{recording}.json").read_bytes())
    if signing_key is None:
        proof = {"x-survey-secret": "freshdesk-secret"}
    else:
        signature = signing_key.sign(request.body, padding.PKCS1v15(), SHA256())
        proof = {"x-freshchat-signature": b64encode(signature).decode()}
    acme.clock.advance(seconds=1)
    source = acme.source("tickets" if signing_key is None else "chats")
    return acme.parts.acceptor.accept(source, replace(request, headers={**request.headers, **proof}))


def test_resolved_and_days_later_closed_by_itself_is_asked_once(fresh):
    assert verdicts(send(fresh, "ticket_closed")) == ASKED
    assert verdicts(send(fresh, "ticket_closed_after_resolved")) == [("no", "same_episode")]


def test_opened_again_and_closed_again_is_asked_again(fresh):
    send(fresh, "ticket_closed")
    send(fresh, "ticket_reopened")
    assert verdicts(send(fresh, "ticket_closed_after_resolved")) == ASKED


def test_the_same_call_an_hour_later_is_a_duplicate(fresh):
    first = send(fresh, "ticket_closed")
    fresh.clock.advance(minutes=95)
    again = send(fresh, "ticket_closed")
    assert (again.receipt, [event.duplicate for event in again.events]) == (first.receipt, [True])


def test_an_update_of_a_resolved_ticket_asks_nobody(fresh):
    for recording in ("priority_changed_while_resolved", "created_as_resolved", "agent_changed_while_resolved"):
        assert ("ask", "matched") not in verdicts(send(fresh, recording))
    assert fresh.deliveries() == []


def test_the_visitor_of_a_chat_is_asked_for_and_then_invited(fresh, freshchat, signing_key):
    acceptance = send(fresh, "freshchat_resolution", signing_key)
    assert acceptance.as_json()["events"][0]["pending"] is True
    fresh.work()
    assert [asked.path for asked in freshchat.asked] == [
        "/v2/conversations/aecf3cc7-138a-4b40-9723-5bf4d1abb97b",
        f"/v2/users/{USER}",
    ]
    assert {asked.headers["authorization"] for asked in freshchat.asked} == {"Bearer fc-token"}
    assert [call["email"] for call in fresh.vendor.asked] == ["ada@example.com"]


def test_a_chat_that_is_opened_again_may_be_asked_about_again(fresh, signing_key):
    for recording in ("freshchat_resolution", "freshchat_reopen", "freshchat_resolution_by_the_system"):
        send(fresh, recording, signing_key)
        fresh.work()
    assert len(fresh.vendor.asked) == 2
