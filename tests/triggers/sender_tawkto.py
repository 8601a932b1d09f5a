from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from datetime import datetime

from plugin.triggers.base import InboundRequest
from tests.triggers.sender import Sender

SECRET = "tawkto-secret-key"


def prove(request: InboundRequest, _now: datetime) -> InboundRequest:
    signature = hmac.digest(SECRET.encode(), request.body, hashlib.sha1).hex()
    return replace(request, headers={**request.headers, "x-tawk-signature": signature})


SENDER = Sender({"secret_key": SECRET}, "chat_end", prove)
