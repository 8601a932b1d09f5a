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
_OUR_EMAIL: Final = "{{ person.email }}"
_REFERENCE: Final = "{{ delivery.reference }}"
#: What a site that hides addresses from robots leaves of `email=...` when its text is copied.
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
    warnings: list[str] = []
    settings = _settings(brand, account, "/".join(key), auth, warnings)
    if webhook == _LIST:
        warnings.append("This URL lists surveys and asks nobody, so it makes a connection and no rule.")
        return Recognised("", settings, {}, warnings)
    parameters = _parameters(brand, _CALLS[webhook], url, warnings)
    return Recognised(_CALLS[webhook], settings, parameters, warnings)


def _brand_of(origin: str) -> str:
    """The brand that an origin belongs to, with or without TLS and `www.`; empty for another's."""
    host = origin.partition("://")[2].removeprefix("www.")
    return next((name for name, brand in BRANDS.items() if brand.origin.endswith(f"://www.{host}")), "")


def _settings(brand: str, account: str, key: str, auth: str, warnings: list[str]) -> Mapping[str, Any]:
    settings: dict[str, Any] = {"brand": brand}
    if re.fullmatch("[0-9]+", account):
        settings["id_account"] = account
    else:
        warnings.append("The account's number is not in the URL: put it in as `id_account`.")
    for name, value in (("webhook_key", key), ("webhook_auth", auth)):
        if re.search(r"[\[\]{}<>]", value):
            warnings.append(f"The URL has a name in place of the secret: put it in as `{name}`.")
        else:
            settings[name] = Secret(value)
    return settings


def _parameters(brand: str, call: str, url: PastedUrl, warnings: list[str]) -> Mapping[str, str]:
    parameters, remarks = take_known(map(_seen, url.query), CALLS[call].parameters().fields)
    for name in not_offered(brand, call, tuple(parameters)):
        del parameters[name]
        remarks.append(f"`{name}` is not offered by {BRANDS[brand].title} and was left out.")
    warnings.extend((*remarks, *_mended(parameters)))
    return parameters


def _seen(pair: tuple[str, str]) -> tuple[str, str]:
    """A pair as it was before a site hid the address in it."""
    name, value = pair
    return ("email", name) if _HIDDEN_EMAIL.fullmatch(name) and not value else pair


def _mended(parameters: dict[str, str]) -> Iterator[str]:
    """Put what should vary from ticket to ticket right, as far as it can be known; gives a warning for each."""
    if "email" in parameters and "{{" not in parameters["email"]:
        parameters["email"] = _OUR_EMAIL
        yield f"`email` was one person's address, who would get every survey: {_OUR_EMAIL} was put in its place."
    for name in _NAMES_A_PERSON:
        if name in parameters and "{{" not in parameters[name]:
            yield f"`{name}` names the same person for every ticket: put a placeholder in its place."
    if parameters.get("external_key", _REFERENCE) != _REFERENCE:
        yield (
            f"`external_key` is kept as it is. {_REFERENCE} differs for each delivery, so that answers can be told "
            "apart, also when a ticket is closed twice."
        )
