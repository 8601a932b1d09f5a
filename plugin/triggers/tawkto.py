"""tawk.to: webhooks of a property, signed over their body.

https://developer.tawk.to/webhooks/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from plugin.domain.event import Event, EventKind
from plugin.domain.fields import SecretText, StrictSchema
from plugin.errors import Unreadable
from plugin.triggers.base import Credentials, InboundRequest, Source
from plugin.triggers.base.events import child, fingerprint, make_event, text_at
from plugin.triggers.base.objects import address_at, bounded, header_id, read_object, time_at
from plugin.triggers.base.proof import HmacRecipe, require_hmac, text_key


class TawkToCredentials(StrictSchema):
    secret_key = SecretText(
        label="Secret key",
        help="Administration > the property's Settings > Webhooks: it is shown beside the webhook.",
        example="3a7bc4f1d2e58690a1b2c3d4e5f60718293a4b5c",
        required=True,
    )


SOURCE: Final = Source(
    title="tawk.to",
    credentials=TawkToCredentials,
    events=frozenset({EventKind.CHAT_ENDED}),
    placeholders=("chat.id", "chat.visitor.name", "chat.visitor.email", "person.email", "person.name"),
    help="A webhook of a tawk.to property calls us when a chat ends. tawk.to signs each call.",
)

_RECIPE: Final = HmacRecipe(header="X-Tawk-Signature", algorithm="sha1")
#: The same over all tries of one event.
_ID_HEADER: Final = "x-hook-event-id"

_TRANSCRIPT: Final = (
    "A transcript is no second end of its chat: chat:end has told that, or is still to be chosen for this webhook."
)
#: What the words mean that end no chat. Others are kept as well, and counted.
_NOTES: Final[Mapping[str, str]] = {
    "chat:start": "A chat has begun, so nobody is asked yet.",
    "chat:transcript_created": _TRANSCRIPT,
    "ticket:create": "A ticket was opened; tawk.to does not tell when tickets are closed.",
}

#: What tawk.to calls a visitor who gave no name.
_NAMELESS: Final = re.compile(r"V[0-9]{8,}")


def verify(request: InboundRequest, credentials: Credentials, now: datetime) -> None:
    require_hmac(request, text_key(credentials["secret_key"]), _RECIPE, now)


def parse(request: InboundRequest) -> list[Event]:
    message = read_object(request)
    if message is None:
        return []
    word = text_at(message, "event")
    if word is None:
        raise Unreadable("The body must hold event: it is no webhook of tawk.to.")
    ends = word == "chat:end"
    chat_id = text_at(message, "chatId") or text_at(message, "chat", "id")
    told_at = text_at(message, "time")
    return [
        make_event(
            EventKind.CHAT_ENDED if ends else EventKind.UNSUPPORTED,
            {"chat.id": chat_id, **_visitor(child(message, "visitor"))} if ends else {"chat.id": chat_id},
            vendor_kind=word,
            id=header_id(request, _ID_HEADER) or _id_without_header(message, word, chat_id, told_at),
            time=time_at(message, "time"),
            subject=bounded(f"chat:{chat_id}") if chat_id else None,
            closing_mark=bounded(told_at) if ends else None,
            payload=message,
            notes=[] if ends else [_NOTES.get(word, "Nothing that ends a chat.")],
        )
    ]


def _visitor(visitor: Any) -> dict[str, object]:
    """The visitor of a chat. Their city and country say nothing about their language."""
    name = text_at(visitor, "name") or ""
    return {
        "chat.visitor.name": None if _NAMELESS.fullmatch(name) else name,
        "chat.visitor.email": address_at(visitor, "email"),
    }


def _id_without_header(message: Mapping[str, Any], word: str, chat_id: str | None, told_at: str | None) -> str | None:
    about = chat_id or text_at(message, "ticket", "id")
    return fingerprint(text_at(message, "property", "id"), word, about, told_at) if about and told_at else None
