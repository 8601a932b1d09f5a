from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from marshmallow import ValidationError

from plugin.domain.event import EventKind
from plugin.domain.survey_call import OutboundResponse
from plugin.errors import SignatureInvalid, Unreadable
from plugin.redaction import Secret
from plugin.triggers import freshdesk
from plugin.triggers.base import InboundRequest
from plugin.triggers.freshdesk.tickets import Change, change_in

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CLOSED, REOPENED = EventKind.TICKET_CLOSED, EventKind.TICKET_REOPENED
ENDED, NOTHING = EventKind.CHAT_ENDED, EventKind.UNSUPPORTED
CUSTOMER, PHONE = "lucja.nowak@example.com", "+48221234567"

#: Of the signed recording, as Freshchat showed it: on one line, and under a name that is not quite its form's.
PUBLISHED_KEY = (
    "-----BEGIN RSA PUBLIC KEY----- "
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAuGJLF4hTTtxWogT6dNkGf3CEgLAR2mGJzlds5cNb"
    "rHFoJNFnmVhkRYGzLYxx4EtDiezNCZVHfyMI2AKuNSQW2fEdDatVIG+q3Zr/X9eeDl8kQOGy804J/fgCYDrN8RQu0n5Dh1inv4puca0wb29SCvoAwrWb"
    "33ehDBIvv6+rUKBdjtv2xTV65kNiVDo5VRCaYRVeE10osxeONgw55HVY4nczuxnR+dmc2282de6WHe5LXtr0ZBdJ8yttFOLIluZ/sNM5DIWZBkIWQhyT"
    "581tbA7bTpsIbrT/IMBlmioIILw8WGtI7zcmNkjU5dnq5HnlVKEDhj/Ug/dLiyno8+Vp7QIDAQAB -----END RSA PUBLIC KEY-----"
)


@pytest.fixture(scope="module")
def key_pair():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(key, form=serialization.PublicFormat.SubjectPublicKeyInfo):
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def signed(key, body=b'{"action":"x"}', digest=None):
    signature = key.sign(body, padding.PKCS1v15(), digest or SHA256())
    return InboundRequest("POST", "", {"x-freshchat-signature": b64encode(signature).decode()}, body)


def loaded(**credentials):
    return freshdesk.SOURCE.credentials().load(credentials)


# --- proof


def test_a_message_that_freshchat_signed_is_let_in_by_the_key_that_it_showed(load_trigger):
    recorded = load_trigger("freshdesk", "freshchat_message_create_signed")
    freshdesk.verify(recorded, loaded(freshchat_public_key=PUBLISHED_KEY), NOW)
    with pytest.raises(SignatureInvalid):
        freshdesk.verify(replace(recorded, body=recorded.body + b" "), loaded(freshchat_public_key=PUBLISHED_KEY), NOW)


def test_the_key_may_stand_in_lines_on_one_line_or_bare(key_pair):
    whole = pem(key_pair)
    bare = "".join(whole.splitlines()[1:-1])
    old = pem(key_pair, serialization.PublicFormat.PKCS1)
    for text in (whole, whole.replace("\n", " "), whole.replace("PUBLIC", "RSA PUBLIC"), bare, f"  {bare}\r\n", old):
        freshdesk.verify(signed(key_pair), loaded(freshchat_public_key=text), NOW)


def test_what_is_no_rsa_key_of_ordinary_length_is_refused_when_it_is_entered(key_pair):
    private = key_pair.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    short = pem(rsa.generate_private_key(public_exponent=65537, key_size=1024))
    for text in (
        "secret",
        "-----BEGIN RSA PUBLIC KEY-----",
        private,
        short,
        pem(ec.generate_private_key(ec.SECP256R1())),
    ):
        with pytest.raises(ValidationError, match="RSA public key"):
            loaded(freshchat_public_key=text)


def test_any_other_signature_is_refused(key_pair):
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    body = b'{"action":"x"}'
    pss = padding.PSS(padding.MGF1(SHA256()), padding.PSS.MAX_LENGTH)
    given = [
        signed(other),
        signed(key_pair, digest=SHA1()),
        replace(
            signed(key_pair), headers={"x-freshchat-signature": b64encode(key_pair.sign(body, pss, SHA256())).decode()}
        ),
        *(
            replace(signed(key_pair), headers={"x-freshchat-signature": text})
            for text in ("", "AAAA", "é=", "sha256=00")
        ),
        replace(signed(key_pair), headers={}),
    ]
    for request in given:
        with pytest.raises(SignatureInvalid):
            freshdesk.verify(request, loaded(freshchat_public_key=pem(key_pair)), NOW)


def test_a_rule_of_freshdesk_shows_a_password_or_a_header():
    basic = loaded(basic={"user": "survey", "password": "päss"})
    right = InboundRequest("POST", "", {"authorization": "Basic " + b64encode("survey:päss".encode()).decode()}, b"{}")
    freshdesk.verify(right, basic, NOW)
    header = loaded(header={"name": "X-Survey-Secret", "value": "s3cret"})
    freshdesk.verify(replace(right, headers={"x-survey-secret": "s3cret"}), header, NOW)
    for credentials in (basic, header):
        for headers in ({}, {"authorization": "Basic c3VydmV5Og=="}, {"x-survey-secret": "S3CRET"}):
            with pytest.raises(SignatureInvalid):
                freshdesk.verify(replace(right, headers=headers), credentials, NOW)


@pytest.mark.parametrize(
    ("credentials", "problem"),
    [
        ({}, "exactly one"),
        ({"api_token": "t"}, "exactly one"),
        ({"basic": {"user": "u", "password": "p"}, "header": {"name": "X", "value": "v"}}, "exactly one"),
        ({"basic": {"user": "u", "password": ""}}, "empty"),
        ({"header": {"name": "X", "value": "v"}, "api_token": "t"}, "Freshchat"),
        ({"freshchat_public_key": PUBLISHED_KEY, "api_origin": "https://a.example/v2"}, "scheme and host"),
    ],
)
def test_credentials_are_one_proof_and_what_belongs_to_it(credentials, problem):
    with pytest.raises(ValidationError, match=problem):
        loaded(**credentials)


# --- events


@pytest.mark.parametrize(
    ("recording", "kind", "subject", "email", "word"),
    [
        ("ticket_closed", CLOSED, "ticket:35436", CUSTOMER, "status 2 to 4"),
        ("ticket_closed_after_resolved", CLOSED, "ticket:35436", CUSTOMER, "status 4 to 5"),
        ("ticket_closed_custom_status", CLOSED, "ticket:35436", CUSTOMER, "status 2 to 6"),
        ("ticket_closed_polish_label", CLOSED, "ticket:35436", CUSTOMER, "status 2 to 5"),
        ("ticket_closed_change_as_json", CLOSED, "ticket:35436", CUSTOMER, "status 2 to 4"),
        ("ticket_closed_phone_only_customer", CLOSED, "ticket:35436", None, "status 2 to 4"),
        ("ticket_closed_null_email", CLOSED, "ticket:35436", None, "status 2 to 4"),
        ("ticket_closed_big_id", CLOSED, "ticket:9007199254740993123", CUSTOMER, "status 2 to 4"),
        ("ticket_closed_unrendered", CLOSED, None, None, "ticket.closed"),
        ("ticket_closed_without_a_time", CLOSED, "ticket:35436", CUSTOMER, "status 2 to 4"),
        ("ticket_closed_wrong_content_type", CLOSED, "ticket:35436", CUSTOMER, "status 2 to 4"),
        ("ticket_closed_no_change_told", CLOSED, "ticket:35436", CUSTOMER, "ticket.closed"),
        ("ticket_closed_form", CLOSED, "ticket:35436", CUSTOMER, "status 2 to 4"),
        ("ticket_closed_by_app", CLOSED, "ticket:35436", CUSTOMER, "status 2 to 4"),
        ("simple_mode_closed", CLOSED, "ticket:35436", CUSTOMER, "status 3 to 4"),
        ("simple_mode_closed_form", CLOSED, "ticket:35436", CUSTOMER, "status 3 to 4"),
        ("simple_mode_closed_no_change_told", CLOSED, "ticket:35436", CUSTOMER, ""),
        ("published_template_closed", CLOSED, "ticket:11", CUSTOMER, "status 2 to 5"),
        ("ticket_reopened", REOPENED, "ticket:35436", CUSTOMER, "status 4 to 2"),
        ("ticket_reopened_to_custom_status", REOPENED, "ticket:35436", CUSTOMER, "status 4 to 6"),
        ("ticket_reopened_by_app", REOPENED, "ticket:35436", CUSTOMER, "status 4 to 2"),
        ("status_open_to_pending", NOTHING, "ticket:35436", CUSTOMER, "status 2 to 3"),
        ("closed_to_other_closed_status", NOTHING, "ticket:35436", CUSTOMER, "status 6 to 5"),
        ("priority_changed_while_resolved", NOTHING, "ticket:35436", CUSTOMER, "priority:{from:1,to:2}"),
        ("created_as_resolved", NOTHING, "ticket:35436", CUSTOMER, "ticket_action:created"),
        (
            "agent_changed_while_resolved",
            NOTHING,
            "ticket:35436",
            CUSTOMER,
            "responder_id:{from:150006383528,to:150014937111}",
        ),
        ("simple_mode_open_no_change_told", NOTHING, "ticket:35436", CUSTOMER, "status waiting on customer"),
        ("freshchat_resolution", ENDED, "chat:aecf3cc7-138a-4b40-9723-5bf4d1abb97b", None, "conversation_resolution"),
        (
            "freshchat_resolution_naming_its_user",
            ENDED,
            "chat:aecf3cc7-138a-4b40-9723-5bf4d1abb97b",
            CUSTOMER,
            "conversation_resolution",
        ),
        (
            "freshchat_resolution_by_the_system",
            ENDED,
            "chat:aecf3cc7-138a-4b40-9723-5bf4d1abb97b",
            None,
            "conversation_resolution",
        ),
        ("freshchat_resolution_without_conversation", ENDED, None, None, "conversation_resolution"),
        ("freshchat_reopen", REOPENED, "chat:aecf3cc7-138a-4b40-9723-5bf4d1abb97b", None, "conversation_reopen"),
        ("freshchat_assignment", NOTHING, "chat:aecf3cc7-138a-4b40-9723-5bf4d1abb97b", None, "conversation_assignment"),
        ("freshchat_message_create_signed", NOTHING, None, None, "message_create"),
    ],
)
def test_what_happened_to_which_ticket_or_chat_and_who_is_the_customer(
    load_trigger, recording, kind, subject, email, word
):
    [event] = freshdesk.parse(load_trigger("freshdesk", recording))
    assert (event.kind, event.subject, event.values.get("person.email")) == (kind, subject, email)
    assert (event.vendor_kind, event.values["event.kind"]) == (word, kind)


def test_every_recording_is_looked_at(recordings_of):
    read = test_what_happened_to_which_ticket_or_chat_and_who_is_the_customer.pytestmark[0].args[1]
    assert {name for name, *_ in read} == {*recordings_of("freshdesk")} - {"ping_empty", "unreadable_cut_off"}


def test_no_agent_is_ever_the_customer(load_trigger, recordings_of):
    for name in recordings_of("freshdesk"):
        if name.startswith("unreadable"):
            continue
        for event in freshdesk.parse(load_trigger("freshdesk", name)):
            people = {value for key, value in event.values.items() if key.startswith(("person.", "ticket.requester."))}
            assert not any("acme.example" in value or "Novák" in value for value in people), name


@pytest.mark.parametrize(
    ("recording", "reason"),
    [
        ("status_open_to_pending", "neither from nor to"),
        ("closed_to_other_closed_status", "not closed once more"),
        ("priority_changed_while_resolved", "Something else than the status"),
        ("simple_mode_open_no_change_told", "add triggered_event"),
    ],
)
def test_what_is_no_closing_says_why_nobody_is_asked(load_trigger, recording, reason):
    [event] = freshdesk.parse(load_trigger("freshdesk", recording))
    assert reason in event.notes[-1]
    assert event.closing_mark is None


@pytest.mark.parametrize(
    ("told", "change"),
    [
        ("{status:{from:4,to:5}}", Change("status 4 to 5", ("4", "5"))),
        (' { "status" : { "from" : "Open" , "to" : "Closed" } } ', Change("status 2 to 5", ("2", "5"))),
        ("{'status':{'from':4,'to':6}}", Change("status 4 to 6", ("4", "6"))),
        ("{priority:{from:1,to:2},status:{from:2,to:4}}", Change("status 2 to 4", ("2", "4"))),
        ("{status:{from:,to:4}}", Change("status  to 4", ("", "4"))),
        ({"status": [2, 5]}, Change("status 2 to 5", ("2", "5"))),
        ({"group_id": [1, 2], "agent_id": [3, 4]}, Change("agent_id, group_id")),
        ("{internal_status:{from:2,to:4}}", Change("internal_status:{from:2,to:4}")),
        ("{ticket_action:created}", Change("ticket_action:created")),
        ("{status:{from:4", Change("status:{from:4")),
        ("{{triggered_event}}", None),
        ("  ", None),
        (["status"], None),
        (7, None),
    ],
)
def test_what_was_changed_is_read_although_it_is_not_json(told, change):
    assert change_in({"triggered_event": told}) == change
    assert change_in({"ticket": {"triggered_event": told}}) == change
    assert change_in({"freshdesk_webhook": {"triggered_event": told}}) == change


def test_a_long_event_takes_no_time():
    assert change_in({"triggered_event": "status" + ":{from:" * 100_000}).statuses is None


@pytest.mark.parametrize(
    ("recording", "status"),
    [
        ("ticket_closed", "solved"),
        ("ticket_closed_after_resolved", "closed"),
        ("ticket_closed_polish_label", "closed"),
        ("ticket_closed_form", "solved"),
        ("ticket_closed_by_app", "solved"),
        ("ticket_reopened", "open"),
        ("ticket_closed_custom_status", "done"),
    ],
)
def test_a_status_is_understood_by_its_label_and_by_its_number(load_trigger, recording, status):
    [event] = freshdesk.parse(load_trigger("freshdesk", recording))
    assert event.values["ticket.status"] == status


def test_the_simple_mode_is_put_into_our_names(load_trigger):
    for recording in ("simple_mode_closed", "simple_mode_closed_form"):
        [event] = freshdesk.parse(load_trigger("freshdesk", recording))
        shown = {name: value for name, value in event.values.items() if name.startswith("ticket.")}
        assert shown == {
            "ticket.id": "35436",
            "ticket.title": "Printer on fire",
            "ticket.url": "https://acme.freshdesk.com/helpdesk/tickets/35436",
            "ticket.status": "solved",
            "ticket.priority": "Medium",
            "ticket.tags": ("vip", "printer"),
            "ticket.assignee.name": "Jan Novák",
            "ticket.assignee.email": "jan.novak@acme.example",
            "ticket.requester.name": "Łucja Nowak",
            "ticket.requester.email": CUSTOMER,
            "ticket.requester.phone": PHONE,
            "ticket.organization.name": "Blue Shop",
            "ticket.custom.order": "ORD-77",
        }
        assert [note for note in event.notes if not note.startswith("ticket.status came as")] == []


def test_a_mobile_number_counts_before_that_of_the_desk(load_trigger):
    [closed, phone_only] = (
        freshdesk.parse(load_trigger("freshdesk", name))[0]
        for name in ("ticket_closed", "ticket_closed_phone_only_customer")
    )
    assert closed.values["person.phone"] == PHONE
    assert phone_only.values["person.phone"] == "+48600100200"


def test_the_same_change_has_one_id_however_often_it_is_sent_and_another_change_another(load_trigger):
    request = load_trigger("freshdesk", "ticket_closed")
    [event] = freshdesk.parse(request)
    # Sent again by hand, with something else in it that does not matter.
    [again] = freshdesk.parse(replace(request, body=request.body.replace(b"vip, printer", b"vip")))
    ids = {
        freshdesk.parse(load_trigger("freshdesk", name))[0].id
        for name in ("ticket_closed_after_resolved", "ticket_reopened")
    }
    assert event.id == again.id == event.values["event.id"]
    assert len({event.id, *ids}) == 3


def test_without_a_time_a_change_has_no_id_since_the_next_closing_would_look_the_same(load_trigger):
    [event] = freshdesk.parse(load_trigger("freshdesk", "ticket_closed_without_a_time"))
    assert (event.id, event.closing_mark) == (None, None)


def test_what_freshdesk_did_not_fill_in_is_told(load_trigger):
    [event] = freshdesk.parse(load_trigger("freshdesk", "ticket_closed_unrendered"))
    assert event.unrendered >= {"person.email", "ticket.id", "ticket.status"}


def test_our_own_names_are_taken_as_from_anybody():
    body = b'{"event": "chat.ended", "chat": {"id": "7", "visitor": {"email": "ada@example.com"}}}'
    [event] = freshdesk.parse(InboundRequest("POST", "", {}, body))
    assert (event.kind, event.subject, event.values["person.email"]) == (ENDED, "chat:7", "ada@example.com")
    [other] = freshdesk.parse(InboundRequest("POST", "", {}, b'{"event": "ticket.created", "ticket": {"id": "7"}}'))
    assert (other.kind, other.vendor_kind) == (NOTHING, "ticket.created")


def test_a_test_call_without_a_body_is_a_ping(load_trigger):
    assert freshdesk.parse(load_trigger("freshdesk", "ping_empty")) == []


def test_a_body_that_is_cut_off_is_unreadable(load_trigger):
    with pytest.raises(Unreadable, match="line"):
        freshdesk.parse(load_trigger("freshdesk", "unreadable_cut_off"))


# --- Freshchat: asking for the visitor

CHAT = {
    "freshchat_public_key": PUBLISHED_KEY,
    "api_token": "freshchat-api-token",
    "api_origin": "https://acme.freshchat.com",
}
CONVERSATION, USER = "aecf3cc7-138a-4b40-9723-5bf4d1abb97b", "5cac723a-13aa-473e-846b-9cdb7d2c41a5"
PROFILE = {
    "id": USER,
    "email": CUSTOMER,
    "first_name": "Łucja",
    "last_name": "Nowak",
    "phone": "",
    "reference_id": "C-1024",
}


def answered(document):
    return OutboundResponse(200, {}, json.dumps(document).encode())


@pytest.fixture
def resolution(load_trigger):
    [event] = freshdesk.parse(load_trigger("freshdesk", "freshchat_resolution"))
    return event


def test_the_conversation_is_asked_for_its_user_and_the_user_for_the_address(resolution):
    credentials = loaded(**CHAT)
    first = freshdesk.lookup(resolution, credentials)
    assert first.url() == f"https://acme.freshchat.com/v2/conversations/{CONVERSATION}"
    event = freshdesk.complete(
        resolution, answered({"conversation_id": CONVERSATION, "users": [{"id": USER}], "agents": [{"id": "9"}]})
    )
    second = freshdesk.lookup(event, credentials)
    assert second.url() == f"https://acme.freshchat.com/v2/users/{USER}"
    completed = freshdesk.complete(event, answered(PROFILE))
    assert freshdesk.lookup(completed, credentials) is None
    shown = {
        name: completed.values[name] for name in ("person.email", "person.name", "chat.visitor.external_id", "chat.id")
    }
    assert shown == {
        "person.email": CUSTOMER,
        "person.name": "Łucja Nowak",
        "chat.visitor.external_id": "C-1024",
        "chat.id": CONVERSATION,
    }
    assert (resolution.notes != (), completed.notes) == (True, ())


def test_the_token_goes_to_the_address_of_the_credentials_alone_and_is_shown_nowhere(resolution):
    request = freshdesk.lookup(resolution, loaded(**CHAT))
    assert freshdesk.lookup_origins(loaded(**CHAT)) == [request.origin]
    assert ("Authorization", Secret("Bearer freshchat-api-token")) in request.headers
    assert "freshchat-api-token" not in repr(request) + request.shown_url()
    elsewhere = {name: value for name, value in CHAT.items() if name != "api_origin"}
    assert freshdesk.lookup_origins(loaded(**elsewhere)) == ["https://api.freshchat.com"]


def test_without_a_token_nothing_is_asked_and_the_receipt_says_what_would_help(resolution):
    assert freshdesk.lookup(resolution, loaded(freshchat_public_key=PUBLISHED_KEY)) is None
    assert "api_token" in resolution.notes[0]


@pytest.mark.parametrize(
    "recording",
    [
        "freshchat_resolution_naming_its_user",
        "freshchat_resolution_without_conversation",
        "freshchat_reopen",
        "freshchat_assignment",
        "freshchat_message_create_signed",
        "ticket_closed_null_email",
    ],
)
def test_only_a_chat_that_ended_and_names_nobody_is_asked_about(load_trigger, recording):
    [event] = freshdesk.parse(load_trigger("freshdesk", recording))
    assert freshdesk.lookup(event, loaded(**CHAT)) is None


def test_a_visitor_without_an_address_is_told_and_not_asked_for_again(resolution):
    known = freshdesk.complete(resolution, answered({"users": [{"id": USER}]}))
    event = freshdesk.complete(known, answered({"id": USER, "email": None, "first_name": "Guest"}))
    assert freshdesk.lookup(event, loaded(**CHAT)) is None
    assert event.values["person.name"] == "Guest"
    assert "neither" in event.notes[-1]


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"users": []},
        {"users": [{"id": "1"}, {"id": "2"}]},
        {"users": [{"id": "../agents"}]},
        {"users": [{}]},
        {"users": "x"},
    ],
)
def test_an_answer_that_does_not_name_the_one_visitor_is_refused(resolution, answer):
    with pytest.raises(Unreadable):
        freshdesk.complete(resolution, answered(answer))


def test_an_answer_that_is_no_user_is_refused(resolution):
    known = freshdesk.complete(resolution, answered({"users": [{"id": USER}]}))
    with pytest.raises(Unreadable):
        freshdesk.complete(known, answered({"code": 404}))


def test_one_resolution_is_recognised_and_the_next_one_is_another(load_trigger, resolution):
    [later] = freshdesk.parse(load_trigger("freshdesk", "freshchat_resolution_by_the_system"))
    [again] = freshdesk.parse(load_trigger("freshdesk", "freshchat_resolution_naming_its_user"))
    assert again.id == resolution.id != later.id
    assert resolution.closing_mark == "2020-04-06T15:59:46.407Z"
    assert later.payload["data"]["resolve"]["resolver"] == "system"
