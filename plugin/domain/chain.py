"""Events that follow from calls: what they take over from the event before them, and where a chain ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from plugin.domain.event import Event

#: The last event of a chain asks no rule, or two connections could call each other for ever. What came from a helpdesk
#: is 0 events deep, what was told of a call made for it 1.
DEEPEST: Final = 3

#: What an event says of itself alone.
_OWN: Final = "event."


def inherit(event: Event, parent: Event) -> Event:
    """The event with the placeholders of the one before it; where both have a value, its own stands."""
    theirs = {name: value for name, value in parent.values.items() if not name.startswith(_OWN)}
    values = {**theirs, **event.values}
    return replace(
        event,
        subject=event.subject if event.subject is not None else parent.subject,
        values=values,
        unrendered=frozenset(
            name for name in event.unrendered | parent.unrendered if not name.startswith(_OWN) and name not in values
        ),
        payload=_joined(event.payload, parent.payload),
    )


def _joined(own: Any, theirs: Any) -> Any:
    """Both messages for `payload.<path>`: what the event's own message says of a name hides the other's."""
    if own is None:
        return theirs
    if isinstance(own, Mapping) and isinstance(theirs, Mapping):
        return {**theirs, **own}
    return own
