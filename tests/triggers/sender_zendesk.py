from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from dataclasses import replace
from datetime import datetime

from plugin.triggers.base import InboundRequest
from tests.triggers.sender import Sender

SECRET = "zendesk-signing-secret"


def prove(request: InboundRequest, now: datetime) -> InboundRequest:
    timestamp = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    signature = hmac.digest(SECRET.encode(), timestamp.encode() + request.body, hashlib.sha256)
    proof = {
        "x-zendesk-webhook-signature": b64encode(signature).decode(),
        "x-zendesk-webhook-signature-timestamp": timestamp,
    }
    return replace(request, headers={**request.headers, **proof})


SENDER = Sender({"signing_secret": SECRET}, "ticket_closed", prove, timed=True)
