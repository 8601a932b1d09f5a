"""Freshdesk's tickets: bodies in our names, Freshdesk's simple ones, and what in them says that a ticket was closed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from plugin.domain.event import STATUS_WORDS, Event, EventKind, ValueKind, as_text, is_unrendered, tidy

#: The statuses that every account has, by number; those from 6 on are the account's own.
STATUSES: Final[Mapping[str, str]] = {"2": "Open", "3": "Pending", "4": "Resolved", "5": "Closed"}
_RESOLVED, _CLOSED = "4", "5"
_NUMBERS: Final = {STATUS_WORDS[label.casefold()]: number for number, label in STATUSES.items()}

#: Freshdesk's spelling of placeholders that we name otherwise.
ALIASES: Final[Mapping[str, str]] = {
    "ticket.ticket_type": "ticket.type",
    "ticket.subject": "ticket.title",
    "ticket.source": "ticket.via",
    "ticket.agent.name": "ticket.assignee.name",
    "ticket.agent.email": "ticket.assignee.email",
    "ticket.company.name": "ticket.organization.name",
    "ticket.requester.firstname": "ticket.requester.first_name",
    "ticket.requester.lastname": "ticket.requester.last_name",
    "ticket.requester.unique_external_id": "ticket.requester.external_id",
    # An SMS reaches a mobile phone, so its number counts before that of the desk.
    "ticket.requester.mobile": "ticket.requester.phone",
}

#: The names in the body that we give out, before `sent_for`: those of manifests/freshdesk.
BODIES: Final[Mapping[str, tuple[str, ...]]] = {
    "ticket.closed": (
        *("event.kind", "triggered_event", "closing_statuses", "ticket.id", "ticket.url", "ticket.status"),
        *("ticket.type", "ticket.priority", "ticket.via", "ticket.tags", "ticket.updated_at", "ticket.group.name"),
        *("ticket.requester.email", "ticket.requester.phone", "ticket.requester.mobile", "ticket.requester.language"),
        *("ticket.requester.external_id", "ticket.assignee.name", "ticket.assignee.email"),
    )
}

#: Names of the simple mode, where fields are ticked; and those that published templates use in their stead.
_SIMPLE: Final[Mapping[str, str]] = {
    "ticket_id": "ticket.id",
    "ticket_subject": "ticket.title",
    "ticket_url": "ticket.url",
    "ticket_status": "ticket.status",
    "ticket_priority": "ticket.priority",
    "ticket_type": "ticket.type",
    "ticket_ticket_type": "ticket.type",
    "ticket_source": "ticket.via",
    "ticket_tags": "ticket.tags",
    "ticket_group_name": "ticket.group.name",
    "ticket_agent_name": "ticket.assignee.name",
    "ticket_agent_email": "ticket.assignee.email",
    "ticket_company_name": "ticket.organization.name",
    "ticket_contact_name": "ticket.requester.name",
    "ticket_contact_email": "ticket.requester.email",
    "ticket_contact_phone": "ticket.requester.phone",
    "ticket_contact_mobile": "ticket.requester.mobile",
    "ticket_contact_unique_external_id": "ticket.requester.external_id",
    "requester_name": "ticket.requester.name",
    "requester_email": "ticket.requester.email",
    "requester_phone": "ticket.requester.phone",
    "contact_primary_email": "ticket.requester.email",
}
_SIMPLE_CUSTOM: Final = "ticket_cf_"
_WRAPPER: Final = "freshdesk_webhook"
_IN_A_FORM: Final = re.compile(r"freshdesk_webhook\[(\w+)\]", re.ASCII)

#: `{status:{from:4,to:5}}`: no JSON, but near to it, and so read with quotation marks and blanks as well.
_STATUS_CHANGE: Final = re.compile(
    r"""(?<!\w)status["']?\s*:\s*\{\s*["']?from["']?\s*:(?P<old>[^,{}]*),\s*["']?to["']?\s*:(?P<new>[^,{}]*)\}"""
)
#: An event names a field and two values.
_LONGEST_EVENT: Final = 500
_LONGEST_WORD: Final = 100

_NOT_TOLD: Final = (
    "The status is not a closed one, and the message does not say what was changed: add triggered_event to its body."
)
_OTHER_CHANGE: Final = "Something else than the status was changed, so nothing was closed or opened again."
_NEITHER: Final = "The status was changed, but neither from nor to one that counts as closed."
_STILL_CLOSED: Final = "The ticket went from one closed status to another, so it was not closed once more."


@dataclass(frozen=True)
class Change:
    """What was changed: for the status its old and new value, numbers where they are known; else Freshdesk's word."""

    word: str
    statuses: tuple[str, str] | None = None


# --- names ----------------------------------------------------------------------------------------------------------


def in_our_names(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """A message out of Freshdesk's wrapper, the simple mode's names spelt as ours; others stay as they are."""
    fields = _unwrapped(message)
    ours = {_our_name(name): value for name, value in fields.items()}
    return _with_status_label(ours)


def _our_name(name: str) -> str:
    if name.startswith(_SIMPLE_CUSTOM):
        return f"ticket.custom.{name.removeprefix(_SIMPLE_CUSTOM)}"
    return _SIMPLE.get(name, name)


def _unwrapped(message: Mapping[str, Any]) -> Mapping[str, Any]:
    inner = message.get(_WRAPPER)
    if isinstance(inner, dict):
        return {**message, **inner}
    in_form = {found[1]: value for name, value in message.items() if (found := _IN_A_FORM.fullmatch(name))}
    return {**message, **in_form} if in_form else message


def _with_status_label(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """The status by its label, where it came by its number."""
    ticket = fields.get("ticket")
    nested = ticket.get("status") if isinstance(ticket, dict) else None
    if isinstance(ticket, dict) and (label := STATUSES.get(as_text(nested) or "")):
        return {**fields, "ticket": {**ticket, "status": label}}
    if label := STATUSES.get(as_text(fields.get("ticket.status")) or ""):
        return {**fields, "ticket.status": label}
    return fields


# --- what was changed -----------------------------------------------------------------------------------------------


def change_in(message: Mapping[str, Any]) -> Change | None:
    """What the message says was changed; None where it does not say."""
    match _told(_unwrapped(message)):
        case dict() as changes:
            return _change_by_field(changes)
        case str() as event if event.strip() and not is_unrendered(event):
            return _change_in_words(event[:_LONGEST_EVENT])
        case _:
            return None


def _told(fields: Mapping[str, Any]) -> object:
    """Our app tells changes; a body template holds triggered_event, beside the ticket or in it."""
    ticket = fields.get("ticket")
    inside = ticket.get("triggered_event") if isinstance(ticket, dict) else None
    return fields.get("changes") or fields.get("triggered_event") or inside


def _change_in_words(event: str) -> Change:
    if found := _STATUS_CHANGE.search(event):
        return _status_change(found["old"], found["new"])
    return Change(event.strip().removeprefix("{").removesuffix("}")[:_LONGEST_WORD])


def _change_by_field(changes: Mapping[str, Any]) -> Change:
    """Of our app, `{"status": [4, 5]}`; or an event that somebody has made proper JSON of."""
    match changes.get("status"):
        case [old, new] | {"from": old, "to": new}:
            return _status_change(old, new)
        case _:
            return Change(", ".join(sorted(changes))[:_LONGEST_WORD])


def _status_change(old: object, new: object) -> Change:
    statuses = _number(old), _number(new)
    return Change(f"status {statuses[0]} to {statuses[1]}"[:_LONGEST_WORD], statuses)


def _number(status: object) -> str:
    """A status by its number; one that is known by its label only, by that."""
    text = (as_text(status) or "").strip("\"' ").casefold()
    return _NUMBERS.get(STATUS_WORDS.get(text, text), text)


def _closing_statuses(message: Mapping[str, Any]) -> frozenset[str]:
    """What counts as closed: as the message itself says, where an account has statuses of its own for it."""
    told = _unwrapped(message).get("closing_statuses")
    listed = tidy(ValueKind.LIST, told) if not is_unrendered(told) else None
    return frozenset(map(_number, listed or ())) or frozenset({_RESOLVED, _CLOSED})


# --- what happened --------------------------------------------------------------------------------------------------


def judged(event: Event) -> Event:
    """The event as what the change says that it is; where none is told, the named kind counts, or the status."""
    if not isinstance(event.payload, dict) or event.kind not in {EventKind.TICKET_CLOSED, EventKind.TICKET_REOPENED}:
        return event
    change = change_in(event.payload)
    if change is not None:
        return _recognisable(_by_change(event, change, _closing_statuses(event.payload)), change)
    named = bool(event.vendor_kind)
    if not named and event.values.get("ticket.status", "solved") not in {"solved", "closed"}:
        return _nothing(event, f"status {event.values['ticket.status']}", _NOT_TOLD)
    return _recognisable(event, Change(""))


def _by_change(event: Event, change: Change, closing: frozenset[str]) -> Event:
    if change.statuses is None:
        return _nothing(event, change.word, _OTHER_CHANGE)
    was_closed, is_closed = (status in closing for status in change.statuses)
    if was_closed and is_closed and change.statuses != (_RESOLVED, _CLOSED):
        return _nothing(event, change.word, _STILL_CLOSED)
    if is_closed:
        return _of_kind(event, EventKind.TICKET_CLOSED, change.word)
    if was_closed:
        return _of_kind(event, EventKind.TICKET_REOPENED, change.word)
    return _nothing(event, change.word, _NEITHER)


def _of_kind(event: Event, kind: EventKind, word: str) -> Event:
    return replace(event, kind=kind, vendor_kind=word, values={**event.values, "event.kind": kind.value})


def _nothing(event: Event, word: str, note: str) -> Event:
    unsupported = _of_kind(event, EventKind.UNSUPPORTED, word)
    return replace(unsupported, closing_mark=None, notes=(*event.notes, note))


def _recognisable(event: Event, change: Change) -> Event:
    """With an id, where the message holds a time: Freshdesk gives none, and sends again after 5, 30 and 60 minutes.

    Without a time, the same ticket closed twice would have one id; the body as a whole is remembered then, for a day.
    """
    if event.id is not None or event.closing_mark is None or event.subject is None:
        return event
    told = [event.subject, event.kind, change.word, event.values.get("ticket.status"), event.closing_mark]
    fingerprint = hashlib.sha256(json.dumps(told).encode()).hexdigest()[:40]
    return replace(event, id=fingerprint, values={**event.values, "event.id": fingerprint})
