from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import product
from typing import Any

import pytest
from marshmallow import ValidationError

from plugin.domain.outcome import Accepted, NextRequest, Outcome, Reason, Rejected, Uncertain
from plugin.domain.survey_call import OutboundRequest, OutboundResponse, SurveyCall
from plugin.redaction import MASK, Secret
from plugin.surveys import limesurvey
from plugin.surveys.base.pasted import read_pasted_url

PERSON = {"survey_id": "282267", "email": "lucja.nowak@example.com"}
STEPS = [step.name for step in limesurvey.VENDOR.calls["invite"].steps]
MEMORY = {"session": "key-5f1c", "logins": "1", "tid": "12"}


def connection(**more: str) -> Mapping[str, Any]:
    settings = {"origin": "https://survey.example.com", "username": "robot", "password": "pass-5f1c", **more}
    return limesurvey.Connection().load(settings)


def call_with(**parameters: object) -> SurveyCall:
    return SurveyCall("limesurvey", "invite", limesurvey.Invite().load({**PERSON, **parameters}))


def request_of(step: str, memory: Mapping[str, str] = MEMORY, **parameters: object) -> OutboundRequest:
    return limesurvey.build_request(call_with(**parameters), connection(), step, memory)


def sent(request: OutboundRequest) -> dict[str, Any]:
    body, content_type = request.body() or (b"", "")
    # A server before version 3 compares it letter by letter.
    assert content_type == "application/json"
    return json.loads(body)


def answered(step: str, result: Any, memory: Mapping[str, str] = MEMORY, **envelope: Any) -> Outcome:
    body = {"id": step, "result": result, "error": None, **envelope}
    return limesurvey.read_response(
        call_with(), OutboundResponse(200, body=json.dumps(body, ensure_ascii=False).encode()), step, memory
    )


# --- requests ---------------------------------------------------------------------------------------------------------


def test_each_step_calls_its_method_with_its_arguments_in_order() -> None:
    row = {"email": "lucja.nowak@example.com", "firstname": "Łucja", "attribute_1": "35436"}
    columns = ["sent", "emailstatus", "completed"]
    expected: dict[str, tuple[str, list[Any]]] = {
        "login": ("get_session_key", ["robot", "pass-5f1c", "Authdb"]),
        "add": ("add_participants", ["key-5f1c", 282267, [row], True]),
        "invite": ("invite_participants", ["key-5f1c", 282267, [12], True]),
        "look": ("get_participant_properties", ["key-5f1c", 282267, 12, columns]),
        "release": ("release_session_key", ["key-5f1c"]),
    }
    assert list(expected) == STEPS
    for step, (method, arguments) in expected.items():
        request = request_of(step, firstname="Łucja", attribute_1="35436")
        assert (request.method, request.url()) == (
            "POST",
            "https://survey.example.com/index.php/admin/remotecontrol",
        )
        assert sent(request) == {"method": method, "params": arguments, "id": step}


def test_password_and_session_key_are_masked_wherever_a_request_is_shown() -> None:
    for step in STEPS:
        request = request_of(step)
        shown = f"{request!r}{request.shown_parameters()}{request.shown_url()}"
        assert "5f1c" not in shown
        assert MASK in str(request.shown_parameters())
        assert len(request.secrets) == 1


def test_the_word_admin_in_the_path_stays_readable_for_an_account_of_that_name() -> None:
    request = limesurvey.build_request(call_with(), connection(username="admin"), "login", {})
    assert request.shown_url() == "https://survey.example.com/index.php/admin/remotecontrol"


@pytest.mark.parametrize(
    "tid", ["", "0", "-1", "00", "12,13", "12' OR '1'='1", "false", "None", "null", "[]", " 12", "1e3", "١٢", "9" * 19]
)
def test_no_memory_can_make_an_invitation_go_to_everybody(tid: str) -> None:
    for step in ("invite", "look"):
        with pytest.raises(ValueError, match="everybody"):
            request_of(step, {**MEMORY, "tid": tid})


def test_without_a_remembered_participant_there_is_no_invitation() -> None:
    with pytest.raises(ValueError, match="everybody"):
        request_of("invite", {"session": "key-5f1c"})


def test_whatever_is_remembered_an_invitation_names_exactly_one_participant_and_only_if_pending() -> None:
    values = ("1", "12", "999999999999999999")
    for tid, more in product(values, ({}, {"tids": "", "everybody": "1", "then": "invite"})):
        params = sent(request_of("invite", {**MEMORY, **more, "tid": tid}))["params"]
        assert params == ["key-5f1c", 282267, [int(tid)], True]


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("/limesurvey/index.php/admin/remotecontrol", "/limesurvey/index.php/admin/remotecontrol"),
        ("/index.php?r=admin/remotecontrol", "/index.php?r=admin%2Fremotecontrol"),
        ("/?r=admin/remotecontrol", "/?r=admin%2Fremotecontrol"),
        ("/my%20surveys/index.php/admin/remotecontrol", "/my%20surveys/index.php/admin/remotecontrol"),
    ],
)
def test_remotecontrol_is_called_where_the_connection_says(path: str, url: str) -> None:
    request = limesurvey.build_request(call_with(), connection(path=path), "login", {})
    assert request.url() == f"https://survey.example.com{url}"


@pytest.mark.parametrize(
    "path", ["", "index.php", "/a/../b", "/.", "/a/%2e%2E?r=1", "/a b", "/a#b", "https://x.example/"]
)
def test_a_path_that_is_none_is_refused(path: str) -> None:
    with pytest.raises(ValidationError) as refused:
        connection(path=path)
    assert list(refused.value.messages_dict) == ["path"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("survey_id", "everything"), ("survey_id", "-1"), ("validuntil", "tomorrow"), ("email", "nobody")],
)
def test_a_parameter_of_another_form_is_refused(name: str, value: str) -> None:
    with pytest.raises(ValidationError) as refused:
        call_with(**{name: value})
    assert list(refused.value.messages_dict) == [name]


# --- answers ----------------------------------------------------------------------------------------------------------


def test_a_session_that_has_ended_is_opened_anew_and_the_work_goes_on_where_it_was() -> None:
    over = answered("invite", {"status": "Invalid session KEY"})
    assert isinstance(over, NextRequest)
    assert over.step == "login"

    again = answered("login", "key-2", over.memory)

    assert isinstance(again, NextRequest)
    assert (again.step, dict(again.memory)) == ("invite", {"session": "key-2", "logins": "2", "tid": "12"})


def test_after_two_new_logins_a_session_that_ends_is_the_connection_s_fault() -> None:
    memory, steps = {"session": "key", "logins": "1"}, []
    outcome = answered("add", {"status": "Invalid session key"}, memory)
    while isinstance(outcome, NextRequest):
        steps.append(outcome.step)
        result: Any = "key" if outcome.step == "login" else {"status": "Invalid session key"}
        outcome = answered(outcome.step, result, outcome.memory)
    assert steps == ["login", "add", "login", "add"]
    assert outcome == Rejected(Reason.CREDENTIALS, "Invalid session key")


def test_each_known_status_means_the_same_in_any_letters_and_with_or_without_error_in_front() -> None:
    for text, reason in limesurvey.REASONS.items():
        for written in (text, text.upper(), f"Error: {text.title()}", f"  {text}. "):
            outcome = answered("add", {"status": written})
            assert isinstance(outcome, Rejected)
            assert outcome.reason is reason


def test_a_participant_that_was_mailed_before_counts_as_invited() -> None:
    asked = answered("invite", {"status": "Error: No candidate tokens"})
    assert isinstance(asked, NextRequest)

    found = {"sent": "2026-11-03 12:00", "emailstatus": "OK", "completed": "N"}
    outcome = answered(asked.step, found, asked.memory)

    assert isinstance(outcome, Accepted)
    assert (outcome.vendor_reference, outcome.words) == ("12", "sent: 2026-11-03 12:00")


def test_logging_out_follows_and_knows_the_session() -> None:
    outcome = answered("invite", {"12": {"status": "OK"}, "status": "0 left to send"})
    assert isinstance(outcome, Accepted)
    assert outcome.follow_up == NextRequest("release", {"session": "key-5f1c"})


@pytest.mark.parametrize("step", ["login", "add"])
@pytest.mark.parametrize("before", ["", "Warning: in_array()\n", "<br />"])
def test_the_key_or_token_in_an_answer_that_is_not_understood_is_not_quoted(step: str, before: str) -> None:
    result: Any = "key-5f1c" if step == "login" else [{"tid": "12", "token": "key-5f1c"}]
    body = before + json.dumps({"id": "another", "result": result, "error": None})
    for status in (200, 400, 500):
        response = OutboundResponse(status, body=body.encode())
        outcome = limesurvey.read_response(call_with(), response, step, {"session": "old"})
        assert isinstance(outcome, Uncertain | Rejected)
        assert "5f1c" not in outcome.words


@pytest.mark.parametrize("status", [200, 302, 403, 404, 500, 503])
def test_a_logout_that_fails_says_nothing_of_the_invitation(status: int) -> None:
    body = json.dumps({"id": "release", "result": {"status": "No permission"}, "error": None})
    for text in ("", "<br />", body):
        response = OutboundResponse(status, body=text.encode())
        assert limesurvey.read_response(call_with(), response, "release", {"session": "key-5f1c"}) == Accepted()


# --- pasted URLs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "origin", "path"),
    [
        # The form on https://manual.limesurvey.org/RemoteControl_2_API, with and without a folder.
        (
            "http://example.org/limesurvey/index.php/admin/remotecontrol",
            "http://example.org",
            "/limesurvey/index.php/admin/remotecontrol",
        ),
        (
            " “https://survey.example.com/index.php/admin/\nremotecontrol/” ",
            "https://survey.example.com",
            limesurvey.PATH,
        ),
        (
            "survey.example.com/index.php/Admin/RemoteControl",
            "https://survey.example.com",
            "/index.php/Admin/RemoteControl",
        ),
        (
            "https://survey.example.com/index.php?r=admin/remotecontrol",
            "https://survey.example.com",
            "/index.php?r=admin/remotecontrol",
        ),
        (
            "https://x.example/?r=admin%2Fremotecontrol&amp;lang=pl",
            "https://x.example",
            "/index.php?r=admin/remotecontrol",
        ),
    ],
)
def test_the_address_of_remotecontrol_becomes_a_connection(text: str, origin: str, path: str) -> None:
    recognised = limesurvey.recognise_url(read_pasted_url(text))
    assert recognised is not None
    assert (recognised.call, recognised.settings) == ("invite", {"origin": origin, "path": path})
    assert recognised.parameters == {"email": "{{ person.email }}"}
    [warning] = recognised.warnings
    assert "survey_id" in warning
    loaded = connection(**recognised.settings)
    assert loaded["path"] == path
    assert isinstance(loaded["password"], Secret)


@pytest.mark.parametrize(
    "text",
    [
        "https://survey.example.com/index.php/282267?lang=pl",
        "https://survey.example.com/index.php/admin",
        "https://www.mysurveylab.com/api.php?apiToken=x&cId=1",
        "https://survey.example.com/admin/remotecontrol/else",
        "https://survey.example.com/index.php?r=admin/authentication",
    ],
)
def test_any_other_address_is_not_limesurvey_s(text: str) -> None:
    assert limesurvey.recognise_url(read_pasted_url(text)) is None
