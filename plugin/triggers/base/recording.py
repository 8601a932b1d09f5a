"""Requests kept in files: samples, test fixtures, and what a person feeds in by hand."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

from plugin.errors import Unreadable
from plugin.triggers.base import InboundRequest
from plugin.triggers.base.json_body import read_json


def read_recording(data: bytes) -> InboundRequest:
    """A recorded request: a JSON object `{provenance, method, query, headers, body or body_base64}`.

    Anything that is not such an object (it has no `provenance`) is taken as the body of a POST without headers.
    Raises Unreadable when a recording's field does not hold what it should.
    """
    try:
        recording = read_json(data)
    except Unreadable:
        recording = None
    if not isinstance(recording, dict) or "provenance" not in recording:
        return InboundRequest("POST", "", {}, data)
    headers = recording.get("headers", {})
    if not isinstance(headers, dict):
        raise Unreadable("The recording's headers must be an object of names and texts.")
    return InboundRequest(
        method=_text(recording, "method", "POST"),
        query=_text(recording, "query"),
        headers={name.lower(): _text(headers, name) for name in headers},
        body=_body(recording),
    )


def _body(recording: dict[str, Any]) -> bytes:
    if "body_base64" not in recording:
        return _text(recording, "body").encode()
    try:
        return b64decode(_text(recording, "body_base64"), validate=True)
    except ValueError:
        raise Unreadable("The recording's body_base64 must be base64.") from None


def _text(fields: dict[str, Any], name: str, default: str = "") -> str:
    value = fields.get(name, default)
    if not isinstance(value, str):
        raise Unreadable(f"The recording's {name} must be text.")
    return value
