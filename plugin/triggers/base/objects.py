"""Parts of messages whose shape the sender decides; each is read from the place where the sender puts it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from plugin.domain.event import as_text
from plugin.errors import Unreadable
from plugin.triggers.base import InboundRequest
from plugin.triggers.base.events import child, text_at
from plugin.triggers.base.json_body import read_json, storable
from plugin.triggers.base.message import MAX_ID
from plugin.triggers.base.times import read_time


def read_object(request: InboundRequest) -> Mapping[str, Any] | None:
    """The JSON object in a request, whatever its Content-Type; None without a body. Raises Unreadable."""
    if not request.body.strip():
        return None
    document = read_json(request.body)
    if not isinstance(document, dict):
        raise Unreadable("The body must be a JSON object.")
    return document


def objects_at(node: Any, *path: str) -> list[Mapping[str, Any]]:
    """The objects in the list at a path; what else stands in the list is passed over."""
    found = child(node, *path)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def time_at(node: Any, *path: str) -> datetime | None:
    return read_time(text_at(node, *path) or "")


def address_at(node: Any, *path: str) -> str | None:
    """The e-mail address at a path; None for what only stands in its place, such as `hidden` or `j***@example.com`."""
    text = text_at(node, *path)
    return text if text is not None and "@" in text.strip("@") and "*" not in text else None


def header_id(request: InboundRequest, name: str) -> str | None:
    """The sender's id of an event, from a header given in lower case."""
    return bounded(as_text(storable(request.headers.get(name, ""))))


def bounded(text: str | None) -> str | None:
    """An id or a subject that fits an index of the database: what is longer is replaced by its hash."""
    if text is None or len(text) <= MAX_ID:
        return text
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
