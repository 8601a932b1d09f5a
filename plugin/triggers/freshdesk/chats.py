"""Freshchat's conversations: its messages hold ids alone, so the visitor is asked for by its API.

https://crmsupport.freshworks.com/support/solutions/articles/50000004461 (messages)
https://developers.freshchat.com/api/ (users and conversations)
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, Final

from plugin.domain.event import Event, EventKind, as_text, tidy_values
from plugin.domain.survey_call import OutboundRequest, OutboundResponse
from plugin.errors import Unreadable
from plugin.redaction import Secret
from plugin.triggers.base import Credentials

#: Accounts live in several regions; newer ones have an address of their own.
API_ORIGINS: Final = (
    "https://api.freshchat.com",
    "https://api.eu.freshchat.com",
    "https://api.in.freshchat.com",
    "https://api.au.freshchat.com",
)

#: What each action means, and where in `data` its conversation stands.
_ACTIONS: Final[Mapping[str, tuple[EventKind, str]]] = {
    "conversation_resolution": (EventKind.CHAT_ENDED, "resolve"),
    "conversation_reopen": (EventKind.TICKET_REOPENED, "reopen"),
    "conversation_assignment": (EventKind.UNSUPPORTED, "assignment"),
    # message_create speaks of a message and not of a conversation.
}

_ID: Final = re.compile(r"[\w-]{1,200}", re.ASCII)

_ASK_FOR_MORE: Final = (
    "Freshchat's message does not say who the visitor is. With an API token (api_token) Freshchat is asked for it."
)
_UNKNOWN_VISITOR: Final = "Freshchat knows neither an e-mail address nor a phone number of this visitor."


def is_chat(message: Any) -> bool:
    """Whether it is one of Freshchat's messages."""
    return (
        isinstance(message, dict) and isinstance(message.get("action"), str) and isinstance(message.get("data"), dict)
    )


def in_our_names(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """Freshchat's message in our names, as far as it says anything."""
    conversation = _conversation(message)
    users = [user for user in _list(conversation, "users") if isinstance(user, dict)]
    return {
        "event": {"kind": EventKind.CHAT_ENDED.value, "time": message.get("action_time")},
        "chat": {
            "id": conversation.get("conversation_id"),
            "ended_at": message.get("action_time"),
            "visitor": _visitor(users[0]) if len(users) == 1 else {},
        },
    }


def judged(event: Event) -> Event:
    """The event as what its action says that it is."""
    action = event.payload["action"].strip()
    kind, _ = _ACTIONS.get(action, (EventKind.UNSUPPORTED, ""))
    told = [action, event.subject, event.closing_mark]
    fingerprint = hashlib.sha256(json.dumps(told).encode()).hexdigest()[:40]
    values = {**event.values, "event.kind": kind.value}
    if event.subject is not None and event.closing_mark is not None:
        values["event.id"] = fingerprint
    return replace(
        event,
        kind=kind,
        id=as_text(values.get("event.id")),
        closing_mark=event.closing_mark if kind.closes else None,
        values=values,
        vendor_kind=action[:200],
        notes=(*event.notes, _ASK_FOR_MORE) if kind.closes and not _is_known(event) else event.notes,
    )


def _conversation(message: Mapping[str, Any]) -> Mapping[str, Any]:
    _, place = _ACTIONS.get(message["action"].strip(), (None, ""))
    about = message["data"].get(place)
    conversation = about.get("conversation") if isinstance(about, dict) else None
    return conversation if isinstance(conversation, dict) else {}


def _list(fields: Mapping[str, Any], name: str) -> list[Any]:
    found = fields.get(name)
    return found if isinstance(found, list) else []


def _visitor(user: Mapping[str, Any]) -> dict[str, Any]:
    """A user of Freshchat as our visitor, known by Freshchat's own id."""
    names = ("email", "phone", "first_name", "last_name")
    return {name: user.get(name) for name in names} | {"external_id": user.get("id")}


def _is_known(event: Event) -> bool:
    return "person.email" in event.values or "person.phone" in event.values


# --- asking Freshchat -----------------------------------------------------------------------------------------------


def lookup(event: Event, credentials: Credentials) -> OutboundRequest | None:
    token = credentials.get("api_token")
    if not isinstance(token, Secret) or event.kind is not EventKind.CHAT_ENDED:
        return None
    if _is_known(event) or _UNKNOWN_VISITOR in event.notes:
        return None
    if visitor := _id(event.values.get("chat.visitor.external_id")):
        return _request(credentials, token, "users", visitor)
    if conversation := _id(event.values.get("chat.id")):
        return _request(credentials, token, "conversations", conversation)
    return None


def lookup_origins(credentials: Credentials) -> Collection[str]:
    return [credentials.get("api_origin") or API_ORIGINS[0]]


def complete(event: Event, response: OutboundResponse) -> Event:
    """The visitor's id of a conversation, or of a user all that Freshchat knows."""
    said = response.json_object
    if "chat.visitor.external_id" in event.values:
        return _with_visitor(event, said)
    users = [_id(user.get("id")) for user in _list(said, "users") if isinstance(user, dict)]
    if len(users) != 1 or users[0] is None:
        raise Unreadable("Freshchat's answer does not name the one visitor of this conversation.")
    return replace(event, values={**event.values, "chat.visitor.external_id": users[0]})


def _with_visitor(event: Event, said: Mapping[str, Any]) -> Event:
    if _id(said.get("id")) is None:
        raise Unreadable("Freshchat's answer is not a user.")
    # From here on the person's id in the tenant's own system counts, where there is one.
    visitor = _visitor(said) | {"external_id": as_text(said.get("reference_id")) or said["id"]}
    told = {f"chat.visitor.{name}": value for name, value in visitor.items()}
    tidied = tidy_values({**event.values, **told})
    completed = replace(event, values=tidied.values, notes=tuple(note for note in event.notes if note != _ASK_FOR_MORE))
    return completed if _is_known(completed) else replace(completed, notes=(*completed.notes, _UNKNOWN_VISITOR))


def _id(raw: object) -> str | None:
    """An id of Freshchat's; None for what could lead elsewhere in its API."""
    text = as_text(raw)
    return text if text and _ID.fullmatch(text) else None


def _request(credentials: Credentials, token: Secret, *path: str) -> OutboundRequest:
    [origin] = lookup_origins(credentials)
    headers = (("Authorization", Secret(f"Bearer {token.reveal()}")), ("Accept", "application/json"))
    return OutboundRequest("GET", origin, ("v2", *path), headers=headers, disguised=(token,))
