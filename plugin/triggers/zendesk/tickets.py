"""Zendesk's own ticket events, and the requester whom they name by id alone.

https://developer.zendesk.com/api-reference/webhooks/event-types/ticket-events/
https://developer.zendesk.com/api-reference/ticketing/users/users/
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from plugin.domain.event import Event, EventKind, Value
from plugin.domain.survey_call import OutboundRequest, OutboundResponse
from plugin.errors import Unreadable
from plugin.triggers.base import Credentials
from plugin.triggers.base.events import child, fingerprint, make_event, text_at
from plugin.triggers.base.times import read_time
from plugin.triggers.zendesk.api import answered_object, barred, filled_in, get_request

#: How the name of every event begins.
PREFIX: Final = "zen:event-type:"

#: Of the requester: the id that the event gives, and the role, which is set once Zendesk was asked.
_REQUESTER_ID: Final = "ticket.custom.requester_id"
_REQUESTER_ROLE: Final = "ticket.custom.requester_role"
_PREVIOUS: Final = "ticket.custom.previous_status"

NOBODY_NAMED: Final = (
    "Zendesk's own events name the requester by an id alone. With api_origin, api_email and api_token among the "
    "source's credentials, we ask Zendesk for the address."
)
_CLOSED_BY_ITSELF: Final = (
    "Zendesk closes solved tickets by itself after some time, so the requester is not looked up once more."
)

_STATUS_CHANGED: Final = "ticket.status_changed"
_UNDER_WAY: Final = frozenset({"NEW", "OPEN", "PENDING", "HOLD"})
_DONE: Final = frozenset({"SOLVED", "CLOSED"})
#: Zendesk puts it on a ticket that it closes because it was merged into another one.
_MERGED_TAG: Final = "closed_by_merge"
_MERGED: Final = "The ticket was merged into another one, which goes on, so nobody is asked."
_DELETED: Final = "The ticket was deleted, so nobody is asked."

_NOTES_ON_EVENTS: Final[Mapping[str, str]] = {
    "ticket.merged": _MERGED,
    "ticket.marked_as_spam": "The ticket is spam, so nobody is asked.",
    "ticket.soft_deleted": _DELETED,
    "ticket.permanently_deleted": _DELETED,
    "ticket.undeleted": "A ticket that is restored is neither closed nor re-opened by that.",
    "ticket.custom_status_changed": "ticket.status_changed tells of closings, whatever they are named; this need not "
    "be subscribed to.",
}
_OTHER_EVENT: Final = (
    "Of Zendesk's own events, only ticket.status_changed closes and re-opens tickets; no other need be subscribed to."
)
_NOTES_ON_STATUSES: Final[Mapping[str, str]] = {
    "DELETED": _DELETED,
    "ARCHIVED": "Zendesk archives tickets long after they were closed, so nobody is asked.",
    "SCRUBBED": "The ticket's content was erased, so nobody is asked.",
}
_OTHER_STATUS: Final = "This change of the status neither closes nor re-opens the ticket."

#: What `detail` holds besides, by our names.
_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "ticket.external_id": ("external_id",),
    "ticket.title": ("subject",),
    "ticket.via": ("via", "channel"),
    "ticket.created_at": ("created_at",),
    "ticket.updated_at": ("updated_at",),
    _REQUESTER_ID: ("requester_id",),
    "ticket.custom.assignee_id": ("assignee_id",),
    "ticket.custom.group_id": ("group_id",),
    "ticket.custom.brand_id": ("brand_id",),
    "ticket.custom.organization_id": ("organization_id",),
    "ticket.custom.form_id": ("form_id",),
    "ticket.custom.custom_status": ("custom_status",),
}
#: Those that Zendesk writes in capitals here, and in its placeholders as people write.
_IN_CAPITALS: Final[Mapping[str, tuple[str, ...]]] = {
    "ticket.type": ("type",),
    "ticket.priority": ("priority",),
    "ticket.channel": ("via", "channel"),
}

#: An id that may be put into a path.
_ID: Final = re.compile(r"[0-9]{1,30}", re.ASCII)


def is_ticket_event(document: object) -> bool:
    """Whether a document is one of Zendesk's own events, about tickets or anything else."""
    return (text_at(document, "type") or "").startswith(PREFIX)


@dataclass(frozen=True)
class _Found:
    """What an event means. detail: the sender's own word for it where its name does not say."""

    kind: EventKind
    note: str = ""
    detail: str | None = None


def read_ticket_event(document: Mapping[str, Any]) -> Event:
    word = text_at(document, "type") or ""
    name = word.removeprefix(PREFIX)
    current, previous = _status(document, "current"), _status(document, "previous")
    found = _what_happened(name, current, previous, child(document, "detail", "tags"))
    number = _number(document) if name.startswith("ticket.") else None
    told, changed, account = (
        text_at(document, *path) for path in (("time",), ("detail", "updated_at"), ("account_id",))
    )
    raw = _values(document, number, current, previous) if number else {}
    mark = next((text for text in (changed, told) if text and read_time(text)), None)
    return make_event(
        found.kind,
        raw,
        id=text_at(document, "id") or fingerprint(word, account, text_at(document, "subject"), told, current),
        time=read_time(told or ""),
        subject=f"ticket:{number}" if number else None,
        closing_mark=mark if found.kind.closes else None,
        payload=document,
        vendor_kind=f"{word}: {found.detail}" if found.detail else word,
        notes=tuple(_notes(found, raw)),
        account=account,
    )


def _what_happened(name: str, current: str | None, previous: str | None, tags: object) -> _Found:
    if name != _STATUS_CHANGED:
        return _Found(EventKind.UNSUPPORTED, _NOTES_ON_EVENTS.get(name, _OTHER_EVENT))
    if current in _UNDER_WAY and previous in _DONE:
        return _Found(EventKind.TICKET_REOPENED)
    # A deleted ticket that is restored comes back as solved, which closes nothing.
    if current in _DONE and (previous is None or previous in _UNDER_WAY or (previous, current) == ("SOLVED", "CLOSED")):
        if isinstance(tags, list) and _MERGED_TAG in tags:
            return _Found(EventKind.UNSUPPORTED, _MERGED, _MERGED_TAG)
        return _Found(EventKind.TICKET_CLOSED)
    return _Found(EventKind.UNSUPPORTED, _NOTES_ON_STATUSES.get(current or "", _OTHER_STATUS), current)


def _notes(found: _Found, raw: Mapping[str, object]) -> Iterator[str]:
    if found.note:
        yield found.note
    if found.kind.closes:
        yield _CLOSED_BY_ITSELF if _is_second_closing(raw) else NOBODY_NAMED


def _status(document: Mapping[str, Any], which: str) -> str | None:
    status = text_at(document, "event", which)
    return status.upper() if status else None


def _number(document: Mapping[str, Any]) -> str | None:
    subject = text_at(document, "subject") or ""
    number = text_at(document, "detail", "id") or subject.removeprefix("zen:ticket:")
    return number if _ID.fullmatch(number) else None


def _values(document: Mapping[str, Any], number: str, current: str | None, previous: str | None) -> dict[str, object]:
    detail = child(document, "detail")
    return {
        **{ours: text_at(detail, *path) for ours, path in _FIELDS.items()},
        **{ours: (text_at(detail, *path) or "").lower() for ours, path in _IN_CAPITALS.items()},
        "ticket.id": number,
        "ticket.status": current or text_at(detail, "status"),
        "ticket.tags": child(detail, "tags"),
        _PREVIOUS: previous.lower() if previous else None,
    }


# --- the requester ----------------------------------------------------------------------------------------------------


def lookup(event: Event, credentials: Credentials) -> OutboundRequest | None:
    token = credentials.get("api_token")
    if token is None or not _lacks_requester(event.values):
        return None
    path = ("api", "v2", "users", f"{event.values[_REQUESTER_ID]}.json")
    return get_request(credentials["api_origin"], path, f"{credentials['api_email']}/token", token)


def complete(event: Event, response: OutboundResponse) -> Event:
    user = child(answered_object(response), "user")
    if not isinstance(user, dict):
        raise Unreadable("Zendesk's answer holds no user.")
    role = text_at(user, "role") or "end-user"
    address = f"{response.origin}/agent/tickets/{event.values['ticket.id']}"
    about_ticket = {_REQUESTER_ROLE: role, "ticket.link": address, "ticket.url": address}
    if note := _why_not_asked(user, role):
        return barred(filled_in(event, about_ticket, without=NOBODY_NAMED), note)
    person = {
        "ticket.requester.name": text_at(user, "name"),
        "ticket.requester.email": text_at(user, "email"),
        "ticket.requester.phone": text_at(user, "phone"),
        "ticket.requester.language": text_at(user, "locale"),
        "ticket.requester.external_id": text_at(user, "external_id"),
    }
    reachable = person["ticket.requester.email"] or person["ticket.requester.phone"]
    notes = () if reachable else ("The requester has neither an e-mail address nor a phone number in Zendesk.",)
    return filled_in(event, {**about_ticket, **person}, without=NOBODY_NAMED, notes=notes)


def _lacks_requester(values: Mapping[str, Value]) -> bool:
    requester, ticket = values.get(_REQUESTER_ID), values.get("ticket.id")
    if not isinstance(requester, str) or not _ID.fullmatch(requester) or not isinstance(ticket, str):
        return False
    return not values.keys() & {"person.email", _REQUESTER_ROLE} and not _is_second_closing(values)


def _is_second_closing(values: Mapping[str, object]) -> bool:
    """Whether a solved ticket is closed. Were this looked up too, then the closing and its own solving, both delayed,
    could overtake each other, and would be taken for two.
    """
    return values.get(_PREVIOUS) == "solved" and str(values.get("ticket.status")).casefold() == "closed"


def _why_not_asked(user: Mapping[str, Any], role: str) -> str:
    if role != "end-user":
        return f"The requester is no customer but works in this Zendesk (role {role[:40]}), so nobody is asked."
    if user.get("suspended") is True:
        return "The requester is suspended in Zendesk, so nobody is asked."
    return "The requester has been deleted in Zendesk, so nobody is asked." if user.get("active") is False else ""
