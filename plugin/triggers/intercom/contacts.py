"""Who the customer is: by the one path that each version of the messages has for it, and by Intercom's API.

https://developers.intercom.com/docs/references/rest-api/api.intercom.io/contacts/showcontact
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from plugin.domain.event import Event, EventKind, tidy_values
from plugin.domain.survey_call import OutboundRequest, OutboundResponse
from plugin.errors import Unreadable
from plugin.redaction import Secret
from plugin.triggers.base import Credentials
from plugin.triggers.base.events import child, text_at
from plugin.triggers.base.json_body import read_json

#: The version whose answers are read here, whatever the app's own is.
API_VERSION: Final = "2.14"

#: Whom the customer's place may hold; a teammate (admin), a team or a bot there is none.
_CUSTOMERS: Final = frozenset({"user", "lead", "contact", "visitor"})
CONTACT_ID: Final = "ticket.custom.contact_id"
#: Told by the API alone, and so also the sign that it was asked.
CONTACT_ROLE: Final = "ticket.custom.contact_role"
UNSUBSCRIBED: Final = "ticket.custom.contact_unsubscribed"

_ID: Final = re.compile(r"[0-9A-Za-z_-]{1,100}", re.ASCII)

NO_ADDRESS: Final = "The message holds no e-mail address; with an access token Intercom is asked for the contact's."
NO_CONTACT: Final = "The message names no contact, so nobody can be asked."
UNREACHABLE: Final = "The contact has neither an e-mail address nor a phone number in Intercom."


def person_of(told: Mapping[str, Any], prefix: str) -> tuple[dict[str, object], tuple[str, ...]]:
    """The customer of a conversation or a ticket as raw values under `prefix`, and what is to be said of the choice."""
    contact, notes = _chosen(told)
    if contact is None:
        return {}, (*notes, NO_CONTACT)
    if text_at(contact, "email") is None:
        notes = (*notes, NO_ADDRESS)
    values: dict[str, object] = {
        f"{prefix}.name": text_at(contact, "name"),
        f"{prefix}.email": text_at(contact, "email"),
        f"{prefix}.phone": text_at(contact, "phone"),
        f"{prefix}.external_id": text_at(contact, "external_id") or text_at(contact, "user_id"),
        CONTACT_ID: text_at(contact, "id"),
    }
    return values, notes


def _chosen(told: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, tuple[str, ...]]:
    """The user of older versions. Of newer ones the contact who began the conversation, else the first listed."""
    user = told.get("user")
    if isinstance(user, Mapping):
        return (user if _is_customer(user) else None), ()
    listed = [one for one in _listed(told) if text_at(one, "id")]
    author = child(told, "source", "author")
    author = author if isinstance(author, Mapping) and _is_customer(author) else None
    if not listed:
        return author, ()
    began = next((one for one in listed if author and text_at(one, "id") == text_at(author, "id")), None)
    notes = _notes_on_several(len(listed), who="who began the conversation" if began else "listed first")
    # The contact is an id; the author beside it has a name and, where it is known, an address.
    return ({**(author or {}), **_filled(began)} if began else listed[0]), notes


def _listed(told: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """A list in an envelope of its own or, in some versions, without one."""
    contacts = told.get("contacts")
    listed = child(contacts, "contacts") if isinstance(contacts, Mapping) else contacts
    persons = listed if isinstance(listed, list) else []
    return [one for one in persons if isinstance(one, Mapping) and _is_customer(one)]


def _is_customer(person: Mapping[str, Any]) -> bool:
    """A contact without a type is one by the place where it stands."""
    return (text_at(person, "type") or "contact") in _CUSTOMERS


def _filled(person: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in person.items() if value is not None and value != ""}


def _notes_on_several(count: int, who: str) -> tuple[str, ...]:
    return (f"Of {count} contacts, the one {who} was taken; the others are not asked.",) if count > 1 else ()


# --- what the API is asked for ----------------------------------------------------------------------------------------


def lookup(event: Event, credentials: Credentials) -> OutboundRequest | None:
    """The contact of a closing, asked for once: besides the address it tells the language, which no message does."""
    token, number = credentials.get("access_token"), event.values.get(CONTACT_ID)
    if token is None or not event.kind.closes or CONTACT_ROLE in event.values:
        return None
    if not isinstance(number, str) or not _ID.fullmatch(number):
        return None
    return OutboundRequest(
        "GET",
        credentials["api_origin"],
        path=("contacts", number),
        headers=(
            ("Authorization", Secret(f"Bearer {token.reveal()}")),
            ("Accept", "application/json"),
            ("Intercom-Version", API_VERSION),
        ),
        disguised=(token,),
    )


def complete(event: Event, response: OutboundResponse) -> Event:
    contact = None if response.cut else read_json(response.body)
    if not isinstance(contact, Mapping) or text_at(contact, "type") != "contact":
        raise Unreadable("Intercom's answer holds no contact.")
    role = text_at(contact, "role")
    prefix = "chat.visitor" if event.kind is EventKind.CHAT_ENDED else "ticket.requester"
    told = tidy_values(
        {
            f"{prefix}.name": text_at(contact, "name"),
            f"{prefix}.email": text_at(contact, "email"),
            f"{prefix}.phone": text_at(contact, "phone"),
            f"{prefix}.external_id": text_at(contact, "external_id"),
            # What a teammate or the workspace's own code has set counts before what the browser is set to.
            f"{prefix}.language": text_at(contact, "language_override") or text_at(contact, "browser_language"),
            CONTACT_ROLE: role if role in _CUSTOMERS else "contact",
            UNSUBSCRIBED: text_at(contact, "unsubscribed_from_emails"),
        }
    )
    values = {**told.values, **event.values}
    reachable = values.keys() & {"person.email", "person.phone"}
    return replace(event, values=values, notes=(*event.notes, *(() if reachable else (UNREACHABLE,))))
