"""Freshdesk: a webhook called by an automation rule, or our app; and Freshchat, which signs its own messages.

https://support.freshdesk.com/support/solutions/articles/132589 (webhooks of automation rules)
https://crmsupport.freshworks.com/support/solutions/articles/50000004461 (Freshchat's messages and their signature)
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from marshmallow import ValidationError, validates_schema

from plugin.domain.event import Event, EventKind
from plugin.domain.fields import Group, Origin, SecretText, StrictSchema, Text
from plugin.errors import SignatureInvalid
from plugin.triggers.base import Credentials, InboundRequest, Source
from plugin.triggers.base.credentials import BasicCredentials, HeaderCredentials
from plugin.triggers.base.message import read_message
from plugin.triggers.base.proof import require_basic, require_header
from plugin.triggers.base.rsa_proof import require_rsa_signature, rsa_public_key
from plugin.triggers.freshdesk import chats, tickets
from plugin.triggers.freshdesk.chats import API_ORIGINS, complete, lookup, lookup_origins
from plugin.triggers.freshdesk.tickets import BODIES

__all__ = ["SOURCE", "complete", "lookup", "lookup_origins", "parse", "verify"]

_PROOFS: Final = ("basic", "header", "freshchat_public_key")


def _check_key(text: str) -> None:
    try:
        rsa_public_key(text)
    except ValueError:
        raise ValidationError("must be an RSA public key: all of it, from BEGIN to END.") from None


class FreshdeskCredentials(StrictSchema):
    basic = Group(
        BasicCredentials,
        label="User and password",
        help="Entered in the automation rule under Requires authentication.",
    )
    header = Group(
        HeaderCredentials,
        label="Secret header",
        help="Entered in the automation rule under Add custom headers, or given to our app when it is installed.",
    )
    freshchat_public_key = Text(
        label="Public key of Freshchat",
        help="For chats: shown in Freshchat beside the webhook's address. Copy all of it.",
        example="-----BEGIN RSA PUBLIC KEY----- MIIBIjANBgkqhkiG9w0BAQ... -----END RSA PUBLIC KEY-----",
        multiline=True,
        max_length=4000,
        checks=[_check_key],
    )
    api_token = SecretText(
        label="API token of Freshchat",
        help="Freshchat's messages hold no e-mail address; with this token it is asked for it.",
    )
    api_origin = Origin(
        API_ORIGINS,
        label="Address of Freshchat's API",
        help="Shown in Freshchat beside the API token; scheme and host alone.",
        example=API_ORIGINS[0],
    )

    @validates_schema
    def check_one(self, data: Mapping[str, Any], **_: object) -> None:
        given = [name for name in _PROOFS if data.get(name)]
        if len(given) != 1:
            raise ValidationError(f"give exactly one of: {', '.join(_PROOFS)}.")
        if given != ["freshchat_public_key"] and data.get("api_token"):
            raise ValidationError("is for Freshchat; Freshdesk's own messages say who the customer is.", "api_token")


SOURCE: Final = Source(
    title="Freshdesk",
    credentials=FreshdeskCredentials,
    events=frozenset({EventKind.TICKET_CLOSED, EventKind.TICKET_REOPENED, EventKind.CHAT_ENDED}),
    placeholders=(
        "ticket.id",
        "ticket.url",
        "ticket.status",
        "ticket.type",
        "ticket.priority",
        "ticket.via",
        "ticket.tags",
        "ticket.updated_at",
        "ticket.group.name",
        "ticket.requester.email",
        "ticket.requester.phone",
        "ticket.requester.language",
        "ticket.assignee.name",
        "ticket.assignee.email",
        "ticket.organization.name",
        "chat.id",
        "chat.visitor.name",
        "chat.visitor.email",
        "chat.visitor.phone",
        "chat.visitor.external_id",
        "person.email",
        "person.phone",
        "person.language",
    ),
    help="An automation rule or our app in Freshdesk calls us when a ticket is resolved; Freshchat when a chat is.",
)


def verify(request: InboundRequest, credentials: Credentials, now: datetime) -> None:  # noqa: ARG001  # no proof here covers a time
    match credentials:
        case {"basic": basic}:
            require_basic(request, basic["user"], basic["password"])
        case {"header": header}:
            require_header(request, header["name"], header["value"])
        case {"freshchat_public_key": key}:
            require_rsa_signature(request, rsa_public_key(key), "X-Freshchat-Signature")
        case _:
            raise SignatureInvalid("The source has no credentials to check against.")


def parse(request: InboundRequest) -> list[Event]:
    events = read_message(request, kinds=SOURCE.events, aliases=tickets.ALIASES, bodies=BODIES, translate=_in_our_names)
    return [_judged(event) for event in events]


def _in_our_names(message: Mapping[str, Any]) -> Mapping[str, Any]:
    return chats.in_our_names(message) if chats.is_chat(message) else tickets.in_our_names(message)


def _judged(event: Event) -> Event:
    return chats.judged(event) if chats.is_chat(event.payload) else tickets.judged(event)
