"""Paths: where in a message a value stands, written by a tenant or in a table.

A path is the keys from the top down to the value, with dots in between: `ticket.requester.email`. Besides keys it knows

- `tags[0]` or `tags.0`, one item of a list, counted from 0; `tags[-1]` is the last;
- `users[type=customer].email`, the first item whose `type` is `customer`;
- `tags[*].name`, the names of all items, as a list;
- `@type`, an attribute in XML.

In front of the path may stand where it is to be looked for, instead of in the message: `header:X-Groove-Event`,
`query:source`, `message:...` (in the whole message, where `each` takes it apart) or `text:deal` (this very text).
`last:links.customer.href` is the last segment of an address's path. Several paths with `|` in between are tried in
order; the first that holds something counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from plugin.domain.event import as_text

#: The longest path, characters; the most items that `[*]` gives; the most leaves that are listed of one message.
LONGEST: Final = 500
MAX_ITEMS: Final = 500
MAX_LEAVES: Final = 300
_MAX_QUERY: Final = 1000

_PLACES: Final = ("header", "query", "message", "text")
_STEP: Final = re.compile(r"([^.\[\]|]+)((?:\[[^\[\]|]*\])*)(?:\.(?=[^.])|\Z)")
_PICK: Final = re.compile(r"\[(?:(?P<all>\*)|(?P<at>-?\d{1,9})|(?P<key>[^\[\]=]+)=(?P<value>[^\[\]]*))\]")
#: What tells the items of a list apart, best first.
_TELLING: Final = ("type", "field", "prop_key", "name", "key", "role", "label", "kind")


@dataclass(frozen=True)
class Scope:
    """What paths are looked up in. item: the message, or the part of it that is one event. whole: all of it."""

    item: Any = field(repr=False)
    whole: Any = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: str = field(default="", repr=False)


@dataclass(frozen=True)
class _Pick:
    """One item of a list: all of them, the one at a place, or the first with this text under a key."""

    at: int | None = None
    key: str = ""
    value: str = ""


@dataclass(frozen=True)
class _Path:
    """place: where it is looked for; empty for the message. steps: keys and picks."""

    place: str
    rest: str
    steps: Sequence[str | _Pick]
    last_segment: bool


def path_problem(text: str) -> str | None:
    """What is wrong with a path, as the end of a sentence; None when nothing is."""
    try:
        _parse(text)
    except ValueError as error:
        return str(error)
    return None


def names_header(text: str) -> Iterator[str]:
    """The headers that a path reads, in lower case. Raises ValueError for what is no path."""
    return (path.rest.lower() for path in _parse(text) if path.place == "header")


def read_path(text: str, scope: Scope) -> Any:
    """What stands under the path, as it was sent; None when there is nothing. Raises ValueError for what is no path."""
    for path in _parse(text):
        found = _bare(_read(path, scope))
        if path.last_segment:
            found = _last_segment(as_text(found) or "")
        if _holds_something(found):
            return found
    return None


def read_text(text: str, scope: Scope) -> str | None:
    """The same as text; None for what is none."""
    return as_text(read_path(text, scope))


def leaves(tree: Any) -> Iterator[tuple[str, Any]]:
    """Each value of a message with a path that leads to it, at most MAX_LEAVES. Those that no path can name are left
    out.
    """
    scope, count = Scope(tree), 0
    for path, value in _leaves(tree, ""):
        if count == MAX_LEAVES:
            return
        if len(path) <= LONGEST and path_problem(path) is None and read_path(path, scope) == value:
            count += 1
            yield path, value


# --- reading the path itself ------------------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def _parse(text: str) -> tuple[_Path, ...]:
    if len(text) > LONGEST:
        raise ValueError(f"is longer than {LONGEST} characters.")
    return tuple(_one_path(part.strip()) for part in text.split("|"))


def _one_path(text: str) -> _Path:
    last_segment = text.startswith("last:")
    text = text.removeprefix("last:")
    place, colon, rest = text.partition(":")
    if not colon or place not in _PLACES:
        return _Path("", text, _steps(text), last_segment)
    if not rest.strip():
        raise ValueError(f"has nothing after {place}:.")
    return _Path(place, rest.strip(), _steps(rest) if place == "message" else (), last_segment)


def _steps(text: str) -> tuple[str | _Pick, ...]:
    steps: list[str | _Pick] = []
    position = 0
    while position < len(text):
        step = _STEP.match(text, position)
        if step is None:
            break
        steps.append(step[1])
        picks = list(_PICK.finditer(step[2]))
        if "".join(pick[0] for pick in picks) != step[2]:
            break
        steps += [_pick(pick) for pick in picks]
        position = step.end()
    if position < len(text) or not steps:
        raise ValueError("is not a path such as ticket.requester.email, tags[0] or users[type=customer].email.")
    return tuple(steps)


def _pick(found: re.Match[str]) -> _Pick:
    if found["all"]:
        return _Pick()
    if found["at"]:
        return _Pick(at=int(found["at"]))
    return _Pick(key=found["key"].strip(), value=found["value"].strip().casefold())


# --- following it -----------------------------------------------------------------------------------------------------


def _read(path: _Path, scope: Scope) -> Any:
    match path.place:
        case "text":
            return path.rest
        case "header":
            return scope.headers.get(path.rest.lower())
        case "query":
            return _query_value(scope.query, path.rest)
        case "message":
            return _follow(scope.whole, path.steps)
        case _:
            return _follow(scope.item, path.steps)


def _query_value(query: str, name: str) -> str | None:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="replace", max_num_fields=_MAX_QUERY)
    except ValueError:
        return None
    return dict(pairs).get(name)


def _follow(node: Any, steps: Sequence[str | _Pick]) -> Any:
    for position, step in enumerate(steps):
        if isinstance(step, _Pick):
            if step.at is None and not step.key:
                rest = steps[position + 1 :]
                return [_bare(_follow(item, rest)) for item in _items(node)[:MAX_ITEMS]]
            node = _picked(node, step)
        elif isinstance(node, dict):
            # A form's names, and some senders' keys, hold dots themselves.
            whole = _joined(steps[position:])
            if whole in node:
                return node[whole]
            node = node.get(step)
        elif isinstance(node, list) and step.isascii() and step.isdigit():
            node = _picked(node, _Pick(at=int(step[:9])))
        else:
            return None
    return node


def _joined(steps: Sequence[str | _Pick]) -> str:
    return ".".join(steps) if all(isinstance(step, str) for step in steps) else ""  # type: ignore[arg-type]  # so checked


def _items(node: Any) -> list[Any]:
    """A list; in XML a single item looks like no list."""
    if node is None:
        return []
    return node if isinstance(node, list) else [node]


def _picked(node: Any, pick: _Pick) -> Any:
    items = _items(node)
    if pick.at is not None:
        return items[pick.at] if -len(items) <= pick.at < len(items) else None
    return next((item for item in items if _has(item, pick)), None)


def _has(item: Any, pick: _Pick) -> bool:
    text = as_text(_bare(item.get(pick.key))) if isinstance(item, dict) else None
    return (text or "").casefold() == pick.value


def _bare(found: Any) -> Any:
    """The text of an element in XML that has attributes besides."""
    return found["#text"] if isinstance(found, dict) and "#text" in found else found


def _holds_something(found: Any) -> bool:
    if isinstance(found, list):
        return any(_holds_something(item) for item in found)
    return bool(found) if isinstance(found, dict) else as_text(found) is not None


def _last_segment(url: str) -> str:
    try:
        path = urlsplit(url).path
    except ValueError:
        return ""
    return unquote(path.rstrip("/").rpartition("/")[2])


# --- listing what there is --------------------------------------------------------------------------------------------


def _leaves(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        for key, inner in node.items():
            if key == "#text":
                yield path, inner
            else:
                yield from _leaves(inner, f"{path}.{key}" if path else key)
    elif isinstance(node, list):
        telling = _telling_key(node)
        for position, inner in enumerate(node):
            pick = f"{telling}={as_text(_bare(inner[telling]))}" if telling else str(position)
            yield from _leaves(inner, f"{path}[{pick}]")
    elif node is not None:
        yield path, node


def _telling_key(items: Sequence[Any]) -> str:
    """The key whose text tells each of these items from the others; empty when none does."""
    if not all(isinstance(item, dict) for item in items):
        return ""
    for key in _TELLING:
        texts = [as_text(_bare(item.get(key))) for item in items]
        # Settings are no place for an address.
        if any("@" in (text or "") for text in texts):
            continue
        if all(texts) and len({text.casefold() for text in texts if text}) == len(items):
            return key
    return ""
