"""How many calls a worker begins with each lane: a lane earns its senders by answering.

A vendor that begins to hang would else take as many senders as it may have calls under way before anybody can know,
and many that begin at the same moment would take them all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

#: Calls that a lane may begin before anything was heard of it.
START: Final = 2
#: Calls that each answer allows: one in the place of the answered one, and one more.
_EARNED: Final = 2
#: How long what a lane has earned is kept while it has no call under way, seconds: a moment, so that a lane that is
#: called now and then starts anew each time, and one that is called without a pause never does.
_KEPT: Final = 0.1


@dataclass
class _Lane:
    allowed: int
    under_way: int = 0
    idle_since: float = 0.0


class Pacing:
    """Slow start for lanes. Not safe for several threads; a worker's database thread alone uses it.

    most: what a lane can earn. monotonic: gives seconds.
    """

    def __init__(self, most: int, monotonic: Callable[[], float]) -> None:
        self._most = max(most, START)
        self._monotonic = monotonic
        self._lanes: dict[str, _Lane] = {}

    def allowed(self, lane: str) -> int:
        """How many calls of this lane may begin now."""
        known = self._lanes.get(lane)
        return known.allowed if known is not None else START

    def begun(self, lane: str) -> None:
        """A call of this lane was claimed."""
        known = self._lanes.setdefault(lane, _Lane(START))
        known.allowed -= 1
        known.under_way += 1

    def ended(self, lane: str, *, hanging: bool) -> None:
        """A call of this lane has ended. hanging: it took so long that it earns nothing."""
        known = self._lanes.get(lane)
        if known is None:
            return
        known.under_way -= 1
        known.idle_since = self._monotonic()
        known.allowed = min(known.allowed + (1 if hanging else _EARNED), self._most)

    def forget_idle(self) -> None:
        """Have lanes that were not called for a moment start anew."""
        now = self._monotonic()
        idle = [lane for lane, known in self._lanes.items() if not known.under_way and now - known.idle_since > _KEPT]
        for lane in idle:
            del self._lanes[lane]
