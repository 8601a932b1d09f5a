"""What a log line or a page may show."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from plugin.redaction import (
    MASK,
    Secret,
    mask,
    mask_addresses,
    mask_event,
    mask_secrets,
    mask_unknown_secrets,
    reveal,
    shown_exception,
)


def test_a_secret_shows_itself_only_when_asked():
    secret = Secret("s3cr3t")
    shown = f"{secret} {secret!r} {[secret]}"
    assert "s3cr3t" not in shown
    assert (secret.reveal(), reveal(secret), reveal("plain")) == ("s3cr3t", "s3cr3t", "plain")


def test_secrets_are_compared_by_what_they_hold():
    assert Secret("a") == Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1
    assert (bool(Secret("")), bool(Secret("a"))) == (False, True)


@pytest.mark.parametrize(
    "written",
    [
        'p&ß "1"/x+y',
        "p%26%C3%9F%20%221%22%2Fx%2By",
        "p%26%c3%9f%20%221%22%2fx%2by",
        "p%26%C3%9F+%221%22%2Fx%2By",
        "p%26%C3%9F%20%221%22/x%2By",
        'p&ß \\"1\\"/x+y',
        'p&\\u00df \\"1\\"/x+y',
        "p&amp;ß &quot;1&quot;/x+y",
    ],
)
def test_a_secret_is_masked_however_it_is_written(written):
    assert mask_secrets(f"before {written} after", [Secret('p&ß "1"/x+y')]) == f"before {MASK} after"


def test_of_secrets_within_one_another_no_part_survives():
    assert mask_secrets("token-12345", [Secret("token"), Secret("token-12345")]) == MASK


def test_a_secret_too_short_to_be_one_leaves_the_text_alone():
    assert mask_secrets("a long text", [Secret("o"), Secret("")]) == "a long text"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("mail ada@example.com now", "mail a•••@example.com now"),
        ("ada@example.com,bob@example.org", "a•••@example.com,b•••@example.org"),
        ("Ada Lovelace <ada.l+x@mail.example.co.uk>", "Ada Lovelace <a•••@mail.example.co.uk>"),
        ("mailto:ada@example.com", "mailto:a•••@example.com"),
        ("x?email=ada@example.com&crk=1", "x?email=a•••@example.com&crk=1"),
        ("x?email=ada%40example.com&crk=1", "x?email=a•••%40example.com&crk=1"),
        ("u=https%3A%2F%2Fx%3Fe%3Dada%2540example.com%26f", "u=https%3A%2F%2Fx%3Fe%3Da•••%2540example.com%26f"),
        ('{"email": "ada@example.com", "id": 1}', '{"email": "a•••@example.com", "id": 1}'),
        ('{"email": "ada\\u0040example.com"}', '{"email": "a•••\\u0040example.com"}'),
        ("ada&#64;example.com", "a•••&#64;example.com"),
        ("łucja@łódź.pl", "ł•••@łódź.pl"),
        ("email=%C5%82ucja%40example.com", "email=•••%40example.com"),
        ("email=ada%40%C5%82%C3%B3d%C5%BA.pl", "email=a•••%40%C5%82%C3%B3d%C5%BA.pl"),
        ('{"e": "\\u0142ukasz@\\u0142\\u00f3d\\u017a.pl"}', '{"e": "•••@\\u0142\\u00f3d\\u017a.pl"}'),
        ("ада@пошта.укр", "а•••@пошта.укр"),
        ("ada＠example.com", "a•••＠example.com"),
        ('"ada lovelace"@example.com', "•••@example.com"),
        ('to \\"ada lovelace\\"@example.com', "to \\•••@example.com"),
        ("a@example.com", "•••@example.com"),
        ("a" * 500 + "@example.com", "a•••@example.com"),
        ("ada@example.com.", "a•••@example.com."),
        ("user:password@host.example.com", "user:p•••@host.example.com"),
        ("ada%40example%2Ecom", "a•••%40example%2Ecom"),
    ],
)
def test_an_address_keeps_its_first_letter_and_its_domain(text, masked):
    assert mask_addresses(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no sign at all",
        "meet @ noon, 40 % off",
        "@everyone and hi@",
        "requests@2.34.2 git@1.2",
        '"handle":"@example.com"',
        '["x", "@example.com"]',
        "root@localhost",
        "100%40",
        "a @b.cd",
    ],
)
def test_ordinary_text_stays_as_it_is(text):
    assert mask(text) == text


@given(st.text(), st.emails(), st.text())
def test_masking_twice_changes_nothing_more(before, address, after):
    once = mask_addresses(f"{before}{address}{after}")
    assert mask_addresses(once) == once


@given(
    st.text(alphabet="abcdefgXYZ0123456789._+-łżé", min_size=2, max_size=64),
    st.sampled_from(["@example.com", "%40example.com", "%2540sub.example.co.uk", "@łódź.pl"]),
    st.sampled_from(["{}", "to {} now", "?email={}&x=1", '{{"email": "{}"}}', "<{}>", "'{}',", "%3D{}%26", "({})"]),
)
def test_no_local_part_can_be_read(local_part, rest, place):
    assert local_part not in mask_addresses(place.format(local_part + rest)).replace(rest, "")


HOSTILE = [
    "a" * 200_000 + "@",
    "@" * 200_000,
    "a@" * 100_000,
    "%40" * 70_000,
    "%25" * 70_000 + "40x.com",
    '"' * 200_000 + "@x.com",
    '"@a.bc' * 35_000,
    "x@" + "a." * 100_000,
    "x@" + "a" * 200_000,
    "x@" + "%C5" * 70_000,
    "a-" * 100_000 + "=",
    "=%" * 100_000,
    ("a" * 64 + "-") * 3_000,
    '"a":"' * 40_000,
    '"a":\'' + "\\" * 200_000,
    "authorization: bearer " + " " * 200_000,
    "authorization:" * 15_000,
    "/triggers/" * 20_000,
    "/triggers/" + "a" * 200_000 + ".py",
    "\\u0040" * 35_000,
    "%20" * 70_000 + "@a.bc",
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:12]))
def test_hostile_text_costs_no_more_than_its_length(text):
    # 200,000 characters take about 50 ms; anything that grows faster than the text takes minutes.
    began = time.process_time()
    mask_unknown_secrets(mask_addresses(text))
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("GET /api.php?apiToken=abc123&email=1", "GET /api.php?apiToken=•••&email=1"),
        ("?cId=1&token=abc%3D%3D&x", "?cId=1&token=•••%3D%3D&x"),
        ("?webhook_auth=abc webhook-key=def", "?webhook_auth=••• webhook-key=•••"),
        ("?key=a&auth=b&APIKEY=c", "?key=•••&auth=•••&APIKEY=•••"),
        ("u=https%3A%2F%2Fx%3FapiToken%3Dabc%26email%3D1", "u=https%3A%2F%2Fx%3FapiToken%3D•••%26email%3D1"),
        ('{"api_token": "ab\\"c", "id": "1"}', '{"api_token": •••, "id": "1"}'),
        ("{'signing_secret': 'abc'}", "{'signing_secret': •••}"),
        ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer •••"),
        ("'authorization': 'Basic dTpw'", "'authorization': •••"),
        ("POST /triggers/0123456789abcdefXYZ_-?x=1", "POST /triggers/•••?x=1"),
        ("https://h/config/eyJ0IjoxfQ.Zx12.sig-nature_9", "https://h/config/•••"),
        ("next=%2Fconfig%2FeyJ0IjoxfQ.Zx12.signature", "next=%2Fconfig%2F•••"),
    ],
)
def test_a_secret_is_known_by_its_place(text, masked):
    assert mask_unknown_secrets(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "author=ada monkey=1 keyboard=2 tokens=3",
        '"author": "ada"',
        'File "plugin/triggers/zendesk.py", line 3',
        'File "/srv/plugin/triggers/a_source_with_a_long_name.py", line 3',
        "a token: the key to it",
        "GET /triggers/<key> 202",
    ],
)
def test_what_only_resembles_a_secret_stays(text):
    assert mask_unknown_secrets(text) == text


def test_an_exception_is_shown_by_kind_and_masked_text():
    error = ValueError("https://x/?apiToken=abc for ada@example.com with s3cr3t")
    shown = shown_exception(error, [Secret("s3cr3t")])
    assert shown == f"ValueError: https://x/?apiToken={MASK} for a{MASK}@example.com with {MASK}"
    assert shown_exception(KeyError()) == "KeyError"


@dataclass
class Person:
    email: str


LEAKS = ("ada", "abc123", "s3cr3t")


def assert_no_leak(event) -> None:
    shown = json.dumps(event, default=str, ensure_ascii=False)
    assert not [leak for leak in LEAKS if leak in shown], shown


def test_every_text_of_an_event_is_masked_however_deep():
    when = datetime(2026, 11, 2, tzinfo=UTC)
    event = mask_event(
        None,
        "info",
        {
            "event": "called https://x/?apiToken=abc123&email=ada%40example.com",
            "list": ["ada@example.com", ("ada@example.com", {"deep": "ada@example.com"})],
            "ada@example.com": 1,
            "by_address": {"ada@example.com": 2},
            "object": Person("ada@example.com"),
            "bytes": b"ada@example.com",
            "error": ValueError("ada@example.com"),
            "api_token": "abc123",
            "credentials": {"password": b"abc123", "hint": "s3cr3t", "keys": ["abc123?key=abc123"]},
            "count": 3,
            "share": 0.5,
            "done": True,
            "nothing": None,
            "when": when,
        },
        secrets=[Secret("s3cr3t"), Secret("abc123")],
    )
    event.pop("ada@example.com")  # names of an event are written by us
    assert_no_leak(event)
    assert (event["count"], event["share"], event["done"], event["nothing"], event["when"]) == (
        3,
        0.5,
        True,
        None,
        when,
    )
    assert event["event"] == f"called https://x/?apiToken={MASK}&email=a{MASK}%40example.com"


def fail(text: str) -> None:
    raise ValueError(text)


@pytest.mark.parametrize("form", ["exception", "triple", "true"])
def test_a_traceback_is_masked(form):
    try:
        fail("for ada@example.com")
    except ValueError as error:
        exc_info = {"exception": error, "triple": sys.exc_info(), "true": True}[form]
        event = mask_event(None, "error", {"event": "failed", "exc_info": exc_info})
    assert "exc_info" not in event
    assert "Traceback" in event["exception"]
    assert f"ValueError: for a{MASK}@example.com" in event["exception"]
    assert_no_leak(event)


def test_an_event_without_exception_gets_none():
    assert mask_event(None, "info", {"event": "e", "exc_info": False}) == {"event": "e"}


def test_the_processor_works_in_a_chain_of_structlog():
    written = []
    log = structlog.wrap_logger(
        structlog.PrintLogger(file=type("File", (), {"write": written.append, "flush": lambda: None})),
        processors=[
            structlog.processors.add_log_level,
            partial(mask_event, secrets=[Secret("s3cr3t")]),
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
    )
    try:
        fail("s3cr3t of ada@example.com")
    except ValueError:
        log.exception("failed", token="abc123")
    line = "".join(written)
    assert json.loads(line)["token"] == MASK
    assert not [leak for leak in LEAKS if leak in line]


def test_what_belongs_to_structlog_is_not_touched():
    record = object()
    assert mask_event(None, "info", {"event": "e", "_record": record})["_record"] is record
