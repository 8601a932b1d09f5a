"""LiveChat (text.com): webhooks of an app, which name the customer when a chat begins and no more when it ends.

https://platform.text.com/docs/management/webhooks
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from plugin.domain.event import Event, EventKind
from plugin.domain.fields import SecretText, StrictSchema, Text
from plugin.errors import SignatureInvalid, Unreadable
from plugin.triggers.base import Credentials, InboundAnswer, InboundRequest, Source
from plugin.triggers.base.events import child, make_event, text_at
from plugin.triggers.base.objects import address_at, bounded, objects_at, read_object, time_at
from plugin.triggers.base.proof import require_in_body


class LiveChatCredentials(StrictSchema):
    secret_key = SecretText(
        label="Secret key",
        help="The text that you chose as secret_key when you registered the webhooks. For a webhook of the old version "
        "2, the token that LiveChat shows beside it.",
        example="9f0d1c6e5b7a48f2a3c4",
        required=True,
    )


class LiveChatSettings(StrictSchema):
    organization_id = Text(
        label="Organization",
        help="Only messages of this organization are taken: one app may be installed by many. It is organization_id in "
        "the messages; older ones hold a license_id instead. Empty takes them all.",
        example="390e44e6-f1e6-0368c-z6ddb-74g14508c2ex",
    )


#: What names the customer; in version 3 nothing else does.
_BEGINNINGS: Final = frozenset({"incoming_chat", "chat_started"})

SOURCE: Final = Source(
    title="LiveChat",
    credentials=LiveChatCredentials,
    events=frozenset({EventKind.CHAT_ENDED}),
    placeholders=(
        "chat.id",
        "chat.url",
        "chat.duration",
        "chat.visitor.name",
        "chat.visitor.email",
        "chat.agent.email",
        "person.email",
        "person.name",
    ),
    help="A webhook of LiveChat calls us when a chat ends. Only the message that it began with names the customer, so "
    "both have to be registered.",
    settings=LiveChatSettings,
    account="organization_id",
    remembers=_BEGINNINGS,
)

#: Where the secret stands, in version 3 and in version 2.
_SECRET_NAMES: Final = ("secret_key", "token")

_GOES_ON: Final = "The chat goes on, so nobody is asked yet."
#: What the words mean that end no chat. Others are kept as well, and counted.
_NOTES: Final[Mapping[str, str]] = {
    "incoming_chat": "A chat has begun. Who the customer is, is kept for its end.",
    "chat_started": "A chat has begun. Who the customer is, is kept for its end.",
    "chat_transferred": _GOES_ON,
    "user_added_to_chat": _GOES_ON,
    # Also when it was the last agent, or the customer: the chat ends when it is deactivated.
    "user_removed_from_chat": _GOES_ON,
}


def verify(request: InboundRequest, credentials: Credentials, now: datetime) -> None:
    del now  # the secret travels as it is, and no time with it
    try:
        message = read_object(request)
    except Unreadable:
        raise SignatureInvalid("The body cannot be read, so the secret in it cannot be checked.") from None
    given = child(message, "secret_key")
    require_in_body(child(message, "token") if given is None else given, credentials["secret_key"])


# A text and, behind a name, its value; or a bracket. Texts are taken whole and possessively, so that what stands in
# them is not mistaken for JSON's own and the time stays linear.
_NAMED_TEXT: Final = re.compile(
    rb'(?P<name>"(?:[^"\\]|\\.)*+"?)(?:(?P<colon>\s*+:\s*+)(?P<value>"(?:[^"\\]|\\.)*+"?))?+'
    rb"|(?P<opening>[{\[])|(?P<closing>[}\]])",
    re.DOTALL,
)


def without_secrets(body: bytes) -> bytes:
    """The body with empty secrets: `secret_key` wherever it stands, and the `token` of version 2."""
    depth = 0

    def write(found: re.Match[bytes]) -> bytes:
        nonlocal depth
        depth += (found["opening"] is not None) - (found["closing"] is not None)
        if found["value"] is None or not _is_secret(found["name"], depth):
            return found[0]
        return found["name"] + found["colon"] + b'""'

    return _NAMED_TEXT.sub(write, body)


def _is_secret(literal: bytes, depth: int) -> bool:
    try:
        name = json.loads(literal)
    except ValueError:
        return False
    # What LiveChat hands on from a customer may well be called token, but does not stand at the top.
    return name == "secret_key" or (name == "token" and depth <= 1)


def parse(request: InboundRequest) -> list[Event]:
    message = read_object(request)
    if message is None:
        return []
    if "event_type" in message and "action" not in message:
        return [_read_version_2(message)]
    word = text_at(message, "action")
    if word is None:
        raise Unreadable("The body must hold action, or event_type in version 2: it is no webhook of LiveChat.")
    if word == "incoming_chat":
        return [_read_beginning(message)]
    return [_read_other(message, word)]


def answer(request: InboundRequest, events: Sequence[Event]) -> InboundAnswer:
    """LiveChat takes 200 and nothing else for success."""
    del request, events
    return InboundAnswer(200, "application/json", b"{}")


def _read_beginning(message: Mapping[str, Any]) -> Event:
    chat = child(message, "payload", "chat")
    customer = next((user for user in objects_at(chat, "users") if user.get("type") == "customer"), None)
    form = [
        field
        for event in objects_at(chat, "thread", "events")
        if event.get("type") == "filled_form"
        for field in objects_at(event, "fields")
    ]
    return _make(
        message,
        "incoming_chat",
        chat_id=text_at(chat, "id"),
        id=_id("incoming_chat", text_at(chat, "thread", "id")),
        time=time_at(chat, "thread", "created_at"),
        told=_visitor(customer, form),
    )


def _read_other(message: Mapping[str, Any], word: str) -> Event:
    """The end of a chat, which names ids alone, or something that ends none."""
    payload = child(message, "payload")
    chat_id, thread_id = text_at(payload, "chat_id"), text_at(payload, "thread_id")
    if word != "chat_deactivated":
        # Much of it happens more than once in a thread, so it has no id.
        return _make(message, word, chat_id=chat_id)
    # Who ended it: an agent by e-mail address, a customer or a bot by another id, nobody when LiveChat itself did. It
    # is never the customer's address.
    agent = {"chat.agent.email": address_at(payload, "user_id")}
    # A chat is taken up again and again, each time as a new thread.
    return _make(message, word, chat_id=chat_id, id=_id(word, thread_id), closing_mark=thread_id, told=agent, ends=True)


def _read_version_2(message: Mapping[str, Any]) -> Event:
    """The old webhooks, whose chats are threads and whose messages hold the visitor."""
    word, chat = text_at(message, "event_type") or "", child(message, "chat")
    chat_id = text_at(chat, "id")
    visitor = _visitor(child(message, "visitor"), objects_at(message, "pre_chat_survey"))
    if word == "chat_started":
        return _make(message, word, chat_id=chat_id, id=_id(word, chat_id), told=visitor)
    if word != "chat_ended":
        return _make(message, word, chat_id=chat_id)
    began, ended = time_at(chat, "started_timestamp"), time_at(chat, "ended_timestamp")
    agents = objects_at(chat, "agents")
    # Of several agents the message does not say who ended it.
    agent = agents[0] if len(agents) == 1 else None
    told = {
        **visitor,
        "chat.url": text_at(chat, "url"),
        "chat.duration": int((ended - began).total_seconds()) if began and ended and ended >= began else None,
        "chat.agent.name": text_at(agent, "name"),
        "chat.agent.email": address_at(agent, "login"),
    }
    return _make(
        message, word, chat_id=chat_id, id=_id(word, chat_id), time=ended, closing_mark=chat_id, told=told, ends=True
    )


def _make(
    message: Mapping[str, Any],
    word: str,
    *,
    chat_id: str | None,
    id: str | None = None,  # noqa: A002  # what an event calls it
    time: datetime | None = None,
    closing_mark: str | None = None,
    told: Mapping[str, object] | None = None,
    ends: bool = False,
) -> Event:
    return make_event(
        EventKind.CHAT_ENDED if ends else EventKind.UNSUPPORTED,
        {"chat.id": chat_id, **(told or {})},
        id=id,
        time=time,
        subject=bounded(f"chat:{chat_id}") if chat_id else None,
        closing_mark=bounded(closing_mark),
        payload={name: value for name, value in message.items() if name not in _SECRET_NAMES},
        vendor_kind=word,
        notes=[] if ends else [_NOTES.get(word, "Nothing that ends a chat.")],
        account=text_at(message, "organization_id") or text_at(message, "license_id"),
    )


def _visitor(customer: Any, form: Sequence[Mapping[str, Any]]) -> dict[str, object]:
    """Who the customer is: as LiveChat knows them, else as they have filled in the form before the chat."""
    filled_in = {kind: next((field for field in form if field.get("type") == kind), None) for kind in ("name", "email")}
    return {
        "chat.visitor.name": text_at(customer, "name") or text_at(filled_in["name"], "answer"),
        "chat.visitor.email": address_at(customer, "email") or address_at(filled_in["email"], "answer"),
    }


def _id(word: str, thread_id: str | None) -> str | None:
    return bounded(f"{word}:{thread_id}") if thread_id else None
