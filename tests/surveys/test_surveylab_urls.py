"""SurveyLab's URLs as its own pages print them, and as people copy them."""

from __future__ import annotations

import pytest

from plugin.redaction import Secret
from plugin.surveys import surveylab
from plugin.surveys.base import Recognised
from plugin.surveys.base.pasted import read_pasted_url

TOKEN = "k3h3k4h5k3h4"
#: https://www.mysurveylab.com/en/help/api-integration/webhooks
ZENDESK = (
    "https://www.mysurveylab.com/api.php?apiToken=k3h3k4h5k3h4&cId=8379821739721&email={{ticket.requester.email}}"
    "&crk={{ticket.id}}&referrer={{ticket.url}}&language={{ticket.requester.language}}"
)
#: https://www.surveylab.com/pl/help/faq/api-token-dla-zendesk
ZENDESK_NEWER = (
    "https://app.surveylab.com/api.php?apiToken=k3h3k4h5k3h4&cId=8379821739721&email={{ticket.requester.email}}"
    "&crk={{ticket.id}}&referrer={{ticket.url}}&custom1={{ticket.id}}&custom2=&custom3=&custom4="
)
#: https://www.surveylab.com/help/api-integration/webhooks
INTERCOM = (
    "https://www.surveylab.com/api.php?apiToken=k3h3k4h5k3h4&cId=8379821739721"
    "&source=intercom&action=addContactToCollector"
)
LIVECHAT = INTERCOM.replace("intercom", "livechat")
LINK = (
    "https://www.mysurveylab.com/pageTag/SurveyCampaign/cId/8379821739721/referrer/{{ticket.id}}/custom1/{{ticket.url}}"
)


def recognised(text: str) -> Recognised:
    found = surveylab.recognise_url(read_pasted_url(text))
    assert found is not None
    return found


def test_the_documented_link_for_zendesk_becomes_a_connection_and_a_mapping() -> None:
    found = recognised(ZENDESK)
    assert found.call == "add_respondent"
    assert found.settings == {"origin": "https://www.mysurveylab.com", "api_token": Secret(TOKEN)}
    assert found.parameters == {
        "cId": "8379821739721",
        "email": "{{ticket.requester.email}}",
        "crk": "{{ticket.id}}",
        "referrer": "{{ticket.url}}",
        "language": "{{ticket.requester.language}}",
    }


@pytest.mark.parametrize("host", ["www.mysurveylab.com", "www.surveylab.com", "app.surveylab.com"])
def test_each_documented_host_is_kept(host: str) -> None:
    found = recognised(ZENDESK.replace("www.mysurveylab.com", host))
    assert found.settings["origin"] == f"https://{host}"
    assert not [warning for warning in found.warnings if "address" in warning]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("https://mysurveylab.com", "https://www.mysurveylab.com"),
        ("http://www.mysurveylab.com", "https://www.mysurveylab.com"),
        ("mysurveylab.com", "https://www.mysurveylab.com"),
        ("http://surveylab.com", "https://www.surveylab.com"),
        ("HTTPS://App.SurveyLab.com:443", "https://app.surveylab.com"),
    ],
)
def test_an_address_that_was_cut_short_is_mended(written: str, meant: str) -> None:
    found = recognised(ZENDESK.replace("https://www.mysurveylab.com", written))
    assert found.settings["origin"] == meant


def test_mending_an_address_is_told() -> None:
    found = recognised(ZENDESK.replace("www.", ""))
    assert found.warnings[0] == "The address was mended to https://www.mysurveylab.com."


@pytest.mark.parametrize(
    ("name", "written"), [("cId", "cld"), ("cId", "CID"), ("referrer", "refferer"), ("apiToken", "apitoken")]
)
def test_a_misprinted_name_is_read_as_what_it_means_and_told(name: str, written: str) -> None:
    found = recognised(ZENDESK.replace(f"{name}=", f"{written}="))
    assert found.parameters == recognised(ZENDESK).parameters
    assert found.settings == recognised(ZENDESK).settings
    assert f"`{written}` was read as `{name}`." in found.warnings


@pytest.mark.parametrize("key", ["{{ticket.id}}", "{{ticket.id}}-csat", "35436", "{{ticket.requester.email}}"])
def test_a_key_that_comes_again_is_kept_and_warned_about(key: str) -> None:
    found = recognised(ZENDESK.replace("crk={{ticket.id}}", f"crk={key}"))
    assert found.parameters["crk"] == key
    [warning] = found.warnings
    assert "the same when a ticket closes a second time" in warning
    assert "{{ delivery.reference }}" in warning


@pytest.mark.parametrize("key", ["{{delivery.reference}}", "{{ ticket.id }}-{{ episode.id }}"])
def test_a_key_that_is_new_each_time_is_no_matter_of_warning(key: str) -> None:
    assert recognised(ZENDESK.replace("crk={{ticket.id}}", f"crk={key}")).warnings == ()


def test_empty_values_are_left_out_in_silence() -> None:
    found = recognised(ZENDESK_NEWER)
    assert found.parameters["custom1"] == "{{ticket.id}}"
    assert "custom2" not in found.parameters
    assert len(found.warnings) == 1


@pytest.mark.parametrize("url", [INTERCOM, LIVECHAT])
def test_a_link_for_another_platform_keeps_what_it_tells(url: str) -> None:
    found = recognised(url)
    assert found.call == "add_respondent"
    assert found.parameters == {"cId": "8379821739721"}
    assert [warning.startswith("`source` was left out") for warning in found.warnings] == [True]


@pytest.mark.parametrize("action", ["turnOnCollector", "turnOffCollector"])
def test_a_link_that_switches_a_collector_says_that_it_became_something_else(action: str) -> None:
    found = recognised(INTERCOM.replace("addContactToCollector", action))
    assert found.warnings[0].startswith("The URL turns a collector on or off, which is left out here")


def test_a_name_that_is_not_known_is_left_out_and_told_without_its_value() -> None:
    found = recognised(f"{ZENDESK}&utm_campaign=spring")
    assert "utm_campaign" not in found.parameters
    assert "`utm_campaign` is not known here and was left out." in found.warnings
    assert "spring" not in "".join(found.warnings)


def test_a_survey_link_becomes_a_mapping_of_page_tag() -> None:
    found = recognised(LINK)
    assert found.call == "page_tag"
    assert found.settings == {"origin": "https://www.mysurveylab.com", "link_origin": "https://www.mysurveylab.com"}
    assert found.parameters == {
        "cId": "8379821739721", "referrer": "{{ticket.id}}", "custom1": "{{ticket.url}}",
    }  # fmt: skip
    assert found.warnings == ()


def test_a_survey_link_of_today_does_not_tell_where_the_api_is() -> None:
    found = recognised(LINK.replace("www.mysurveylab.com", "feedback.surveylab.com") + "/")
    assert found.settings == {"link_origin": "https://feedback.surveylab.com"}


def test_a_survey_link_that_is_cut_in_the_middle_keeps_its_pairs() -> None:
    found = recognised(f"{LINK}/custom2")
    assert found.parameters == recognised(LINK).parameters
    assert found.warnings == ("The last name in the path has no value and was left out.",)


@pytest.mark.parametrize(
    "url",
    [
        "https://www.mysurveylab.com/",
        "https://www.mysurveylab.com/en/help/api-integration/webhooks",
        "https://feedback.surveylab.com/api.php?cId=1",
        "https://api.surveylab.com/api.php?cId=1",
        "https://www.mysurveylab.com.example/api.php?apiToken=1&cId=1",
        "https://example.com/api.php?apiToken=1&cId=1",
        "https://www.mysurveylab.com/pageTag/Other/cId/1",
    ],
)
def test_what_is_not_a_call_of_surveylab_is_not_recognised(url: str) -> None:
    assert surveylab.recognise_url(read_pasted_url(url)) is None


def test_no_warning_and_no_repr_holds_the_token() -> None:
    for url in (ZENDESK, ZENDESK_NEWER, INTERCOM, f"{ZENDESK}&apiToken={TOKEN}2&{TOKEN}3"):
        found = recognised(url)
        assert TOKEN not in repr(found) + "".join(found.warnings)
