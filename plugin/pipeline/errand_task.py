"""An errand on its way: what its request needs, what came of it, and how one begins."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from plugin.domain.event import Event
from plugin.domain.identity import Mint
from plugin.domain.outcome import NextRequest, Outcome
from plugin.domain.retry import SHORTEST_RETRY_AFTER, Chance, decide_next
from plugin.store.claims import ClaimedRow
from plugin.store.errands import FOLLOW_UP, LOOKUP, ErrandRow, FollowedCall, NewErrand, Owner
from plugin.store.origins import Origin
from plugin.vault import Vault, errand_place

#: How long a vendor is asked what became of a delivery, and a source for what an event's message does not say.
FOLLOW_UP_LASTS: Final = timedelta(hours=48)
LOOKUP_LASTS: Final = timedelta(hours=24)
_LASTS: Final[Mapping[str, timedelta]] = {FOLLOW_UP: FOLLOW_UP_LASTS, LOOKUP: LOOKUP_LASTS}

#: The name of the one step that a look-up has; its further requests follow from the answers.
LOOKUP_STEP: Final = "lookup"


class Result(StrEnum):
    """What one turn of an errand has come to: the closed list, for metrics."""

    DONE = "done"
    AGAIN = "again"
    RETRY_LATER = "retry_later"
    REFUSED = "refused"
    GIVEN_UP = "given_up"
    REMOVED = "removed"


@dataclass(frozen=True)
class Task:
    """A claimed errand. call: of the delivery that a follow-up is about. origin: of a look-up's event."""

    row: ErrandRow
    owner: Owner
    call: FollowedCall | None = None
    origin: Origin | None = None


@dataclass(frozen=True)
class FinishedErrand:
    """What has become of an errand.

    again: when it is to be done again, with step, memory (sealed), attempts and words as they are kept until then;
    None when it has ended. told: a sentence for the receipt, empty for none. event: as a look-up has completed it.
    """

    row: ErrandRow
    result: Result
    again: datetime | None = None
    step: str = ""
    memory: str | None = None
    attempts: int = 0
    words: str = ""
    told: str = ""
    event: Event | None = field(default=None, repr=False)


def ended(row: ErrandRow, result: Result, told: str = "") -> FinishedErrand:
    """An errand that is not done again."""
    return FinishedErrand(row, result, told=told)


def asked_later(row: ErrandRow, outcome: Outcome, words: str, now: datetime, chance: Chance) -> FinishedErrand | None:
    """An errand whose request has failed and is made again as it was; None where that would fare no better."""
    decided = decide_next(
        outcome, attempts=row.attempts, repeat_safe=True, expires_at=row.give_up_at, now=now, chance=chance
    )
    if decided.due is None:
        return None
    attempts = row.attempts + decided.counts
    return FinishedErrand(row, Result.RETRY_LATER, decided.due, row.step, row.memory, attempts, words)


def given_up(row: ErrandRow) -> FinishedErrand:
    """An errand whose time is over."""
    hours = int(_LASTS[row.kind] / timedelta(hours=1))
    last = f" The last one said: {row.words}" if row.words else ""
    if row.kind == FOLLOW_UP:
        told = f"What became of it is asked no more: no final answer came within {hours} hours.{last}"
    else:
        told = f"The source did not tell the rest within {hours} hours.{last}"
    return ended(row, Result.GIVEN_UP, told)


def follow_up_of(row: ClaimedRow, asked: NextRequest, vault: Vault, mint: Mint) -> NewErrand:
    """The errand that begins when a delivery was accepted and the vendor is to be asked what becomes of it."""
    errand_id, now = mint.id(), mint.now()
    return NewErrand(
        id=errand_id,
        tenant_id=row.tenant_id,
        kind=FOLLOW_UP,
        lane=row.connection_id,
        delivery_id=row.id,
        event_id=None,
        step=asked.step,
        memory=sealed_memory(vault, row.tenant_id, errand_id, asked.memory),
        due=due_of(asked, now),
        give_up_at=now + FOLLOW_UP_LASTS,
    )


def lookup_of(tenant_id: str, source_id: str, event_id: str, errand_id: str, now: datetime) -> NewErrand:
    """The errand that completes an event whose message says too little."""
    return NewErrand(
        id=errand_id,
        tenant_id=tenant_id,
        kind=LOOKUP,
        lane=source_id,
        delivery_id=None,
        event_id=event_id,
        step=LOOKUP_STEP,
        memory=None,
        due=now,
        give_up_at=now + LOOKUP_LASTS,
    )


def due_of(asked: NextRequest, now: datetime) -> datetime:
    """When the next request is to be made; never at once, or two programs would talk without end."""
    longest = FOLLOW_UP_LASTS.total_seconds()
    return now + max(timedelta(seconds=min(asked.after, longest)), SHORTEST_RETRY_AFTER)


def sealed_memory(vault: Vault, tenant_id: str, errand_id: str, memory: Mapping[str, str]) -> str | None:
    """What a step leaves for the next one, as it is kept."""
    return vault.seal(json.dumps(dict(memory)), errand_place(tenant_id, errand_id)) if memory else None


def opened_memory(vault: Vault, row: ErrandRow) -> Mapping[str, str]:
    """What the step before has left. Raises VaultError."""
    if row.memory is None:
        return {}
    opened: dict[str, str] = json.loads(vault.open(row.memory, errand_place(row.tenant_id, row.id)))
    return opened
