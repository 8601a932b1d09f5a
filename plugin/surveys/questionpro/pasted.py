"""QuestionPro's URLs as they are pasted. Bodies and headers are not in them, so most of a rule must be filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from plugin.redaction import Secret
from plugin.surveys.base import PastedUrl, Recognised
from plugin.surveys.questionpro.settings import CENTRES

#: The manual's older pages write https://{{env}}.questionpro.com, the newer ones https://api.questionpro.{{env}}.
_HOSTS: Final[Mapping[str, str]] = {
    **{f"{name}.questionpro.com": name for name in CENTRES},
    **{str(urlsplit(centre.origin).hostname): name for name, centre in CENTRES.items()},
}
#: The same as printed, with the placeholder: the centre is left to choose.
_ANY_CENTRE: Final = re.compile(r"api\.questionpro\.\{+[^{}]*\}+|\{+[^{}]*\}+\.questionpro\.com")

_NO_BODY: Final = "The body is no part of a URL: whatever stands in it has to be filled in."
_STATE: Final = "This address asks for the state of a batch, which happens by itself after each call."
_WHOLE_LIST: Final = (
    "This address invites or reminds a whole mailing list, which is not offered; the call survey_batch invites the one "
    "person of the event."
)
_KEY: Final = "The API key stood in the URL, as in older manuals; it is sent in a header now."


def recognise_url(url: PastedUrl) -> Recognised | None:
    """A connection and a call of an address of the API, or None when it is none of them."""
    host = url.origin.partition("://")[2]
    centre = _HOSTS.get(host)
    if centre is None and not _ANY_CENTRE.fullmatch(host):
        return None
    called = _call_at([segment for segment in url.segments if segment])
    if called is None:
        return None
    call, survey, warnings = called
    settings: dict[str, Any] = {"data_centre": centre} if centre else {}
    key = _key_in(url)
    if key:
        settings["api_key"] = Secret(key)
        warnings.append(_KEY)
    # In the manual's own addresses {{survey-id}} stands there.
    parameters = {"surveyID": survey} if re.fullmatch(r"[0-9]{1,100}", survey) else {}
    return Recognised(call, settings, parameters, (*warnings, _NO_BODY))


def _call_at(segments: list[str]) -> tuple[str, str, list[str]] | None:
    """The call of a path, the survey that stands in it, and what must be said about it."""
    match segments:
        case ["a", "api", "v2", "micropanel", "batches"]:
            return "micropanel_batch", "", []
        case ["a", "api", "v2", "micropanel", "batches", _]:
            return "micropanel_batch", "", [_STATE]
        case ["a", "api", "v2", "surveys", survey, "batches"]:
            return "survey_batch", survey, []
        case ["a", "api", "v2", "surveys", survey, "batches", _]:
            return "survey_batch", survey, [_WHOLE_LIST]
        case ["a", "api", "v2", "surveys", survey, "batcheswithfilters"]:
            return "survey_batch", survey, [_WHOLE_LIST]
    return None


def _key_in(url: PastedUrl) -> str:
    """The key of older addresses, which carried it in the query; empty when there is none but a placeholder."""
    values = {name.replace("-", "").casefold(): value for name, value in url.query}
    key = values.get("apikey", "")
    return "" if key.startswith("{") else key
