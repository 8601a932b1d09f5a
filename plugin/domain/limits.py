"""How much at a time: calls through a connection, and what one source may send."""

from __future__ import annotations

from typing import Final

#: Calls that may be under way through one connection at a time, unless it says otherwise; and the most it may say.
IN_FLIGHT: Final = 8
MOST_IN_FLIGHT: Final = 64
MOST_CALLS_PER_MINUTE: Final = 60_000

#: Requests that a source may send in a minute, unless it says otherwise; and the most it may say.
REQUESTS_PER_MINUTE: Final = 6_000
MOST_REQUESTS_PER_MINUTE: Final = 60_000
