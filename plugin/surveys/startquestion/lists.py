"""What the platform can list: the account's surveys.

survey-list: https://pruvodce.netquest.cz/api-dokumentace/pouziti-webhook-pro-ziskani-seznamu-dotazniku-z-uctu/
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from plugin.domain.outcome import Outcome
from plugin.domain.survey_call import OutboundRequest, OutboundResponse
from plugin.surveys.base import ChoiceList, Choices, Settings
from plugin.surveys.base.answers import outcome_for_status, read_object
from plugin.surveys.startquestion.answers import read_error
from plugin.surveys.startquestion.brands import webhook_request

#: How many surveys are asked for at a time, the most that the platform gives.
_LIMIT: Final = 20


def _build_request(connection: Settings, page: int) -> OutboundRequest:
    # Whether offset counts pages or surveys is not documented; its default is 1. Counted as pages nothing is left out:
    # if it counts surveys, pages overlap, and whoever reads them drops what he has seen.
    pairs = (("limit", str(_LIMIT)), ("offset", str(page)))
    return webhook_request(connection, "survey-list", pairs, by_get=True)


def _read_choices(response: OutboundResponse) -> Choices | Outcome:
    try:
        document = json.loads(response.text)
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, list) and 200 <= response.status < 300:
        items = [item for entry in document if isinstance(entry, dict) and (item := _choice(entry))]
        if items or not document:
            return Choices(items, more=len(document) >= _LIMIT)
    if read_object(response).get("type") == "error":
        return read_error(response)
    return outcome_for_status(response)


def _choice(entry: Mapping[str, Any]) -> tuple[str, str] | None:
    """Id and name of a survey. Its internal name, if it has one of its own, is what its owner knows it by."""
    identifier = entry.get("id")
    if isinstance(identifier, bool) or not isinstance(identifier, int | str) or not str(identifier).strip():
        return None
    title, internal = (_text(entry.get(name)) for name in ("title", "user_title"))
    label = f"{title} ({internal})" if title and internal and internal != title else title or internal
    return str(identifier).strip(), label or str(identifier)


def _text(value: Any) -> str:
    return " ".join(value.split()) if isinstance(value, str) else ""


LISTS: Final[Mapping[str, ChoiceList]] = {
    "surveys": ChoiceList(
        label="Surveys of the account",
        parameters=("id_survey",),
        source="https://pruvodce.netquest.cz/api-dokumentace/pouziti-webhook-pro-ziskani-seznamu-dotazniku-z-uctu/",
        build_request=_build_request,
        read_choices=_read_choices,
    )
}
