"""Zendesk messaging: the ends of conversations, and what messaging answers about who took part."""

from __future__ import annotations

from dataclasses import replace

import pytest

from plugin.domain.event import EventKind, is_known
from plugin.errors import Unreadable
from plugin.triggers import zendesk
from tests.triggers.zendesk.asking import MESSAGING_API, ODD, answered, load, only_event

PARTICIPANTS = {"participants": [{"id": "p1", "userId": "cbec0073faeda4dfcd21d0f1", "userExternalId": "C-1024"}]}
MESSAGING_USER = {
    "id": "cbec0073faeda4dfcd21d0f1",
    "externalId": "C-1024",
    "profile": {"givenName": "Łucja", "surname": "Nowak", "email": "lucja.nowak@example.com", "locale": "pl-PL"},
}
APP = "5698edbf2a43bd081be982f1"


# --- what happened

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
    event = only_event(load_trigger, "conversations_ticket_closed")

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
    event = only_event(load_trigger, "conversations_ticket_closed_user_by_id")
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
    event = only_event(load_trigger, "conversations_ticket_closed")
    event = zendesk.complete(event, answered({"participants": participants}))
    [note] = event.notes
    assert told in note
    assert zendesk.lookup(event, load(conversations_secret="a", **MESSAGING_API)) is None


@pytest.mark.parametrize("user", [{"id": "cbec"}, {"id": "cbec", "profile": {"givenName": "Łucja"}}, {}])
def test_a_user_without_an_address_is_told_and_not_asked_for_again(load_trigger, user):
    event = only_event(load_trigger, "conversations_ticket_closed_user_by_id")
    event = zendesk.complete(event, answered({"user": user}))
    assert event.notes == ("The customer's profile in Zendesk messaging holds no e-mail address.",)
    assert zendesk.lookup(event, load(conversations_secret="a", **MESSAGING_API)) is None


def test_without_a_key_nothing_is_asked_and_the_note_says_how_to_give_one(load_trigger):
    event = only_event(load_trigger, "conversations_ticket_closed")
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
        zendesk.complete(only_event(load_trigger, recording), answered(document))


@pytest.mark.parametrize("odd", ODD, ids=map(str, range(len(ODD))))
def test_an_odd_value_anywhere_in_an_answer_completes_the_event_or_makes_it_unreadable(load_trigger, odd):
    thin = only_event(load_trigger, "conversations_ticket_closed")
    known = only_event(load_trigger, "conversations_ticket_closed_user_by_id")
    profile = MESSAGING_USER["profile"]
    answers = [
        *((thin, {"participants": each}) for each in (odd, [odd], [{"userId": odd}])),
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
        request = zendesk.lookup(completed, load(conversations_secret="a", **MESSAGING_API))
        assert request is None or (event is thin and "/users/" in request.url())
