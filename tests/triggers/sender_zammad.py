from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from datetime import datetime

from plugin.triggers.base import InboundRequest
from tests.triggers.sender import Sender

TOKEN = "zammad-signature-token"


def prove(request: InboundRequest, _now: datetime) -> InboundRequest:
    signature = hmac.digest(TOKEN.encode(), request.body, hashlib.sha1)
    return replace(request, headers={**request.headers, "x-hub-signature": f"sha1={signature.hex()}"})


SENDER = Sender({"signature_token": TOKEN}, "ticket_closed", prove)
