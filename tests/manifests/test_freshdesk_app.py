"""The app for Freshdesk: fit for the platform, and its messages are read as what happened to the ticket."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path

import pytest

from plugin.domain.event import EventKind
from plugin.manifest import load_package
from plugin.triggers import freshdesk
from plugin.triggers.base import InboundRequest
from plugin.triggers.base.recording import read_recording
from tests.manifests.freshworks_rules import problems_of
from tests.manifests.node_runner import run_handler

ROOT = Path(__file__).parents[2]
APP = ROOT / "manifests/freshdesk/app"
RECORDINGS = ROOT / "tests/fixtures/triggers/freshdesk"
SERVER = APP / "server/server.js"
INPUTS = {"host": "survey.example.com", "address_end": "k3y", "closing_statuses": "4,5"}
CLOSED = json.loads((APP / "server/test_data/support_ticket/onTicketUpdate.json").read_text("utf-8"))


def updated(*, inputs=None, requester=None, **ticket):
    """The event of the package's test data with other values in it."""
    event = copy.deepcopy(CLOSED) | {"iparams": INPUTS | (inputs or {}), "currentHost": {}}
    event["data"]["ticket"] |= ticket
    event["data"]["requester"] |= requester or {}
    return event


def sent(event):
    """The message that the app sends about an event; None when it sends nothing."""
    ran = run_handler(SERVER, "onTicketUpdateHandler", event)
    assert ran.logs == []
    if not ran.requests:
        return None
    [request] = ran.requests
    assert request["name"] == "sendTrigger"
    return request["options"]["body"]


def read(event):
    body = sent(event)
    assert body is not None
    [read] = freshdesk.parse(InboundRequest("POST", "", {"content-type": "application/json"}, body.encode()))
    return read


# --- the package


def test_the_package_keeps_the_rules_of_the_platform():
    assert problems_of(APP) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "problem"),
    [
        ("manifest.json", '"3.0"', '"2.3"', "platform-version"),
        ("manifest.json", '"engines"', '"product": {"freshdesk": {}}, "engines"', "older platforms"),
        ("manifest.json", '"engines"', '"whitelisted-domains": ["https://a.example"], "engines"', "older platforms"),
        ("manifest.json", '"24.11.0"', '"24"', "whole versions"),
        ("manifest.json", '"requests": {', '"functions": {}, "requests": {', "common.functions is empty"),
        ("manifest.json", '"sendTrigger": {}', '"sendOther": {}', "not declared"),
        ("manifest.json", '"onTicketUpdateHandler"', '"onTicketUpdated"', "does not export"),
        ("manifest.json", '"onTicketUpdate":', '"onTicketCreate":', "no test data"),
        ("config/iparams.json", '"secure": true', '"secure": false', "header_secret is a secret"),
        ("config/iparams.json", '"type": "text"', '"type": "words"', "unknown type"),
        ("config/requests.json", "<%= iparam.host %>", "https://survey.example.com", "more than a name"),
        ("config/requests.json", "<%= iparam.host %>", "<%= iparam.domain %>", "domain, which is no input"),
        ("config/requests.json", '"/triggers', '"triggers', "without a slash"),
        ("config/requests.json", "iparam.address_end", "iparam.header_secret", "secure header_secret in its path"),
        ("config/requests.json", '"https"', '"http"', "by https"),
        ("config/requests.json", "{", "", "unreadable"),
    ],
)
def test_each_rule_is_looked_after(tmp_path, file, old, new, problem):
    shutil.copytree(APP, tmp_path / "app")
    changed = tmp_path / "app" / file
    text = changed.read_text("utf-8")
    assert old in text
    changed.write_text(text.replace(old, new, 1), "utf-8")
    assert any(problem in found for found in problems_of(tmp_path / "app"))


def test_nothing_of_a_tenant_stands_in_the_code():
    for name in ("manifest.json", "config/requests.json", "server/server.js"):
        assert "[[" not in (APP / name).read_text("utf-8"), name


def test_a_built_package_asks_for_the_address_with_the_answer_filled_in(tmp_path):
    url = "https://survey.example.com/triggers/k3y-0123456789abcdef"
    values = {
        "url": url,
        "host": "survey.example.com",
        "key": "k3y-0123456789abcdef",
        "source": "desk",
        "tenant": "acme",
    }
    package = load_package("freshdesk", values)
    assert package.is_app
    for name, content in package.files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
        assert b"[[" not in content, name
    assert problems_of(tmp_path) == []
    inputs = json.loads(package.files["config/iparams.json"])
    request = json.loads(package.files["config/requests.json"])["sendTrigger"]["schema"]
    called = f"{request['protocol']}://{request['host']}{request['path']}"
    for name, field in inputs.items():
        called = called.replace(f"<%= iparam.{name} %>", field.get("default_value", ""))
    assert called == url


def test_the_installation_is_completed():
    assert run_handler(SERVER, "onAppInstallHandler", {"iparams": INPUTS}).rendered == 1


# --- what it sends


def test_a_resolved_ticket_is_told_once_and_read_as_one_closing():
    event = read(updated())
    assert (event.kind, event.subject, event.closing_mark) == (
        EventKind.TICKET_CLOSED,
        "ticket:35436",
        "2026-01-02T03:04:01Z",
    )
    shown = {name: event.values[name] for name in sorted(event.values) if not name.startswith("event.")}
    assert shown == {
        "person.email": "lucja.nowak@example.com",
        "person.language": "pl",
        "person.name": "Łucja Nowak",
        "person.phone": "+48600100200",
        "ticket.created_at": "2026-01-01T10:00:00Z",
        "ticket.custom.order": "ORD-77",
        "ticket.id": "35436",
        "ticket.priority": "Medium",
        "ticket.requester.email": "lucja.nowak@example.com",
        "ticket.requester.language": "pl",
        "ticket.requester.name": "Łucja Nowak",
        "ticket.requester.phone": "+48600100200",
        "ticket.status": "solved",
        "ticket.tags": ("vip", "printer"),
        "ticket.title": "Printer on fire",
        "ticket.type": "Incident",
        "ticket.updated_at": "2026-01-02T03:04:01Z",
        "ticket.url": "https://acme.freshdesk.com/a/tickets/35436",
    }


def test_nobody_but_the_customer_is_named():
    body = sent(updated())
    assert "acme.example" not in body
    assert "colleague" not in body


@pytest.mark.parametrize(
    ("ticket", "kind"),
    [
        ({"status": 5, "changes": {"status": [3, 5], "priority": [1, 2]}}, EventKind.TICKET_CLOSED),
        ({"status": 5, "changes": {"status": [4, 5]}}, EventKind.TICKET_CLOSED),
        ({"status": 2, "changes": {"status": [4, 2]}}, EventKind.TICKET_REOPENED),
        ({"status": 6, "changes": {"status": [5, 6]}}, EventKind.TICKET_REOPENED),
    ],
)
def test_a_status_that_goes_into_or_out_of_the_closed_ones_is_told(ticket, kind):
    assert read(updated(**ticket)).kind is kind


@pytest.mark.parametrize(
    "ticket",
    [
        pytest.param({"changes": {"deleted": [False, True]}, "deleted": True}, id="deleted while resolved"),
        pytest.param({"changes": {"priority": [1, 2]}}, id="the priority of a resolved ticket"),
        pytest.param({"changes": {"status": [2, 4]}, "spam": True}, id="spam"),
        pytest.param({"changes": {"status": [2, 5]}, "deleted": True}, id="closed because it is deleted"),
        pytest.param({"status": 3, "changes": {"status": [2, 3]}}, id="open to pending"),
        pytest.param({"status": 6, "changes": {"status": [2, 6]}}, id="a status of the account's own"),
        pytest.param({"changes": {}}, id="no change told"),
        pytest.param({"changes": None}, id="changes null"),
        pytest.param({"changes": {"status": 4}}, id="not a change"),
    ],
)
def test_what_merely_looks_like_a_closing_is_not_told(ticket):
    assert sent(updated(**ticket)) is None


def test_which_statuses_count_as_closed_is_set_when_it_is_installed():
    own = {"closing_statuses": " 5, 6 "}
    assert read(updated(inputs=own, status=6, changes={"status": [2, 6]})).kind is EventKind.TICKET_CLOSED
    assert sent(updated(inputs=own, status=4, changes={"status": [2, 4]})) is None
    assert read(updated(inputs={"closing_statuses": ""})).kind is EventKind.TICKET_CLOSED


def test_a_customer_without_an_address_is_told_without_one():
    event = read(updated(requester={"email": None, "mobile": None}))
    assert "person.email" not in event.values
    assert event.values["person.phone"] == "+48221234567"


def test_the_same_event_has_the_same_id_and_the_next_closing_another():
    assert read(updated()).id == read(updated()).id
    assert read(updated()).id != read(updated(updated_at="2026-01-03T08:00:00Z")).id


def test_a_message_that_cannot_be_sent_is_logged_without_anybody_in_it():
    ran = run_handler(SERVER, "onTicketUpdateHandler", updated(), failure={"status": 503, "response": "lucja"})
    assert ran.logs == ["The survey trigger was not sent, status 503"]


@pytest.mark.parametrize(
    ("recording", "ticket"),
    [("ticket_closed_by_app", {}), ("ticket_reopened_by_app", {"status": 2, "changes": {"status": [4, 2]}})],
)
def test_the_recordings_of_the_app_are_what_it_sends(recording, ticket):
    recorded = read_recording((RECORDINGS / f"{recording}.json").read_bytes())
    assert json.loads(recorded.body) == json.loads(sent(updated(**ticket)))
