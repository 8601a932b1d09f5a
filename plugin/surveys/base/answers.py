"""Reading a vendor's answer: its document, its words, and what it means when its body is silent."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from plugin.domain.outcome import Outcome, Reason, Rejected, RetryLater, Uncertain
from plugin.domain.retry import LONGEST_RETRY_AFTER
from plugin.domain.survey_call import OutboundResponse

#: How much of a vendor's words is kept, characters.
WORDS_LIMIT: Final = 300

_REJECTIONS: Final[Mapping[int, Reason]] = {
    401: Reason.CREDENTIALS,
    402: Reason.QUOTA,
    403: Reason.CREDENTIALS,
    404: Reason.NOT_FOUND,
}

_RETRIES: Final[Mapping[int, Reason]] = {
    408: Reason.VENDOR_UNAVAILABLE,
    425: Reason.VENDOR_UNAVAILABLE,
    429: Reason.RATE_LIMITED,
    503: Reason.VENDOR_UNAVAILABLE,
}


def outcome_for_status(response: OutboundResponse, *, words: str | None = None) -> Outcome:
    """What an answer means when its body does not say: by HTTP status alone.

    words: the vendor's message, when the connector found one; otherwise the body is quoted. Never Accepted: a
    success that is not recognised is Uncertain, and so is a failure in the middle of the work (500 and its like),
    which is repeated only where the step is repeat-safe.
    """
    said = clean_words(words) if words is not None else words_of(response)
    status = response.status
    if status in _RETRIES:
        return RetryLater(_RETRIES[status], said, retry_after(response))
    if 300 <= status < 400:
        return Rejected(Reason.REDIRECTED, said)
    if 400 <= status < 500:
        return Rejected(_REJECTIONS.get(status, Reason.INVALID_CALL), said)
    if status >= 500:
        return Uncertain(Reason.VENDOR_ERROR, said)
    return Uncertain(Reason.UNRECOGNISED, said)


def retry_after(response: OutboundResponse) -> float | None:
    """Seconds that the vendor asks to wait, at most a day; None when it names no time that lies ahead.

    A date is measured from the answer's own Date header: connectors read no clock, and the vendor's clock is the one
    that the date was written by. Without that header a date says nothing (RFC 9110, 10.2.3).
    """
    text = response.headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]+", text):
        seconds = float(text)
    else:
        until, sent = _http_date(text), _http_date(response.headers.get("date", ""))
        if until is None or sent is None:
            return None
        seconds = (until - sent).total_seconds()
    return min(seconds, LONGEST_RETRY_AFTER.total_seconds()) if seconds > 0 else None


def _http_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, IndexError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def read_object(response: OutboundResponse) -> Mapping[str, Any]:
    """The body as a JSON object, also when it was written with typographic quotes; empty when it is anything else."""
    if response.json_object:
        return response.json_object
    straightened = re.sub("[“”„‟″]", '"', response.text)
    return OutboundResponse(response.status, body=straightened.encode()).json_object


def words_of(response: OutboundResponse) -> str:
    """The start of the body as a vendor's words."""
    # Written anew, JSON has no \/ and \u escapes: people can read it, and secrets in it can be found and masked.
    document = response.json_object
    return clean_words(json.dumps(document, ensure_ascii=False) if document else response.text)


def clean_words(text: str) -> str:
    """At most WORDS_LIMIT characters of `text` on one line, without control characters.

    The cut is made between words, so that a secret or an address that the vendor repeats is whole, and can be masked
    by the caller, or gone.
    """
    clean = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    if len(clean) <= WORDS_LIMIT:
        return clean
    return f"{clean[: WORDS_LIMIT + 1].rpartition(' ')[0]} …".lstrip()
