from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from datetime import datetime

from plugin.triggers.base import InboundRequest
from tests.triggers.sender import Sender

SECRET = "chatwoot-webhook-secret"


def prove(request: InboundRequest, now: datetime) -> InboundRequest:
    timestamp = str(int(now.timestamp()))
    signature = hmac.digest(SECRET.encode(), timestamp.encode() + b"." + request.body, hashlib.sha256)
    proof = {"x-chatwoot-signature": f"sha256={signature.hex()}", "x-chatwoot-timestamp": timestamp}
    return replace(request, headers={**request.headers, **proof})


SENDER = Sender({"secret": SECRET}, "conversation_resolved", prove, settings={"account": "3"}, timed=True)
