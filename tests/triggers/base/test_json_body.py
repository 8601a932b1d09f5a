from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugin.errors import Unreadable
from plugin.triggers.base.json_body import MAX_DEPTH, MAX_DIGITS, read_json


def nested(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


def test_numbers_keep_the_digits_they_were_written_with():
    document = read_json(b'{"id": 9007199254740993123, "price": 4.50, "tiny": 1e-9}')
    assert document == {"id": 9007199254740993123, "price": Decimal("4.50"), "tiny": Decimal("1e-9")}
    assert str(document["price"]) == "4.50"


def test_of_a_repeated_name_the_last_value_counts():
    assert read_json(b'{"a": 1, "a": 2}') == {"a": 2}


@pytest.mark.parametrize("body", [b'\xef\xbb\xbf{"a": "\xc5\x82"}', b'\r\n \xef\xbb\xbf {"a": "\xc5\x82"} \n'])
def test_a_byte_order_mark_and_white_space_are_passed_over(body):
    assert read_json(body) == {"a": "ł"}


def test_what_databases_refuse_is_replaced_in_names_and_values():
    document = read_json(rb'{"a\ud800": ["b\u0000", {"c": "\udfff"}], "pair": "\ud83d\udd25"}')
    assert document == {"a\ufffd": ["b\ufffd", {"c": "\ufffd"}], "pair": "🔥"}


@pytest.mark.parametrize(
    ("body", "place", "expected"),
    [
        (b'{"a": 1,\n "b": "say "hi""}', "line 2, column 13", "quote inside the text before it"),
        (b'{"a" 1}', "line 1, column 6", "a colon"),
        (b'{"a": }', "line 1, column 7", "a value"),
        (b"{a: 1}", "line 1, column 2", "a name in double quotes"),
        (b'{"a": "x\ny"}', "line 1, column 9", "line breaks"),
        (b'{"a": "C:\\x"}', "line 1, column 10", "a backslash itself is written twice"),
        (b'{"a": "x', "line 1, column 7", "a closing quote"),
        (b'{"a": 1} {"b": 2}', "line 1, column 10", "the end of the message"),
        (b"", "line 1, column 1", "a value"),
        (b'{"a": "\xc5\x82",\n "b": "\xff"}', "line 2, column 8", "UTF-8"),
        (b'{"NaN": "Infinity",\n "b": NaN}', "line 2, column 7", "finite"),
        (b"[-Infinity]", "line 1, column 2", "finite"),
        (b"[1, 1e999999999999999999]", "line 1, column 5", "finite"),
        (b"[1, 1e5000]", "line 1, column 5", "finite"),
        (b"[" + b"1" * (MAX_DIGITS + 1) + b"]", "line 1, column 2", "ordinary length"),
        (b"[0." + b"1" * MAX_DIGITS + b"]", "line 1, column 2", "ordinary length"),
        (b'["[[[", \n' + nested(MAX_DEPTH) + b"]", f"line 2, column {MAX_DEPTH}", "levels"),
        (nested(100_000), f"line 1, column {MAX_DEPTH + 1}", "levels"),
        (b'{"a":' * 100_000, f"line 1, column {MAX_DEPTH * 5 + 1}", "levels"),
    ],
)
def test_what_is_no_json_is_refused_with_its_place_and_what_was_expected_there(body, place, expected):
    with pytest.raises(Unreadable) as refusal:
        read_json(body)
    assert f"{place}: expected" in str(refusal.value)
    assert expected in str(refusal.value)


def test_the_deepest_nesting_that_is_allowed_is_read():
    assert read_json(nested(MAX_DEPTH)) is not None
    with pytest.raises(Unreadable):
        read_json(nested(MAX_DEPTH + 1))


def test_the_refusal_does_not_quote_the_message():
    with pytest.raises(Unreadable) as refusal:
        read_json(b'{"email": "ada@example.com" "token": "s3cret"}')
    assert "ada@" not in str(refusal.value)
    assert "s3cret" not in str(refusal.value)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200) | st.text(alphabet='{}[]":,\\ud8001eN aI\n-.', max_size=80).map(str.encode))
def test_any_bytes_are_either_read_or_refused(body):
    try:
        document = read_json(body)
    except Unreadable:
        return
    repr(document).encode()
