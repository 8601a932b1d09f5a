"""Fields that a customer of the sender has made up, by the labels that people gave them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from plugin.domain.event import CUSTOM_PREFIX, as_text

_BETWEEN_WORDS: Final = re.compile(r"\W+")
#: Characters of a label that make its name.
_LONGEST_NAME: Final = 100


def custom_values(fields: Iterable[tuple[Any, Any]]) -> dict[str, object]:
    """`ticket.custom.<name>` for pairs of label and value: `Root cause` is `ticket.custom.root_cause`.

    What holds neither text nor a number, nor a list of them, is left out; so is a label without letters and digits.
    """
    named = ((_name(label), value) for label, value in fields)
    return {f"{CUSTOM_PREFIX}{name}": value for name, value in _told(named)}


def _told(named: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, object]]:
    for name, value in named:
        if name and isinstance(value, list):
            yield name, [item for item in value if as_text(item)]
        elif name and as_text(value):
            yield name, value


def _name(label: Any) -> str:
    folded = label.casefold() if isinstance(label, str) else ""
    return _BETWEEN_WORDS.sub("_", folded).strip("_")[:_LONGEST_NAME]
