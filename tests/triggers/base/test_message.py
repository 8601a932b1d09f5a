from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugin.domain.event import EventKind
from plugin.errors import Unreadable
from plugin.triggers.base import InboundRequest
from plugin.triggers.base.message import MAX_EVENTS, MAX_FIELDS, MAX_ID, read_message

KINDS = frozenset({EventKind.TICKET_CLOSED, EventKind.TICKET_REOPENED, EventKind.CHAT_ENDED, EventKind.CRM_CHANGED})


def read(message, *, query="", kinds=KINDS, id_headers=(), aliases=None, **headers):
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    request = InboundRequest("POST", query, {name.replace("_", "-"): text for name, text in headers.items()}, body)
    return read_message(request, kinds=kinds, id_headers=id_headers, aliases=aliases)


def read_one(message, **options):
    [event] = read(message, **options)
    return event


# --- what was it


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ({"event": {"kind": "ticket.reopened"}, "ticket": {}}, EventKind.TICKET_REOPENED),
        ({"event": "ticket.reopened"}, EventKind.TICKET_REOPENED),
        ({"event.kind": " Chat.Ended ", "ticket": {}}, EventKind.CHAT_ENDED),
        ({"ticket": {"id": "1"}}, EventKind.TICKET_CLOSED),
        ({"ticket.id": "1"}, EventKind.TICKET_CLOSED),
        ({"ticket": None}, EventKind.TICKET_CLOSED),
        ({"chat": {"id": "1"}}, EventKind.CHAT_ENDED),
        ({"crm": {"id": "1"}, "person": {}}, EventKind.CRM_CHANGED),
        ({"crm.id": "1", "ticket": {}}, EventKind.TICKET_CLOSED),
        ({"event": {"kind": ""}, "chat": {}}, EventKind.CHAT_ENDED),
        ({"event": None, "chat": {}}, EventKind.CHAT_ENDED),
        ({"event": "ticket.merged", "ticket": {}}, EventKind.UNSUPPORTED),
        ({"event": "sms.lost"}, EventKind.UNSUPPORTED),
        ({"event": "unsupported", "ticket": {}}, EventKind.UNSUPPORTED),
        ({"event": "{{event}}", "ticket": {}}, EventKind.UNSUPPORTED),
        ({"ticketing": {"id": "1"}}, EventKind.UNSUPPORTED),
        ({}, EventKind.UNSUPPORTED),
    ],
)
def test_the_kind_is_the_one_named_or_else_the_one_that_the_object_means(message, kind):
    assert read_one(message).kind is kind


def test_a_kind_that_the_source_does_not_give_is_unsupported():
    assert read_one({"crm": {"id": "1"}}, kinds={EventKind.TICKET_CLOSED}).kind is EventKind.UNSUPPORTED


def test_the_senders_word_for_an_unsupported_kind_is_kept_and_told():
    event = read_one({"event": "ticket.merged", "ticket": {"id": "7"}})
    assert (event.vendor_kind, event.subject) == ("ticket.merged", "ticket:7")
    assert event.notes == ("The kind of event that the message names is none that this source acts on.",)


def test_a_message_without_anything_of_ours_says_so():
    assert "none of ticket, chat and crm" in read_one({"hello": "world"}).notes[0]


# --- who and what is it about


@pytest.mark.parametrize(
    ("message", "subject"),
    [
        ({"ticket": {"id": 9007199254740993123}}, "ticket:9007199254740993123"),
        ({"chat": {"id": " RVU "}}, "chat:RVU"),
        ({"crm": {"object": "deal", "id": 7}}, "crm:deal:7"),
        ({"crm": {"id": 7}}, "crm:record:7"),
        ({"ticket": {"id": ""}}, None),
        ({"ticket": {"id": "{{ticket.id}}"}}, None),
        ({"ticket": {"id": [1]}}, None),
        ({"event": "chat.ended", "ticket": {"id": 1}}, None),
    ],
)
def test_the_subject_is_the_id_of_the_main_object(message, subject):
    assert read_one(message).subject == subject


@pytest.mark.parametrize(
    ("ticket", "mark"),
    [
        ({"updated_at": "2026-01-02T03:04:05Z", "closed_at": "2026-01-02T03:00:00Z"}, "2026-01-02T03:00:00Z"),
        ({"updated_at": "2026-01-02T03:04:05Z", "thread_id": "T1"}, "T1"),
        ({"updated_at": 1767323045}, "1767323045"),
        ({"updated_at": "2026-01-02T03:04:05Z", "closed_at": None}, "2026-01-02T03:04:05Z"),
        ({"updated_at": "2026-01-02T03:04:05Z", "closed_at": "{{ticket.closed_at}}"}, "2026-01-02T03:04:05Z"),
        ({"ended_at": "2026-01-02 03:04"}, "2026-01-02 03:04"),
        ({"updated_at": "2 January 2026"}, None),
        ({"closed_at": "2026-01-02"}, None),
        ({"closed_at": {"at": "2026-01-02T03:04:05Z"}}, None),
        ({}, None),
    ],
)
def test_the_closing_mark_is_the_best_that_tells_two_closings_of_one_day_apart(ticket, mark):
    assert read_one({"ticket": {"id": 1, **ticket}}).closing_mark == mark


def test_a_date_that_cannot_mark_a_closing_is_told():
    assert read_one({"ticket": {"updated_at": "2 January 2026"}}).notes == (
        "ticket.updated_at has no time of day, so it cannot tell two closings apart.",
    )


@pytest.mark.parametrize("field", ["id", "thread_id"])
def test_an_id_too_long_for_an_index_becomes_its_hash(field):
    event = read_one({"event": {"id": "e" * 5000}, "ticket": {field: "x" * 5000}})
    for text in (event.id, event.subject, event.closing_mark):
        assert text is None or len(text) <= MAX_ID
    assert event.id != read_one({"event": {"id": "e" * 5001}}).id


# --- event id and time


def test_the_id_in_the_body_counts_before_any_header():
    event = read_one({"event": {"id": 5}}, x_own="h1", webhook_id="h2", id_headers=["x-own"])
    assert (event.id, event.values["event.id"]) == ("5", "5")


def test_the_senders_own_id_header_counts_before_the_common_ones():
    assert read_one({"ticket": {}}, x_own="h1", webhook_id="h2", id_headers=["x-own"]).id == "h1"
    assert read_one({"ticket": {}}, idempotency_key="h3", webhook_id="h2").id == "h2"
    assert read_one({"ticket": {}}, idempotency_key=" h3 ").id == "h3"
    assert read_one({"ticket": {}}, webhook_id=" ").id is None


def test_an_unrendered_id_in_the_body_gives_way_to_the_header():
    event = read_one({"event": {"id": "{{event.id}}"}, "ticket": {}}, webhook_id="h2")
    assert (event.id, event.unrendered) == ("h2", frozenset())
    assert read_one({"event": {"id": "{{event.id}}"}, "ticket": {}}).unrendered == {"event.id"}


def test_several_events_of_one_request_share_no_header_id():
    assert [event.id for event in read([{"ticket": {}}, {"chat": {}}], webhook_id="h")] == ["h-1", "h-2"]
    assert [event.id for event in read([{"ticket": {}}], webhook_id="h")] == ["h"]


@pytest.mark.parametrize("time", ["2026-01-02T03:04:05Z", "2026-01-02T04:04:05+01:00", 1767323045, 1767323045000])
def test_the_time_is_read_into_utc(time):
    event = read_one({"event": {"time": time}})
    assert event.time == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert event.values["event.time"] == "2026-01-02T03:04:05Z"


def test_a_time_that_cannot_be_read_is_left_out_and_told():
    event = read_one({"event": {"time": "yesterday"}, "ticket": {}})
    assert event.time is None
    assert "event.time" not in event.values
    assert event.notes == ("event.time is neither ISO 8601 nor Unix time, so it was left out.",)


# --- values


def test_nested_and_dotted_names_mean_the_same():
    nested = read_one({"ticket": {"id": "1", "requester": {"email": "ada@example.com"}, "custom": {"a": {"b": 1}}}})
    dotted = read_one({"ticket.id": "1", "ticket.requester.email": "ada@example.com", "ticket.custom.a.b": "1"})
    mixed = read_one({"ticket": {"id": "1", "requester.email": "ada@example.com", "custom.a": {"b": "1"}}})
    assert nested.values == dotted.values == mixed.values
    assert nested.values["person.email"] == "ada@example.com"


def test_a_sender_cannot_fill_in_what_is_ours_to_say():
    event = read_one(
        {"ticket": {"id": 1}, "episode.id": "x", "delivery": {"reference": "x"}, "event.kind": "chat.ended"}
    )
    assert not event.values.keys() & {"episode.id", "delivery.reference"}
    assert event.values["event.kind"] == "chat.ended"


def test_the_whole_message_is_kept_as_payload():
    message = {"ticket": {"id": 1}, "other": {"deep": [1, None]}}
    assert read_one(message).payload == message


def test_the_senders_spelling_is_read_as_ours_and_wins():
    event = read_one(
        {"ticket": {"updated_at": "2 January", "changed": "2026-01-02T03:04:05Z"}},
        aliases={"ticket.changed": "ticket.updated_at", "ticket.kind": "ticket.type"},
    )
    assert event.values["ticket.updated_at"] == event.closing_mark == "2026-01-02T03:04:05Z"
    assert event.notes == ()


@pytest.mark.parametrize(
    ("ticket", "note"),
    [
        ({"url": "acme.example/1"}, "ticket.url came without https://, which was added."),
        (
            {"requester": {"email": "Ada <ada@example.com>"}},
            "ticket.requester.email came as a name with an address; the",
        ),
        ({"status": "Rozwiązane"}, "ticket.status came as “Rozwiązane” and was read as solved."),
        ({"id": ["1"]}, "ticket.id holds a list that cannot be read as its value, so it was left out."),
        ({"tags": [{"name": "vip"}]}, "ticket.tags holds a list that cannot be read as its value, so it was left out."),
        (
            {"subject": "x", "id": {"a": 1}},
            "Not placeholders, and so only readable as payload.<name>: ticket.subject, t",
        ),
        (
            {"title": "caf\ufffd"},
            "Some characters could not be read and stand as \ufffd; the sender should send UTF-8.",
        ),
    ],
)
def test_what_was_mended_or_left_out_is_told(ticket, note):
    [told] = read_one({"ticket": ticket}).notes
    assert told.startswith(note)


@pytest.mark.parametrize(
    "ticket", [{"id": " 1 ", "tags": "a b", "status": "Solved", "title": "", "closed_at": "10:00:00"}]
)
def test_what_is_usual_is_not_told(ticket):
    assert read_one({"ticket": ticket}).notes == ()


def test_no_note_holds_an_address_of_a_person():
    event = read_one(
        {"ticket": {"requester": "ada@example.com", "eva@example.com": 1, "assignee": {"email": ["x@y.cz"]}}}
    )
    assert "@" not in " ".join(event.notes)


# --- how it was written


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded", ""])
def test_json_is_known_by_its_first_character(content_type):
    assert read_one({"ticket": {"id": 1}}, content_type=content_type).subject == "ticket:1"


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "application/json", ""])
def test_a_form_is_known_by_how_it_begins(content_type):
    event = read_one(b"ticket.id=1&ticket.title=a%26b+c&ticket.status=", content_type=content_type)
    assert (event.subject, event.values["ticket.title"]) == ("ticket:1", "a&b c")
    assert event.payload == {"ticket.id": "1", "ticket.title": "a&b c", "ticket.status": ""}


def test_the_query_counts_only_where_there_is_no_body():
    assert read_one(b"  \r\n", query="chat.id=2").subject == "chat:2"
    assert read_one({"ticket": {"id": 1}}, query="chat.id=2").subject == "ticket:1"


@pytest.mark.parametrize("body", [b"", b" \r\n ", b"\xef\xbb\xbf"])
def test_neither_body_nor_query_is_a_ping(body):
    assert read(body) == []


def test_an_empty_list_holds_no_events():
    assert read([]) == []


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"hello", "line 1, column 1: expected a value"),
        (b"null", "must be a JSON object"),
        (b"[1]", "must be a JSON object"),
        (b'[{"ticket": {}}, []]', "must be a JSON object"),
        (b"<ticket><id>1</ticket>", "XML: line 1, column 16"),
        (b"[" + b"{}," * MAX_EVENTS + b"{}]", f"at most {MAX_EVENTS}"),
        (b"&".join([b"a=1"] * (MAX_FIELDS + 1)), f"more than {MAX_FIELDS}"),
        (b"payload=%7B%22ticket%22", "column 10: expected a colon"),
        (b"\xff\xfe{\x00}\x00", "UTF-8"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_sentence(body, told):
    with pytest.raises(Unreadable) as refusal:
        read(body)
    assert told in str(refusal.value)


def test_many_long_names_deep_inside_each_other_take_little():
    message = {"ticket": {"x" * 100_000: {"y" * 100_000: {str(number): 1 for number in range(50_000)}}}}
    event = read_one(message)
    assert event.values == {"event.kind": "ticket.closed"}


LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20)
)
WORDS = "ticket chat crm event person id tags email requester custom kind time url status updated_at closed_at . a.b"
NAMES = st.sampled_from(WORDS.split()) | st.text(max_size=5)
DOCUMENTS = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(NAMES, DOCUMENTS, max_size=5))
def test_any_json_object_gives_one_event_that_can_be_stored(message):
    event = read_one(message)
    assert event.kind in KINDS | {EventKind.UNSUPPORTED}
    repr((event.id, event.subject, event.closing_mark, event.vendor_kind, event.notes, dict(event.values))).encode()
    json.dumps(event.payload, default=str, ensure_ascii=False).encode()


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=100), st.text(max_size=60), st.sampled_from(["application/x-www-form-urlencoded", "", "ż"]))
def test_any_bytes_give_events_or_are_unreadable(body, query, content_type):
    request = InboundRequest("POST", query, {"content-type": content_type, "webhook-id": query}, body)
    try:
        events = read_message(request, kinds=KINDS)
    except Unreadable:
        return
    for event in events:
        repr((event.id, event.subject, dict(event.values))).encode()
