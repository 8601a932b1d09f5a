"""Zendesk Support: a webhook called by a trigger or an automation, whose body the customer writes.

https://developer.zendesk.com/documentation/webhooks/verifying/
https://support.zendesk.com/hc/en-us/articles/4408886858138
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from marshmallow import ValidationError

from plugin.domain.event import Event, EventKind
from plugin.domain.fields import Group, SecretText, StrictSchema, Text
from plugin.errors import SignatureInvalid
from plugin.redaction import Secret
from plugin.triggers.base import Credentials, InboundRequest, Source
from plugin.triggers.base.jwt import read_token, rsa_public_key
from plugin.triggers.base.message import read_message
from plugin.triggers.base.proof import HmacRecipe, hmac_replay_mark, require_hmac, text_key


def _check_key(pem: str) -> None:
    try:
        rsa_public_key(pem)
    except ValueError as error:
        raise ValidationError(str(error)) from None


class ZendeskApp(StrictSchema):
    subdomain = Text(
        label="Subdomain",
        help="The first part of your Zendesk's address.",
        example="acme",
        required=True,
        pattern=r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z",
        pattern_message="must be the part before .zendesk.com, in small letters.",
    )
    public_key = Text(
        label="Public key",
        help="Of the app, as /api/v2/apps/<id of the app>/public_key.pem of your Zendesk gives it to an admin.",
        example="-----BEGIN PUBLIC KEY-----…",
        required=True,
        multiline=True,
        max_length=4000,
        checks=[_check_key],
    )


class ZendeskCredentials(StrictSchema):
    signing_secret = SecretText(
        label="Signing secret",
        help="Admin Center > Apps and integrations > Webhooks > your webhook > Signing secret > Reveal secret.",
        example="dGhpc19pc19hbl9leGFtcGxlX29mX2Ffc2VjcmV0",
        required=True,
    )
    app = Group(
        ZendeskApp,
        label="Zendesk app",
        help="Only for the page that our app shows inside Zendesk: what proves that it is opened there.",
    )


SOURCE: Final = Source(
    title="Zendesk",
    credentials=ZendeskCredentials,
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
        "person.email",
        "person.phone",
        "person.language",
    ),
    help="A trigger or an automation in Zendesk calls us when a ticket is solved. Zendesk signs each call.",
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


def verify(request: InboundRequest, credentials: Credentials, now: datetime) -> None:
    # The secret looks like base64, but Zendesk signs with its text.
    require_hmac(request, text_key(credentials["signing_secret"]), _RECIPE, now)


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


def replay_mark(request: InboundRequest, credentials: Credentials) -> str | None:  # noqa: ARG001  # one recipe for all
    return hmac_replay_mark(request, _RECIPE)


def parse(request: InboundRequest) -> list[Event]:
    events = read_message(
        request,
        kinds=SOURCE.events,
        id_headers=("x-zendesk-webhook-invocation-id",),
        aliases=_ALIASES,
        bodies=BODIES,
    )
    return [_name_subscription(event) for event in events]


def _name_subscription(event: Event) -> Event:
    """Zendesk's own event messages say neither who the customer is nor anything in our names: tell how to mend that."""
    subscription = event.payload.get("type")
    if not isinstance(subscription, str) or not subscription.startswith("zen:event-type:"):
        return event
    advice = "This webhook is connected to Zendesk events; create one that is connected to a trigger or automation."
    return replace(event, kind=EventKind.UNSUPPORTED, vendor_kind=subscription[:200], notes=(advice,))
