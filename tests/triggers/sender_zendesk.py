from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Mapping
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


def prove_by_the_first_recipe(request: InboundRequest, now: datetime) -> InboundRequest:
    """As an early version of Zendesk's page has it: the body first, the time behind it."""
    proved = prove(request, now)
    timestamp = proved.headers["x-zendesk-webhook-signature-timestamp"]
    signature = b64encode(hmac.digest(SECRET.encode(), request.body + timestamp.encode(), hashlib.sha256)).decode()
    return replace(proved, headers={**proved.headers, "x-zendesk-webhook-signature": signature})


#: The account of Zendesk and the app of messaging that the recordings are about, by how their names begin.
ACCOUNTS = {"event_": "9001", "conversations_": "5698edbf2a43bd081be982f1"}


def settings_of(recording: str) -> Mapping[str, str] | None:
    return next(({"account": account} for prefix, account in ACCOUNTS.items() if recording.startswith(prefix)), None)


SENDER = Sender(
    {"signing_secret": SECRET},
    "ticket_closed",
    prove,
    timed=True,
    outdated=[prove_by_the_first_recipe],
    settings_of=settings_of,
)
