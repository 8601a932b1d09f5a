from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugin.errors import Unreadable
from plugin.triggers.base.json_body import read_json
from plugin.triggers.base.mended_json import read_mended_json


def quotes(count):
    return f"The message was not quite JSON: missing closing quotation marks were added ({count})."


BRACKET = "The message was not quite JSON: one closing bracket too many at its end was left out."


@pytest.mark.parametrize(
    ("body", "document", "notes"),
    [
        pytest.param('{"a": "sms\n}', {"a": "sms"}, (quotes(1),), id="at the end of a line"),
        pytest.param('{"a": "sms}', {"a": "sms"}, (quotes(1),), id="before a closing bracket"),
        pytest.param('{"a": "sms, "b": 1}', {"a": "sms", "b": 1}, (quotes(1),), id="before a comma"),
        pytest.param('{"a": "sms,\n "b": 1}', {"a": "sms", "b": 1}, (quotes(1),), id="before a comma and a line break"),
        pytest.param(
            '{"0": {"a": "sms}, "1": {"a": "sms}}', {"0": {"a": "sms"}, "1": {"a": "sms"}}, (quotes(2),), id="twice"
        ),
        pytest.param(
            '{"a": "http://x.example/?b=c&d}', {"a": "http://x.example/?b=c&d"}, (quotes(1),), id="an address"
        ),
        pytest.param('{"a": "Łódź}', {"a": "Łódź"}, (quotes(1),), id="any letters"),
        pytest.param('["a]', ["a"], (quotes(1),), id="in a list"),
        pytest.param('{"a": 1}}', {"a": 1}, (BRACKET,), id="one bracket too many"),
        pytest.param('{"a": 1} \n } \n', {"a": 1}, (BRACKET,), id="one bracket too many, on a line of its own"),
        pytest.param('[{"a": "}"}]]', [{"a": "}"}], (BRACKET,), id="brackets in texts do not count"),
        pytest.param('{"a": "sms\n}\n}', {"a": "sms"}, (quotes(1), BRACKET), id="both"),
    ],
)
def test_a_slip_whose_meaning_is_certain_is_put_right_and_told(body, document, notes):
    assert read_mended_json(body.encode()) == (document, notes)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param('{"a": 1}}}', id="two brackets too many"),
        pytest.param('{"a": 1}} {"b": 2}', id="something behind the bracket"),
        pytest.param('{"a": 1', id="cut off"),
        pytest.param('{"a": "sms", "b": "cut off in the mid', id="cut off in a text of several words"),
        pytest.param('{"a": "two words\n}', id="several words, so that the end could be anywhere"),
        pytest.param('{"a": "He said "yes" to it", "b": 1}', id="quotes within a text"),
        pytest.param('{"a: "sms"}', id="a name that was not closed"),
        pytest.param('{"a": sms"}', id="a text that was not opened"),
        pytest.param("{'a': 'sms}", id="other quotes"),
        pytest.param('{"a": NaN, "b": "sms}', id="another fault besides"),
        pytest.param('}{"a": 1}', id="a bracket too many at the start"),
        pytest.param("", id="nothing"),
    ],
)
def test_every_other_fault_is_refused_as_it_was_sent(body):
    with pytest.raises(Unreadable) as plain:
        read_json(body.encode())
    with pytest.raises(Unreadable) as refused:
        read_mended_json(body.encode())
    assert str(refused.value) == str(plain.value)


def test_bytes_that_are_no_text_are_not_mended():
    with pytest.raises(Unreadable, match="UTF-8"):
        read_mended_json(b'{"a": "\xff}')


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES, st.sampled_from([None, 1]))
def test_sound_json_is_never_touched(value, indent):
    body = json.dumps(value, ensure_ascii=False, indent=indent).encode("utf-8", "replace")
    assert read_mended_json(body) == (read_json(body), ())


WORDS = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters='"\\,{}[]'), min_size=1)


@given(WORDS, WORDS)
def test_a_document_that_lost_a_quotation_mark_is_what_it_was(first, second):
    document = {"0": {"a": first, "b": 1}, "1": {"c": second}}
    sound = json.dumps(document, ensure_ascii=False)
    for text in (first, second):
        closed = f'"{text}"'
        place = sound.index(closed, sound.index('"a": ' if text is first else '"c": ')) + len(closed) - 1
        assert read_mended_json((sound[:place] + sound[place + 1 :]).encode()) == (document, (quotes(1),))


@pytest.mark.parametrize(
    "part", ['"a', '"a ', '"a}', '"a, ', '"a, "b', '"a,"b"', "}", "[", '"', '\\"', '"a\n,\n', " ", "a", '"a, "b": ']
)
def test_the_time_grows_with_the_length_alone(part):
    body = (part * (100_000 // len(part))).encode()
    begun = time.process_time()
    with pytest.raises(Unreadable):
        read_mended_json(body)
    assert time.process_time() - begun < 2
