"""What the platform's answers mean. Their HTTP status is documented nowhere, so `type` in the body decides."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from plugin.domain.event import EventKind
from plugin.domain.outcome import Accepted, Learnt, Outcome, Reason, Rejected, Uncertain
from plugin.domain.survey_call import OutboundResponse, SurveyCall, origin_of
from plugin.surveys.base.answers import clean_words, outcome_for_status, read_object
from plugin.surveys.startquestion.brands import ORIGINS

# Looked for in the message after folding case; the pages show no other error text.
_REASONS: Final[Mapping[str, Reason]] = {
    "invitations limit has been reached": Reason.QUOTA,
    "respondents not found": Reason.UNKNOWN_RESPONDENT,
    # The token was removed from the survey, or is wrong. Shown without an envelope.
    "token not found": Reason.UNKNOWN_RESPONDENT,
    # The page on unsubscribe shows it in brackets; the exact body is not documented.
    "invalid e-mail address": Reason.INVALID_ADDRESS,
    "invalid email address": Reason.INVALID_ADDRESS,
}

# Of an invitation, the Czech page says that it means: the respondent has unsubscribed. Elsewhere it means what it says.
_OF_INVITATIONS: Final = {"respondents not found": Reason.OPTED_OUT}

_INVITATIONS: Final = frozenset({"send_invitation", "send_invitation_to_token"})

#: A short link and nothing else; where it leads is looked at separately.
_LINK: Final = re.compile(r"https?://[A-Za-z0-9._~:/?#@!$&*+,;=%\[\]-]{1,500}")


def read_response(call: SurveyCall, response: OutboundResponse, step: str, memory: Mapping[str, str]) -> Outcome:
    """Success is `type: success` alone; of the texts beside it, only those of updating and blocking are documented."""
    del step, memory
    envelope = read_object(response)
    if envelope.get("type") == "error":
        return read_error(response, reasons_of(call.name))
    if call.name == "shorten_link":
        return _read_link(response, envelope)
    if envelope.get("type") == "success":
        return Accepted(words=clean_words(_message(envelope)))
    return _read_bare(response, reasons_of(call.name))


def reasons_of(call_name: str) -> Mapping[str, Reason]:
    """What the known error texts mean for this call."""
    return {**_REASONS, **_OF_INVITATIONS} if call_name in _INVITATIONS else _REASONS


def read_error(response: OutboundResponse, reasons: Mapping[str, Reason] = _REASONS) -> Outcome:
    """What an envelope of the type error means."""
    message = _message(read_object(response))
    folded = " ".join(message.casefold().split())
    for text, reason in reasons.items():
        if text in folded:
            return Rejected(reason, clean_words(message))
    # The platform says that it did nothing. A status that says more (401, 429, ...) is heard; one that would leave
    # the matter open (200, 500) is not.
    by_status = outcome_for_status(response, words=message)
    return Rejected(Reason.REFUSED, clean_words(message)) if isinstance(by_status, Uncertain) else by_status


def _message(envelope: Mapping[str, Any]) -> str:
    message = envelope.get("msg")
    return message if isinstance(message, str) else ""


def _read_bare(response: OutboundResponse, reasons: Mapping[str, Reason]) -> Outcome:
    """An answer without an envelope: one of the known texts and nothing else, or unrecognised."""
    bare = response.text.strip(" \"'“”„.()").casefold()
    if bare in reasons:
        return Rejected(reasons[bare], clean_words(response.text))
    return outcome_for_status(response)


# --- short links ------------------------------------------------------------------------------------------------------


def _read_link(response: OutboundResponse, envelope: Mapping[str, Any]) -> Outcome:
    """The pages show the short link but not what is around it: bare, a JSON text, or a value in an object.

    Whatever its shape, a success without a link that leads to the platform is not taken as one.
    """
    if 200 <= response.status < 300 and envelope.get("type", "success") == "success":
        for text in _texts(response, envelope):
            if _LINK.fullmatch(text) and _is_own(text, response.origin):
                return Accepted(words=clean_words(text), learnt=Learnt(EventKind.SURVEY_LINK, {"link.url": text}))
    return _read_bare(response, reasons_of("shorten_link"))


def _texts(response: OutboundResponse, envelope: Mapping[str, Any]) -> Iterator[str]:
    if envelope:
        yield from (value.strip() for value in envelope.values() if isinstance(value, str))
        return
    try:
        document = json.loads(response.text)
    except (ValueError, RecursionError):
        document = response.text
    if isinstance(document, str):
        yield document.strip(" \"'“”„")


def _is_own(link: str, called: str) -> bool:
    """Whether a link leads to the brand that was called, with or without its `www.`; nobody is sent anywhere else.

    Where the connection calls another origin than a brand's (a sandbox), that one and every brand's count.
    """
    try:
        origin = origin_of(link)
    except ValueError:
        return False
    if called in ORIGINS:
        return origin in {called, called.replace("://www.", "://", 1)}
    return origin in {called, *ORIGINS}
