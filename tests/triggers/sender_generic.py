from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from plugin.triggers.base import InboundRequest
from plugin.triggers.generic.presets import PRESETS
from tests.triggers.sender import Sender

TOKEN = "generic-bearer-token"


def prove(request: InboundRequest, _now: datetime) -> InboundRequest:
    return replace(request, headers={**request.headers, "authorization": f"Bearer {TOKEN}"})


def settings_of(recording: str) -> Mapping[str, str] | None:
    """By the preset that a recording is named after."""
    preset = next((name for name in PRESETS if recording.startswith(f"{name}_")), None)
    if preset == "salesforce_outbound":
        return {"preset": preset, "account": "00D000000000001AAA"}
    return {"preset": preset} if preset else None


SENDER = Sender({"bearer": TOKEN}, "ticket_closed_nested", prove, covers_body=False, settings_of=settings_of)
