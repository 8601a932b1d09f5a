"""Fingerprints: what tells messages and people apart without naming them."""

from __future__ import annotations

import hashlib

from plugin.domain.event import Event


def digest(*parts: str | bytes | int) -> str:
    """A fingerprint of parts that cannot run into each other."""
    total = hashlib.sha256()
    for part in parts:
        raw = part if isinstance(part, bytes) else str(part).encode("utf-8", "surrogatepass")
        total.update(len(raw).to_bytes(8, "big") + raw)
    return total.hexdigest()


def mark_of(tenant_id: str, address: str) -> str:
    """What tells the person with this e-mail address or phone number from others."""
    return digest(tenant_id, address.strip().casefold())


def person_marks(tenant_id: str, event: Event) -> tuple[str, ...]:
    """The marks of an event's person, by e-mail address and by phone number; none when it names nobody."""
    values = (event.values.get(name) for name in ("person.email", "person.phone"))
    return tuple(mark_of(tenant_id, value) for value in values if isinstance(value, str))
