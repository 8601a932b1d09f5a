"""What every vendor must keep to that can list choices, run over whatever modules stand in plugin/surveys."""

from __future__ import annotations

import pytest

from plugin import registry
from plugin.domain.outcome import Rejected, RetryLater, Uncertain
from plugin.domain.survey_call import OutboundRequest, OutboundResponse, origin_of
from plugin.pipeline.choices import lists_of
from plugin.redaction import Secret
from tests.contract.test_every_vendor import connection_of

LISTS = [(vendor, name) for vendor in registry.vendor_names() for name in lists_of(vendor)]


def request_of(vendor: str, name: str, page: int = 1) -> OutboundRequest:
    return lists_of(vendor)[name].build_request(connection_of(vendor), page)


def test_there_are_lists_to_check() -> None:
    assert LISTS


@pytest.mark.parametrize(("vendor", "name"), LISTS)
def test_a_list_says_what_it_is_where_it_is_documented_and_which_parameters_it_is_for(vendor: str, name: str) -> None:
    declared = lists_of(vendor)[name]
    parameters = {one for call in registry.vendor(vendor).VENDOR.calls.values() for one in call.parameters().fields}
    assert declared.label
    assert declared.source.startswith("https://")
    assert declared.parameters
    assert set(declared.parameters) <= parameters


@pytest.mark.parametrize(("vendor", "name"), LISTS)
def test_a_list_is_asked_for_at_an_origin_of_the_vendor_or_of_the_connection(vendor: str, name: str) -> None:
    origins = registry.vendor(vendor).VENDOR.origins
    own = {value for value in connection_of(vendor).values() if isinstance(value, str)}
    origin = request_of(vendor, name).origin
    assert origin == origin_of(origin)
    assert origin in own or (origins != registry.ANY_PUBLIC_HTTPS and origin in origins)


@pytest.mark.parametrize(("vendor", "name"), LISTS)
def test_asking_for_a_list_shows_no_secret(vendor: str, name: str) -> None:
    request = request_of(vendor, name)
    secrets = [value.reveal() for value in connection_of(vendor).values() if isinstance(value, Secret)]
    shown = " ".join([request.shown_url(), repr(request), str(request.shown_parameters())])
    assert request.secrets
    assert not [secret for secret in secrets if secret in shown]


@pytest.mark.parametrize(("vendor", "name"), LISTS)
def test_each_page_is_another_request(vendor: str, name: str) -> None:
    assert request_of(vendor, name, 1) != request_of(vendor, name, 2)


@pytest.mark.parametrize(("vendor", "name"), LISTS)
@pytest.mark.parametrize("status", [200, 204, 302, 400, 401, 429, 500, 503])
@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"OK", b'{"ok": 1}', b"null", b"7", b'"text"', b"[" * 60_000, bytes(range(256)) * 200]
)
def test_what_is_no_list_is_never_taken_for_one(vendor: str, name: str, status: int, body: bytes) -> None:
    answered = lists_of(vendor)[name].read_choices(OutboundResponse(status, body=body))
    assert isinstance(answered, Rejected | RetryLater | Uncertain)
    assert len(answered.words) <= 310
    assert not answered.words or answered.words.isprintable()
