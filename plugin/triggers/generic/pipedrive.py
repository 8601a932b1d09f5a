"""Pipedrive: whose deal was won or lost. Its messages name the person by a number only.

https://pipedrive.readme.io/docs/guide-for-webhooks-v2; persons: https://developers.pipedrive.com/docs/api/v1/Persons.
A deal's `cc_email` is an intake address of Pipedrive's own, so it is never looked at.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Final

from plugin.domain.event import Event, EventKind, tidy_values
from plugin.domain.fields import Origin, SecretText, StrictSchema
from plugin.domain.survey_call import OutboundRequest, OutboundResponse
from plugin.errors import Unreadable
from plugin.triggers.base import Credentials
from plugin.triggers.base.json_body import read_json
from plugin.triggers.base.paths import Scope, read_path, read_text

ORIGIN: Final = "https://api.pipedrive.com"

#: What a receipt says until Pipedrive was asked.
UNNAMED: Final = (
    "Pipedrive names the person of a deal by a number only. Where the credentials of the source hold "
    "pipedrive.api_token, Pipedrive is asked for name and address."
)
#: Where the number of a deal's person stands, in messages of both versions.
PERSON_ID: Final = "data.person_id | current.person_id"
_IS_DEAL: Final = "meta.entity | meta.object"
#: What is taken of a person, in answers of both versions.
_PERSON: Final = {
    "person.name": "data.name",
    "person.email": "data.emails[primary=true].value | data.emails[0].value | data.email[primary=true].value",
    "person.phone": "data.phones[primary=true].value | data.phones[0].value | data.phone[primary=true].value",
}


class PipedriveCredentials(StrictSchema):
    api_token = SecretText(
        label="API token", help="Pipedrive: your name, Personal preferences, API.", required=True, example="0a1b2c..."
    )
    api_origin = Origin((ORIGIN,), label="Address of the API", example=ORIGIN, load_default=ORIGIN)


def lookup(event: Event, credentials: Credentials) -> OutboundRequest | None:
    """Asks for the person of a deal."""
    api = credentials.get("pipedrive")
    if not api or event.kind is not EventKind.CRM_CHANGED or event.values.keys() & _PERSON.keys():
        return None
    number = _person_id(event)
    if number is None:
        return None
    headers = (("x-api-token", api["api_token"]), ("accept", "application/json"))
    return OutboundRequest("GET", api["api_origin"], ("api", "v2", "persons", number), headers=headers)


def lookup_origins(credentials: Credentials) -> Collection[str]:
    api = credentials.get("pipedrive")
    return [api["api_origin"]] if api else []


def complete(event: Event, response: OutboundResponse) -> Event:
    """The event with its person. Raises Unreadable."""
    scope = Scope(read_json(response.body))
    if read_text("data.id", scope) != _person_id(event):
        raise Unreadable("Pipedrive answered with something else than the person of the deal.")
    tidied = tidy_values({name: read_path(path, scope) for name, path in _PERSON.items()})
    if not tidied.values:
        raise Unreadable("Pipedrive knows neither a name nor an address of the deal's person.")
    notes = tuple(note for note in event.notes if note != UNNAMED)
    return replace(
        event, values={**event.values, **tidied.values}, notes=(*notes, "Pipedrive was asked for the person.")
    )


def _person_id(event: Event) -> str | None:
    scope = Scope(event.payload)
    number = read_text(PERSON_ID, scope) if read_text(_IS_DEAL, scope) == "deal" else None
    return number if number is not None and number.isascii() and number.isdigit() and len(number) <= 20 else None
