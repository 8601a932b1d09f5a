"""Reading a message as its tenant has set it up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from plugin import registry
from plugin.domain.event import Event, EventKind
from plugin.registry import InboundRequest

#: What is said of a captured message in place of the sender's word for it.
CAPTURED: Final = "captured"
_CAPTURED_NOTE: Final = (
    "The source is in state capture: the message is kept for somebody to say what is what in it, and nothing is sent."
)


@dataclass(frozen=True)
class Reading:
    """What a message holds. strangers: events that were left out, since they are about another account."""

    events: Sequence[Event]
    strangers: int = 0


def capture(reading: Reading) -> Reading:
    """A message whose source is in state capture: one event that says nothing; none for a ping."""
    note = Event(EventKind.UNSUPPORTED, vendor_kind=CAPTURED, notes=(_CAPTURED_NOTE,))
    return Reading([note] if reading.events or reading.strangers else [])


def read_events(kind: str, request: InboundRequest, settings: Mapping[str, Any]) -> Reading:
    """The events of a message from a source of this kind. settings: how to read it. Raises Unreadable.

    Where one secret of an app serves many accounts, a message proves the app and not the account: what is about
    another account than the one that was set is not this tenant's.
    """
    module = registry.source(kind)
    parsed = module.parse(replace(request, settings=settings))
    account = settings.get(module.SOURCE.account)
    own = [event for event in parsed if account is None or event.account is None or event.account == account]
    return Reading(own, len(parsed) - len(own))


def without_secrets(kind: str, request: InboundRequest) -> InboundRequest:
    """A request as it may be read and kept; what proves its sender is left out where that stands in its body."""
    strip = getattr(registry.source(kind), "without_secrets", None)
    return replace(request, body=strip(request.body)) if strip is not None else request
