"""URLs as people paste them: out of a mail, a manual or a helpdesk's webhook, with what happens to them on the way."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote, unquote_plus

from plugin.domain.survey_call import origin_of

#: Longest URL that is read, characters.
LONGEST: Final = 8000

_INVISIBLE: Final = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u200f\ue000\ue001"))
_WRAPPING: Final = " \t\r\n\u00a0\"'`<>()“”„‟″‘’‚«»"
#: A sender's placeholder, plain or with its braces percent-encoded; it may hold any sign of the URL's own syntax.
_PLACEHOLDER: Final = re.compile(r"(?:\{|%7B){2}(.*?)(?:\}|%7D){2}", re.IGNORECASE | re.DOTALL)
#: Characters that no URL holds stand in for each placeholder while the URL is taken apart.
_STAND_IN: Final = re.compile("\ue000(\\d+)\ue001")


@dataclass(frozen=True)
class PastedUrl:
    """A pasted URL in parts: origin, path segments and query pairs, decoded, with placeholders as `{{name}}` in them.

    It may hold secrets anywhere, so none of it but the origin is in the repr.
    """

    origin: str
    segments: tuple[str, ...] = field(repr=False)
    query: tuple[tuple[str, str], ...] = field(repr=False)


def read_pasted_url(text: str) -> PastedUrl:
    """Take a pasted URL apart.

    Quotation marks and brackets around it, invisible characters and line breaks in it, `&amp;` and a missing scheme
    are put right. Raises ValueError, whose text does not repeat the URL.
    """
    if len(text) > LONGEST:
        raise ValueError(f"The URL is longer than {LONGEST} characters.")
    clean = re.sub(r"\s*[\r\n]\s*", "", text.strip(_WRAPPING).translate(_INVISIBLE)).strip(_WRAPPING)
    if "&amp;" in clean:
        clean = html.unescape(clean)
    placeholders: dict[str, str] = {}

    def hide(found: re.Match[str]) -> str:
        stand_in = f"\ue000{len(placeholders)}\ue001"
        placeholders[stand_in] = f"{{{{{unquote(found[1]).strip()}}}}}"
        return stand_in

    hidden = _PLACEHOLDER.sub(hide, clean)
    if "://" not in hidden.partition("?")[0]:
        hidden = f"https://{hidden}"
    address, _, query = hidden.partition("#")[0].partition("?")
    scheme, _, rest = address.partition("://")
    host, _, path = rest.partition("/")
    # Manuals put one into a host too, https://api.example.{{region}}: it is spelt as a host may be while that is read.
    spelt = _STAND_IN.sub(r"placeholder--\1--", host)
    try:
        origin = origin_of(f"{scheme}://{spelt}")
    except ValueError:
        raise ValueError("This is no URL: it must begin with https:// and a host's name.") from None

    def show(part: str) -> str:
        return _STAND_IN.sub(lambda found: placeholders.get(found[0], ""), part)

    for number, placeholder in enumerate(placeholders.values()):
        origin = origin.replace(f"placeholder--{number}--", placeholder)
    segments = tuple(show(unquote(segment)).strip() for segment in path.split("/"))
    pairs = (pair.partition("=") for pair in query.split("&") if pair)
    return PastedUrl(
        origin, segments, tuple((show(unquote_plus(n)).strip(), show(unquote_plus(v)).strip()) for n, _, v in pairs)
    )


def take_known(
    pairs: Iterable[tuple[str, str]], known: Iterable[str], spellings: Mapping[str, str] | None = None
) -> tuple[dict[str, str], list[str]]:
    """The values of `known` names, and a sentence about each name that was mended or left out.

    Upper and lower case do not matter; spellings: misprints that are met, in lower case, to the right name. Of a name
    that stands twice the first value is taken, and names without a value are passed over. No sentence holds a value.
    """
    right = {name.casefold(): name for name in known} | dict(spellings or {})
    values: dict[str, str] = {}
    warnings: list[str] = []
    for written, value in pairs:
        name = right.get(written.casefold())
        if name is None:
            # A name alone may be anything, a secret too.
            left_out = f"`{written[:40]}`" if value else "Something that is no pair of name and value"
            warnings.append(f"{left_out} is not known here and was left out.")
        elif name in values:
            warnings.append(f"`{name}` stands there twice; the first value was taken.")
        elif value:
            values[name] = value
            if written != name:
                warnings.append(f"`{written}` was read as `{name}`.")
    return values, warnings
