"""JSON from strangers: read strictly, bounded, and refused with the place of the fault."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, NoReturn

from plugin.errors import Unreadable

#: How deep a document may nest, and how many digits a number may have; enough for every double written out.
MAX_DEPTH: Final = 64
MAX_DIGITS: Final = 400


def read_json(body: bytes) -> Any:
    """The JSON document in `body`, which is UTF-8 with or without a byte-order mark.

    Numbers keep their digits (int, Decimal). Of a repeated name the last value counts. Characters that databases
    refuse (lone surrogates, null) become U+FFFD. Raises Unreadable, with line and column, for what is not JSON, for NaN
    and Infinity, for numbers of more than MAX_DIGITS digits and for more than MAX_DEPTH levels.
    """
    body = body.lstrip().removeprefix(codecs.BOM_UTF8)
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        before = body[: error.start].decode()
        raise _unreadable(before, len(before), "text in UTF-8") from None
    try:
        return storable(json.loads(text, parse_int=_integer, parse_float=_decimal, parse_constant=_refuse_number))
    except json.JSONDecodeError as error:
        raise _unreadable(text, error.pos, _expected(error.msg)) from None
    except _NumberRefused as error:
        raise _unreadable(text, _place_of(error.literal, text), "a finite number of ordinary length") from None
    except (_TooDeep, RecursionError):
        raise _unreadable(text, _place_too_deep(text), f"no more than {MAX_DEPTH} levels of nesting") from None


_REFUSED_CHARACTERS: Final = re.compile("[\x00\ud800-\udfff]")


def storable(value: Any, level: int = 1) -> Any:
    """A parsed document with every character that databases refuse replaced by U+FFFD."""
    if isinstance(value, str):
        return _REFUSED_CHARACTERS.sub("\ufffd", value)
    if not isinstance(value, list | dict):
        return value
    if level > MAX_DEPTH:
        raise _TooDeep
    if isinstance(value, list):
        return [storable(item, level + 1) for item in value]
    return {storable(name): storable(item, level + 1) for name, item in value.items()}


class _NumberRefused(Exception):
    def __init__(self, literal: str) -> None:
        super().__init__()
        self.literal = literal


class _TooDeep(Exception):
    """A signal inside this module, as the one above is."""


def _integer(literal: str) -> int:
    return int(literal) if len(literal) <= MAX_DIGITS else _refuse_number(literal)


def _decimal(literal: str) -> Decimal:
    _, _, exponent = literal.lower().partition("e")
    # 1e999999999 is short to write, and fills the memory of whoever writes it out.
    if len(literal) > MAX_DIGITS or len(exponent) > 5 or abs(int(exponent or 0)) > MAX_DIGITS:
        _refuse_number(literal)
    return Decimal(literal)


def _refuse_number(literal: str) -> NoReturn:
    raise _NumberRefused(literal)


#: What the standard library's messages mean to somebody who wrote a body template, by how they begin.
_EXPECTED: Final[Mapping[str, str]] = {
    "Expecting property name": "a name in double quotes",
    "Expecting ':'": "a colon after the name",
    "Expecting ','": "a comma or the end (or a quote inside the text before it lacks its backslash)",
    "Illegal trailing comma": "another value after the comma, or no comma",
    "Invalid control character": "a text without line breaks and tabs (they are written \\n and \\t)",
    "Unterminated string": "a closing quote for the text that begins here",
    "Invalid \\": "an escape that JSON knows (a backslash itself is written twice)",
    "Extra data": "the end of the message",
}


def _expected(message: str) -> str:
    return next((ours for theirs, ours in _EXPECTED.items() if message.startswith(theirs)), "a value")


def _unreadable(text: str, position: int, expected: str) -> Unreadable:
    line, column = text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)
    return Unreadable(f"The body is not readable as JSON at line {line}, column {column}: expected {expected}.")


# A text (closed or not), a bracket, or a run of letters, digits and signs. Texts are taken whole, so that what stands
# in them is not mistaken for JSON's own; possessively, so that the time stays linear.
_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[\]{}]|[-+.\w]+', re.DOTALL)


def _place_of(literal: str, text: str) -> int:
    return next((token.start() for token in _TOKEN.finditer(text) if token[0] == literal), 0)


def _place_too_deep(text: str) -> int:
    depth = 0
    for token in _TOKEN.finditer(text):
        depth += (token[0] in {"[", "{"}) - (token[0] in {"]", "}"})
        if depth > MAX_DEPTH:
            return token.start()
    return 0
