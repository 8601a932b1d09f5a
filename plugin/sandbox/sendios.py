"""Sendios, pretended. Where the texts are documented: plugin/surveys/sendios.py."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Mapping
from typing import Final

from plugin.sandbox.base import TROUBLES, SandboxAnswer, SandboxRequest, Trick


def _error(message: str, status: int = 200) -> SandboxAnswer:
    return SandboxAnswer(status, json.dumps({"_meta": {"status": "ERROR"}, "data": {"error": message}}))


HINT: Final = (
    "As client_user_id. The key “wrong” is answered with 401, and a call without its type, project, phone number or "
    "client_user_id with an error."
)

_WRONG_KEY: Final = _error("Authorization base64 data wrong or invalid", 401)

TRICKS: Final[Mapping[str, Trick]] = {
    "wrong-key": Trick(_WRONG_KEY, "the client id or the key is wrong"),
    # These texts are invented: an error that nobody has seen.
    "refused": Trick(_error("SMS sender not found"), "an error with another text"),
    "busy": Trick(_error("Too many requests", 429), "429 without a time"),
    "error": Trick(_error("Internal error", 500), "500 with an error"),
    "undecided": Trick(SandboxAnswer(body='{"_meta":{},"data":{"queued":false}}'), "neither queued nor an error"),
    **TROUBLES,
}

_QUEUED: Final = SandboxAnswer(body='{"_meta":{"status":"SUCCESS","time":12,"count":1},"data":{"queued":true}}')
#: What the call requires; the phone number's name is not documented readably, so any other text will do for it.
_REQUIRED: Final = ("type_id", "project_id", "client_user_id")


def answer(request: SandboxRequest) -> SandboxAnswer | None:
    if request.segments != ("v1", "sms", "send", "system"):
        return None
    if request.method != "POST" or _key(request) in {"", "wrong"}:
        return _WRONG_KEY
    body = request.json if isinstance(request.json, dict) else {}
    number = [name for name, value in body.items() if name not in {*_REQUIRED, "data"} and isinstance(value, str)]
    if not number or not all(body.get(name) for name in _REQUIRED):
        return _error("Missing parameter", 400)
    trick = TRICKS.get(str(body["client_user_id"]))
    return trick.answer if trick else _QUEUED


def _key(request: SandboxRequest) -> str:
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    try:
        decoded = b64decode(encoded, validate=True).decode()
    except ValueError:
        return ""
    return decoded.partition(":")[2] if scheme == "Basic" else ""
