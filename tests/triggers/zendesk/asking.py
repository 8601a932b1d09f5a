"""What tests of Zendesk's thin messages share: credentials, the answers of its APIs, and events to be completed."""

from __future__ import annotations

import json

from plugin.domain.survey_call import OutboundResponse
from plugin.triggers import zendesk

API = {"api_origin": "https://acme.zendesk.com", "api_email": "surveys@acme.example", "api_token": "token-1"}
MESSAGING_API = {
    "api_origin": "https://acme.zendesk.com",
    "conversations_key_id": "app_5deac3a7b8ffd80010d6ea05",
    "conversations_key_secret": "key-secret-1",
}


def load(**credentials):
    return zendesk.SOURCE.credentials().load(credentials)


def answered(document):
    return OutboundResponse(200, body=json.dumps(document).encode(), origin="https://acme.zendesk.com")


def only_event(load_trigger, recording):
    [event] = zendesk.parse(load_trigger("zendesk", recording))
    return event


#: What may stand where something else is expected.
ODD = [None, True, 0, -1, 10**30, 1.5, "", " ", "x", "{{x}}", [], [None], {}, {"": None}, {"email": 1}, "x" * 70_000]
