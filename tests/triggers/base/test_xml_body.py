from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugin.errors import Unreadable
from plugin.triggers.base.json_body import MAX_DEPTH
from plugin.triggers.base.xml_body import MAX_ELEMENTS, read_xml


@pytest.mark.parametrize(
    ("body", "tree"),
    [
        (b"<a>t</a>", {"a": "t"}),
        (b"\xef\xbb\xbf <a>t</a>\n", {"a": "t"}),
        (b"<a/>", {"a": ""}),
        (b"<a><b>1</b><c>2</c></a>", {"a": {"b": "1", "c": "2"}}),
        (b"<a><b>1</b><c>2</c><b>3</b><b/></a>", {"a": {"b": ["1", "3", ""], "c": "2"}}),
        (b'<n:a xmlns:n="u" xmlns="v"><n:b n:c="d">e</n:b></n:a>', {"a": {"b": {"@c": "d", "#text": "e"}}}),
        (b'<a xmlns:i="u"><b i:nil="true"/><c i:nil="0"/></a>', {"a": {"b": None, "c": {"@nil": "0"}}}),
        (b"<a>x<b>y</b>z</a>", {"a": {"b": "y", "#text": "xz"}}),
        (b"<a>\n <b>y</b>\n</a>", {"a": {"b": "y"}}),
        (b"<a>900719925474099312</a>", {"a": "900719925474099312"}),
        (b"<a>&lt;&amp;&#x142;<![CDATA[<b>]]></a>", {"a": "<&ł<b>"}),
        ('<?xml version="1.0" encoding="windows-1250"?><a>Żółć</a>'.encode("cp1250"), {"a": "Żółć"}),
        ('<?xml version="1.0" encoding="utf-16"?><a>Żółć</a>'.encode(), {"a": "Żółć"}),
        (b"<a>\xb3</a>", {"a": "\ufffd"}),
    ],
)
def test_xml_becomes_the_tree_that_json_would_give(body, tree):
    assert read_xml(body) == tree


BOMB = (
    b'<!DOCTYPE a [<!ENTITY b "'
    + b"x" * 1000
    + b'">'
    + b"".join(b'<!ENTITY b%d "%s">' % (i, b"&b%d;" % (i - 1) * 10 if i else b"&b;" * 10) for i in range(9))
    + b"]><a>&b8;</a>"
)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "document type"),
        (b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', "document type"),
        (b'<!DOCTYPE a [<!ENTITY % x SYSTEM "https://example.com/x">%x;]><a/>', "document type"),
        (BOMB, "document type"),
        (b"<a>&x;</a>", "line 1, column 4: undefined entity"),
        (b"<a>", "line 1, column 4: no element found"),
        (b"<a><b></a></b>", "line 1, column 9: mismatched tag"),
        (b"<a/><b/>", "line 1, column 5"),
        (b"", "no element found"),
        (b"<a>\x00</a>", "not well-formed"),
        (b"<a>" * (MAX_DEPTH + 5), "levels of nesting"),
        (b"<a>" + b"<b/>" * (MAX_ELEMENTS + 5), "elements"),
    ],
)
def test_what_is_not_plain_xml_is_refused_with_a_sentence(body, told):
    with pytest.raises(Unreadable, match=told):
        read_xml(body)


def test_a_large_body_is_read_in_no_time():
    body = b"<a>" + b'<b c="d">&amp;e</b>' * (MAX_ELEMENTS - 10) + b"</a>"
    start = time.process_time()
    assert len(read_xml(body)["a"]["b"]) == MAX_ELEMENTS - 10
    assert time.process_time() - start < 5


@given(st.binary(max_size=60) | st.text(alphabet="<>/a&;b='\" !-[]?x", max_size=60).map(str.encode))
def test_any_bytes_are_xml_or_unreadable(body):
    try:
        tree = read_xml(body)
    except Unreadable:
        return
    assert len(tree) == 1
