from __future__ import annotations

import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from marshmallow import ValidationError

from plugin.domain.event import EventKind
from plugin.errors import SignatureInvalid, Unreadable
from plugin.redaction import Secret
from plugin.triggers import chatwoot
from plugin.triggers.base import InboundRequest

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
BODY = '{"ticket":{"id":"4711","note":"Żółć \\"ok\\""},"n":1}'.encode()
VECTOR = "sha256=6daaaf185041e985009cd95bc6efa35f2bc25ab2a0c3655c13b5aede8dcc371b"
CREDENTIALS = {"secret": Secret("client-secret-1")}
RECORDED = {"secret": Secret("chatwoot-webhook-secret")}
SETTINGS = {"account": "3", "base_url": "https://chat.example.com/"}


def signed(signature, body=BODY, stamp="1767323045"):
    return InboundRequest("POST", "", {"x-chatwoot-signature": signature, "x-chatwoot-timestamp": stamp}, body)


def sign(message):
    return "sha256=" + hmac.digest(b"client-secret-1", message, "sha256").hex()


def one(request):
    [event] = chatwoot.parse(request)
    return event


# --- proof


def test_the_time_a_dot_and_the_raw_body_are_what_is_signed():
    chatwoot.verify(signed(VECTOR), CREDENTIALS, NOW)


@pytest.mark.parametrize(
    "signature",
    [
        pytest.param(sign(BODY), id="the body alone"),
        pytest.param(sign(b"1767323045" + BODY), id="without the dot"),
        pytest.param(sign(BODY + b".1767323045"), id="the time last"),
        pytest.param(VECTOR.removeprefix("sha256="), id="without its prefix"),
        pytest.param("", id="nothing"),
    ],
)
def test_any_other_signature_is_refused(signature):
    with pytest.raises(SignatureInvalid):
        chatwoot.verify(signed(signature), CREDENTIALS, NOW)


@pytest.mark.parametrize("seconds", [-301, 301])
def test_a_stale_or_future_request_is_refused(seconds):
    with pytest.raises(SignatureInvalid):
        chatwoot.verify(signed(VECTOR), CREDENTIALS, NOW + timedelta(seconds=seconds))


def test_every_signed_recording_is_signed_as_chatwoot_would(load_trigger, recordings_of):
    requests = [load_trigger("chatwoot", name) for name in recordings_of("chatwoot")]
    signed_ones = [request for request in requests if "x-chatwoot-signature" in request.headers]
    assert len(signed_ones) > 10
    for request in signed_ones:
        chatwoot.verify(request, RECORDED, NOW)


def test_a_version_that_signs_nothing_is_let_in_by_its_url_alone_and_never_by_a_secret(load_trigger):
    request = load_trigger("chatwoot", "conversation_resolved_unsigned_old_version")
    chatwoot.verify(request, {"url_only": True}, NOW)
    with pytest.raises(SignatureInvalid):
        chatwoot.verify(request, RECORDED, NOW)


def test_only_what_is_signed_has_a_replay_mark(load_trigger):
    request = load_trigger("chatwoot", "conversation_resolved")
    assert chatwoot.replay_mark(request, RECORDED)
    assert chatwoot.replay_mark(request, {"url_only": True}) is None


@pytest.mark.parametrize("wrong", [{}, {"url_only": False}, {"secret": "a", "url_only": True}, {"secret": ""}])
def test_exactly_one_proof_must_be_given(wrong):
    with pytest.raises(ValidationError):
        chatwoot.ChatwootCredentials().load(wrong)


# --- what happened


@pytest.mark.parametrize(
    ("recording", "kind", "vendor_kind"),
    [
        ("conversation_resolved", EventKind.CHAT_ENDED, "conversation_status_changed"),
        ("conversation_resolved_unsigned_old_version", EventKind.CHAT_ENDED, "conversation_status_changed"),
        ("conversation_resolved_unassigned_but_answered", EventKind.CHAT_ENDED, "conversation_status_changed"),
        ("conversation_resolved_after_bot_and_agent", EventKind.CHAT_ENDED, "conversation_status_changed"),
        ("wrong_content_type", EventKind.CHAT_ENDED, "conversation_status_changed"),
        ("automation_event_conversation_resolved", EventKind.CHAT_ENDED, "automation_event.conversation_resolved"),
        ("conversation_reopened", EventKind.TICKET_REOPENED, "conversation_status_changed"),
        ("conversation_opened_unknown_before", EventKind.TICKET_REOPENED, "conversation_status_changed"),
        (
            "conversation_resolved_by_bot_alone",
            EventKind.UNSUPPORTED,
            "conversation_status_changed: resolved without an agent",
        ),
        (
            "conversation_resolved_never_answered",
            EventKind.UNSUPPORTED,
            "conversation_status_changed: resolved without an agent",
        ),
        (
            "conversation_resolved_blocked_contact",
            EventKind.UNSUPPORTED,
            "conversation_status_changed: resolved, contact blocked",
        ),
        (
            "conversation_opened_after_pending",
            EventKind.UNSUPPORTED,
            "conversation_status_changed: open after pending",
        ),
        ("conversation_pending", EventKind.UNSUPPORTED, "conversation_status_changed: pending"),
        ("conversation_snoozed", EventKind.UNSUPPORTED, "conversation_status_changed: snoozed"),
        ("conversation_updated_resolved_lookalike", EventKind.UNSUPPORTED, "conversation_updated"),
        ("conversation_created", EventKind.UNSUPPORTED, "conversation_created"),
        ("automation_event_conversation_opened", EventKind.UNSUPPORTED, "automation_event.conversation_opened"),
        ("message_created", EventKind.UNSUPPORTED, "message_created"),
        ("contact_updated", EventKind.UNSUPPORTED, "contact_updated"),
        ("webwidget_triggered", EventKind.UNSUPPORTED, "webwidget_triggered"),
    ],
)
def test_what_happened_is_told_by_the_event_the_status_and_who_took_part(load_trigger, recording, kind, vendor_kind):
    event = one(load_trigger("chatwoot", recording))
    assert (event.kind, event.vendor_kind) == (kind, vendor_kind)
    assert event.notes or kind is not EventKind.UNSUPPORTED


def test_a_re_opening_and_its_closings_are_about_one_conversation(load_trigger):
    names = ("conversation_resolved", "conversation_reopened", "conversation_resolved_again")
    first, reopened, again = (one(load_trigger("chatwoot", name)) for name in names)
    assert first.subject == reopened.subject == again.subject == "chat:1042"
    assert (first.closing_mark, reopened.closing_mark, again.closing_mark) == (
        "1767323041.310482",
        None,
        "1767326641.5",
    )
    assert len({first.id, reopened.id, again.id}) == 3


@pytest.mark.parametrize("recording", ["conversation_resolved_by_bot_alone", "conversation_resolved_never_answered"])
def test_who_talked_to_no_agent_is_asked_where_the_tenant_wants_it(load_trigger, recording):
    event = one(replace(load_trigger("chatwoot", recording), settings={"without_agent": True}))
    assert event.kind is EventKind.CHAT_ENDED
    assert "chat.agent.name" not in event.values
    assert event.notes == ("No agent took part in the conversation.",)


def test_what_does_not_say_who_replied_counts_as_answered(load_trigger):
    request = load_trigger("chatwoot", "conversation_resolved_never_answered")
    body = json.loads(request.body)
    del body["first_reply_created_at"]
    assert one(replace(request, body=json.dumps(body).encode())).kind is EventKind.CHAT_ENDED


# --- what it says


def test_the_customer_is_the_sender_of_the_conversation_and_the_assignee_is_an_agent(load_trigger):
    event = one(replace(load_trigger("chatwoot", "conversation_resolved"), settings=SETTINGS))
    assert event.values == {
        "chat.id": "1042",
        "chat.url": "https://chat.example.com/app/accounts/3/conversations/1042",
        "chat.visitor.name": "Łucja Nowak",
        "chat.visitor.email": "lucja.nowak@example.com",
        "chat.visitor.phone": "+48221234567",
        "chat.visitor.external_id": "C-1024",
        "chat.visitor.language": "pl",
        "chat.agent.name": "Jan Novák",
        "chat.agent.email": "jan.novak@acme.example",
        "person.name": "Łucja Nowak",
        "person.email": "lucja.nowak@example.com",
        "person.phone": "+48221234567",
        "person.language": "pl",
        "event.id": event.id,
        "event.kind": "chat.ended",
        "event.time": "2026-01-02T03:04:01.310482Z",
    }


@pytest.mark.parametrize(
    ("recording", "phone"),
    [
        ("conversation_resolved_phone_only_whatsapp", "+48221234567"),
        ("conversation_resolved_empty_email", None),
    ],
)
def test_nobody_elses_address_stands_in_for_one_that_is_missing(load_trigger, recording, phone):
    event = one(load_trigger("chatwoot", recording))
    assert (event.values.get("person.email"), event.values.get("person.phone")) == (None, phone)


def test_a_sender_that_is_no_contact_is_no_customer(load_trigger):
    request = load_trigger("chatwoot", "conversation_resolved")
    body = json.loads(request.body)
    body["meta"]["sender"] = body["meta"]["assignee"]
    assert "person.email" not in one(replace(request, body=json.dumps(body).encode())).values


def test_no_language_is_guessed_from_a_country(load_trigger):
    event = one(load_trigger("chatwoot", "conversation_resolved_phone_only_whatsapp"))
    assert event.payload["meta"]["sender"]["additional_attributes"]["country_code"] == "PL"
    assert "person.language" not in event.values


def test_ids_keep_every_digit(load_trigger):
    event = one(load_trigger("chatwoot", "conversation_resolved_big_ids"))
    assert (event.subject, event.values["chat.id"]) == ("chat:9007199254740993123", "9007199254740993123")
    assert event.closing_mark == "1767323041.3104825"


@pytest.mark.parametrize("settings", [{}, {"account": "3"}, {"base_url": ""}])
def test_without_chatwoots_address_there_is_no_link(load_trigger, settings):
    event = one(replace(load_trigger("chatwoot", "conversation_resolved"), settings=settings))
    assert "chat.url" not in event.values


def test_the_account_of_the_message_completes_the_link(load_trigger):
    request = load_trigger("chatwoot", "conversation_resolved")
    event = one(replace(request, settings={"base_url": "https://chat.example.com"}))
    assert event.values["chat.url"] == "https://chat.example.com/app/accounts/3/conversations/1042"


@pytest.mark.parametrize(
    ("recording", "account"),
    [("conversation_resolved", "3"), ("conversation_resolved_other_account", "8"), ("message_created", "3")],
)
def test_whose_message_it_is_stands_on_the_event(load_trigger, recording, account):
    assert one(load_trigger("chatwoot", recording)).account == account


@pytest.mark.parametrize(
    "wrong", [{"account": "acme"}, {"account": ""}, {"base_url": "chat.example.com"}, {"url": "x"}]
)
def test_settings_that_mean_nothing_are_refused(wrong):
    with pytest.raises(ValidationError):
        chatwoot.ChatwootSettings().load(wrong)


# --- the same once more


def test_the_same_change_is_the_same_event_by_whatever_delivery_it_comes(load_trigger):
    request = load_trigger("chatwoot", "conversation_resolved")
    again = replace(request, headers={**request.headers, "x-chatwoot-delivery": "another"})
    assert one(request).id == one(again).id


def test_where_the_body_names_no_moment_the_delivery_is_the_event(load_trigger):
    first = load_trigger("chatwoot", "webwidget_triggered")
    other = replace(first, headers={**first.headers, "x-chatwoot-delivery": "another"})
    assert one(first).id == one(first).id != one(other).id
    assert one(replace(first, headers={})).id is None


def test_an_old_version_marks_the_closing_by_its_last_activity(load_trigger):
    event = one(load_trigger("chatwoot", "conversation_resolved_unsigned_old_version"))
    assert event.closing_mark == "1767323041"


# --- what cannot be read


def test_an_empty_call_is_a_ping(load_trigger):
    assert chatwoot.parse(load_trigger("chatwoot", "ping_empty")) == []


@pytest.mark.parametrize("recording", ["unreadable_list", "unreadable_cut_off"])
def test_what_chatwoot_would_never_send_is_unreadable(load_trigger, recording):
    with pytest.raises(Unreadable):
        chatwoot.parse(load_trigger("chatwoot", recording))


def test_values_of_other_types_are_left_out(load_trigger):
    event = one(load_trigger("chatwoot", "wrong_shapes"))
    assert (event.kind, event.subject, event.id is None) == (EventKind.CHAT_ENDED, None, False)
    assert event.values.keys() == {"event.kind", "event.id"}
