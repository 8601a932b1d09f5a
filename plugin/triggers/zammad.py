"""Zammad: a webhook called by a trigger or a scheduler, with Zammad's own payload or one written in our names.

https://admin-docs.zammad.org/en/latest/manage/webhook.html
https://github.com/zammad/zammad (app/jobs/trigger_webhook_job.rb and the folder of that name)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from marshmallow import validate

from plugin.domain.event import STATUS_WORDS, Event, EventKind
from plugin.domain.fields import Group, SecretText, StrictSchema, Text
from plugin.errors import SignatureInvalid, Unreadable
from plugin.triggers.base import Credentials, InboundRequest, Source
from plugin.triggers.base.credentials import BasicCredentials, OneProof
from plugin.triggers.base.events import child, fingerprint, make_event, text_at
from plugin.triggers.base.json_body import read_json, storable
from plugin.triggers.base.message import read_message
from plugin.triggers.base.proof import HmacRecipe, require_basic, require_bearer, require_hmac, text_key
from plugin.triggers.base.times import read_time

_FILLED: Final = validate.Length(min=1, error="must not be empty.")


class ZammadCredentials(OneProof):
    signature_token = SecretText(
        label="HMAC SHA1 signature token",
        help="The text that you enter under this name in Zammad's webhook. The best of the three.",
        example="J4b9Qw7sTz2LxV6c",
        checks=[_FILLED],
    )
    basic = Group(BasicCredentials, label="User and password", help="Entered in Zammad's webhook as HTTP basic.")
    bearer = SecretText(
        label="Bearer token", help="Entered in Zammad's webhook, where its version offers it.", checks=[_FILLED]
    )


class ZammadSettings(StrictSchema):
    base_url = Text(
        label="Address of Zammad",
        help="Zammad's own payload holds no link to the ticket; with this address we make one.",
        example="https://zammad.example.com",
        pattern=r"https?://[^\s?#]+\Z",
        pattern_message="must begin with https:// and hold no question mark.",
    )
    closed_states = Text(
        label="Further states that mean closed",
        help="Names of states of your own, separated by commas. The state closed is known in several languages.",
        example="erledigt, done",
        checks=[_FILLED],
    )


SOURCE: Final = Source(
    title="Zammad",
    credentials=ZammadCredentials,
    settings=ZammadSettings,
    events=frozenset({EventKind.TICKET_CLOSED, EventKind.TICKET_REOPENED}),
    placeholders=(
        "ticket.id",
        "ticket.url",
        "ticket.title",
        "ticket.status",
        "ticket.priority",
        "ticket.channel",
        "ticket.tags",
        "ticket.created_at",
        "ticket.updated_at",
        "ticket.group.name",
        "ticket.organization.name",
        "ticket.requester.name",
        "ticket.requester.email",
        "ticket.requester.phone",
        "ticket.assignee.name",
        "ticket.assignee.email",
        "person.email",
        "person.phone",
        "person.name",
    ),
    help="A trigger in Zammad calls us when a ticket is closed. Zammad tells no language.",
)

_RECIPE: Final = HmacRecipe(header="X-Hub-Signature", algorithm="sha1", prefix="sha1=")
_DELIVERY: Final = "x-zammad-delivery"

#: The names in the bodies that we give out, before `sent_for`: those of manifests/zammad.
BODIES: Final[Mapping[str, tuple[str, ...]]] = {
    "ticket.closed": (
        *("event.kind", "ticket.id", "ticket.link", "ticket.status", "ticket.priority", "ticket.created_at"),
        *("ticket.closed_at", "ticket.updated_at", "ticket.group.name", "ticket.requester.email"),
        *("ticket.requester.phone", "ticket.assignee.email"),
    ),
    "ticket.reopened": (
        *("event.kind", "ticket.id", "ticket.link", "ticket.status", "ticket.updated_at", "ticket.requester.email"),
    ),
}

#: The user that stands for nobody: the owner of a ticket that nobody owns.
_NOBODY: Final = "-"

_BROKEN_PAYLOAD: Final = (
    "Zammad could not fill in its custom payload, since a value broke it, and so told nothing of the ticket: "
    "leave texts that people type out of it, or use Zammad's own payload."
)


def verify(request: InboundRequest, credentials: Credentials, now: datetime) -> None:
    match credentials:
        case {"signature_token": token}:
            require_hmac(request, text_key(token), _RECIPE, now)
        case {"basic": basic}:
            require_basic(request, basic["user"], basic["password"])
        case {"bearer": token}:
            require_bearer(request, token)
        case _:
            raise SignatureInvalid("The source has no credentials to check against.")


def parse(request: InboundRequest) -> list[Event]:
    try:
        document = read_json(request.body)
    except Unreadable:
        document = None
    if isinstance(document, dict) and "event" not in document:
        if isinstance(child(document, "ticket", "customer"), dict) or text_at(document, "ticket", "state_id"):
            return [_read_own(document, request)]
        if document.keys() == {"error"}:
            return [_broken(document, request)]
    events = read_message(request, kinds=SOURCE.events, id_headers=(_DELIVERY,), bodies=BODIES)
    return [_checked(event, request.settings) for event in events]


# --- Zammad's own payload ------------------------------------------------------------------------------------------


def _read_own(body: Mapping[str, Any], request: InboundRequest) -> Event:
    ticket = body["ticket"]
    found = _what_happened(ticket, request.settings)
    if found.kind.closes and _is_among_colleagues(ticket):
        found = _AMONG_COLLEAGUES
    number = text_at(ticket, "number") or text_at(ticket, "id")
    # close_at is the first closing of all, for ever; only newer versions have that of the last one.
    mark = text_at(ticket, "last_close_at") or text_at(ticket, "updated_at")
    state = _name(ticket, "state")
    return make_event(
        found.kind,
        _values(ticket, number, request.settings),
        id=_delivery(request) or fingerprint(number, state, mark),
        time=read_time((mark if found.kind.closes else text_at(ticket, "updated_at")) or ""),
        subject=f"ticket:{number}"[:200] if number else None,
        closing_mark=mark[:200] if mark and found.kind.closes else None,
        payload=body,
        vendor_kind=state or "",
        notes=found.notes,
    )


def _values(ticket: Mapping[str, Any], number: str | None, settings: Mapping[str, Any]) -> Mapping[str, object]:
    customer, owner = child(ticket, "customer"), child(ticket, "owner")
    address = None if _is_among_colleagues(ticket) else customer
    if text_at(owner, "login") == _NOBODY or text_at(owner, "firstname") == _NOBODY:
        owner = None
    return {
        "ticket.id": number,
        "ticket.url": _address(settings, text_at(ticket, "id")),
        "ticket.title": text_at(ticket, "title"),
        "ticket.status": _name(ticket, "state"),
        "ticket.priority": _name(ticket, "priority"),
        "ticket.channel": _name(ticket, "create_article_type"),
        "ticket.tags": child(ticket, "tags"),
        "ticket.created_at": text_at(ticket, "created_at"),
        "ticket.updated_at": text_at(ticket, "updated_at"),
        "ticket.group.name": _name(ticket, "group"),
        "ticket.organization.name": _name(ticket, "organization"),
        "ticket.requester.first_name": text_at(customer, "firstname"),
        "ticket.requester.last_name": text_at(customer, "lastname"),
        "ticket.requester.email": text_at(address, "email"),
        "ticket.requester.phone": text_at(address, "phone") or text_at(address, "mobile"),
        "ticket.assignee.name": " ".join(filter(None, (text_at(owner, "firstname"), text_at(owner, "lastname")))),
        "ticket.assignee.email": text_at(owner, "email"),
    }


def _name(ticket: Mapping[str, Any], attribute: str) -> str | None:
    """Some versions write a state or a group by its name, some as an object with a name."""
    return text_at(ticket, attribute) or text_at(ticket, attribute, "name")


def _address(settings: Mapping[str, Any], internal_id: str | None) -> str | None:
    base = settings.get("base_url")
    if not base or not internal_id or not internal_id.isdecimal():
        return None
    return f"{base.rstrip('/')}/#ticket/zoom/{internal_id}"


def _is_among_colleagues(ticket: Mapping[str, Any]) -> bool:
    """Whether the customer of a ticket is, by their roles, somebody who answers tickets."""
    roles = child(ticket, "customer", "roles")
    return isinstance(roles, list) and bool(roles) and not any(str(role).casefold() == "customer" for role in roles)


def _delivery(request: InboundRequest) -> str | None:
    """The id of Zammad's job, which is the same when it tries again."""
    delivery: str = storable(request.headers.get(_DELIVERY, "").strip()[:200])
    return delivery or None


# --- what happened -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Found:
    kind: EventKind
    notes: tuple[str, ...] = ()


_AMONG_COLLEAGUES: Final = _Found(
    EventKind.UNSUPPORTED,
    ("By their roles, the customer of this ticket works with Zammad themselves, so nobody is asked.",),
)


def _what_happened(ticket: Mapping[str, Any], settings: Mapping[str, Any]) -> _Found:
    state = _name(ticket, "state") or ""
    if _is_closed(state, settings):
        return _Found(EventKind.TICKET_CLOSED)
    if _common(state) in {"new", "open"}:
        if text_at(ticket, "close_at") or text_at(ticket, "last_close_at"):
            return _Found(EventKind.TICKET_REOPENED)
        return _Found(EventKind.UNSUPPORTED, ("The ticket is open and was never closed.",))
    return _Found(EventKind.UNSUPPORTED, (_why_not_closed(state),))


def _is_closed(state: str, settings: Mapping[str, Any]) -> bool:
    own = {name.strip().casefold() for name in settings.get("closed_states", "").split(",")}
    return _common(state) in {"closed", "solved"} or state.casefold() in own - {""}


def _common(state: str) -> str:
    return STATUS_WORDS.get(state.casefold(), state.casefold())


def _why_not_closed(state: str) -> str:
    if state.casefold() == "merged":
        return "The ticket was merged into another one, after whose closing its customer is asked."
    return "The ticket is in none of the states that mean closed; the source's setting closed_states can name more."


# --- payloads in our names -----------------------------------------------------------------------------------------


def _checked(event: Event, settings: Mapping[str, Any]) -> Event:
    """A trigger on every change sends its body for tickets that are not closed as well."""
    state = event.values.get("ticket.status")
    if not event.kind.closes or not isinstance(state, str) or _is_closed(state, settings):
        return event
    return replace(
        event,
        kind=EventKind.UNSUPPORTED,
        closing_mark=None,
        values={**event.values, "event.kind": EventKind.UNSUPPORTED.value},
        vendor_kind=state[:200],
        notes=(*event.notes, _why_not_closed(state)),
    )


def _broken(body: Mapping[str, Any], request: InboundRequest) -> Event:
    return make_event(
        EventKind.UNSUPPORTED,
        {},
        id=_delivery(request),
        time=None,
        subject=None,
        closing_mark=None,
        payload=body,
        vendor_kind="error",
        notes=(_BROKEN_PAYLOAD,),
    )
