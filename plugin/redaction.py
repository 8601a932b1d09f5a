"""What may be shown of a secret, an address, a URL or an exception.

Two means: `Secret` carries a value that no repr, log line or page can print by accident, and the `mask_*` functions
clean text that came from elsewhere. Secrets vanish wholly; e-mail addresses keep their first letter and their domain,
so that a person can recognise a case without the address being readable.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, quote_plus

MASK: Final = "•••"

_EMAIL = re.compile(
    r"(?P<first>[^\s\"'<>()\[\],;:=&?/@%]|%(?!40)[0-9A-Fa-f]{2})"
    r"(?:[^\s\"'<>()\[\],;:=&?/@%]|%(?!40)[0-9A-Fa-f]{2}){0,63}"
    r"(?P<at>@|%40)"
    r"(?P<domain>[\w.-]{1,253}\.\w{2,63})"
)


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
    """`text` without any of `secrets`, in plain or percent-encoded form. Longer ones first, so that none survives in part."""
    forms = {form for secret in secrets for form in _written_forms(secret.reveal())}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, MASK)
    return text


def mask_addresses(text: str) -> str:
    """`text` with every e-mail address reduced to first letter and domain: `j•••@example.com`."""
    if "@" not in text and "%40" not in text:
        return text
    return _EMAIL.sub(lambda found: f"{found['first']}{MASK}{found['at']}{found['domain']}", text)


def mask(text: str, secrets: Iterable[Secret] = ()) -> str:
    """`text` fit for a log line or a page: no secret, no readable e-mail address."""
    return mask_addresses(mask_secrets(text, secrets))


def _written_forms(secret: str) -> set[str]:
    # A secret of one or two characters would blank out half of any text; such a thing protects nothing anyway.
    if len(secret) < 3:
        return set()
    return {secret, quote(secret, safe=""), quote(secret), quote_plus(secret)}
