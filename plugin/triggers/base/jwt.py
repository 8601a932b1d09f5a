"""Signed tokens (JSON Web Tokens) of one kind: RS256, whose key the sender publishes. No other kind is taken.

https://www.rfc-editor.org/rfc/rfc7519
"""

from __future__ import annotations

import binascii
import json
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from plugin.errors import SignatureInvalid

#: How far the sender's clock may be off, seconds.
LEEWAY: Final = 60
_LONGEST: Final = 8192


def read_token(token: str, key: RSAPublicKey, now: datetime) -> Mapping[str, Any]:
    """What a token claims, once it has proven who made it, and that it is of now. Raises SignatureInvalid."""
    parts = token.split(".")
    if len(token) > _LONGEST or len(parts) != 3:
        raise SignatureInvalid("The token is no signed token.")
    try:
        header, claims = (json.loads(_decoded(part)) for part in parts[:2])
        signature = _decoded(parts[2])
    except (ValueError, RecursionError):
        raise SignatureInvalid("The token cannot be read.") from None
    if not isinstance(header, dict) or not isinstance(claims, dict) or header.get("alg") != "RS256":
        raise SignatureInvalid("The token is not signed by RS256.")
    try:
        key.verify(signature, f"{parts[0]}.{parts[1]}".encode(), padding.PKCS1v15(), SHA256())
    except InvalidSignature:
        raise SignatureInvalid("The token was not signed by the owner of the key.") from None
    _require_now(claims, now.timestamp())
    return claims


def _require_now(claims: Mapping[str, Any], now: float) -> None:
    begins, ends = (claims.get(name) for name in ("iat", "exp"))
    if not (isinstance(begins, int | float) and isinstance(ends, int | float)):
        raise SignatureInvalid("The token does not say from when to when it counts.")
    if not begins - LEEWAY <= now < ends + LEEWAY:
        raise SignatureInvalid("The token counts no more, or not yet.")


def _decoded(part: str) -> bytes:
    try:
        # The padding that tokens leave out; what is too much of it is ignored.
        return urlsafe_b64decode(f"{part}==".encode("ascii"))
    except binascii.Error as error:
        raise ValueError("no base64") from error
