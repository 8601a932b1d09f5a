"""Ids, references and keys. Randomness and time come from the caller."""

from __future__ import annotations

from base64 import b32encode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

#: Gives that many random bytes: `secrets.token_bytes` in the product.
Entropy = Callable[[int], bytes]

#: Crockford's base 32 sorts as the number does and has no letters that look alike.
_STANDARD: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_TO_CROCKFORD: Final = str.maketrans(_STANDARD, _CROCKFORD)


def new_id(now: datetime, entropy: Entropy) -> str:
    """26 characters: milliseconds, then 80 random bits. Ids of later rows sort later, which keeps indices compact."""
    number = int(now.timestamp() * 1000) << 80 | int.from_bytes(entropy(10), "big")
    return "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))


def new_reference(entropy: Entropy) -> str:
    """A delivery's reference: 26 random letters and digits (128 bits), short and plain enough for every vendor."""
    return b32encode(entropy(17)).decode("ascii").translate(_TO_CROCKFORD)[:26].lower()


def new_key(entropy: Entropy) -> str:
    """The unguessable part of a source's URL: 32 URL-safe characters (192 bits)."""
    return urlsafe_b64encode(entropy(24)).decode("ascii")


@dataclass(frozen=True)
class Mint:
    """The clock and the dice of one process, handed to whatever makes ids. A test gives fixed ones."""

    clock: Callable[[], datetime]
    entropy: Entropy

    def now(self) -> datetime:
        return self.clock()

    def id(self) -> str:
        return new_id(self.clock(), self.entropy)

    def reference(self) -> str:
        return new_reference(self.entropy)

    def key(self) -> str:
        return new_key(self.entropy)
