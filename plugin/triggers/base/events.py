"""Events made of what a sender tells in its own names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from plugin.domain.event import Event, EventKind, as_text, tidy_values


def make_event(
    kind: EventKind,
    raw: Mapping[str, object],
    *,
    id: str | None,  # noqa: A002  # what an event calls it
    time: datetime | None,
    subject: str | None,
    closing_mark: str | None,
    payload: Any,
    vendor_kind: str,
    notes: Sequence[str] = (),
    account: str | None = None,
) -> Event:
    """An event with `raw`, values by our names as the sender wrote them, tidied, and with the `event.*` names."""
    tidied = tidy_values(raw)
    values = {**tidied.values, "event.kind": kind.value}
    if id is not None:
        values["event.id"] = id
    if time is not None:
        values["event.time"] = time.isoformat().replace("+00:00", "Z")
    return Event(
        kind=kind,
        id=id,
        time=time,
        subject=subject,
        closing_mark=closing_mark,
        values=values,
        unrendered=tidied.unrendered,
        payload=payload,
        vendor_kind=vendor_kind[:200],
        notes=tuple(notes),
        account=account,
    )


def fingerprint(*parts: str | None) -> str:
    """A stable id of an event whose sender gives it none: the same for the same parts."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:40]


def child(node: Any, *path: str) -> Any:
    """What stands at a path in a parsed document; None where it does not lead."""
    for name in path:
        node = node.get(name) if isinstance(node, Mapping) else None
    return node


def text_at(node: Any, *path: str) -> str | None:
    """The text or number at a path in a parsed document, with every digit; None where there is none."""
    leaf = child(node, *path)
    return as_text(int(leaf) if isinstance(leaf, Decimal) and leaf == leaf.to_integral_value() else leaf)
