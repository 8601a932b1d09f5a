"""Asking HubSpot's CRM for what a message leaves out: the record with its contacts, then the contact.

https://developers.hubspot.com/docs/guides/api/crm/objects/tickets
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final

from plugin.domain.event import Event, EventKind, as_text, tidy_values
from plugin.domain.survey_call import OutboundRequest, OutboundResponse
from plugin.errors import Unreadable
from plugin.redaction import Secret
from plugin.triggers.base import Credentials
from plugin.triggers.base.json_body import read_json
from plugin.triggers.hubspot.facts import (
    CONTACT_ID,
    CONTACT_PROPERTIES,
    CRM_PATHS,
    NAME_PROPERTIES,
    NO_CONTACT,
    NOBODY_NAMED,
    STAGE_PROPERTIES,
    TICKET_PROPERTIES,
    entered_property,
    moment,
    person,
)

#: Records that are asked for, so that their contacts are known.
_LINKED_RECORDS: Final = ("ticket", "deal")

#: Set when the contact has been read, whatever it says of the person.
_CONTACT_READ: Final = "ticket.requester.external_id"

#: An id that may be put into a path.
_ID: Final = re.compile(r"[0-9]{1,30}", re.ASCII)

#: How many other contacts a note names.
_SHOWN: Final = 5


class Missing(Enum):
    """What an event still lacks."""

    RECORD = "record"
    CONTACT = "contact"


def lookup(event: Event, credentials: Credentials) -> OutboundRequest | None:
    missing, token = _missing(event), credentials.get("api_token")
    if token is None or missing is None:
        return None
    record, number = _record_of(event)
    if missing is Missing.RECORD:
        names = _asked_of(record, event)
        asked = {"properties": ",".join(names), "associations": "contacts"}
        return _request(credentials, token, record, number, asked)
    asked = {"properties": ",".join(CONTACT_PROPERTIES)}
    return _request(credentials, token, "contact", str(event.values[CONTACT_ID]), asked)


def complete(event: Event, response: OutboundResponse) -> Event:
    document = None if response.cut else read_json(response.body)
    if not isinstance(document, dict) or not isinstance(document.get("properties"), dict):
        raise Unreadable("HubSpot's answer holds no record.")
    event = replace(event, notes=tuple(note for note in event.notes if note != NOBODY_NAMED))
    if _missing(event) is Missing.RECORD:
        return _with_record(event, document)
    return _with_contact(event, document["properties"])


def _missing(event: Event) -> Missing | None:
    values = event.values
    if event.kind not in {EventKind.TICKET_CLOSED, EventKind.CRM_CHANGED}:
        return None
    if values.keys() & {"person.email", "person.phone", _CONTACT_READ}:
        return None
    if (contact := values.get(CONTACT_ID)) is not None:
        return Missing.CONTACT if contact != NO_CONTACT and _is_id(contact) else None
    record, number = _record_of(event)
    return Missing.RECORD if record in _LINKED_RECORDS and _is_id(number) else None


def _record_of(event: Event) -> tuple[str, str]:
    if event.kind is EventKind.TICKET_CLOSED:
        return "ticket", str(event.values.get("ticket.id", ""))
    return str(event.values.get("crm.object", "")), str(event.values.get("crm.id", ""))


def _is_id(value: object) -> bool:
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def _asked_of(record: str, event: Event) -> list[str]:
    if record == "ticket":
        entered = entered_property(str(event.values.get("ticket.custom.stage", "")))
        return [*TICKET_PROPERTIES, "closed_date", *([entered] if entered else [])]
    return [NAME_PROPERTIES[record], STAGE_PROPERTIES[record]]


def _request(
    credentials: Credentials, token: Secret, record: str, number: str, asked: Mapping[str, str]
) -> OutboundRequest:
    return OutboundRequest(
        "GET",
        credentials["api_origin"],
        path=("crm", "v3", "objects", CRM_PATHS[record], number),
        query=tuple(asked.items()),
        headers=(("Authorization", Secret(f"Bearer {token.reveal()}")), ("Accept", "application/json")),
        disguised=(token,),
    )


# --- what the answers say ---------------------------------------------------------------------------------------------


def _with_record(event: Event, document: Mapping[str, Any]) -> Event:
    if document.get("archived") is True:
        note = "The record has been deleted, so nobody is asked about it."
        return replace(event, kind=EventKind.UNSUPPORTED, notes=(*event.notes, note))
    found, notes = _found_contact(document)
    raw: dict[str, object] = {CONTACT_ID: found or NO_CONTACT}
    properties = document["properties"]
    mark = event.closing_mark
    if event.kind is EventKind.TICKET_CLOSED:
        stage = as_text(event.values.get("ticket.custom.stage"))
        raw |= {ours: properties.get(theirs) for theirs, ours in TICKET_PROPERTIES.items()}
        raw |= {name: moment(raw[name]) for name in ("ticket.created_at", "ticket.updated_at")}
        entered = entered_property(stage) if stage else None
        marks = (properties.get(name) for name in (entered, "closed_date") if name)
        # The time that HubSpot itself keeps is the same, whichever property's change it has told us of.
        mark = next((time for time in map(moment, marks) if time), mark)
        now = raw["ticket.custom.stage_now"] = as_text(properties.get("hs_pipeline_stage"))
        if stage and now not in {stage, None}:
            notes = (*notes, "The ticket has come to another stage since then; see ticket.custom.stage_now.")
    else:
        raw["crm.name"] = properties.get(NAME_PROPERTIES.get(str(event.values.get("crm.object")), ""))
    return _with_values(event, raw, notes, mark)


def _with_contact(event: Event, properties: Mapping[str, Any]) -> Event:
    raw = person(properties, _record_of(event)[0]) | {_CONTACT_READ: event.values[CONTACT_ID]}
    reachable = as_text(properties.get("email")) or as_text(properties.get("phone") or properties.get("mobilephone"))
    notes = () if reachable else ("The contact has neither an e-mail address nor a phone number in HubSpot.",)
    return _with_values(event, raw, notes, event.closing_mark)


def _with_values(event: Event, raw: Mapping[str, object], notes: Sequence[str], mark: str | None) -> Event:
    """What the message told stays; the answer fills in the rest."""
    tidied = tidy_values(raw)
    unrendered = frozenset(event.unrendered - tidied.values.keys())
    values = {**tidied.values, **event.values}
    return replace(event, values=values, unrendered=unrendered, closing_mark=mark, notes=(*event.notes, *notes))


# --- which of several contacts ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Linked:
    """A contact that a record is linked with. types: one for each label, and one for the bare link."""

    id: str
    types: tuple[str, ...]

    @property
    def rank(self) -> int:
        labels = [name for name in self.types if not _is_bare(name)]
        if any("primary" in name.casefold() for name in labels):
            return 0
        return 1 if labels else 2


#: Why a contact was taken before the others, by its rank.
_BECAUSE: Final = ("its link is labelled primary", "its link has a label", "it is listed first")


def _is_bare(name: str) -> bool:
    return re.fullmatch(r"(ticket|deal)_to_contact(_unlabeled)?", name) is not None


def _found_contact(document: Mapping[str, Any]) -> tuple[str | None, tuple[str, ...]]:
    """The contact to take for the customer, and what is to be said of it: one linked as primary, else one with a label,
    else the first that HubSpot lists.
    """
    linked = _linked(document)
    if not linked:
        return None, ("The record is linked with no contact in HubSpot, so nobody can be asked.",)
    chosen = min(linked, key=lambda one: one.rank)  # the first of the best
    others = [one.id for one in linked if one is not chosen]
    if not others:
        return chosen.id, ()
    shown = ", ".join(others[:_SHOWN]) + (" and more" if len(others) > _SHOWN else "")
    because = _BECAUSE[chosen.rank]
    return chosen.id, (f"Of {len(linked)} contacts, {chosen.id} was taken, since {because}; not asked: {shown}.",)


def _linked(document: Mapping[str, Any]) -> list[_Linked]:
    found: dict[str, tuple[str, ...]] = {}
    for number, name in _links(document):
        found[number] = (*found.get(number, ()), name)
    return [_Linked(number, types) for number, types in found.items()]


def _links(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    node: Any = document
    for name in ("associations", "contacts", "results"):
        node = node.get(name) if isinstance(node, dict) else None
    for link in node if isinstance(node, list) else ():
        number = as_text(link.get("id")) if isinstance(link, dict) else None
        if number is not None and _is_id(number):
            yield number, as_text(link.get("type")) or ""
