from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Mapping
from typing import Any

import pytest
from marshmallow import ValidationError

from plugin.domain.survey_call import OutboundRequest, SurveyCall
from plugin.redaction import mask_secrets, reveal
from plugin.surveys import sendios
from plugin.surveys.base import Recognised
from plugin.surveys.base.pasted import read_pasted_url

SMS = {"type_id": "15", "project_id": "99", "phone": "+48 22 123 45 67", "client_user_id": "k3v9x0q2"}
TOKEN = "a1s2d3f4g5h6j7k8l"
#: The SHA-1 of that token as the vendor's own library documents it.
HASHED = "957081746b54977d51bef9fc74f4d4fd023bab13"


def connection(**more: str) -> Mapping[str, Any]:
    return sendios.Connection().load({"client_id": "123", "api_key": TOKEN, **more})


def request_of(settings: Mapping[str, Any] | None = None, **parameters: object) -> OutboundRequest:
    values = sendios.SendSms().load({**SMS, **parameters})
    return sendios.build_request(SurveyCall("sendios", "send_sms", values), settings or connection(), "send", {})


def authorization_of(request: OutboundRequest) -> str:
    scheme, _, encoded = reveal(dict(request.headers)["Authorization"]).partition(" ")
    assert scheme == "Basic"
    return b64decode(encoded).decode()


def test_an_sms_is_asked_for_in_json_with_numbers_as_numbers() -> None:
    request = request_of()
    assert request.method == "POST"
    assert request.url() == "https://api.sendios.io/v1/sms/send/system"
    assert request.json == {"phone": "+48221234567", "type_id": 15, "project_id": 99, "client_user_id": "k3v9x0q2"}


def test_the_template_s_variables_stand_beside_what_is_known_of_the_person() -> None:
    request = request_of(
        text="Dziękujemy!", link="https://l.example/x", value_2="35436", name="Łucja", language_id="pl"
    )
    assert request.json["data"] == {
        "user": {"name": "Łucja", "language_id": "pl"},
        "text": "Dziękujemy!",
        "link": "https://l.example/x",
        "value_2": "35436",
    }


def test_the_api_key_is_sent_as_it_is_and_the_library_s_key_as_its_sha1() -> None:
    assert authorization_of(request_of()) == f"123:{TOKEN}"
    assert authorization_of(request_of(connection(key_form="sha1"))) == f"123:{HASHED}"


@pytest.mark.parametrize("key_form", ["plain", "sha1"])
def test_no_form_of_the_key_survives_in_what_the_vendor_repeats(key_form: str) -> None:
    request = request_of(connection(key_form=key_form))
    header = reveal(dict(request.headers)["Authorization"])
    said = json.dumps([TOKEN, HASHED if key_form == "sha1" else "", header, header.removeprefix("Basic ")])
    shown = mask_secrets(f"{said} {authorization_of(request)}", request.secrets)
    assert not [secret for secret in (TOKEN, HASHED, header.removeprefix("Basic ")) if secret in shown]
    assert TOKEN not in repr(request) + request.shown_url() + str(request.shown_parameters())


def test_a_connection_may_name_another_field_for_the_number_and_another_origin() -> None:
    request = request_of(connection(phone_field="phone_number", origin="http://127.0.0.1:9000"))
    assert request.json["phone_number"] == "+48221234567"
    assert "phone" not in request.json
    assert request.origin == "http://127.0.0.1:9000"


def test_the_field_of_the_number_can_replace_no_other() -> None:
    assert request_of(connection(phone_field="type_id")).json["type_id"] == 15


@pytest.mark.parametrize(
    ("parameter", "value"),
    [("type_id", "all"), ("project_id", "1, 2"), ("phone", "everybody"), ("phone", "+48221234567,+48221234568")],
)
def test_one_sms_goes_to_one_number(parameter: str, value: str) -> None:
    with pytest.raises(ValidationError) as refused:
        request_of(**{parameter: value})
    assert list(refused.value.messages_dict) == [parameter]


@pytest.mark.parametrize(("setting", "value"), [("client_id", "1:2"), ("key_form", "md5"), ("phone_field", "a b")])
def test_settings_that_cannot_be_meant_are_refused(setting: str, value: str) -> None:
    with pytest.raises(ValidationError) as refused:
        connection(**{setting: value})
    assert list(refused.value.messages_dict) == [setting]


def test_reports_find_an_sms_by_our_reference_unless_a_rule_says_otherwise() -> None:
    call = sendios.VENDOR.calls["send_sms"]
    assert call.tracked == "client_user_id"
    assert call.defaults == {"phone": "{{ person.phone }}", "client_user_id": "{{ delivery.reference }}"}


# --- pasted URLs ------------------------------------------------------------------------------------------------------


def recognised(text: str) -> Recognised | None:
    return sendios.recognise_url(read_pasted_url(text))


@pytest.mark.parametrize(
    "text",
    [
        "https://api.sendios.io/v1/sms/send/system",
        "“https://api.sendios.io/v1/sms/send/system”",
        "api.sendios.io/v1/sms/send/system/",
    ],
)
def test_the_address_of_the_call_becomes_a_connection_and_a_rule(text: str) -> None:
    found = recognised(text)
    assert found is not None
    assert (found.call, found.settings) == ("send_sms", {})
    assert found.parameters == sendios.VENDOR.calls["send_sms"].defaults
    assert len(found.warnings) == 1
    assert "client_id" in found.warnings[0]


def test_what_stands_in_the_query_is_taken_over_where_the_call_has_it() -> None:
    found = recognised("https://api.sendios.io/v1/sms/send/system?type_id=15&client_user_id={{ticket.id}}&category=1")
    assert found is not None
    assert found.parameters["type_id"] == "15"
    assert found.parameters["client_user_id"] == "{{ticket.id}}"
    assert found.warnings[-1].endswith("category.")


@pytest.mark.parametrize(
    "text",
    ["https://api.sendios.io/v1/push/system", "https://api.sendios.io/", "https://example.com/v1/sms/send/system"],
)
def test_another_address_is_none_of_ours(text: str) -> None:
    assert recognised(text) is None
