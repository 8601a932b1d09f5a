"""HubSpot's three signatures. The key of all of them is the text of the app's client secret.

https://developers.hubspot.com/docs/apps/developer-platform/build-apps/authentication/request-validation
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from plugin.errors import SignatureInvalid
from plugin.redaction import Secret
from plugin.triggers.base import InboundRequest
from plugin.triggers.base.proof import (
    HmacRecipe,
    hmac_replay_mark,
    require_hmac,
    require_prefixed_hash,
    text_key,
)

_V1: Final = HmacRecipe(header="X-HubSpot-Signature", message="{body}")
_V2: Final = HmacRecipe(header="X-HubSpot-Signature", message="{method}{url}{body}")
_V3: Final = HmacRecipe(
    header="X-HubSpot-Signature-v3",
    encoding="base64",
    message="{method}{url}{body}{timestamp}",
    timestamp_header="X-HubSpot-Request-Timestamp",
    timestamp_unit="ms",
)

#: What an older signature covers, by the header that names its version.
_OLDER: Final[Mapping[str, HmacRecipe]] = {"v1": _V1, "v2": _V2}

#: The characters that HubSpot decodes in an address before it signs it; all others stay as they were called.
_DECODED: Final = re.compile(r"%(?:3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)", re.IGNORECASE)


def is_signed(request: InboundRequest) -> bool:
    return any(recipe.header.lower() in request.headers for recipe in (_V3, _V1))


def require_signature(request: InboundRequest, secret: Secret, now: datetime) -> None:
    """Raises SignatureInvalid unless the strongest signature of the request is right.

    HubSpot sends older versions beside the newest one. They are no way round it: they cover neither the time nor, in
    the first version, the address.
    """
    key = text_key(secret)
    if _V3.header.lower() in request.headers:
        _require_either(request, lambda called: require_hmac(called, key, _V3, now))
        return
    version = request.headers.get("x-hubspot-signature-version", "").strip().lower()
    recipe = _OLDER.get(version)
    if recipe is None:
        raise SignatureInvalid("The header X-HubSpot-Signature-Version names neither v1 nor v2.")
    _require_either(request, lambda called: require_prefixed_hash(called, key, recipe))


def signature_mark(request: InboundRequest) -> str | None:
    """The replay mark of a request that passed `require_signature`; None for the versions that cover no time."""
    return hmac_replay_mark(request, _V3) if _V3.header.lower() in request.headers else None


def _require_either(request: InboundRequest, require: Callable[[InboundRequest], None]) -> None:
    """HubSpot's page says to decode some characters of the address first, its own libraries decode none."""
    decoded = _DECODED.sub(lambda found: chr(int(found[0][1:], 16)), request.url)
    if decoded != request.url:
        try:
            require(replace(request, url=decoded))
        except SignatureInvalid:
            pass
        else:
            return
    require(request)
