"""Who sent this: signatures and shared credentials, compared in constant time.

Whatever a header holds, the only exception that leaves these functions because of it is SignatureInvalid. Its message
is for the owner of the source; the sender is told nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from plugin.errors import SignatureInvalid
from plugin.redaction import Secret
from plugin.triggers.base import InboundRequest
from plugin.triggers.base.times import read_time, unix_time

#: How far a signed time may lie from ours, both ways, in seconds. Standard Webhooks' own libraries use the same.
TOLERANCE: Final = 300

_MESSAGE_PARTS: Final = re.compile(r"(\{(?:method|url|timestamp|body)\})")


@dataclass(frozen=True)
class HmacRecipe:
    """How a sender signs with a shared secret.

    header: where the signature stands; prefix: what stands before it there (`sha256=`).
    message: what is signed, `{timestamp}` and `{body}` standing for that header's text and the raw body, `{method}` and
    `{url}` for the request's.
    timestamp_header: where the time stands; empty when none is sent. timestamp_unit: `iso` takes Unix time as well.
    tolerance: seconds between that time and ours, both ways.
    """

    header: str
    algorithm: Literal["sha1", "sha256"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    prefix: str = ""
    message: str = "{body}"
    timestamp_header: str = ""
    timestamp_unit: Literal["s", "ms", "iso"] = "s"
    tolerance: int = TOLERANCE


def text_key(secret: Secret) -> bytes:
    """The key of a sender that uses its secret as the text it is, whether or not it looks like base64."""
    return secret.reveal().encode()


def base64_key(secret: Secret) -> bytes:
    """The key of a sender that decodes its secret first, with or without `whsec_`. Raises ValueError if it is none."""
    try:
        key = b64decode(secret.reveal().removeprefix("whsec_"), validate=True)
    except ValueError:
        key = b""
    if not key:
        raise ValueError("The secret is not base64.")
    return key


def require_hmac(request: InboundRequest, key: bytes, recipe: HmacRecipe, now: datetime) -> None:
    """Raises SignatureInvalid unless the request was signed with `key` by `recipe`, not long before or after `now`."""
    if recipe.timestamp_header:
        timestamp = _header(request, recipe.timestamp_header)
        _require_fresh(timestamp, recipe.timestamp_unit, recipe.tolerance, now)
    _require_digest(request, recipe, hmac.digest(key, _signed_message(request, recipe), recipe.algorithm))


def require_prefixed_hash(request: InboundRequest, key: bytes, recipe: HmacRecipe) -> None:
    """The same for a sender that hashes the key followed by the message, which is no HMAC and covers no time."""
    _require_digest(request, recipe, hashlib.new(recipe.algorithm, key + _signed_message(request, recipe)).digest())


def hmac_replay_mark(request: InboundRequest, recipe: HmacRecipe) -> str | None:
    """The replay mark of a request that passed `require_hmac`; None when no time is signed."""
    if not recipe.timestamp_header or recipe.timestamp_header.lower() not in request.headers:
        return None
    return _replay_mark(request, _signed_message(request, recipe))


def require_standard_webhook(request: InboundRequest, key: bytes, now: datetime) -> None:
    """Raises SignatureInvalid unless the request is signed as Standard Webhooks 1.0.0 says, by its symmetric scheme.

    Signatures of other schemes (`v1a`) are passed over. One match among several will do, so secrets can be rotated.
    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """
    _header(request, "webhook-id")
    _require_fresh(_header(request, "webhook-timestamp"), "s", TOLERANCE, now)
    digest = hmac.digest(key, _standard_message(request), "sha256")
    expected = "v1," + b64encode(digest).decode("ascii")
    matches = [_equal(signature, expected) for signature in _header(request, "webhook-signature").split()]
    if not any(matches):
        raise SignatureInvalid("No signature of scheme v1 matches.")


def standard_replay_mark(request: InboundRequest) -> str | None:
    """The replay mark of a request that passed `require_standard_webhook`; None for one that is not signed."""
    if not request.headers.keys() >= {"webhook-id", "webhook-timestamp"}:
        return None
    return _replay_mark(request, _standard_message(request))


def require_bearer(request: InboundRequest, token: Secret) -> None:
    """Raises SignatureInvalid unless the request carries `Authorization: Bearer <token>`."""
    _require_equal(_authorization(request, "bearer"), token.reveal())


def require_basic(request: InboundRequest, user: str, password: Secret) -> None:
    """Raises SignatureInvalid unless the request carries this user and password as HTTP Basic, in UTF-8."""
    expected = b64encode(f"{user}:{password.reveal()}".encode()).decode("ascii")
    _require_equal(_authorization(request, "basic"), expected)


def require_header(request: InboundRequest, name: str, value: Secret) -> None:
    """Raises SignatureInvalid unless the header `name` holds exactly `value`."""
    _require_equal(_header(request, name), value.reveal())


def require_in_body(given: object, secret: Secret) -> None:
    """Raises SignatureInvalid unless `given`, as it was read from the body, is exactly `secret`."""
    if not isinstance(given, str) or not given:
        raise SignatureInvalid("The body does not hold the secret.")
    if not hmac.compare_digest(given.encode("utf-8", "replace"), secret.reveal().encode()):
        raise SignatureInvalid("The secret in the body does not match.")


def require_url_only(credentials: Mapping[str, object]) -> None:
    """Raises SignatureInvalid unless its owner has said that the address alone proves the sender."""
    if not credentials.get("url_only"):
        raise SignatureInvalid("The source has no credentials to check against.")


def _signed_message(request: InboundRequest, recipe: HmacRecipe) -> bytes:
    timestamp = _header_bytes(_text_of(request, recipe.timestamp_header))
    method, url = request.method.encode("utf-8", "replace"), request.url.encode("utf-8", "replace")
    values = {"{method}": method, "{url}": url, "{timestamp}": timestamp, "{body}": request.body}
    return b"".join(values.get(part, part.encode()) for part in _MESSAGE_PARTS.split(recipe.message))


def _standard_message(request: InboundRequest) -> bytes:
    head = [_header_bytes(_text_of(request, name)) for name in ("webhook-id", "webhook-timestamp")]
    return b".".join([*head, request.body])


def _replay_mark(request: InboundRequest, signed: bytes) -> str:
    # Made of what was signed, since the signature's own text can be written in more than one way. Without a body the
    # values stand in the query, which no signature covers: two tickets closed in one second are then signed alike.
    marked = signed if request.body else signed + b"?" + request.query.encode("utf-8", "replace")
    return hashlib.sha256(marked).hexdigest()


def _text_of(request: InboundRequest, name: str) -> str:
    return request.headers.get(name.lower(), "").strip()


def _require_digest(request: InboundRequest, recipe: HmacRecipe, digest: bytes) -> None:
    given = _header(request, recipe.header)
    if recipe.encoding == "hex":
        _require_equal(given.lower(), recipe.prefix.lower() + digest.hex())
    else:
        _require_equal(given, recipe.prefix + b64encode(digest).decode("ascii"))


def _header(request: InboundRequest, name: str) -> str:
    value = _text_of(request, name)
    if not value:
        raise SignatureInvalid(f"The header {name} is missing.")
    return value


def _authorization(request: InboundRequest, scheme: str) -> str:
    given, _, value = _header(request, "Authorization").partition(" ")
    if given.lower() != scheme:
        raise SignatureInvalid(f"The header Authorization is not of the scheme {scheme}.")
    return value.strip()


def _header_bytes(value: str) -> bytes:
    """A header's bytes as they were sent: web servers hand them over read as Latin-1."""
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode("utf-8", "replace")


def _equal(given: str, expected: str) -> bool:
    return hmac.compare_digest(_header_bytes(given), expected.encode())


def _require_equal(given: str, expected: str) -> None:
    if not _equal(given, expected):
        raise SignatureInvalid("The signature or the credential does not match.")


def _require_fresh(timestamp: str, unit: str, tolerance: int, now: datetime) -> None:
    signed_at = read_time(timestamp) if unit == "iso" else unix_time(timestamp, milliseconds=unit == "ms")
    if signed_at is None:
        raise SignatureInvalid("The time of the signature cannot be read.")
    if abs((now - signed_at).total_seconds()) > tolerance:
        raise SignatureInvalid(f"The time of the signature is more than {tolerance} seconds away from ours.")
