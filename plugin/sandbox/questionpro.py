"""QuestionPro, pretended. Where its bodies and codes are documented stands in plugin/surveys/questionpro."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Mapping
from itertools import count
from typing import Any, Final

from plugin.sandbox.base import TROUBLES, SandboxAnswer, SandboxRequest, Trick, local_part

#: How many questions a batch's state takes to become the documented one.
ASKED_UNTIL_DELIVERED: Final = 3
_REMEMBERED: Final = 1000


def _error(status: int, number: int | str, name: str, message: str) -> SandboxAnswer:
    error = {
        "docs": "https://www.questionpro.com/api/error-codes.html",
        "name": name,
        "httpStatusCode": status,
        # A text in most samples, a number on the pages on errors and limits.
        "id": number,
        "message": message,
        "resourceUrl": "/a/api/v2",
    }
    return SandboxAnswer(status, json.dumps({"response": {"error": error}}))


_BAD_URL: Final = _error(400, "1000", "BAD_REQUEST", "Invalid URL parameters")
_NOT_JSON: Final = _error(400, 1001, "BAD_REQUEST", "Request body is not valid JSON")
_BAD_BODY: Final = _error(400, 1002, "BAD_REQUEST", "Request body does not match the schema")
_WRONG_KEY: Final = _error(401, "1010", "UNAUTHORIZED", "Incorrect API Key")
_UNKNOWN: Final = _error(404, "1040", "NOT_FOUND", "Resource does not exist")
_USED_UP: Final = "API call limit exceeded. Please contact your account representative to extend the limits."

HINT: Final = (
    "Before the @ of the person's address. The API key “wrong” is answered with 401, and a body that is not as "
    f"documented with 400. A micropanel batch is delivered at question {ASKED_UNTIL_DELIVERED} for its state; that of "
    "“stuck” never is, and that of “text-id” has its id as a text."
)

TRICKS: Final[Mapping[str, Trick]] = {
    "bad-url": Trick(_BAD_URL, "400 / 1000, invalid URL parameters"),
    "not-json": Trick(_NOT_JSON, "400 / 1001, the body is not JSON"),
    "bad-body": Trick(_BAD_BODY, "400 / 1002, the body does not fit the schema"),
    "bad-parameters": Trick(
        _error(400, 1003, "BAD_REQUEST", "Invalid URL parameters"), "400 / 1003, the same words as 1000"
    ),
    "wrong-key": Trick(_WRONG_KEY, "401 / 1010, incorrect API key"),
    "not-granted": Trick(
        _error(403, 1011, "FORBIDDEN", "Permission not granted by the user"), "403 / 1011, permission not granted"
    ),
    "forbidden": Trick(
        _error(403, "1013", "FORBIDDEN", "You do not have permission for this resource"), "403 / 1013, no permission"
    ),
    "unknown": Trick(_UNKNOWN, "404 / 1040, no such survey or template"),
    "allowance": Trick(_error(429, 1013, "", _USED_UP), "429 / 1013, the calls of the licence are used up"),
    # No body is documented for the rate limit.
    "busy": Trick(SandboxAnswer(429, "Too Many Requests", "text/plain"), "429, more than 300 calls in 60 seconds"),
    "unable": Trick(_error(500, "1026", "INTERNAL_SERVER_ERROR", "Unable to process"), "500 / 1026, unable to process"),
    "short": Trick(
        SandboxAnswer(404, '{"response":{"error":{"id":1040,"message":"Resource does not exist"}}}'),
        "404 / 1040 in a shortened error",
    ),
    "misprint": Trick(
        SandboxAnswer(
            400,
            '{"response":{"error":{"docs": www.questionpro.com/api/error-codes.html "name":"BAD_REQUEST",'
            '"httpStatusCode":400,"id" : "1000","message":"Invalid URL parameters"}}}',
        ),
        "400 / 1000 as the manual prints it, which is no JSON",
    ),
    "inside": Trick(
        SandboxAnswer(body=_BAD_URL.body), "200 with the error 400 / 1000 in its body, which is not documented"
    ),
    **TROUBLES,
}

#: Words of people whose batch is accepted and then goes its own way.
_STUCK: Final = "stuck"
_TEXT_ID: Final = "text-id"


class _Batches:
    """The batches that were made: their survey, who they are for, and how often their state was asked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids = count(4_445_556)
        self._made: OrderedDict[str, dict[str, Any]] = OrderedDict()

    def add(self, survey: int, word: str) -> int:
        with self._lock:
            number = next(self._ids)
            self._made[str(number)] = {"survey": survey, "word": word, "asked": 0}
            while len(self._made) > _REMEMBERED:
                self._made.popitem(last=False)
            return number

    def ask(self, number: str) -> Mapping[str, Any] | None:
        with self._lock:
            batch = self._made.get(number)
            if batch is None:
                return None
            batch["asked"] += 1
            return dict(batch)


_BATCHES: Final = _Batches()


def answer(request: SandboxRequest) -> SandboxAnswer | None:
    match (request.method, *request.segments):
        case ("POST", "a", "api", "v2", "micropanel", "batches"):
            return _refused(request) or _micropanel(request.json)
        case ("GET", "a", "api", "v2", "micropanel", "batches", number):
            return _refused(request, wants_body=False) or _state_of(number)
        case ("POST", "a", "api", "v2", "surveys", survey, "batches"):
            return _refused(request) or _survey(survey, request.json)
    return None


def _refused(request: SandboxRequest, *, wants_body: bool = True) -> SandboxAnswer | None:
    if request.headers.get("api-key", "wrong") == "wrong":
        return _WRONG_KEY
    return _NOT_JSON if wants_body and request.json is None else None


def _micropanel(body: Any) -> SandboxAnswer:
    match body:
        case {
            "compose": {"surveyID": int(survey)},
            # The real one takes other filters, which invite many; whoever calls the sandbox should never send them.
            "recipients": {"filterType": 2, "emailAddress": str(email)},
            "send": {
                "deliveryOptions": {"automaticClosure": {"enabled": bool()}},
                "notification": {"enableEmailInvitation": bool()},
            },
        } if "@" in email:
            word = local_part(email)
            return TRICKS[word].answer if word in TRICKS else _made(survey, word)
    return _BAD_BODY


def _made(survey: int, word: str) -> SandboxAnswer:
    number = _BATCHES.add(survey, word)
    shown = str(number) if word == _TEXT_ID else number
    return _done({"campaignBatchID": shown, "message": "Your request has been submitted successfully."})


def _state_of(number: str) -> SandboxAnswer:
    batch = _BATCHES.ask(number)
    if batch is None:
        return _UNKNOWN
    delivered = batch["asked"] >= ASKED_UNTIL_DELIVERED and batch["word"] != _STUCK
    return _done(
        {
            "surveyID": batch["survey"],
            "senderUserID": 1234567,
            # Only the second is documented.
            "status": "Delivery Successful" if delivered else "In Progress",
            "creationTimestamp": "2023-05-17T11:03:21.000+00:00",
            "id": int(number),
        }
    )


def _survey(survey: str, body: Any) -> SandboxAnswer:
    if not survey.isdecimal():
        return _BAD_URL
    match body:
        case {"emails": [str(line)], "templateID": int(), "mode": 2} if "@" in line.partition(",")[0]:
            trick = TRICKS.get(local_part(line))
            return (
                trick.answer if trick else _done({"emailBatchID": 1234567, "surveyID": int(survey), "batchName": None})
            )
    return _BAD_BODY


def _done(response: Mapping[str, Any]) -> SandboxAnswer:
    return SandboxAnswer(body=json.dumps({"response": response, "requestID": "26e93a80-6dc3-45f1-8bf6-8d1be899154a"}))
