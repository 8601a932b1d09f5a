"""The fields that survey calls and connections are made of; each loads text and gives the form that a vendor takes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from plugin.domain.fields import Text
from plugin.domain.survey_call import SurveyCall


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


class Phone(Text):
    """A phone number as people write it. Loads without what only makes it readable: `+48221234567`.

    Checked lightly: the vendor decides what it takes, and whether it needs the country's code.
    """

    def __init__(
        self, *, label: str = "Phone number", example: str = "{{ person.phone }}", max_length: int = 40, **kwargs: Any
    ) -> None:
        super().__init__(
            label=label,
            example=example,
            max_length=max_length,
            pattern=r"\+?[0-9]{3,20}\Z",
            pattern_message="is not a phone number.",
            **kwargs,
        )

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        return re.sub(r"[\s()./\u2010-\u2015-]", "", super()._deserialize(value, attr, data, **kwargs))


class WholeNumber(Text):
    """An id or a count that the vendor takes as a number. Loads as its digits, without zeros before them."""

    def __init__(self, *, max_length: int = 18, **kwargs: Any) -> None:
        super().__init__(
            max_length=max_length,
            pattern=r"[0-9]+\Z",
            pattern_message="must be a whole number, digits alone.",
            **kwargs,
        )

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        text: str = super()._deserialize(value, attr, data, **kwargs)
        return text.lstrip("0") or text[-1:]


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


_SPANS: Final = (
    re.compile(r"(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?", re.IGNORECASE | re.ASCII),
    # In ISO 8601 an M before the T would be months, which have no fixed length.
    re.compile(r"P(?:(\d{1,6})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?)?", re.IGNORECASE | re.ASCII),
)


def _minutes_of(text: str) -> int | None:
    """The length of a span such as `90m` or `PT2H`; None when it is none."""
    for form in _SPANS:
        found = form.fullmatch(text)
        if found and any(found.groups()):
            days, hours, minutes = (int(number or 0) for number in found.groups())
            return (days * 24 + hours) * 60 + minutes
    return None


_MINUTES: Final = {"minutes": 1, "hours": 60}


class Duration(Text):
    """A span of time: `90m`, `2h`, `1h30m`, `PT2H`, `P1D`, or a bare number in the vendor's own unit.

    Loads as a whole number of `unit` (`minutes` or `hours`), the form in which the vendor takes it.
    """

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
        minutes = _minutes_of(text)
        if minutes is None:
            raise self.make_error("duration", unit=self.unit)
        count, rest = divmod(minutes, _MINUTES[self.unit])
        if rest:
            raise self.make_error("whole", unit=self.unit)
        return str(count)


class Moment(Text):
    """A point in time: `2026-12-01T18:00:00+01:00`, or so long after one: `2026-12-01T18:00:00+01:00/P2D`, `…/48h`.

    What comes after is counted from a time that the template names, such as `{{ event.time }}`, since nothing here
    reads a clock. Loads as ISO 8601 to the second: with `Z`, or without an offset when it was written without one; then
    it is meant as local time where the vendor's account is.
    """

    _TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?", re.ASCII)

    default_error_messages = {  # noqa: RUF012
        "moment": (
            "must be a time such as 2026-12-01T18:00:00+01:00, or one with a duration behind it: "
            "{{{{ event.time }}}}/P2D."
        ),
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=60, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        text: str = super()._deserialize(value, attr, data, **kwargs)
        if not text:
            return text
        start, slash, span = (part.strip() for part in text.partition("/"))
        minutes = _minutes_of(span) if slash else 0
        if minutes is None or not self._TIME.fullmatch(start):
            raise self.make_error("moment")
        try:
            moment = datetime.fromisoformat(start) + timedelta(minutes=minutes)
            moment = moment.astimezone(UTC) if moment.tzinfo else moment
        except (ValueError, OverflowError) as error:
            raise self.make_error("moment") from error
        # At the ends of the calendar a time cannot be told in every zone.
        if not 1970 <= moment.year < 9999:
            raise self.make_error("moment")
        return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def filled(call: SurveyCall, names: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Name and value of the parameters in `names` that the call has a value for, in that order."""
    return tuple((name, call.parameters[name]) for name in names if call.parameters.get(name))
