from __future__ import annotations

import hmac
import json
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from marshmallow import ValidationError

from plugin.domain.event import EventKind
from plugin.errors import SignatureInvalid
from plugin.redaction import Secret
from plugin.triggers import helpscout
from plugin.triggers.base import InboundRequest

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
BODY = '{"ticket":{"id":"4711","note":"Żółć \\"ok\\""},"n":1}'.encode()
VECTOR = "f6sFBM3E6RnCCpzMGMxCZICpaec="
APP_KEY = "base64:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
FREESCOUT_KEY = "767fe609bebe85ec3dcb9a3c21dc7e0e"
FREESCOUT_VECTOR = "FkQECgKmsC6uPm0xQt0Yj91fOlY="
HELP_SCOUT = {"secret": Secret("client-secret-1")}
FREESCOUT = [
    pytest.param({"freescout_key": Secret(FREESCOUT_KEY)}, id="its key"),
    pytest.param({"freescout_app_key": Secret(APP_KEY)}, id="its APP_KEY"),
]
CUSTOMER = "lucja.nowak@example.com"


def signed(signature, body=BODY, header="x-helpscout-signature"):
    return InboundRequest("POST", "", {header: signature}, body)


def sign(key, body=BODY, algorithm="sha1"):
    return b64encode(hmac.digest(key, body, algorithm)).decode()


@pytest.fixture
def read(load_trigger):
    def read_one(name, **settings):
        [event] = helpscout.parse(replace(load_trigger("helpscout", name), settings=settings))
        return event

    return read_one


# --- proof


def test_the_raw_body_is_what_help_scout_signs():
    helpscout.verify(signed(VECTOR), HELP_SCOUT, NOW)


@pytest.mark.parametrize("credentials", FREESCOUT)
def test_freescout_signs_with_a_key_made_of_its_own(credentials):
    assert helpscout.freescout_key(APP_KEY) == FREESCOUT_KEY
    helpscout.verify(signed(FREESCOUT_VECTOR, header="x-freescout-signature"), credentials, NOW)


@pytest.mark.parametrize(
    "signature",
    [
        pytest.param(hmac.digest(b"client-secret-1", BODY, "sha1").hex(), id="as hexadecimal digits"),
        pytest.param(sign(b"client-secret-1", algorithm="sha256"), id="another algorithm"),
        pytest.param(sign(b"client-secret-1", BODY + b"\n"), id="another body"),
        pytest.param(VECTOR.removesuffix("="), id="without its padding"),
        pytest.param("", id="nothing"),
    ],
)
def test_any_other_signature_is_refused(signature):
    with pytest.raises(SignatureInvalid):
        helpscout.verify(signed(signature), HELP_SCOUT, NOW)


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(APP_KEY.encode(), id="the APP_KEY itself"),
        pytest.param(bytes.fromhex(FREESCOUT_KEY), id="the key decoded"),
        pytest.param(helpscout.freescout_key(APP_KEY.removeprefix("base64:")).encode(), id="without base64:"),
    ],
)
@pytest.mark.parametrize("credentials", FREESCOUT)
def test_no_other_key_is_freescouts(credentials, key):
    with pytest.raises(SignatureInvalid):
        helpscout.verify(signed(sign(key), header="x-freescout-signature"), credentials, NOW)


@pytest.mark.parametrize("credentials", FREESCOUT)
def test_a_signature_under_the_other_brands_header_is_refused(credentials):
    with pytest.raises(SignatureInvalid):
        helpscout.verify(signed(FREESCOUT_VECTOR), credentials, NOW)
    with pytest.raises(SignatureInvalid):
        helpscout.verify(signed(VECTOR, header="x-freescout-signature"), HELP_SCOUT, NOW)


def test_every_recording_is_signed_as_its_brand_would(load_trigger, recordings_of):
    for name in recordings_of("helpscout"):
        key = {"freescout_app_key": Secret(APP_KEY)}
        credentials = key if name.startswith("freescout_") else {"secret": Secret("helpscout-webhook-secret")}
        helpscout.verify(load_trigger("helpscout", name), credentials, NOW)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"secret": ""},
        {"secret": "x" * 41},
        {"secret": "a", "freescout_key": FREESCOUT_KEY},
        {"freescout_key": APP_KEY},
        {"freescout_app_key": APP_KEY.removeprefix("base64:")},
    ],
)
def test_exactly_one_proof_of_the_right_form_must_be_given(wrong):
    with pytest.raises(ValidationError):
        helpscout.HelpScoutCredentials().load(wrong)


# --- what happened


@pytest.mark.parametrize(
    ("recording", "kind"),
    [
        ("convo_closed", EventKind.TICKET_CLOSED),
        ("convo_closed_chat", EventKind.TICKET_CLOSED),
        ("convo_closed_created_by_user", EventKind.TICKET_CLOSED),
        ("wrong_content_type", EventKind.TICKET_CLOSED),
        ("freescout_convo_closed", EventKind.TICKET_CLOSED),
        ("convo_active", EventKind.TICKET_REOPENED),
        ("convo_active_closed_before", EventKind.TICKET_REOPENED),
        ("convo_pending_closed_before", EventKind.TICKET_REOPENED),
        ("freescout_convo_active", EventKind.TICKET_REOPENED),
    ],
)
def test_each_closing_and_each_re_opening_is_one(read, recording, kind):
    event = read(recording)
    assert (event.kind, event.vendor_kind) == (kind, "convo.status")


def test_an_active_conversation_that_may_have_been_pending_says_so(read):
    assert "may have been pending" in read("convo_active").notes[0]
    assert not read("convo_active_closed_before").notes


@pytest.mark.parametrize(
    ("recording", "vendor_kind", "because"),
    [
        ("convo_pending", "convo.status: pending", "waits"),
        ("convo_spam", "convo.status: spam", "spam"),
        ("freescout_convo_spam", "convo.status: spam", "spam"),
        ("convo_status_unknown", "convo.status: archived", "none that closes"),
        ("convo_closed_draft", "convo.status: draft", "draft"),
        ("freescout_convo_closed_in_the_bin", "convo.status: deleted", "deleted"),
        ("convo_deleted", "convo.deleted", "deleted"),
        ("freescout_convo_deleted", "convo.deleted", "deleted"),
        ("freescout_convo_deleted_forever", "convo.deleted_forever", "deleted"),
        ("freescout_convo_restored", "convo.restored", "restored"),
        ("convo_merged", "convo.merged", "another one"),
        ("convo_moved", "convo.moved", "another mailbox"),
        ("convo_tags", "convo.tags", "Only a change"),
        ("convo_assigned", "convo.assigned", "Only a change"),
        ("convo_agent_reply_created", "convo.agent.reply.created", "Only a change"),
        ("satisfaction_ratings", "satisfaction.ratings", "Only a change"),
        ("customer_updated", "customer.updated", "Only a change"),
        ("freescout_customer_created", "customer.created", "Only a change"),
        ("event_header_missing", "", "X-HelpScout-Event is missing"),
        ("version_1", "convo.status: version 1", "version 1"),
        ("notification_only", "convo.status: no conversation", "no conversation"),
    ],
)
def test_what_only_looks_like_a_closing_is_kept_with_the_reason(read, recording, vendor_kind, because):
    event = read(recording)
    assert (event.kind, event.vendor_kind) == (EventKind.UNSUPPORTED, vendor_kind)
    assert because in " ".join(event.notes)
    assert "person.email" not in event.values


@pytest.mark.parametrize("name", ["test_event", "test_event_empty", "freescout_test_event"])
def test_a_trial_gives_no_events(load_trigger, name):
    assert helpscout.parse(load_trigger("helpscout", name)) == []


# --- who the customer is


@pytest.mark.parametrize(
    ("recording", "email", "name"),
    [
        ("convo_closed", CUSTOMER, "Łucja Nowak"),
        ("convo_closed_created_by_user", CUSTOMER, "Łucja Nowak"),
        ("convo_closed_primary_customer_id_only", CUSTOMER, None),
        ("convo_closed_primary_customer_of_another_writer", None, None),
        ("convo_closed_no_customer_by_user", None, None),
        ("convo_closed_user_as_primary_customer", None, None),
        ("convo_closed_null_and_empty_email", None, "Łucja"),
        ("convo_closed_phone_nowhere_address", None, "Łucja Nowak"),
        ("freescout_convo_closed", CUSTOMER, "Łucja Nowak"),
        ("freescout_convo_closed_phone_no_email", None, "Łucja"),
    ],
)
def test_the_customer_is_found_by_its_own_path(read, recording, email, name):
    event = read(recording)
    assert (event.values.get("person.email"), event.values.get("person.name")) == (email, name)
    assert any("no e-mail address" in note for note in event.notes) == (email is None)


def test_nobody_but_the_customer_is_ever_the_person(load_trigger, recordings_of):
    found = set()
    for name in recordings_of("helpscout"):
        if not name.startswith("unreadable_"):
            found |= {one.values.get("person.email") for one in helpscout.parse(load_trigger("helpscout", name))}
    assert found == {None, CUSTOMER}


# --- what it says


def test_a_conversation_in_our_names_has_the_number_that_people_see(read):
    event = read("convo_closed")
    assert event.subject == "ticket:349"
    assert event.values == {
        "ticket.id": "349",
        "ticket.url": "https://secure.helpscout.net/conversation/1291938/349/",
        "ticket.title": 'Drukarka "się pali" 🔥',
        "ticket.status": "closed",
        "ticket.channel": "email",
        "ticket.via": "email",
        "ticket.tags": ("vip", "second line"),
        "ticket.created_at": "2026-01-01T10:00:00Z",
        "ticket.updated_at": "2026-01-02T03:04:01Z",
        "ticket.requester.first_name": "Łucja",
        "ticket.requester.last_name": "Nowak",
        "ticket.requester.name": "Łucja Nowak",
        "ticket.requester.email": CUSTOMER,
        "ticket.assignee.name": "Jan Novák",
        "ticket.assignee.email": "jan.novak@acme.example",
        "ticket.custom.order_number": "ORD-77",
        "ticket.custom.root_cause": "Papier",
        "ticket.custom.customer_id": "12",
        "person.name": "Łucja Nowak",
        "person.email": CUSTOMER,
        "event.id": event.id,
        "event.kind": "ticket.closed",
        "event.time": "2026-01-02T03:04:01Z",
    }


def test_a_link_that_the_message_lacks_is_made_of_id_and_number(read):
    assert read("convo_closed_no_web_link").values["ticket.url"] == read("convo_closed").values["ticket.url"]


def test_freescouts_link_needs_its_address(read):
    assert "ticket.url" not in read("freescout_convo_closed").values
    values = read("freescout_convo_closed", base_url="https://help.example.com/").values
    assert values["ticket.url"] == "https://help.example.com/conversation/1042"


def test_freescouts_names_tags_and_fields_are_read_as_help_scouts(read):
    values = read("freescout_convo_closed").values
    assert (values["ticket.assignee.name"], values["ticket.tags"]) == ("Jan Novák", ("vip",))
    assert values["ticket.custom.amount"] == "123"


def test_a_conversation_that_is_opened_again_is_open(read):
    assert read("convo_active").values["ticket.status"] == "open"


def test_ids_keep_every_digit(read):
    event = read("convo_closed_big_ids")
    assert event.subject == "ticket:90071992547409931"
    assert "/9007199254740993123/" in helpscout.parse(_without_link(event.payload))[0].values["ticket.url"]


def _without_link(payload):
    body = json.dumps({**payload, "_links": {}}).encode()
    return InboundRequest("POST", "", {"x-helpscout-event": "convo.status"}, body)


def test_freescout_conversations_of_two_mailboxes_are_two_though_their_numbers_are_one(read):
    event = read("freescout_convo_closed_number_of_mailbox")
    assert (event.subject, event.values["ticket.id"]) == ("ticket:1042", "7")


# --- the same once more


def test_a_closing_is_known_by_its_own_time(read):
    first, retried, second = read("convo_closed"), read("convo_closed"), read("convo_closed_again")
    assert first.id == retried.id != second.id
    assert (first.closing_mark, second.closing_mark) == ("2026-01-02T03:04:01Z", "2026-01-03T09:00:00Z")


def test_a_change_of_tags_in_between_makes_no_new_closing(read):
    event = read("convo_closed")
    changed = {**event.payload, "tags": [], "userUpdatedAt": "2026-01-02T09:00:00Z", "customerWaitingSince": {}}
    request = InboundRequest("POST", "", {"x-helpscout-event": "convo.status"}, json.dumps(changed).encode())
    [again] = helpscout.parse(request)
    assert (again.id, again.closing_mark) == (event.id, event.closing_mark)


def test_a_closing_without_its_time_is_marked_by_the_last_change(read):
    event = read("convo_closed_without_closed_at")
    assert event.closing_mark == "2026-01-02T03:04:01Z"
    assert event.id != read("convo_closed").id


def test_every_answer_of_the_customer_is_a_re_opening_of_its_own(read):
    event = read("convo_active")
    later = {**event.payload, "customerWaitingSince": {"time": "2026-01-04T08:00:00Z"}}
    request = InboundRequest("POST", "", {"x-helpscout-event": "convo.status"}, json.dumps(later).encode())
    assert helpscout.parse(request)[0].id != event.id
