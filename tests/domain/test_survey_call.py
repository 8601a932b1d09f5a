"""How a request is encoded and shown, and how an answer is read."""

from __future__ import annotations

import json
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugin.domain.survey_call import OutboundRequest, OutboundResponse, SurveyCall, origin_of
from plugin.redaction import MASK, Secret

ORIGIN = "https://www.example.com"

AWKWARD = [
    "a&b=c#d?e",
    "a+b c",
    "50% off",
    "a/b\\c",
    "'single' \"double\"",
    "line one\nline two\r\n\ttabbed",
    "Zażółć gęślą jaźń",
    "Příliš žluťoučký kůň",
    "Щастя — їжак",
    "🎈👩‍👩‍👧",
    "{{ticket.id}}",
    "<script>",
    "%41%2F",
    "\x00\x7f",
    "",
]


@pytest.mark.parametrize("value", AWKWARD)
def test_every_value_arrives_as_it_was(value):
    request = OutboundRequest(
        "POST", ORIGIN, ("p", value, "q"), query=(("first", value), ("n&m", "1")), form=(("f", value),)
    )
    parts = urlsplit(request.url())
    body, content_type = request.body()
    assert [unquote(piece) for piece in parts.path.split("/")] == ["", "p", value, "q"]
    assert parse_qsl(parts.query, keep_blank_values=True) == [("first", value), ("n&m", "1")]
    assert parse_qsl(body.decode("ascii"), keep_blank_values=True) == [("f", value)]
    assert content_type == "application/x-www-form-urlencoded"
    assert parts.fragment == ""


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_no_text_breaks_the_encoding(values):
    values = [value for value in values if value not in {".", ".."}]
    request = OutboundRequest(
        "GET", ORIGIN, tuple(values), query=tuple((value, value) for value in values), json={"values": values}
    )
    url = request.url()
    assert url.isascii()
    assert url.startswith(ORIGIN + "/")
    assert json.loads(request.body()[0]) == {"values": values}


def test_half_a_surrogate_pair_becomes_a_question_mark():
    lone = "a\ud83d"
    request = OutboundRequest("POST", ORIGIN, (lone,), query=(("q", lone),), form=(("f", lone),))
    assert request.url() == f"{ORIGIN}/a%3F?q=a%3F"
    assert request.body() == (b"f=a%3F", "application/x-www-form-urlencoded")
    assert OutboundRequest("POST", ORIGIN, json={"j": lone}).body() == (b'{"j": "a?"}', "application/json")


@pytest.mark.parametrize(
    ("path", "trailing_slash", "url"),
    [
        ((), False, f"{ORIGIN}/"),
        ((), True, f"{ORIGIN}/"),
        (("a",), False, f"{ORIGIN}/a"),
        (("a", "b"), True, f"{ORIGIN}/a/b/"),
    ],
)
def test_a_path_ends_as_asked(path, trailing_slash, url):
    assert OutboundRequest("GET", ORIGIN, path, trailing_slash=trailing_slash).url() == url


@pytest.mark.parametrize("segment", [".", "..", Secret("..")])
def test_a_path_segment_of_dots_is_refused(segment):
    with pytest.raises(ValueError, match="segment"):
        OutboundRequest("GET", ORIGIN, ("a", segment, "b"))


def test_two_bodies_are_refused():
    with pytest.raises(ValueError, match="one body"):
        OutboundRequest("POST", ORIGIN, form=(), json={})


def test_a_request_without_a_body_has_none():
    assert OutboundRequest("GET", ORIGIN).body() is None


def secretive() -> OutboundRequest:
    return OutboundRequest(
        "POST",
        ORIGIN,
        ("webhooks", Secret("k-1/2"), "add"),
        query=(("apiToken", Secret("t&oken")), ("email", "ada@example.com"), ("note", "t&oken inside")),
        form=(("auth", Secret("f-secret")), ("text", "with f-secret and ada@example.com")),
        headers=(("Authorization", Secret("Bearer h-secret")),),
    )


def test_secrets_are_sent():
    request = secretive()
    assert request.url().startswith(f"{ORIGIN}/webhooks/k-1%2F2/add?apiToken=t%26oken&email=ada%40example.com")
    assert request.body()[0].startswith(b"auth=f-secret&")
    assert {secret.reveal() for secret in request.secrets} == {"k-1/2", "t&oken", "f-secret", "Bearer h-secret"}


def test_a_secret_in_disguise_is_masked_in_what_is_shown_and_known_for_what_comes_back():
    request = OutboundRequest(
        "POST",
        ORIGIN,
        form=(("text", "with h-secret"),),
        headers=(("Authorization", Secret("Basic aC1zZWNyZXQ=")),),
        disguised=(Secret("h-secret"), Secret("aC1zZWNyZXQ=")),
    )
    assert request.shown_parameters() == [("text", f"with {MASK}")]
    assert {secret.reveal() for secret in request.secrets} == {"Basic aC1zZWNyZXQ=", "h-secret", "aC1zZWNyZXQ="}
    assert "h-secret" not in repr(request)


def test_the_shown_url_has_neither_secrets_nor_addresses():
    assert secretive().shown_url() == (
        f"{ORIGIN}/webhooks/{MASK}/add?apiToken={MASK}&email=a{MASK}%40example.com&note={MASK}%20inside"
    )


def test_the_shown_parameters_have_addresses_but_no_secrets():
    assert secretive().shown_parameters() == [
        ("apiToken", MASK),
        ("email", "ada@example.com"),
        ("note", f"{MASK} inside"),
        ("auth", MASK),
        ("text", f"with {MASK} and ada@example.com"),
    ]


def test_a_json_body_is_shown_whole():
    request = OutboundRequest("POST", ORIGIN, json={"name": "Łucja"}, headers=(("X-Key", Secret("abc")),))
    assert request.shown_parameters() == [("body", '{\n "name": "Łucja"\n}')]


def test_nothing_personal_stands_in_a_repr():
    call = SurveyCall("surveylab", "add_respondent", {"email": "ada@example.com"})
    request = OutboundRequest("POST", ORIGIN, form=(("email", "ada@example.com"),), headers=(("X", Secret("abc")),))
    assert "ada" not in repr(call) + repr(request) + repr(OutboundRequest("POST", ORIGIN, json={"e": "ada@x.com"}))
    assert "ada" not in repr(
        OutboundRequest("GET", ORIGIN, ("ada@example.com",), query=(("email", "ada@example.com"),))
    )
    assert "abc" not in repr(request)


@pytest.mark.parametrize(
    ("body", "text", "json_object"),
    [
        (b'{"a": 1}', '{"a": 1}', {"a": 1}),
        (b'\xef\xbb\xbf {"a": 1} \n', '{"a": 1}', {"a": 1}),
        (b"[1]", "[1]", {}),
        (b"null", "null", {}),
        (b"<html>", "<html>", {}),
        (b"\xff{", "\ufffd{", {}),
        (b"", "", {}),
        (b"[" * 100_000, "[" * 100_000, {}),
        (b'{"a": ' * 100_000, ('{"a": ' * 100_000).strip(), {}),
    ],
)
def test_an_answer_is_read_whatever_it_is(body, text, json_object):
    response = OutboundResponse(200, body=body)
    assert (response.text, response.json_object) == (text, json_object)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://www.example.com/api.php?x=1#y", "https://www.example.com"),
        ("HTTPS://WWW.Example.COM:443", "https://www.example.com"),
        ("http://example.com:80/", "http://example.com"),
        ("http://example.com:443", "http://example.com:443"),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
        ("https://[2001:DB8::1]:8443/x", "https://[2001:db8::1]:8443"),
    ],
)
def test_an_origin_is_scheme_host_and_unusual_port(url, origin):
    assert origin_of(url) == origin


@pytest.mark.parametrize(
    "url",
    [
        "",
        "www.example.com",
        "//www.example.com",
        "ftp://www.example.com",
        "https://",
        "https:///path",
        "https://user:pw@www.example.com",
        "https://www.example.com:99999",
        "https://www.example.com:port",
        "https://www.exa\nmple.com",
        " https://www.example.com",
        "https://www.example.com/a b",
        "https://[::1",
    ],
)
def test_what_is_no_web_address_has_no_origin(url):
    with pytest.raises(ValueError):  # noqa: PT011  # the contract is the class
        origin_of(url)
