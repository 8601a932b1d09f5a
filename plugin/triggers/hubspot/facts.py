"""What HubSpot's messages have in common: kinds of records, properties in our names, times, closed stages."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from plugin.domain.event import Event, EventKind, as_text, tidy_values
from plugin.triggers.base.times import read_time

#: The kinds of records by the number that generic subscriptions give instead of a name.
OBJECT_NUMBERS: Final[Mapping[str, str]] = {"0-1": "contact", "0-2": "company", "0-3": "deal", "0-5": "ticket"}

#: Where the id of the contact stands who is taken as the customer, and the word for a record that has none.
CONTACT_ID: Final = "ticket.custom.contact_id"
NO_CONTACT: Final = "none"

#: Said of an event that names nobody. What a message says does not depend on the credentials, so it fits both cases.
NOBODY_NAMED: Final = (
    "The message does not say who the customer is. HubSpot is asked for the contact where the source has an api_token."
)

#: The same of a record that has no contact of its own to be asked for.
NO_PERSON: Final = (
    "The message does not say who the customer is, and of a {record} HubSpot is not asked for its contacts."
)

#: Kinds of records that HubSpot can be asked for, by what its CRM calls them.
CRM_PATHS: Final[Mapping[str, str]] = {"ticket": "tickets", "deal": "deals", "contact": "contacts"}

#: A ticket's properties in our names.
TICKET_PROPERTIES: Final[Mapping[str, str]] = {
    "subject": "ticket.title",
    "hs_ticket_priority": "ticket.priority",
    "hs_ticket_category": "ticket.type",
    "source_type": "ticket.via",
    "createdate": "ticket.created_at",
    "hs_lastmodifieddate": "ticket.updated_at",
    "hs_pipeline": "ticket.custom.pipeline",
    "hs_pipeline_stage": "ticket.custom.stage",
}

#: Which property names a record, and which its stage, by kind.
NAME_PROPERTIES: Final[Mapping[str, str]] = {"deal": "dealname", "company": "name"}
STAGE_PROPERTIES: Final[Mapping[str, str]] = {
    "deal": "dealstage",
    "contact": "lifecyclestage",
    "company": "lifecyclestage",
}

#: A contact's properties that say who it is; `mobilephone` counts where `phone` is empty.
CONTACT_PROPERTIES: Final = ("email", "firstname", "lastname", "phone", "mobilephone", "hs_language")

_STAGE: Final = re.compile(r"[\w.-]{1,100}", re.ASCII)

#: Longer than any id of HubSpot's.
_MAX_ID: Final = 200


@dataclass(frozen=True)
class Closed:
    """The stages in which tickets count as closed, as the tenant has listed them."""

    stages: frozenset[str]

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Closed:
        return cls(frozenset(re.split(r"[\s,;]+", settings.get("closed_stages") or "")) - {""})

    def note_on(self, stage: str) -> str:
        """Why a ticket that has come to this stage is not taken as closed."""
        shown = stage if _STAGE.fullmatch(stage) else "a stage without an id"
        if self.stages:
            return f"The ticket is at stage {shown}, which is not among the source's closed_stages."
        return (
            f"The ticket is at stage {shown}. Which stages mean “closed” differs by account: if this one does, add "
            f"{shown} to the source's setting closed_stages."
        )


def entered_property(stage: str) -> str | None:
    """The property that says when a record has come to `stage`; None where the id cannot be part of a name."""
    return f"hs_v2_date_entered_{stage}" if _STAGE.fullmatch(stage) else None


def moment(raw: object) -> str | None:
    """A time of HubSpot's, milliseconds or ISO 8601, in one form: two reports of one closing must agree on it."""
    text = as_text(raw)
    time = read_time(text) if text else None
    return written(time) if time else None


def written(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")


def fingerprint(parts: Iterable[object]) -> str:
    """The same for the same parts, which cannot run into each other."""
    return hashlib.sha256(json.dumps([as_text(part) for part in parts]).encode()).hexdigest()[:40]


def subject_of(record: str, number: str | None) -> str | None:
    if number is None:
        return None
    return bounded(f"ticket:{number}" if record == "ticket" else f"crm:{record}:{number}")


def bounded(text: str) -> str:
    """An id as it is, or its hash where it is longer than an index of the database may take."""
    return text if len(text) <= _MAX_ID else f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def person(properties: Mapping[str, object], record: str) -> dict[str, object]:
    """Who a contact is, in our names: the requester of a ticket, or the person that another record is about."""
    phone = as_text(properties.get("phone")) or properties.get("mobilephone")
    told = {"email": properties.get("email"), "phone": phone, "language": properties.get("hs_language")}
    first, last = properties.get("firstname"), properties.get("lastname")
    if record == "ticket":
        return {f"ticket.requester.{leaf}": value for leaf, value in told.items()} | {
            "ticket.requester.first_name": first,
            "ticket.requester.last_name": last,
        }
    name = " ".join(text for text in map(as_text, (first, last)) if text)
    return {f"person.{leaf}": value for leaf, value in {**told, "name": name}.items()}


def make_event(
    kind: EventKind,
    raw: Mapping[str, object],
    payload: object,
    *,
    event_id: str | None,
    subject: str | None,
    time: datetime | None = None,
    mark: str | None = None,
    word: str = "",
    account: str | None = None,
    notes: tuple[str, ...] = (),
) -> Event:
    """An event of these raw values by placeholder name. mark: see `Event.closing_mark`; it counts for closings only."""
    tidied = tidy_values(raw)
    ours = {"event.id": event_id, "event.kind": kind.value, "event.time": written(time) if time else None}
    return Event(
        kind=kind,
        id=event_id,
        time=time,
        subject=subject,
        closing_mark=mark if kind.closes else None,
        values={**tidied.values, **{name: value for name, value in ours.items() if value}},
        unrendered=tidied.unrendered,
        payload=payload,
        vendor_kind=word[:200],
        notes=notes,
        account=account,
    )
