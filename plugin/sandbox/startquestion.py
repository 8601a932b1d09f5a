"""Startquestion and its sister brands, pretended. Where the texts are documented: plugin/surveys/startquestion.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from plugin.sandbox.base import TROUBLES, SandboxAnswer, SandboxRequest, Trick, local_part


def _error(message: str, status: int = 200) -> SandboxAnswer:
    return SandboxAnswer(status, f'{{"type":"error","msg":"{message}"}}')


HINT: Final = (
    "Before the @ of the e-mail address, or as the token. The webhook key or authorisation “wrong” is answered with "
    "401, and a call without its survey, template or person with an error."
)

TRICKS: Final[Mapping[str, Trick]] = {
    "quota": Trick(_error("Invitations limit has been reached"), "the account's invitations are used up"),
    "quoted": Trick(
        SandboxAnswer(body="{„type”:”error”,”msg”:”Invitations limit has been reached”}"),
        "the same, with the quotes as the documentation prints them",
    ),
    "unsubscribed": Trick(_error("Respondents not found"), "the respondent has unsubscribed"),
    "wrong-token": Trick(SandboxAnswer(body="token not found", content_type="text/plain"), "no such token"),
    # These texts are invented: a known type with a message that nobody has seen.
    "refused": Trick(_error("The survey is closed"), "an error with another text"),
    "busy": Trick(_error("Too many requests", 429), "429 without a time"),
    "error": Trick(_error("Internal error", 500), "500 with an error"),
    **TROUBLES,
}

_PERSON: Final[Mapping[str, str]] = {"send-invitation": "email", "send-invitation-to-token": "token"}

# By analogy with the sister calls, whose success is documented; the texts of these two are not.
_SENT: Final = SandboxAnswer(body='{"type":"success","msg":"Invitation has been sent"}')


def answer(request: SandboxRequest) -> SandboxAnswer | None:
    match request.segments:
        case ("webhooks", _, key, auth, ("send-invitation" | "send-invitation-to-token") as webhook):
            return _error("Unauthorized", 401) if "wrong" in {key, auth} else _send(webhook, request)
    return None


def _send(webhook: str, request: SandboxRequest) -> SandboxAnswer:
    parameters = {**request.query, **request.form}
    person = parameters.get(_PERSON[webhook], "")
    if not (person and parameters.get("id_survey") and parameters.get("id_template")):
        return _error("Missing parameter")
    trick = TRICKS.get(local_part(person))
    return trick.answer if trick else _SENT
