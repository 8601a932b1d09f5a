"""Zendesk in three ways: a webhook called by a trigger or an automation, whose body the customer writes; a webhook
subscribed to Zendesk's own ticket events, see `tickets`; and messaging, see `conversations`. The last two are thin.

https://developer.zendesk.com/documentation/webhooks/verifying/
https://support.zendesk.com/hc/en-us/articles/4408886858138
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final

from plugin.domain.event import Event, EventKind
from plugin.domain.survey_call import OutboundRequest, OutboundResponse
from plugin.errors import SignatureInvalid, Unreadable
from plugin.redaction import Secret
from plugin.triggers.base import Credentials, InboundRequest, Source
from plugin.triggers.base.json_body import read_json
from plugin.triggers.base.jwt import read_token
from plugin.triggers.base.message import read_message
from plugin.triggers.base.proof import HmacRecipe, hmac_replay_mark, require_header, require_hmac, text_key
from plugin.triggers.base.rsa_proof import rsa_public_key
from plugin.triggers.zendesk import conversations, tickets
from plugin.triggers.zendesk.credentials import ZendeskCredentials, ZendeskSettings

SOURCE: Final = Source(
    title="Zendesk",
    credentials=ZendeskCredentials,
    settings=ZendeskSettings,
    account="account",
    events=frozenset({EventKind.TICKET_CLOSED, EventKind.TICKET_REOPENED, EventKind.CHAT_ENDED}),
    placeholders=(
        "ticket.id",
        "ticket.link",
        "ticket.status",
        "ticket.type",
        "ticket.priority",
        "ticket.via",
        "ticket.tags",
        "ticket.created_at",
        "ticket.updated_at",
        "ticket.brand.name",
        "ticket.group.name",
        "ticket.requester.email",
        "ticket.requester.phone",
        "ticket.requester.language",
        "ticket.requester.external_id",
        "ticket.assignee.name",
        "ticket.assignee.email",
        "chat.id",
        "chat.visitor.email",
        "chat.visitor.language",
        "person.email",
        "person.phone",
        "person.language",
    ),
    help="A trigger or an automation in Zendesk calls us when a ticket is solved. Zendesk signs each call. Its own "
    "ticket events and messaging are understood as well.",
    # Zendesk signs the requests of its webhook editor with this secret, which its documentation publishes: it proves
    # nothing, and so it counts only where no vendor is called.
    test_credentials={"signing_secret": Secret("dGhpc19zZWNyZXRfaXNfZm9yX3Rlc3Rpbmdfb25seQ==")},
)

_RECIPE: Final = HmacRecipe(
    header="X-Zendesk-Webhook-Signature",
    encoding="base64",
    message="{timestamp}{body}",
    timestamp_header="X-Zendesk-Webhook-Signature-Timestamp",
    timestamp_unit="iso",
)

#: Zendesk's spelling of placeholders that we name otherwise. Without `_with_timestamp` its times are dates for people.
_ALIASES: Final[Mapping[str, str]] = {
    "ticket.ticket_type": "ticket.type",
    "ticket.created_at_with_timestamp": "ticket.created_at",
    "ticket.updated_at_with_timestamp": "ticket.updated_at",
}


#: The names in the bodies that we give out, before `sent_for`: those of manifests/zendesk.
BODIES: Final[Mapping[str, tuple[str, ...]]] = {
    "ticket.closed": (
        *("event.kind", "ticket.id", "ticket.external_id", "ticket.link", "ticket.status", "ticket.type"),
        *("ticket.priority", "ticket.via", "ticket.tags", "ticket.created_at", "ticket.updated_at"),
        *("ticket.brand.name", "ticket.group.name", "ticket.requester.email", "ticket.requester.phone"),
        *("ticket.requester.language", "ticket.requester.external_id", "ticket.assignee.name", "ticket.assignee.email"),
    ),
    "ticket.reopened": (
        *("event.kind", "ticket.id", "ticket.link", "ticket.status", "ticket.updated_at", "ticket.requester.email"),
    ),
}

#: Where messaging puts its shared secret.
_PROOF_OF_MESSAGING: Final = "X-API-Key"

#: What every message of Zendesk's own making holds; others need not be looked at twice.
_FIXED_MARKS: Final = (tickets.PREFIX.encode(), b'"events"')


def verify(request: InboundRequest, credentials: Credentials, now: datetime) -> None:
    match credentials:
        case {"signing_secret": secret}:
            # The secret looks like base64, but Zendesk signs with its text.
            require_hmac(request, text_key(secret), _RECIPE, now)
        case {"conversations_secret": secret}:
            require_header(request, _PROOF_OF_MESSAGING, secret)
        case _:
            raise SignatureInvalid("The source has no credentials to check against.")


def verify_frame(token: str, credentials: Credentials, now: datetime) -> str:
    """Whether Zendesk itself has opened the page of our app, in this account; gives the origin that shows it."""
    app = credentials.get("app")
    if app is None:
        raise SignatureInvalid("The source has no `app` to check against.")
    claims = read_token(token, rsa_public_key(app["public_key"]), now)
    host = f"{app['subdomain']}.zendesk.com"
    if claims.get("iss") not in {host, f"https://{host}"}:
        raise SignatureInvalid("The token is of another Zendesk.")
    # One private app belongs to one account, so which of its installations it is does not matter.
    if not re.fullmatch(rf"https://{re.escape(host)}/api/v2/apps/installations/\d+\.json", str(claims.get("aud"))):
        raise SignatureInvalid("The token was made for something else.")
    return f"https://{host}"


def replay_mark(request: InboundRequest, credentials: Credentials) -> str | None:
    return hmac_replay_mark(request, _RECIPE) if "signing_secret" in credentials else None


def parse(request: InboundRequest) -> list[Event]:
    document = _fixed_message(request.body)
    if tickets.is_ticket_event(document):
        return [tickets.read_ticket_event(document)]
    if conversations.is_conversations(document):
        return conversations.read_conversations(document)
    return read_message(
        request, kinds=SOURCE.events, id_headers=("x-zendesk-webhook-invocation-id",), aliases=_ALIASES, bodies=BODIES
    )


def lookup(event: Event, credentials: Credentials) -> OutboundRequest | None:
    # Not of a re-opening: it ends a closing, and that must not wait.
    if event.kind is EventKind.TICKET_CLOSED:
        return tickets.lookup(event, credentials)
    return conversations.lookup(event, credentials) if event.kind is EventKind.CHAT_ENDED else None


def lookup_origins(credentials: Credentials) -> Collection[str]:
    return [origin] if (origin := credentials.get("api_origin")) else []


def complete(event: Event, response: OutboundResponse) -> Event:
    if event.kind is EventKind.CHAT_ENDED:
        return conversations.complete(event, response)
    return tickets.complete(event, response)


def _fixed_message(body: bytes) -> Any:
    """What could be one of Zendesk's own messages; None for a body that the customer has written."""
    if not any(mark in body for mark in _FIXED_MARKS):
        return None
    try:
        return read_json(body)
    except Unreadable:
        # A customer's text may quote such a mark, and break the JSON that it stands in.
        return None
