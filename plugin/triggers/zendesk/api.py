"""Asking Zendesk's own APIs, and putting what they answer into an event."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from plugin.domain.event import Event, EventKind, tidy_values
from plugin.domain.survey_call import OutboundRequest, OutboundResponse
from plugin.errors import Unreadable
from plugin.redaction import Secret
from plugin.triggers.base.json_body import read_json


def get_request(origin: str, path: Sequence[str], user: str, password: Secret) -> OutboundRequest:
    """A GET with HTTP Basic, which both of Zendesk's APIs take."""
    pair = b64encode(f"{user}:{password.reveal()}".encode()).decode("ascii")
    return OutboundRequest(
        "GET",
        origin,
        path=tuple(path),
        headers=(("Authorization", Secret(f"Basic {pair}")), ("Accept", "application/json")),
        disguised=(password, Secret(pair)),
    )


def answered_object(response: OutboundResponse) -> Mapping[str, Any]:
    """The JSON object of an answer, ids with all their digits. Raises Unreadable."""
    document = None if response.cut else read_json(response.body)
    if not isinstance(document, dict):
        raise Unreadable("Zendesk's answer is not a whole JSON object.")
    return document


def filled_in(event: Event, raw: Mapping[str, object], *, without: str, notes: Sequence[str] = ()) -> Event:
    """The event with what an answer tells; what its message told stays. without: a note that does not hold any more."""
    tidied = tidy_values(raw)
    kept = (note for note in event.notes if note != without)
    return replace(
        event,
        values={**tidied.values, **event.values},
        unrendered=frozenset(event.unrendered - tidied.values.keys()),
        notes=(*kept, *notes),
    )


def barred(event: Event, note: str) -> Event:
    """The event as one that nobody is to be asked about, for the reason that `note` gives."""
    values = {**event.values, "event.kind": EventKind.UNSUPPORTED.value}
    return replace(event, kind=EventKind.UNSUPPORTED, values=values, notes=(*event.notes, note))
