from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

import pytest
from marshmallow import ValidationError

from plugin.domain.identity import new_reference
from plugin.domain.survey_call import OutboundRequest, SurveyCall
from plugin.errors import Problem
from plugin.surveys import startquestion

SEND = {"id_survey": "419349", "id_template": "3593", "email": "lucja.nowak@example.com"}
TOKEN = {"id_survey": "419349", "id_template": "3593", "token": "81a2B7"}
PERSON = {"id_survey": "399793", "email": "lucja.nowak@example.com"}
LISTED = {"id_survey": "399793", "id_respondent": "12345"}
CALLS: Mapping[str, Mapping[str, str]] = {
    "send_invitation": SEND,
    "send_invitation_to_token": TOKEN,
    "add_respondent": PERSON,
    "update_respondent": LISTED,
    "unsubscribe": {"email": "lucja.nowak@example.com"},
    "shorten_link": {"id_survey": "399793"},
}


def connection(brand: str = "webankieta", **more: str) -> Mapping[str, Any]:
    settings = {"brand": brand, "id_account": "171257", "webhook_key": "Mj/U3+A=", "webhook_auth": "3a123", **more}
    return startquestion.Connection().load(settings)


def request_of(name: str, settings: Mapping[str, Any], **parameters: object) -> OutboundRequest:
    values = startquestion.VENDOR.calls[name].parameters().load({**CALLS[name], **parameters})
    return startquestion.build_request(SurveyCall("startquestion", name, values), settings, "send", {})


def test_an_invitation_is_posted_so_that_the_address_stays_out_of_the_url() -> None:
    request = request_of("send_invitation", connection(), l1="Łucja", l2="a&b=c")
    assert request.method == "POST"
    assert request.url() == "https://www.webankieta.pl/webhooks/171257/Mj%2FU3%2BA%3D/3a123/send-invitation"
    assert request.body() == (
        b"id_survey=419349&id_template=3593&email=lucja.nowak%40example.com&l1=%C5%81ucja&l2=a%26b%3Dc",
        "application/x-www-form-urlencoded",
    )


def test_a_connection_may_ask_for_get() -> None:
    request = request_of("send_invitation", connection(method="get"))
    assert (request.method, request.body()) == ("GET", None)
    assert request.url() == (
        "https://www.webankieta.pl/webhooks/171257/Mj%2FU3%2BA%3D/3a123/send-invitation"
        "?id_survey=419349&id_template=3593&email=lucja.nowak%40example.com"
    )


@pytest.mark.parametrize(
    ("brand", "method"),
    [("webankieta", "GET"), ("startquestion", "GET"), ("netquest_cz", "POST"), ("netquest_sk", "POST")],
)
def test_a_token_is_invited_by_get_where_only_get_is_documented(brand: str, method: str) -> None:
    request = request_of("send_invitation_to_token", connection(brand))
    assert request.method == method
    assert request.path[-1] == "send-invitation-to-token"


@pytest.mark.parametrize("brand", startquestion.BRANDS)
@pytest.mark.parametrize(
    ("name", "method"),
    [("add_respondent", "POST"), ("update_respondent", "POST"), ("unsubscribe", "GET"), ("shorten_link", "GET")],
)
def test_what_only_keeps_records_is_posted_where_that_is_documented(brand: str, name: str, method: str) -> None:
    request = request_of(name, connection(brand))
    assert request.method == method
    assert request.path[-1] == name.replace("_", "-")
    assert request_of(name, connection(brand, method="get")).method == "GET"


def test_only_invitations_are_withheld_from_who_opted_out_and_only_blocking_may_be_repeated() -> None:
    calls = startquestion.VENDOR.calls
    assert {name for name, call in calls.items() if call.invites} == {"send_invitation", "send_invitation_to_token"}
    assert {name for name, call in calls.items() if call.opts_out} == {"unsubscribe"}
    assert {name for name, call in calls.items() if call.steps[0].repeat_safe} == {"unsubscribe"}


@pytest.mark.parametrize("key", ["k3v9x0q2" * 4, "k3v9-x0q2", "zażółć", "k3v9 x0q2"])
def test_an_external_key_that_the_vendor_would_refuse_is_refused_here(key: str) -> None:
    with pytest.raises(ValidationError) as refused:
        request_of("shorten_link", connection(), external_key=key)
    assert list(refused.value.messages_dict) == ["external_key"]


def test_a_delivery_s_reference_is_a_good_external_key() -> None:
    reference = new_reference(secrets.token_bytes)
    request = request_of("shorten_link", connection(), external_key=reference)
    assert dict(request.query)["external_key"] == reference
    call = startquestion.VENDOR.calls["shorten_link"]
    assert call.defaults == {"external_key": "{{ delivery.reference }}"}
    assert call.tracked == "external_key"


def test_an_update_without_a_label_is_told_when_the_rule_is_saved() -> None:
    [problem] = startquestion.check("update_respondent", LISTED, connection())
    assert str(problem) == "l1: or another label must be given; there is nothing else to update."
    assert startquestion.check("update_respondent", {**LISTED, "l7": "{{ ticket.id }}"}, connection()) == []


@pytest.mark.parametrize(("brand", "origin"), [(name, brand.origin) for name, brand in startquestion.BRANDS.items()])
def test_each_brand_is_called_at_its_own_host(brand: str, origin: str) -> None:
    assert request_of("send_invitation", connection(brand)).origin == origin


def test_a_connection_may_name_another_origin() -> None:
    assert request_of("send_invitation", connection(origin="http://127.0.0.1:9000")).origin == "http://127.0.0.1:9000"


def test_durations_and_the_footer_are_sent_in_the_vendor_s_units() -> None:
    request = request_of("send_invitation", connection(), delay="PT2H", footer="no", reminder_delay="2d")
    assert request.form is not None
    assert dict(request.form) | {"delay": "120", "footer": "0", "reminder_delay": "48"} == dict(request.form)


def test_the_two_calls_name_the_reminder_differently() -> None:
    to_token = request_of("send_invitation_to_token", connection("netquest_sk"), reminder="48h")
    assert dict(to_token.form or ())["reminder"] == "48"
    with pytest.raises(ValidationError):
        request_of("send_invitation", connection(), reminder="48h")


def places(problems: list[Problem]) -> list[str]:
    return [problem.place for problem in problems]


@pytest.mark.parametrize(
    ("brand", "name", "unknown"),
    [
        ("webankieta", "send_invitation", ["l11", "l15"]),
        ("startquestion", "send_invitation", ["l11", "l15"]),
        ("netquest_cz", "send_invitation", []),
        ("netquest_sk", "send_invitation", ["l11", "l15", "reminder_delay", "template_reminder_id"]),
        ("webankieta", "send_invitation_to_token", []),
        ("netquest_cz", "send_invitation_to_token", ["reminder"]),
        ("netquest_sk", "send_invitation_to_token", []),
        ("webankieta", "add_respondent", ["l11", "l15"]),
        ("netquest_cz", "add_respondent", []),
        ("startquestion", "update_respondent", ["l11", "l15"]),
        ("netquest_cz", "update_respondent", []),
        ("netquest_sk", "shorten_link", ["l11", "l15"]),
        ("netquest_cz", "shorten_link", []),
    ],
)
def test_parameters_that_a_brand_does_not_have_are_told_when_the_rule_is_saved(
    brand: str, name: str, unknown: list[str]
) -> None:
    labels = ["l1", "l10", "l11", "l15"]
    parameters = {
        "send_invitation": [*labels, "email", "reminder_delay", "template_reminder_id"],
        "send_invitation_to_token": ["token", "reminder"],
    }.get(name, labels)
    problems = startquestion.check(name, dict.fromkeys(parameters, "{{ ticket.id }}"), connection(brand))
    assert places(problems) == unknown


def test_such_a_problem_names_the_brand_and_the_way_out() -> None:
    [problem] = startquestion.check("send_invitation", {"l11": "x"}, connection("webankieta"))
    assert str(problem) == "l11: is not offered by Webankieta (Poland); leave it out."


@pytest.mark.parametrize("settings", [{}, {"brand": "netquest"}, {"brand": ["webankieta"]}])
def test_a_rule_on_a_connection_without_a_known_brand_is_left_alone(settings: dict[str, Any]) -> None:
    assert startquestion.check("send_invitation", {"l15": "x"}, settings) == []


def test_an_unknown_brand_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValidationError) as refused:
        connection("netquest")
    assert refused.value.messages == {"brand": ["must be one of: webankieta, startquestion, netquest_cz, netquest_sk."]}


@pytest.mark.parametrize(("setting", "value"), [("id_account", "12/34"), ("webhook_key", ".."), ("webhook_auth", ".")])
def test_what_would_change_the_path_is_refused(setting: str, value: str) -> None:
    with pytest.raises(ValidationError) as refused:
        connection(**{setting: value})
    assert list(refused.value.messages_dict) == [setting]


def test_the_account_may_be_written_as_a_number() -> None:
    settings = {"brand": "webankieta", "id_account": 171257, "webhook_key": "k", "webhook_auth": "a"}
    assert startquestion.Connection().load(settings)["id_account"] == "171257"
