"""A deal that was won in Pipedrive on its way to an invitation: its API is played by a real HTTP server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from plugin.triggers.base.recording import read_recording
from tests.acme import ACME
from tests.answering import Answer, Answering
from tests.triggers.conftest import RECORDINGS

CREDENTIALS = json.dumps({"bearer": "generic-fixture-token", "pipedrive": {"api_token": "t0ken", "api_origin": "$crm"}})
PIPEDRIVE = ACME.replace("[ticket.closed, chat.ended]", "[crm.changed]").replace("ticket.id", "crm.id")
PIPEDRIVE = PIPEDRIVE.replace(
    "connections:",
    f"  - name: deals\n    kind: generic\n    credentials: {CREDENTIALS}\n"
    '    settings: {preset: pipedrive, account: "12882925"}\nconnections:',
)
PERSON = {"id": 3, "name": "Łucja Nowak", "emails": [{"value": "lucja.nowak@example.com", "primary": True}]}


@pytest.fixture
def crm() -> Iterator[Answering]:
    with Answering() as running:
        running.answer = lambda _asked: Answer(200, {"success": True, "data": PERSON})
        yield running


@pytest.fixture
def config(config, crm):
    return replace(config, extra_vendor_origins=(*config.extra_vendor_origins, crm.origin))


@pytest.fixture
def send(acme, crm):
    acme.apply(PIPEDRIVE.replace("$crm", crm.origin))

    def send(recording: str):
        request = read_recording((RECORDINGS / "generic" / f"pipedrive_{recording}.json").read_bytes())
        return acme.parts.acceptor.accept(acme.source("deals"), request)

    return send


def test_the_person_of_a_won_deal_is_looked_up_and_asked_once_whatever_the_attempt(acme, crm, send):
    send("won_id_above_2_53")
    acme.work()
    again = send("won_second_attempt")
    acme.work()

    assert [event.duplicate for event in again.events] == [True]
    assert [(asked.path, asked.headers["x-api-token"]) for asked in crm.asked] == [("/api/v2/persons/3", "t0ken")]
    [asked] = acme.vendor.asked
    assert (asked["email"], asked["custom1"]) == ("lucja.nowak@example.com", "9007199254740995")


@pytest.mark.parametrize("recording", ["renamed_after_it_was_won", "moved_while_open", "deleted", "person_changed"])
def test_about_anything_else_nobody_is_looked_up_or_asked(acme, crm, send, recording):
    send(recording)
    acme.work()

    assert crm.asked == []
    assert acme.vendor.asked == []
