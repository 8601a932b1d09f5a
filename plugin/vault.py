"""Secrets at rest: AES-256-GCM with a key ring. A sealed text opens only in the place it was sealed for."""

from __future__ import annotations

import hashlib
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from plugin.domain.identity import Entropy
from plugin.errors import VaultError

_VERSION: Final = "v1"
_NONCE_BYTES: Final = 12
_KEY_ID_LENGTH: Final = 8
#: A sealed text begins with the version of its form and the id of its key: so many characters.
OPENING_LENGTH: Final = len(_VERSION) + 1 + _KEY_ID_LENGTH


@dataclass(frozen=True)
class Place:
    """Where a secret lives. It is bound into the encryption, so a copied ciphertext is worthless elsewhere."""

    tenant: str
    table: str
    row: str
    field: str

    def associated_data(self) -> bytes:
        return f"{self.tenant}|{self.table}|{self.row}|{self.field}".encode()


def credentials_place(tenant_id: str, source_id: str) -> Place:
    return Place(tenant_id, "sources", source_id, "credentials")


def old_credentials_place(tenant_id: str, source_id: str) -> Place:
    return Place(tenant_id, "sources", source_id, "old_credentials")


def key_place(tenant_id: str, source_id: str) -> Place:
    return Place(tenant_id, "source_keys", source_id, "key")


def settings_place(tenant_id: str, connection_id: str) -> Place:
    return Place(tenant_id, "connections", connection_id, "settings")


def memory_place(tenant_id: str, delivery_id: str) -> Place:
    return Place(tenant_id, "delivery_calls", delivery_id, "memory")


def errand_place(tenant_id: str, errand_id: str) -> Place:
    return Place(tenant_id, "errands", errand_id, "memory")


def document_place(tenant_id: str, version: int) -> Place:
    return Place(tenant_id, "configurations", str(version), "document")


class Vault:
    """Seals with the first key of the ring and opens with any of them.

    keys: 32 bytes each, newest first. entropy: source of random nonces; about 2^32 seals are safe for one key.
    """

    def __init__(self, keys: Sequence[bytes], entropy: Entropy) -> None:
        if not keys:
            raise VaultError("No data key is set; secrets can neither be stored nor read.")
        self._ring = {_key_id(key): AESGCM(key) for key in keys}
        self._newest = _key_id(keys[0])
        self._entropy = entropy

    @property
    def key_ids(self) -> tuple[str, ...]:
        """What tells the keys of the ring apart without giving them away, newest first."""
        return tuple(self._ring)

    def key_of(self, sealed: str) -> str:
        """The id of the key that made a sealed text; its first OPENING_LENGTH characters are enough."""
        return sealed.split(".")[1] if sealed.startswith(f"{_VERSION}.") else "unknown"

    def seal(self, text: str, place: Place) -> str:
        nonce = self._entropy(_NONCE_BYTES)
        sealed = self._ring[self._newest].encrypt(nonce, text.encode(), place.associated_data())
        return f"{_VERSION}.{self._newest}.{urlsafe_b64encode(nonce + sealed).decode('ascii')}"

    def open(self, sealed: str, place: Place) -> str:
        """The text sealed for `place`. Raises VaultError when its key is gone or it was sealed for elsewhere."""
        version, _, rest = sealed.partition(".")
        key_id, _, body = rest.partition(".")
        if version != _VERSION:
            raise VaultError(f"A stored secret in {place.table}.{place.field} has a form this version does not know.")
        if key_id not in self._ring:
            raise VaultError(
                f"A stored secret in {place.table}.{place.field} was sealed with data key {key_id}, which is not in "
                "DATA_KEYS; add that key again after the newest one."
            )
        try:
            raw = b64decode(body, altchars=b"-_", validate=True)
            text = self._ring[key_id].decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], place.associated_data())
        except (InvalidTag, ValueError):  # ValueError: no base64, or too short
            raise VaultError(
                f"A stored secret in {place.table}.{place.field} is damaged or was copied there from another row."
            ) from None
        return text.decode()


def _key_id(key: bytes) -> str:
    return hashlib.sha256(b"key id|" + key).hexdigest()[:_KEY_ID_LENGTH]
