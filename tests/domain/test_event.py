"""Dirty values become placeholders, and the catalogue names them all."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugin.domain.event import (
    CATALOGUE,
    Event,
    EventKind,
    ValueKind,
    as_text,
    is_known,
    is_unrendered,
    number_text,
    tidy,
    tidy_values,
)


def test_the_event_kinds_are_a_closed_list_with_a_label_each():
    assert {kind.value for kind in EventKind} == {
        "ticket.closed",
        "ticket.reopened",
        "chat.ended",
        "crm.changed",
        "survey.link",
        "sms.sent",
        "sms.lost",
        "sms.click",
        "email.sent",
        "email.opened",
        "email.clicked",
        "email.bounced",
        "unsupported",
    }
    assert all(kind.label for kind in EventKind)


def test_only_a_closed_ticket_and_an_ended_chat_begin_an_episode():
    assert {kind for kind in EventKind if kind.closes} == {EventKind.TICKET_CLOSED, EventKind.CHAT_ENDED}


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_placeholder_has_a_label_and_an_example_that_is_tidy_already(name):
    entry = CATALOGUE[name]
    assert entry.name == name
    assert entry.label
    tidied = tidy(entry.kind, entry.example)
    assert (" ".join(tidied) if entry.kind is ValueKind.LIST else tidied) == entry.example


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("ticket.id", True),
        ("ticket.requester.email", True),
        ("person.language", True),
        ("ticket.custom.anything at all", True),
        ("payload.a.b.0.c", True),
        ("ticket.custom.", False),
        ("ticket.custom", False),
        ("payload.", False),
        ("payload", False),
        ("ticket", False),
        ("tiket.id", False),
        ("Ticket.id", False),
        ("payload." + "x" * 200, False),
    ],
)
def test_a_name_is_known_when_it_stands_in_the_catalogue_or_is_custom_or_raw(name, known):
    assert is_known(name) is known


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("abc", "abc"),
        ("  abc\n", "abc"),
        ("", None),
        (" \t\n ", None),
        (None, None),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (9007199254740993, "9007199254740993"),
        (-900719925474099312345678901, "-900719925474099312345678901"),
        (Decimal("1.10"), "1.10"),
        (Decimal("0.00000010"), "0.00000010"),
        (Decimal("1E+2"), "100"),
        (Decimal("1E+999999"), "1E+999999"),
        (1.5, "1.5"),
        (["a"], None),
        ({"a": 1}, None),
    ],
)
def test_a_leaf_of_json_becomes_the_text_it_was_written_as(raw, text):
    assert as_text(raw) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(7, "7"), (Decimal("0E-10"), "0.0000000000"), (Decimal("-0.5"), "-0.5"), (Decimal("1E-400"), "1E-400")],
)
def test_a_number_keeps_its_digits_unless_they_would_fill_the_memory(number, text):
    assert number_text(number) == text


@pytest.mark.parametrize(
    ("raw", "unrendered"),
    [
        ("{{ticket.requester.email}}", True),
        ("  {{ ticket.title }}\n", True),
        ("{{\nticket.title\n}}", True),
        ("#{ticket.id}", True),
        ("{$ticket_id}", True),
        ("{{}}", True),
        ("see {{ticket.id}}", False),
        ("{{a}} {{b}}", False),
        ("{ticket}", False),
        ("${ticket}", True),
        ("%{ticket.number}", True),
        ("{!$Record.CaseNumber}", True),
        ("$ticket", False),
        ("100 %{off}", False),
        ("plain", False),
        ("", False),
        (None, False),
        (5, False),
    ],
)
def test_only_a_value_that_is_wholly_one_placeholder_counts_as_unrendered(raw, unrendered):
    assert is_unrendered(raw) is unrendered


@pytest.mark.parametrize(
    ("kind", "raw", "expected"),
    [
        (ValueKind.TEXT, "  as it came \n", "  as it came \n"),
        (ValueKind.TEXT, 35436, "35436"),
        (ValueKind.TEXT, "   ", None),
        (ValueKind.EMAIL, "ada@example.com", "ada@example.com"),
        (ValueKind.EMAIL, " ada@example.com ", "ada@example.com"),
        (ValueKind.EMAIL, "Ada Nowak <ada@example.com>", "ada@example.com"),
        (ValueKind.EMAIL, '"Nowak, Ada" < ada@example.com >', "ada@example.com"),
        (ValueKind.EMAIL, "<ada@example.com>", "ada@example.com"),
        (ValueKind.EMAIL, "Ada <nobody>", "Ada <nobody>"),
        (ValueKind.EMAIL, "not an address", "not an address"),
        (ValueKind.URL, "acme.zendesk.com/agent/tickets/7", "https://acme.zendesk.com/agent/tickets/7"),
        (ValueKind.URL, "https://acme.example/7", "https://acme.example/7"),
        (ValueKind.URL, "HTTP://acme.example/7", "HTTP://acme.example/7"),
        (ValueKind.URL, "/tickets/7", "/tickets/7"),
        (ValueKind.LIST, "vip printer", ("vip", "printer")),
        (ValueKind.LIST, "vip, printer;fire", ("vip", "printer", "fire")),
        (ValueKind.LIST, ["vip", " printer ", "", None, 7], ("vip", "printer", "7")),
        (ValueKind.LIST, ["new customer"], ("new customer",)),
        (ValueKind.LIST, ["{{ticket.tags}}"], None),
        (ValueKind.LIST, [], None),
        (ValueKind.LIST, "", None),
        (ValueKind.LIST, {"a": "b"}, None),
        (ValueKind.STATUS, "Solved", "solved"),
        (ValueKind.STATUS, "On-hold", "hold"),
        (ValueKind.STATUS, "Rozwiązane", "solved"),
        (ValueKind.STATUS, "ZAMKNIĘTE", "closed"),
        (ValueKind.STATUS, "Oczekujące", "pending"),
        (ValueKind.STATUS, "Vyřešeno", "solved"),
        (ValueKind.STATUS, "Uzavřený", "closed"),
        (ValueKind.STATUS, "Otevřený", "open"),
        (ValueKind.STATUS, "Вирішено", "solved"),
        (ValueKind.STATUS, "Закрито", "closed"),
        (ValueKind.STATUS, "Новий", "new"),
        (ValueKind.STATUS, "розв’язано", "solved"),
        (ValueKind.STATUS, "Waiting on Customer", "waiting on customer"),
    ],
)
def test_each_kind_of_value_is_tidied_in_its_own_way(kind, raw, expected):
    assert tidy(kind, raw) == expected


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        (ValueKind.EMAIL, "<" + "@" * 500_000),
        (ValueKind.EMAIL, "<" + "a@" * 250_000 + ">"),
        (ValueKind.EMAIL, "<" * 500_000),
        (ValueKind.TEXT, "{{" * 250_000),
        (ValueKind.URL, "a" * 500_000),
    ],
)
def test_a_hostile_value_takes_no_longer_than_its_length(kind, raw):
    assert tidy(kind, raw) is not None
    assert not is_unrendered(raw)


def test_names_outside_the_catalogue_are_dropped_and_custom_fields_kept():
    tidied = tidy_values({"ticket.id": 7, "ticket.colour": "red", "ticket.custom.Colour": "red", "rest": 1})
    assert tidied.values == {"ticket.id": "7", "ticket.custom.Colour": "red"}


def test_a_custom_field_may_be_a_list():
    assert tidy_values({"ticket.custom.areas": ["a b", "c"]}).values == {"ticket.custom.areas": ("a b", "c")}


def test_empty_values_are_left_out():
    raw = {"ticket.id": "", "ticket.title": None, "ticket.tags": [], "ticket.type": "  "}
    assert tidy_values(raw) == tidy_values({})


def test_what_the_sender_left_unrendered_is_told_apart_from_what_is_missing():
    tidied = tidy_values({"ticket.id": "{{ticket.id}}", "ticket.title": "why {{this}}?", "ticket.tags": "#{tags}"})
    assert tidied.values == {"ticket.title": "why {{this}}?"}
    assert tidied.unrendered == {"ticket.id", "ticket.tags"}


@pytest.mark.parametrize(
    ("raw", "person"),
    [
        ({"ticket.requester.email": "a@x.example"}, {"person.email": "a@x.example"}),
        ({"chat.visitor.email": "v@x.example"}, {"person.email": "v@x.example"}),
        (
            {"ticket.requester.email": "a@x.example", "chat.visitor.email": "v@x.example"},
            {"person.email": "a@x.example"},
        ),
        ({"person.email": "p@x.example", "ticket.requester.email": "a@x.example"}, {"person.email": "p@x.example"}),
        ({"ticket.requester.phone": 48221234567}, {"person.phone": "48221234567"}),
        ({"ticket.requester.language": "pl"}, {"person.language": "pl"}),
        ({"chat.visitor.name": "Łucja Nowak"}, {"person.name": "Łucja Nowak"}),
        (
            {"chat.visitor.first_name": "Łucja", "chat.visitor.last_name": "Nowak"},
            {"person.name": "Łucja Nowak"},
        ),
        ({"ticket.requester.last_name": "Nowak"}, {"person.name": "Nowak"}),
        ({"ticket.requester.name": "L. N.", "ticket.requester.first_name": "Łucja"}, {"person.name": "L. N."}),
        ({"ticket.requester.email": "{{email}}", "chat.visitor.email": "v@x.example"}, {"person.email": "v@x.example"}),
        ({"ticket.assignee.email": "agent@x.example"}, {}),
        ({"crm.owner": "Petra"}, {}),
    ],
)
def test_the_customer_is_known_as_person_whatever_the_source(raw, person):
    values = tidy_values(raw).values
    assert {name: value for name, value in values.items() if name.startswith("person.")} == person


@pytest.mark.parametrize(
    ("raw", "unrendered"),
    [
        ({"ticket.requester.email": "{{email}}"}, {"ticket.requester.email", "person.email"}),
        ({"chat.visitor.phone": "#{phone}"}, {"chat.visitor.phone", "person.phone"}),
        ({"person.email": "{{email}}", "chat.visitor.email": "v@x.example"}, set()),
        ({"ticket.requester.name": "{{name}}", "ticket.requester.first_name": "Ada"}, set()),
    ],
)
def test_an_unrendered_address_is_unrendered_for_the_person_too_unless_another_value_serves(raw, unrendered):
    assert tidy_values(raw).unrendered == unrendered


def test_an_event_shows_no_personal_value_in_its_repr():
    event = Event(EventKind.CHAT_ENDED, values={"person.email": "ada@example.com"}, payload={"mail": "ada@example.com"})
    assert "ada@" not in repr(event)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.decimals() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(CATALOGUE)), JSON))
def test_tidying_never_raises_and_leaves_nothing_empty(raw):
    tidied = tidy_values(raw)
    assert not tidied.unrendered & tidied.values.keys()
    for value in tidied.values.values():
        texts = (value,) if isinstance(value, str) else value
        assert texts
        assert all(text.strip() for text in texts)
