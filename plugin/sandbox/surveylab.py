"""SurveyLab, pretended. Where its bodies and codes are documented stands in plugin/surveys/surveylab.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from plugin.sandbox.base import TROUBLES, SandboxAnswer, SandboxRequest, Trick, local_part

_DONE: Final = '{"status":true,"notification":"Action process correctly"}'
_FAILED: Final = '{"status":false,"notification":"Action failed"}'

HINT: Final = (
    "Before the @ of the e-mail address. The API token “wrong”, and a call without cId, email or crk, are answered "
    "with 400."
)

TRICKS: Final[Mapping[str, Trick]] = {
    "polish": Trick(SandboxAnswer(body=_DONE.replace("process ", "processed ")), "success, in the other wording"),
    "failed": Trick(SandboxAnswer(body=_FAILED), "200 with status false"),
    "invalid": Trick(SandboxAnswer(400, _FAILED), "400, bad request or wrong token"),
    "wrong-token": Trick(SandboxAnswer(401, _FAILED), "401, wrong API key"),
    "unknown": Trick(SandboxAnswer(404, _FAILED), "404, no such collector"),
    # The code is documented, the header is not.
    "busy": Trick(SandboxAnswer(429, _FAILED, headers={"Retry-After": "2"}), "429, again in two seconds"),
    "error": Trick(SandboxAnswer(500, _FAILED), "500, try again"),
    **TROUBLES,
}

_REQUIRED: Final = ("cId", "email", "crk")
_LINK_NAMES: Final = frozenset(
    {"cId", "referrer", "email", "phone", "name", "surname", "language", *(f"custom{n}" for n in range(1, 9))}
)
_SURVEY: Final = SandboxAnswer(body="<!doctype html><title>Survey</title><p>How was it?", content_type="text/html")


def answer(request: SandboxRequest) -> SandboxAnswer | None:
    match request.segments:
        case ("api.php",):
            return _add_respondent(request.query)
        case ("pageTag", "SurveyCampaign", *pairs):
            return _open_link(pairs)
    return None


def _add_respondent(query: Mapping[str, str]) -> SandboxAnswer:
    if query.get("apiToken", "wrong") == "wrong" or not all(query.get(name) for name in _REQUIRED):
        return TRICKS["invalid"].answer
    trick = TRICKS.get(local_part(query["email"]))
    return trick.answer if trick else SandboxAnswer(body=_DONE)


def _open_link(pairs: Sequence[str]) -> SandboxAnswer:
    """Strict where the real one is not known to be, so that values which have slipped out of place are noticed."""
    values = dict(zip(pairs[::2], pairs[1::2], strict=False))
    if len(pairs) % 2 or not values.get("cId") or not values.keys() <= _LINK_NAMES:
        return TRICKS["unknown"].answer
    trick = TRICKS.get(local_part(values.get("email", "")))
    return trick.answer if trick else _SURVEY
