from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from marshmallow import ValidationError

from plugin.domain.outcome import Reason, RetryLater
from plugin.domain.survey_call import OutboundResponse, SurveyCall
from plugin.surveys import surveylab

CONNECTION = surveylab.Connection().load({"origin": "https://www.mysurveylab.com", "api_token": "lab token/+"})


def url_of(call_name: str, settings: Any = CONNECTION, /, **parameters: str) -> str:
    declared = surveylab.VENDOR.calls[call_name]
    call = SurveyCall("surveylab", call_name, declared.parameters().load(parameters))
    return surveylab.build_request(call, settings, declared.steps[0].name, {}).url()


def test_a_respondent_is_added_by_one_get_with_the_token_first() -> None:
    assert url_of("add_respondent", custom1="35436", crk="k3v9", email="lucja.nowak@example.com", cId="8379") == (
        "https://www.mysurveylab.com/api.php?apiToken=lab%20token%2F%2B&cId=8379&email=lucja.nowak%40example.com"
        "&crk=k3v9&custom1=35436"
    )


def test_a_tagged_link_alternates_names_and_values_in_the_documented_order() -> None:
    url = url_of(
        "page_tag", custom2="b", custom1="a/b", surname="Nowak", name="Łucja", email="l@example.com", cId="8379",
        referrer="35436", language="pl", phone="+48",
    )  # fmt: skip
    assert url == (
        "https://feedback.surveylab.com/pageTag/SurveyCampaign/cId/8379/referrer/35436/email/l%40example.com"
        "/phone/%2B48/name/%C5%81ucja/surname/Nowak/language/pl/custom1/a%2Fb/custom2/b"
    )


def test_a_tagged_link_carries_no_secret() -> None:
    call = SurveyCall("surveylab", "page_tag", {"cId": "8379"})
    assert surveylab.build_request(call, CONNECTION, "open", {}).secrets == ()


@pytest.mark.parametrize("name", ["referrer", "name", "surname", "language", "phone", "custom8", "cId"])
@pytest.mark.parametrize("dots", [".", ".."])
def test_a_tagged_link_refuses_a_value_that_is_only_dots(name: str, dots: str) -> None:
    with pytest.raises(ValidationError) as refused:
        surveylab.PageTag().load({"cId": "8379", name: dots})
    assert refused.value.messages == {name: ["has a part that is only dots, which cannot be sent in a link."]}


@pytest.mark.parametrize("value", ["a/../b", "../b", "a/.", "a\\..\\b"])
def test_a_tagged_link_refuses_dots_between_slashes_too(value: str) -> None:
    with pytest.raises(ValidationError, match="only dots"):
        surveylab.PageTag().load({"cId": "8379", "referrer": value})


@pytest.mark.parametrize("value", ["v1.2/final.", "https://acme.example/a..b", ".hidden"])
def test_dots_within_a_part_are_no_trouble(value: str) -> None:
    assert url_of("page_tag", cId="8379", referrer=value).endswith(f"/referrer/{quote(value, safe='')}")


def test_three_dots_are_a_value_like_any_other() -> None:
    assert url_of("page_tag", cId="8379", name="...").endswith("/cId/8379/name/...")


def test_dots_are_no_trouble_in_a_query() -> None:
    assert url_of("add_respondent", cId="1", email="a@b", crk="1", firstName="..").endswith("&firstName=..")


def test_a_response_key_is_drawn_by_us_unless_the_rule_gives_one() -> None:
    assert surveylab.VENDOR.calls["add_respondent"].defaults == {"crk": "{{ delivery.reference }}"}


def test_a_response_key_is_at_most_64_characters_long() -> None:
    with pytest.raises(ValidationError) as refused:
        surveylab.AddRespondent().load({"cId": "1", "email": "a@b", "crk": "x" * 65})
    assert refused.value.messages == {"crk": ["is longer than 64 characters."]}


@pytest.mark.parametrize("missing", ["cId", "email", "crk"])
def test_a_respondent_needs_collector_address_and_key(missing: str) -> None:
    values = {"cId": "1", "email": "a@b", "crk": "1"}
    del values[missing]
    with pytest.raises(ValidationError) as refused:
        surveylab.AddRespondent().load(values)
    assert refused.value.messages == {missing: ["is required."]}


def test_a_setting_that_was_left_empty_means_the_usual_link_address() -> None:
    connection = surveylab.Connection().load(
        {"origin": "https://app.surveylab.com", "api_token": "t", "link_origin": ""}
    )
    assert url_of("page_tag", connection, cId="1").startswith("https://feedback.surveylab.com/pageTag/")


def test_an_address_of_the_operator_s_choice_has_a_good_form() -> None:
    settings = surveylab.Connection().load({"origin": "http://127.0.0.1:9000/", "api_token": "t"})
    assert settings["origin"] == "http://127.0.0.1:9000"


def test_a_failure_that_is_documented_as_passing_waits_as_long_as_it_says() -> None:
    call = SurveyCall("surveylab", "add_respondent", {})
    answer = OutboundResponse(500, {"retry-after": "90"}, b'{"status":false,"notification":"Action failed"}')

    outcome = surveylab.read_response(call, answer, "add", {})

    assert outcome == RetryLater(Reason.VENDOR_UNAVAILABLE, "Action failed", 90)


def test_reports_are_matched_by_the_response_key() -> None:
    assert surveylab.VENDOR.calls["add_respondent"].tracked == "crk"


@pytest.mark.parametrize("name", ["source", "action"])
def test_a_collector_cannot_be_switched(name: str) -> None:
    with pytest.raises(ValidationError, match="not known"):
        surveylab.AddRespondent().load({"cId": "1", "email": "a@b", "crk": "1", name: "turnOffCollector"})
