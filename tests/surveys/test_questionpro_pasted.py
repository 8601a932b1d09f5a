from __future__ import annotations

import pytest

from plugin.redaction import Secret
from plugin.surveys import questionpro
from plugin.surveys.base import Recognised
from plugin.surveys.base.pasted import read_pasted_url
from plugin.tenant_file import import_url


def recognised(text: str) -> Recognised:
    found = questionpro.recognise_url(read_pasted_url(text))
    assert found is not None
    return found


@pytest.mark.parametrize(
    "url",
    [
        "https://api.questionpro.{{env}}/a/api/v2/surveys/{{survey-id}}/batches",
        "https://{{env}}.questionpro.com/a/api/v2/surveys/{{survey-id}}/batches?apiKey={{apiKey}}",
        "https://{env}.questionpro.com/a/api/v2/surveys/{survey-id}/batches?apiKey={apiKey}",
    ],
)
def test_the_manual_s_placeholders_are_no_values(url: str) -> None:
    found = recognised(url)
    assert (found.call, found.settings, found.parameters) == ("survey_batch", {}, {})


@pytest.mark.parametrize(
    ("host", "centre"),
    [
        ("api.questionpro.com", "us"), ("api.questionpro.eu", "eu"), ("api.questionpro.ca", "ca"),
        ("api.questionpro.au", "au"), ("api.questionpro.sg", "sg"), ("api.questionpro.ae", "ae"),
        ("api.surveyanalytics.com", "sa"), ("api.questionprosa.com", "ksa"),
        ("us.questionpro.com", "us"), ("eu.questionpro.com", "eu"), ("ca.questionpro.com", "ca"),
        ("au.questionpro.com", "au"), ("sg.questionpro.com", "sg"), ("ae.questionpro.com", "ae"),
        ("sa.questionpro.com", "sa"), ("ksa.questionpro.com", "ksa"),
        ("API.QuestionPro.EU", "eu"),
    ],
)  # fmt: skip
def test_the_data_centre_is_read_from_either_kind_of_host(host: str, centre: str) -> None:
    found = recognised(f"https://{host}/a/api/v2/surveys/7654321/batches")
    assert found.settings == {"data_centre": centre}
    assert found.parameters == {"surveyID": "7654321"}


@pytest.mark.parametrize("name", ["apiKey", "apikey", "api-key", "API-Key"])
def test_a_key_in_the_query_becomes_the_secret_with_a_warning(name: str) -> None:
    found = recognised(f"https://eu.questionpro.com/a/api/v2/surveys/7654321/batches?page=1&{name}=qp-key-7c1d")
    assert found.settings == {"data_centre": "eu", "api_key": Secret("qp-key-7c1d")}
    assert any("sent in a header" in warning for warning in found.warnings)
    assert "qp-key-7c1d" not in repr(found)


def test_what_no_url_can_hold_is_told() -> None:
    found = recognised("https://api.questionpro.{{env}}/a/api/v2/surveys/{{survey-id}}/batches")
    assert found.warnings == ("The body is no part of a URL: whatever stands in it has to be filled in.",)


def test_a_question_for_a_state_becomes_the_call_that_is_asked_about() -> None:
    found = recognised("https://eu.questionpro.com/a/api/v2/micropanel/batches/4445556")
    assert found.call == "micropanel_batch"
    assert "happens by itself" in found.warnings[0]


def test_the_import_names_what_is_missing() -> None:
    imported = import_url("https://{{env}}.questionpro.com/a/api/v2/surveys/{{survey-id}}/batches?apiKey={{apiKey}}")
    [rule] = imported.fragment["rules"]
    assert rule["parameters"] == {"emailAddress": "{{ person.email }}"}
    told = " ".join(imported.warnings)
    assert all(name in told for name in ("api_key", "data_centre", "surveyID", "templateID"))


@pytest.mark.parametrize("end", ["batcheswithfilters", "batches/1234567"])
def test_an_address_that_reaches_a_whole_list_becomes_the_call_for_one_person(end: str) -> None:
    found = recognised(f"https://api.questionpro.eu/a/api/v2/surveys/7654321/{end}")
    assert found.call == "survey_batch"
    assert "a whole mailing list, which is not offered" in found.warnings[0]


@pytest.mark.parametrize(
    "url",
    [
        "https://api.questionpro.in/a/api/v2/micropanel/batches",
        "https://api.questionpro.com.evil.example/a/api/v2/micropanel/batches",
        "https://questionpro.com/a/api/v2/micropanel/batches",
        "https://api.questionpro.com/a/api/v2/micropanel",
        "https://api.questionpro.com/a/api/v2/surveys/1/questions",
        "https://api.questionpro.com/a/api/questionpro.micropanel.panelMemberUpdate?accessKey=x",
        "https://www.questionpro.com/t/AB12cd",
        "https://{{env}}.example.com/a/api/v2/micropanel/batches",
    ],
)
def test_other_addresses_are_left_to_others(url: str) -> None:
    assert questionpro.recognise_url(read_pasted_url(url)) is None
