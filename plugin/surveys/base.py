"""What every survey vendor declares, the fields of its calls, and the meaning of an answer whose body is silent."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from marshmallow import Schema

from plugin.domain.fields import Text
from plugin.domain.outcome import Outcome, Reason, Rejected, RetryLater, Uncertain
from plugin.domain.retry import LONGEST_RETRY_AFTER
from plugin.domain.survey_call import OutboundRequest, OutboundResponse, SurveyCall, origin_of

#: A vendor whose address the tenant chooses freely, among public https addresses.
ANY_PUBLIC_HTTPS: Final = "any public https address"

#: Settings and secrets of one connection, as its schema loaded them; secrets are `Secret`.
Settings = Mapping[str, Any]


# --- what a vendor declares -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """One HTTP call of a survey call. repeat_safe: the vendor documents that repeating it does no harm.

    source: the page that describes the call, and that documents the repeating when repeat_safe.
    """

    name: str
    repeat_safe: bool = False
    source: str = ""


@dataclass(frozen=True)
class Call:
    """One thing a vendor can be asked for.

    parameters: a marshmallow schema class of the filled values. It loads text and gives text: what it loaded is what
    is sent, so a call's parameters are loaded once, when it is planned.
    label, help: for pages and docs. defaults: templates used for parameters that a rule does not map.
    confirms: False when the vendor's answer says no more than that the address was opened.
    """

    label: str
    parameters: type[Schema]
    steps: Sequence[Step]
    help: str = ""
    defaults: Mapping[str, str] = field(default_factory=dict)
    confirms: bool = True


@dataclass(frozen=True)
class Vendor:
    """A survey system: title, the connection's settings, the origins it may be called at, and its calls by name."""

    title: str
    connection: type[Schema]
    origins: Sequence[str] | str
    calls: Mapping[str, Call]
    help: str = ""


class VendorModule(Protocol):
    """The shape of plugin/surveys/<name>.py. Its functions do no I/O and read no clock.

    build_request gives the HTTP request of one step. It sends declared parameters only, and leaves out empty ones.
    read_response gives the meaning of the answer: first by its body, then by `outcome_for_status`.

    Optional: `check(call_name: str, parameters: Mapping[str, str], connection: Mapping[str, Any]) -> list[Problem]`
    finds, when a rule is saved, what the schemas cannot see, such as a parameter that one brand does not have.
    `parameters` holds the rule's templates, and each problem's place is a parameter's name. `connection` is as the
    person wrote it: it may be wrong or incomplete, which is told elsewhere.
    """

    VENDOR: Vendor

    @staticmethod
    def build_request(
        call: SurveyCall, connection: Settings, step: str, memory: Mapping[str, str]
    ) -> OutboundRequest: ...

    @staticmethod
    def read_response(
        call: SurveyCall, response: OutboundResponse, step: str, memory: Mapping[str, str]
    ) -> Outcome: ...


# --- fields -----------------------------------------------------------------------------------------------------------


class Origin(Text):
    """Where a vendor is called: scheme, host and optional port. Loads as `origin_of` writes it.

    Only its form is checked here. Whether it may be called depends on Vendor.origins and on the operator's
    EXTRA_VENDOR_ORIGINS, so that is checked where a tenant's file is saved, for settings named `origin` or
    `<something>_origin`, and once more by the outbound door. suggestions: the vendor's known origins, for the form.
    """

    default_error_messages = {  # noqa: RUF012  # marshmallow reads it from the class
        "origin": "must be scheme and host alone, such as https://www.example.com.",
    }

    def __init__(self, suggestions: Sequence[str], **kwargs: Any) -> None:
        super().__init__(metadata={"suggestions": tuple(suggestions)}, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        text: str = super()._deserialize(value, attr, data, **kwargs)
        if not text:
            return text
        try:
            origin = origin_of(text)
        except ValueError as error:
            raise self.make_error("origin") from error
        if urlsplit(text)._replace(scheme="", netloc="").geturl() not in {"", "/"}:
            raise self.make_error("origin")
        return origin


class FreeText(Text):
    """A value from a ticket that is sent exactly as it is, line breaks included."""

    def __init__(self, *, max_length: int = 2000, **kwargs: Any) -> None:
        super().__init__(multiline=True, max_length=max_length, **kwargs)


class Email(Text):
    """An e-mail address. Checked lightly: the vendor decides what it takes."""

    def __init__(
        self, *, label: str = "E-mail", example: str = "{{ person.email }}", max_length: int = 254, **kwargs: Any
    ) -> None:
        super().__init__(
            label=label,
            example=example,
            max_length=max_length,
            pattern=r"[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f]+\Z",
            pattern_message="is not an e-mail address.",
            **kwargs,
        )


class Language(Text):
    """The language of the survey, as the helpdesk names it; the vendor decides which names it takes."""

    def __init__(
        self, *, label: str = "Language", example: str = "{{ person.language }}", max_length: int = 35, **kwargs: Any
    ) -> None:
        super().__init__(label=label, example=example, max_length=max_length, **kwargs)


class YesNo(Text):
    """Yes or no, in the usual words. Loads as `1` or `0`, the form in which vendors take it."""

    _WORDS: Final = {"1": "1", "yes": "1", "true": "1", "on": "1", "0": "0", "no": "0", "false": "0", "off": "0"}

    default_error_messages = {  # noqa: RUF012
        "yes_no": "must be yes or no.",
    }

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        # YAML reads a bare `no` as false.
        word = str(value) if isinstance(value, bool) else super()._deserialize(value, attr, data, **kwargs)
        try:
            return self._WORDS[word.casefold()]
        except KeyError:
            raise self.make_error("yes_no") from None


_MINUTES: Final = {"minutes": 1, "hours": 60}


class Duration(Text):
    """A span of time: `90m`, `2h`, `1h30m`, `PT2H`, `P1D`, or a bare number in the vendor's own unit.

    Loads as a whole number of `unit` (`minutes` or `hours`), the form in which the vendor takes it.
    """

    _FORMS: Final = (
        re.compile(r"(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?", re.IGNORECASE | re.ASCII),
        # In ISO 8601 an M before the T would be months, which have no fixed length.
        re.compile(r"P(?:(\d{1,6})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?)?", re.IGNORECASE | re.ASCII),
    )

    default_error_messages = {  # noqa: RUF012
        "duration": "must be a duration such as 90m, 2h or PT2H, or a whole number of {unit}.",
        "whole": "must be a whole number of {unit}.",
    }

    def __init__(self, *, unit: str, **kwargs: Any) -> None:
        self.unit = unit
        super().__init__(metadata={"unit": unit}, max_length=20, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        text: str = super()._deserialize(value, attr, data, **kwargs)
        if re.fullmatch(r"[0-9]{1,6}", text):
            return str(int(text))
        count, rest = divmod(self._minutes(text), _MINUTES[self.unit])
        if rest:
            raise self.make_error("whole", unit=self.unit)
        return str(count)

    def _minutes(self, text: str) -> int:
        for form in self._FORMS:
            found = form.fullmatch(text)
            if found and any(found.groups()):
                days, hours, minutes = (int(number or 0) for number in found.groups())
                return (days * 24 + hours) * 60 + minutes
        raise self.make_error("duration", unit=self.unit)


def filled(call: SurveyCall, names: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Name and value of the parameters in `names` that the call has a value for, in that order."""
    return tuple((name, call.parameters[name]) for name in names if call.parameters.get(name))


# --- answers ----------------------------------------------------------------------------------------------------------

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
