"""Chatwoot: account webhooks and the webhook action of automation rules, which send the same conversation.

https://www.chatwoot.com/hc/user-guide/articles/1677693021-how-to-use-webhooks
https://github.com/chatwoot/chatwoot (app/listeners/webhook_listener.rb, app/presenters/conversations)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from marshmallow import validate

from plugin.domain.event import Event, EventKind
from plugin.domain.fields import Flag, SecretText, StrictSchema, Text
from plugin.errors import SignatureInvalid, Unreadable
from plugin.triggers.base import Credentials, InboundRequest, Source
from plugin.triggers.base.credentials import OneProof
from plugin.triggers.base.events import child, fingerprint, make_event, text_at
from plugin.triggers.base.json_body import read_json
from plugin.triggers.base.proof import HmacRecipe, hmac_replay_mark, require_hmac, text_key
from plugin.triggers.base.times import read_time

_FILLED: Final = validate.Length(min=1, error="must not be empty.")


class ChatwootCredentials(OneProof):
    secret = SecretText(
        label="Webhook secret",
        help="Chatwoot 4.12 and later: Settings > Integrations > Webhooks > your webhook. Older versions sign nothing.",
        example="mEWLkM7Rhb5Yx2sJ4Q8TzV1c",
        checks=[_FILLED],
    )
    url_only = Flag(
        label="The URL alone",
        help="For versions of Chatwoot that sign nothing, and for the webhook action of automation rules: the URL is "
        "then the only secret. Show it to nobody and renew it when somebody leaves.",
    )


class ChatwootSettings(StrictSchema):
    account = Text(
        label="Account",
        help="The number behind /accounts/ in Chatwoot's address bar. What other accounts send is then dropped.",
        example="3",
        pattern=r"[0-9]{1,20}\Z",
        pattern_message="must be a number.",
    )
    base_url = Text(
        label="Address of Chatwoot",
        help="Chatwoot's messages hold no link to the conversation; with this address we make one.",
        example="https://app.chatwoot.com",
        pattern=r"https?://[^\s?#]+\Z",
        pattern_message="must begin with https:// and hold no question mark.",
    )
    without_agent = Flag(
        label="Ask after conversations that no agent took part in",
        help="Otherwise nobody is asked who has talked to a bot alone, or was never answered.",
        load_default=False,
    )


SOURCE: Final = Source(
    title="Chatwoot",
    credentials=ChatwootCredentials,
    settings=ChatwootSettings,
    account="account",
    events=frozenset({EventKind.CHAT_ENDED, EventKind.TICKET_REOPENED}),
    placeholders=(
        "chat.id",
        "chat.url",
        "chat.visitor.name",
        "chat.visitor.email",
        "chat.visitor.phone",
        "chat.visitor.language",
        "chat.visitor.external_id",
        "chat.agent.name",
        "chat.agent.email",
        "person.email",
        "person.phone",
        "person.name",
        "person.language",
    ),
    help="Chatwoot calls us when a conversation is resolved or opened again.",
)

_RECIPE: Final = HmacRecipe(
    header="X-Chatwoot-Signature",
    prefix="sha256=",
    message="{timestamp}.{body}",
    timestamp_header="X-Chatwoot-Timestamp",
)
_DELIVERY: Final = "x-chatwoot-delivery"

#: The events that tell of a conversation's status. The last is what old versions send, and what bots still get.
_STATUS_CHANGES: Final = frozenset(
    {"conversation_status_changed", "automation_event.conversation_resolved", "conversation_resolved"}
)


def verify(request: InboundRequest, credentials: Credentials, now: datetime) -> None:
    match credentials:
        case {"secret": secret}:
            require_hmac(request, text_key(secret), _RECIPE, now)
        case {"url_only": True}:
            return
        case _:
            raise SignatureInvalid("The source has no credentials to check against.")


def replay_mark(request: InboundRequest, credentials: Credentials) -> str | None:
    return hmac_replay_mark(request, _RECIPE) if "secret" in credentials else None


def parse(request: InboundRequest) -> list[Event]:
    if not request.body.strip():
        return []
    document = read_json(request.body)
    if not isinstance(document, dict):
        raise Unreadable("The body must be a JSON object, as Chatwoot's webhooks send it.")
    return [_read(document, request)]


def _read(body: Mapping[str, Any], request: InboundRequest) -> Event:
    word = text_at(body, "event") or ""
    found = _what_happened(word, body, request.settings)
    account = text_at(body, "account", "id") or _account_of_last_message(body)
    # Only where the message is the conversation is its id the conversation's.
    number = text_at(body, "id") if word in _STATUS_CHANGES or word.startswith("conversation_") else None
    moment = _moment(body)
    return make_event(
        found.kind,
        _values(body, number, account, request.settings) if number else {},
        id=_event_id(word, body, account, request),
        time=read_time(moment or ""),
        subject=f"chat:{number}"[:200] if number else None,
        closing_mark=moment if found.kind.closes else None,
        payload=body,
        vendor_kind=f"{word}: {found.detail}" if found.detail else word,
        notes=found.notes,
        account=account,
    )


# --- what happened -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Found:
    """detail: what stands behind the sender's word for an event that is not acted on."""

    kind: EventKind
    detail: str = ""
    notes: tuple[str, ...] = ()


def _what_happened(word: str, body: Mapping[str, Any], settings: Mapping[str, Any]) -> _Found:
    status = (text_at(body, "status") or "").casefold()
    if word not in _STATUS_CHANGES:
        return _Found(EventKind.UNSUPPORTED, notes=("Only a change of a conversation's status is acted on.",))
    if status == "resolved":
        return _closing(body, settings)
    if status == "open":
        return _opening(body)
    return _Found(EventKind.UNSUPPORTED, status or "no status", ("The conversation is neither resolved nor open.",))


def _closing(body: Mapping[str, Any], settings: Mapping[str, Any]) -> _Found:
    if child(body, "meta", "sender", "blocked") is True:
        note = "The contact is blocked in Chatwoot, which also resolves the conversation, so nobody is asked."
        return _Found(EventKind.UNSUPPORTED, "resolved, contact blocked", (note,))
    if not _is_without_agent(body):
        return _Found(EventKind.CHAT_ENDED)
    if settings.get("without_agent"):
        return _Found(EventKind.CHAT_ENDED, notes=("No agent took part in the conversation.",))
    note = (
        "No agent took part in the conversation, so nobody is asked; the source's setting without_agent changes that."
    )
    return _Found(EventKind.UNSUPPORTED, "resolved without an agent", (note,))


def _opening(body: Mapping[str, Any]) -> _Found:
    before = _status_before(body)
    if before == "resolved":
        return _Found(EventKind.TICKET_REOPENED)
    if before is None:
        return _Found(
            EventKind.TICKET_REOPENED, notes=("Chatwoot does not say what the conversation's status was before.",)
        )
    return _Found(EventKind.UNSUPPORTED, f"open after {before}", ("The conversation was not resolved before.",))


def _status_before(body: Mapping[str, Any]) -> str | None:
    """changed_attributes is null or a list of objects with one name each."""
    changes = body.get("changed_attributes")
    for change in changes if isinstance(changes, list) else ():
        if before := text_at(change, "status", "previous_value"):
            return before.casefold()
    return None


def _is_without_agent(body: Mapping[str, Any]) -> bool:
    """Whether the message says so: nobody is assigned but perhaps a bot, and no agent ever replied."""
    meta = child(body, "meta")
    return (
        isinstance(meta, Mapping)
        and "assignee" in meta
        and "first_reply_created_at" in body
        and _agent(body) is None
        and text_at(body, "first_reply_created_at") is None
        and _type_of(child(_last_message(body), "sender")) != "user"
    )


# --- what it says --------------------------------------------------------------------------------------------------


def _values(
    body: Mapping[str, Any], number: str, account: str | None, settings: Mapping[str, Any]
) -> Mapping[str, object]:
    person, agent = child(body, "meta", "sender"), _agent(body)
    # Where the sender says what it is, only a contact is a customer.
    visitor = person if _type_of(person) in {"contact", ""} else None
    return {
        "chat.id": number,
        "chat.url": _address(settings, account, number),
        "chat.visitor.name": text_at(visitor, "name"),
        "chat.visitor.email": text_at(visitor, "email"),
        "chat.visitor.phone": text_at(visitor, "phone_number"),
        "chat.visitor.external_id": text_at(visitor, "identifier"),
        "chat.visitor.language": text_at(body, "additional_attributes", "browser_language"),
        "chat.agent.name": text_at(agent, "name"),
        "chat.agent.email": text_at(agent, "email"),
    }


def _address(settings: Mapping[str, Any], account: str | None, number: str) -> str | None:
    base, owner = settings.get("base_url"), settings.get("account") or account
    if not base or not owner or not (owner.isdecimal() and number.isdecimal()):
        return None
    return f"{base.rstrip('/')}/app/accounts/{owner}/conversations/{number}"


def _agent(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    assignee = child(body, "meta", "assignee")
    is_bot = _type_of(assignee) == "agent_bot" or text_at(body, "meta", "assignee_type") == "AgentBot"
    return assignee if isinstance(assignee, Mapping) and assignee and not is_bot else None


def _type_of(person: Any) -> str:
    return (text_at(person, "type") or "").casefold()


def _last_message(body: Mapping[str, Any]) -> Any:
    messages = body.get("messages")
    return messages[-1] if isinstance(messages, list) and messages else None


def _account_of_last_message(body: Mapping[str, Any]) -> str | None:
    return text_at(_last_message(body), "account_id")


# --- the same once more --------------------------------------------------------------------------------------------


def _moment(body: Mapping[str, Any]) -> str | None:
    """When the conversation last changed. Versions that do not say so tell when something was last said in it."""
    return next(_filled(body, "updated_at", "last_activity_at", "timestamp"), None)


def _filled(body: Mapping[str, Any], *names: str) -> Iterator[str]:
    # Zero stands for a time that never was.
    return (text[:200] for name in names if (text := text_at(body, name)) and text != "0")


def _event_id(word: str, body: Mapping[str, Any], account: str | None, request: InboundRequest) -> str | None:
    """By its content rather than by its delivery: an account and an inbox may both have our address."""
    number, moment = text_at(body, "id"), _moment(body)
    if word and number and moment:
        return fingerprint(account, word, number, text_at(body, "status"), moment)
    delivery = request.headers.get(_DELIVERY, "").strip()
    return fingerprint(_DELIVERY, delivery) if delivery else None
