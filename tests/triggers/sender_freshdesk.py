from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from plugin.triggers.base import InboundRequest
from tests.triggers.sender import Sender

SECRET = "freshdesk-header-secret"


def prove(request: InboundRequest, _now: datetime) -> InboundRequest:
    return replace(request, headers={**request.headers, "x-survey-secret": SECRET})


SENDER = Sender({"header": {"name": "X-Survey-Secret", "value": SECRET}}, "ticket_closed", prove, covers_body=False)
