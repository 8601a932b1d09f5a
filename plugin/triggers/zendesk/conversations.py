"""Zendesk messaging (Sunshine Conversations): what happened in conversations, and who took part in them.

https://developer.zendesk.com/documentation/conversations/messaging-platform/programmable-conversations/receiving-messages/
https://github.com/zendesk/sunshine-conversations-python (docs/SwitchboardReleaseControlAllOfPayload.md,
docs/ParticipantsApi.md, docs/UsersApi.md)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from plugin.domain.event import Event, EventKind
from plugin.domain.survey_call import OutboundRequest, OutboundResponse
from plugin.errors import Unreadable
from plugin.triggers.base import Credentials
from plugin.triggers.base.events import child, fingerprint, make_event, text_at
from plugin.triggers.base.message import MAX_EVENTS
from plugin.triggers.base.times import read_time
from plugin.triggers.zendesk.api import answered_object, filled_in, get_request

#: Of the customer: the id among the users of messaging, and what is known once a profile was read or cannot be.
_USER_ID: Final = "ticket.custom.user_id"
_USER_PROFILE: Final = "ticket.custom.user_profile"

NOBODY_NAMED: Final = (
    "This message does not say who the customer is. With api_origin, conversations_key_id and conversations_key_secret "
    "among the source's credentials, we ask Zendesk."
)
_NO_ADDRESS: Final = "The customer's profile in Zendesk messaging holds no e-mail address."

_NOTES_ON_CUSTOMERS: Final[Mapping[object, str]] = {None: NOBODY_NAMED, "anonymous": _NO_ADDRESS}

_RELEASED: Final = "switchboard:releaseControl"
#: Why nobody is in charge of a conversation any more.
_REASONS: Final[Mapping[str, tuple[EventKind, str]]] = {
    "ticketClosed": (EventKind.CHAT_ENDED, ""),
    "transferToEmail": (EventKind.UNSUPPORTED, "The conversation goes on by e-mail, so nobody is asked yet."),
}
_OTHER_REASON: Final = "The conversation was handed back without its ticket being closed, so nobody is asked."
_OTHER_EVENT: Final = (
    f"Of what messaging tells, {_RELEASED} alone ends a conversation; others need not be subscribed to."
)

#: Ids that may be put into a path.
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,100}", re.ASCII)


def is_conversations(document: object) -> bool:
    """Whether a document is what messaging sends: one or many events of an app."""
    return isinstance(child(document, "app"), dict) and isinstance(child(document, "events"), list)


def read_conversations(document: Mapping[str, Any]) -> list[Event]:
    """The events of one request. Raises Unreadable."""
    items = document["events"]
    if len(items) > MAX_EVENTS:
        raise Unreadable(f"The message holds {len(items)} events, and at most {MAX_EVENTS} are taken in one request.")
    app = text_at(document, "app", "id")
    return [_read(item, app) for item in items]


def _read(item: object, app: str | None) -> Event:
    word = text_at(item, "type") or ""
    reason = text_at(item, "payload", "reason") if word == _RELEASED else None
    kind, note = _what_happened(word, reason)
    number = text_at(item, "payload", "conversation", "id")
    number = number if number and _ID.fullmatch(number) else None
    created = text_at(item, "createdAt")
    time = read_time(created or "")
    raw = {"chat.id": number, **_customer(child(item, "payload", "user"))}
    if kind.closes:
        note = _NOTES_ON_CUSTOMERS.get(raw.get(_USER_PROFILE), "")
    return make_event(
        kind,
        raw if number else {},
        id=text_at(item, "id") or fingerprint(app, word, number, created),
        time=time,
        subject=f"chat:{number}" if number else None,
        closing_mark=created if time and kind.closes else None,
        payload=item,
        vendor_kind=f"{word}: {reason}" if reason else word,
        notes=(note,) if note else (),
        account=app,
    )


def _what_happened(word: str, reason: str | None) -> tuple[EventKind, str]:
    if word != _RELEASED:
        return EventKind.UNSUPPORTED, _OTHER_EVENT
    return _REASONS.get(reason or "", (EventKind.UNSUPPORTED, _OTHER_REASON))


def _customer(user: object) -> dict[str, object]:
    """What a user of messaging says; without a profile the id alone."""
    profile = child(user, "profile")
    raw: dict[str, object] = {_USER_ID: text_at(user, "id"), "chat.visitor.external_id": text_at(user, "externalId")}
    if not isinstance(profile, dict):
        return raw
    email = text_at(profile, "email") or _identity(user, "email")
    return raw | {
        "chat.visitor.first_name": text_at(profile, "givenName"),
        "chat.visitor.last_name": text_at(profile, "surname"),
        "chat.visitor.email": email,
        "chat.visitor.language": text_at(profile, "locale"),
        _USER_PROFILE: "known" if email else "anonymous",
    }


def _identity(user: object, kind: str) -> str | None:
    """Zendesk keeps the address that it has found out itself beside the profile."""
    identities = child(user, "identities")
    found = identities if isinstance(identities, list) else []
    return next((text_at(one, "value") for one in found if text_at(one, "type") == kind), None)


# --- who took part ----------------------------------------------------------------------------------------------------


def lookup(event: Event, credentials: Credentials) -> OutboundRequest | None:
    secret, app = credentials.get("conversations_key_secret"), event.account
    if secret is None or app is None or not _ID.fullmatch(app) or "chat.id" not in event.values:
        return None
    if event.values.keys() & {"person.email", _USER_PROFILE}:
        return None
    user = event.values.get(_USER_ID)
    asked = ("users", str(user)) if user else ("conversations", str(event.values["chat.id"]), "participants")
    if not all(_ID.fullmatch(segment) for segment in asked):
        return None
    origin = credentials["api_origin"]
    return get_request(origin, (*_root(origin), "apps", app, *asked), credentials["conversations_key_id"], secret)


def complete(event: Event, response: OutboundResponse) -> Event:
    document = answered_object(response)
    return _with_user(event, document) if _USER_ID in event.values else _with_participants(event, document)


def _root(origin: str) -> tuple[str, ...]:
    """The API has a host of its own, and stands below /sc on the customer's."""
    host = urlsplit(origin).hostname or ""
    return ("v2",) if host == "smooch.io" or host.endswith(".smooch.io") else ("sc", "v2")


def _with_participants(event: Event, document: Mapping[str, Any]) -> Event:
    found = document.get("participants")
    if not isinstance(found, list):
        raise Unreadable("Zendesk's answer holds no participants.")
    users = {user for user in (text_at(one, "userId") for one in found) if user and _ID.fullmatch(user)}
    if len(users) == 1:
        return filled_in(event, {_USER_ID: users.pop()}, without="")
    # Agents are none of them, so any of several may be the customer.
    word = "several customers" if users else "no customer"
    note = f"There is {word} among the conversation's participants, so nobody can be asked."
    return filled_in(event, {_USER_PROFILE: "several" if users else "none"}, without=NOBODY_NAMED, notes=(note,))


def _with_user(event: Event, document: Mapping[str, Any]) -> Event:
    user = document.get("user")
    if not isinstance(user, dict):
        raise Unreadable("Zendesk's answer holds no user.")
    raw = {_USER_PROFILE: "anonymous", **_customer(user)}
    notes = () if raw[_USER_PROFILE] == "known" else (_NO_ADDRESS,)
    return filled_in(event, raw, without=NOBODY_NAMED, notes=notes)
