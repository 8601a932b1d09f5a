from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from plugin.errors import TenantFileInvalid
from plugin.redaction import Secret
from plugin.tenant_file import dump_document, empty_document, read_document
from plugin.tenant_file.document import LONGEST


def refusal(text):
    with pytest.raises(TenantFileInvalid) as caught:
        read_document(text)
    [problem] = caught.value.problems
    return problem


# --- reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "word",
    ["no", "yes", "on", "off", "true", "null", "~", "0123", "9007199254740993", "1.50", "1e3", "12:30:45", "2026-11-03",
     "0x1F", "=", ".inf", "+48221234567"],
)  # fmt: skip
def test_every_value_is_the_text_that_was_typed(word):
    assert read_document(f"value: {word}\nlist: [{word}]") == {"value": word, "list": [word]}


def test_an_empty_value_is_an_empty_text():
    assert read_document("value:\nother: ''") == {"value": "", "other": ""}


def test_keys_are_read_as_they_were_typed():
    assert read_document("no: 1\n0123: 2") == {"no": "1", "0123": "2"}


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a: 1\nb: 2\na: 3", "line 3, column 1", "the key a stands here twice"),
        ("rules:\n  - {name: x, name: y}", "line 2, column 15", "the key name stands here twice"),
        ("a: 1\nb:\n\t- c", "line 3, column 1", "indent with spaces, not tabs"),
        ("a: &x [1]\nb: *x", "line 2, column 4", "aliases (*name) are not supported"),
        ("a: {b: *b}", "line 1, column 8", "aliases (*name) are not supported"),
        ("? [a, b]\n: c", "line 1, column 3", "a key must be a plain word"),
        ("a: [1", "line 1, column 6", "expected"),
        ("a: 'b", "line 1, column 6", "unexpected end"),
        ("a: b: c", "line 1, column 5", "mapping values are not allowed here"),
        ("email: {{ person.email }}", "line 1, column 9", "a key must be a plain word"),
        ("a: %b", "line 1, column 4", "in quotes"),
        ("a: 1\n---\nb: 2", "line 2, column 1", "but found another document"),
        ('a: "\\x07"', "line 1, column 4", "control character"),
        ('a: "\\ud83d"', "line 1, column 4", "control character"),
        ("a: 1\nb: \x07", "line 2", "control character"),
        ("a: " + "[" * 13 + "]" * 13, "line 1, column 15", "nested too deeply"),
    ],
)
def test_what_is_wrong_in_a_file_is_told_with_its_line(text, place, words):
    problem = refusal(text)

    assert (problem.place, problem.message.endswith(".")) == (place, True)
    assert words in problem.message


@pytest.mark.parametrize("text", ["", "just words", "- a\n- b", "'a: b'", "# nothing"])
def test_what_is_no_list_of_keys_is_told(text):
    assert "list of keys such as `tenant:`" in refusal(text).message


def test_a_file_that_is_too_long_is_not_read():
    assert "longer than 512,000 characters" in refusal("a: " + "x" * LONGEST).message


def test_a_billion_laughs_are_refused_at_the_first_one():
    laughs = "a: &a [lol, lol]\n" + "".join(
        f"{letter}: &{letter} [*{before}, *{before}]\n" for before, letter in zip("abcdefgh", "bcdefghi", strict=True)
    )

    assert refusal(laughs).place == "line 2, column 8"


def test_a_deep_nest_of_brackets_does_not_exhaust_the_stack():
    assert "nested too deeply" in refusal("a: " + "[" * 100_000).message


def test_a_tag_makes_no_object():
    assert read_document("a: !!python/object/apply:os.system [echo]") == {"a": ["echo"]}


def test_a_merge_key_is_a_key_like_any_other():
    assert read_document("<<: {a: b}") == {"<<": {"a": "b"}}


# --- writing ----------------------------------------------------------------------------------------------------------


def test_a_secret_is_written_as_set_unless_it_is_asked_for():
    document = {"token": Secret("s3cret")}

    assert dump_document(document) == "token: {secret: set}\n"
    assert dump_document(document, with_secrets=True) == "token: s3cret\n"


@pytest.mark.parametrize(
    "word", ["no", "0123", "9007199254740993", "null", "", " a ", "a: b", "{{ x }}", "# a", "a\nb\n"]
)
def test_what_is_written_means_the_same_to_any_reader_of_yaml(word):
    assert yaml.safe_load(dump_document({"value": word})) == {"value": word}


TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\t"))


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), TEXTS | st.lists(TEXTS, max_size=3), min_size=1))
def test_what_is_written_is_read_back_letter_by_letter(document):
    assert read_document(dump_document(document)) == document


def test_a_new_tenant_begins_with_a_file_of_its_own():
    assert read_document(dump_document(empty_document("acme", "Acme"))) == {
        "tenant": "acme",
        "name": "Acme",
        "timezone": "UTC",
        "language": "en",
        "sources": [],
        "connections": [],
        "rules": [],
    }
