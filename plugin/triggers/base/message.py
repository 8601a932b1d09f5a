"""Messages whose body the customer writes, in our own placeholder names: JSON, XML, a form or a query string."""

from __future__ import annotations

import codecs
import hashlib
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import parse_qsl

from plugin.domain.event import (
    CATALOGUE,
    CUSTOM_PREFIX,
    Event,
    EventKind,
    Value,
    ValueKind,
    as_text,
    is_known,
    is_unrendered,
    tidy_values,
)
from plugin.errors import Unreadable
from plugin.triggers.base import InboundRequest
from plugin.triggers.base.json_body import storable
from plugin.triggers.base.templated_json import Bodies, read_templated_json
from plugin.triggers.base.times import read_time
from plugin.triggers.base.xml_body import read_xml

#: How many events one request, and how many fields one form may hold.
MAX_EVENTS: Final = 100
MAX_FIELDS: Final = 1000

#: Longer ids are replaced by their hash, so that every id fits an index of the database.
MAX_ID: Final = 200
MAX_NAME: Final = 200

#: What a message means that names no kind, by the first of these it holds.
_DEFAULT_KINDS: Final[Mapping[str, EventKind]] = {
    "ticket": EventKind.TICKET_CLOSED,
    "chat": EventKind.CHAT_ENDED,
    "crm": EventKind.CRM_CHANGED,
}

#: What a sender may name. The catalogue's other names (`episode.*`, `delivery.*`, ...) are ours to fill in.
SENDER_ROOTS: Final = frozenset({*_DEFAULT_KINDS, "person", "event"})

#: What tells one closing of a ticket or chat from another, best first.
_MARKS: Final = ("closed_at", "ended_at", "thread_id", "updated_at")
MARK_NAMES: Final = frozenset(f"{root}.{mark}" for root in _DEFAULT_KINDS for mark in _MARKS)


def read_message(
    request: InboundRequest,
    *,
    kinds: Collection[EventKind],
    id_headers: Sequence[str] = (),
    aliases: Mapping[str, str] | None = None,
    bodies: Bodies = MappingProxyType({}),
    translate: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None,
) -> list[Event]:
    """The events in a message written in our placeholder names, nested or dotted.

    The first character decides how the body is read, since Content-Type is often wrong. A JSON list holds up to
    MAX_EVENTS events. Without a body the query string is read; without both it is a ping, which gives no event. A key
    that wraps the whole message, or the list of messages, is opened.

    kinds: what this source can give; a message that names another kind gives an event of kind `unsupported`.
    id_headers: where the sender puts its event id, in lower case, tried before `webhook-id` and `idempotency-key`.
    aliases: the sender's own spelling of a placeholder, and ours.
    bodies: the names in the bodies that we give out for this source: see `read_templated_json`.
    translate: makes a message in our names of one that the sender wrote in its own; the payload stays as it came.
    Raises Unreadable.
    """
    document, mended = read_document(request, bodies)
    read = []
    for number, message in enumerate(messages := messages_in(unwrapped(document)), start=1):
        ours = translate(message) if translate else message
        fallback_id = header_id(request, id_headers, number if len(messages) > 1 else None)
        event = event_of(ours, kinds=kinds, aliases=aliases, fallback_id=fallback_id, mended=mended)
        read.append(replace(event, payload=message))
    return read


# --- the body -------------------------------------------------------------------------------------------------------

#: A document, and what was put right in it.
_Read = tuple[Any, tuple[str, ...]]

_BEGINS_LIKE_A_FORM: Final = re.compile(rb"[\w.%+-]+=")
#: How many keys may be wrapped around a message.
_WRAPPERS: Final = 3


def read_document(request: InboundRequest, bodies: Bodies = MappingProxyType({})) -> _Read:
    """What a request holds, as a tree, and what was put right in it; an empty list for a ping. Raises Unreadable."""
    body = request.body.lstrip().removeprefix(codecs.BOM_UTF8).strip()
    if not body and not request.query:
        return [], ()
    return _read_body(request, body, bodies) if body else _read_form(request.query, bodies)


def messages_in(document: Any) -> list[dict[str, Any]]:
    """The messages of a list, or the single one. Raises Unreadable."""
    messages = document if isinstance(document, list) else [document]
    if len(messages) > MAX_EVENTS:
        raise Unreadable(f"The list holds {len(messages)} events, and at most {MAX_EVENTS} are taken in one request.")
    if not all(isinstance(message, dict) for message in messages):
        raise Unreadable("The body must be a JSON object with names such as ticket.id, or a list of such objects.")
    return messages


def unwrapped(document: Any) -> Any:
    """The messages themselves, where one key is wrapped around them; else the document as it is."""
    inner = document
    for _ in range(_WRAPPERS):
        if not isinstance(inner, dict) or len(inner) != 1 or _in_our_names(inner):
            break
        [inner] = inner.values()
    found = inner if isinstance(inner, list) else [inner]
    is_message = bool(found) and all(isinstance(one, dict) and _in_our_names(one) for one in found)
    return inner if is_message else document


def _in_our_names(message: Mapping[str, Any]) -> bool:
    return any(_speaks_of(root, message) for root in SENDER_ROOTS)


def _read_body(request: InboundRequest, body: bytes, bodies: Bodies) -> _Read:
    is_form = "form-urlencoded" in request.headers.get("content-type", "").lower()
    if not body.startswith((b"{", b"[")) and (is_form or _BEGINS_LIKE_A_FORM.match(body)):
        return _read_form(body.decode("utf-8", "replace"), bodies)
    if body.startswith(b"<"):
        return read_xml(body), ()
    return read_templated_json(request.body, bodies)


def _read_form(text: str, bodies: Bodies) -> _Read:
    try:
        fields = dict(parse_qsl(text, keep_blank_values=True, errors="replace", max_num_fields=MAX_FIELDS))
    except ValueError:
        raise Unreadable(f"The form holds more than {MAX_FIELDS} fields.") from None
    [*values] = fields.values()
    if len(values) == 1 and values[0].lstrip().startswith(("{", "[")):
        # Some senders know only forms, and put the JSON they were given into a single field.
        return read_templated_json(values[0].encode("utf-8", "replace"), bodies)
    return storable(fields), ()


# --- one event ------------------------------------------------------------------------------------------------------


def event_of(
    message: Mapping[str, Any],
    *,
    kinds: Collection[EventKind],
    aliases: Mapping[str, str] | None = None,
    fallback_id: str | None = None,
    mended: Sequence[str] = (),
) -> Event:
    """The event that a message in our names tells of, without its payload. See `read_message`.

    fallback_id: its id, if it names none. mended: notes on what was put right.
    """
    sent = _in_our_spelling(dict(flatten(message)), aliases or {})
    root = next((root for root in _DEFAULT_KINDS if _speaks_of(root, message)), "")
    word = as_text(sent.pop("event.kind", None)) or as_text(sent.pop("event", None))
    kind = _kind(word, root, kinds)
    if kind is not EventKind.UNSUPPORTED:
        root, _, _ = kind.value.partition(".")
    tidied = tidy_values(sent)
    sender_id = bounded(as_text(tidied.values.get("event.id"))) or fallback_id
    time = read_time(as_text(tidied.values.get("event.time")) or "")
    ours_to_say = {"event.id": sender_id, "event.kind": kind.value, "event.time": _written(time)}
    values = {name: value for name, value in {**tidied.values, **ours_to_say}.items() if value and is_known(name)}
    mark = _closing_mark(sent, root)
    notes = [
        *mended,
        *_notes_on_event(kind, word, root),
        *_notes_on_times(sent, root, time_given="event.time" in tidied.values, time=time, mark=mark),
        *_notes_on_values(sent, tidied.values),
    ]
    return Event(
        kind=kind,
        id=sender_id,
        time=time,
        subject=_subject(values, root),
        closing_mark=mark,
        values=values,
        unrendered=tidied.unrendered - values.keys(),
        vendor_kind=(word or "")[:MAX_NAME],
        notes=tuple(notes),
    )


def flatten(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """What a message says under our names, by flat names."""
    for key, item in node.items():
        name = prefix + key
        # The bound also keeps deeply nested long names from multiplying.
        if len(name) > MAX_NAME or name.partition(".")[0] not in SENDER_ROOTS:
            continue
        if isinstance(item, dict):
            yield from flatten(item, f"{name}.")
        else:
            yield name, item


def _in_our_spelling(sent: Mapping[str, Any], aliases: Mapping[str, str]) -> dict[str, Any]:
    theirs = {aliases[name]: value for name, value in sent.items() if name in aliases and as_text(value)}
    return {name: value for name, value in sent.items() if name not in aliases} | theirs


def _speaks_of(root: str, message: Mapping[str, Any]) -> bool:
    return any(key == root or key.startswith(f"{root}.") for key in message)


def _kind(word: str | None, root: str, kinds: Collection[EventKind]) -> EventKind:
    if word is None:
        kind = _DEFAULT_KINDS.get(root, EventKind.UNSUPPORTED)
    else:
        kind = next((kind for kind in EventKind if kind.value == word.casefold()), EventKind.UNSUPPORTED)
    return kind if kind in kinds else EventKind.UNSUPPORTED


def _subject(values: Mapping[str, Value], root: str) -> str | None:
    number = as_text(values.get(f"{root}.id"))
    if number is None:
        return None
    if root == "crm":
        return bounded(f"crm:{as_text(values.get('crm.object')) or 'record'}:{number}")
    return bounded(f"{root}:{number}")


def _closing_mark(sent: Mapping[str, Any], root: str) -> str | None:
    for mark in _MARKS:
        text = as_text(sent.get(f"{root}.{mark}"))
        if text and not is_unrendered(text) and (mark == "thread_id" or _names_a_moment(text)):
            return bounded(text)
    return None


def _names_a_moment(text: str) -> bool:
    """Whether it is more than a day: a ticket may well be closed twice within one."""
    return ":" in text or sum(character.isdigit() for character in text) >= 10


def header_id(request: InboundRequest, names: Sequence[str] = (), number: int | None = None) -> str | None:
    """The id in one of these headers, or in one that any sender may use. number: of an event among several."""
    found = (request.headers.get(name, "").strip() for name in (*names, "webhook-id", "idempotency-key"))
    text = storable(next((value for value in found if value), None))
    return bounded(text) if number is None or text is None else bounded(f"{text}-{number}")


def bounded(text: str | None) -> str | None:
    """The id, or where it is too long for an index its hash."""
    if text is None or len(text) <= MAX_ID:
        return text
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _written(time: datetime | None) -> str | None:
    return time.isoformat().replace("+00:00", "Z") if time else None


# --- remarks for the receipt ----------------------------------------------------------------------------------------

_PLAIN_NAME: Final = re.compile(r"[\w.-]+", re.ASCII)


def _notes_on_event(kind: EventKind, word: str | None, root: str) -> Iterator[str]:
    if kind is not EventKind.UNSUPPORTED:
        return
    if word:
        yield "The kind of event that the message names is none that this source acts on."
    elif not root:
        yield "The message names no kind of event and holds none of ticket, chat and crm."


def _notes_on_times(
    sent: Mapping[str, Any], root: str, *, time_given: bool, time: datetime | None, mark: str | None
) -> Iterator[str]:
    if time_given and time is None:
        yield "event.time is neither ISO 8601 nor Unix time, so it was left out."
    if mark is None and as_text(sent.get(f"{root}.updated_at")):
        yield f"{root}.updated_at has no time of day, so it cannot tell two closings apart."


def _notes_on_values(sent: Mapping[str, Any], values: Mapping[str, Value]) -> Iterator[str]:
    unknown = []
    for name, raw in sent.items():
        if name in CATALOGUE:
            yield from _note_on_value(name, raw, values.get(name))
        elif not name.startswith(CUSTOM_PREFIX) and name not in MARK_NAMES and _PLAIN_NAME.fullmatch(name):
            unknown.append(name)
    if unknown:
        shown = ", ".join(unknown[:5]) + (" and more" if len(unknown) > 5 else "")
        yield f"Not placeholders, and so only readable as payload.<name>: {shown}."
    if any("\ufffd" in raw for raw in sent.values() if isinstance(raw, str)):
        yield "Some characters could not be read and stand as \ufffd; the sender should send UTF-8."


def _note_on_value(name: str, raw: object, value: Value | None) -> Iterator[str]:
    if isinstance(raw, list) and raw and value is None:
        yield f"{name} holds a list that cannot be read as its value, so it was left out."
    if not isinstance(raw, str) or value is None or raw.strip() == value:
        return
    match CATALOGUE[name].kind:
        case ValueKind.URL:
            yield f"{name} came without https://, which was added."
        case ValueKind.EMAIL:
            yield f"{name} came as a name with an address; the address was taken."
        case ValueKind.STATUS if raw.strip().casefold() != value:
            yield f"{name} came as “{raw.strip()}” and was read as {value}."
        case _:
            pass
