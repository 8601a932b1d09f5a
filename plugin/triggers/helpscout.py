"""Help Scout, and FreeScout as a second brand: conversations in one shape, under headers and keys of their own.

The event's name stands in a header alone, which no signature covers.
https://developer.helpscout.com/webhooks/
https://developer.helpscout.com/mailbox-api/endpoints/conversations/get/
https://api-docs.freescout.net/
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from marshmallow import validate

from plugin.domain.event import Event, EventKind
from plugin.domain.fields import SecretText, StrictSchema, Text
from plugin.errors import SignatureInvalid, Unreadable
from plugin.redaction import Secret
from plugin.triggers.base import Credentials, InboundRequest, Source
from plugin.triggers.base.credentials import OneProof
from plugin.triggers.base.custom_fields import custom_values
from plugin.triggers.base.events import child, fingerprint, make_event, text_at
from plugin.triggers.base.json_body import read_json
from plugin.triggers.base.proof import HmacRecipe, require_hmac, text_key
from plugin.triggers.base.times import read_time


class HelpScoutCredentials(OneProof):
    secret = SecretText(
        label="Help Scout: secret key",
        help="What you entered as the secret key of the webhook, 40 characters at most.",
        example="k7Qm2xW9pL4vT8sR1nZ5",
        checks=[validate.Length(min=1, max=40, error="must have 1 to 40 characters.")],
    )
    freescout_key = SecretText(
        label="FreeScout: key of its webhooks",
        help="The MD5 of FreeScout's APP_KEY with webhook_key behind it; the guide shows how to make it.",
        example="767fe609bebe85ec3dcb9a3c21dc7e0e",
        pattern=r"[0-9a-f]{32}\Z",
        pattern_message="must be 32 characters of 0-9 and a-f.",
    )
    freescout_app_key = SecretText(
        label="FreeScout: APP_KEY",
        help="From FreeScout's .env, base64: included. It opens everything in FreeScout, so better give the key above.",
        example="base64:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        pattern=r"base64:[A-Za-z0-9+/]+=*\Z",
        pattern_message="must be all that stands behind APP_KEY=, beginning with base64:.",
    )


class HelpScoutSettings(StrictSchema):
    base_url = Text(
        label="Address of FreeScout",
        help="FreeScout's messages hold no link to the conversation; with this address we make one.",
        example="https://help.example.com",
        pattern=r"https?://[^\s?#]+\Z",
        pattern_message="must begin with https:// and hold no question mark.",
    )


SOURCE: Final = Source(
    title="Help Scout or FreeScout",
    credentials=HelpScoutCredentials,
    settings=HelpScoutSettings,
    events=frozenset({EventKind.TICKET_CLOSED, EventKind.TICKET_REOPENED}),
    placeholders=(
        "ticket.id",
        "ticket.url",
        "ticket.title",
        "ticket.status",
        "ticket.channel",
        "ticket.via",
        "ticket.tags",
        "ticket.created_at",
        "ticket.updated_at",
        "ticket.requester.name",
        "ticket.requester.first_name",
        "ticket.requester.last_name",
        "ticket.requester.email",
        "ticket.assignee.name",
        "ticket.assignee.email",
        "person.email",
        "person.name",
    ),
    help="Help Scout, or FreeScout with its module API & Webhooks, calls us when a conversation changes its status.",
)


@dataclass(frozen=True)
class _Brand:
    """number: the field by which a conversation is known. FreeScout may count each mailbox by itself."""

    name: str
    event_header: str
    signature_header: str
    number: str


_HELP_SCOUT: Final = _Brand("Help Scout", "X-HelpScout-Event", "X-HelpScout-Signature", "number")
_FREESCOUT: Final = _Brand("FreeScout", "X-FreeScout-Event", "X-FreeScout-Signature", "id")

#: Sent when a webhook is tried out.
_TEST_EVENTS: Final = frozenset({"helpscout.test", "freescout.test"})

#: What FreeScout puts behind its APP_KEY for the key of its webhooks.
_FREESCOUT_PURPOSE: Final = "webhook_key"


def verify(request: InboundRequest, credentials: Credentials, now: datetime) -> None:
    brand, key = _expected(credentials)
    recipe = HmacRecipe(header=brand.signature_header, algorithm="sha1", encoding="base64")
    require_hmac(request, key, recipe, now)


def parse(request: InboundRequest) -> list[Event]:
    brand = _FREESCOUT if _FREESCOUT.event_header.lower() in request.headers else _HELP_SCOUT
    word = request.headers.get(brand.event_header.lower(), "").strip()
    if word in _TEST_EVENTS or not request.body.strip():
        return []
    body = read_json(request.body)
    if not isinstance(body, dict):
        raise Unreadable(f"The body must be a JSON object, as {brand.name}'s webhooks send it.")
    return [_read(brand, word, body, request.settings)]


def freescout_key(app_key: str) -> str:
    """The key of FreeScout's webhooks. app_key: with its `base64:`, which is hashed as it is written."""
    return hashlib.md5(f"{app_key}{_FREESCOUT_PURPOSE}".encode(), usedforsecurity=False).hexdigest()


def _expected(credentials: Credentials) -> tuple[_Brand, bytes]:
    match credentials:
        case {"secret": Secret() as secret}:
            return _HELP_SCOUT, text_key(secret)
        case {"freescout_key": Secret() as key}:
            # It is used as the 32 characters that it is written with.
            return _FREESCOUT, text_key(key)
        case {"freescout_app_key": Secret() as app_key}:
            return _FREESCOUT, freescout_key(app_key.reveal()).encode()
        case _:
            raise SignatureInvalid("The source has no credentials to check against.")


def _read(brand: _Brand, word: str, body: Mapping[str, Any], settings: Mapping[str, Any]) -> Event:
    found = _what_happened(brand, word, body)
    acted_on = found.kind is not EventKind.UNSUPPORTED
    person, remarks = _person(body) if acted_on else ({}, ())
    closed_at = _at(body, "closedAt")
    moment = (closed_at if found.kind.closes else None) or _at(body, "userUpdatedAt")
    number = text_at(body, brand.number) or text_at(body, "id")
    return make_event(
        found.kind,
        {**_values(brand, body, settings), **person} if acted_on else {},
        id=_event_id(word, body) if acted_on else None,
        time=read_time(moment or ""),
        subject=f"ticket:{number}"[:200] if number and word.startswith("convo.") else None,
        closing_mark=moment if found.kind.closes else None,
        payload=body,
        vendor_kind=f"{word}: {found.detail}" if found.detail else word,
        notes=(*found.notes, *(remarks if found.kind.closes else ())),
    )


# --- what happened ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Found:
    """detail: what stands behind the sender's word for an event that is not acted on, though others of its word are."""

    kind: EventKind
    detail: str = ""
    notes: tuple[str, ...] = ()


_STATUS_CHANGED: Final = "convo.status"
_OTHER_EVENT: Final = "Only a change of a conversation's status is acted on; this event can be taken off the webhook."
#: Events that somebody may take for a closing, and why they are none.
_LOOK_ALIKES: Final[Mapping[str, str]] = {
    "convo.deleted": "A conversation that was deleted is no closed one, so nobody is asked.",
    "convo.deleted_forever": "A conversation that was deleted is no closed one, so nobody is asked.",
    "convo.restored": "A conversation that was restored was deleted and not closed before.",
    "convo.merged": "The conversation went on in another one, whose own closing counts.",
    "convo.moved": "The conversation went to another mailbox, which closes nothing.",
}


def _what_happened(brand: _Brand, word: str, body: Mapping[str, Any]) -> _Found:
    if not word:
        note = f"The header {brand.event_header} is missing, which alone names what happened."
        return _Found(EventKind.UNSUPPORTED, notes=(note,))
    if word != _STATUS_CHANGED:
        return _Found(EventKind.UNSUPPORTED, notes=(_LOOK_ALIKES.get(word, _OTHER_EVENT),))
    if _is_first_version(body):
        note = "The body is of version 1, which Help Scout has given up; create the webhook anew, with version 2."
        return _Found(EventKind.UNSUPPORTED, "version 1", (note,))
    if "status" not in body:
        note = "The message holds no conversation; the webhook must not be one that sends notifications alone."
        return _Found(EventKind.UNSUPPORTED, "no conversation", (note,))
    return _changed(body)


def _is_first_version(body: Mapping[str, Any]) -> bool:
    return isinstance(body.get("mailbox"), Mapping) and "mailboxId" not in body


def _changed(body: Mapping[str, Any]) -> _Found:
    status, was_closed = (text_at(body, "status") or "").casefold(), _at(body, "closedAt") is not None
    state = (text_at(body, "state") or "published").casefold()
    if state != "published":
        return _Found(EventKind.UNSUPPORTED, state, (f"The conversation is {state}, so nobody is asked.",))
    if status == "closed":
        return _Found(EventKind.TICKET_CLOSED)
    if status in {"active", "pending"} and was_closed:
        return _Found(EventKind.TICKET_REOPENED)
    if status == "active":
        # Pending conversations become active too, but most often a customer has answered a closed one.
        note = "The message does not say which status the conversation had before; it may have been pending."
        return _Found(EventKind.TICKET_REOPENED, notes=(note,))
    return _Found(EventKind.UNSUPPORTED, status or "no status", (_OTHER_STATUSES.get(status, _NO_KNOWN_STATUS),))


_NO_KNOWN_STATUS: Final = "This status is none that closes a conversation or opens it again."
_OTHER_STATUSES: Final[Mapping[str, str]] = {
    "pending": "The conversation waits for somebody's answer.",
    "spam": "The conversation is spam, so nobody is asked.",
}


# --- what it says -----------------------------------------------------------------------------------------------------

_STATUSES: Final[Mapping[str, str]] = {"active": "open"}


def _values(brand: _Brand, body: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, object]:
    agent, status = body.get("assignee"), text_at(body, "status")
    return {
        # Of a field with choices, value is the choice's number and text its label.
        **custom_values(
            (child(field, "name"), text_at(field, "text") or child(field, "value"))
            for field in _listed(body, "customFields")
        ),
        "ticket.id": text_at(body, "number") or text_at(body, "id"),
        "ticket.url": _link(brand, body, settings),
        "ticket.title": child(body, "subject"),
        "ticket.status": _STATUSES.get(status or "", status),
        "ticket.channel": text_at(body, "type"),
        "ticket.via": text_at(body, "source", "type"),
        "ticket.tags": [text_at(tag, "tag") or text_at(tag, "name") for tag in _tags(body)],
        "ticket.created_at": text_at(body, "createdAt"),
        "ticket.updated_at": text_at(body, "userUpdatedAt"),
        "ticket.assignee.name": " ".join(_filled(_names(agent))),
        "ticket.assignee.email": _address(agent),
    }


#: Whom the address belongs to that Help Scout writes where it knows none.
_NOWHERE: Final = "none@nowhere.com"


def _person(body: Mapping[str, Any]) -> tuple[dict[str, object], tuple[str, ...]]:
    """The conversation's customer; whoever wrote first only where that is the same customer. CC and BCC are nobody."""
    customer, writer = _customer(body.get("primaryCustomer")) or _customer(body.get("customer")), body.get("createdBy")
    known = text_at(customer, "id")
    writer = _customer(writer) if text_at(writer, "type") == "customer" else None
    if writer is not None and known not in {None, text_at(writer, "id")}:
        writer = None
    persons = [one for one in (customer, writer) if one is not None]
    address = next((found for one in persons if (found := _address(one))), None)
    first, last = next((names for one in persons if any(names := _names(one))), (None, None))
    raw: dict[str, object] = {
        "ticket.requester.first_name": first,
        "ticket.requester.last_name": last,
        "ticket.requester.email": address,
        "ticket.custom.customer_id": known or text_at(writer, "id"),
    }
    return raw, () if address else ("The conversation's customer has no e-mail address in the message.",)


def _customer(person: Any) -> Mapping[str, Any] | None:
    """A person where a customer stands, unless it is said to be a user of the helpdesk."""
    is_one = isinstance(person, Mapping) and text_at(person, "type") in {None, "customer"}
    return person if is_one else None


def _address(person: Any) -> str | None:
    address = text_at(person, "email")
    return None if address is not None and address.casefold() == _NOWHERE else address


def _names(person: Any) -> tuple[str | None, str | None]:
    """First and last name, as Help Scout spells them or as FreeScout does."""
    return (
        text_at(person, "first") or text_at(person, "firstName"),
        text_at(person, "last") or text_at(person, "lastName"),
    )


def _filled(texts: Iterable[str | None]) -> Iterable[str]:
    return (text for text in texts if text)


def _link(brand: _Brand, body: Mapping[str, Any], settings: Mapping[str, Any]) -> str | None:
    if link := text_at(body, "_links", "web", "href"):
        return link
    id_, number, base = text_at(body, "id") or "", text_at(body, "number") or "", settings.get("base_url")
    if brand is _FREESCOUT:
        return f"{base.rstrip('/')}/conversation/{id_}" if base and id_.isdecimal() else None
    known = id_.isdecimal() and number.isdecimal()
    return f"https://secure.helpscout.net/conversation/{id_}/{number}/" if known else None


def _tags(body: Mapping[str, Any]) -> list[Any]:
    return _listed(body, "tags") or _listed(child(body, "_embedded"), "tags")


def _listed(body: Any[str, Any], name: str) -> list[Any]:
    node = child(body, name)
    return node if isinstance(node, list) else []


# --- the same once more -----------------------------------------------------------------------------------------------


def _at(body: Mapping[str, Any], name: str) -> str | None:
    return (text_at(body, name) or "")[:200] or None


def _event_id(word: str, body: Mapping[str, Any]) -> str | None:
    """A closing is known by its own time; any other change by all the times that a conversation has."""
    number, closed_at = text_at(body, "id"), _at(body, "closedAt")
    status = (text_at(body, "status") or "").casefold()
    others = (_at(body, "userUpdatedAt"), text_at(body, "customerWaitingSince", "time"))
    told = (closed_at,) if status == "closed" and closed_at else (closed_at, *others)
    return fingerprint(word, number, status, *told) if number and any(told) else None
