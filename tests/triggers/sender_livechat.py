from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime

from plugin.triggers.base import InboundRequest
from tests.triggers.sender import Sender

SECRET = "livechat-secret-key"


def prove(request: InboundRequest, _now: datetime) -> InboundRequest:
    """The secret stands in the body, where recordings have none."""
    message = json.loads(request.body)
    message["secret_key" if "secret_key" in message else "token"] = SECRET
    return replace(request, body=json.dumps(message, ensure_ascii=False, indent=2).encode())


SENDER = Sender(
    {"secret_key": SECRET}, "chat_deactivated", prove, before=["incoming_chat"], covers_body=False, in_body=True
)
