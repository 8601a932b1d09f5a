"""Intercom: the webhook of an app, about conversations and tickets. Newer versions name contacts by their ids alone.

https://developers.intercom.com/docs/webhooks/webhook-notifications
https://developers.intercom.com/docs/references/webhooks/webhook-models
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final

from plugin.domain.event import Event, EventKind
from plugin.domain.fields import Flag, Origin, SecretText, StrictSchema, Text
from plugin.domain.survey_call import OutboundRequest, OutboundResponse
from plugin.errors import Unreadable
from plugin.triggers.base import Credentials, InboundRequest, Source
from plugin.triggers.base.events import child, make_event, text_at
from plugin.triggers.base.json_body import read_json
from plugin.triggers.base.proof import HmacRecipe, require_hmac, text_key
from plugin.triggers.base.times import read_time
from plugin.triggers.intercom import contacts
from plugin.triggers.intercom.items import Item
from plugin.triggers.intercom.topics import what_happened

API_ORIGINS: Final = ("https://api.intercom.io", "https://api.eu.intercom.io", "https://api.au.intercom.io")


class IntercomCredentials(StrictSchema):
    client_secret = SecretText(
        label="Client secret",
        help="Developer Hub > your app > Basic information. Intercom signs with it; the access token is another thing.",
        example="d8f9a0b1-4c2e-4f7a-9d31-5f2a6c8e0b74",
        required=True,
    )
    access_token = SecretText(
        label="Access token",
        help="Developer Hub > your app > Authentication, with the permission to read one user and one company. With it "
        "we ask for the contact's address, phone number and language, which newer messages leave out.",
        example="dG9rOmV4YW1wbGU6MToA",
    )
    api_origin = Origin(
        API_ORIGINS,
        label="Address of Intercom's API",
        help="Workspaces hosted in Europe and Australia have addresses of their own.",
        example=API_ORIGINS[0],
        load_default=API_ORIGINS[0],
    )


class IntercomSettings(StrictSchema):
    app_id = Text(
        label="Workspace ID",
        help="The code behind /apps/ in Intercom's address bar. What other workspaces send is dropped and counted.",
        example="lqh5r2xz",
        pattern=r"[A-Za-z0-9_-]{1,64}\Z",
        pattern_message="must hold nothing but letters, digits, - and _.",
    )
    without_teammate = Flag(
        label="Ask after conversations that no teammate took part in",
        help="Otherwise nobody is asked who has talked to a bot alone.",
        load_default=False,
    )


SOURCE: Final = Source(
    title="Intercom",
    credentials=IntercomCredentials,
    settings=IntercomSettings,
    account="app_id",
    events=frozenset({EventKind.CHAT_ENDED, EventKind.TICKET_CLOSED, EventKind.TICKET_REOPENED}),
    placeholders=(
        "chat.id",
        "chat.url",
        "chat.rating",
        "chat.visitor.name",
        "chat.visitor.email",
        "chat.visitor.phone",
        "chat.visitor.language",
        "chat.visitor.external_id",
        "chat.agent.name",
        "chat.agent.email",
        "ticket.id",
        "ticket.title",
        "ticket.status",
        "ticket.type",
        "ticket.channel",
        "ticket.tags",
        "ticket.created_at",
        "ticket.updated_at",
        "ticket.requester.name",
        "ticket.requester.email",
        "ticket.requester.phone",
        "ticket.requester.language",
        "ticket.requester.external_id",
        "ticket.assignee.name",
        "ticket.assignee.email",
        "ticket.custom.contact_id",
        "ticket.custom.contact_role",
        "person.email",
        "person.phone",
        "person.name",
        "person.language",
    ),
    help="An app's webhook calls us when a conversation or ticket is closed or opened again. Intercom signs each call.",
)

_RECIPE: Final = HmacRecipe(header="X-Hub-Signature", algorithm="sha1", prefix="sha1=")


def verify(request: InboundRequest, credentials: Credentials, now: datetime) -> None:
    require_hmac(request, text_key(credentials["client_secret"]), _RECIPE, now)


def parse(request: InboundRequest) -> list[Event]:
    if not request.body.strip():
        return []
    document = read_json(request.body)
    if not isinstance(document, dict):
        raise Unreadable("The body must be a JSON object, as Intercom's webhooks send it.")
    topic = text_at(document, "topic") or ""
    return [] if topic == "ping" else [_read(topic, document, request.settings)]


def lookup(event: Event, credentials: Credentials) -> OutboundRequest | None:
    return contacts.lookup(event, credentials)


def lookup_origins(credentials: Credentials) -> Collection[str]:
    return (credentials["api_origin"],)


def complete(event: Event, response: OutboundResponse) -> Event:
    return contacts.complete(event, response)


def _read(topic: str, document: Mapping[str, Any], settings: Mapping[str, Any]) -> Event:
    item = Item.of(topic, child(document, "data", "item"))
    found = what_happened(topic, item, settings)
    acted_on = found.kind is not EventKind.UNSUPPORTED
    values, remarks = item.values() if acted_on else ({}, ())
    mark = item.closing_moment() if found.kind.closes else None
    return make_event(
        found.kind,
        values,
        id=(text_at(document, "id") or "")[:200] or None,
        time=read_time(mark or text_at(document, "created_at") or ""),
        subject=item.subject,
        closing_mark=mark,
        payload=document,
        vendor_kind=f"{topic}: {found.detail}" if found.detail else topic,
        # Nobody is asked after a re-opening, so nothing need be said of whom that would be.
        notes=(*found.notes, *(remarks if found.kind.closes else ())),
        account=text_at(document, "app_id"),
    )
