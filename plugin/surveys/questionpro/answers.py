"""What QuestionPro answers, and what it means.

Errors: https://www.questionpro.com/api/error-codes.html and https://www.questionpro.com/api/limits.html.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from plugin.domain.outcome import Accepted, NextRequest, Outcome, Reason, Rejected, Uncertain
from plugin.domain.survey_call import OutboundResponse
from plugin.surveys.base.answers import clean_words, outcome_for_status, read_object, words_of

#: Seconds before each question for a batch's state, and so how often it is asked at most. How long a batch takes is not
#: documented.
WAITS: Final = (60, 300, 1800, 7200, 21600, 86400)

#: The only state that the pages show, folded.
_DELIVERED: Final = "delivery successful"

# The HTTP status tells all documented errors apart but one. Id 1013 with 403 means that the key has no permission, and
# with 429 that the calls which the licence includes are used up: waiting does not help, as it does with the other 429,
# more than 300 calls in 60 seconds, for which no body is documented.
_ALLOWANCE_ID: Final = "1013"
_ALLOWANCE_WORDS: Final = "account representative"

#: The HTTP status of each documented error's id, for an error that comes without one. 1013 has two.
_STATUS_OF_ID: Final[Mapping[str, int]] = {
    "1000": 400,  # invalid URL parameters
    "1001": 400,  # the body is not JSON
    "1002": 400,  # the body does not fit the schema
    "1003": 400,  # invalid URL parameters, in the words of 1000
    "1010": 401,  # incorrect API key
    "1011": 403,  # permission not granted by the user
    "1026": 500,  # unable to process; nothing says that it may be tried again
    "1040": 404,  # no such resource
}


@dataclass(frozen=True)
class Failure:
    """An error as QuestionPro tells it: its own status, 200 when it names none; id and message may be empty."""

    status: int
    id: str
    message: str

    @property
    def words(self) -> str:
        return f"{self.message or 'Error'} ({self.id})" if self.id else self.message


def read_micropanel(response: OutboundResponse) -> Outcome:
    """The meaning of an answer to POST /micropanel/batches: the batch is made, and works off later."""
    answer = _success(response)
    batch = _id_of(answer.get("campaignBatchID"))
    if batch is None:
        return read_failure(response)
    return Accepted(
        batch,
        words=_text(answer.get("message")),
        follow_up=NextRequest("status", {"batch": batch, "asked": "0", "status": ""}, WAITS[0]),
    )


def read_survey_batch(response: OutboundResponse) -> Outcome:
    """The meaning of an answer to POST /surveys/{id}/batches.

    Both forms in which the manual shows a new batch are known: an object with the batch's id, and one sentence with it.
    """
    if not _is_success(response):
        return read_failure(response)
    answer = read_object(response).get("response")
    if isinstance(answer, str):
        sentence = clean_words(answer)
        made = re.search(r"created successfully\b.*?\bid\b\D{0,3}(\d{1,40})", sentence, re.IGNORECASE)
        return Accepted(made[1], words=sentence) if made else read_failure(response)
    batch = _id_of(_success(response).get("emailBatchID"))
    return Accepted(batch) if batch else read_failure(response)


def read_status(response: OutboundResponse, memory: Mapping[str, str]) -> Outcome:
    """The state of a micropanel batch: one that is documented ends the asking, any other one is asked for again."""
    state = _text(_success(response).get("status"))
    if not state:
        return read_failure(response)
    if state.casefold() == _DELIVERED:
        return Accepted(memory["batch"], words=state)
    asked = int(memory["asked"]) + 1
    if asked >= len(WAITS):
        return Uncertain(Reason.UNRECOGNISED, f"QuestionPro's last word on the batch was “{state}”.")
    news = "" if state == memory["status"] else state
    return NextRequest("status", {**memory, "asked": str(asked), "status": state}, WAITS[asked], news)


def read_failure(response: OutboundResponse) -> Outcome:
    """What an answer that tells no success means: by HTTP status first, then by the error's id."""
    failure = _failure_in(response)
    if failure is None:
        return outcome_for_status(response)
    words = clean_words(failure.words or words_of(response))
    status = failure.status if _is_success(response) else response.status
    allowance = failure.id == _ALLOWANCE_ID or _ALLOWANCE_WORDS in failure.message.casefold()
    if status == 429 and allowance:
        return Rejected(Reason.QUOTA, words)
    return outcome_for_status(replace(response, status=status), words=words)


def _failure_in(response: OutboundResponse) -> Failure | None:
    """The error in an answer, in full or shortened, and also in the form that the manual prints, which is no JSON."""
    body = read_object(response)
    inner = body.get("response")
    error = inner.get("error") if isinstance(inner, Mapping) else body.get("error")
    if isinstance(error, str):
        return _failure(None, None, error)
    if isinstance(error, Mapping):
        return _failure(error.get("httpStatusCode"), error.get("id"), error.get("message"))
    return None if body else _failure_in_misprint(response.text)


def _failure_in_misprint(text: str) -> Failure | None:
    """The manual's sample lacks a comma and quotes; only what stands whole in it is taken."""
    if not re.search(r'"error"\s{0,9}:', text):
        return None
    number = re.search(r'"id"\s{0,9}:\s{0,9}"?(\d{1,9})\b', text)
    message = re.search(r'"message"\s{0,9}:\s{0,9}"([^"]*)"', text)
    return _failure(None, number and number[1], message and message[1])


def _failure(status: object, number: object, message: object) -> Failure:
    own_id = _id_of(number) or ""
    if not isinstance(status, int) or not 400 <= status < 600:
        status = _STATUS_OF_ID.get(own_id, 200)
    return Failure(status, own_id, _text(message))


def _success(response: OutboundResponse) -> Mapping[str, Any]:
    """The inner object of an answer that tells success; empty for any other answer."""
    inner = read_object(response).get("response")
    if _is_success(response) and isinstance(inner, Mapping) and "error" not in inner:
        return inner
    return {}


def _is_success(response: OutboundResponse) -> bool:
    return 200 <= response.status < 300


def _id_of(value: object) -> str | None:
    """An id as text: numbers and texts are both met in samples of the same field."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        value = str(value)
    return value if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9_-]{1,64}", value) else None


def _text(value: object) -> str:
    return clean_words(value) if isinstance(value, str) else ""
