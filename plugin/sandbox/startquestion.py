"""Startquestion and its sister brands, pretended. Where the texts are documented: plugin/surveys/startquestion."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from typing import Final

from plugin.sandbox.base import TROUBLES, SandboxAnswer, SandboxRequest, Trick, local_part


def _error(message: str, status: int = 200) -> SandboxAnswer:
    return SandboxAnswer(status, f'{{"type":"error","msg":"{message}"}}')


def _success(message: str) -> SandboxAnswer:
    return SandboxAnswer(body=json.dumps({"type": "success", "msg": message}))


HINT: Final = (
    "Before the @ of the e-mail address, or as the token, the id of the respondent or your token; for the list of "
    "surveys as the webhook key. The webhook key or authorisation “wrong” is answered with 401, and a call without its "
    "survey, template or person with an error."
)

TRICKS: Final[Mapping[str, Trick]] = {
    "quota": Trick(_error("Invitations limit has been reached"), "the account's invitations are used up"),
    "quoted": Trick(
        SandboxAnswer(body="{„type”:”error”,”msg”:”Invitations limit has been reached”}"),
        "the same, with the quotes as the documentation prints them",
    ),
    "unsubscribed": Trick(_error("Respondents not found"), "the respondent has unsubscribed"),
    "wrong-token": Trick(SandboxAnswer(body="token not found", content_type="text/plain"), "no such token"),
    # The page on unsubscribe shows its text but not what is around it.
    "invalid": Trick(_error("invalid e-mail address"), "the address cannot be one"),
    # These texts are invented: a known type with a message that nobody has seen.
    "refused": Trick(_error("The survey is closed"), "an error with another text"),
    "busy": Trick(_error("Too many requests", 429), "429 without a time"),
    "error": Trick(_error("Internal error", 500), "500 with an error"),
    # Not documented either: the short link in an envelope, and one that leads elsewhere.
    "wrapped": Trick(
        _success("https://www.webankieta.pl/l/4e3/f55400"), "the short link in an envelope; for other calls a success"
    ),
    "elsewhere": Trick(
        SandboxAnswer(body="https://survey.example.com/l/4e3/f55400", content_type="text/plain"),
        "a link that is not the platform's",
    ),
    "none": Trick(SandboxAnswer(body="[]"), "no surveys at all"),
    **TROUBLES,
}

#: What each webhook must be given, in the order it is asked for; of the last one, the magic words are taken.
_NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "send-invitation": ("id_survey", "id_template", "email"),
    "send-invitation-to-token": ("id_survey", "id_template", "token"),
    "add-respondent": ("id_survey", "email"),
    "update-respondent": ("id_survey", "id_respondent"),
    "unsubscribe": ("email",),
    "shorten-link": ("id_survey",),
}

# Documented are the texts of updating and unsubscribing; the others are by analogy with them.
_DONE: Final[Mapping[str, SandboxAnswer]] = {
    "send-invitation": _success("Invitation has been sent"),
    "send-invitation-to-token": _success("Invitation has been sent"),
    "add-respondent": _success("Respondent has been added to the survey's mailing list"),
    "update-respondent": _success("Respondent has been updated on the survey's mailing list"),
    "unsubscribe": _success("E-mail has been unsubscribed"),
}

#: So many surveys has the pretended account: two full pages and a bit.
_SURVEYS: Final = 45
_PAGE: Final = 20


def answer(request: SandboxRequest) -> SandboxAnswer | None:
    match request.segments:
        case ("webhooks", _, key, auth, webhook) if webhook in _WEBHOOKS:
            return _error("Unauthorized", 401) if "wrong" in {key, auth} else _WEBHOOKS[webhook](request)
        case ("l", _, _):
            return SandboxAnswer(body="<!doctype html><title>Survey</title><p>Here it asks.", content_type="text/html")
    return None


def _call(request: SandboxRequest) -> SandboxAnswer:
    webhook = request.segments[-1]
    parameters = {**request.query, **request.form}
    if not all(parameters.get(name) for name in _NEEDS[webhook]):
        return _error("Missing parameter")
    trick = TRICKS.get(_word(webhook, parameters))
    if trick is not None:
        return trick.answer
    return _link(request, parameters) if webhook == "shorten-link" else _DONE[webhook]


def _word(webhook: str, parameters: Mapping[str, str]) -> str:
    if webhook == "shorten-link":
        # Nobody need be named, and each of these may name somebody.
        return parameters.get("user_token") or parameters.get("token", "")
    return local_part(parameters[_NEEDS[webhook][-1]])


def _link(request: SandboxRequest, parameters: Mapping[str, str]) -> SandboxAnswer:
    """A link of its own for each person, as the pages show them; it leads to this sandbox."""
    number = zlib.crc32(repr(sorted(parameters.items())).encode())
    host = request.headers.get("host", "127.0.0.1")
    return SandboxAnswer(
        body=f"http://{host}/l/{number >> 20:03x}/{number & 0xFFFFFF:06x}", content_type="text/plain; charset=utf-8"
    )


def _list(request: SandboxRequest) -> SandboxAnswer:
    trick = TRICKS.get(request.segments[2])
    if trick is not None:
        return trick.answer
    # Not documented is whether offset counts pages or surveys; here it counts pages.
    parameters = {**request.query, **request.form}
    page, limit = (_number(parameters.get(name, ""), default) for name, default in (("offset", 1), ("limit", _PAGE)))
    first = (page - 1) * min(limit, _PAGE)
    found = [_survey(number) for number in range(first, min(first + min(limit, _PAGE), _SURVEYS))]
    return SandboxAnswer(body=json.dumps(found, ensure_ascii=False))


def _number(text: str, default: int) -> int:
    return max(1, int(text)) if text.isdecimal() and len(text) < 7 else default


def _survey(number: int) -> dict[str, object]:
    """An entry of the list with the documented names."""
    identifier = 419349 + number
    return {
        "id": identifier,
        "title": f"Jak nam poszło? {number + 1}",
        "user_title": f"Helpdesk, zespół {number + 1}",
        "url_title": f"jak-nam-poszlo-{number + 1}",
        "date_created": "2026-09-19 13:22:06",
        "date_published": "2026-09-19 13:23:10",
        "date_modified": "2026-09-19 13:23:10",
        "date_end": None,
        "security_level": 0,
        "answers_count": 0,
        "status": 1,
        "type": 0,
        "link": f"https://www.webankieta.pl/ankieta/{identifier}/jak-nam-poszlo-{number + 1}.html",
    }


_WEBHOOKS: Final[Mapping[str, Callable[[SandboxRequest], SandboxAnswer]]] = {
    **dict.fromkeys(_NEEDS, _call),
    "survey-list": _list,
}
