from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from datetime import datetime

from plugin.triggers.base import InboundRequest
from tests.triggers.sender import Sender

SECRET = "intercom-client-secret"

CONTACT = {
    "type": "contact",
    "id": "696346bbaebb5a479d3851a3",
    "workspace_id": "lqh5r2xz",
    "external_id": "C-1024",
    "role": "user",
    "email": "lucja.nowak@example.com",
    "phone": "+48221234567",
    "name": "Łucja Nowak",
    "owner_id": 9608799,
    "unsubscribed_from_emails": False,
    "language_override": None,
    "browser_language": "pl",
    "location": {"type": "location", "country": "Poland"},
}


def prove(request: InboundRequest, _now: datetime) -> InboundRequest:
    signature = hmac.digest(SECRET.encode(), request.body, hashlib.sha1).hex()
    return replace(request, headers={**request.headers, "x-hub-signature": f"sha1={signature}"})


def api(method: str, target: str) -> tuple[int, object]:
    """Intercom's API, as far as it is asked."""
    if (method, target) == ("GET", f"/contacts/{CONTACT['id']}"):
        return 200, CONTACT
    return 404, {"type": "error.list", "errors": [{"code": "not_found", "message": "Resource not found"}]}


SENDER = Sender(
    {"client_secret": SECRET, "access_token": "dG9rOmV4YW1wbGU6MToA", "api_origin": "$api"},
    "ticket_closed",
    prove,
    settings={"app_id": "lqh5r2xz"},
)
