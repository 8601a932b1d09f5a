"""Anything that can call a URL: with values of the customer's choice, or read as the tenant or a preset says.

Salesforce: https://developer.salesforce.com/docs/atlas.en-us.api.meta/api/sforce_api_om_outboundmessaging.htm. A SOAP
message may carry a session id, which is a key to the sender's whole system: it is taken out before anything is kept.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from plugin.domain.event import Event, EventKind
from plugin.errors import SignatureInvalid
from plugin.triggers.base import Credentials, InboundAnswer, InboundRequest, Source
from plugin.triggers.base.proof import (
    base64_key,
    hmac_replay_mark,
    require_basic,
    require_bearer,
    require_header,
    require_hmac,
    require_standard_webhook,
    standard_replay_mark,
)
from plugin.triggers.generic.credentials import GenericCredentials, hmac_key, hmac_recipe
from plugin.triggers.generic.pipedrive import complete, lookup, lookup_origins
from plugin.triggers.generic.reading import leaves_of, read_as_set
from plugin.triggers.generic.settings import ReadingSchema

__all__ = [
    "SOURCE",
    "answer",
    "complete",
    "leaves_of",
    "lookup",
    "lookup_origins",
    "parse",
    "replay_mark",
    "verify",
    "without_secrets",
]

SOURCE: Final = Source(
    title="Any other system",
    credentials=GenericCredentials,
    events=frozenset({EventKind.TICKET_CLOSED, EventKind.TICKET_REOPENED, EventKind.CHAT_ENDED, EventKind.CRM_CHANGED}),
    placeholders=(
        "ticket.id",
        "ticket.requester.email",
        "chat.id",
        "chat.visitor.email",
        "crm.object",
        "crm.id",
        "person.email",
        "person.phone",
        "person.name",
        "person.language",
    ),
    help="Any helpdesk, chat or CRM that can call a URL with JSON, XML, a form or a query string, written by you or as "
    "it comes.",
    settings=ReadingSchema,
    account="account",
)


def verify(request: InboundRequest, credentials: Credentials, now: datetime) -> None:
    match credentials:
        case {"bearer": token}:
            require_bearer(request, token)
        case {"basic": basic}:
            require_basic(request, basic["user"], basic["password"])
        case {"header": header}:
            require_header(request, header["name"], header["value"])
        case {"standard_webhooks": secret}:
            require_standard_webhook(request, base64_key(secret), now)
        case {"hmac": dials}:
            require_hmac(request, hmac_key(dials), hmac_recipe(dials), now)
        case {"url_only": True}:
            return
        case _:
            raise SignatureInvalid("The source has no credentials to check against.")


def replay_mark(request: InboundRequest, credentials: Credentials) -> str | None:
    match credentials:
        case {"standard_webhooks": _}:
            return standard_replay_mark(request)
        case {"hmac": dials}:
            return hmac_replay_mark(request, hmac_recipe(dials))
        case _:
            return None


def parse(request: InboundRequest) -> list[Event]:
    return read_as_set(request, SOURCE.events)


# --- Salesforce's outbound messages -----------------------------------------------------------------------------------

_OUTBOUND_MESSAGE: Final = b"http://soap.sforce.com/2005/09/outbound"
#: Anything else is taken as "not delivered", and sent again for a day.
_ACKNOWLEDGED: Final = (
    b'<?xml version="1.0" encoding="UTF-8"?>'
    b'<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>'
    b'<notificationsResponse xmlns="http://soap.sforce.com/2005/09/outbound"><Ack>true</Ack></notificationsResponse>'
    b"</soapenv:Body></soapenv:Envelope>"
)
# Not the empty element that says there is none. Each piece ends where the next begins, so the time stays linear.
_SESSION: Final = re.compile(
    rb"(<(?:[\w.-]++:)?SessionId(?=[\s>])[^<>]*+(?<!/)>).*?(?=</(?:[\w.-]++:)?SessionId|\Z)", re.DOTALL
)


def answer(request: InboundRequest, events: Sequence[Event]) -> InboundAnswer | None:
    """Salesforce wants its own acknowledgement; all others get ours."""
    del events  # those it is not about are acknowledged as well
    if _OUTBOUND_MESSAGE not in request.body:
        return None
    return InboundAnswer(200, "text/xml; charset=utf-8", _ACKNOWLEDGED)


def without_secrets(body: bytes) -> bytes:
    """The body as it is kept."""
    return _SESSION.sub(rb"\1", body)
