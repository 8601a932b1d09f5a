"""A pasted URL as a connection and a rule of a tenant's file."""

from __future__ import annotations

from typing import Any

import pytest

from plugin import registry
from plugin.errors import UrlNotRecognised
from plugin.redaction import Secret
from plugin.tenant_file import check_document, dump_document, empty_document, import_url, read_document, with_variables
from plugin.tenant_file.document import KEPT

LAB = "https://app.surveylab.com/api.php?apiToken=k3h3k4h5k3h4&cId=8379821739721&email={{ticket.requester.email}}"


def rule_of(url: str) -> dict[str, Any]:
    [rule] = import_url(url).fragment["rules"]
    return rule


def test_a_url_becomes_a_connection_and_a_rule_that_belong_together() -> None:
    imported = import_url(f"{LAB}&custom1={{{{ticket.id}}}}")
    assert imported.fragment == {
        "connections": [
            {
                "name": "surveylab",
                "vendor": "surveylab",
                "settings": {"origin": "https://app.surveylab.com", "api_token": Secret("k3h3k4h5k3h4")},
            }
        ],
        "rules": [
            {
                "name": "surveylab",
                "when": {"events": ["ticket.closed"]},
                "connection": "surveylab",
                "call": "add_respondent",
                "parameters": {
                    "cId": "8379821739721",
                    "email": "{{ ticket.requester.email }}",
                    "custom1": "{{ ticket.id }}",
                },
            }
        ],
    }
    assert imported.warnings == []


def test_the_fragment_can_be_applied_as_it_is_written() -> None:
    fragment, variables = with_variables(import_url(LAB).fragment)
    text = dump_document(empty_document("acme", "Acme") | fragment)

    checked = check_document(read_document(text), environment={"SURVEYLAB_API_TOKEN": "k3h3k4h5k3h4"}.get)

    assert variables == ["SURVEYLAB_API_TOKEN"]
    assert checked.document["connections"][0]["settings"]["api_token"] == Secret("k3h3k4h5k3h4")


def test_secrets_are_written_only_when_asked_for() -> None:
    fragment = import_url(LAB).fragment
    assert "api_token: {secret: set}" in dump_document(fragment)
    assert "api_token: k3h3k4h5k3h4" in dump_document(fragment, with_secrets=True)
    assert "k3h3k4h5k3h4" not in repr(import_url(LAB))


def test_a_name_is_taken_or_a_free_one_found() -> None:
    assert import_url(LAB, name="Lab 1").fragment["rules"][0]["connection"] == "Lab 1"
    numbered = import_url(LAB, taken={"surveylab", "surveylab-2", "other"}).fragment
    assert numbered["connections"][0]["name"] == numbered["rules"][0]["name"] == "surveylab-3"


def test_the_variable_of_a_secret_is_a_name_that_a_shell_takes() -> None:
    assert with_variables(import_url(LAB, name="2nd: lab").fragment)[1] == ["_2ND_LAB_API_TOKEN"]


@pytest.mark.parametrize("token", ["", "{{dc.token}}", "YOUR_TOKEN", "xxxxxxxx", "[token]", "<apiToken>", "...", "…"])
def test_a_secret_that_the_url_does_not_hold_has_to_be_written(token: str) -> None:
    imported = import_url(LAB.replace("k3h3k4h5k3h4", token))
    assert imported.fragment["connections"][0]["settings"]["api_token"] == KEPT
    assert imported.warnings == ["`api_token` is not in the URL: write it into the connection."]
    assert "{secret: set}" in dump_document(imported.fragment, with_secrets=True)
    assert with_variables(imported.fragment)[1] == ["SURVEYLAB_API_TOKEN"]


def test_the_parameters_of_a_described_vendor_are_those_of_its_preset() -> None:
    url = (
        "https://api.alchemer.com/v5/survey/12/surveycampaign/34/surveycontact?api_token=k3h3k4h5&api_token_secret=..."
    )
    imported = import_url(url)
    assert imported.fragment["connections"][0]["settings"] == {
        "preset": "alchemer",
        "secrets": {"api_token": Secret("k3h3k4h5"), "api_token_secret": KEPT},
    }
    assert imported.fragment["rules"][0]["parameters"] == {
        "survey_id": "12", "campaign_id": "34", "email": "{{ person.email }}",
    }  # fmt: skip
    assert imported.warnings == [
        "`api_token_secret` is not in the URL: write it into the connection.",
        "`email` is not in the URL; {{ person.email }} was put in.",
    ]


def test_what_a_url_leaves_to_another_platform_is_filled_in() -> None:
    imported = import_url("https://www.surveylab.com/api.php?apiToken=k3h3&cId=83&source=livechat")
    assert imported.fragment["rules"][0]["parameters"] == {"cId": "83", "email": "{{ person.email }}"}
    assert "`email` is not in the URL; {{ person.email }} was put in." in imported.warnings


def test_one_person_s_address_does_not_get_every_survey() -> None:
    imported = import_url(LAB.replace("{{ticket.requester.email}}", "jan.kowalski@example.com"))
    assert imported.fragment["rules"][0]["parameters"]["email"] == "{{ person.email }}"
    [warning] = imported.warnings
    assert warning.startswith("`email` was one person's address")
    assert "kowalski" not in warning


@pytest.mark.parametrize("gap", ["[ID]", "{collector}", "xxxx", "%collector%"])
def test_a_gap_of_an_example_is_warned_about(gap: str) -> None:
    imported = import_url(LAB.replace("8379821739721", gap))
    assert imported.warnings == [
        "`cId` looks like an example's gap that nothing here fills: write the value itself.",
    ]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("{{ticket.id}}", "{{ ticket.id }}"),
        ("{{ ticket.id}}-{{ticket.requester.language }}", "{{ ticket.id }}-{{ ticket.requester.language }}"),
        ("{{ticket.ticket_field_360001234}}", "{{ ticket.custom.360001234 }}"),
        ("{{ticket.ticket_field_option_title_36}}", "{{ ticket.custom.36 }}"),
        ("{{ticket.ticket_type}}", "{{ ticket.type }}"),
        ("{{ticket.created_at_with_timestamp}}", "{{ ticket.created_at }}"),
        ("{{ticket.title | upcase}}", "{{ ticket.title | upcase }}"),
        ('{{"ticket"}}', '{{"ticket"}}'),
    ],
)
def test_zendesk_s_placeholders_are_written_in_our_names(theirs: str, ours: str) -> None:
    assert rule_of(f"{LAB}&custom1={theirs}")["parameters"]["custom1"] == ours


def test_a_field_of_its_own_has_to_be_sent_by_zendesk() -> None:
    imported = import_url(f"{LAB}&custom1={{{{ticket.ticket_field_36}}}}&referrer={{{{ticket.url}}}}")
    told, asked = imported.warnings
    assert told == "{{ticket.ticket_field_36}} is {{ ticket.custom.36 }} here."
    assert asked.startswith("Zendesk must send what the body in our guide leaves out; add to that body: ")
    assert asked.endswith('"ticket.url": "{{ticket.url}}", "ticket.custom.36": "{{ticket.ticket_field_36}}".')


def test_a_placeholder_that_nobody_knows_is_told_as_the_check_would() -> None:
    imported = import_url(f"{LAB}&custom1={{{{current_user.email}}}}")
    assert imported.warnings == [
        "To be mended: parameters.custom1: uses `current_user.email`, which is not a placeholder."
    ]
    assert imported.fragment["rules"][0]["parameters"]["custom1"] == "{{ current_user.email }}"


def test_what_is_required_and_cannot_be_known_is_told() -> None:
    imported = import_url(LAB.replace("cId=8379821739721", "cId="))
    assert imported.warnings == ["To be mended: parameters.cId: is required by add_respondent."]


@pytest.mark.parametrize(
    ("value", "event"),
    [
        ("{{chat.id}}", "chat.ended"),
        ("{{crm.id}}", "crm.changed"),
        ("{{ticket.id}}", "ticket.closed"),
        ("7", "ticket.closed"),
    ],
)
def test_a_rule_waits_for_the_event_that_its_mapping_speaks_of(value: str, event: str) -> None:
    url = LAB.replace("ticket.requester", "person")
    assert rule_of(f"{url}&custom1={value}")["when"] == {"events": [event]}


@pytest.mark.parametrize("name", ["", "a/b", "x" * 80])
def test_a_name_that_no_configuration_takes_is_told(name: str) -> None:
    if name:
        assert any("name: may hold letters" in warning for warning in import_url(LAB, name=name).warnings)
    else:
        assert import_url(LAB, name=name).fragment["rules"][0]["name"] == "surveylab"


@pytest.mark.parametrize(
    "text", ["", "   ", "https://", "https://user:k3h3@www.mysurveylab.com/api.php", "x" * 9000, "ftp://a.example/b"]
)
def test_what_is_no_url_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(UrlNotRecognised) as refused:
        import_url(text)
    assert "k3h3" not in str(refused.value)
    assert len(str(refused.value)) < 400


def test_a_url_of_nobody_names_whom_we_know_and_the_way_out() -> None:
    with pytest.raises(UrlNotRecognised) as refused:
        import_url("https://surveys.example.com/send?token=k3h3k4h5k3h4")
    told = str(refused.value)
    assert all(registry.vendor(name).VENDOR.title in told for name in registry.vendor_names() if name != "custom")
    assert "`custom`" in told
    assert "k3h3" not in told


def test_no_warning_holds_a_secret_that_slipped_into_it() -> None:
    imported = import_url(f"{LAB}&k3h3k4h5k3h4=1&custom1={{{{k3h3k4h5k3h4}}}}")
    assert imported.warnings
    assert "k3h3k4h5k3h4" not in "".join(imported.warnings)
