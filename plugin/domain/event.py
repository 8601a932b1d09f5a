"""An event: one normalised fact from a source, with its placeholders; and the catalogue that names them all."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final


class EventKind(StrEnum):
    """The closed list of what can have happened."""

    TICKET_CLOSED = "ticket.closed"
    TICKET_REOPENED = "ticket.reopened"
    CHAT_ENDED = "chat.ended"
    CRM_CHANGED = "crm.changed"
    SURVEY_LINK = "survey.link"
    SMS_SENT = "sms.sent"
    SMS_LOST = "sms.lost"
    SMS_CLICK = "sms.click"
    EMAIL_SENT = "email.sent"
    EMAIL_OPENED = "email.opened"
    EMAIL_CLICKED = "email.clicked"
    EMAIL_BOUNCED = "email.bounced"
    UNSUPPORTED = "unsupported"

    @property
    def closes(self) -> bool:
        """Whether it ends a ticket or a chat, and so begins an episode."""
        return self in {EventKind.TICKET_CLOSED, EventKind.CHAT_ENDED}

    @property
    def is_report(self) -> bool:
        """Whether it tells what became of a delivery, and so belongs to one."""
        return self.startswith(("sms.", "email."))

    @property
    def label(self) -> str:
        return _KIND_LABELS[self]


_KIND_LABELS: Final[Mapping[EventKind, str]] = {
    EventKind.TICKET_CLOSED: "Ticket closed",
    EventKind.TICKET_REOPENED: "Ticket re-opened",
    EventKind.CHAT_ENDED: "Chat ended",
    EventKind.CRM_CHANGED: "CRM record changed",
    EventKind.SURVEY_LINK: "Survey link made",
    EventKind.SMS_SENT: "SMS sent",
    EventKind.SMS_LOST: "SMS lost",
    EventKind.SMS_CLICK: "Link in SMS opened",
    EventKind.EMAIL_SENT: "E-mail sent",
    EventKind.EMAIL_OPENED: "E-mail opened",
    EventKind.EMAIL_CLICKED: "Link in e-mail opened",
    EventKind.EMAIL_BOUNCED: "E-mail bounced",
    EventKind.UNSUPPORTED: "Something we do not act on",
}

#: A placeholder's value: text, or for lists (`ticket.tags`) a tuple of texts.
Value = str | tuple[str, ...]


class ValueKind(StrEnum):
    """How a placeholder's raw value is tidied."""

    TEXT = "text"
    EMAIL = "email"
    URL = "url"
    LIST = "list"
    STATUS = "status"


@dataclass(frozen=True)
class Placeholder:
    """One entry of the catalogue: name as written in a mapping, label and example for pages and docs."""

    name: str
    label: str
    example: str
    kind: ValueKind = ValueKind.TEXT


def _person(prefix: str, who: str) -> Iterator[Placeholder]:
    yield Placeholder(f"{prefix}.name", f"{who}: full name", "Łucja Nowak")
    yield Placeholder(f"{prefix}.first_name", f"{who}: first name", "Łucja")
    yield Placeholder(f"{prefix}.last_name", f"{who}: last name", "Nowak")
    yield Placeholder(f"{prefix}.email", f"{who}: e-mail address", "lucja.nowak@example.com", ValueKind.EMAIL)
    yield Placeholder(f"{prefix}.phone", f"{who}: phone number", "+48221234567")
    yield Placeholder(f"{prefix}.language", f"{who}: language", "pl")
    yield Placeholder(f"{prefix}.external_id", f"{who}: id in your own system", "C-1024")


_ENTRIES: Final[tuple[Placeholder, ...]] = (
    Placeholder("ticket.id", "Ticket: number", "35436"),
    Placeholder("ticket.external_id", "Ticket: id in your own system", "ORD-77"),
    Placeholder(
        "ticket.url", "Ticket: address for agents", "https://acme.zendesk.com/agent/tickets/35436", ValueKind.URL
    ),
    Placeholder("ticket.link", "Ticket: link", "https://acme.zendesk.com/agent/tickets/35436", ValueKind.URL),
    Placeholder("ticket.title", "Ticket: subject", "Printer on fire"),
    Placeholder("ticket.status", "Ticket: status", "solved", ValueKind.STATUS),
    Placeholder("ticket.type", "Ticket: type", "incident"),
    Placeholder("ticket.priority", "Ticket: priority", "normal"),
    Placeholder("ticket.channel", "Ticket: channel it came in by", "email"),
    Placeholder("ticket.via", "Ticket: the channel's own name", "Mail"),
    Placeholder("ticket.tags", "Ticket: tags", "vip printer", ValueKind.LIST),
    Placeholder("ticket.created_at", "Ticket: opened at", "2026-11-02T09:30:00Z"),
    Placeholder("ticket.updated_at", "Ticket: last changed at", "2026-11-03T16:05:12Z"),
    Placeholder("ticket.brand.name", "Ticket: brand", "Acme Shop"),
    Placeholder("ticket.group.name", "Ticket: group", "Second level"),
    *_person("ticket.requester", "Requester"),
    Placeholder("ticket.assignee.name", "Agent: full name", "Jan Novák"),
    Placeholder("ticket.assignee.email", "Agent: e-mail address", "jan.novak@acme.example", ValueKind.EMAIL),
    Placeholder("ticket.organization.name", "Requester's organisation", "Blue Shop"),
    Placeholder("chat.id", "Chat: id", "RVU5JEL87S"),
    Placeholder("chat.url", "Chat: address for agents", "https://chat.example.com/archives/RVU5JEL87S", ValueKind.URL),
    Placeholder("chat.duration", "Chat: duration in seconds", "418"),
    Placeholder("chat.rating", "Chat: rating given in the chat", "good"),
    *_person("chat.visitor", "Visitor"),
    Placeholder("chat.agent.name", "Agent: full name", "Oksana Shevchenko"),
    Placeholder("chat.agent.email", "Agent: e-mail address", "oksana@acme.example", ValueKind.EMAIL),
    Placeholder("crm.object", "CRM: kind of record", "deal"),
    Placeholder("crm.id", "CRM: id of the record", "900719925474099312"),
    Placeholder("crm.url", "CRM: address of the record", "https://crm.example.com/deals/9007", ValueKind.URL),
    Placeholder("crm.name", "CRM: name of the record", "Renewal 2027"),
    Placeholder("crm.stage", "CRM: stage", "won"),
    Placeholder("crm.owner", "CRM: owner of the record", "Petra Dvořáková"),
    Placeholder("event.id", "Event: id given by the sender", "01HF3A9Y6W"),
    Placeholder("event.kind", "Event: what happened", "ticket.closed"),
    Placeholder("event.time", "Event: when", "2026-11-03T16:05:12Z"),
    Placeholder("episode.id", "Closing: id of this one closing", "9Q7X2M4T6V8Z1B3D5F7H9K2M4P"),
    Placeholder("episode.number", "Closing: how many times this ticket or chat has been closed", "1"),
    Placeholder(
        "delivery.reference", "Our reference of this invitation, unique for each", "k3v9x0q2m7t5w8z1b4d6f9h2j5"
    ),
    Placeholder("sms.id", "SMS: id at the sender", "88123"),
    Placeholder("sms.link", "SMS: link that was opened", "https://s.example.com/l/4e3", ValueKind.URL),
    Placeholder("sms.template_id", "SMS: template", "17"),
    Placeholder("link.url", "Survey link", "https://www.startquestion.com/l/4e3/f55400", ValueKind.URL),
    Placeholder(
        "person.email", "Customer, whatever the source: e-mail address", "lucja.nowak@example.com", ValueKind.EMAIL
    ),
    Placeholder("person.phone", "Customer, whatever the source: phone number", "+48221234567"),
    Placeholder("person.name", "Customer, whatever the source: full name", "Łucja Nowak"),
    Placeholder("person.language", "Customer, whatever the source: language", "pl"),
)

#: Every placeholder by name. Besides these there are `ticket.custom.<key>` and `payload.<path>`.
CATALOGUE: Final[Mapping[str, Placeholder]] = {entry.name: entry for entry in _ENTRIES}

CUSTOM_PREFIX: Final = "ticket.custom."
PAYLOAD_PREFIX: Final = "payload."

#: Where `person.*` comes from when the message does not name it itself.
_PERSON_SOURCES: Final = ("ticket.requester", "chat.visitor")


def is_known(name: str) -> bool:
    """Whether a mapping or a condition may speak of `name`."""
    return name in CATALOGUE or (
        name.startswith((CUSTOM_PREFIX, PAYLOAD_PREFIX)) and not name.endswith(".") and len(name) <= 200
    )


@dataclass(frozen=True)
class Event:
    """One normalised fact.

    id: the sender's id of the event, None when it gave none.
    subject: which ticket, chat or record it is about (`ticket:35436`); None when the message does not say.
    closing_mark: what tells one closing of the subject from another (time of closing, thread id, ...).
    values: placeholders by flat name, tidied; nothing empty stands here.
    unrendered: names whose value was a placeholder that the sender did not fill in.
    payload: the raw message as parsed, for `payload.<path>`.
    vendor_kind: the sender's own word for what happened.
    notes: remarks for the receipt (a value was mended, a field was ignored).
    account: the sender's id of the account that it is about, where one app serves many; one of another account than
    the source's is dropped and counted.
    correlation: what the sender names the delivery by that a report belongs to.
    only_after_closing: of a re-opening, that the sender does not say whether the ticket was closed before; where no
    closing of it is known, it is unsupported.
    """

    kind: EventKind
    id: str | None = None
    time: datetime | None = None
    subject: str | None = None
    closing_mark: str | None = None
    values: Mapping[str, Value] = field(default_factory=dict, repr=False)
    unrendered: frozenset[str] = frozenset()
    payload: Any = field(default=None, repr=False)
    vendor_kind: str = ""
    notes: tuple[str, ...] = ()
    correlation: str | None = field(default=None, repr=False)
    account: str | None = None
    only_after_closing: bool = False


#: As Zendesk, Freshdesk, LiveAgent, Zoho, osTicket and Salesforce write their placeholders.
_UNRENDERED: Final = re.compile(r"\{\{[^{}]*\}\}|[#$%]\{[^{}]*\}|\{[$!][^{}]*\}", re.DOTALL)
#: One `@` only, which keeps the time linear on a hostile value.
_JOINED_ADDRESS: Final = re.compile(r"[^<>]*<\s*([^<>@\s]+@[^<>@\s]+)\s*>")
_SCHEME: Final = re.compile(r"^[a-z][a-z0-9+.-]*://", re.IGNORECASE)


#: Decimals with an exponent beyond this are written in scientific notation: `1E+999999` is a megabyte otherwise.
_PLAIN_EXPONENT: Final = 40


def number_text(number: int | Decimal) -> str:
    """`number` with its digits as they were sent: `0.00000010`, not `1.0E-7`."""
    if isinstance(number, Decimal) and number.is_finite() and abs(number.adjusted()) <= _PLAIN_EXPONENT:
        return format(number, "f")
    return str(number)


def as_text(raw: object) -> str | None:
    """A JSON leaf as text without white space around it; None for null, blank text, lists and objects.

    Decimals keep their digits as they were sent; a float has lost them already and is written in its shortest form.
    """
    if isinstance(raw, bool):
        return "true" if raw else "false"
    if isinstance(raw, str):
        return raw.strip() or None
    if isinstance(raw, float):
        return number_text(Decimal(repr(raw)))
    if isinstance(raw, int | Decimal):
        return number_text(raw)
    return None


def is_unrendered(raw: object) -> bool:
    """Whether the whole value, trimmed, is one placeholder that the sender left as it was."""
    return isinstance(raw, str) and _UNRENDERED.fullmatch(raw.strip()) is not None


def tidy(kind: ValueKind, raw: object) -> Value | None:
    """A raw value in our form, None when there is nothing in it. Never raises."""
    if kind is ValueKind.LIST:
        return _tidy_list(raw)
    text = as_text(raw)
    if text is None:
        return None
    match kind:
        case ValueKind.EMAIL:
            joined = _JOINED_ADDRESS.fullmatch(text)
            return joined[1] if joined else text
        case ValueKind.URL:
            # Zendesk's ticket.url comes without a scheme; a relative path is left alone.
            return text if _SCHEME.match(text) or text.startswith("/") else f"https://{text}"
        case ValueKind.STATUS:
            return STATUS_WORDS.get(text.casefold(), text.casefold())
        case _:
            # What a person wrote, a subject above all, stays as it is to the last blank.
            return raw if isinstance(raw, str) else text


def _tidy_list(raw: object) -> tuple[str, ...] | None:
    if isinstance(raw, list | tuple):
        items = [as_text(item) for item in raw if not is_unrendered(item)]
    elif (text := as_text(raw)) is not None:
        items = list(re.split(r"[,;]\s*|\s+", text))
    else:
        return None
    return tuple(item for item in items if item) or None


#: Status labels of helpdesks in the languages of our users, folded, to Zendesk's words. A label that is not listed
#: stays as it came: an admin can name statuses freely.
STATUS_WORDS: Final[Mapping[str, str]] = {
    "new": "new",
    "nowe": "new",
    "nowy": "new",
    "nový": "new",
    "nová": "new",
    "новий": "new",
    "нова": "new",
    "нове": "new",
    "neu": "new",
    "open": "open",
    "otwarte": "open",
    "otwarty": "open",
    "otwarta": "open",
    "otevřený": "open",
    "otevřeno": "open",
    "otvorený": "open",
    "відкрито": "open",
    "відкритий": "open",
    "відкрита": "open",
    "offen": "open",
    "pending": "pending",
    "oczekujące": "pending",
    "oczekujący": "pending",
    "čekající": "pending",
    "čeká na vyřízení": "pending",
    "čakajúci": "pending",
    "очікування": "pending",
    "в очікуванні": "pending",
    "очікує": "pending",
    "wartend": "pending",
    "on-hold": "hold",
    "on hold": "hold",
    "hold": "hold",
    "wstrzymane": "hold",
    "wstrzymany": "hold",
    "pozastavený": "hold",
    "pozastaveno": "hold",
    "на утриманні": "hold",
    "призупинено": "hold",
    "angehalten": "hold",
    "solved": "solved",
    "resolved": "solved",
    "rozwiązane": "solved",
    "rozwiązany": "solved",
    "rozwiązana": "solved",
    "rozwiązano": "solved",
    "vyřešený": "solved",
    "vyřešené": "solved",
    "vyřešeno": "solved",
    "vyriešený": "solved",
    "vyriešené": "solved",
    "вирішено": "solved",
    "вирішений": "solved",
    "вирішена": "solved",
    "розв'язано": "solved",
    "розв’язано": "solved",
    "gelöst": "solved",
    "closed": "closed",
    "zamknięte": "closed",
    "zamknięty": "closed",
    "zamknięta": "closed",
    "zamknięto": "closed",
    "uzavřený": "closed",
    "uzavřené": "closed",
    "uzavřeno": "closed",
    "zatvorený": "closed",
    "zatvorené": "closed",
    "uzavretý": "closed",
    "закрито": "closed",
    "закритий": "closed",
    "закрита": "closed",
    "geschlossen": "closed",
}


@dataclass(frozen=True)
class TidyValues:
    """Placeholders ready for an Event: `values`, and the names of those the sender left unrendered."""

    values: Mapping[str, Value]
    unrendered: frozenset[str]


def tidy_values(raw: Mapping[str, object]) -> TidyValues:
    """Normalise raw values by flat placeholder name; names outside the catalogue are dropped. Fills in `person.*`."""
    values: dict[str, Value] = {}
    unrendered: set[str] = set()
    for name, item in raw.items():
        entry = CATALOGUE.get(name)
        if entry is None and not name.startswith(CUSTOM_PREFIX):
            continue
        if is_unrendered(item):
            unrendered.add(name)
            continue
        kind = entry.kind if entry else ValueKind.LIST if isinstance(item, list | tuple) else ValueKind.TEXT
        value = tidy(kind, item)
        if value is not None:
            values[name] = value
    _complete_names(values)
    _add_person(values, unrendered)
    return TidyValues(values, frozenset(unrendered - values.keys()))


def _complete_names(values: dict[str, Value]) -> None:
    for prefix in _PERSON_SOURCES:
        first, last = values.get(f"{prefix}.first_name"), values.get(f"{prefix}.last_name")
        if f"{prefix}.name" not in values and (first or last):
            values[f"{prefix}.name"] = " ".join(part for part in (first, last) if isinstance(part, str))


def _add_person(values: dict[str, Value], unrendered: set[str]) -> None:
    for leaf in ("email", "phone", "name", "language"):
        name = f"person.{leaf}"
        if name in values:
            continue
        for prefix in _PERSON_SOURCES:
            if f"{prefix}.{leaf}" in values:
                values[name] = values[f"{prefix}.{leaf}"]
                break
            if f"{prefix}.{leaf}" in unrendered:
                unrendered.add(name)
