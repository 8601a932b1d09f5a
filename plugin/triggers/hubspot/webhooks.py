"""An app's webhooks: a list of thin events, which hold ids and at most one changed property.

https://developers.hubspot.com/docs/guides/api/app-management/webhooks
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from plugin.domain.event import Event, EventKind, as_text
from plugin.errors import Unreadable
from plugin.triggers.base.times import unix_time
from plugin.triggers.hubspot.facts import (
    NOBODY_NAMED,
    OBJECT_NUMBERS,
    Closed,
    fingerprint,
    make_event,
    moment,
    subject_of,
)

#: How many events one request may hold. HubSpot sends up to a hundred.
MAX_EVENTS: Final = 1000

#: What tells one event from all others: an event id alone is not unique, and a retry has another attempt number.
_KEY: Final = ("portalId", "eventId", "subscriptionId", "subscriptionType", "objectId", "propertyName", "occurredAt")

#: Properties that say when a ticket came to the stage at their end.
_ENTERED: Final = ("hs_v2_date_entered_", "hs_date_entered_")

#: Why nobody is asked, by what has happened to which record, or to any.
_WHY_NOT: Final[Mapping[str, str]] = {
    "ticket.creation": "A new ticket is not a closed one.",
    "ticket.propertyChange": "Only a change of hs_pipeline_stage can close a ticket.",
    "deal.propertyChange": "Of deals, only a change of dealstage is acted on.",
    "contact.privacyDeletion": (
        "The contact was deleted for privacy. `survey-plugin forget` removes what is kept of a person here."
    ),
    "creation": "A new record is nothing that we act on.",
    "deletion": "The record was deleted, so nobody is asked about it.",
    "merge": "Records were merged; that closes none of them.",
    "restore": "The record was restored; that closes nothing.",
    "associationChange": "A change of associations closes nothing.",
    "newMessage": "A message in a conversation ends none.",
}
_UNKNOWN: Final = "This kind of event is none that this source acts on."
_CONVERSATION: Final = (
    "HubSpot does not tell by an event of its own that a conversation has ended; let a workflow on its ticket call us."
)


def read_events(document: list[Any], closed: Closed) -> list[Event]:
    """The events of one request. Raises Unreadable when it holds too many, or things that are no events."""
    if len(document) > MAX_EVENTS:
        raise Unreadable(f"The list holds {len(document)} events, and at most {MAX_EVENTS} are taken in one request.")
    if document and not any(isinstance(item, dict) for item in document):
        raise Unreadable("The list must hold HubSpot's events, which are objects.")
    return [_read_event(item, closed) for item in document]


def _read_event(item: Any, closed: Closed) -> Event:
    if not isinstance(item, dict):
        # Kept, so that the events beside it are not lost with it.
        return Event(EventKind.UNSUPPORTED, payload=item, notes=("Among the events stands what is none.",))
    word = as_text(item.get("subscriptionType")) or ""
    record, _, action = word.partition(".")
    if record == "object":
        # Generic subscriptions name the record by a number.
        number = as_text(item.get("objectTypeId")) or ""
        record = OBJECT_NUMBERS.get(number, number)
    changed = as_text(item.get("propertyName")) or "" if action == "propertyChange" else ""
    if record == "ticket" and (changed == "hs_pipeline_stage" or changed.startswith(_ENTERED)):
        return _ticket_event(item, word, changed, closed)
    if (record, changed) == ("deal", "dealstage"):
        deal = {"crm.object": "deal", "crm.id": item.get("objectId"), "crm.stage": item.get("propertyValue")}
        return _event(EventKind.CRM_CHANGED, deal, item, word, record, notes=(NOBODY_NAMED,))
    known = {"ticket.id": item.get("objectId")} if record == "ticket" else {}
    return _event(EventKind.UNSUPPORTED, known, item, word, record, notes=(_why_not(record, action),))


def _ticket_event(item: Mapping[str, Any], word: str, changed: str, closed: Closed) -> Event:
    value = as_text(item.get("propertyValue")) or ""
    moved = changed == "hs_pipeline_stage"
    stage = value if moved else next(changed.removeprefix(start) for start in _ENTERED if changed.startswith(start))
    raw: dict[str, object] = {"ticket.id": item.get("objectId"), "ticket.custom.stage": stage}
    if stage in closed.stages and value:
        raw["ticket.status"] = "closed"
        mark = moment(item.get("occurredAt") if moved else value)
        return _event(EventKind.TICKET_CLOSED, raw, item, word, "ticket", mark=mark, notes=(NOBODY_NAMED,))
    notes = (closed.note_on(stage) if value else "The property was emptied; that closes nothing.",)
    # A pipeline has many stages, and the event does not say which one the ticket came from.
    if moved and value and closed.stages:
        reopened = _event(EventKind.TICKET_REOPENED, raw, item, word, "ticket", notes=notes)
        return replace(reopened, only_after_closing=True)
    return _event(EventKind.UNSUPPORTED, raw, item, word, "ticket", notes=notes)


def _event(
    kind: EventKind,
    raw: Mapping[str, object],
    item: Mapping[str, Any],
    word: str,
    record: str,
    *,
    mark: str | None = None,
    notes: tuple[str, ...] = (),
) -> Event:
    return make_event(
        kind,
        raw,
        item,
        event_id=fingerprint(item.get(name) for name in _KEY),
        subject=subject_of(record, as_text(item.get("objectId"))),
        time=_time(item),
        mark=mark,
        word=word,
        account=as_text(item.get("portalId")),
        notes=notes,
    )


def _time(item: Mapping[str, Any]) -> datetime | None:
    return unix_time(as_text(item.get("occurredAt")) or "", milliseconds=True)


def _why_not(record: str, action: str) -> str:
    if record == "conversation":
        return _CONVERSATION
    return _WHY_NOT.get(f"{record}.{action}") or _WHY_NOT.get(action) or _UNKNOWN
