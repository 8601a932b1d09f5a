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


def new_id(now: datetime, entropy: Entropy, after: str = "") -> str:
    """26 characters: milliseconds, then 80 random bits. Ids of later rows sort later, which keeps indices compact.

    after: an id made before, perhaps in the same millisecond; the new one sorts behind it whatever the dice say.
    """
    number = int(now.timestamp() * 1000) << 80 | int.from_bytes(entropy(10), "big")
    return _written(max(number, _read(after) + 1))


def first_id(moment: datetime) -> str:
    """The lowest id that can be made at `moment`: ids made before sort before it, so a time range is a range of ids."""
    return _written(int(moment.timestamp() * 1000) << 80)


def _written(number: int) -> str:
    return "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))


def _read(written: str) -> int:
    number = 0
    for character in written:
        number = number << 5 | _CROCKFORD.index(character)
    return number


def new_reference(entropy: Entropy) -> str:
    """A delivery's reference: 26 random letters and digits (130 bits), short and plain enough for every vendor."""
    return b32encode(entropy(17)).decode("ascii").translate(_TO_CROCKFORD)[:26].lower()


def new_key(entropy: Entropy) -> str:
    """The unguessable part of a source's URL: 32 URL-safe characters (192 bits)."""
    return urlsafe_b64encode(entropy(24)).decode("ascii")


class Mint:
    """The clock and the dice of one process, handed to whatever makes ids. A test gives fixed ones.

    Its ids sort in the order they were made: what came in one message goes out in that order. Safe to use from several
    threads.
    """

    def __init__(self, clock: Callable[[], datetime], entropy: Entropy) -> None:
        self.clock = clock
        self.entropy = entropy
        self._lock = threading.Lock()
        self._last_id = ""

    def now(self) -> datetime:
        return self.clock()

    def id(self) -> str:
        with self._lock:
            self._last_id = new_id(self.clock(), self.entropy, self._last_id)
            return self._last_id

    def reference(self) -> str:
        return new_reference(self.entropy)

    def key(self) -> str:
        return new_key(self.entropy)
