from __future__ import annotations

import json
import time
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from plugin.errors import Unreadable
from plugin.triggers.base.json_body import read_json
from plugin.triggers.base.templated_json import read_templated_json

BODIES = {
    "ticket.closed": (
        "ticket.id",
        "ticket.tags",
        "ticket.assignee.name",
        "ticket.assignee.email",
        "ticket.requester.first_name",
        "ticket.requester.last_name",
    ),
    "ticket.reopened": ("ticket.id",),
}


def note(path, slip):
    return f"The message was not quite JSON, but its meaning is certain: {path} holds {slip}."


def title_note(slip):
    return (note("ticket.title", f"{slip} as it was typed"),)


def in_title(text):
    return f'{{"event": {{"kind": "ticket.closed"}},\n "ticket": {{"id": "35436", "title": "{text}"}}}}'


@pytest.mark.parametrize(
    ("typed", "slip"),
    [
        pytest.param('He said "fire"', "a quotation mark", id="quotes"),
        pytest.param('"', "a quotation mark", id="nothing but a quote"),
        pytest.param('"fire", he said', "a quotation mark", id="a quote before a comma"),
        pytest.param('"a"}', "a quotation mark", id="a quote before a bracket"),
        pytest.param('one "a", "b", and {"c"}', "a quotation mark", id="quotes, commas and brackets"),
        pytest.param("C:\\Data", "a backslash", id="a backslash"),
        pytest.param("ends in C:\\", "a backslash", id="a backslash before the end"),
        pytest.param("one\r\ntwo\tthree", "a line break or tab", id="line break and tab"),
        pytest.param('"C:\\Data"\n', "a quotation mark and a backslash and a line break or tab", id="all of them"),
        pytest.param('Żółć "ok" 🔥', "a quotation mark", id="any letters"),
    ],
)
def test_a_text_is_what_was_typed(typed, slip):
    document, notes = read_templated_json(in_title(typed).encode())
    assert document == {"event": {"kind": "ticket.closed"}, "ticket": {"id": "35436", "title": typed}}
    assert notes == title_note(slip)


@pytest.mark.parametrize("placeholder", ["#{ticket.customer.email}", "{{ticket.requester.email}}", "{$ticket.email}"])
@pytest.mark.parametrize("rest", [', "id": "7"}}', "}}", " \n}\n}"])
def test_a_placeholder_without_quotes_is_the_text_that_was_not_filled_in(placeholder, rest):
    body = f'{{"ticket": {{"status": {placeholder}{rest}'
    document, notes = read_templated_json(body.encode())
    assert document["ticket"]["status"] == placeholder
    assert notes == (note("ticket.status", "a placeholder without quotation marks"),)


def test_of_very_many_slips_some_are_told():
    body = "{" + ", ".join(f'"n{number}": {{{{name}}}}' for number in range(500)) + "}"
    document, notes = read_templated_json(body.encode())
    assert (len(document), len(notes)) == (500, 10)


def test_names_with_dots_are_names_too():
    assert read_templated_json(b'{"ticket.id": "1", "ticket.title": "a "b" c"}') == (
        {"ticket.id": "1", "ticket.title": 'a "b" c'},
        title_note("a quotation mark"),
    )


def test_what_ends_our_own_bodies_may_follow():
    body = b'\xef\xbb\xbf {"ticket": {"title": "a "b""},\n "sent_for": {"tenant": "acme", "source": "desk"}}\n'
    document, notes = read_templated_json(body)
    assert (document["ticket"]["title"], document["sent_for"]["source"]) == ('a "b"', "desk")
    assert notes == title_note("a quotation mark")


def whole(title="fine", first_name="Ann", last_name="Lee"):
    return {
        "event": {"kind": "ticket.closed"},
        "ticket": {
            "id": "35436",
            "tags": ["vip", "b"],
            "assignee": {"name": "Jan", "email": "jan@acme.example"},
            "title": title,
            "requester": {"first_name": first_name, "last_name": last_name},
        },
        "sent_for": {"tenant": "acme", "source": "desk"},
    }


@pytest.mark.parametrize("place", range(4))
def test_a_text_that_was_added_to_a_body_of_ours_is_put_right_before_others_that_customers_type(place):
    fields = ['"id": "1"', '"tags": "a b"', '"assignee": {"name": "Jan", "email": "j@acme.example"}']
    fields.append('"requester": {"first_name": "Ann", "last_name": "Lee"}')
    fields.insert(place, '"title": "He said "fire", twice"')
    ticket = ", ".join(fields)
    body = f'{{"event": "ticket.closed", "ticket": {{{ticket}}}, "sent_for": {{"tenant": "a", "source": "b"}}}}'
    document, notes = read_templated_json(body.encode(), BODIES)
    assert document["ticket"]["title"] == 'He said "fire", twice'
    assert list(document["ticket"])[place] == "title"
    assert notes == title_note("a quotation mark")


def test_the_body_is_that_of_the_event_that_it_tells_of():
    body = (
        '{"event": {"kind": "%s"}, "ticket": {"title": "a "b"", "id": "1"}, "sent_for": {"tenant": "a", "source": "b"}}'
    )
    assert read_templated_json((body % "ticket.reopened").encode(), BODIES)[1]
    with pytest.raises(Unreadable):
        read_templated_json((body % "ticket.closed").encode(), BODIES)


def test_several_texts_are_put_right_where_the_source_s_bodies_hold_them():
    typed = {"title": 'a "b"', "first_name": 'Ann "Joy"', "last_name": "O\\Lee"}
    body = json.dumps(whole(**dict.fromkeys(typed, "@@@")))
    for text in typed.values():
        body = body.replace("@@@", text, 1)
    document, notes = read_templated_json(body.encode(), BODIES)
    assert document == whole(**typed)
    assert len(notes) == 3


@pytest.mark.parametrize(
    "body",
    [
        pytest.param('{"ticket": {"title": "He "x"", "id": "1"}}', id="the title may go on as far as the end"),
        pytest.param('{"ticket": {"custom": {"a": "x", "b": "y "z""}}}', id="the first text may go on"),
        pytest.param('{"ticket": {"title": "x "y"", "title": "z"}}', id="a name twice"),
        pytest.param('{"ticket": {"title": "say \\"x" now"}}', id="escaped once and once not"),
        pytest.param(
            '{"ticket": {"title": "C:\\new\\Data"}}', id="a backslash that JSON knows, and one that it does not"
        ),
        pytest.param('{"ticket": {"id": "1"2"}}', id="a quote where no customer types"),
        pytest.param('{"ticket": {"title": "cut off', id="cut off"),
        pytest.param('{"ticket": {"title": "cut "off"}', id="a bracket missing"),
        pytest.param('{"ticket": {"title": "a "b""}}}', id="a bracket too many"),
        pytest.param('{"ticket": {"title": }}', id="no value"),
        pytest.param('{"ticket": [{"title": "a "b""}]}', id="a list of objects"),
        pytest.param('{"ticket": {"custom": {"x": ["a "b""]}}}', id="a list of texts"),
        pytest.param('[{"ticket": {"title": "a "b""}}]', id="several events"),
        pytest.param('{"a": 1, "ti\\u0074le": "a "b""}', id="a name that nobody writes so"),
        pytest.param('{"ticket": {"id": NaN, "title": "a "b""}}', id="another fault besides"),
        pytest.param('x{"ticket": {"title": "a "b""}}', id="something before it"),
        pytest.param("", id="nothing"),
        pytest.param('{"' + "a" * 300 + '": "a "b""}', id="a name longer than any"),
        pytest.param("{" + '"a": {' * 70 + '"b": "c "d""' + "}" * 71, id="too deep"),
        pytest.param("{" + "".join(f'"{n}": 1,' for n in range(1001)) + '"b": "c "d""}', id="too many names"),
    ],
)
def test_what_has_no_reading_or_two_is_refused_as_it_was_sent(body):
    with pytest.raises(Unreadable) as plain:
        read_json(body.encode())
    with pytest.raises(Unreadable) as refused:
        read_templated_json(body.encode(), BODIES)
    assert str(refused.value) == str(plain.value)


def test_bytes_that_are_no_text_are_not_put_right():
    with pytest.raises(Unreadable, match="UTF-8"):
        read_templated_json(b'{"ticket": {"title": "a "\xff""}}')


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES, st.sampled_from([None, 1]))
def test_sound_json_is_never_touched(value, indent):
    body = json.dumps(value, ensure_ascii=False, indent=indent).encode("utf-8", "replace")
    assert read_templated_json(body) == (read_json(body), ())


# What a text is made of that means to be mistaken for the message around it.
PIECES = ['"', '", "', "\\", "\n", "}", "{", ": ", ", ", "title", "ticket", '"title": "', '"id": "1"', '"requester": {']
PIECES += [
    '"first_name": "',
    '"last_name": "x',
    '}, "sent_for": {"tenant": "a", "source": "b',
    '"sent_for": {',
    "x",
    "é",
]
TYPED = st.lists(st.sampled_from(PIECES), max_size=12).map("".join) | st.text()


@given(
    TYPED,
    TYPED,
    TYPED,
    st.sampled_from(["title", "first_name", "last_name"]),
    st.sampled_from([None, 1]),
    st.sampled_from(["all", "backslashes"]),
)
@example('a "b", "first_name": "c', "d", "e", "title", None, "all")
@example("fine", 'x", "last_name": "y"}}, "sent_for": {"tenant": "q"', "e", "first_name", None, "all")
def test_a_document_of_which_one_text_lost_its_escapes_is_what_it_was_or_is_refused(
    title, first, last, broken, indent, lost
):
    texts = {"title": title, "first_name": first, "last_name": last}
    texts = {name: text.encode("utf-8", "replace").decode().replace("\0", "") for name, text in texts.items()}
    document = whole(**texts)
    typed = texts[broken]
    escaped = json.dumps(typed, ensure_ascii=False)[1:-1]
    raw = typed if lost == "all" else escaped.replace("\\\\", "\\")
    sound = json.dumps(whole(**{**texts, broken: "@@@"}), ensure_ascii=False, indent=indent)
    if sound.count("@@@") > 1:
        return
    try:
        read, notes = read_templated_json(sound.replace("@@@", raw).encode(), BODIES)
    except Unreadable:
        return
    # What is still JSON is nobody's to judge.
    assert not notes or read == document


@pytest.mark.parametrize(
    "part",
    [
        '{"a":',
        '{"a',
        ',"a":1',
        ',"',
        ',"\\"',
        ", ",
        ', "a" ',
        '"',
        "{",
        "}",
        "\\",
        '{"a":{',
        "#{",
        "{{",
        "{$",
        ',"a":"',
    ],
)
@pytest.mark.parametrize("around", [("", ""), ('{"ticket": {"title": "', '""}}')])
def test_the_time_grows_with_the_length_alone(part, around):
    body = part.join([around[0], *([""] * (100_000 // len(part))), around[1]]).encode()
    begun = time.process_time()
    with suppress(Unreadable):
        read_templated_json(body)
    assert time.process_time() - begun < 2
