from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from dataclasses import replace
from datetime import datetime

from plugin.triggers.base import InboundRequest
from tests.triggers.sender import Sender

SECRET = "client-secret-1"


def prove(request: InboundRequest, now: datetime) -> InboundRequest:
    """As an app's webhooks are signed: by the third version, with the first one beside it."""
    timestamp = str(int(now.timestamp() * 1000))
    signed = f"{request.method}{request.url}".encode() + request.body + timestamp.encode()
    proof = {
        "x-hubspot-signature-v3": b64encode(hmac.digest(SECRET.encode(), signed, hashlib.sha256)).decode(),
        "x-hubspot-request-timestamp": timestamp,
        "x-hubspot-signature": hashlib.sha256(SECRET.encode() + request.body).hexdigest(),
        "x-hubspot-signature-version": "v1",
    }
    return replace(request, headers={**request.headers, **proof})


def prove_by_the_first_version(request: InboundRequest, now: datetime) -> InboundRequest:
    """The first version's signature in the place of the third's."""
    proved = prove(request, now)
    return replace(proved, headers={**proved.headers, "x-hubspot-signature-v3": proved.headers["x-hubspot-signature"]})


TICKET = {
    "id": "35436",
    "properties": {
        "subject": "Printer on fire",
        "hs_pipeline": "0",
        "hs_pipeline_stage": "4",
        "hs_ticket_priority": "HIGH",
        "hs_v2_date_entered_4": "2026-01-02T03:04:01Z",
        "closed_date": "2026-01-02T03:04:01Z",
        "createdate": "2026-01-01T10:00:00Z",
        "hs_object_id": "35436",
    },
    "createdAt": "2026-01-01T10:00:00Z",
    "updatedAt": "2026-01-02T03:04:02Z",
    "archived": False,
    "associations": {"contacts": {"results": [{"id": "3234574", "type": "ticket_to_contact"}]}},
}
CONTACT = {
    "id": "3234574",
    "properties": {
        "email": "lucja.nowak@example.com",
        "firstname": "Łucja",
        "lastname": "Nowak",
        "phone": None,
        "mobilephone": "+48221234567",
        "hs_language": "pl",
        "hs_object_id": "3234574",
    },
    "archived": False,
}


def api(_method: str, target: str) -> tuple[int, object]:
    """HubSpot's CRM, as far as it is asked."""
    path, _, query = target.partition("?")
    if path == "/crm/v3/objects/tickets/35436" and "associations=contacts" in query:
        return 200, TICKET
    if path == "/crm/v3/objects/contacts/3234574":
        return 200, CONTACT
    return 404, {"status": "error", "category": "OBJECT_NOT_FOUND"}


SENDER = Sender(
    {"client_secret": SECRET, "api_token": "pat-eu1-token-0123456789", "api_origin": "$api"},
    "ticket_closed",
    prove,
    settings={"portal_id": "62515", "closed_stages": "4"},
    timed=True,
    outdated=[prove_by_the_first_version],
)
