"""The filters of a template. What one gives depends on its arguments alone: none reads a clock, a file or an attribute.

They replace python-liquid's own, which let a text or a number grow without end, take decimal numbers for zero and read
the clock in `date`. Meanings follow https://shopify.github.io/liquid/.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Context, Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import quote_plus, unquote_plus

from plugin.domain.template_values import (
    TEXT_LIMIT,
    Items,
    Missing,
    RenderFailed,
    joined,
    printed,
    too_long,
)
from plugin.domain.template_values import resolve as value_at

#: Numbers of a larger size are not calculated with.
NUMBER_LIMIT: Final = Decimal(10) ** 30
_DECIMALS_LIMIT: Final = 60
#: Enough digits for the largest number with the most decimals.
_ARITHMETIC: Final = Context(prec=100)

Filter = Callable[..., object]

# --- arguments --------------------------------------------------------------------------------------------------------


def _text(value: object) -> str:
    text = printed(value)
    if len(text) > TEXT_LIMIT:
        raise too_long("a text given to a filter")
    return text


def _items(value: object) -> Items:
    return value if isinstance(value, Items) else Items([value], "the list")


def _number(value: object) -> int | Decimal:
    number = value if isinstance(value, int | Decimal) and not isinstance(value, bool) else _read_number(_text(value))
    if not Decimal(number).is_finite() or abs(Decimal(number)) > NUMBER_LIMIT or _decimals(number) > _DECIMALS_LIMIT:
        raise RenderFailed("a number is too large, or has too many decimals, to calculate with")
    return number


def _decimals(number: int | Decimal) -> int:
    exponent = Decimal(number).as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0


def _read_number(text: str) -> int | Decimal:
    try:
        return int(text) if re.fullmatch(r"\s*[+-]?[0-9]{1,31}\s*", text, re.ASCII) else Decimal(text)
    except InvalidOperation:
        raise RenderFailed("a filter that calculates was given something that is not a number") from None


def _whole(value: object) -> int:
    return int(_number(value))


# --- texts ------------------------------------------------------------------------------------------------------------


def _replace(value: object, old: object, new: object = "") -> str:
    text, part, other = _text(value), _text(old), _text(new)
    if not part:
        return text
    # Counted before it is done: a chain of these would otherwise multiply a text at each link.
    if len(text) + text.count(part) * (len(other) - len(part)) > TEXT_LIMIT:
        raise too_long("the result of `replace`")
    return text.replace(part, other)


def _replace_last(value: object, old: object, new: object) -> str:
    text, part = _text(value), _text(old)
    before, found, after = text.rpartition(part) if part else (text, "", "")
    return before + _text(new) + after if found else text


def _slice(value: object, start: object, length: object = 1) -> object:
    sequence = value if isinstance(value, Items) else printed(value)
    first, count = _whole(start), _whole(length)
    if first < 0:
        first += len(sequence)
    return sequence[first : first + max(count, 0)] if 0 <= first < len(sequence) else ""


def _split(value: object, separator: object) -> Items:
    text, mark = _text(value), _text(separator)
    parts = list(text) if not mark else text.split(None if mark == " " else mark)
    return Items(parts, "the result of `split`")


def _truncate(value: object, length: object = 50, end: object = "...") -> str:
    text, ending = printed(value), _text(end)
    limit = _whole(length)
    return text if len(text) <= limit else text[: max(limit - len(ending), 0)] + ending


def _truncatewords(value: object, count: object = 15, end: object = "...") -> str:
    text = printed(value)
    limit = max(_whole(count), 1)
    words = text.split(maxsplit=limit)
    return " ".join(words[:limit]) + _text(end) if len(words) > limit else text


def _base64_decode(value: object) -> str:
    try:
        return base64.b64decode(_text(value), validate=True).decode()
    except (binascii.Error, UnicodeError):
        raise RenderFailed("`base64_decode` was given something that is not a text in base64") from None


_TEXT_FILTERS: Final[Mapping[str, Filter]] = {
    "append": lambda value, other: _text(value) + _text(other),
    "base64_decode": _base64_decode,
    "base64_encode": lambda value: base64.b64encode(_text(value).encode()).decode(),
    "capitalize": lambda value: _text(value).capitalize(),
    "downcase": lambda value: _text(value).lower(),
    "escape": lambda value: html.escape(_text(value)),
    "escape_once": lambda value: html.escape(html.unescape(_text(value))),
    "lstrip": lambda value: _text(value).lstrip(),
    "newline_to_br": lambda value: re.sub(r"\r?\n", "<br />\n", _text(value)),
    "prepend": lambda value, other: _text(other) + _text(value),
    "remove": lambda value, part: _replace(value, part, ""),
    "remove_first": lambda value, part: _text(value).replace(_text(part), "", 1),
    "remove_last": lambda value, part: _replace_last(value, part, ""),
    "replace": _replace,
    "replace_first": lambda value, old, new="": _text(value).replace(_text(old), _text(new), 1),
    "replace_last": _replace_last,
    "rstrip": lambda value: _text(value).rstrip(),
    "slice": _slice,
    "split": _split,
    "squish": lambda value: " ".join(_text(value).split()),
    "strip": lambda value: _text(value).strip(),
    # The tag may hold no `<`, which keeps the time linear on a text of nothing but those.
    "strip_html": lambda value: re.sub(r"<[^<>]*>", "", _text(value)),
    "strip_newlines": lambda value: re.sub(r"\r?\n", "", _text(value)),
    "truncate": _truncate,
    "truncatewords": _truncatewords,
    "upcase": lambda value: _text(value).upper(),
    "url_decode": lambda value: unquote_plus(_text(value)),
    "url_encode": lambda value: quote_plus(_text(value)),
}

# --- lists ------------------------------------------------------------------------------------------------------------


def _field(item: object, key: object) -> object:
    # A missing entry is called after its list alone: the key may come from a value, and names must not hold values.
    found = value_at(item, [_text(key)], "")
    return Missing(getattr(item, "name", "an entry of the list")) if isinstance(found, Missing) else found


def _where(value: object, key: object, wanted: object = None) -> Items:
    items = _items(value)
    chosen = [item for item in items if _matches(_field(item, key), wanted)]
    return Items(chosen, items.name)


def _matches(found: object, wanted: object) -> bool:
    if isinstance(found, Missing):
        return False
    # Compared as text, since ids come as numbers from one sender and as text from the next.
    return found is not False if wanted is None else printed(found) == printed(wanted)


def _map(value: object, key: object) -> Items:
    items = _items(value)
    return Items([_field(item, key) for item in items], items.name)


def _concat(value: object, other: object) -> Items:
    items = _items(value)
    return Items([*items, *_items(other)], items.name)


def _sorted(value: object, key: object, fold: Callable[[str], str]) -> Items:
    def rank(item: object) -> tuple[int, Decimal, str]:
        found = item if key is None else _field(item, key)
        match found:
            case Missing():
                return 2, Decimal(0), ""  # what has no such value stands last
            case int() | Decimal():
                return 0, Decimal(found), ""
            case _:
                return 1, Decimal(0), fold(printed(found))

    items = _items(value)
    return Items(sorted(items, key=rank), items.name)


def _sum(value: object, key: object = None) -> int | Decimal:
    total: int | Decimal = 0
    for item in _items(value).present():
        found = item if key is None else _field(item, key)
        if not isinstance(found, Missing):
            total = _ARITHMETIC.add(Decimal(total), Decimal(_number(found)))
    return _tidy(total)


def _size(value: object) -> int:
    return len(value) if isinstance(value, Items) else len(printed(value))


def _uniq(value: object) -> Items:
    items = _items(value)
    first_of: dict[str, object] = {}
    for item in items.present():
        first_of.setdefault(printed(item), item)
    return Items(list(first_of.values()), items.name)


_LIST_FILTERS: Final[Mapping[str, Filter]] = {
    "compact": lambda value: Items(_items(value).present(), _items(value).name),
    "concat": _concat,
    "find": lambda value, key, wanted=None: _where(value, key, wanted).member("first"),
    "first": lambda value: _items(value).member("first"),
    "join": lambda value, separator=" ": joined(_items(value), _text(separator)),
    "last": lambda value: _items(value).member("last"),
    "map": _map,
    "reverse": lambda value: Items(list(_items(value))[::-1], _items(value).name),
    "size": _size,
    "sort": lambda value, key=None: _sorted(value, key, str),
    "sort_natural": lambda value, key=None: _sorted(value, key, str.casefold),
    "sum": _sum,
    "uniq": _uniq,
    "where": _where,
}

# --- numbers ----------------------------------------------------------------------------------------------------------


def _tidy(number: int | Decimal) -> int | Decimal:
    """A result: whole as an int, otherwise without the zeros that calculating added."""
    if isinstance(number, int):
        return number
    if number == number.to_integral_value(context=_ARITHMETIC):
        return int(number)
    return number.normalize(_ARITHMETIC)


def _calculate(operation: Callable[[Decimal, Decimal], Decimal]) -> Filter:
    def calculate(value: object, other: object) -> int | Decimal:
        return _tidy(operation(Decimal(_number(value)), Decimal(_number(other))))

    return calculate


def _divided_by(value: object, other: object) -> int | Decimal:
    number, divisor = _number(value), _number(other)
    if divisor == 0:
        raise RenderFailed("a number is divided by zero")
    if isinstance(number, int) and isinstance(divisor, int):
        return number // divisor
    return _ARITHMETIC.divide(Decimal(number), Decimal(divisor))


def _modulo(value: object, other: object) -> int | Decimal:
    number, divisor = Decimal(_number(value)), Decimal(_number(other))
    if divisor == 0:
        raise RenderFailed("a number is divided by zero")
    rest = _ARITHMETIC.remainder(number, divisor)
    # Liquid's remainder has the sign of the divisor.
    return _tidy(_ARITHMETIC.add(rest, divisor) if rest and (rest < 0) != (divisor < 0) else rest)


def _rounded(number: int | Decimal, direction: str) -> int:
    return int(Decimal(number).to_integral_value(rounding=direction, context=_ARITHMETIC))


def _round(value: object, digits: object = 0) -> int | Decimal:
    number, places = Decimal(_number(value)), min(max(_whole(digits), 0), 20)
    if places == 0:
        return _rounded(number, ROUND_HALF_UP)
    return number.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP, context=_ARITHMETIC)


_NUMBER_FILTERS: Final[Mapping[str, Filter]] = {
    "abs": lambda value: abs(_number(value)),
    "at_least": lambda value, other: max(_number(value), _number(other)),
    "at_most": lambda value, other: min(_number(value), _number(other)),
    "ceil": lambda value: _rounded(_number(value), ROUND_CEILING),
    "divided_by": _divided_by,
    "floor": lambda value: _rounded(_number(value), ROUND_FLOOR),
    "minus": _calculate(_ARITHMETIC.subtract),
    "modulo": _modulo,
    "plus": _calculate(_ARITHMETIC.add),
    "round": _round,
    "times": _calculate(_ARITHMETIC.multiply),
}

# --- default and dates ------------------------------------------------------------------------------------------------


def _default(value: object, fallback: object = "", *, allow_false: object = False) -> object:
    if value is False:
        return value if allow_false is True else fallback
    empty = value is None or isinstance(value, Missing) or (isinstance(value, str | Items) and len(value) == 0)
    return fallback if empty else value


#: Directives of strftime without width: `%-d` is fine, `%1000000d` is a way to fill the memory. Nor `%s`, which takes
#: the time zone of the machine for that of the time.
_DATE_FORMAT: Final = re.compile(r"(?:[^%]|%-?[aAbBcdDeFgGhHIjklmMnpPrRSTuUVwWxXyYzZ%])*")


def _date(value: object, form: object) -> str:
    """A time in ISO form, as in an e-mail, or as seconds since 1970, written in the form of strftime."""
    pattern = _text(form)
    if len(pattern) > 100 or not _DATE_FORMAT.fullmatch(pattern):
        raise RenderFailed("the form given to `date` holds a part that is not known; an example is %Y-%m-%d")
    try:
        return _time(printed(value).strip()).strftime(pattern)
    except (ValueError, OverflowError, OSError):
        raise RenderFailed("`date` was given something that it cannot read as a time") from None


def _time(text: str) -> datetime:
    if len(text) > 64:
        raise ValueError("too long for a time")
    if text.isascii() and text.isdigit():
        return datetime.fromtimestamp(int(text), UTC)
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return parsedate_to_datetime(text)


#: Every filter that a template may use, by name.
FILTERS: Final[Mapping[str, Filter]] = {
    **_TEXT_FILTERS,
    **_LIST_FILTERS,
    **_NUMBER_FILTERS,
    "default": _default,
    "date": _date,
}

#: Filters that take a missing value for an answer.
TAKES_MISSING: Final = frozenset({"default"})
