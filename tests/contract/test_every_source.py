"""What holds for every trigger source. They are found by their files, so a new one is checked without being named."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marshmallow import Schema, fields

from plugin import registry
from plugin.domain.event import EventKind, is_known
from plugin.domain.survey_call import OutboundResponse
from plugin.errors import SignatureInvalid, Unreadable
from plugin.pipeline.lookups import MOST_REQUESTS
from plugin.redaction import Secret
from plugin.triggers.base import InboundRequest, Source
from plugin.triggers.base.recording import read_recording
from tests.triggers.sender import sender_of

ROOT = Path(__file__).parents[2]
RECORDINGS = ROOT / "tests/fixtures/triggers"
SOURCES = registry.source_names()
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

every_source = pytest.mark.parametrize("name", SOURCES)
every_recording = pytest.mark.parametrize(
    ("name", "path"),
    [
        pytest.param(path.parent.name, path, id=f"{path.parent.name}-{path.stem}")
        for path in RECORDINGS.glob("*/*.json")
    ],
)


def source(name):
    return importlib.import_module(f"plugin.triggers.{name}")


def all_fields(schema: Schema) -> Iterator[tuple[str, fields.Field]]:
    for name, field in schema.fields.items():
        yield name, field
        if isinstance(field, fields.Nested):
            yield from ((f"{name}.{inner}", each) for inner, each in all_fields(field.schema))


@pytest.mark.parametrize(
    ("place", "names"),
    [
        ("manifests", {path.name for path in (ROOT / "manifests").iterdir() if path.is_dir()}),
        ("tests/fixtures/triggers", {path.name for path in RECORDINGS.iterdir()}),
        ("tests/triggers", {path.stem.removeprefix("test_") for path in (ROOT / "tests/triggers").glob("test_*.py")}),
        ("tests/triggers/sender_*", {path.stem[7:] for path in (ROOT / "tests/triggers").glob("sender_*.py")}),
        ("docs/sources", {path.stem for path in (ROOT / "docs/sources").glob("*.md")}),
    ],
)
def test_a_source_has_one_name_in_four_places(place, names):
    assert names == set(SOURCES), f"{place} and plugin/triggers name different sources"


@every_source
def test_a_source_says_what_it_is_and_what_it_gives(name):
    declared = source(name).SOURCE
    assert isinstance(declared, Source)
    assert declared.title
    assert declared.help
    assert declared.events
    assert EventKind.UNSUPPORTED not in declared.events
    assert all(is_known(placeholder) for placeholder in declared.placeholders)


@every_source
def test_a_source_that_can_be_asked_for_more_says_where_and_what_an_answer_means(name):
    parts = ("lookup", "lookup_origins", "complete")
    assert {hasattr(source(name), part) for part in parts} in ({True}, {False})


@every_source
def test_a_form_can_be_drawn_of_the_credentials(name):
    found = dict(all_fields(source(name).SOURCE.credentials()))
    assert found
    for place, field in found.items():
        assert field.metadata.keys() >= {"label", "help", "example", "secret"}, place
        assert field.metadata["label"], place
        leaf = place.rpartition(".")[2]
        assert field.metadata["secret"] or not leaf.endswith(("secret", "password", "token")), place


@every_source
def test_a_request_without_proof_is_refused(name):
    module = source(name)
    for credentials in filter(None, [{}, module.SOURCE.test_credentials]):
        with pytest.raises(SignatureInvalid):
            module.verify(InboundRequest("POST", "", {}, b"{}"), credentials, NOW)


# --- who sent it --------------------------------------------------------------------------------------------------

URL = "https://survey.example.com/triggers/key-0123456789abcdef"

proved_source = pytest.mark.parametrize("name", [name for name in SOURCES if sender_of(name).closing])


def proved(name, now=NOW):
    """The plain closing of a source as its sender sends it, and the credentials that it is checked against."""
    sender = sender_of(name)
    recorded = read_recording((RECORDINGS / name / f"{sender.closing}.json").read_bytes())
    fresh = replace(recorded, url=f"{URL}?{recorded.query}" if recorded.query else URL, settings=sender.settings)
    credentials = source(name).SOURCE.credentials().load(loadable(sender.credentials))
    return sender.prove(fresh, now), credentials


def loadable(value):
    """Credentials with an address where the sender's API is to stand; nothing is asked of it here."""
    if isinstance(value, dict):
        return {key: loadable(inner) for key, inner in value.items()}
    return "https://api.example.com" if value == "$api" else value


@proved_source
def test_what_the_sender_has_proved_is_let_in(name):
    request, credentials = proved(name)
    source(name).verify(request, credentials, NOW)


@proved_source
def test_another_body_under_the_same_proof_is_refused(name):
    if not sender_of(name).covers_body:
        return
    request, credentials = proved(name)
    for body in (request.body + b" ", request.body[:-1], b""):
        with pytest.raises(SignatureInvalid):
            source(name).verify(replace(request, body=body), credentials, NOW)


@proved_source
def test_a_proof_with_another_secret_is_refused(name):
    if sender_of(name).url_only:
        return
    request, _ = proved(name)
    credentials = source(name).SOURCE.credentials().load(_with_other_secrets(loadable(sender_of(name).credentials)))
    with pytest.raises(SignatureInvalid):
        source(name).verify(request, credentials, NOW)


def _with_other_secrets(value):
    """Credentials of the same form, as another tenant of the same sender could have them."""
    if isinstance(value, dict):
        return {key: _with_other_secrets(inner) for key, inner in value.items()}
    return f"{value[:-9]}{'QUJDREVGR'}" if isinstance(value, str) and len(value) > 12 else value


@proved_source
def test_a_proof_is_refused_when_any_of_its_headers_is_missing_or_spoilt(name):
    request, credentials = proved(name)
    recorded = read_recording((RECORDINGS / name / f"{sender_of(name).closing}.json").read_bytes())
    added = [key for key, value in request.headers.items() if recorded.headers.get(key) != value]
    assert added or sender_of(name).covers_body or sender_of(name).in_body or sender_of(name).url_only
    for header in added:
        for headers in (
            {key: value for key, value in request.headers.items() if key != header},
            {**request.headers, header: ""},
            {**request.headers, header: "ž\udcff, ,=;"},
            {**request.headers, header: request.headers[header][:-3]},
        ):
            with pytest.raises(SignatureInvalid):
                source(name).verify(replace(request, headers=headers), credentials, NOW)


@proved_source
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_whatever_stands_in_the_body_a_message_is_let_in_or_refused_and_nothing_else(name, data):
    request, credentials = proved(name)
    start = data.draw(st.integers(0, len(request.body)))
    end = data.draw(st.integers(start, min(start + 20, len(request.body))))
    filling = data.draw(st.binary(max_size=8) | st.sampled_from([b'"', b"{" * 70, b"[", b"null", b"\\ud800", b"1e9"]))
    spoilt = replace(request, body=request.body[:start] + filling + request.body[end:])
    try:
        source(name).verify(spoilt, credentials, NOW)
    except SignatureInvalid:
        return
    assert not sender_of(name).covers_body or spoilt.body == request.body


@proved_source
def test_a_message_without_the_secret_that_its_body_should_hold_is_refused(name):
    if not sender_of(name).in_body:
        return
    _, credentials = proved(name)
    recorded = read_recording((RECORDINGS / name / f"{sender_of(name).closing}.json").read_bytes())
    for body in (recorded.body, b"", b"[]", b"{"):
        with pytest.raises(SignatureInvalid):
            source(name).verify(replace(recorded, body=body), credentials, NOW)


@proved_source
def test_what_is_kept_of_a_body_holds_no_secret_and_says_the_same(name):
    request, credentials = proved(name)
    strip = getattr(source(name), "without_secrets", lambda body: body)
    kept = replace(request, body=strip(request.body))
    for secret in filter(lambda value: isinstance(value, Secret), credentials.values()):
        assert secret.reveal().encode() not in kept.body
    assert source(name).parse(kept) == source(name).parse(request)


@pytest.mark.parametrize("name", [name for name in SOURCES if sender_of(name).in_body])
@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_secret_in_a_body_is_never_kept_whatever_else_the_body_holds(name, data):
    request, credentials = proved(name)
    [secret] = [value.reveal().encode() for value in credentials.values() if isinstance(value, Secret)]
    at = request.body.index(secret)
    start = data.draw(st.integers(0, at) | st.integers(at + len(secret), len(request.body)))
    end = data.draw(st.integers(start, min(start + 30, at if start <= at else len(request.body))))
    filling = data.draw(
        st.binary(max_size=8) | st.sampled_from([b'"', b"{" * 70, b"[", b"null", b"\\", b",", b"\xff", secret])
    )
    spoilt = request.body[:start] + filling + request.body[end:]
    try:
        source(name).verify(replace(request, body=spoilt), credentials, NOW)
    except SignatureInvalid:
        return
    assert source(name).without_secrets(spoilt).count(secret) <= (filling == secret)


@proved_source
def test_a_proof_that_covers_a_time_is_refused_when_that_is_long_gone_or_far_ahead(name):
    if not sender_of(name).timed:
        return
    for minutes in (-11, 11):
        request, credentials = proved(name, NOW + timedelta(minutes=minutes))
        with pytest.raises(SignatureInvalid):
            source(name).verify(request, credentials, NOW)


@proved_source
def test_the_plain_closing_gives_exactly_one_closing(name):
    request, _ = proved(name)
    assert [event.kind.closes for event in source(name).parse(request) if event.kind.closes] == [True]


@every_recording
def test_a_recording_says_where_it_comes_from(name, path):
    recording = json.loads(path.read_text("utf-8"))
    assert recording["provenance"].startswith(("captured", "vendor documentation", "constructed"))
    assert recording.get("headers") or path.stem.startswith("ping")
    assert recording.keys() <= {"provenance", "method", "query", "headers", "body", "body_base64"}


@every_recording
def test_a_recording_is_read_unless_it_is_named_unreadable(name, path):
    module, request = source(name), read_recording(path.read_bytes())
    if path.stem.startswith("unreadable_"):
        with pytest.raises(Unreadable):
            module.parse(request)
        return
    for event in module.parse(request):
        assert event.kind in module.SOURCE.events | {EventKind.UNSUPPORTED}
        assert all(is_known(placeholder) for placeholder in event.values)
        assert all(value for value in event.values.values())
        assert event.time is None or event.time.tzinfo is UTC


@every_source
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_spoilt_message_is_read_or_unreadable_and_nothing_else(name, data):
    path = data.draw(st.sampled_from(sorted((RECORDINGS / name).glob("*.json"))))
    recorded = read_recording(path.read_bytes())
    start = data.draw(st.integers(0, len(recorded.body)))
    end = data.draw(st.integers(start, min(start + 20, len(recorded.body))))
    filling = data.draw(st.binary(max_size=8) | st.sampled_from([b'"', b"{", b"[", b"null", b"\\ud800", b"&=", b"1e9"]))
    body = recorded.body[:start] + filling + recorded.body[end:]
    assert_read_or_unreadable(name, replace(recorded, body=body))


#: What may stand where something else is expected.
ODD_VALUES = [
    None,
    True,
    False,
    0,
    -1,
    10**30,
    1.5,
    "",
    " ",
    "x",
    "0-5",
    "4",
    [],
    [None],
    [[1]],
    {},
    {"": None},
    {"value": 1},
]


@every_source
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_message_with_values_of_other_types_is_read_or_unreadable_and_nothing_else(name, data):
    path = data.draw(st.sampled_from(sorted((RECORDINGS / name).glob("*.json"))))
    recorded = read_recording(path.read_bytes())
    try:
        document = json.loads(recorded.body)
    except ValueError:
        return
    place = data.draw(st.sampled_from(list(places_in(document))))
    spoilt = with_value_at(document, place, data.draw(st.sampled_from(ODD_VALUES)))
    assert_read_or_unreadable(name, replace(recorded, body=json.dumps(spoilt).encode()))


def api_of(name):
    return getattr(importlib.import_module(f"tests.triggers.sender_{name}"), "api", None)


@pytest.mark.parametrize("name", [name for name in SOURCES if api_of(name) is not None])
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_an_answer_with_values_of_other_types_completes_an_event_or_is_unreadable(name, data):
    request, credentials = proved(name)
    module, spoilt_one = source(name), data.draw(st.integers(0, MOST_REQUESTS - 1))
    event = next(event for event in module.parse(request) if event.kind.closes)
    for number in range(MOST_REQUESTS):
        asked = module.lookup(event, credentials)
        if asked is None:
            break
        status, document = api_of(name)(asked.method, asked.url().removeprefix(asked.origin))
        if status != 200:
            return
        if number == spoilt_one:
            place = data.draw(st.sampled_from(list(places_in(document))))
            document = with_value_at(document, place, data.draw(st.sampled_from(ODD_VALUES)))
        try:
            event = module.complete(event, OutboundResponse(200, body=json.dumps(document).encode()))
        except Unreadable:
            return
        assert all(is_known(placeholder) and value for placeholder, value in event.values.items())


def assert_read_or_unreadable(name, request):
    try:
        events = source(name).parse(replace(request, settings=sender_of(name).settings))
    except Unreadable:
        return
    for event in events:
        repr(dict(event.values)).encode()
        assert event.id is None or isinstance(event.id, str)
        assert event.subject is None or isinstance(event.subject, str)


def places_in(node, place=()):
    """Where something stands in a JSON document, as the keys and positions that lead there."""
    yield place
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, item in inner:
        yield from places_in(item, (*place, key))


def with_value_at(node, place, value):
    if not place:
        return value
    changed = dict(node) if isinstance(node, dict) else list(node)
    changed[place[0]] = with_value_at(node[place[0]], place[1:], value)
    return changed
