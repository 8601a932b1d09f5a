"""Times as senders write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

_UNIX: Final = re.compile(r"[0-9]{1,15}(\.[0-9]{1,9})?")


def read_time(text: str) -> datetime | None:
    """A time in ISO 8601 (UTC unless it says otherwise) or in Unix seconds or milliseconds; None for anything else."""
    whole, _, _ = text.partition(".")
    # Fewer digits are a date, such as 20261103; seconds reach eleven digits only in the year 5138.
    if len(whole) > 8 and (time := unix_time(text, milliseconds=len(whole) > 11)):
        return time
    try:
        time = datetime.fromisoformat(text)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def unix_time(text: str, *, milliseconds: bool = False) -> datetime | None:
    """A time in Unix seconds or milliseconds, written with ASCII digits only; None for anything else."""
    if not _UNIX.fullmatch(text):
        return None
    try:
        return datetime.fromtimestamp(float(text) / (1000 if milliseconds else 1), UTC)
    except (ValueError, OverflowError, OSError):
        return None
