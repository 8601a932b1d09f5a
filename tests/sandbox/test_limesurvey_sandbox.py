"""The pretended LimeSurvey keeps what the real one keeps: sessions, participants, and who was mailed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from plugin.sandbox import limesurvey
from plugin.sandbox.base import SandboxRequest

PATH = ("index.php", "admin", "remotecontrol")


def ask(method: str, *params: Any) -> Any:
    call = {"method": method, "params": list(params), "id": 7}
    answer = limesurvey.answer(SandboxRequest("POST", PATH, json=call))
    assert answer is not None
    return json.loads(answer.body)["result"]


@pytest.fixture
def key() -> str:
    return ask("get_session_key", "admin", "a-password", "Authdb")


def add(key: str, email: str = "ada@example.com", survey: int = 282267) -> int:
    [row] = ask("add_participants", key, survey, [{"email": email}], True)
    return int(row["tid"])


def test_a_participant_is_mailed_once(key: str) -> None:
    tid = add(key)
    assert ask("invite_participants", key, 282267, [tid], True)[str(tid)]["status"] == "OK"
    assert ask("invite_participants", key, 282267, [tid], True) == {"status": "Error: No candidate tokens"}
    assert ask("get_participant_properties", key, 282267, tid, ["sent"])["sent"] != "N"


def test_the_same_address_may_be_added_again(key: str) -> None:
    assert add(key) != add(key)


@pytest.mark.parametrize("word", ["slow", "empty", "broken", "gateway"])
def test_after_an_answer_that_gets_lost_the_participant_is_mailed_all_the_same(key: str, word: str) -> None:
    tid = add(key, f"{word}@example.com")
    limesurvey.answer(
        SandboxRequest(
            "POST", PATH, json={"method": "invite_participants", "params": [key, 282267, [tid], True], "id": 7}
        )
    )
    assert ask("get_participant_properties", key, 282267, tid, ["sent"])["sent"] != "N"


def test_nobody_is_mailed_in_another_survey_or_when_everybody_is_meant(key: str) -> None:
    tid = add(key)
    assert "candidate" in ask("invite_participants", key, 1, [tid], True)["status"]
    assert ask("invite_participants", key, 282267, [], True) is None
    assert ask("invite_participants", key, 282267) is None
    assert ask("get_participant_properties", key, 282267, tid, ["sent"]) == {"sent": "N"}


def test_a_session_ends_when_it_is_released(key: str) -> None:
    assert ask("release_session_key", key) == "OK"
    assert ask("add_participants", key, 282267, [{"email": "ada@example.com"}], True) == {
        "status": "Invalid session key"
    }


@pytest.mark.parametrize("survey", [403, 404, 410])
def test_some_surveys_are_not_to_be_touched(key: str, survey: int) -> None:
    assert set(ask("add_participants", key, survey, [{"email": "ada@example.com"}], True)) == {"status"}


def test_what_it_keeps_is_bounded(key: str) -> None:
    first = add(key)
    for _ in range(limesurvey.REMEMBERED):
        add(key)
    assert ask("get_participant_properties", key, 282267, first, ["sent"]) == {"status": "Error: Invalid tokenid"}


def test_it_is_found_by_route_too_and_answers_nothing_to_what_is_no_call() -> None:
    by_route = SandboxRequest("POST", ("index.php",), {"r": "admin/remotecontrol"}, json={"method": "drop", "id": 1})
    answer = limesurvey.answer(by_route)
    assert answer is not None
    assert answer.body == ""
    assert limesurvey.answer(SandboxRequest("GET", PATH)) is not None
    assert limesurvey.answer(SandboxRequest("POST", ("index.php", "admin"))) is None
