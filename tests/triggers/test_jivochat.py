from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from marshmallow import ValidationError

from plugin.domain.event import EventKind
from plugin.triggers import jivochat
from plugin.triggers.base import InboundRequest

NOW = datetime(2026, 11, 3, 16, 5, 12, tzinfo=UTC)


@pytest.fixture
def read(load_trigger):
    def only(name):
        [event] = jivochat.parse(load_trigger("jivochat", name))
        return event

    return only


def person(event):
    return {name.removeprefix("person."): value for name, value in event.values.items() if name.startswith("person.")}


def test_the_end_of_a_chat_asks_its_visitor(read):
    event = read("chat_finished")
    assert (event.kind, event.vendor_kind, event.subject) == (EventKind.CHAT_ENDED, "chat_finished", "chat:7507")
    assert person(event) == {"email": "lucja.nowak@example.com", "phone": "+48221234567", "name": "Łucja Nowak"}
    assert event.values["chat.visitor.external_id"] == "C-1024"
    assert event.values["chat.rating"] == "good"
    assert (event.values["chat.agent.name"], event.values["chat.agent.email"]) == (
        "Oksana Shevchenko",
        "oksana@acme.example",
    )
    assert event.notes == ()


def test_neither_a_country_nor_a_category_is_taken_for_what_it_is_not(read):
    values = read("chat_finished").values
    assert not [name for name in values if name.endswith(("language", "status"))]


@pytest.mark.parametrize(
    ("name", "told", "notes"),
    [
        ("chat_finished_empty_address_phone_only", {"name": "Łucja Nowak", "phone": "+48221234567"}, 0),
        ("chat_finished_null_address", {}, 0),
        ("chat_finished_hidden_address", {"name": "Łucja Nowak"}, 1),
    ],
)
def test_an_agents_address_never_stands_in_for_one_that_is_missing(read, name, told, notes):
    event = read(name)
    assert event.kind is EventKind.CHAT_ENDED
    assert person(event) == told
    assert len(event.notes) == notes


def test_a_visitor_on_the_blacklist_is_asked_nothing(read):
    event = read("chat_finished_blacklisted")
    assert (event.kind, event.vendor_kind) == (EventKind.UNSUPPORTED, "chat_finished (blacklisted)")
    assert "blacklist" in event.notes[0]
    assert person(event) == {}


@pytest.mark.parametrize(
    ("name", "agent"),
    [("chat_finished_two_agents", "oksana@acme.example"), ("chat_finished_two_agents_none_assigned", None)],
)
def test_of_several_agents_the_one_whose_chat_it_is_counts(read, name, agent):
    assert read(name).values.get("chat.agent.email") == agent


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("chat_accepted", "chat_accepted"),
        ("chat_assigned", "chat_assigned"),
        ("chat_updated_status_closed", "chat_updated"),
        ("offline_message", "offline_message"),
        ("client_updated", "client_updated"),
        ("client_attribute_updated", "client_attribute_updated"),
        ("call_event", "call_event"),
        ("unknown_event", "chat_rated"),
    ],
)
def test_what_ends_no_chat_is_kept_by_its_own_word_with_a_note(read, name, word):
    event = read(name)
    assert (event.kind, event.vendor_kind, event.id, len(event.notes)) == (EventKind.UNSUPPORTED, word, None, 1)
    assert event.closing_mark is None


def test_an_end_is_known_by_its_channel_and_chat(read):
    first = read("chat_finished")
    assert read("chat_finished_two_agents").id == first.id
    assert read("chat_finished_big_id").id != first.id
    assert read("chat_finished_big_id").values["chat.id"] == "90071992547409931"


def test_the_content_type_does_not_matter(read):
    assert read("chat_finished_wrong_content_type").values == read("chat_finished").values


@pytest.mark.parametrize("name", ["chat_finished", "chat_updated_status_closed", "call_event", "ping_empty"])
def test_every_message_is_answered_as_jivochat_documents(load_trigger, name):
    request = load_trigger("jivochat", name)
    answer = jivochat.answer(request, jivochat.parse(request))
    assert (answer.status, answer.content_type) == (200, "application/json")
    assert json.loads(answer.body) == {"result": "ok"}


def test_its_owner_has_to_say_that_the_address_alone_is_enough():
    jivochat.verify(InboundRequest("POST", "", {}, b""), {"url_only": True}, NOW)
    for given in ({}, {"url_only": False}):
        with pytest.raises(ValidationError):
            jivochat.SOURCE.credentials().load(given)
