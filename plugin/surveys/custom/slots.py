"""Texts with slots: `{name}` stands for a parameter, `{secret:name}` for a secret of the connection.

A slot takes a value whole. Encoding is done later, by code, for the place where the text goes; so no value can end its
own segment, pair or JSON text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from plugin.domain.survey_call import Text
from plugin.redaction import Secret, reveal

NAME_PATTERN: Final = r"[A-Za-z][A-Za-z0-9_]{0,63}\Z"
NAME_MESSAGE: Final = "must begin with a letter, and may hold letters, digits and _; at most 64."

_SLOT: Final = re.compile(r"\{(secret:)?([A-Za-z][A-Za-z0-9_]{0,63})\}")

#: What stands for a part of a document that is left out.
_NOTHING: Final = object()


@dataclass(frozen=True)
class Slot:
    """secret: filled with a secret of that name, and not with a parameter."""

    name: str
    secret: bool = False


@dataclass(frozen=True)
class Values:
    """What fills slots. kinds: of the parameters, by name, which decide how a lone slot looks in JSON."""

    parameters: Mapping[str, str] = field(repr=False)
    secrets: Mapping[str, Secret]
    kinds: Mapping[str, str] = field(default_factory=dict)


@lru_cache(maxsize=5000)
def pieces_of(text: str) -> tuple[str | Slot, ...]:
    """A text as its fixed parts and its slots, in order. Raises ValueError, whose text says what is wrong."""
    pieces: list[str | Slot] = []
    end = 0
    for found in _SLOT.finditer(text):
        pieces += [text[end : found.start()], Slot(found[2], secret=bool(found[1]))]
        end = found.end()
    pieces.append(text[end:])
    fixed = "".join(piece for piece in pieces if isinstance(piece, str))
    if "{{" in text or "{%" in text:
        raise ValueError("holds a template; those belong into the rule, and here stands a slot such as {email}.")
    if "{" in fixed or "}" in fixed:
        raise ValueError("holds a brace that is no slot; slots are {name} and {secret:name}.")
    return tuple(piece for piece in pieces if piece != "")


def slots_in(document: Any) -> Iterator[Slot]:
    """Every slot in a text, or in the texts of a JSON document. Raises ValueError."""
    if isinstance(document, Mapping):
        for name, value in document.items():
            if any(isinstance(piece, Slot) for piece in pieces_of(name)):
                raise ValueError("has a slot in a name; names are fixed, and only values may hold slots.")
            yield from slots_in(value)
    elif isinstance(document, list):
        for value in document:
            yield from slots_in(value)
    elif isinstance(document, str):
        yield from (piece for piece in pieces_of(document) if isinstance(piece, Slot))


def fill_text(text: str, values: Values) -> Text | None:
    """`text` with its slots filled, as a Secret if one is in it; None when a parameter has no value."""
    filled: list[Text] = []
    for piece in pieces_of(text):
        if isinstance(piece, str):
            filled.append(piece)
        elif piece.secret:
            filled.append(values.secrets[piece.name])
        elif value := values.parameters.get(piece.name):
            filled.append(value)
        else:
            return None
    if len(filled) == 1:
        return filled[0]
    whole = "".join(map(reveal, filled))
    return Secret(whole) if any(isinstance(part, Secret) for part in filled) else whole


def fill_pairs(pairs: Mapping[str, str], values: Values) -> tuple[tuple[str, Text], ...]:
    """Names and filled texts, in order, without those that lack a value."""
    filled = ((name, fill_text(text, values)) for name, text in pairs.items())
    return tuple((name, text) for name, text in filled if text is not None)


def fill_document(document: Any, values: Values) -> Any:
    """A JSON document with its slots filled. What lacks a value is left out, and so is what holds nothing then."""
    filled = _fill(document, values)
    return {} if filled is _NOTHING else filled


def _fill(document: Any, values: Values) -> Any:
    if isinstance(document, Mapping):
        members = {name: _fill(value, values) for name, value in document.items()}
        kept: Any = {name: value for name, value in members.items() if value is not _NOTHING}
    elif isinstance(document, list):
        kept = [value for value in (_fill(entry, values) for entry in document) if value is not _NOTHING]
    elif isinstance(document, str):
        return _fill_leaf(document, values)
    else:
        return document
    return kept if kept or not document else _NOTHING


def _fill_leaf(text: str, values: Values) -> Any:
    filled = fill_text(text, values)
    if filled is None:
        return _NOTHING
    pieces = pieces_of(text)
    if len(pieces) == 1 and isinstance(pieces[0], Slot) and isinstance(filled, str):
        return _as_json(filled, values.kinds.get(pieces[0].name, "text"))
    return filled


def _as_json(value: str, kind: str) -> Any:
    if kind == "yes_no":
        return value == "1"
    return int(value) if kind == "number" else value
