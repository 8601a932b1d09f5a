from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugin.triggers.base.paths import LONGEST, MAX_LEAVES, Scope, leaves, path_problem, read_path, read_text

TREE = {
    "ticket": {"id": 9007199254740993, "empty": " ", "none": None, "score": Decimal("4.50"), "open": False},
    "users": [
        {"type": "agent", "email": "agent@acme.example"},
        {"type": "Customer", "email": "ada@example.com", "tags": ["a", "b"]},
    ],
    "event.kind": "ticket.closed",
    "grid": [[1, 2], [3, 4]],
    "links": {"customer": {"href": "https://api.example.com/v1/customers/ada%2Bx%40example.com/?a=1#b"}},
    "items": {"item": {"@id": "7", "#text": "only one"}},
    "0": "nought",
}
SCOPE = Scope(TREE["ticket"], TREE, {"x-event": "closed"}, "a=1&b=%C5%82")
WHOLE = Scope(TREE, TREE, {"x-event": "closed"}, "a=1&b=%C5%82")


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("ticket.id", "9007199254740993"),
        ("ticket.score", "4.50"),
        ("ticket.open", "false"),
        ("users[0].email", "agent@acme.example"),
        ("users.1.email", "ada@example.com"),
        ("users[-1].email", "ada@example.com"),
        ("users[2].email", None),
        ("users[-3].email", None),
        ("users[type=customer].email", "ada@example.com"),
        ("users[type=nobody].email", None),
        ("users[type=customer].tags[1]", "b"),
        ("grid[1][0]", "3"),
        ("event.kind", "ticket.closed"),
        ("items.item", "only one"),
        ("items.item.@id", "7"),
        ("items.item[0].@id", "7"),
        ("0", "nought"),
        ("ticket.empty", None),
        ("ticket.none", None),
        ("ticket.id.deeper", None),
        ("nothing.at.all", None),
        ("ticket.empty | ticket.none | ticket.id", "9007199254740993"),
        ("last:links.customer.href", "ada+x@example.com"),
        ("last:ticket.id", "9007199254740993"),
        ("header:X-Event", "closed"),
        ("header:X-Other | text:none", "none"),
        ("query:b", "ł"),
        ("query:c", None),
        ("text:deal", "deal"),
        ("message:users[0].type", "agent"),
    ],
)
def test_a_path_leads_to_what_stands_there(path, found):
    assert path_problem(path) is None
    assert read_text(path, WHOLE) == found


def test_the_whole_message_can_be_read_from_a_part_of_it():
    assert read_text("id", SCOPE) == "9007199254740993"
    assert read_text("users[0].type", SCOPE) is None
    assert read_text("message:users[0].type", SCOPE) == "agent"


def test_a_star_gives_what_all_items_hold():
    assert read_path("users[*].email", WHOLE) == ["agent@acme.example", "ada@example.com"]
    assert read_path("users[*].nothing", WHOLE) is None
    assert read_path("nothing[*].email", WHOLE) is None
    assert read_path("items.item[*].@id", WHOLE) == ["7"]


@pytest.mark.parametrize(
    "path",
    [
        "",
        " ",
        ".",
        "a.",
        ".a",
        "a..b",
        "a[",
        "a]",
        "a[]",
        "a[b",
        "[0]",
        "a[x=y",
        "a | ",
        "header:",
        "text: ",
        "a" * 501,
        "last:",
        "a[1]b",
        "a[12345678901]",
    ],
)
def test_what_is_no_path_is_told(path):
    assert path_problem(path)
    with pytest.raises(ValueError, match=r"is not a path|is longer|has nothing"):
        read_path(path, WHOLE)


@given(st.text(max_size=40))
def test_any_text_is_a_path_or_is_told_not_to_be_one(text):
    if path_problem(text) is None:
        read_path(text, WHOLE)


def test_each_leaf_has_a_path_that_leads_back_to_it():
    found = dict(leaves(TREE))
    assert found["ticket.id"] == 9007199254740993
    assert found["users[type=Customer].email"] == "ada@example.com"
    assert found["grid[1][0]"] == 3
    assert found["items.item"] == "only one"
    assert found["items.item.@id"] == "7"
    assert "ticket.none" not in found
    assert all(read_path(path, WHOLE) == value for path, value in found.items() if value != " ")


def test_items_that_nothing_tells_apart_are_counted():
    assert [path for path, _ in leaves({"a": [{"type": "x", "v": 1}, {"type": "X", "v": 2}]})] == [
        "a[0].type", "a[0].v", "a[1].type", "a[1].v",
    ]  # fmt: skip


def test_what_no_path_can_name_is_left_out():
    assert dict(leaves({"a]b": 1, "a|b": 2, "": 3, "header:x": 4, "fine": 5, "x" * LONGEST + "y": 6})) == {"fine": 5}


def test_the_leaves_of_a_large_message_are_bounded():
    assert len(list(leaves({"a": list(range(MAX_LEAVES * 2))}))) == MAX_LEAVES
