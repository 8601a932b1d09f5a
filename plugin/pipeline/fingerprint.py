"""Fingerprints: what tells messages and people apart without naming them."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from plugin.domain.event import Event

#: What people put into a phone number so that it can be read.
_BETWEEN_DIGITS: Final = re.compile(r"[\s()./\u2010-\u2015-]")


def digest(*parts: str | bytes | int) -> str:
    """A fingerprint of parts that cannot run into each other."""
    total = hashlib.sha256()
    for part in parts:
        raw = part if isinstance(part, bytes) else str(part).encode("utf-8", "surrogatepass")
        total.update(len(raw).to_bytes(8, "big") + raw)
    return total.hexdigest()


def mark_of(tenant_id: str, address: str) -> str:
    """What tells the person with this e-mail address or phone number from others, however they are written."""
    number = _BETWEEN_DIGITS.sub("", address)
    return digest(tenant_id, number if re.fullmatch(r"\+?[0-9]{3,20}", number) else address.strip().casefold())


def person_marks(tenant_id: str, event: Event) -> tuple[str, ...]:
    """The marks of an event's person, by e-mail address and by phone number; none when it names nobody."""
    values = (event.values.get(name) for name in ("person.email", "person.phone"))
    return tuple(mark_of(tenant_id, value) for value in values if isinstance(value, str))
