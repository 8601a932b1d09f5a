from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugin.domain.event import EventKind
from plugin.errors import SignatureInvalid
from plugin.redaction import Secret
from plugin.triggers import livechat
from plugin.triggers.base import InboundRequest
from tests.triggers.sender_livechat import SECRET, prove

NOW = datetime(2026, 11, 3, 16, 5, 12, tzinfo=UTC)
CREDENTIALS = {"secret_key": Secret(SECRET)}
ORGANIZATION = "390e44e6-f1e6-0368c-z6ddb-74g14508c2ex"


@pytest.fixture
def read(load_trigger):
    def only(name):
        [event] = livechat.parse(load_trigger("livechat", name))
        return event

    return only


# --- which end a chat -------------------------------------------------------------------------------------------------


def test_each_recording_ends_a_chat_or_does_not(read, recordings_of):
    ends = {name for name in recordings_of("livechat") if name.startswith(("chat_deactivated", "v2_chat_ended"))}
    for name in recordings_of("livechat"):
        if not name.startswith(("unreadable", "ping")):
            assert (read(name).kind is EventKind.CHAT_ENDED) == (name in ends), name


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("incoming_chat", "incoming_chat"),
        ("chat_transferred", "chat_transferred"),
        ("user_removed_from_chat", "user_removed_from_chat"),
        ("user_added_to_chat", "user_added_to_chat"),
        ("unknown_action", "thread_tagged"),
        ("v2_ticket_created", "ticket_created"),
    ],
)
def test_what_ends_no_chat_is_kept_by_its_own_word_with_a_note(read, name, word):
    event = read(name)
    assert (event.kind, event.vendor_kind, len(event.notes)) == (EventKind.UNSUPPORTED, word, 1)


def test_no_body_is_a_handshake(load_trigger):
    assert livechat.parse(load_trigger("livechat", "ping_empty")) == []


# --- what an end says -------------------------------------------------------------------------------------------------


def test_an_end_is_told_apart_by_its_thread(read):
    event = read("chat_deactivated")
    assert (event.id, event.subject, event.closing_mark) == (
        "chat_deactivated:K600PKZON8",
        "chat:PJ0MRSHTDG",
        "K600PKZON8",
    )
    later = read("chat_deactivated_next_thread_of_the_same_chat")
    assert later.subject == event.subject
    assert (later.id, later.closing_mark) != (event.id, event.closing_mark)


def test_who_ended_it_is_the_agent_and_never_the_customer(read):
    event = read("chat_deactivated")
    assert event.values == {
        "chat.id": "PJ0MRSHTDG",
        "chat.agent.email": "oksana@acme.example",
        "event.kind": "chat.ended",
        "event.id": "chat_deactivated:K600PKZON8",
    }


@pytest.mark.parametrize("name", ["chat_deactivated_by_router", "chat_deactivated_by_customer"])
def test_an_end_that_no_agent_made_names_none(read, name):
    assert not [value for value in read(name).values if value.startswith(("chat.agent", "person"))]


def test_the_account_is_the_organization_or_the_licence_with_every_digit(read):
    assert read("chat_deactivated").account == ORGANIZATION
    assert read("chat_deactivated_license_id").account == "104130623000000000001"
    assert livechat.SOURCE.account in livechat.SOURCE.settings().fields


def test_the_content_type_does_not_matter(read):
    assert read("chat_deactivated_wrong_content_type") == read("chat_deactivated")


# --- who the customer is ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "email", "person"),
    [
        ("incoming_chat", "lucja.nowak@example.com", "Łucja Nowak"),
        ("incoming_chat_address_in_form_only", "lucja.form@example.com", "Łucja Nowak"),
        ("incoming_chat_without_address", None, None),
        ("incoming_chat_agents_only", None, None),
        ("v2_chat_started", "lucja.nowak@example.com", "Łucja Nowak"),
        ("v2_chat_ended", "lucja.nowak@example.com", "Łucja Nowak"),
        ("v2_chat_ended_address_in_survey_only", "lucja.form@example.com", "Łucja Nowak"),
    ],
)
def test_the_customer_is_read_from_where_livechat_puts_them(read, name, email, person):
    values = read(name).values
    assert (values.get("person.email"), values.get("person.name")) == (email, person)
    assert "person.language" not in values


def test_a_beginning_is_about_the_same_chat_as_its_end_and_is_remembered(read):
    assert read("incoming_chat").subject == read("chat_deactivated").subject
    assert read("v2_chat_started").subject == read("v2_chat_ended").subject
    assert {read("incoming_chat").vendor_kind, read("v2_chat_started").vendor_kind} == livechat.SOURCE.remembers


def test_version_2_tells_more_of_a_chat(read):
    event = read("v2_chat_ended")
    assert event.time == datetime(2013, 1, 23, 11, 5, 9, tzinfo=UTC)
    assert event.values["chat.duration"] == "1456"
    assert event.values["chat.url"] == "https://my.livechatinc.com/archives/MH022RD0K5"
    assert (event.values["chat.agent.name"], event.values["chat.agent.email"]) == (
        "Oksana Shevchenko",
        "oksana@acme.example",
    )
    assert "chat.agent.email" not in read("v2_chat_ended_address_in_survey_only").values


# --- the secret -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["chat_deactivated", "v2_chat_ended"])
def test_the_secret_in_the_body_proves_the_sender(load_trigger, name):
    livechat.verify(prove(load_trigger("livechat", name), NOW), CREDENTIALS, NOW)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b'"livechat-secret-key"',
        b'{"action": "chat_deactivated"}',
        b'{"secret_key": ""}',
        b'{"secret_key": null, "token": null}',
        b'{"secret_key": true}',
        b'{"secret_key": ["livechat-secret-key"]}',
        b'{"secret_key": {"secret_key": "livechat-secret-key"}}',
        b'{"payload": {"secret_key": "livechat-secret-key"}}',
        b'{"secret_key": "livechat-secret-ke"}',
        b'{"secret_key": "livechat-secret-key "}',
        b'{"secret_key": "LIVECHAT-SECRET-KEY"}',
        b'{"secret_key": "\xc5\xbc\\ud800"}',
        b'{"secret_key": "wrong", "token": "livechat-secret-key"}',
    ],
)
def test_nothing_but_the_whole_secret_in_its_place_is_let_in(body):
    with pytest.raises(SignatureInvalid):
        livechat.verify(InboundRequest("POST", "", {}, body), CREDENTIALS, NOW)


def test_a_secret_of_any_letters_is_compared(load_trigger):
    credentials = {"secret_key": Secret("zażółć-gęślą-jaźń")}
    request = replace(load_trigger("livechat", "ping_empty"), body='{"secret_key": "zażółć-gęślą-jaźń"}'.encode())
    livechat.verify(request, credentials, NOW)


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        ('{"secret_key": "s", "action": "a"}', '{"secret_key": "", "action": "a"}'),
        ('{"action":"a","secret_key":"q\\"s\\\\"}', '{"action":"a","secret_key":""}'),
        ('{"secret_key" :\n "one", "secret_key": "two"}', '{"secret_key" :\n "", "secret_key": ""}'),
        ('{"secret\\u005fkey": "s"}', '{"secret\\u005fkey": ""}'),
        ('{"payload": {"secret_key": "s"}}', '{"payload": {"secret_key": ""}}'),
        ('{"token": "s", "visitor": {"token": "theirs"}}', '{"token": "", "visitor": {"token": "theirs"}}'),
        ('{"text": "say \\"secret_key\\": \\"s\\"", "n": 12345678901234567890.10}', None),
        ('{"secret_key": "never closed', '{"secret_key": ""'),
        ("", None),
        ("plain text", None),
    ],
)
def test_the_secret_is_left_out_and_nothing_else(body, kept):
    assert livechat.without_secrets(body.encode()).decode() == (body if kept is None else kept)


@given(st.binary(max_size=200) | st.text('"\\{}[]:, secret_keytoken1', max_size=200).map(str.encode))
def test_leaving_the_secret_out_of_anything_is_done_once(body):
    kept = livechat.without_secrets(body)
    assert livechat.without_secrets(kept) == kept


def test_leaving_the_secret_out_takes_a_time_that_grows_with_the_body_alone():
    for piece in (b'\\"', b'"', b'"secret_key":', b"{", b'"a":"b",'):
        body = b"{" + piece * (1_000_000 // len(piece))
        before = time.process_time()
        livechat.without_secrets(body)
        assert time.process_time() - before < 3, piece


def test_the_secret_is_no_value_of_the_event(load_trigger):
    [event] = livechat.parse(prove(load_trigger("livechat", "chat_deactivated"), NOW))
    assert SECRET not in json.dumps(event.payload)


def test_every_message_is_answered_200_exactly(load_trigger):
    request = load_trigger("livechat", "chat_transferred")
    answer = livechat.answer(request, livechat.parse(request))
    assert (answer.status, answer.content_type, answer.body) == (200, "application/json", b"{}")
