"""What happens next to a claimed delivery: a pure decision, tested as a table."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from plugin.domain.delivery import DeliveryState, Settlement
from plugin.domain.outcome import (
    PAUSING_REASONS,
    Accepted,
    NextRequest,
    Outcome,
    Reason,
    Rejected,
    RetryLater,
    Uncertain,
)

#: Waits before the second, third, ... attempt; after the last one, that one again.
DELAYS: Final = tuple(timedelta(seconds=seconds) for seconds in (10, 60, 300, 1800, 7200, 21600, 43200, 86400))
#: The longest wait that a vendor may ask for.
LONGEST_RETRY_AFTER: Final = timedelta(hours=24)

#: Gives a number in [0, 1): injected, so that a test can fix it.
Chance = Callable[[], float]


def delay_before(attempt: int, chance: Chance) -> timedelta:
    """Wait after `attempt` calls (1 or more) have failed: half of it fixed, half by chance, so that a crowd spreads out."""
    delay = DELAYS[min(attempt, len(DELAYS)) - 1]
    return delay / 2 + delay / 2 * chance()


def decide_next(
    outcome: Outcome,
    *,
    attempts: int,
    repeat_safe: bool,
    expires_at: datetime,
    now: datetime,
    chance: Chance,
) -> Settlement:
    """Turn the outcome of one call into what becomes of the delivery.

    attempts: calls made before this one. repeat_safe: the step may be repeated without harm, or the rule says
    `when_uncertain: resend`. expires_at: after it an invitation is no longer worth sending.
    """
    match outcome:
        case Accepted(vendor_reference=reference, reason=reason, words=words):
            return Settlement(DeliveryState.ACCEPTED, reason, words, vendor_reference=reference)
        case Rejected(reason=reason, words=words):
            return Settlement(DeliveryState.REJECTED, reason, words, pause=reason in PAUSING_REASONS)
        case NextRequest(step=step, memory=memory, after=after, words=words):
            due = now + timedelta(seconds=after)
            return Settlement(
                DeliveryState.SCHEDULED, Reason.DONE, words, due=due, counts=False, next_step=step, memory=memory
            )
        case Uncertain(reason=reason, words=words) if not repeat_safe:
            return Settlement(DeliveryState.UNCERTAIN, reason, words)
        case Uncertain(reason=reason, words=words):
            return _again(reason, words, None, attempts, now, chance)
        case RetryLater(reason=reason, words=words, after=after):
            # Past expires_at the claim turns the row to expired by itself; the receipt then shows this reason before it.
            return _again(reason, words, after, attempts, now, chance)


def _again(reason: Reason, words: str, after: float | None, attempts: int, now: datetime, chance: Chance) -> Settlement:
    if after is not None:
        wait = min(timedelta(seconds=max(after, 1.0)), LONGEST_RETRY_AFTER)
        return Settlement(DeliveryState.SCHEDULED, reason, words, due=now + wait, counts=False)
    return Settlement(DeliveryState.SCHEDULED, reason, words, due=now + delay_before(attempts + 1, chance))
