"""What happens next to a claimed delivery: a pure decision, tested as a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
#: The shortest and the longest wait that a vendor may ask for.
SHORTEST_RETRY_AFTER: Final = timedelta(seconds=1)
LONGEST_RETRY_AFTER: Final = timedelta(hours=24)

#: How long after a pause the first delivery is let through to try it; each next wait is twice as long, up to the last.
FIRST_PROBE: Final = timedelta(minutes=15)
LONGEST_PROBE_WAIT: Final = timedelta(hours=6)

#: Gives a number in [0, 1): injected, so that a test can fix it.
Chance = Callable[[], float]


def delay_before(attempt: int, chance: Chance) -> timedelta:
    """Wait after `attempt` calls (1 or more) have failed: half of it fixed, half by chance, so that a crowd spreads."""
    delay = DELAYS[min(attempt, len(DELAYS)) - 1]
    return delay / 2 + delay / 2 * chance()


def probe_wait(probes: int) -> timedelta:
    """How long a paused connection rests after so many tries (0: since the pause) before the next one."""
    doublings: int = 2 ** min(probes, 10)
    return min(FIRST_PROBE * doublings, LONGEST_PROBE_WAIT)


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
    memory: Mapping[str, str] | None = None
    match outcome:
        case Accepted(vendor_reference=reference, reason=reason, words=words, follow_up=follow_up, learnt=learnt):
            return Settlement(
                DeliveryState.ACCEPTED, reason, words, vendor_reference=reference, follow_up=follow_up, learnt=learnt
            )
        case Rejected(reason=reason, words=words):
            return Settlement(DeliveryState.REJECTED, reason, words, pause=reason in PAUSING_REASONS)
        case NextRequest(step=step, memory=memory, after=after, words=words):
            due = min(now + timedelta(seconds=after), expires_at)
            return Settlement(
                DeliveryState.SCHEDULED, Reason.NEXT_STEP, words, due=due, counts=False, next_step=step, memory=memory
            )
        # An answer that says "done" in words we do not know is no reason to ask once more, whatever a rule says.
        case Uncertain(reason=reason, words=words) if not repeat_safe or reason is Reason.UNRECOGNISED:
            return Settlement(DeliveryState.UNCERTAIN, reason, words)
        case Uncertain(reason=reason, words=words):
            wait, counts = delay_before(attempts + 1, chance), True
        case RetryLater(reason=reason, words=words, after=None, memory=memory):
            wait, counts = delay_before(attempts + 1, chance), True
        case RetryLater(reason=reason, words=words, after=float() | int() as asked, memory=memory):
            wait, counts = _asked_wait(asked), False
    # Not later than expires_at: there the claim turns the row to expired, and the receipt says so without delay.
    due = min(now + wait, expires_at)
    return Settlement(DeliveryState.SCHEDULED, reason, words, due=due, counts=counts, memory=memory)


def _asked_wait(seconds: float) -> timedelta:
    # The number is the vendor's, so it may be anything; a timedelta takes neither a huge number nor NaN.
    shortest, longest = SHORTEST_RETRY_AFTER.total_seconds(), LONGEST_RETRY_AFTER.total_seconds()
    return timedelta(seconds=min(max(shortest, seconds), longest))
