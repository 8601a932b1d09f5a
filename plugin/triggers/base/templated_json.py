"""JSON that a body template broke: a value went into it as it was, with a quotation mark, a backslash or a line break.

Such a message is put right only where one reading of it exists. What is known besides the message is that the names in
it come from the template, and which values people type as they like; all others hold no quotation marks.

This is not `mended_json`: there marks are missing, here there are too many, and whoever takes both for possible has no
certain reading left.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, repeat, zip_longest
from types import MappingProxyType
from typing import Any, Final

from plugin.domain.event import CATALOGUE
from plugin.errors import Unreadable
from plugin.triggers.base.json_body import MAX_DEPTH, read_json

#: The names in the bodies that we give out for a source, by the event that each tells of.
Bodies = Mapping[str, Collection[str]]

#: The names that end every body which we give out, after its last value.
_SENT_FOR: Final = frozenset({"sent_for", "sent_for.tenant", "sent_for.source"})

#: Values that customers type, among those that we know. So is every value that we do not know.
_TYPED: Final = frozenset(
    {
        "ticket.title",
        "ticket.organization.name",
        "crm.name",
        "person.name",
        *(
            f"{who}.{leaf}"
            for who in ("ticket.requester", "chat.visitor")
            for leaf in ("name", "first_name", "last_name")
        ),
    }
)
_SAFE: Final = frozenset({*CATALOGUE, "event", "ticket.closed_at", "chat.ended_at", "chat.thread_id"}) - _TYPED

#: No template has more names, nor longer ones.
_MAX_MEMBERS: Final = 1000
_MAX_NAME: Final = 200
#: As many are told on a receipt.
_MAX_NOTES: Final = 10
_BEHIND_A_VALUE: Final = "} \t\r\n"

# Each brace and each comma is looked at by itself, so that no name of the template can be missed; what looks like a
# name may stand in a text all the same.
_NAME: Final = re.compile(r'[{,](?=\s*+"((?:[^"\\\x00-\x1f]|\\.)*+)"(\s*+:\s*+))')
_PLACEHOLDER: Final = re.compile(r"\{\{[^{}\"]*\}\}|#\{[^{}\"]*\}|\{\$[^{}\"]*\}")
_ESCAPE: Final = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})')
_CONTROL: Final = re.compile(r"[\x00-\x1f]")


def read_templated_json(body: bytes, bodies: Bodies = MappingProxyType({})) -> tuple[Any, tuple[str, ...]]:
    """The document in `body`, and a sentence for the receipt on each value that the template broke.

    bodies: the names in the bodies that we give out for this source, by the event that each tells of. To such a body
    one value that customers type may have been added, before others of the kind. In any other body that value is put
    right where nothing but `sent_for` follows it.
    Raises Unreadable, about the message as it came, for what is not JSON and has no reading or more than one.
    """
    try:
        return read_json(body), ()
    except Unreadable as refusal:
        try:
            mended, notes = _mend(body, bodies)
            return read_json(mended.encode()), notes
        except (_Uncertain, Unreadable):
            raise refusal from None


class _Uncertain(Exception):
    """A signal inside this module."""


@dataclass(frozen=True)
class _Member:
    """What looks like a name, and what stands behind it up to the next one, where its value is looked for.

    is_typed: whether the value is one that customers type, which alone can hold what looks like a part of the message.
    """

    path: str
    head: str
    value: str
    behind: str
    is_typed: bool


def _mend(body: bytes, bodies: Bodies) -> tuple[str, tuple[str, ...]]:
    try:
        text = body.lstrip().removeprefix(codecs.BOM_UTF8).decode().strip()
    except UnicodeDecodeError:
        raise _Uncertain from None
    members = list(_members(text, _SAFE.union(*bodies.values()) - _TYPED))
    _require_one_reading(members, bodies)
    pieces: list[str] = []
    notes: list[str] = []
    for member in members:
        value, slip = _mended_value(member)
        pieces += (member.head, value, member.behind)
        if slip:
            notes.append(f"The message was not quite JSON, but its meaning is certain: {member.path} holds {slip}.")
    return "".join(pieces), tuple(notes[:_MAX_NOTES])


def _members(text: str, safe: Collection[str]) -> Iterator[_Member]:
    names = list(islice(_NAME.finditer(text), _MAX_MEMBERS + 1))
    if not names or names[0].start() != 0 or len(names) > _MAX_MEMBERS:
        raise _Uncertain
    around: list[str] = []
    for name, following in zip_longest(names, names[1:]):
        end = following.start() if following else len(text)
        path, rest = ".".join([*around, name[1]]), text[name.end(2) : end]
        opens = following is not None and following[0] == "{"
        if len(around) >= MAX_DEPTH or len(name[1]) > _MAX_NAME or "\\" in name[1] or (opens and rest.strip()):
            raise _Uncertain
        if opens:
            around.append(name[1])
            value, behind = "", rest
        else:
            value, behind = _split(rest)
            del around[max(0, len(around) - behind.count("}")) :]
        is_typed = path not in safe and value.startswith(('"', "["))
        yield _Member(path, text[name.start() : name.end(2)], value, behind, is_typed)


def _split(rest: str) -> tuple[str, str]:
    """A value, and the brackets behind it. A text ends with the last quotation mark before the next name."""
    if placeholder := _PLACEHOLDER.match(rest):
        end = placeholder.end()
    elif rest.startswith('"'):
        end = rest.rfind('"') + 1
    else:
        end = len(rest.rstrip(_BEHIND_A_VALUE))
    return rest[:end], rest[end:]


def _require_one_reading(members: Sequence[_Member], bodies: Bodies) -> None:
    """Everything behind the first value that a customer types could be a part of it.

    It cannot be one where these are just the names that the template is known to have there: were they typed, then the
    template's own would stand behind them, and there would be more names than it has.
    """
    paths = [member.path for member in members]
    first = next((number for number, member in enumerate(members) if member.is_typed), len(members))
    before = set(paths[: first + 1])
    kinds = {member.value.strip('"') for member in members[:first] if member.path in {"event", "event.kind"}}
    ours = _with_objects(name for kind in kinds for name in bodies.get(kind, ()))
    behind = frozenset(paths) - before
    if len(set(paths)) != len(paths) or behind not in {frozenset(), _SENT_FOR - before, (_SENT_FOR | ours) - before}:
        raise _Uncertain


def _with_objects(names: Iterable[str]) -> frozenset[str]:
    """Names, and those of the objects that they stand in."""
    return frozenset(
        ".".join(parts[:end]) for parts in map(str.split, names, repeat(".")) for end in range(1, len(parts) + 1)
    )


def _mended_value(member: _Member) -> tuple[str, str]:
    """A value as JSON, and what was wrong with it."""
    value = member.value
    if _PLACEHOLDER.fullmatch(value):
        return json.dumps(value), "a placeholder without quotation marks"
    if not member.is_typed or value.startswith("["):
        return value, ""
    content = value[1:-1]
    # Whether the sender writes JSON's escapes is exactly what is not known any more.
    if len(value) < 2 or _ESCAPE.search(content):
        raise _Uncertain
    slips = {
        "a quotation mark": '"' in content,
        "a backslash": "\\" in content,
        "a line break or tab": _CONTROL.search(content) is not None,
    }
    slip = " and ".join(name for name, there in slips.items() if there)
    return json.dumps(content, ensure_ascii=False), f"{slip} as it was typed" if slip else ""
