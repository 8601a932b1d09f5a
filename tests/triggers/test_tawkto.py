from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from plugin.domain.event import EventKind
from plugin.errors import SignatureInvalid
from plugin.redaction import Secret
from plugin.triggers import tawkto
from plugin.triggers.base import InboundRequest

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
BODY = '{"ticket":{"id":"4711","note":"Żółć \\"ok\\""},"n":1}'.encode()
SIGNATURE = "7fab0504cdc4e919c20a9ccc18cc426480a969e7"
CREDENTIALS = {"secret_key": Secret("client-secret-1")}


@pytest.fixture
def read(load_trigger):
    def only(name):
        [event] = tawkto.parse(load_trigger("tawkto", name))
        return event

    return only


def signed(signature, body=BODY):
    return InboundRequest("POST", "", {"x-tawk-signature": signature}, body)


@pytest.mark.parametrize("signature", [SIGNATURE, SIGNATURE.upper()])
def test_a_signature_of_the_raw_body_is_let_in(signature):
    tawkto.verify(signed(signature), CREDENTIALS, NOW)


@pytest.mark.parametrize(
    "signature",
    [
        "",
        SIGNATURE[:-1],
        f"sha1={SIGNATURE}",
        # The same body signed as base64, and by SHA-256.
        "f6sFBM3E6RnCCpzMGMxCZICpaec=",
        "1575e1806abd60d0cb960520998d1aae37441ee2f79de7ff6d623683530fa514",
    ],
)
def test_any_other_signature_is_refused(signature):
    with pytest.raises(SignatureInvalid):
        tawkto.verify(signed(signature), CREDENTIALS, NOW)


def test_the_end_of_a_chat_asks_its_visitor(read):
    event = read("chat_end")
    assert (event.kind, event.vendor_kind) == (EventKind.CHAT_ENDED, "chat:end")
    assert (event.id, event.subject) == ("5d9b21c0e4b0a7f1", "chat:70fe3290-99ad-11e9-a30a-51567162179f")
    assert event.time == datetime(2026, 11, 3, 16, 5, 12, 646000, tzinfo=UTC)
    assert event.values["person.email"] == "lucja.nowak@example.com"
    assert event.values["person.name"] == "Łucja Nowak"
    assert "person.language" not in event.values
    assert event.notes == ()


@pytest.mark.parametrize("name", ["chat_end_without_address", "chat_end_empty_address"])
def test_a_visitor_who_gave_nothing_has_neither_address_nor_name(read, name):
    event = read(name)
    assert event.kind is EventKind.CHAT_ENDED
    assert not [value for value in event.values if value.startswith("person.")]


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("chat_start", "chat:start"),
        ("chat_transcript_created_agents_address_in_messages", "chat:transcript_created"),
        ("ticket_create", "ticket:create"),
        ("unknown_event", "visitor:rated"),
    ],
)
def test_what_ends_no_chat_is_kept_by_its_own_word_with_a_note(read, name, word):
    event = read(name)
    assert (event.kind, event.vendor_kind, len(event.notes)) == (EventKind.UNSUPPORTED, word, 1)
    assert "person.email" not in event.values


def test_a_transcript_is_no_second_end_and_says_where_the_first_one_comes_from(read):
    event = read("chat_transcript_created_agents_address_in_messages")
    assert event.subject == read("chat_end").subject
    assert event.closing_mark is None
    assert "chat:end" in event.notes[0]


def test_each_end_of_a_chat_that_is_taken_up_again_is_one_of_its_own(read):
    first, second = read("chat_end"), read("chat_end_second_of_the_same_chat")
    assert first.subject == second.subject
    assert (first.id, first.closing_mark) != (second.id, second.closing_mark)


def test_without_the_header_an_event_is_known_by_what_it_tells(read, load_trigger):
    event = read("chat_end_no_event_id")
    assert event.id == read("chat_end_no_event_id").id
    assert len(event.id) == 40
    later = load_trigger("tawkto", "chat_end_no_event_id")
    [other] = tawkto.parse(replace(later, body=later.body.replace(b"16:05:12", b"17:05:12")))
    assert other.id != event.id


@pytest.mark.parametrize("header", ["", "  ", "x" * 500, "a\x00b\udcff"])
def test_whatever_the_header_holds_gives_an_id_that_can_be_stored(load_trigger, header):
    request = load_trigger("tawkto", "chat_end")
    [event] = tawkto.parse(replace(request, headers={"x-hook-event-id": header}))
    assert 0 < len(event.id) <= 200
    event.id.encode()


def test_no_body_is_a_handshake(load_trigger):
    assert tawkto.parse(load_trigger("tawkto", "ping_empty")) == []
