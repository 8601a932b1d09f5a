"""Salesforce's outbound messages through the whole program: acknowledged, of one organisation, without a session."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugin.store import receipts, sources
from plugin.triggers.base.recording import read_recording
from tests.web.installation import CONFIGURATION

RECORDINGS = Path(__file__).parents[1] / "fixtures/triggers/generic"
SETTINGS = "settings: {preset: salesforce_outbound, account: 00D000000000001AAA}"
CRM = f"- {{name: crm, kind: generic, credentials: {{url_only: true}}, {SETTINGS}}}\nconnections:"


@pytest.fixture
def crm(installation, acme):
    return installation.apply(CONFIGURATION.replace("connections:", CRM, 1))


def send(installation, crm, recording):
    body = read_recording((RECORDINGS / f"{recording}.json").read_bytes()).body
    return installation.send(crm, "crm", body)


def stored(installation, crm):
    with installation.parts.database.read() as db:
        lines = receipts.find_receipts(db, crm.id)
        return [receipts.receipt(db, crm.id, line.id) for line in lines]


def test_each_closed_case_is_asked_once_and_the_session_is_kept_nowhere(installation, crm, tmp_path, capsys):
    recording = "salesforce_outbound_several_with_session"
    for _ in range(2):
        answer = send(installation, crm, recording)
        assert (answer.status_code, answer.content_type) == (200, "text/xml; charset=utf-8")
        assert "<Ack>true</Ack>" in answer.text

    [receipt] = stored(installation, crm)
    asked = [event.deliveries[0].parameters["email"] for event in receipt.events if event.deliveries]
    assert asked == ["a@example.com", "c@example.com"]
    assert receipt.duplicates == 1
    assert b"<SessionId></SessionId>" in receipt.body.body
    assert "session-of-salesforce" not in "".join(capsys.readouterr())
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or b"session-of-salesforce" not in path.read_bytes(), path


def test_what_is_about_another_organisation_is_acknowledged_dropped_and_counted(installation, crm):
    answer = send(installation, crm, "salesforce_outbound_of_another_organisation")

    assert "<Ack>true</Ack>" in answer.text
    assert stored(installation, crm) == []
    with installation.parts.database.read() as db:
        assert sources.source_by_name(db, crm.id, "crm").strangers == 1


def test_a_document_type_is_refused_with_a_receipt(installation, crm):
    answer = send(installation, crm, "unreadable_salesforce_outbound_with_a_document_type")

    assert answer.status_code == 400
    [receipt] = stored(installation, crm)
    assert receipt.cause == "unreadable"
