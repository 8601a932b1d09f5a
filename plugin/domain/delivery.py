"""A delivery: the durable promise of one survey call; its states and the moves between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from plugin.domain.outcome import Learnt, NextRequest, Reason

#: How long a claim is valid.
LEASE: Final = timedelta(seconds=45)
#: Total time for one HTTP call, over headers and body.
CALL_DEADLINE: Final = timedelta(seconds=20)
#: A sender that starts later than this after its claim hands the row back instead.
GIVE_BACK_AFTER: Final = timedelta(seconds=20)
#: How long an invitation is worth sending unless the rule says otherwise.
FRESHNESS: Final = timedelta(hours=72)


class DeliveryState(StrEnum):
    SCHEDULED = "scheduled"
    CLAIMED = "claimed"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNCERTAIN = "uncertain"
    EXPIRED = "expired"
    CANCELLED = "cancelled"

    @property
    def is_end(self) -> bool:
        return not MOVES[self]


MOVES: Final[Mapping[DeliveryState, frozenset[DeliveryState]]] = {
    # Scheduled to uncertain only when the database was put back from a backup.
    DeliveryState.SCHEDULED: frozenset(
        {DeliveryState.CLAIMED, DeliveryState.EXPIRED, DeliveryState.CANCELLED, DeliveryState.UNCERTAIN}
    ),
    DeliveryState.CLAIMED: frozenset(
        {DeliveryState.ACCEPTED, DeliveryState.REJECTED, DeliveryState.UNCERTAIN, DeliveryState.SCHEDULED}
    ),
    DeliveryState.UNCERTAIN: frozenset(
        {DeliveryState.ACCEPTED, DeliveryState.REJECTED, DeliveryState.SCHEDULED, DeliveryState.CANCELLED}
    ),
    DeliveryState.ACCEPTED: frozenset(),
    DeliveryState.REJECTED: frozenset(),
    DeliveryState.EXPIRED: frozenset(),
    DeliveryState.CANCELLED: frozenset(),
}

#: States in which something is still to happen: partial indices cover just these.
LIVE_STATES: Final = (DeliveryState.SCHEDULED, DeliveryState.CLAIMED, DeliveryState.UNCERTAIN)


class Resolution(StrEnum):
    """What a person says of an uncertain delivery."""

    SENT = "sent"
    NOT_SENT = "not_sent"
    CANCEL = "cancel"

    @property
    def state(self) -> DeliveryState:
        """What the delivery becomes."""
        return _RESOLVED[self][0]

    @property
    def reason(self) -> Reason:
        return _RESOLVED[self][1]


_RESOLVED: Final[Mapping[Resolution, tuple[DeliveryState, Reason]]] = {
    Resolution.SENT: (DeliveryState.ACCEPTED, Reason.RESOLVED_SENT),
    Resolution.NOT_SENT: (DeliveryState.SCHEDULED, Reason.RESOLVED_NOT_SENT),
    Resolution.CANCEL: (DeliveryState.CANCELLED, Reason.CANCELLED),
}

RESOLUTION_SENTENCES: Final[Mapping[Resolution, str]] = {
    Resolution.SENT: "It was sent.",
    Resolution.NOT_SENT: "Nothing was sent; make the call again.",
    Resolution.CANCEL: "Leave it; nothing more is to be sent.",
}


@dataclass(frozen=True)
class Settlement:
    """What becomes of a claimed delivery. due: when to try again, for SCHEDULED only.

    counts: whether this was an attempt; deferrals (Retry-After, a pause, a give-back) are not.
    next_step: the step to go on with, and memory: what it is to know; None to leave them as they are.
    follow_up: what is to be asked after an end, and learnt: a fact that becomes an event; both for ACCEPTED only.
    """

    state: DeliveryState
    reason: Reason
    words: str = ""
    due: datetime | None = None
    counts: bool = True
    next_step: str | None = None
    memory: Mapping[str, str] | None = None
    vendor_reference: str | None = None
    pause: bool = False
    follow_up: NextRequest | None = None
    learnt: Learnt | None = None
