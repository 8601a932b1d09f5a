"""HubSpot: an app's webhooks, and what workflows send by “Send a webhook” or by our own workflow action.

Webhooks are thin; the CRM is asked for the rest, see `records`.
"""

from __future__ import annotations

import codecs
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final

from marshmallow import ValidationError, validates_schema

from plugin.domain.event import Event, EventKind, as_text
from plugin.domain.fields import Group, Origin, SecretText, StrictSchema, Text
from plugin.domain.survey_call import OutboundRequest, OutboundResponse
from plugin.errors import SignatureInvalid
from plugin.triggers.base import Credentials, InboundRequest, Source
from plugin.triggers.base.credentials import HeaderCredentials
from plugin.triggers.base.json_body import read_json
from plugin.triggers.base.message import read_message
from plugin.triggers.base.proof import require_header
from plugin.triggers.hubspot import records
from plugin.triggers.hubspot.facts import Closed
from plugin.triggers.hubspot.signatures import is_signed, require_signature, signature_mark
from plugin.triggers.hubspot.webhooks import read_events
from plugin.triggers.hubspot.workflows import in_hubspots_ways, read_action, read_record

API_ORIGIN: Final = "https://api.hubapi.com"


class HubSpotCredentials(StrictSchema):
    client_secret = SecretText(
        label="Client secret",
        help="Of your app in HubSpot: it signs webhooks and workflow actions. No access token.",
        example="yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy",
    )
    header = Group(
        HeaderCredentials,
        label="API key in a header",
        help="For the workflow action “Send a webhook” with an API key; it counts for messages without a signature.",
    )
    api_token = SecretText(
        label="Access token",
        help="Of the app, with the scopes tickets, crm.objects.contacts.read and, for deals, crm.objects.deals.read: "
        "webhooks hold nothing but ids, and with it we ask HubSpot who the customer is.",
        example="pat-eu1-…",
    )
    api_origin = Origin(
        (API_ORIGIN,),
        label="Address of HubSpot's API",
        example=API_ORIGIN,
        load_default=API_ORIGIN,
    )

    @validates_schema
    def check_proof(self, data: Mapping[str, Any], **_: object) -> None:
        if not data.get("client_secret") and not data.get("header"):
            raise ValidationError("is required, or header instead.", "client_secret")


class HubSpotSettings(StrictSchema):
    portal_id = Text(
        label="HubSpot ID",
        help="The number of your account (portal). What an app sends about other accounts is dropped and counted.",
        example="62515",
        required=True,
        pattern=r"[1-9][0-9]{0,19}\Z",
        pattern_message="must be the account's number.",
    )
    closed_stages = Text(
        label="Closed stages",
        help="Ids of the ticket stages that mean “closed”, separated by commas: Settings > Objects > Tickets > "
        "Pipelines, behind each stage's name.",
        example="4, 108253671",
        load_default="",
    )


SOURCE: Final = Source(
    title="HubSpot",
    credentials=HubSpotCredentials,
    settings=HubSpotSettings,
    account="portal_id",
    events=frozenset({EventKind.TICKET_CLOSED, EventKind.TICKET_REOPENED, EventKind.CRM_CHANGED}),
    placeholders=(
        "ticket.id",
        "ticket.title",
        "ticket.status",
        "ticket.type",
        "ticket.priority",
        "ticket.via",
        "ticket.created_at",
        "ticket.updated_at",
        "ticket.custom.pipeline",
        "ticket.custom.stage",
        "ticket.custom.contact_id",
        "ticket.requester.email",
        "ticket.requester.phone",
        "ticket.requester.first_name",
        "ticket.requester.last_name",
        "ticket.requester.language",
        "ticket.requester.external_id",
        "crm.object",
        "crm.id",
        "crm.name",
        "crm.stage",
        "person.email",
        "person.phone",
        "person.name",
        "person.language",
    ),
    help="An app's webhooks or a workflow in HubSpot call us when a ticket is closed or a deal moves. HubSpot signs "
    "them.",
)


def verify(request: InboundRequest, credentials: Credentials, now: datetime) -> None:
    secret, header = credentials.get("client_secret"), credentials.get("header")
    if secret is not None and (header is None or is_signed(request)):
        require_signature(request, secret, now)
    elif header is not None:
        require_header(request, header["name"], header["value"])
    else:
        raise SignatureInvalid("The source has no credentials to check against.")


def replay_mark(request: InboundRequest, credentials: Credentials) -> str | None:
    return signature_mark(request) if credentials.get("client_secret") is not None else None


def parse(request: InboundRequest) -> list[Event]:
    body = request.body.lstrip().removeprefix(codecs.BOM_UTF8).lstrip()
    if not body.startswith((b"{", b"[")):
        return _in_our_names(request)
    document, closed = read_json(request.body), Closed.of(request.settings)
    if isinstance(document, list):
        return read_events(document, closed)
    if "subscriptionType" in document:
        return read_events([document], closed)
    if isinstance(document.get("object"), dict) or isinstance(document.get("inputFields"), dict):
        return [read_action(document, closed)]
    if any(name.partition(".")[0] in _OUR_ROOTS for name in document):
        return _in_our_names(request, as_text(document.get("portalId")))
    return [read_record(document, closed)]


#: What a body in our own names begins its names with.
_OUR_ROOTS: Final = frozenset({"ticket", "chat", "crm", "person", "event"})


def _in_our_names(request: InboundRequest, account: str | None = None) -> list[Event]:
    return [in_hubspots_ways(event, account) for event in read_message(request, kinds=SOURCE.events)]


def lookup(event: Event, credentials: Credentials) -> OutboundRequest | None:
    return records.lookup(event, credentials)


def lookup_origins(credentials: Credentials) -> Collection[str]:
    return (credentials["api_origin"],)


def complete(event: Event, response: OutboundResponse) -> Event:
    return records.complete(event, response)
