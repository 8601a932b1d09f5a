from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from dataclasses import replace
from datetime import datetime

from plugin.triggers.base import InboundRequest
from tests.triggers.sender import Sender

SECRET = "helpscout-webhook-secret"


def prove(request: InboundRequest, _now: datetime) -> InboundRequest:
    signature = hmac.digest(SECRET.encode(), request.body, hashlib.sha1)
    return replace(request, headers={**request.headers, "x-helpscout-signature": b64encode(signature).decode()})


SENDER = Sender({"secret": SECRET}, "convo_closed", prove)
