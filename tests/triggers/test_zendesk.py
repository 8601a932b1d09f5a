from __future__ import annotations

import hmac
import json
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from marshmallow import ValidationError

from plugin.domain.event import EventKind, is_known
from plugin.domain.survey_call import OutboundResponse
from plugin.errors import SignatureInvalid, Unreadable
from plugin.redaction import Secret
from plugin.triggers import zendesk
from plugin.triggers.base import InboundRequest

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

API = {"api_origin": "https://acme.zendesk.com", "api_email": "surveys@acme.example", "api_token": "token-1"}
MESSAGING_API = {
    "api_origin": "https://acme.zendesk.com",
    "conversations_key_id": "app_5deac3a7b8ffd80010d6ea05",
    "conversations_key_secret": "key-secret-1",
}


def load(**credentials):
    return zendesk.SOURCE.credentials().load(credentials)


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


# --- Zendesk's own ticket events


STATUS_CHANGED = "zen:event-type:ticket.status_changed"


@pytest.mark.parametrize(
    ("recording", "kind", "subject", "told"),
    [
        ("event_solved", EventKind.TICKET_CLOSED, "ticket:35436", STATUS_CHANGED),
        ("event_solved_no_requester", EventKind.TICKET_CLOSED, "ticket:35436", STATUS_CHANGED),
        ("event_closed_at_once_big_ids", EventKind.TICKET_CLOSED, "ticket:9007199254740993123", STATUS_CHANGED),
        ("event_solved_ids_as_numbers", EventKind.TICKET_CLOSED, "ticket:9007199254740993123", STATUS_CHANGED),
        ("event_closed_by_itself_after_solved", EventKind.TICKET_CLOSED, "ticket:35436", STATUS_CHANGED),
        ("event_reopened", EventKind.TICKET_REOPENED, "ticket:35436", STATUS_CHANGED),
        (
            "event_closed_by_merge",
            EventKind.UNSUPPORTED,
            "ticket:35436",
            f"{STATUS_CHANGED}: closed_by_merge",
        ),
        ("event_still_under_way", EventKind.UNSUPPORTED, "ticket:35436", f"{STATUS_CHANGED}: PENDING"),
        ("event_deleted_status", EventKind.UNSUPPORTED, "ticket:35436", f"{STATUS_CHANGED}: DELETED"),
        ("event_archived", EventKind.UNSUPPORTED, "ticket:35436", f"{STATUS_CHANGED}: ARCHIVED"),
        ("event_scrubbed", EventKind.UNSUPPORTED, "ticket:35436", f"{STATUS_CHANGED}: SCRUBBED"),
        ("event_restored_as_solved", EventKind.UNSUPPORTED, "ticket:35436", f"{STATUS_CHANGED}: SOLVED"),
        ("event_wrong_shapes", EventKind.UNSUPPORTED, None, STATUS_CHANGED),
        (
            "event_custom_status_of_a_solved_ticket",
            EventKind.UNSUPPORTED,
            "ticket:35436",
            "zen:event-type:ticket.custom_status_changed",
        ),
        ("event_merged", EventKind.UNSUPPORTED, "ticket:35436", "zen:event-type:ticket.merged"),
        ("event_soft_deleted", EventKind.UNSUPPORTED, "ticket:35436", "zen:event-type:ticket.soft_deleted"),
        ("event_marked_as_spam", EventKind.UNSUPPORTED, "ticket:35436", "zen:event-type:ticket.marked_as_spam"),
        ("event_tags_of_a_solved_ticket", EventKind.UNSUPPORTED, "ticket:35436", "zen:event-type:ticket.tags_changed"),
        (
            "event_comment_on_a_solved_ticket",
            EventKind.UNSUPPORTED,
            "ticket:35436",
            "zen:event-type:ticket.comment_added",
        ),
        ("event_user_created", EventKind.UNSUPPORTED, None, "zen:event-type:user.created"),
    ],
)
def test_only_a_change_of_the_status_closes_or_reopens(load_trigger, recording, kind, subject, told):
    [event] = zendesk.parse(load_trigger("zendesk", recording))
    assert (event.kind, event.subject, event.vendor_kind) == (kind, subject, told)
    assert "person.email" not in event.values
    assert kind is EventKind.TICKET_REOPENED or len(event.notes) == 1


def test_an_event_is_known_by_its_own_id_and_its_closing_by_the_tickets_last_change(load_trigger):
    [event] = zendesk.parse(load_trigger("zendesk", "event_solved"))
    assert event.id == event.values["event.id"] == "cbe4028c-7239-495d-b020-f22348516101"
    assert event.closing_mark == event.values["ticket.updated_at"] == "2026-01-02T03:04:01Z"
    assert (event.time, event.account) == (datetime(2026, 1, 2, 3, 4, 2, 61000, tzinfo=UTC), "9001")


def test_an_event_without_an_id_is_known_by_what_it_says(load_trigger):
    request = load_trigger("zendesk", "event_solved_no_event_id")
    [event], [again] = zendesk.parse(request), zendesk.parse(replace(request, headers={}))
    [later] = zendesk.parse(replace(request, body=request.body.replace(b"03:04:02", b"03:04:03")))
    assert event.id == again.id != later.id


def test_an_event_gives_the_placeholders_that_a_trigger_gives_tidied_and_the_ids_besides(load_trigger):
    [event] = zendesk.parse(load_trigger("zendesk", "event_solved"))
    assert {name: value for name, value in event.values.items() if name.startswith("ticket.")} == {
        "ticket.id": "35436",
        "ticket.title": "Printer on fire",
        "ticket.status": "solved",
        "ticket.type": "incident",
        "ticket.priority": "high",
        "ticket.channel": "web_service",
        "ticket.via": "web_service",
        "ticket.tags": ("vip", "printer"),
        "ticket.created_at": "2026-01-01T10:00:00Z",
        "ticket.updated_at": "2026-01-02T03:04:01Z",
        "ticket.custom.previous_status": "open",
        "ticket.custom.requester_id": "8447388090494",
        "ticket.custom.assignee_id": "8447388090499",
        "ticket.custom.group_id": "8447320466431",
        "ticket.custom.brand_id": "8447346621310",
        "ticket.custom.organization_id": "8447346622462",
        "ticket.custom.form_id": "8447320466430",
        "ticket.custom.custom_status": "8447320465790",
    }


@pytest.mark.parametrize("recording", ["event_closed_at_once_big_ids", "event_solved_ids_as_numbers"])
def test_ids_keep_every_digit(load_trigger, recording):
    [event] = zendesk.parse(load_trigger("zendesk", recording))
    assert event.values["ticket.custom.requester_id"] == "9007199254740995551"


def test_a_subject_that_quotes_zendesks_words_is_still_a_body_of_the_customers_own(load_trigger):
    request = load_trigger("zendesk", "ticket_closed")
    quoting = b'"link": "x", "type": "zen:event-type:ticket.merged", "note": "\\"events\\""'
    [event] = zendesk.parse(replace(request, body=request.body.replace(b'"external_id": ""', quoting)))
    assert (event.kind, event.values["person.email"]) == (EventKind.TICKET_CLOSED, "lucja.nowak@example.com")


# --- asking Zendesk who the requester is

USER = {
    "id": 8447388090494,
    "url": "https://acme.zendesk.com/api/v2/users/8447388090494.json",
    "name": "Łucja Nowak",
    "email": "lucja.nowak@example.com",
    "phone": "+48221234567",
    "locale": "pl",
    "external_id": "C-1024",
    "role": "end-user",
    "suspended": False,
    "active": True,
    "verified": True,
}


def answered(document):
    return OutboundResponse(200, body=json.dumps(document).encode(), origin="https://acme.zendesk.com")


def solved(load_trigger, recording="event_solved"):
    [event] = zendesk.parse(load_trigger("zendesk", recording))
    return event


def test_the_requester_is_asked_for_with_the_token_in_no_place_that_is_shown(load_trigger):
    credentials = load(signing_secret="a", **API)
    request = zendesk.lookup(solved(load_trigger), credentials)
    assert (request.method, request.url()) == ("GET", "https://acme.zendesk.com/api/v2/users/8447388090494.json")
    sent = dict(request.headers)["Authorization"].reveal()
    assert sent == "Basic " + b64encode(b"surveys@acme.example/token:token-1").decode()
    assert Secret("token-1") in request.secrets
    assert "token-1" not in repr(request)
    assert list(zendesk.lookup_origins(credentials)) == ["https://acme.zendesk.com"]


@pytest.mark.parametrize(
    "recording",
    [
        "ticket_closed",
        "ticket_closed_unrendered",
        "event_solved_no_requester",
        "event_closed_by_itself_after_solved",
        "event_reopened",
        "event_closed_by_merge",
        "event_user_created",
    ],
)
def test_nobody_is_looked_up_where_nobody_will_be_asked_or_all_is_told(load_trigger, recording):
    assert zendesk.lookup(solved(load_trigger, recording), load(signing_secret="a", **API)) is None


def test_without_api_credentials_nothing_is_asked_and_the_note_says_how_to_give_them(load_trigger):
    event = solved(load_trigger)
    assert zendesk.lookup(event, load(signing_secret="a")) is None
    assert list(zendesk.lookup_origins(load(signing_secret="a"))) == []
    assert "api_origin, api_email and api_token" in event.notes[0]


def test_the_answer_completes_the_event_and_nothing_more_is_asked(load_trigger):
    event = zendesk.complete(solved(load_trigger), answered({"user": USER}))
    told = {name: event.values.get(name) for name in event.values if name.startswith(("person.", "ticket.requester."))}
    assert told == {
        **{f"ticket.requester.{name}": USER[name] for name in ("name", "email", "phone", "external_id")},
        "ticket.requester.language": "pl",
        **{f"person.{name}": USER[name] for name in ("name", "email", "phone")},
        "person.language": "pl",
    }
    assert event.values["ticket.link"] == "https://acme.zendesk.com/agent/tickets/35436"
    assert (event.kind, event.notes) == (EventKind.TICKET_CLOSED, ())
    assert zendesk.lookup(event, load(signing_secret="a", **API)) is None


@pytest.mark.parametrize(
    ("differs", "reason"),
    [
        ({"role": "agent"}, "works in this Zendesk (role agent)"),
        ({"role": "admin"}, "works in this Zendesk (role admin)"),
        ({"suspended": True}, "suspended"),
        ({"active": False, "email": None}, "deleted"),
    ],
)
def test_agents_and_people_who_are_gone_are_told_apart_and_their_address_is_left_out(load_trigger, differs, reason):
    event = zendesk.complete(solved(load_trigger), answered({"user": {**USER, **differs}}))
    assert (event.kind, event.values["event.kind"]) == (EventKind.UNSUPPORTED, "unsupported")
    [note] = event.notes
    assert reason in note
    assert not [name for name in event.values if name.startswith(("person.", "ticket.requester."))]
    assert zendesk.lookup(event, load(signing_secret="a", **API)) is None


def test_a_requester_without_any_address_is_told_and_not_asked_for_again(load_trigger):
    event = zendesk.complete(solved(load_trigger), answered({"user": {**USER, "email": None, "phone": ""}}))
    assert (event.kind, event.values["person.name"]) == (EventKind.TICKET_CLOSED, "Łucja Nowak")
    assert "neither an e-mail address nor a phone number" in event.notes[0]
    assert zendesk.lookup(event, load(signing_secret="a", **API)) is None


@pytest.mark.parametrize("document", [[], {}, {"user": None}, {"user": ["x"]}, {"users": [USER]}])
def test_an_answer_that_holds_no_user_is_refused(load_trigger, document):
    with pytest.raises(Unreadable):
        zendesk.complete(solved(load_trigger), answered(document))


def test_an_answer_that_was_cut_off_is_refused(load_trigger):
    with pytest.raises(Unreadable):
        zendesk.complete(solved(load_trigger), replace(answered({"user": USER}), cut=True))


# --- messaging

RELEASED = "switchboard:releaseControl"


@pytest.mark.parametrize(
    ("recording", "kind", "email", "told"),
    [
        ("conversations_ticket_closed", EventKind.CHAT_ENDED, None, f"{RELEASED}: ticketClosed"),
        (
            "conversations_ticket_closed_full_user",
            EventKind.CHAT_ENDED,
            "lucja.nowak@example.com",
            f"{RELEASED}: ticketClosed",
        ),
        (
            "conversations_ticket_closed_address_among_identities",
            EventKind.CHAT_ENDED,
            "lucja.nowak@example.com",
            f"{RELEASED}: ticketClosed",
        ),
        (
            "conversations_wrong_content_type",
            EventKind.CHAT_ENDED,
            "lucja.nowak@example.com",
            f"{RELEASED}: ticketClosed",
        ),
        ("conversations_ticket_closed_anonymous", EventKind.CHAT_ENDED, None, f"{RELEASED}: ticketClosed"),
        ("conversations_transferred_to_email", EventKind.UNSUPPORTED, None, f"{RELEASED}: transferToEmail"),
        ("conversations_released_without_reason", EventKind.UNSUPPORTED, None, RELEASED),
        ("conversations_agents_message", EventKind.UNSUPPORTED, None, "conversation:message"),
        ("conversations_pass_control", EventKind.UNSUPPORTED, None, "switchboard:passControl"),
    ],
)
def test_a_conversation_ends_when_its_ticket_is_closed(load_trigger, recording, kind, email, told):
    [event] = zendesk.parse(load_trigger("zendesk", recording))
    assert (event.kind, event.values.get("person.email"), event.vendor_kind) == (kind, email, told)
    assert (event.subject, event.account) == ("chat:13f32c6cf7d0d38e6e0eba93", "5698edbf2a43bd081be982f1")


def test_each_event_of_a_request_is_one_by_itself(load_trigger):
    events = zendesk.parse(load_trigger("zendesk", "conversations_several_events"))
    assert [(event.kind.value, event.id, event.values["chat.id"][-4:]) for event in events] == [
        ("unsupported", "0ca7d56ba7b2e081e479f001", "ba93"),
        ("chat.ended", "0ca7d56ba7b2e081e479fe9e", "ba93"),
        ("chat.ended", "0ca7d56ba7b2e081e479f002", "0002"),
        ("unsupported", "0ca7d56ba7b2e081e479f003", "0003"),
    ]
    assert [event.closing_mark for event in events] == [
        None,
        "2026-01-02T03:04:02.061Z",
        "2026-01-02T03:04:02.061Z",
        None,
    ]


def test_a_profile_gives_the_visitor(load_trigger):
    [event] = zendesk.parse(load_trigger("zendesk", "conversations_ticket_closed_full_user"))
    assert {name: value for name, value in event.values.items() if name.startswith("chat.")} == {
        "chat.id": "13f32c6cf7d0d38e6e0eba93",
        "chat.visitor.first_name": "Łucja",
        "chat.visitor.last_name": "Nowak",
        "chat.visitor.name": "Łucja Nowak",
        "chat.visitor.email": "lucja.nowak@example.com",
        "chat.visitor.language": "pl-PL",
        "chat.visitor.external_id": "C-1024",
    }
    assert event.notes == ()


def test_a_customer_who_gave_no_address_is_told(load_trigger):
    [event] = zendesk.parse(load_trigger("zendesk", "conversations_ticket_closed_anonymous"))
    assert event.values["person.language"] == "cs-CZ"
    assert event.notes == ("The customer's profile in Zendesk messaging holds no e-mail address.",)
    assert zendesk.lookup(event, load(conversations_secret="a", **MESSAGING_API)) is None


def test_an_event_of_messaging_without_an_id_is_known_by_what_it_says(load_trigger):
    request = load_trigger("zendesk", "conversations_no_event_id")
    [event], [again] = zendesk.parse(request), zendesk.parse(replace(request, headers={}))
    assert event.id == again.id
    assert len(event.id) == 40


def test_what_has_another_shape_is_kept_and_leads_nowhere(load_trigger):
    events = zendesk.parse(load_trigger("zendesk", "conversations_wrong_shapes"))
    assert [event.subject for event in events] == [None] * 6
    assert [event.kind.closes for event in events] == [False] * 4 + [True] * 2
    for event in events:
        assert zendesk.lookup(event, load(conversations_secret="a", **MESSAGING_API)) is None


def test_a_request_of_no_events_is_a_ping(load_trigger):
    assert zendesk.parse(load_trigger("zendesk", "conversations_no_events")) == []


# --- asking messaging who took part

PARTICIPANTS = {"participants": [{"id": "p1", "userId": "cbec0073faeda4dfcd21d0f1", "userExternalId": "C-1024"}]}
MESSAGING_USER = {
    "id": "cbec0073faeda4dfcd21d0f1",
    "externalId": "C-1024",
    "profile": {"givenName": "Łucja", "surname": "Nowak", "email": "lucja.nowak@example.com", "locale": "pl-PL"},
}
APP = "5698edbf2a43bd081be982f1"


@pytest.mark.parametrize(
    ("origin", "root"),
    [
        ("https://acme.zendesk.com", "https://acme.zendesk.com/sc/v2"),
        ("https://api.smooch.io", "https://api.smooch.io/v2"),
        ("https://api.eu-1.smooch.io", "https://api.eu-1.smooch.io/v2"),
        ("https://notsmooch.io", "https://notsmooch.io/sc/v2"),
    ],
)
def test_the_participants_are_asked_for_and_then_the_one_user(load_trigger, origin, root):
    credentials = load(conversations_secret="a", **{**MESSAGING_API, "api_origin": origin})
    event = solved(load_trigger, "conversations_ticket_closed")

    first = zendesk.lookup(event, credentials)
    assert first.url() == f"{root}/apps/{APP}/conversations/13f32c6cf7d0d38e6e0eba93/participants"
    assert dict(first.headers)["Authorization"].reveal().startswith("Basic ")

    event = zendesk.complete(event, answered(PARTICIPANTS))
    second = zendesk.lookup(event, credentials)
    assert second.url() == f"{root}/apps/{APP}/users/cbec0073faeda4dfcd21d0f1"

    event = zendesk.complete(event, answered({"user": MESSAGING_USER}))
    assert (event.kind, event.notes) == (EventKind.CHAT_ENDED, ())
    assert event.values["person.email"] == "lucja.nowak@example.com"
    assert event.values["person.language"] == "pl-PL"
    assert zendesk.lookup(event, credentials) is None


def test_a_user_who_is_named_by_an_id_is_asked_for_at_once(load_trigger):
    event = solved(load_trigger, "conversations_ticket_closed_user_by_id")
    request = zendesk.lookup(event, load(conversations_secret="a", **MESSAGING_API))
    assert request.url().endswith(f"/sc/v2/apps/{APP}/users/cbec0073faeda4dfcd21d0f1")


@pytest.mark.parametrize(
    ("participants", "told"),
    [
        ([], "no customer"),
        ([{"userId": "a1"}, {"userId": "b2"}], "several customers"),
        (["x", {"userId": None}], "no customer"),
    ],
)
def test_of_several_participants_none_is_picked(load_trigger, participants, told):
    event = solved(load_trigger, "conversations_ticket_closed")
    event = zendesk.complete(event, answered({"participants": participants}))
    [note] = event.notes
    assert told in note
    assert zendesk.lookup(event, load(conversations_secret="a", **MESSAGING_API)) is None


@pytest.mark.parametrize("user", [{"id": "cbec"}, {"id": "cbec", "profile": {"givenName": "Łucja"}}, {}])
def test_a_user_without_an_address_is_told_and_not_asked_for_again(load_trigger, user):
    event = solved(load_trigger, "conversations_ticket_closed_user_by_id")
    event = zendesk.complete(event, answered({"user": user}))
    assert event.notes == ("The customer's profile in Zendesk messaging holds no e-mail address.",)
    assert zendesk.lookup(event, load(conversations_secret="a", **MESSAGING_API)) is None


def test_without_a_key_nothing_is_asked_and_the_note_says_how_to_give_one(load_trigger):
    event = solved(load_trigger, "conversations_ticket_closed")
    assert zendesk.lookup(event, load(conversations_secret="a")) is None
    assert "conversations_key_id and conversations_key_secret" in event.notes[0]


@pytest.mark.parametrize(
    ("recording", "document"),
    [
        ("conversations_ticket_closed", {"participants": None}),
        ("conversations_ticket_closed", []),
        ("conversations_ticket_closed_user_by_id", {"user": "x"}),
        ("conversations_ticket_closed_user_by_id", {"error": {"code": "not_found"}}),
    ],
)
def test_an_answer_of_messaging_that_holds_something_else_is_refused(load_trigger, recording, document):
    with pytest.raises(Unreadable):
        zendesk.complete(solved(load_trigger, recording), answered(document))


# --- answers that are not what they should be

ODD = [None, True, 0, -1, 10**30, 1.5, "", " ", "x", "{{x}}", [], [None], {}, {"": None}, {"email": 1}, "x" * 70_000]


@pytest.mark.parametrize("odd", ODD, ids=[str(number) for number in range(len(ODD))])
def test_an_odd_value_anywhere_in_an_answer_completes_the_event_or_makes_it_unreadable(load_trigger, odd):
    ticket = solved(load_trigger)
    conversation = solved(load_trigger, "conversations_ticket_closed")
    known = solved(load_trigger, "conversations_ticket_closed_user_by_id")
    profile = MESSAGING_USER["profile"]
    answers = [
        (ticket, odd),
        *((ticket, {"user": {**USER, name: odd}}) for name in USER),
        *((conversation, {"participants": each}) for each in (odd, [odd], [{"userId": odd}])),
        *((known, {"user": {**MESSAGING_USER, name: odd}}) for name in (*MESSAGING_USER, "identities")),
        *((known, {"user": {"profile": {**profile, name: odd}, "identities": [odd]}}) for name in profile),
        (known, {"user": {"profile": {}, "identities": [{"type": odd, "value": odd}]}}),
        (known, {"user": {"profile": {}, "identities": [{"type": "email", "value": odd}]}}),
    ]
    for event, document in answers:
        try:
            completed = zendesk.complete(event, answered(document))
        except Unreadable:
            continue
        assert all(is_known(name) and value for name, value in completed.values.items())
        for credentials in (load(signing_secret="a", **API), load(conversations_secret="a", **MESSAGING_API)):
            request = zendesk.lookup(completed, credentials)
            assert request is None or (completed.kind is EventKind.CHAT_ENDED and "/users/" in request.url())
