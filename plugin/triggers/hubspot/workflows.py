"""What workflows send: the enrolled record, properties of it, a body in our names, or our own workflow action.

https://knowledge.hubspot.com/workflows (send a webhook)
https://developers.hubspot.com/docs/apps/developer-platform/add-features/custom-workflow-actions
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from plugin.domain.event import Event, EventKind, as_text, is_unrendered
from plugin.triggers.hubspot.facts import (
    CONTACT_ID,
    CRM_PATHS,
    NAME_PROPERTIES,
    NO_PERSON,
    NOBODY_NAMED,
    OBJECT_NUMBERS,
    STAGE_PROPERTIES,
    TICKET_PROPERTIES,
    Closed,
    bounded,
    entered_property,
    fingerprint,
    make_event,
    moment,
    person,
    subject_of,
)

#: What a body of chosen properties is about, by the first of these that it holds.
_TELLING: Final[Mapping[str, str]] = {
    "hs_ticket_id": "ticket",
    "hs_pipeline_stage": "ticket",
    "hs_ticket_priority": "ticket",
    "dealstage": "deal",
    "dealname": "deal",
    "email": "contact",
}

#: The fields of our workflow action that say who the customer is, and the contact's property that each stands for.
_PERSON_INPUTS: Final[Mapping[str, str]] = {
    "email": "email",
    "phone": "phone",
    "first_name": "firstname",
    "last_name": "lastname",
    "language": "hs_language",
}
#: Its other fields, and the ticket's property that each stands for.
_RECORD_INPUTS: Final[Mapping[str, str]] = {
    "subject": "subject",
    "stage": "hs_pipeline_stage",
    "closed_at": "closed_date",
}
#: Its fields about the agent, in our names.
_AGENT_INPUTS: Final[Mapping[str, str]] = {
    "agent_name": "ticket.assignee.name",
    "agent_email": "ticket.assignee.email",
}
_KIND_INPUT: Final = "event"
_KNOWN_INPUTS: Final = frozenset({_KIND_INPUT, *_PERSON_INPUTS, *_RECORD_INPUTS, *_AGENT_INPUTS})

_UNKNOWN: Final = (
    "The message is neither an event nor a record of HubSpot's, nor written in our names; the set-up guide has a body."
)


def read_action(document: Mapping[str, Any], closed: Closed) -> Event:
    """The event of our own workflow action."""
    origin, enrolled, inputs = (_object(document, name) for name in ("origin", "object", "inputFields"))
    record, callback = _record_name(enrolled) or "record", as_text(document.get("callbackId"))
    given = {name: value for name, value in inputs.items() if as_text(value) and not is_unrendered(value)}
    who = {theirs: given[name] for name, theirs in _PERSON_INPUTS.items() if name in given}
    properties = _properties(enrolled) | {
        theirs: given[name] for name, theirs in _RECORD_INPUTS.items() if name in given
    }
    raw: dict[str, object] = {}
    if record != "ticket":
        properties |= who
    else:
        # A ticket's own properties say nothing of who the customer is: an address among them may be anybody's.
        raw = person(who, record) | {ours: given.get(name) for name, ours in _AGENT_INPUTS.items()}
        raw |= {f"ticket.custom.{name}": value for name, value in given.items() if _is_own_field(name)}
        raw |= {f"ticket.requester.{name}": inputs[name] for name in _PERSON_INPUTS if is_unrendered(inputs.get(name))}
    return _record_event(
        record,
        as_text(enrolled.get("objectId")),
        properties,
        raw,
        document,
        closed,
        wanted=as_text(given.get(_KIND_INPUT)),
        account=as_text(origin.get("portalId")) or as_text(document.get("portalId")),
        event_id=bounded(callback) if callback is not None else None,
        word="workflow action",
    )


def _is_own_field(name: str) -> bool:
    return name not in _KNOWN_INPUTS and re.fullmatch(r"[\w-]{1,100}", name) is not None


def read_record(document: Mapping[str, Any], closed: Closed) -> Event:
    """The event of an enrolled record, as a whole or as properties that were chosen from it."""
    properties = _properties(document) or {name: value for name, value in document.items() if as_text(value)}
    record = _record_name(document) or next((_TELLING[name] for name in _TELLING if name in properties), "")
    if not record:
        return Event(EventKind.UNSUPPORTED, payload=document, notes=(_UNKNOWN,))
    number = next((text for name in ("objectId", "id", "vid") if (text := as_text(document.get(name)))), None)
    return _record_event(
        record,
        number or as_text(properties.get("hs_object_id")) or as_text(properties.get("hs_ticket_id")),
        properties,
        {},
        document,
        closed,
        account=as_text(document.get("portalId")) or as_text(document.get("portal-id")),
        word=f"workflow webhook: {record}",
    )


def in_hubspots_ways(event: Event, account: str | None) -> Event:
    """An event in our names, its closing marked as everywhere here, with an id by which a retry days later is known."""
    mark = moment(event.closing_mark) or event.closing_mark
    event = replace(event, account=account, closing_mark=mark)
    if event.id is not None or event.subject is None or mark is None:
        return event
    event_id = fingerprint((event.kind.value, event.subject, mark))
    return replace(event, id=event_id, values={**event.values, "event.id": event_id})


# --- one record -------------------------------------------------------------------------------------------------------


def _record_event(
    record: str,
    number: str | None,
    properties: Mapping[str, Any],
    raw: dict[str, object],
    document: Mapping[str, Any],
    closed: Closed,
    *,
    word: str,
    account: str | None,
    wanted: str | None = None,
    event_id: str | None = None,
) -> Event:
    stage = as_text(properties.get("hs_pipeline_stage"))
    kind, notes = _kind(record, stage, document, closed, wanted)
    mark = _closing_mark(properties, stage) if record == "ticket" else None
    values = _ticket(number, properties, kind) if record == "ticket" else _crm(record, number, properties, document)
    values |= raw
    if kind is not EventKind.UNSUPPORTED and not _names_somebody(values):
        notes = (*notes, NOBODY_NAMED if record in CRM_PATHS else NO_PERSON.format(record=record))
    if event_id is None and mark is not None:
        event_id = fingerprint((account, kind.value, record, number, mark))
    return make_event(
        kind,
        values,
        document,
        event_id=event_id,
        subject=subject_of(record, number),
        mark=mark,
        word=word,
        account=account,
        notes=notes,
    )


def _kind(
    record: str, stage: str | None, document: Mapping[str, Any], closed: Closed, wanted: str | None
) -> tuple[EventKind, tuple[str, ...]]:
    if document.get("isDeleted") is True or document.get("archived") is True:
        return EventKind.UNSUPPORTED, ("The record was deleted, so nobody is asked about it.",)
    fitting = (EventKind.TICKET_CLOSED, EventKind.TICKET_REOPENED) if record == "ticket" else (EventKind.CRM_CHANGED,)
    if wanted is not None:
        kind = next((kind for kind in fitting if kind.value == wanted.casefold()), None)
        return (kind, ()) if kind else (EventKind.UNSUPPORTED, ("The field event names no kind that fits the record.",))
    if record == "ticket" and stage is not None and closed.stages and stage not in closed.stages:
        return EventKind.UNSUPPORTED, (closed.note_on(stage),)
    # What the workflow was told to wait for is the tenant's own condition.
    return fitting[0], ()


def _closing_mark(properties: Mapping[str, Any], stage: str | None) -> str | None:
    entered = entered_property(stage) if stage is not None else None
    names = [*([entered] if entered else []), "closed_date", "hs_lastmodifieddate"]
    return next((mark for name in names if (mark := moment(properties.get(name)))), None)


def _ticket(number: str | None, properties: Mapping[str, Any], kind: EventKind) -> dict[str, object]:
    values: dict[str, object] = {ours: properties.get(theirs) for theirs, ours in TICKET_PROPERTIES.items()}
    values |= {name: moment(values[name]) for name in ("ticket.created_at", "ticket.updated_at")}
    status = "closed" if kind is EventKind.TICKET_CLOSED else None
    return values | {"ticket.id": number, "ticket.status": status}


def _crm(
    record: str, number: str | None, properties: Mapping[str, Any], document: Mapping[str, Any]
) -> dict[str, object]:
    values: dict[str, object] = {
        "crm.object": record,
        "crm.id": number,
        "crm.name": properties.get(NAME_PROPERTIES.get(record, "")),
        "crm.stage": properties.get(STAGE_PROPERTIES.get(record, "")),
    }
    who = person(properties, record)
    if record == "contact":
        values |= {"crm.name": who["person.name"], "crm.url": document.get("profile-url"), CONTACT_ID: number}
    return values | who


def _names_somebody(values: Mapping[str, object]) -> bool:
    leaves = (f"{prefix}.{leaf}" for prefix in ("person", "ticket.requester") for leaf in ("email", "phone"))
    return any(as_text(values.get(name)) for name in leaves)


def _record_name(document: Mapping[str, Any]) -> str | None:
    name = as_text(document.get("objectType")) or as_text(document.get("objectTypeId"))
    if name is not None:
        return OBJECT_NUMBERS.get(name, name.casefold()[:100])
    return "contact" if as_text(document.get("vid")) else None


def _properties(document: Mapping[str, Any]) -> dict[str, Any]:
    """Values by name; older forms put each into an object with its history."""
    found = _object(document, "properties")
    plain = {name: item.get("value") if isinstance(item, dict) else item for name, item in found.items()}
    return {name: value for name, value in plain.items() if as_text(value)}


def _object(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = document.get(name)
    return found if isinstance(found, dict) else {}
