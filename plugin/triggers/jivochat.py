"""JivoChat: webhooks of a channel. They carry no signature and no secret, so the address is the only one.

https://www.jivochat.com/docs/webhooks/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from marshmallow import validate

from plugin.domain.event import Event, EventKind
from plugin.domain.fields import Flag, StrictSchema
from plugin.errors import Unreadable
from plugin.triggers.base import Credentials, InboundAnswer, InboundRequest, Source
from plugin.triggers.base.events import child, fingerprint, make_event, text_at
from plugin.triggers.base.objects import address_at, bounded, objects_at, read_object
from plugin.triggers.base.proof import require_url_only


class JivoChatCredentials(StrictSchema):
    url_only = Flag(
        label="The URL alone",
        help="JivoChat signs nothing, so the address is the only secret. Whoever knows it can have surveys sent, so "
        "show it to nobody and renew it when somebody leaves.",
        required=True,
        validate=validate.Equal(True, error="must be true: nothing else proves that JivoChat sent a message."),
    )


SOURCE: Final = Source(
    title="JivoChat",
    credentials=JivoChatCredentials,
    events=frozenset({EventKind.CHAT_ENDED}),
    placeholders=(
        "chat.id",
        "chat.rating",
        "chat.visitor.name",
        "chat.visitor.email",
        "chat.visitor.phone",
        "chat.visitor.external_id",
        "chat.agent.name",
        "chat.agent.email",
        "person.email",
        "person.phone",
        "person.name",
    ),
    help="A webhook of a JivoChat channel calls us when a chat ends.",
)

_FINISHED: Final = "chat_finished"
_GOES_ON: Final = "The chat goes on, so nobody is asked yet."
#: What the words mean that end no chat. Others are kept as well, and counted.
_NOTES: Final[Mapping[str, str]] = {
    "chat_accepted": _GOES_ON,
    "chat_assigned": _GOES_ON,
    # Also when its status, a category of the built-in CRM, has become one that sounds closed.
    "chat_updated": _GOES_ON,
    "offline_message": "Somebody has left a message and was not in a chat.",
    "client_updated": "What is known of a visitor has changed; no chat has ended.",
    "client_attribute_updated": "What is known of a visitor has changed; no chat has ended.",
    "call_event": "A phone call; no chat has ended.",
}
#: Agents put a visitor on that list to be rid of spam and abuse, so an invitation would go to the wrong ones.
_BLACKLISTED: Final = "The visitor is on JivoChat's blacklist, so nobody is asked."


def verify(request: InboundRequest, credentials: Credentials, now: datetime) -> None:
    del request, now  # they prove nothing
    require_url_only(credentials)


def parse(request: InboundRequest) -> list[Event]:
    message = read_object(request)
    if message is None:
        return []
    word = text_at(message, "event_name")
    if word is None:
        raise Unreadable("The body must hold event_name: it is no webhook of JivoChat.")
    chat_id = text_at(message, "chat_id")
    blocked = word == _FINISHED and text_at(message, "chat", "blacklisted") in {"true", "1"}
    if word == _FINISHED and not blocked:
        return [_read_end(message, chat_id)]
    return [
        make_event(
            EventKind.UNSUPPORTED,
            {"chat.id": chat_id},
            vendor_kind=f"{word} (blacklisted)" if blocked else word,
            # Much of it comes more than once for a chat, and without a time.
            id=None,
            time=None,
            subject=_subject(chat_id),
            closing_mark=None,
            payload=message,
            notes=[_BLACKLISTED if blocked else _NOTES.get(word, "Nothing that ends a chat.")],
        )
    ]


def answer(request: InboundRequest, events: Sequence[Event]) -> InboundAnswer:
    """What JivoChat documents as the answer to each of its events."""
    del request, events
    return InboundAnswer(200, "application/json", b'{"result": "ok"}')


def _read_end(message: Mapping[str, Any], chat_id: str | None) -> Event:
    raw = {
        "chat.id": chat_id,
        "chat.rating": child(message, "chat", "rate"),
        **_visitor(message),
        **_agent(message),
    }
    return make_event(
        EventKind.CHAT_ENDED,
        raw,
        vendor_kind=_FINISHED,
        # No time of the end is sent: a chat ends once, however often that is told.
        id=fingerprint(text_at(message, "widget_id"), chat_id, _FINISHED) if chat_id else None,
        time=None,
        subject=_subject(chat_id),
        closing_mark=bounded(chat_id),
        payload=message,
        notes=list(_notes(message)),
    )


def _visitor(message: Mapping[str, Any]) -> dict[str, object]:
    return {
        "chat.visitor.name": text_at(message, "visitor", "name"),
        "chat.visitor.email": address_at(message, "visitor", "email"),
        "chat.visitor.phone": text_at(message, "visitor", "phone"),
        "chat.visitor.external_id": text_at(message, "user_token"),
    }


def _agent(message: Mapping[str, Any]) -> dict[str, object]:
    """The agent whose chat it was: the one it is assigned to, else the only one who took part."""
    agents = objects_at(message, "agents")
    agent = child(message, "assigned_agent") or (agents[0] if len(agents) == 1 else None)
    return {"chat.agent.name": text_at(agent, "name"), "chat.agent.email": address_at(agent, "email")}


def _subject(chat_id: str | None) -> str | None:
    return bounded(f"chat:{chat_id}") if chat_id else None


def _notes(message: Mapping[str, Any]) -> Iterator[str]:
    if text_at(message, "visitor", "email") and not address_at(message, "visitor", "email"):
        yield "What stands as the visitor's e-mail address is none, so it was left out."
