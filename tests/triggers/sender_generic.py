from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from plugin.triggers.base import InboundRequest
from tests.triggers.sender import Sender

TOKEN = "generic-bearer-token"


def prove(request: InboundRequest, _now: datetime) -> InboundRequest:
    return replace(request, headers={**request.headers, "authorization": f"Bearer {TOKEN}"})


SENDER = Sender({"bearer": TOKEN}, "ticket_closed_nested", prove, covers_body=False)
