from __future__ import annotations

import hmac
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from marshmallow import ValidationError

from plugin.domain.event import EventKind
from plugin.errors import SignatureInvalid, Unreadable
from plugin.redaction import Secret
from plugin.triggers import zendesk
from plugin.triggers.base import InboundRequest
from tests.triggers.zendesk.asking import API, MESSAGING_API, load

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
STAMP = "2026-01-02T03:04:05Z"
BODY = '{"ticket":{"id":"4711","note":"Żółć \\"ok\\""},"n":1}'.encode()
PUBLIC_SECRET = "dGhpc19zZWNyZXRfaXNfZm9yX3Rlc3Rpbmdfb25seQ=="
CREDENTIALS = {"signing_secret": Secret(PUBLIC_SECRET)}
SHARED_SECRET = "8564b3e6a8b20a4bdb68b05ce9bc5936"
MESSAGING = {"conversations_secret": Secret(SHARED_SECRET)}


def signed(signature, body=BODY, stamp=STAMP, query=""):
    headers = {"x-zendesk-webhook-signature": signature, "x-zendesk-webhook-signature-timestamp": stamp}
    return InboundRequest("POST", query, headers, body)


def sign(secret, message):
    return b64encode(hmac.digest(secret, message, "sha256")).decode()


# --- proof


@pytest.mark.parametrize(
    ("body", "signature"),
    [(BODY, "xvAV84G8dKTDb7wVCpSdrbrMBG5YcAeWe3AeWYqBgAY="), (b"", "1xsiPKGHFyXedEmvxNaOg4VQ2U4XjHcPMETpJymjCkg=")],
)
def test_the_timestamp_and_the_raw_body_are_what_is_signed(body, signature):
    zendesk.verify(signed(signature, body), CREDENTIALS, NOW)


def test_a_timestamp_in_unix_seconds_is_taken_too():
    zendesk.verify(signed(sign(PUBLIC_SECRET.encode(), b"1767323045" + BODY), stamp="1767323045"), CREDENTIALS, NOW)


@pytest.mark.parametrize(
    "signature",
    [
        pytest.param(sign(PUBLIC_SECRET.encode(), BODY + STAMP.encode()), id="the recipe of old, body first"),
        pytest.param(sign(b"this_secret_is_for_testing_only", STAMP.encode() + BODY), id="the secret decoded"),
        pytest.param(sign(PUBLIC_SECRET.encode(), BODY), id="without the timestamp"),
        pytest.param("", id="nothing"),
        pytest.param("xvAV84G8dKTDb7wVCpSdrbrMBG5YcAeWe3AeWYqBgAY", id="without its padding"),
        pytest.param("é=", id="no base64"),
    ],
)
def test_any_other_signature_is_refused(signature):
    with pytest.raises(SignatureInvalid):
        zendesk.verify(signed(signature), CREDENTIALS, NOW)


@pytest.mark.parametrize("stamp", ["", "soon", "nan", "9" * 400, "2026-01-02"])
def test_a_timestamp_that_cannot_be_read_or_is_far_off_is_refused_although_signed(stamp):
    with pytest.raises(SignatureInvalid):
        zendesk.verify(signed(sign(PUBLIC_SECRET.encode(), stamp.encode() + BODY), stamp=stamp), CREDENTIALS, NOW)


@pytest.mark.parametrize("seconds", [-301, 301])
def test_a_stale_or_future_request_is_refused(seconds):
    request = signed("xvAV84G8dKTDb7wVCpSdrbrMBG5YcAeWe3AeWYqBgAY=")
    with pytest.raises(SignatureInvalid):
        zendesk.verify(request, CREDENTIALS, NOW + timedelta(seconds=seconds))


def test_the_public_test_secret_signs_only_by_itself():
    request = signed("xvAV84G8dKTDb7wVCpSdrbrMBG5YcAeWe3AeWYqBgAY=")
    zendesk.verify(request, zendesk.SOURCE.test_credentials, NOW)
    with pytest.raises(SignatureInvalid):
        zendesk.verify(request, {"signing_secret": Secret("the tenant's own")}, NOW)


def test_every_recording_is_proved_as_zendesk_would(load_trigger, recordings_of):
    for name in recordings_of("zendesk"):
        zendesk.verify(load_trigger("zendesk", name), MESSAGING if "conversations" in name else CREDENTIALS, NOW)


def test_a_request_sent_again_has_the_same_replay_mark_whatever_else_it_claims(load_trigger):
    request = load_trigger("zendesk", "ticket_closed")
    again = replace(request, query="x=1", headers={**request.headers, "x-zendesk-webhook-invocation-id": "other"})
    later = replace(
        request, headers={**request.headers, "x-zendesk-webhook-signature-timestamp": "2026-01-02T03:04:06Z"}
    )
    mark = zendesk.replay_mark(request, CREDENTIALS)
    assert mark == zendesk.replay_mark(again, CREDENTIALS)
    assert mark != zendesk.replay_mark(later, CREDENTIALS)


@pytest.mark.parametrize("given", ["", " ", SHARED_SECRET[:-1], f"{SHARED_SECRET}0", SHARED_SECRET.upper(), "ž\udcff"])
def test_messaging_proves_itself_by_its_shared_secret_alone(load_trigger, given):
    request = load_trigger("zendesk", "conversations_ticket_closed")
    zendesk.verify(request, MESSAGING, NOW)
    with pytest.raises(SignatureInvalid):
        zendesk.verify(replace(request, headers={**request.headers, "x-api-key": given}), MESSAGING, NOW)


def test_neither_proof_stands_for_the_other(load_trigger):
    for name, credentials in (("event_solved", MESSAGING), ("conversations_ticket_closed", CREDENTIALS)):
        with pytest.raises(SignatureInvalid):
            zendesk.verify(load_trigger("zendesk", name), credentials, NOW)


def test_a_shared_secret_covers_no_time_so_that_nothing_marks_a_repeated_request(load_trigger):
    assert zendesk.replay_mark(load_trigger("zendesk", "conversations_ticket_closed"), MESSAGING) is None


# --- credentials


@pytest.mark.parametrize(
    ("credentials", "place", "problem"),
    [
        ({}, "signing_secret", "is required."),
        ({"signing_secret": ""}, "signing_secret", "must not be empty."),
        ({"conversations_secret": " "}, "conversations_secret", "must not be empty."),
        ({"signing_secret": "a", "conversations_secret": "b"}, "conversations_secret", "is for messaging"),
        ({"signing_secret": "a", **API, "api_email": "nobody"}, "api_email", "must be an e-mail address."),
        ({"signing_secret": "a", "api_token": "t"}, "api_email", "is required with api_token."),
        (
            {"signing_secret": "a", "api_token": "t", "api_email": "a@b.c"},
            "api_origin",
            "is required with api_token.",
        ),
        (
            {"conversations_secret": "a", "conversations_key_id": "k"},
            "conversations_key_secret",
            "is required with conversations_key_id.",
        ),
    ],
)
def test_credentials_that_cannot_work_are_told_with_their_place(credentials, place, problem):
    with pytest.raises(ValidationError) as caught:
        load(**credentials)
    assert caught.value.messages[place][0].startswith(problem)


@pytest.mark.parametrize("proof", [{"signing_secret": "a"}, {"conversations_secret": "b"}])
def test_one_proof_is_enough_and_the_rest_may_be_given_besides(proof):
    assert load(**proof).keys() == proof.keys()
    whole = {**proof, **API, **MESSAGING_API}
    assert load(**whole).keys() == whole.keys()


# --- events


@pytest.mark.parametrize(
    ("recording", "kind", "subject", "email"),
    [
        ("ticket_closed", EventKind.TICKET_CLOSED, "ticket:35436", "lucja.nowak@example.com"),
        ("ticket_closed_dirty_values", EventKind.TICKET_CLOSED, "ticket:35436", "lucja.nowak@example.com"),
        ("ticket_closed_unrendered", EventKind.TICKET_CLOSED, "ticket:35436", None),
        ("ticket_closed_own_names", EventKind.TICKET_CLOSED, "ticket:35436", "lucja.nowak@example.com"),
        ("ticket_closed_by_query", EventKind.TICKET_CLOSED, "ticket:35436", "lucja.nowak@example.com"),
        ("ticket_closed_form", EventKind.TICKET_CLOSED, "ticket:35436", "lucja.nowak@example.com"),
        ("ticket_closed_big_id", EventKind.TICKET_CLOSED, "ticket:9007199254740993123", "lucja.nowak@example.com"),
        ("ticket_reopened", EventKind.TICKET_REOPENED, "ticket:35436", "lucja.nowak@example.com"),
    ],
)
def test_what_happened_to_which_ticket_and_who_is_the_customer(load_trigger, recording, kind, subject, email):
    [event] = zendesk.parse(load_trigger("zendesk", recording))
    assert (event.kind, event.subject, event.values.get("person.email")) == (kind, subject, email)


def test_the_invocation_is_the_event(load_trigger):
    request = load_trigger("zendesk", "ticket_closed")
    [event] = zendesk.parse(request)
    assert event.id == request.headers["x-zendesk-webhook-invocation-id"]


@pytest.mark.parametrize("recording", ["ticket_closed", "ticket_closed_own_names", "ticket_closed_by_query"])
def test_the_time_of_the_last_change_marks_the_closing(load_trigger, recording):
    [event] = zendesk.parse(load_trigger("zendesk", recording))
    assert event.closing_mark == event.values["ticket.updated_at"] == "2026-01-02T03:04:01Z"


def test_zendesks_habits_are_mended(load_trigger):
    [event] = zendesk.parse(load_trigger("zendesk", "ticket_closed_dirty_values"))
    shown = {name: event.values.get(f"ticket.{name}") for name in ("url", "tags", "status", "requester.name")}
    assert shown == {
        "url": "https://acme.zendesk.com/agent/tickets/35436",
        "tags": ("vip", "printer", "floor_3"),
        "status": "solved",
        "requester.name": "Łucja Nowak",
    }
    assert "ticket.requester.phone" not in event.values
    # Its dates are written for people here, so none of them tells this closing from one later today.
    assert event.closing_mark is None


def test_a_placeholder_that_zendesk_did_not_know_is_unrendered_and_a_subject_that_quotes_one_is_not(load_trigger):
    [event] = zendesk.parse(load_trigger("zendesk", "ticket_closed_unrendered"))
    assert event.unrendered >= {"ticket.requester.email", "ticket.requester.phone", "person.email", "person.phone"}
    assert event.values["ticket.title"] == "Why is there {{ticket.id}} in my mail?"


def test_a_status_in_the_language_of_the_account_is_understood(load_trigger):
    [event] = zendesk.parse(load_trigger("zendesk", "ticket_solved_polish_label"))
    assert event.values["ticket.status"] == "solved"


def test_a_subject_arrives_as_it_was_written(load_trigger):
    [event] = zendesk.parse(load_trigger("zendesk", "ticket_closed_subject"))
    assert event.values["ticket.title"] == 'He said "fire" 🔥\nsecond line\\ & <b>žluťoučký</b> кінь'


def test_an_unescaped_quote_is_put_right_where_it_stands_last(load_trigger):
    [event] = zendesk.parse(load_trigger("zendesk", "ticket_closed_unescaped_subject"))
    assert (event.subject, event.values["ticket.title"]) == ("ticket:35436", 'He said "fire"')
    assert "ticket.title holds a quotation mark as it was typed" in event.notes[0]


def test_an_unescaped_quote_is_put_right_anywhere_in_a_body_of_ours(load_trigger):
    [event] = zendesk.parse(load_trigger("zendesk", "ticket_closed_unescaped_subject_in_our_body"))
    [sound] = zendesk.parse(load_trigger("zendesk", "ticket_closed"))
    assert event.values["ticket.title"] == 'He said "fire", "smoke"}'
    assert {**event.values, "event.id": sound.id} == {**sound.values, "ticket.title": 'He said "fire", "smoke"}'}


def test_an_unescaped_quote_is_told_with_its_place_where_the_rest_could_belong_to_the_text(load_trigger):
    with pytest.raises(Unreadable, match=r"line 2, column 32.*quote"):
        zendesk.parse(load_trigger("zendesk", "unreadable_unescaped_subject_before_the_id"))


def test_a_test_call_without_a_body_is_a_ping(load_trigger):
    assert zendesk.parse(load_trigger("zendesk", "ping_empty")) == []


def test_a_subject_that_quotes_zendesks_words_is_still_a_body_of_the_customers_own(load_trigger):
    request = load_trigger("zendesk", "ticket_closed")
    quoting = b'"link": "x", "type": "zen:event-type:ticket.merged", "note": "\\"events\\""'
    [event] = zendesk.parse(replace(request, body=request.body.replace(b'"external_id": ""', quoting)))
    assert (event.kind, event.values["person.email"]) == (EventKind.TICKET_CLOSED, "lucja.nowak@example.com")
