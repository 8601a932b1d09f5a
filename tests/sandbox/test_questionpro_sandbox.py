"""QuestionPro's pretended side, where it is more than one answer: the state of a batch, and bodies it must not take."""

from __future__ import annotations

from typing import Any

import pytest

from plugin.domain.outcome import Accepted, NextRequest, Outcome, Reason
from plugin.domain.survey_call import OutboundResponse, SurveyCall
from plugin.sandbox import questionpro as pretended
from plugin.sandbox.base import SandboxRequest
from plugin.surveys import questionpro

MEMBER = {"surveyID": "11372241"}
BATCHES = ("a", "api", "v2", "micropanel", "batches")


def ask(method: str, segments: tuple[str, ...], body: Any = None, key: str = "a-key") -> OutboundResponse:
    answer = pretended.answer(SandboxRequest(method, segments, headers={"api-key": key}, json=body))
    assert answer is not None
    return OutboundResponse(answer.status, body=answer.body.encode())


def end_of_batch(word: str) -> tuple[int, Outcome]:
    """Make a batch for a magic word and ask for its state to the end; gives how often it was asked, and the end."""
    call = SurveyCall("questionpro", "micropanel_batch", {**MEMBER, "emailAddress": f"{word}@example.com"})
    settings = questionpro.Connection().load({"data_centre": "eu", "api_key": "a-key"})
    request = questionpro.build_request(call, settings, "send", {})
    made = questionpro.read_response(call, ask("POST", BATCHES, request.json), "send", {})
    assert isinstance(made, Accepted)
    following: Outcome | None = made.follow_up
    asked = 0
    while isinstance(following, NextRequest):
        request = questionpro.build_request(call, settings, following.step, following.memory)
        response = ask("GET", tuple(map(str, request.path)))
        following = questionpro.read_response(call, response, following.step, following.memory)
        asked += 1
    assert following is not None
    return asked, following


@pytest.mark.parametrize("word", ["lucja", "text-id"])
def test_a_batch_is_delivered_after_it_was_asked_a_few_times(word: str) -> None:
    asked, end = end_of_batch(word)
    assert asked == pretended.ASKED_UNTIL_DELIVERED
    assert isinstance(end, Accepted)
    assert end.words == "Delivery Successful"


def test_a_stuck_batch_is_given_up() -> None:
    asked, end = end_of_batch("stuck")
    assert asked == 6
    assert end.reason is Reason.UNRECOGNISED  # type: ignore[union-attr]  # an Uncertain has one
    assert "In Progress" in end.words


def test_a_batch_that_was_never_made_is_not_found() -> None:
    assert ask("GET", (*BATCHES, "1")).status == 404


def test_the_state_is_not_told_without_the_key() -> None:
    assert ask("GET", (*BATCHES, "1"), key="wrong").status == 401


def documented(**changed: Any) -> Any:
    body: dict[str, Any] = {
        "compose": {"surveyID": 11372241},
        "recipients": {"filterType": 2, "emailAddress": "lucja@example.com"},
        "send": {
            "deliveryOptions": {"automaticClosure": {"enabled": False}},
            "notification": {"enableEmailInvitation": True},
        },
    }
    return {**body, **changed}


@pytest.mark.parametrize(
    "body",
    [
        documented(recipients={"filterType": 1}),
        documented(recipients={"filterType": 1, "emailAddress": "lucja@example.com"}),
        documented(recipients={"filterType": 3, "existingFilterID": 145}),
        documented(recipients={"filterType": "2", "emailAddress": "lucja@example.com"}),
        documented(compose={"surveyID": "11372241"}),
        documented(send={}),
        [],
        "text",
    ],
)
def test_a_body_that_is_not_for_one_member_is_refused(body: Any) -> None:
    assert ask("POST", BATCHES, documented()).status == 200
    assert ask("POST", BATCHES, body).status == 400


@pytest.mark.parametrize(
    "body",
    [
        {"emailListID": 1, "templateID": 2, "mode": 1},
        {"emails": ["a@b"], "templateID": 2, "mode": 4},
        {"emails": ["a@b", "c@d"], "templateID": 2, "mode": 2},
        {"emails": ["nobody,a@b"], "templateID": 2, "mode": 2},
        {"emails": ["a@b"], "templateID": "2", "mode": 2},
    ],
)
def test_a_survey_batch_that_is_not_for_one_address_is_refused(body: Any) -> None:
    path = ("a", "api", "v2", "surveys", "7654321", "batches")
    assert ask("POST", path, {"emails": ["a@b,custom"], "templateID": 2, "mode": 2}).status == 200
    assert ask("POST", path, body).status == 400


def test_only_so_many_batches_are_remembered() -> None:
    for _ in range(1002):
        newest = ask("POST", BATCHES, documented()).json_object["response"]["campaignBatchID"]
    assert ask("GET", (*BATCHES, str(newest))).status == 200
    assert ask("GET", (*BATCHES, str(newest - 1000))).status == 404
