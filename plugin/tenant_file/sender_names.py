"""Placeholders as a helpdesk writes them in its own templates, in our names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from plugin import registry
from plugin.domain.event import CATALOGUE

_PLACEHOLDER: Final = re.compile(r"\{\{\s*(.*?)\s*\}\}", re.DOTALL)
_NAME: Final = re.compile(r"[A-Za-z_][\w.]*", re.ASCII)
#: Zendesk's words for what we name otherwise. Its `created_at` alone is a date for people, the longer one is a time.
#: https://support.zendesk.com/hc/en-us/articles/4408886858138
_ZENDESK: Final[Mapping[str, str]] = {
    "ticket.ticket_type": "ticket.type",
    "ticket.created_at_with_timestamp": "ticket.created_at",
    "ticket.updated_at_with_timestamp": "ticket.updated_at",
}
_ZENDESK_FIELD: Final = re.compile(r"ticket\.ticket_field_(?:option_title_)?([0-9]+)")


def in_our_names(value: str) -> tuple[str, dict[str, str]]:
    """A value with its placeholders as a mapping of ours writes them; and what those were called, by our names.

    Names that are not known are left as they are: the check of the mapping tells them.
    """
    called: dict[str, str] = {}

    def translate(found: re.Match[str]) -> str:
        name = _NAME.match(found[1])
        if name is None:
            return found[0]
        field = _ZENDESK_FIELD.fullmatch(name[0])
        ours = f"ticket.custom.{field[1]}" if field else _ZENDESK.get(name[0], name[0])
        called[ours] = name[0]
        return f"{{{{ {ours}{found[1][name.end() :]} }}}}"

    return _PLACEHOLDER.sub(translate, value), called


def remarks_on(called: Mapping[str, str]) -> Iterator[str]:
    """Sentences on placeholders that are called otherwise here, and on those that Zendesk has yet to be told to send.

    called: the sender's names by ours.
    """
    for ours, theirs in called.items():
        if ours != theirs:
            yield f"{{{{{theirs}}}}} is {{{{ {ours} }}}} here."
    # The body that the guide gives for Zendesk leaves out what few need, and what people write freely.
    sent = registry.source("zendesk").SOURCE.placeholders
    lines = [
        f'"{ours}": "{{{{{theirs}}}}}"'
        for ours, theirs in called.items()
        if ours not in sent
        and (ours.startswith("ticket.custom.") or (ours.startswith("ticket.") and ours in CATALOGUE))
    ]
    if lines:
        yield f"Zendesk must send what the body in our guide leaves out; add to that body: {', '.join(lines)}."
