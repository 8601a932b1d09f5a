"""What holds for every trigger source. They are found by their files, so a new one is checked without being named."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marshmallow import Schema, fields

from plugin.domain.event import EventKind, is_known
from plugin.errors import SignatureInvalid, Unreadable
from plugin.triggers.base import InboundRequest, Source
from plugin.triggers.base.recording import read_recording

ROOT = Path(__file__).parents[2]
RECORDINGS = ROOT / "tests/fixtures/triggers"
SOURCES = sorted(path.stem for path in (ROOT / "plugin/triggers").glob("*.py") if path.stem != "__init__")
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


@every_recording
def test_a_recording_says_where_it_comes_from(name, path):
    recording = json.loads(path.read_text("utf-8"))
    assert recording["provenance"].startswith(("captured", "vendor documentation", "constructed"))
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
    module = source(name)
    try:
        events = module.parse(InboundRequest(recorded.method, recorded.query, recorded.headers, body))
    except Unreadable:
        return
    for event in events:
        repr(dict(event.values)).encode()
