"""Zendesk Support: a webhook called by a trigger or an automation, whose body the customer writes.

https://developer.zendesk.com/documentation/webhooks/verifying/
https://support.zendesk.com/hc/en-us/articles/4408886858138
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from plugin.domain.event import Event, EventKind
from plugin.domain.fields import SecretText, StrictSchema
from plugin.redaction import Secret
from plugin.triggers.base import Credentials, InboundRequest, Source
from plugin.triggers.base.message import read_message
from plugin.triggers.base.proof import HmacRecipe, hmac_replay_mark, require_hmac, text_key


class ZendeskCredentials(StrictSchema):
    signing_secret = SecretText(
        label="Signing secret",
        help="Admin Center > Apps and integrations > Webhooks > your webhook > Signing secret > Reveal secret.",
        example="dGhpc19pc19hbl9leGFtcGxlX29mX2Ffc2VjcmV0",
        required=True,
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


def verify(request: InboundRequest, credentials: Credentials, now: datetime) -> None:
    # The secret looks like base64, but Zendesk signs with its text.
    require_hmac(request, text_key(credentials["signing_secret"]), _RECIPE, now)


def replay_mark(request: InboundRequest, credentials: Credentials) -> str | None:  # noqa: ARG001  # one recipe for all
    return hmac_replay_mark(request, _RECIPE)


def parse(request: InboundRequest) -> list[Event]:
    events = read_message(
        request, kinds=SOURCE.events, id_headers=("x-zendesk-webhook-invocation-id",), aliases=_ALIASES
    )
    return [_name_subscription(event) for event in events]


def _name_subscription(event: Event) -> Event:
    """Zendesk's own event messages say neither who the customer is nor anything in our names: tell how to mend that."""
    subscription = event.payload.get("type")
    if not isinstance(subscription, str) or not subscription.startswith("zen:event-type:"):
        return event
    advice = "This webhook is connected to Zendesk events; create one that is connected to a trigger or automation."
    return replace(event, kind=EventKind.UNSUPPORTED, vendor_kind=subscription[:200], notes=(advice,))
