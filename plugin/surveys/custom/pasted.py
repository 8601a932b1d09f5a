"""URLs of the presets' vendors, as their documentation shows them, taken apart into a connection and a mapping."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from plugin.redaction import Secret
from plugin.surveys.base import PastedUrl, Recognised
from plugin.surveys.custom.presets import PRESETS
from plugin.surveys.custom.slots import Slot, pieces_of

_ALCHEMER_SECRETS: Final = ("api_token", "api_token_secret")


def recognise_url(url: PastedUrl) -> Recognised | None:
    """A call of SurveySparrow or Alchemer; None for any other address."""
    for name, recognise in _RECOGNISERS.items():
        if url.origin in PRESETS[name].origins:
            return recognise(url)
    return None


def _settings(name: str, url: PastedUrl) -> dict[str, Any]:
    usual = PRESETS[name].origins[0]
    return {"preset": name} if url.origin == usual else {"preset": name, "origin": url.origin}


def _surveysparrow(url: PastedUrl) -> Recognised | None:
    if [segment for segment in url.segments if segment] != ["v3", "channels"]:
        return None
    ours = {"survey_id": dict(url.query).get("survey_id", "")}
    parameters = {name: value for name, value in ours.items() if value}
    settings = {**_settings("surveysparrow", url), "secrets": {"access_token": None}}
    return Recognised("send", settings, parameters)


def _alchemer(url: PastedUrl) -> Recognised | None:
    match [segment for segment in url.segments if segment]:
        # The same call under its former names: /v4/ ... /contact.
        case [_, "survey", survey, "surveycampaign", campaign, "surveycontact" | "contact"]:
            return _alchemer_contact(url, survey, campaign)
    return None


def _alchemer_contact(url: PastedUrl, survey: str, campaign: str) -> Recognised:
    names = _names_of_parameters("alchemer")
    parameters = {"survey_id": survey, "campaign_id": campaign}
    warnings = [f"The call is made at /v5/, not at /{url.segments[0]}/."] if url.segments[0] != "v5" else []
    secrets: dict[str, Secret | None] = dict.fromkeys(_ALCHEMER_SECRETS)
    for theirs, value in url.query:
        if theirs in names and value:
            parameters[names[theirs]] = value
        elif theirs in secrets and value:
            secrets[theirs] = Secret(value)
        elif theirs not in {*_ALCHEMER_SECRETS, *names, "_method"}:
            warnings.append(f"{theirs} is left out: the preset has no such parameter.")
    return Recognised("send", {**_settings("alchemer", url), "secrets": secrets}, parameters, warnings)


def _names_of_parameters(preset: str) -> dict[str, str]:
    """Our names by those of the query, from the preset's own slots."""
    names = {}
    for theirs, text in PRESETS[preset].settings["query"].items():
        match pieces_of(text):
            case (Slot(name, secret=False),):
                names[theirs] = name
    return names


_RECOGNISERS: Final[dict[str, Callable[[PastedUrl], Recognised | None]]] = {
    "surveysparrow": _surveysparrow,
    "alchemer": _alchemer,
}
