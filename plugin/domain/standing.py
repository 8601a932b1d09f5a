"""What reports say of a delivery, taken together: the furthest that is known, however late and in whatever order."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from plugin.domain.event import EventKind

#: From the least that a report tells to the most, one list for each way that an invitation goes. A click after `lost`
#: is the last word: somebody has the message. A mail that is opened did not bounce, whatever a server said first.
_LADDERS: Final = (
    (EventKind.SMS_SENT, EventKind.SMS_LOST, EventKind.SMS_CLICK),
    (EventKind.EMAIL_SENT, EventKind.EMAIL_BOUNCED, EventKind.EMAIL_OPENED, EventKind.EMAIL_CLICKED),
)
_PLACES: Final[Mapping[str, tuple[int, int]]] = {
    kind: (ladder, rank) for ladder, kinds in enumerate(_LADDERS) for rank, kind in enumerate(kinds)
}


def standing(kinds: Iterable[str]) -> list[EventKind]:
    """How things stand after reports of these kinds: for each way that was reported of, the furthest.

    Kinds that say nothing of an invitation's way, such as a vendor's own remarks, are passed over.
    """
    known = sorted({_PLACES[kind] for kind in kinds if kind in _PLACES})
    furthest = dict(known)
    return [_LADDERS[ladder][rank] for ladder, rank in furthest.items()]


def is_news(kind: str, known: Collection[str]) -> bool:
    """Whether a report of this kind tells more than those of the `known` kinds did."""
    ladder, rank = _PLACES[kind]
    return all(_PLACES[other][1] < rank for other in known if other in _PLACES and _PLACES[other][0] == ladder)


def report_label(kind: str) -> str:
    """What a report of this kind tells, for people."""
    return EventKind(kind).label if kind in _PLACES else "What the vendor says of it"


def standing_sentence(furthest: Iterable[EventKind]) -> str:
    """How things stand, for people: `SMS lost`; empty where nothing was reported."""
    return ", ".join(kind.label for kind in furthest)
