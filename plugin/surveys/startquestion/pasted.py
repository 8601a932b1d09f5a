"""Webhook URLs of the platform, as its pages show them and people copy them, read back into settings and a mapping."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from plugin.redaction import Secret
from plugin.surveys.base import PastedUrl, Recognised
from plugin.surveys.base.pasted import take_known
from plugin.surveys.startquestion.brands import BRANDS
from plugin.surveys.startquestion.calls import CALLS, WEBHOOKS, not_offered

_CALLS: Final = {webhook: name for name, webhook in WEBHOOKS.items()}
#: What has no call: it fills the choices of a connection.
_LIST: Final = "survey-list"

#: What word processors make of a hyphen.
_DASHES: Final = dict.fromkeys(map(ord, "_‐‑‒–—−"), "-")
_REFERENCE: Final = "{{ delivery.reference }}"
#: What a site that hides addresses from robots leaves of `email=...` when its text is copied: it names nobody.
_HIDDEN_EMAIL: Final = re.compile(r"\[?email\W+protected\]?", re.IGNORECASE)
#: Parameters that say who is meant.
_NAMES_A_PERSON: Final = ("token", "id_respondent", "user_token")


def recognise_url(url: PastedUrl) -> Recognised | None:
    """The connection and the mapping of a webhook URL of any of the brands; None for any other URL.

    The URL of survey-list makes a connection only: its call is empty.
    """
    brand = _brand_of(url.origin)
    match [segment for segment in url.segments if segment]:
        # A key is base64 and may hold slashes; nothing else in the path can.
        case ["webhooks", account, *key, auth, written] if brand and key:
            webhook = written.translate(_DASHES).casefold()
        case _:
            return None
    if webhook not in _CALLS and webhook != _LIST:
        return None
    settings = _settings(brand, account, "/".join(key), auth)
    if webhook == _LIST:
        return Recognised(
            "", settings, {}, ["This URL lists surveys and asks nobody: it makes a connection and no rule."]
        )
    parameters, warnings = _parameters(brand, _CALLS[webhook], url)
    return Recognised(_CALLS[webhook], settings, parameters, warnings)


def _brand_of(origin: str) -> str:
    """The brand that an origin belongs to, with or without TLS and `www.`; empty for another's."""
    host = origin.partition("://")[2].removeprefix("www.")
    return next((name for name, brand in BRANDS.items() if brand.origin.endswith(f"://www.{host}")), "")


def _settings(brand: str, account: str, key: str, auth: str) -> Mapping[str, Any]:
    settings: dict[str, Any] = {"brand": brand, "webhook_key": Secret(key), "webhook_auth": Secret(auth)}
    # The pages write [id_account] there.
    return settings | ({"id_account": account} if re.fullmatch("[0-9]+", account) else {})


def _parameters(brand: str, call: str, url: PastedUrl) -> tuple[Mapping[str, str], list[str]]:
    """The mapping, and a sentence about each thing that was left out or should be looked at."""
    pairs = [pair for pair in url.query if not _HIDDEN_EMAIL.fullmatch(pair[0])]
    parameters, warnings = take_known(pairs, CALLS[call].parameters().fields)
    for name in not_offered(brand, call, tuple(parameters)):
        del parameters[name]
        warnings.append(f"`{name}` is not offered by {BRANDS[brand].title} and was left out.")
    return parameters, [*warnings, *_remarks(parameters)]


def _remarks(parameters: Mapping[str, str]) -> Iterator[str]:
    for name in _NAMES_A_PERSON:
        if name in parameters and "{{" not in parameters[name]:
            yield f"`{name}` names the same person for every ticket: put a placeholder in its place."
    if parameters.get("external_key", _REFERENCE) != _REFERENCE:
        yield (
            f"`external_key` is kept as it is. {_REFERENCE} differs for each delivery, so that answers can be told "
            "apart, also when a ticket is closed twice."
        )
