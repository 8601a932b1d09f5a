"""What every survey vendor must keep to, run over whatever modules stand in plugin/surveys."""

from __future__ import annotations

import importlib
import json
import pkgutil
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields as fields_of
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from marshmallow import Schema, ValidationError

import plugin.sandbox
import plugin.surveys
from plugin import registry
from plugin.domain.fields import Choice, Origin
from plugin.domain.outcome import Accepted, NextRequest, Outcome, Reason, Rejected, RetryLater, Uncertain
from plugin.domain.survey_call import OutboundRequest, OutboundResponse, SurveyCall, origin_of
from plugin.redaction import MASK, Secret
from plugin.surveys.base import ANY_PUBLIC_HTTPS, Call, Step
from plugin.surveys.base.fields import Duration, Email, FreeText, Moment, Phone, WholeNumber, YesNo

TESTS = Path(__file__).parents[1]
FIXTURES = TESTS / "fixtures" / "surveys"
VENDORS = registry.vendor_names()
CALLS = [(vendor, name) for vendor in VENDORS for name in registry.vendor(vendor).VENDOR.calls]
STEPS = [
    (vendor, name, step.name) for vendor, name in CALLS for step in registry.vendor(vendor).VENDOR.calls[name].steps
]
#: What a follow-up brings is a report; how the delivery ended was decided before it.
DECIDING_STEPS = [
    (vendor, name, step.name)
    for vendor, name in CALLS
    for step in registry.vendor(vendor).VENDOR.calls[name].steps
    if not step.follow_up
]
FIXTURE_FILES = sorted(FIXTURES.glob("*/*.json"))
ALPHABETS = "Łucja Žluťoučká Ångström Οδύσσεια Київ עברית العربية 東京 👋🏽 50% & + = # ? / \\ “ ' <b>"


def call_of(vendor: str, name: str) -> Call:
    return registry.vendor(vendor).VENDOR.calls[name]


def parameters_of(vendor: str, name: str, connection: Mapping[str, Any]) -> Schema:
    """The schema of a call's parameters, which may be the connection's own."""
    return registry.parameters(call_of(vendor, name), registry.described_parameters(vendor, name, connection))


def schema_of(vendor: str, name: str) -> Schema:
    return parameters_of(vendor, name, connection_of(vendor))


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text("utf-8"))


def connection_of(vendor: str) -> Mapping[str, Any]:
    """The connection of one of the vendor's fixtures, as its schema loads it."""
    first = next(path for path in FIXTURE_FILES if path.parent.name == vendor)
    return registry.vendor(vendor).VENDOR.connection().load(read(first)["connection"])


def secrets_in(value: Any) -> Iterator[Secret]:
    """The secrets of a connection, also within its groups."""
    if isinstance(value, Secret):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from secrets_in(inner)


def memory_of(vendor: str, name: str, step: str) -> Mapping[str, str]:
    """What the steps before have left for this one, as one of its fixtures has it."""
    fixtures = [read(path) for path in sorted((FIXTURES / vendor).glob(f"{name}__*.json"))]
    return next((found["memory"] for found in fixtures if found["step"] == step and "memory" in found), {})


#: A value that each kind of field takes; others take any text.
SAMPLES: Mapping[type, Callable[[Any, str], str]] = {
    Email: lambda _, name: f"{name}@example.com",
    Choice: lambda field, _: next(iter(field.metadata["choices"])),
    Duration: lambda *_: "120",
    YesNo: lambda *_: "0",
    WholeNumber: lambda _, name: f"{zlib.crc32(name.encode())}",
    Phone: lambda *_: "+48221234567",
    Moment: lambda *_: "2026-12-01T18:00:00Z",
}


def sample_value(field: Any, name: str) -> str:
    made = next((make for kind, make in SAMPLES.items() if isinstance(field, kind)), None)
    if made:
        return made(field, name)
    # Where it takes no such words, its example shows a form that it takes.
    value = f"value of {name}"
    return value if takes(field, value) else field.metadata["example"]


def takes(field: Any, value: str) -> bool:
    try:
        field.deserialize(value)
    except ValidationError:
        return False
    return True


def full_call(vendor: str, name: str) -> SurveyCall:
    """A call with a value for each declared parameter."""
    schema = schema_of(vendor, name)
    values = {parameter: sample_value(field, parameter) for parameter, field in schema.fields.items()}
    return SurveyCall(vendor, name, schema.load(values))


def build(vendor: str, call: SurveyCall, step: str) -> OutboundRequest:
    memory = memory_of(vendor, call.name, step)
    return registry.vendor(vendor).build_request(call, connection_of(vendor), step, memory)


def answered(vendor: str, name: str, step: str, response: OutboundResponse) -> Outcome:
    memory = memory_of(vendor, name, step)
    reader = registry.reader(vendor, connection_of(vendor))
    return reader(full_call(vendor, name), response, step, memory)


def sent_texts(request: OutboundRequest) -> Iterator[str]:
    """Everything that leaves, decoded piece by piece."""
    url = urlsplit(request.url())
    yield from (unquote(segment) for segment in url.path.split("/"))
    yield from chain.from_iterable(parse_qsl(url.query))
    body, content_type = request.body() or (b"", "")
    if content_type == "application/json":
        yield from leaves(json.loads(body))
    else:
        yield from chain.from_iterable(parse_qsl(body.decode()))


def leaves(document: Any) -> Iterator[str]:
    if isinstance(document, dict | list):
        for value in document.values() if isinstance(document, dict) else document:
            yield from leaves(value)
    elif isinstance(document, bool):
        yield "1" if document else "0"
    else:
        # A vendor may want several values in one text, with commas between them.
        yield from {str(document), *str(document).split(",")}


def sent_by_all_steps(vendor: str, call: SurveyCall) -> set[str]:
    steps = call_of(vendor, call.name).steps
    return set(chain.from_iterable(sent_texts(build(vendor, call, step.name)) for step in steps))


# --- one name everywhere ----------------------------------------------------------------------------------------------


def test_there_are_vendors_to_check() -> None:
    found = {path.stem for path in Path(plugin.surveys.__path__[0]).iterdir()}
    assert found - {"__init__", "__pycache__", "base"} == set(VENDORS)
    assert len(VENDORS) >= 2


def test_each_vendor_has_a_pretended_side_and_each_pretended_side_a_vendor() -> None:
    modules = [
        importlib.import_module(f"plugin.sandbox.{found.name}")
        for found in pkgutil.iter_modules(plugin.sandbox.__path__)
    ]
    pretended = {module.__name__.rpartition(".")[2] for module in modules if hasattr(module, "HINT")}
    assert pretended == set(VENDORS)


def test_each_vendor_has_fixtures_and_each_fixture_folder_a_vendor() -> None:
    assert {path.name for path in FIXTURES.iterdir()} == set(VENDORS)


def test_each_vendor_has_a_test_file_and_each_test_file_a_vendor() -> None:
    tested = {path.stem.removeprefix("test_") for path in (TESTS / "surveys").glob("test_*.py")}
    tested -= {"surveys_base", "pasted_names", "pasted_urls"}

    def stands_for(test: str, vendor: str) -> bool:
        return test == vendor or test.startswith(f"{vendor}_")

    assert [vendor for vendor in VENDORS if not any(stands_for(test, vendor) for test in tested)] == []
    assert [test for test in sorted(tested) if not any(stands_for(test, vendor) for vendor in VENDORS)] == []


# --- declarations -----------------------------------------------------------------------------------------------------

SCHEMAS = [
    *((f"{vendor}.connection", registry.vendor(vendor).VENDOR.connection) for vendor in VENDORS),
    *((f"{vendor}.{name}", call_of(vendor, name).parameters) for vendor, name in CALLS),
]


@pytest.mark.parametrize("schema", [pytest.param(schema, id=place) for place, schema in SCHEMAS])
def test_each_field_says_what_a_form_and_a_guide_need(schema: Any) -> None:
    for name, field in schema().fields.items():
        assert field.metadata["label"], name
        assert isinstance(field.metadata["help"], str), name
        assert isinstance(field.metadata["example"], str), name
        assert isinstance(field.metadata["secret"], bool), name


@pytest.mark.parametrize(("vendor", "name"), CALLS)
def test_parameters_hold_no_secrets(vendor: str, name: str) -> None:
    assert not any(field.metadata["secret"] for field in schema_of(vendor, name).fields.values())


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_connection_loads_its_secrets_as_secrets(vendor: str) -> None:
    schema = registry.vendor(vendor).VENDOR.connection()
    loaded = connection_of(vendor)
    for name, field in schema.fields.items():
        if name in loaded:
            assert isinstance(loaded[name], Secret) == field.metadata["secret"], name


@pytest.mark.parametrize("vendor", VENDORS)
def test_the_vendor_s_origins_are_written_as_they_are_compared(vendor: str) -> None:
    origins = registry.vendor(vendor).VENDOR.origins
    assert origins == ANY_PUBLIC_HTTPS or [origin_of(origin) for origin in origins] == list(origins)


@pytest.mark.parametrize("vendor", VENDORS)
def test_settings_that_hold_an_origin_are_named_so_that_they_are_checked(vendor: str) -> None:
    fields = registry.vendor(vendor).VENDOR.connection().fields
    origins = {name for name, field in fields.items() if isinstance(field, Origin)}
    assert origins == {name for name in fields if name == "origin" or name.endswith("_origin")}


@pytest.mark.parametrize(("vendor", "name"), CALLS)
def test_each_call_is_described(vendor: str, name: str) -> None:
    call = call_of(vendor, name)
    assert call.label
    assert call.help
    assert call.defaults.keys() <= schema_of(vendor, name).fields.keys()


@pytest.mark.parametrize(("vendor", "name"), CALLS)
def test_each_step_names_the_page_that_says_whether_it_may_be_repeated(vendor: str, name: str) -> None:
    steps: list[Step] = list(call_of(vendor, name).steps)
    assert steps
    assert not steps[0].follow_up
    assert not steps[0].seldom
    assert all(step.label for step in steps) or len([step for step in steps if not step.follow_up]) == 1
    assert all(step.repeat_safe for step in steps if step.follow_up)
    assert all(step.source.startswith("https://") for step in steps)
    assert len({step.name for step in steps}) == len(steps)


@pytest.mark.parametrize(("vendor", "name"), CALLS)
def test_loading_parameters_a_second_time_changes_nothing(vendor: str, name: str) -> None:
    loaded = full_call(vendor, name).parameters
    assert schema_of(vendor, name).load(dict(loaded)) == loaded


# --- requests ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("vendor", "name"), CALLS)
def test_every_declared_parameter_is_sent(vendor: str, name: str) -> None:
    call = full_call(vendor, name)
    # A time is sent as the vendor writes times, so it is not looked for but left out, to see whether that is noticed.
    moments = [one for one, field in schema_of(vendor, name).fields.items() if isinstance(field, Moment)]
    plain = {parameter: value for parameter, value in call.parameters.items() if parameter not in moments}
    sent = sent_by_all_steps(vendor, call)
    assert set(plain.values()) <= sent
    for moment in moments:
        without = {parameter: value for parameter, value in call.parameters.items() if parameter != moment}
        assert sent_by_all_steps(vendor, replace(call, parameters=without)) != sent, moment


@pytest.mark.parametrize(("vendor", "name"), CALLS)
def test_values_of_every_alphabet_arrive_as_they_are(vendor: str, name: str) -> None:
    call = full_call(vendor, name)
    fields = schema_of(vendor, name).fields
    free = {parameter: f"{ALPHABETS} {parameter}" for parameter, one in fields.items() if isinstance(one, FreeText)}
    sent = sent_by_all_steps(vendor, replace(call, parameters={**call.parameters, **free}))
    assert set(free.values()) <= sent


@pytest.mark.parametrize(("vendor", "name", "step"), STEPS)
def test_nothing_that_is_not_declared_is_sent(vendor: str, name: str, step: str) -> None:
    call = full_call(vendor, name)
    more = replace(call, parameters={**call.parameters, "filterType": "everybody", "apiToken": "another"})
    assert build(vendor, more, step) == build(vendor, call, step)


@pytest.mark.parametrize(("vendor", "name", "step"), STEPS)
def test_empty_parameters_are_left_out_with_their_names(vendor: str, name: str, step: str) -> None:
    call = full_call(vendor, name)
    required = {name for name, field in schema_of(vendor, name).fields.items() if field.required}
    emptied = {name: value if name in required else "" for name, value in call.parameters.items()}
    dropped = {name: value for name, value in emptied.items() if value}
    assert build(vendor, replace(call, parameters=emptied), step) == build(
        vendor, replace(call, parameters=dropped), step
    )


@pytest.mark.parametrize(("vendor", "name", "step"), STEPS)
def test_a_call_goes_to_an_origin_of_the_vendor_or_of_the_connection(vendor: str, name: str, step: str) -> None:
    origins = registry.vendor(vendor).VENDOR.origins
    own = {value for value in connection_of(vendor).values() if isinstance(value, str)}
    origin = build(vendor, full_call(vendor, name), step).origin
    assert origin == origin_of(origin)
    assert origin in own or (origins != ANY_PUBLIC_HTTPS and origin in origins)


@pytest.mark.parametrize(("vendor", "name", "step"), STEPS)
def test_no_secret_is_shown(vendor: str, name: str, step: str) -> None:
    request = build(vendor, full_call(vendor, name), step)
    secrets = [secret.reveal() for secret in secrets_in(connection_of(vendor))]
    shown = " ".join([request.shown_url(), repr(request), str(request.shown_parameters())])
    assert secrets
    assert not [secret for secret in secrets if secret in shown]


@pytest.mark.parametrize(("vendor", "name", "step"), STEPS)
def test_no_personal_value_is_in_a_repr_or_a_shown_url(vendor: str, name: str, step: str) -> None:
    call = full_call(vendor, name)
    request = build(vendor, call, step)
    assert "@example.com" not in repr(request) + repr(call)
    assert "email@example.com" not in unquote(request.shown_url())


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_secret_that_is_sent_is_known_for_masking(vendor: str) -> None:
    secrets = set(secrets_in(connection_of(vendor)))
    used = {secret for name in registry.vendor(vendor).VENDOR.calls for secret in _secrets_of_steps(vendor, name)}
    assert secrets <= used


@pytest.mark.parametrize(("vendor", "name", "step"), STEPS)
def test_what_a_rule_maps_is_no_secret(vendor: str, name: str, step: str) -> None:
    call = full_call(vendor, name)
    assert not {Secret(value) for value in call.parameters.values()} & set(build(vendor, call, step).secrets)


def _secrets_of_steps(vendor: str, name: str) -> set[Secret]:
    steps = call_of(vendor, name).steps
    return set(chain.from_iterable(build(vendor, full_call(vendor, name), step.name).secrets for step in steps))


# --- answers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [pytest.param(path, id=f"{path.parent.name}-{path.stem}") for path in FIXTURE_FILES])
def test_a_recorded_answer_means_what_its_fixture_says(path: Path) -> None:
    fixture = read(path)
    vendor = path.parent.name
    connection = registry.vendor(vendor).VENDOR.connection().load(fixture["connection"])
    schema = parameters_of(vendor, fixture["call"], connection)
    call = SurveyCall(vendor, fixture["call"], schema.load(fixture["parameters"]))
    given = fixture["response"]
    response = OutboundResponse(
        given["status"], given["headers"], given["body"].encode(), origin=given.get("origin", "")
    )

    outcome = registry.reader(vendor, connection)(call, response, fixture["step"], fixture.get("memory", {}))

    found = json.loads(
        json.dumps({name.name: getattr(outcome, name.name) for name in fields_of(outcome)}, default=vars)
    )
    expected = dict(fixture["outcome"])
    assert type(outcome).__name__ == expected.pop("type")
    assert found == {**found, **expected}


@pytest.mark.parametrize("path", [pytest.param(path, id=f"{path.parent.name}-{path.stem}") for path in FIXTURE_FILES])
def test_a_fixture_is_named_after_its_call_and_says_where_it_comes_from(path: Path) -> None:
    fixture = read(path)
    provenance = fixture["provenance"]
    assert path.stem.startswith(f"{fixture['call']}__")
    assert (provenance["kind"], bool(provenance.get("source") or provenance.get("note"))) in {
        ("captured", True),
        ("documentation", True),
        ("constructed", True),
    }


@pytest.mark.parametrize(("vendor", "name"), CALLS)
def test_each_call_has_fixtures_of_success_and_of_trouble(vendor: str, name: str) -> None:
    types = {read(path)["outcome"]["type"] for path in (FIXTURES / vendor).glob(f"{name}__*.json")}
    assert "Accepted" in types
    assert len(types) > 1


@pytest.mark.parametrize(("vendor", "name", "step"), DECIDING_STEPS)
@pytest.mark.parametrize("body", [b"<html><h1>It works!</h1></html>", b"", b"OK", b'{"ok": 1}', b"[]", b"null"])
def test_an_unknown_answer_is_never_taken_as_confirmation(vendor: str, name: str, step: str, body: bytes) -> None:
    outcome = answered(vendor, name, step, OutboundResponse(200, body=body))
    if call_of(vendor, name).confirms:
        assert isinstance(outcome, Uncertain)
        assert outcome.reason is Reason.UNRECOGNISED
    else:
        assert outcome == Accepted(reason=Reason.OPENED)


@pytest.mark.parametrize(("vendor", "name", "step"), DECIDING_STEPS)
@pytest.mark.parametrize("status", [199, 300, 302, 400, 401, 402, 403, 404, 408, 418, 429, 500, 502, 503, 504, 599])
def test_a_failing_status_with_an_unknown_body_is_never_accepted(
    vendor: str, name: str, step: str, status: int
) -> None:
    outcome = answered(vendor, name, step, OutboundResponse(status, body=b"<html>"))
    assert isinstance(outcome, RetryLater | Rejected | Uncertain)


@pytest.mark.parametrize(("vendor", "name", "step"), STEPS)
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"[" * 60_000, id="deep"),
        pytest.param(bytes(range(256)) * 200, id="bytes"),
        pytest.param(b'{"type": ["error"], "msg": {"a": 1}, "status": "no", "notification": 7}', id="other types"),
        pytest.param(
            b'{"type": "error", "msg": "\\ud800", "status": false, "notification": "\\ud800"}', id="surrogate"
        ),
        pytest.param("“„”".encode() * 20_000, id="quotes"),
        pytest.param(b'{"status": true, "type": "success", "notification": "' + b"w " * 30_000 + b'"}', id="long"),
    ],
)
def test_a_hostile_body_gives_short_clean_words(vendor: str, name: str, step: str, body: bytes) -> None:
    outcome = answered(vendor, name, step, OutboundResponse(200, body=body))
    assert not isinstance(outcome, NextRequest)
    assert len(outcome.words) <= 310
    assert not outcome.words or outcome.words.isprintable()


@pytest.mark.parametrize(("vendor", "name", "step"), STEPS)
def test_a_secret_that_the_vendor_repeats_can_be_masked_in_its_words(vendor: str, name: str, step: str) -> None:
    request = build(vendor, full_call(vendor, name), step)
    for length in range(200, 330, 7):
        body = "x" * length + " " + request.url()
        outcome = answered(vendor, name, step, OutboundResponse(400, body=body.encode()))
        shown = outcome.words.replace(request.url(), MASK)
        assert not any(secret.reveal()[:4] in shown for secret in request.secrets)
