"""What a template sees: texts, numbers, records and lists, and the name of whatever is missing.

Nothing here shows a Python object to a template: a path is resolved in the sender's data only, never in attributes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from sys import getsizeof
from typing import Any, Final

from liquid import Undefined

from plugin.domain.event import is_unrendered, number_text

#: The longest text that a filter gives, in characters, and the longest output of a template, in bytes of UTF-8.
TEXT_LIMIT: Final = 20_000
#: The longest list that is looped over, printed or given to a filter.
LIST_LIMIT: Final = 1_000
#: A number with more digits than fit in here is no number that anybody means. Its size is known without counting them.
_NUMBER_BYTES: Final = 512


class RenderFailed(Exception):
    """A template cannot be filled for this event. The message is a sentence part that holds names, never values."""


class MissingValue(RenderFailed):
    """A template prints or works on a placeholder that the event does not have."""

    def __init__(self, name: str, *, unrendered: bool) -> None:
        super().__init__(describe_missing(name, unrendered=unrendered))
        self.unrendered = unrendered


def describe_missing(name: str, *, unrendered: bool) -> str:
    """Why there is nothing under the placeholder `name`, as a clause."""
    if unrendered:
        return f"{name} holds a placeholder that the sender did not fill in"
    return f"{name} is missing from the event"


class Missing(Undefined):
    """No value. It may be tested, defaulted and looped over; printing it or working on it raises MissingValue.

    unrendered: there was a value, but it is a placeholder of the sender that was never filled in.
    """

    __slots__ = ("unrendered",)

    def __init__(self, name: str, *, unrendered: bool = False, **_: object) -> None:
        super().__init__(name)
        self.unrendered = unrendered

    def problem(self) -> MissingValue:
        return MissingValue(self.name, unrendered=self.unrendered)

    def __bool__(self) -> bool:
        return False

    def __str__(self) -> str:
        raise self.problem()

    def __int__(self) -> int:
        raise self.problem()


class Record:
    """An object of the sender's message, or one family of placeholders. `first` and `size` are keys like any other.

    Keys may themselves hold dots: form fields and placeholders come flat, as `requester.email`.
    """

    def __init__(self, entries: Mapping[str, Any], name: str) -> None:
        self._entries = entries
        self.name = name

    def find(self, path: Sequence[str | int]) -> object:
        """The entry whose key is the whole of `path` joined by dots; None when there is none."""
        key = ".".join(map(str, path))
        return wrap(self._entries[key], f"{self.name}.{key}") if key in self._entries else None

    def member(self, key: str | int) -> object:
        return wrap(self._entries.get(str(key)), f"{self.name}.{key}")

    def __str__(self) -> str:
        raise RenderFailed(f"{self.name} is a group of values, not one value: name one of them, as in {self.name}.id")


class Items(Sequence[object]):
    """A list of the sender's message, or one made by a filter."""

    def __init__(self, entries: Sequence[Any], name: str) -> None:
        self._entries = entries
        self.name = name

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return Items(self._entries[index], self.name)
        return wrap(self._entries[index], f"{self.name}[{index}]")

    def __iter__(self) -> Iterator[object]:
        if len(self) > LIST_LIMIT:
            raise RenderFailed(f"{self.name} has more than {LIST_LIMIT:,} entries")
        return (self[index] for index in range(len(self)))

    def present(self) -> list[object]:
        """The entries that are not missing."""
        return [item for item in self if not isinstance(item, Missing)]

    def member(self, key: str | int) -> object:
        if key == "size":
            return len(self)
        index = {"first": 0, "last": -1}.get(str(key), key)
        try:
            return self[int(index)]
        except (ValueError, IndexError):
            return Missing(f"{self.name}.{key}")

    def __str__(self) -> str:
        return printed(self)


def wrap(raw: object, name: str) -> object:  # noqa: PLR0911  # one for each kind of value
    """A value of the sender's message as a template may see it. Null, blank texts and empty lists are missing."""
    match raw:
        case Missing() | Record() | Items() | bool() | int():
            return raw
        case Decimal():
            return raw if getsizeof(raw) <= _NUMBER_BYTES else Missing(name)
        case str():
            if is_unrendered(raw):
                return Missing(name, unrendered=True)
            return raw if raw.strip() else Missing(name)
        case float():
            return Decimal(repr(raw))
        case Mapping():
            return Record(raw, name)
        case list() | tuple():
            return Items(raw, name) if raw else Missing(name)
        case _:
            return Missing(name)


def resolve(value: object, path: Sequence[str | int], name: str) -> object:
    """What stands under `path` in `value`, which is called `name`; Missing when nothing does."""
    for position, key in enumerate(path):
        if isinstance(value, Record) and (found := value.find(path[position:])) is not None:
            return found
        name = f"{name}.{key}"
        value = _member(value, key, name)
    return value


def _member(value: object, key: str | int, name: str) -> object:
    match value:
        case Record() | Items():
            return value.member(key)
        case Missing():
            return Missing(name, unrendered=value.unrendered)
        case str() if key == "size":
            return len(value)
        case Mapping():  # Liquid's own `forloop`
            return value.get(key, Missing(name))
        case _:
            return Missing(name)


def printed(value: object) -> str:  # noqa: PLR0911  # one for each kind of value
    """`value` as a template prints it: lists as Zendesk does, separated by spaces; numbers as they were sent.

    Raises MissingValue for what is missing, RenderFailed for an object and for a list that grows beyond TEXT_LIMIT.
    """
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case float():
            return number_text(Decimal(repr(value)))
        case int() | Decimal():
            return number_text(value)
        case Items():
            return joined(value, " ")
        case Missing() | Record():
            return str(value)
        case Mapping():
            raise RenderFailed("forloop is a group of values, not one value: name one of them, as in forloop.index")
        case _:  # nil, empty and blank, written so in the template
            return ""


def joined(items: Items, separator: str) -> str:
    """The entries of `items` that are not missing, printed, with `separator` between them."""
    texts: list[str] = []
    length = 0
    for item in items.present():
        texts.append(printed(item))
        length += len(texts[-1]) + len(separator)
        if length > TEXT_LIMIT + len(separator):
            raise too_long(items.name)
    return separator.join(texts)


def too_long(what: str) -> RenderFailed:
    return RenderFailed(f"{what} is longer than {TEXT_LIMIT:,} characters; shorten it with `truncate`")
