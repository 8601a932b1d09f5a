"""What Intercom's messages are about: a conversation or a ticket, and what each says in our names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from plugin.triggers.base.custom_fields import custom_values
from plugin.triggers.base.events import child, text_at
from plugin.triggers.base.times import read_time
from plugin.triggers.intercom.contacts import person_of

#: A ticket's states, by Zendesk's names.
_STATES: Final[Mapping[str, str]] = {
    "submitted": "new",
    "in_progress": "open",
    "waiting_on_customer": "pending",
    "resolved": "solved",
}
#: What Intercom writes where nobody is assigned.
_NOBODY: Final = frozenset({"0", "nobody_admin"})
_OF_A_TICKET: Final = ("ticket.requester", "ticket.assignee")
#: Tickets of the team's own, which the customer knows nothing of.
_INTERNAL_CATEGORIES: Final = frozenset({"back-office", "back_office", "tracker"})
#: The attributes of every ticket, which are no fields of the workspace's own.
_DEFAULT_ATTRIBUTES: Final = ("_default_title_", "_default_description_")


@dataclass(frozen=True)
class Item:
    """A conversation or a ticket as a message tells it. topic: the message's own word.

    ticket: the ticket itself, or the one that a customer's conversation was made into; None for a mere conversation.
    """

    topic: str
    told: Mapping[str, Any]
    ticket: Mapping[str, Any] | None

    @classmethod
    def of(cls, topic: str, told: Any) -> Item:
        told = told if isinstance(told, Mapping) else {}
        if topic.startswith("ticket."):
            return cls(topic, told, told)
        made = told.get("ticket")
        return cls(topic, told, made if isinstance(made, Mapping) and made and not _is_internal(made) else None)

    @property
    def is_internal(self) -> bool:
        return self.ticket is not None and _is_internal(self.ticket)

    @property
    def subject(self) -> str | None:
        """The ticket by the number that people see: what is told of it and of its conversation is about one thing."""
        if number := self._ticket_number():
            return f"ticket:{number}"[:200]
        if self.topic.startswith("conversation.") and (number := text_at(self.told, "id")):
            return f"chat:{number}"[:200]
        return None

    @property
    def state(self) -> str:
        """Of a ticket: the category of its state, which is a text in messages of older versions."""
        told = text_at(self.told, "ticket_state", "category") or text_at(self.told, "ticket_state")
        return (told or "").casefold()

    def parts(self) -> Sequence[Mapping[str, Any]]:
        """What was said and done; conversations tell the last of it alone."""
        name = "ticket_parts" if self.topic.startswith("ticket.") else "conversation_parts"
        listed = child(self.told, name, name)
        return [part for part in listed if isinstance(part, Mapping)] if isinstance(listed, list) else []

    def last_change_of_state(self) -> Mapping[str, Any]:
        """The part that tells a ticket's newest state and the one before; empty where there is none."""
        changes = [part for part in self.parts() if "previous_ticket_state" in part]
        # Of several within a second the last one listed.
        return max(reversed(changes), key=_when, default={})

    def closing_moment(self) -> str | None:
        """When it was closed, in Unix seconds: the same in every message about this closing."""
        told = [_seconds(part.get("created_at")) for part in self.parts() if _closes(part)]
        closings = [moment for moment in told if moment is not None]
        if closings:
            return str(max(closings))
        last = _seconds(child(self.told, "statistics", "last_close_at")) or _seconds(self.told.get("updated_at"))
        return str(last) if last is not None else None

    def values(self) -> tuple[dict[str, object], tuple[str, ...]]:
        """Raw values by our names, and what is to be said about them."""
        customer, teammate = ("chat.visitor", "chat.agent") if self.ticket is None else _OF_A_TICKET
        person, notes = person_of(self.told, customer)
        agent = self._teammate()
        raw = {
            **(self._of_ticket() if self.ticket is self.told else self._of_conversation()),
            "ticket.id": self._ticket_number(),
            "ticket.created_at": _iso(self.told.get("created_at")),
            "ticket.updated_at": _iso(self.told.get("updated_at")),
            f"{teammate}.name": text_at(agent, "name"),
            f"{teammate}.email": text_at(agent, "email"),
        }
        return {**raw, **person}, notes

    def _of_conversation(self) -> dict[str, object]:
        told = self.told
        return {
            **custom_values(_pairs(told.get("custom_attributes"))),
            "chat.id": text_at(told, "id"),
            "chat.url": text_at(told, "links", "conversation_web"),
            "chat.rating": text_at(told, "conversation_rating", "rating"),
            "ticket.title": text_at(told, "title") or text_at(told, "conversation_message", "subject"),
            "ticket.status": text_at(told, "state"),
            "ticket.channel": text_at(told, "source", "type"),
            "ticket.tags": [text_at(tag, "name") for tag in _listed(child(told, "tags", "tags"))],
        }

    def _of_ticket(self) -> dict[str, object]:
        told, attributes = self.told, _pairs(self.told.get("ticket_attributes"))
        return {
            **custom_values((label, value) for label, value in attributes if label not in _DEFAULT_ATTRIBUTES),
            "ticket.title": text_at(told, "ticket_attributes", "_default_title_"),
            # A ticket that is resolved first and closed later was closed once: see `domain.episode`.
            "ticket.status": "closed" if self.topic == "ticket.closed" else _STATES.get(self.state, self.state),
            "ticket.type": text_at(told, "ticket_type", "name"),
            "ticket.channel": text_at(told, "channel"),
        }

    def _ticket_number(self) -> str | None:
        return text_at(self.ticket, "ticket_id") or text_at(self.ticket, "id")

    def _teammate(self) -> Mapping[str, Any] | None:
        """Who is assigned. Newer versions name the teammate by id, and in full only where that one did something."""
        assignee = self.told.get("assignee")
        if isinstance(assignee, Mapping):
            return assignee if text_at(assignee, "type") == "admin" else None
        number = text_at(self.told, "admin_assignee_id")
        if number is None or number in _NOBODY:
            return None
        authors = (part.get("author") for part in reversed(self.parts()))
        return next((one for one in authors if text_at(one, "id") == number and text_at(one, "type") == "admin"), None)


def _is_internal(ticket: Mapping[str, Any]) -> bool:
    category = text_at(ticket, "category") or text_at(ticket, "ticket_type", "category") or ""
    return category.casefold() in _INTERNAL_CATEGORIES or child(ticket, "ticket_type", "is_internal") is True


def _closes(part: Mapping[str, Any]) -> bool:
    resolves = text_at(part, "ticket_state") == "resolved" and text_at(part, "previous_ticket_state") != "resolved"
    return text_at(part, "part_type") == "close" or resolves


def _when(part: Mapping[str, Any]) -> int:
    return _seconds(part.get("created_at")) or 0


def _seconds(raw: Any) -> int | None:
    """A time in Unix seconds; some of Intercom's are written as ISO 8601."""
    time = read_time(text_at({"time": raw}, "time") or "")
    return int(time.timestamp()) if time is not None else None


def _iso(raw: Any) -> str | None:
    time = read_time(text_at({"time": raw}, "time") or "")
    return time.isoformat().replace("+00:00", "Z") if time is not None else None


def _listed(node: Any) -> Sequence[Any]:
    return node if isinstance(node, list) else ()


def _pairs(node: Any) -> Iterator[tuple[Any, Any]]:
    return iter(node.items() if isinstance(node, Mapping) else ())
