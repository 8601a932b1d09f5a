"""What may be shown of a secret, an address, a URL or an exception.

Two means: `Secret` carries a value that no repr, log line or page can print by accident, and the `mask_*` functions
clean text that came from elsewhere. Secrets vanish wholly; e-mail addresses keep their first letter and their domain,
so that a person can recognise a case without the address being readable.

Texts come from strangers, so every pattern here needs time in proportion to the text's length, whatever it holds.
"""

from __future__ import annotations

import html
import json
import re
import sys
import traceback
from collections.abc import Iterable, Mapping, MutableMapping
from datetime import date, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote, quote_plus
from uuid import UUID

MASK: Final = "•••"

# The sign as it is, percent-encoded (also twice), escaped by JSON or HTML, or from an East Asian keyboard; then a
# domain of at least two labels, its letters perhaps encoded in the same ways. The last label begins with a letter, so
# that `requests@2.34` is no address.
_AT_DOMAIN = re.compile(
    r"(?:@|%(?:25)*40|\\u0040|&#(?:64|x40);|＠)"
    r"(?:(?:[\w-]|%(?:25)*(?:2[Dd]|[89A-Fa-f][0-9A-Fa-f])|\\u0(?!040)[0-9A-Fa-f]{3})++(?:\.|%(?:25)*2[Ee]))+"
    r"(?:[^\W\d_]\w|%(?:25)*[89A-Fa-f][0-9A-Fa-f]|\\u0(?!040)[0-9A-Fa-f]{3})"
)
_AT_SIGNS: Final = ("@", "40", "＠", "&#64;")
# What ends a local part to the left, as it is or percent-encoded. Some of these are legal in a local part, but far more
# often they stand before an address: `email=`, `mailto:`, `<`.
_BREAK = re.compile(r"[\s\"'`<>()\[\]{},;:=&?/|@＠]|%(?:25)*(?:0[9AaDd]|2[026CcFf]|3[A-Fa-f])")
_LONGEST_QUOTED: Final = 66

# Words that say, within the name of a parameter, that its value is a secret: `apiToken`, `webhook_auth`.
_SECRET_WORDS: Final = frozenset(
    {
        "apikey",
        "apitoken",
        "auth",
        "authorization",
        "cookie",
        "key",
        "passwd",
        "password",
        "secret",
        "signature",
        "token",
    }
)
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_QUERY_PAIR = re.compile(
    r"(?:(?<![\w.%-])|(?<=%[0-9A-Fa-f]{2}))(?P<name>[\w.-]{1,64})(?P<between>=|%3[Dd])"
    # A value may itself be an encoded URL with such pairs, so it ends at an encoded & # = ? too.
    r"(?:[^&%\s\"'<>#]|%(?!2[36]|3[DdFf]))++"
)
_QUOTED_PAIR = re.compile(
    r"(?P<name>(?P<quote>[\"'])[\w.-]{1,64}(?P=quote))(?P<between>\s{0,4}:\s{0,4})"
    r"(?:\"(?:[^\"\\]|\\.)*+\"|'(?:[^'\\]|\\.)*+')"
)
_HEADER = re.compile(
    r"(?i)(?P<name>authorization)(?P<between>[\"']?\s{0,4}[:=]\s{0,4}[\"']?(?:(?:bearer|basic)\s+)?)[^\s\"',;]+"
)
# Keys of sources and tokens of config links. Long ones only: in a traceback a module's name stands in the same place.
_OWN_PATH = re.compile(r"(?P<place>(?:/|%2[Ff])(?:triggers|config)(?:/|%2[Ff]))[\w.~-]{16,}+(?<!\.py)")
# Types that hold no text of anybody's, and that renderers know how to write.
_HARMLESS: Final = (int, float, Decimal, date, time, timedelta, UUID, type(None))


class Secret:
    """A text that must not be shown. Only `reveal()` gives it away, and every call of it can be searched for."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __bool__(self) -> bool:
        return bool(self._text)


def reveal(value: str | Secret) -> str:
    return value.reveal() if isinstance(value, Secret) else value


def mask_secrets(text: str, secrets: Iterable[Secret]) -> str:
    """`text` without any of `secrets`, be they plain, percent-encoded or escaped as in JSON and HTML."""
    # Longer ones first, so that none survives in part.
    for form in _forms_of(frozenset(secrets)):
        text = text.replace(form, MASK)
    return text


def mask_addresses(text: str) -> str:
    """`text` with every e-mail address reduced to first letter and domain: `j•••@example.com`.

    Addresses are found plain, percent-encoded, within JSON and URLs, with any letters, and with a quoted local part.
    """
    if not any(sign in text for sign in _AT_SIGNS):
        return text
    pieces = []
    copied = searched = 0
    for found in _AT_DOMAIN.finditer(text):
        at = found.start()
        start = _local_part_start(text, searched, at)
        searched = found.end()
        if start < at:
            pieces += [text[copied:start], _shown_local_part(text[start:at])]
            copied = at
    return "".join([*pieces, text[copied:]])


def mask(text: str, secrets: Iterable[Secret] = ()) -> str:
    """`text` fit for a log line or a page: no secret, no readable e-mail address."""
    return mask_addresses(mask_secrets(text, secrets))


def mask_unknown_secrets(text: str) -> str:
    """`text` without what must be a secret by its place: after `token=`, `"key":`, `Authorization:`, `/triggers/`."""
    for pattern in (_QUERY_PAIR, _QUOTED_PAIR, _HEADER):
        text = pattern.sub(_masked_pair, text)
    return _OWN_PATH.sub(rf"\g<place>{MASK}", text)


def shown_exception(error: BaseException, secrets: Iterable[Secret] = ()) -> str:
    """Kind and masked text of `error`, for a log line or a page. Causes and traceback are left out."""
    text = mask(mask_unknown_secrets(str(error)), secrets)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def mask_event(
    _logger: object, _method: str, event: MutableMapping[str, Any], *, secrets: Iterable[Secret] = ()
) -> MutableMapping[str, Any]:
    """A structlog processor, to stand last before the renderer: masks every text in `event`, however deep.

    An exception becomes its masked traceback under `exception`. Whatever is no plain value is shown as its masked repr.
    Keys that begin with an underscore belong to structlog and stay. `secrets` are given with `functools.partial`.
    """
    secrets = tuple(secrets)
    exception = event.pop("exc_info", None)
    if exception:
        event["exception"] = _traceback(exception)
    for name, value in event.items():
        if not name.startswith("_"):
            event[name] = _masked_value(name, value, secrets)
    return event


def _local_part_start(text: str, searched: int, at: int) -> int:
    """Where the local part that ends at `at` begins, not before `searched`; `at` itself when there is none."""
    start = searched
    for found in _BREAK.finditer(text, searched, at):
        start = found.end()
    if start == at and text[at - 1 : at] == '"':
        opening = text.rfind('"', max(searched, at - _LONGEST_QUOTED), at - 1)
        if opening >= 0 and any(map(str.isalnum, text[opening:at])):
            return opening
    return start


def _shown_local_part(local_part: str) -> str:
    # A single letter would be the whole address; an encoded one is not readable in part.
    first = local_part[0]
    return f"{first}{MASK}" if len(local_part) > 1 and first.isalnum() else MASK


@lru_cache(maxsize=512)
def _forms_of(secrets: frozenset[Secret]) -> tuple[str, ...]:
    """Every way to write them, longest first. The same few are looked for at every call through a connection."""
    forms = {form for secret in secrets for form in _written_forms(secret.reveal())}
    return tuple(sorted(forms, key=len, reverse=True))


def _written_forms(secret: str) -> set[str]:
    # A secret of one or two characters would blank out half of any text; such a thing protects nothing anyway.
    if len(secret) < 3:
        return set()
    encoded = {
        quote(secret, safe="", errors="replace"),
        quote(secret, errors="replace"),
        quote_plus(secret, errors="replace"),
    }
    lower = {re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), form) for form in encoded}
    escaped = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], html.escape(secret)}
    return {secret} | encoded | lower | escaped


def _names_secret(name: str) -> bool:
    return any(word.lower() in _SECRET_WORDS for word in _WORD.findall(name))


def _masked_pair(found: re.Match[str]) -> str:
    return f"{found['name']}{found['between']}{MASK}" if _names_secret(found["name"]) else found[0]


def _masked_value(name: str, value: Any, secrets: tuple[Secret, ...]) -> Any:
    if isinstance(value, _HARMLESS):
        return value
    if isinstance(value, Mapping):
        return {_masked_text(str(key), secrets): _masked_value(str(key), item, secrets) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked_value(name, item, secrets) for item in value]
    if _names_secret(name):
        return MASK
    if isinstance(value, BaseException):
        return shown_exception(value, secrets)
    return _masked_text(value if isinstance(value, str) else repr(value), secrets)


def _masked_text(text: str, secrets: tuple[Secret, ...]) -> str:
    return mask(mask_unknown_secrets(text), secrets)


def _traceback(exception: Any) -> str:
    """What `exc_info` stands for: an exception, the triple of `sys.exc_info()`, or True for the present one."""
    if isinstance(exception, BaseException):
        return "".join(traceback.format_exception(exception))
    return "".join(traceback.format_exception(*(exception if isinstance(exception, tuple) else sys.exc_info())))
