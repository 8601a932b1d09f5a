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


NEW = "https://api.questionpro.{{env}}/a/api/v2"
OLD = "https://{{env}}.questionpro.com/a/api/v2"
# As the manual prints them, its misprints included.
DOCUMENTED = [
    (f"{NEW}/micropanel/batches", "micropanel_batch"),
    ("https://api.questionpro.com/a/api/v2/micropanel/batches", "micropanel_batch"),
    (f"{OLD}/micropanel/batches/{{{{batchID}}", "micropanel_batch"),
    (f"{NEW}/surveys/{{{{survey-id}}}}/batches", "survey_batch"),
    (f"{OLD}/surveys/{{{{survey-id}}}}/batches?apiKey={{{{apiKey}}}}", "survey_batch"),
    (f"{OLD}/surveys/{{{{survey-id}}}}/batches", "survey_batch"),
    (f"{NEW}/surveys/{{{{survey-id}}}}/batches?page=1&perPage=100", "survey_batch"),
    (f"{NEW}/surveys/{{{{survey-id}}}}/batches/{{{{batch-id}}}}", "survey_batch"),
    (f"{OLD}/surveys/{{{{survey-id}}}}/batches/{{{{batch-id}}}}?apiKey={{{{apiKey}}}}", "survey_batch"),
    (f"{NEW}/surveys/{{{{survey-id}}}}/batcheswithfilters", "survey_batch"),
    (f"{OLD}/surveys/{{{{survey-id}}}}/batcheswithfilters?apiKey={{{{apiKey}}}}", "survey_batch"),
]


@pytest.mark.parametrize("wrapping", ["{}", "„{}”", "'{}'", " <{}>\n", "\u200b{}"])
@pytest.mark.parametrize(("url", "call"), DOCUMENTED)
def test_every_documented_address_is_recognised(url: str, call: str, wrapping: str) -> None:
    found = recognised(wrapping.format(url))
    assert found.call == call
    # The manual's placeholders are no values.
    assert found.parameters == {}
    assert found.settings == ({} if "{{env}}" in url else {"data_centre": "us"})


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
