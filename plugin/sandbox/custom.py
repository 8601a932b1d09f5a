"""A vendor that exists nowhere else, for connections that describe their own, and the vendors of the presets.

Their addresses and answers: plugin/surveys/custom/presets.py. The bodies of SurveySparrow's answers are documented
nowhere, so they are invented, in the manner of its other calls.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from plugin.sandbox.base import TROUBLES, SandboxAnswer, SandboxRequest, Trick, local_part

HINT: Final = (
    "Before the @ of the e-mail address, at /custom/ of a vendor that exists nowhere else and of Alchemer and "
    "SurveySparrow alike. The access token “wrong” is answered with 401."
)


def _json(document: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> SandboxAnswer:
    return SandboxAnswer(status, json.dumps(document, ensure_ascii=False), headers=headers or {})


def _says(message: str, status: int = 200) -> SandboxAnswer:
    """An answer in which the vendor of each address finds its own message."""
    return _json({"state": "refused", "result_ok": False, "message": message}, status)


TRICKS: Final[Mapping[str, Trick]] = {
    "refused": Trick(_says("This contact cannot be invited."), "200, and the body says no"),
    "opted-out": Trick(_says("The contact has unsubscribed."), "the person has unsubscribed"),
    "conflict": Trick(_says("There is such a share already.", 409), "409, there is one already"),
    "again": Trick(
        _says("Please wait for other requests to complete.", 429), "429, an identical call within 60 seconds"
    ),
    "busy": Trick(
        _says("You have exceeded your requests per minute, see /help/api-request-limits for more details", 429),
        "429, too many calls",
    ),
    "quota": Trick(_says("No invitations are left.", 402), "402, the account's invitations are used up"),
    "error": Trick(_says("Something went wrong.", 500), "500 with an error"),
    **TROUBLES,
}


def answer(request: SandboxRequest) -> SandboxAnswer | None:
    match request.segments:
        case ("custom", *_):
            return _invite(request)
        case ("v3", "channels"):
            return _share(request)
        case ("v5", "survey", _, "surveycampaign", _, "surveycontact"):
            return _add_contact(request)
    return None


def _invite(request: SandboxRequest) -> SandboxAnswer:
    """Takes whatever names an address, in the query, as a form or as JSON, at any path below /custom/."""
    if _is_wrong(request.headers.get("authorization", "")):
        return _says("This token is not valid.", 401)
    email = _email_in([request.query, request.form, request.json])
    trick = TRICKS.get(local_part(email))
    if trick:
        return trick.answer
    if not email:
        return _says("An address is missing.", 422)
    return _json({"state": "queued", "invitation": {"id": "inv-7001"}, "message": "The invitation is on its way."}, 202)


def _share(request: SandboxRequest) -> SandboxAnswer:
    if request.method != "POST":
        return _says("Method not allowed", 405)
    if _is_wrong(request.headers.get("authorization", "Bearer wrong")):
        return _says("Bad token or missing token", 401)
    wanted = request.json if isinstance(request.json, dict) else {}
    person = {"EMAIL": "email", "SMS": "mobile"}.get(str(wanted.get("type")), "")
    contacts = wanted.get("contacts")
    contact = contacts[0] if isinstance(contacts, list) and contacts and isinstance(contacts[0], dict) else {}
    sent_by = wanted.get(person if person == "email" else "sms")
    if not (isinstance(wanted.get("survey_id"), int) and wanted.get("name") and contact.get(person) and sent_by):
        return _says("Request has missing required parameters or validation errors", 400)
    trick = TRICKS.get(local_part(str(contact[person])))
    return trick.answer if trick else _json({"data": {"id": 1000206641, "status": "PROCESSING"}}, 202)


def _add_contact(request: SandboxRequest) -> SandboxAnswer:
    query = request.query
    if "PUT" not in {request.method, query.get("_method")}:
        return _says("Method not allowed", 405)
    if not (query.get("api_token") and query.get("api_token_secret")) or "wrong" in query["api_token"]:
        return _says("Login failed", 401)
    if not query.get("email_address"):
        return _says("The address is missing")
    trick = TRICKS.get(local_part(query["email_address"]))
    return trick.answer if trick else _json({"result_ok": True, "data": {"id": 100039753}})


def _is_wrong(authorization: str) -> bool:
    return authorization.rpartition(" ")[2] == "wrong"


def _email_in(document: Any) -> str:
    """The first text with an @ anywhere in a document; empty when there is none."""
    if isinstance(document, Mapping | list | tuple):
        inner = document.values() if isinstance(document, Mapping) else document
        return next((found for found in map(_email_in, inner) if found), "")
    return document if isinstance(document, str) and "@" in document else ""
