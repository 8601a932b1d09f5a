"""Reading messages as a tenant or a preset says: by paths instead of by our own names, or beside them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from plugin.domain.event import CATALOGUE, Event, EventKind, ValueKind, as_text, is_unrendered
from plugin.domain.rule import matches_glob
from plugin.errors import Unreadable
from plugin.triggers.base import InboundRequest
from plugin.triggers.base.message import (
    MAX_EVENTS,
    MAX_NAME,
    bounded,
    event_of,
    flatten,
    header_id,
    messages_in,
    read_document,
    read_message,
    unwrapped,
)
from plugin.triggers.base.paths import Scope, leaves, path_problem, read_path, read_text
from plugin.triggers.generic.presets import Kinds, Recipe
from plugin.triggers.generic.settings import recipe_of

#: Headers that say what happened, or what the message is about, and are no part of how it was sent.
_TELLING_HEADERS: Final = ("x-", "webhook-id", "idempotency-key")
_MOST_QUERY_VALUES: Final = 50
_OF_THE_WAY: Final = ("x-forwarded", "x-real-ip", "x-request-id", "x-amz", "x-b3", "x-cloud", "x-envoy")


def read_as_set(request: InboundRequest, kinds: Collection[EventKind]) -> list[Event]:
    """The events of a message. Raises Unreadable."""
    if not request.settings:
        return read_message(request, kinds=kinds)
    recipe = recipe_of(request.settings)
    document, mended = read_document(request)
    if document == []:
        return []
    scopes = _scopes(document, recipe, request)
    return [
        _read(scope, recipe, kinds, header_id(request, (), number if len(scopes) > 1 else None), mended)
        for number, scope in enumerate(scopes, start=1)
    ]


def leaves_of(request: InboundRequest) -> list[tuple[str, str]]:
    """Every value of a message and the path that leads to it, for a person who says what is what. Raises Unreadable."""
    messages = messages_in(unwrapped(read_document(request)[0]))
    message = messages[0] if messages else {}
    found = [(path, text) for path, value in leaves(message) if (text := as_text(value)) is not None]
    headers = [
        (f"header:{name}", value)
        for name, value in sorted(request.headers.items())
        if name.startswith(_TELLING_HEADERS) and not name.startswith(_OF_THE_WAY)
    ]
    if request.body.strip() and request.query:
        scope = Scope({}, query=request.query)
        pairs = [(path, read_text(path, scope)) for path in _query_paths(request.query)]
        found += [(path, text) for path, text in pairs if text is not None]
    return found + headers


def _query_paths(query: str) -> list[str]:
    names = dict.fromkeys(pair.partition("=")[0] for pair in query.split("&")[:_MOST_QUERY_VALUES])
    return [path for name in names if path_problem(path := f"query:{name}") is None]


def _scopes(document: Any, recipe: Recipe, request: InboundRequest) -> list[Scope]:
    messages = messages_in(unwrapped(document) if recipe.own_names else document)
    scopes = []
    for message in messages:
        scope = Scope(message, message, request.headers, request.query)
        parts = read_path(recipe.each, scope) if recipe.each else message
        found = parts if isinstance(parts, list) else [parts] if parts is not None else []
        # A message without the list is kept as one event that says nothing.
        scopes += [replace(scope, item=part) for part in found or [{}] if isinstance(part, dict)]
    if len(scopes) > MAX_EVENTS:
        raise Unreadable(f"The message holds {len(scopes)} events, and at most {MAX_EVENTS} are taken in one request.")
    return scopes


def _read(
    scope: Scope, recipe: Recipe, kinds: Collection[EventKind], fallback_id: str | None, mended: Sequence[str]
) -> Event:
    sent = dict(flatten(scope.item)) if recipe.own_names else {}
    notes = list(mended)
    sent |= dict(_fields(recipe.fields, scope, notes))
    word = None
    if recipe.kinds is not None:
        kind, word, told = _kind(recipe.kinds, scope)
        sent = {name: value for name, value in sent.items() if name != "event"} | {"event.kind": kind}
        notes += told
    own_id = _event_id(recipe.id, scope)
    if own_id is not None:
        sent["event.id"] = own_id
    event = event_of(sent, kinds=kinds, fallback_id=fallback_id, mended=notes)
    mark = bounded(read_text(recipe.mark, scope)) if recipe.mark else None
    if recipe.note and "person.email" not in event.values and (event.kind.value != "unsupported" or not recipe.kinds):
        event = replace(event, notes=(*event.notes, recipe.note))
    return replace(
        event,
        payload=scope.item,
        closing_mark=mark or event.closing_mark,
        vendor_kind=event.vendor_kind if word is None else word[:MAX_NAME],
        account=bounded(read_text(recipe.account, scope)) if recipe.account else None,
    )


def _fields(fields: Mapping[str, str], scope: Scope, notes: list[str]) -> Iterator[tuple[str, Any]]:
    for name, path in fields.items():
        value = read_path(path, scope)
        text = as_text(value)
        kind = CATALOGUE[name].kind if name in CATALOGUE else ValueKind.TEXT
        if text is not None and not is_unrendered(text) and not _fits(kind, text):
            notes.append(f"{name}: what stands at {path} is no {_SHOULD_BE[kind]}, so it was left out.")
            value = None
        yield name, None if isinstance(value, dict) else value


_SHOULD_BE: Final = {ValueKind.EMAIL: "e-mail address", ValueKind.URL: "address"}


def _fits(kind: ValueKind, text: str) -> bool:
    if kind is ValueKind.EMAIL:
        return "@" in text
    return kind is not ValueKind.URL or not any(character.isspace() for character in text)


def _kind(kinds: Kinds, scope: Scope) -> tuple[str, str, list[str]]:
    """The kind of event, the sender's own word for it, and what the receipt should say."""
    word = read_text(kinds.path, scope) or ""
    kind = kinds.map.get(word.casefold(), EventKind.UNSUPPORTED.value)
    if not word:
        return kind, word, [f"Nothing stands at {kinds.path}, which would say what has happened."]
    if kind == EventKind.UNSUPPORTED:
        return kind, word, []
    for path, patterns in kinds.only.items():
        if not _matches(read_text(path, scope), patterns):
            return EventKind.UNSUPPORTED.value, word, [f"Nobody is asked, since {path} is not {patterns}."]
    for path, patterns in kinds.unless.items():
        if _matches(read_text(path, scope), patterns):
            return EventKind.UNSUPPORTED.value, word, [f"Nobody is asked, since {path} is {patterns}."]
    return kind, word, []


def _matches(text: str | None, patterns: str) -> bool:
    if text is None:
        return False
    return any(matches_glob(text.casefold(), pattern.strip().casefold()) for pattern in patterns.split("|"))


def _event_id(paths: Sequence[str], scope: Scope) -> str | None:
    """What stands at the path; where there are several, a digest of all. None unless each of them says something."""
    parts = [read_text(path, scope) for path in paths]
    if not parts or any(part is None or is_unrendered(part) for part in parts):
        return None
    return parts[0] if len(parts) == 1 else hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:40]
