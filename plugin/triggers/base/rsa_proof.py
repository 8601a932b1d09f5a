"""Who sent this, by a public key: RSA with SHA-256 and PKCS#1 v1.5 over the raw body."""

from __future__ import annotations

import re
from base64 import b64decode
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from plugin.errors import SignatureInvalid
from plugin.triggers.base import InboundRequest

#: Shorter keys can be broken, and a longer one makes each check slow.
_BITS: Final = range(2048, 8193)

# What stands around a PEM key is not looked at: Freshchat writes RSA PUBLIC KEY around what is not of that form.
_LABEL: Final = re.compile(r"-----(?:BEGIN|END)[A-Z ]*-----")


def rsa_public_key(text: str) -> RSAPublicKey:
    """The key in `text`: PEM or bare base64, in lines or pasted as one. Raises ValueError if it is none."""
    try:
        key = load_der_public_key(b64decode("".join(_LABEL.sub("", text).split()), validate=True))
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("It is no public key.") from None
    if not isinstance(key, RSAPublicKey) or key.key_size not in _BITS:
        raise ValueError("It is no RSA key of 2048 bits or more.")
    return key


def require_rsa_signature(request: InboundRequest, key: RSAPublicKey, header: str) -> None:
    """Raises SignatureInvalid unless `header` holds the signature of the raw body, in base64."""
    given = request.headers.get(header.lower(), "").strip()
    if not given:
        raise SignatureInvalid(f"The header {header} is missing.")
    try:
        key.verify(b64decode(given, validate=True), request.body, PKCS1v15(), SHA256())
    except (ValueError, InvalidSignature):
        raise SignatureInvalid("The signature does not match.") from None
