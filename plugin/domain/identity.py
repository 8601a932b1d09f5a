"""Ids, references and keys. Randomness and time come from the caller."""

from __future__ import annotations

import threading
from base64 import b32encode, urlsafe_b64encode
from collections.abc import Callable
from datetime import datetime
from typing import Final

#: Gives that many random bytes: `secrets.token_bytes` in the product.
Entropy = Callable[[int], bytes]

#: Crockford's base 32 sorts as the number does and has no letters that look alike.
_STANDARD: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_TO_CROCKFORD: Final = str.maketrans(_STANDARD, _CROCKFORD)


#: Random bytes that a Mint fetches at a time: asking the system for each id costs more than making it.
_POOL: Final = 4096


def first_id(moment: datetime) -> str:
    """The lowest id that can be made at `moment`: ids made before sort before it, so a time range is a range of ids."""
    return _written(int(moment.timestamp() * 1000) << 80)


def _number(now: datetime, entropy: Entropy) -> int:
    """An id's: milliseconds, then 80 random bits. Ids of later rows sort later, which keeps indices compact."""
    return int(now.timestamp() * 1000) << 80 | int.from_bytes(entropy(10), "big")


def _written(number: int) -> str:
    # 128 bits after two zeros fill 26 digits of five bits; six more zeros fill the last byte.
    standard = b32encode((number << 6).to_bytes(17, "big")).decode("ascii")
    return standard.translate(_TO_CROCKFORD)[:26]


def new_reference(entropy: Entropy) -> str:
    """A delivery's reference: 26 random letters and digits (130 bits), short and plain enough for every vendor."""
    return b32encode(entropy(17)).decode("ascii").translate(_TO_CROCKFORD)[:26].lower()


def new_key(entropy: Entropy) -> str:
    """The unguessable part of a source's URL: 32 URL-safe characters (192 bits)."""
    return urlsafe_b64encode(entropy(24)).decode("ascii")


class Mint:
    """The clock and the dice of one process, handed to whatever makes ids. A test gives fixed ones.

    Its ids sort in the order they were made: what came in one message goes out in that order. Safe to use from several
    threads; made after a fork, never before.
    """

    def __init__(self, clock: Callable[[], datetime], entropy: Entropy) -> None:
        self.clock = clock
        self.entropy = entropy
        self._lock = threading.Lock()
        self._last = 0
        self._pool = b""

    def now(self) -> datetime:
        return self.clock()

    def id(self) -> str:
        now = self.clock()
        with self._lock:
            # Behind the one made before, perhaps in the same millisecond, whatever the dice say.
            number = self._last = max(_number(now, self._dice), self._last + 1)
        return _written(number)

    def reference(self) -> str:
        return new_reference(self._shared_dice)

    def key(self) -> str:
        return new_key(self.entropy)

    def _shared_dice(self, size: int) -> bytes:
        with self._lock:
            return self._dice(size)

    def _dice(self, size: int) -> bytes:
        if len(self._pool) < size:
            self._pool = self.entropy(_POOL)
        drawn, self._pool = self._pool[:size], self._pool[size:]
        return drawn
