from __future__ import annotations

import hmac
import json
import re
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from marshmallow import ValidationError

from plugin.domain.event import EventKind
from plugin.errors import SignatureInvalid, Unreadable
from plugin.manifest import load_manifest
from plugin.redaction import Secret
from plugin.triggers import zammad
from plugin.triggers.base import InboundRequest

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
BODY = '{"ticket":{"id":"4711","note":"Żółć \\"ok\\""},"n":1}'.encode()
VECTOR = "sha1=7fab0504cdc4e919c20a9ccc18cc426480a969e7"
SIGNED = {"signature_token": Secret("client-secret-1")}
BASIC = {"basic": {"user": "survey", "password": Secret("pass:word")}}
BEARER = {"bearer": Secret("bearer-token")}
RECORDED = {"signature_token": Secret("zammad-signature-token")}


def request_with(body=BODY, **headers):
    return InboundRequest("POST", "", {name.replace("_", "-"): value for name, value in headers.items()}, body)


def one(request, **settings):
    [event] = zammad.parse(replace(request, settings=settings))
    return event


# --- proof

PROVED = {
    "signature_token": (SIGNED, {"x_hub_signature": VECTOR}),
    "basic": (BASIC, {"authorization": "Basic " + b64encode(b"survey:pass:word").decode()}),
    "bearer": (BEARER, {"authorization": "Bearer bearer-token"}),
}


@pytest.mark.parametrize("name", PROVED)
def test_each_way_of_proof_lets_its_own_requests_in_and_no_others(name):
    credentials, _ = PROVED[name]
    for other, (_, headers) in PROVED.items():
        if other == name:
            zammad.verify(request_with(**headers), credentials, NOW)
        else:
            with pytest.raises(SignatureInvalid):
                zammad.verify(request_with(**headers), credentials, NOW)


@pytest.mark.parametrize(
    "signature",
    [
        pytest.param(VECTOR.removeprefix("sha1="), id="without its prefix"),
        pytest.param("sha256=" + hmac.digest(b"client-secret-1", BODY, "sha256").hex(), id="another algorithm"),
        pytest.param("sha1=" + b64encode(hmac.digest(b"client-secret-1", BODY, "sha1")).decode(), id="base64"),
        pytest.param("sha1=" + hmac.digest(b"client-secret-2", BODY, "sha1").hex(), id="another secret"),
        pytest.param("", id="nothing"),
    ],
)
def test_any_other_signature_is_refused(signature):
    with pytest.raises(SignatureInvalid):
        zammad.verify(request_with(x_hub_signature=signature), SIGNED, NOW)


def test_every_recording_with_a_body_is_signed_as_zammad_would(load_trigger, recordings_of):
    for name in recordings_of("zammad"):
        request = load_trigger("zammad", name)
        if request.body:
            zammad.verify(request, RECORDED, NOW)
        else:
            with pytest.raises(SignatureInvalid):
                zammad.verify(request, RECORDED, NOW)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"signature_token": "a", "bearer": "b"},
        {"signature_token": ""},
        {"bearer": None},
        {"basic": {"user": "a"}},
        {"url_only": True},
    ],
)
def test_exactly_one_proof_must_be_given(wrong):
    with pytest.raises(ValidationError):
        zammad.ZammadCredentials().load(wrong)


# --- what happened


@pytest.mark.parametrize(
    ("recording", "kind", "subject", "email"),
    [
        ("ticket_closed", EventKind.TICKET_CLOSED, "ticket:10081", "lucja.nowak@example.com"),
        ("ticket_closed_number_as_number", EventKind.TICKET_CLOSED, "ticket:10081", "lucja.nowak@example.com"),
        ("ticket_closed_polish_state", EventKind.TICKET_CLOSED, "ticket:10081", "lucja.nowak@example.com"),
        ("ticket_closed_objects_by_name", EventKind.TICKET_CLOSED, "ticket:10081", "lucja.nowak@example.com"),
        ("ticket_closed_phone_only", EventKind.TICKET_CLOSED, "ticket:10081", None),
        ("ticket_closed_empty_email_mobile", EventKind.TICKET_CLOSED, "ticket:10081", None),
        ("ticket_closed_without_owner", EventKind.TICKET_CLOSED, "ticket:10081", "lucja.nowak@example.com"),
        (
            "ticket_closed_big_id",
            EventKind.TICKET_CLOSED,
            "ticket:20260102900719925474099312",
            "lucja.nowak@example.com",
        ),
        ("ticket_reopened", EventKind.TICKET_REOPENED, "ticket:10081", "lucja.nowak@example.com"),
        ("ticket_open_never_closed", EventKind.UNSUPPORTED, "ticket:10081", "lucja.nowak@example.com"),
        ("ticket_pending_close", EventKind.UNSUPPORTED, "ticket:10081", "lucja.nowak@example.com"),
        ("ticket_merged", EventKind.UNSUPPORTED, "ticket:10081", "lucja.nowak@example.com"),
        ("ticket_closed_state_of_their_own", EventKind.UNSUPPORTED, "ticket:10081", "lucja.nowak@example.com"),
        ("ticket_closed_own_body", EventKind.TICKET_CLOSED, "ticket:10081", "lucja.nowak@example.com"),
        ("ticket_reopened_own_body", EventKind.TICKET_REOPENED, "ticket:10081", "lucja.nowak@example.com"),
        ("pending_close_own_body", EventKind.UNSUPPORTED, "ticket:10081", "lucja.nowak@example.com"),
        ("own_body_that_zammad_could_not_fill", EventKind.UNSUPPORTED, None, None),
        ("something_else", EventKind.UNSUPPORTED, None, None),
        ("wrong_shapes", EventKind.UNSUPPORTED, None, None),
    ],
)
def test_what_happened_to_which_ticket_and_who_is_the_customer(load_trigger, recording, kind, subject, email):
    event = one(load_trigger("zammad", recording))
    assert (event.kind, event.subject, event.values.get("person.email")) == (kind, subject, email)
    assert event.values["event.kind"] == kind.value
    assert (event.closing_mark is not None) == kind.closes or kind is EventKind.TICKET_REOPENED
    assert event.notes or kind is not EventKind.UNSUPPORTED


@pytest.mark.parametrize(
    ("recording", "vendor_kind", "note"),
    [
        ("ticket_pending_close", "pending close", "closed_states can name more"),
        ("pending_close_own_body", "pending close", "closed_states can name more"),
        ("ticket_merged", "merged", "merged into another one"),
        ("ticket_open_never_closed", "open", "never closed"),
        ("own_body_that_zammad_could_not_fill", "error", "leave texts that people type out"),
    ],
)
def test_why_nobody_is_asked_is_told(load_trigger, recording, vendor_kind, note):
    event = one(load_trigger("zammad", recording))
    assert event.vendor_kind == vendor_kind
    assert note in event.notes[-1]


def test_a_state_of_the_tenants_own_is_closed_where_the_settings_say_so(load_trigger):
    request = load_trigger("zammad", "ticket_closed_state_of_their_own")
    assert one(request, closed_states=" Erledigt , done").kind is EventKind.TICKET_CLOSED
    assert one(request, closed_states="done,").kind is EventKind.UNSUPPORTED
    body = load_trigger("zammad", "pending_close_own_body")
    assert one(body, closed_states="pending close").kind is EventKind.TICKET_CLOSED


def test_a_closing_among_colleagues_asks_nobody_and_says_so(load_trigger):
    event = one(load_trigger("zammad", "ticket_closed_customer_is_agent"))
    assert event.kind is EventKind.UNSUPPORTED
    assert "works with Zammad" in event.notes[0]
    assert not any("@" in str(value) for name, value in event.values.items() if "assignee" not in name)
    assert one(load_trigger("zammad", "ticket_closed")).notes == ()


# --- what it says


def test_the_customer_is_neither_who_made_the_ticket_nor_its_owner(load_trigger):
    event = one(load_trigger("zammad", "ticket_closed"), base_url="https://zammad.example.com/")
    assert event.values == {
        "ticket.id": "10081",
        "ticket.url": "https://zammad.example.com/#ticket/zoom/81",
        "ticket.title": "Printer on fire",
        "ticket.status": "closed",
        "ticket.priority": "2 normal",
        "ticket.channel": "phone",
        "ticket.tags": ("printer",),
        "ticket.created_at": "2026-01-01T09:30:00.282Z",
        "ticket.updated_at": "2026-01-02T03:04:01.350Z",
        "ticket.group.name": "Second level",
        "ticket.organization.name": "Blue Shop",
        "ticket.requester.name": "Łucja Nowak",
        "ticket.requester.first_name": "Łucja",
        "ticket.requester.last_name": "Nowak",
        "ticket.requester.email": "lucja.nowak@example.com",
        "ticket.requester.phone": "+48221234567",
        "ticket.assignee.name": "Jan Novák",
        "ticket.assignee.email": "jan.novak@acme.example",
        "person.name": "Łucja Nowak",
        "person.email": "lucja.nowak@example.com",
        "person.phone": "+48221234567",
        "event.id": event.id,
        "event.kind": "ticket.closed",
        "event.time": "2026-01-02T03:04:01.335000Z",
    }


def test_what_is_an_object_or_a_name_is_read_alike(load_trigger):
    objects, names = (one(load_trigger("zammad", f"ticket_closed{part}")) for part in ("", "_objects_by_name"))
    assert {**objects.values, "event.id": names.id} == names.values


def test_a_ticket_of_nobody_has_no_agent(load_trigger):
    values = one(load_trigger("zammad", "ticket_closed_without_owner")).values
    assert not [name for name in values if name.startswith("ticket.assignee")]


def test_a_customer_without_an_address_may_have_a_mobile_phone(load_trigger):
    event = one(load_trigger("zammad", "ticket_closed_empty_email_mobile"))
    assert (event.values.get("person.email"), event.values["person.phone"]) == (None, "+48600100200")


def test_the_link_holds_the_internal_id_with_every_digit(load_trigger):
    event = one(load_trigger("zammad", "ticket_closed_big_id"), base_url="https://zammad.example.com")
    assert event.values["ticket.url"] == "https://zammad.example.com/#ticket/zoom/9007199254740993123"
    assert "ticket.url" not in one(load_trigger("zammad", "ticket_closed")).values


def test_a_title_arrives_as_it_was_written(load_trigger):
    event = one(load_trigger("zammad", "ticket_closed_title_with_everything"))
    assert event.values["ticket.title"] == 'He said "fire" \\ C:\\new\nsecond line #{ticket.id}'


@pytest.mark.parametrize("wrong", [{"base_url": "zammad.example.com"}, {"closed_states": ""}, {"states": "x"}])
def test_settings_that_mean_nothing_are_refused(wrong):
    with pytest.raises(ValidationError):
        zammad.ZammadSettings().load(wrong)


# --- bodies in our names


def test_a_name_that_zammad_does_not_know_is_unrendered(load_trigger):
    event = one(load_trigger("zammad", "ticket_closed_own_body_unknown_name"))
    assert {"ticket.requester.email", "person.email"} <= event.unrendered


@pytest.mark.parametrize("recording", ["ticket_closed_own_body", "ticket_closed_own_body_without_last_close_at"])
def test_a_body_in_our_names_marks_its_closing_too(load_trigger, recording):
    event = one(load_trigger("zammad", recording))
    assert event.closing_mark == "2026-01-02 03:04:01 UTC"
    assert event.id == load_trigger("zammad", recording).headers["x-zammad-delivery"]


def test_a_lone_backslash_behind_the_rest_is_put_right(load_trigger):
    event = one(load_trigger("zammad", "ticket_closed_own_body_title_with_backslash"))
    assert event.values["ticket.title"] == "Cannot open C:\\Data"
    assert "ticket.title holds a backslash as it was typed" in event.notes[0]


def test_the_bodies_hold_only_names_that_zammad_takes_for_placeholders():
    bodies = load_manifest("zammad", {"url": "u", "source": "s", "tenant": "t"}).bodies
    for name in ("ticket_closed", "ticket_reopened"):
        found = re.findall(r"#\{[^}]*\}", bodies[name])
        assert found
        assert all(re.fullmatch(r"#\{[a-z_.?!]+\}", placeholder) for placeholder in found)


# --- the same once more


def test_a_retry_has_the_id_of_the_first_try(load_trigger):
    request = load_trigger("zammad", "ticket_closed")
    assert one(request).id == one(request).id == request.headers["x-zammad-delivery"]


def test_without_a_delivery_the_closing_itself_is_the_event(load_trigger):
    request = load_trigger("zammad", "ticket_closed_without_delivery")
    body = json.loads(request.body)
    body["ticket"]["article_count"] = 9
    assert one(request).id == one(replace(request, body=json.dumps(body).encode())).id
    body["ticket"]["last_close_at"] = "2026-01-03T10:00:00.000Z"
    assert one(request).id != one(replace(request, body=json.dumps(body).encode())).id


def test_the_last_closing_is_the_mark_whatever_changes_afterwards(load_trigger):
    marks = {
        name: one(load_trigger("zammad", f"ticket_closed{name}")).closing_mark
        for name in ("", "_new_article", "_again", "_without_last_close_at")
    }
    assert marks == {
        "": "2026-01-02T03:04:01.335Z",
        "_new_article": "2026-01-02T03:04:01.335Z",
        "_again": "2026-01-03T10:00:00.000Z",
        "_without_last_close_at": "2026-01-02T03:04:01.350Z",
    }


# --- what cannot be read


def test_an_empty_call_is_a_ping(load_trigger):
    assert zammad.parse(load_trigger("zammad", "ping_empty")) == []


def test_a_message_that_was_cut_off_is_told_with_its_place(load_trigger):
    with pytest.raises(Unreadable, match="line 1, column"):
        zammad.parse(load_trigger("zammad", "unreadable_cut_off"))
