"""What a topic of Intercom's means: what closes something, what opens it again, and what only looks alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from plugin.domain.event import EventKind
from plugin.triggers.base.events import child, text_at
from plugin.triggers.intercom.items import Item


@dataclass(frozen=True)
class Found:
    """detail: what stands behind the topic of an event that is not acted on, though others of its topic are."""

    kind: EventKind
    detail: str = ""
    notes: tuple[str, ...] = ()


def what_happened(topic: str, item: Item, settings: Mapping[str, Any]) -> Found:
    if topic in _ACTED_ON:
        return _ACTED_ON[topic](item, settings)
    return Found(EventKind.UNSUPPORTED, notes=(_LOOK_ALIKES.get(topic, _OTHER_TOPIC),))


def _closed_conversation(item: Item, settings: Mapping[str, Any]) -> Found:
    if _is_without_customer(item):
        note = "The customer never wrote anything in this conversation, so nobody is asked."
        return Found(EventKind.UNSUPPORTED, "without the customer", (note,))
    # A ticket's own closing is told as well: both must be of one kind, or else a rule for that kind would see a
    # repetition of something that was none of its business.
    kind = EventKind.CHAT_ENDED if item.ticket is None else EventKind.TICKET_CLOSED
    if not _is_without_teammate(item):
        return Found(kind)
    note = "No teammate took part in the conversation"
    if settings.get("without_teammate"):
        return Found(kind, notes=(f"{note}.",))
    note = f"{note}, so nobody is asked; the source's setting without_teammate changes that."
    return Found(EventKind.UNSUPPORTED, "without a teammate", (note,))


def _opened_conversation(item: Item, settings: Mapping[str, Any]) -> Found:
    del item, settings
    return Found(EventKind.TICKET_REOPENED)


def _closed_ticket(item: Item, settings: Mapping[str, Any]) -> Found:
    del settings
    return _INTERNAL_TICKET if item.is_internal else Found(EventKind.TICKET_CLOSED)


def _ticket_of_another_state(item: Item, settings: Mapping[str, Any]) -> Found:
    del settings
    if item.is_internal:
        return _INTERNAL_TICKET
    before = text_at(item.last_change_of_state(), "previous_ticket_state")
    if item.state != "resolved":
        return _unresolved_ticket(item.state, before)
    if before == "resolved":
        note = "The ticket was resolved before; only its state has another name now."
        return Found(EventKind.UNSUPPORTED, "resolved before", (note,))
    return Found(EventKind.TICKET_CLOSED)


def _unresolved_ticket(state: str, before: str | None) -> Found:
    if not state:
        return Found(EventKind.UNSUPPORTED, "no state", ("The message does not say which state the ticket has.",))
    if before == "resolved":
        return Found(EventKind.TICKET_REOPENED)
    if before is None:
        return Found(EventKind.TICKET_REOPENED, notes=("The message does not say which state the ticket had before.",))
    return Found(EventKind.UNSUPPORTED, state, ("The ticket is not resolved, and was not before.",))


_ACTED_ON: Final[Mapping[str, Callable[[Item, Mapping[str, Any]], Found]]] = {
    "conversation.admin.closed": _closed_conversation,
    "conversation.admin.opened": _opened_conversation,
    "conversation.admin.open.assigned": _opened_conversation,
    "ticket.closed": _closed_ticket,
    "ticket.state.updated": _ticket_of_another_state,
}

_OTHER_TOPIC: Final = "Nothing follows from this topic; it can be taken off the app's webhook."
#: Topics that somebody may take for a closing or a re-opening, and why they are none.
_LOOK_ALIKES: Final[Mapping[str, str]] = {
    "conversation.admin.snoozed": "A snoozed conversation comes back by itself, so it is not closed.",
    "conversation.admin.unsnoozed": "The conversation was snoozed and not closed before.",
    "conversation.deleted": "A conversation that was deleted is no closed one, so nobody is asked.",
    "conversation.rating.added": "The customer has rated the conversation, which closes nothing.",
    "conversation.user.replied": "Whether the reply has opened the conversation again is not told; its next closing "
    "counts as a new one in either case.",
    "": "The message names no topic.",
}

_INTERNAL_TICKET: Final = Found(
    EventKind.UNSUPPORTED,
    "internal ticket",
    ("This ticket is the team's own (back-office or tracker); the customer's conversation is asked about by itself.",),
)


def _is_without_customer(item: Item) -> bool:
    """Whether the message says so: the workspace began the conversation, and nobody answered it."""
    began = text_at(item.told, "source", "delivered_as")
    replies = ("first_contact_reply_at", "last_contact_reply_at")
    return (
        began not in {None, "customer_initiated"}
        and _never(item, replies)
        and child(item.told, "first_contact_reply") is None
    )


def _is_without_teammate(item: Item) -> bool:
    """Whether the message says so: no teammate wrote, is listed, or closed the conversation."""
    return (
        _never(item, ("first_admin_reply_at", "last_admin_reply_at"))
        and child(item.told, "teammates", "admins") == []
        and not any(text_at(part, "author", "type") == "admin" for part in item.parts())
    )


def _never(item: Item, names: tuple[str, ...]) -> bool:
    """Whether the statistics hold these times, and none of them ever came."""
    statistics = child(item.told, "statistics")
    return isinstance(statistics, Mapping) and all(name in statistics and statistics[name] is None for name in names)
