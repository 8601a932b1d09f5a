"""Where QuestionPro is called, and what a connection to it holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from zoneinfo import ZoneInfo

from marshmallow import ValidationError, validates_schema

from plugin.domain.fields import Choice, Origin, SecretText, StrictSchema, Text


@dataclass(frozen=True)
class Centre:
    """One data centre; an account lives in one of them, and its key is not known to the others."""

    title: str
    origin: str


# The manual writes https://api.questionpro.{{env}} and leads to a page of environments that was not found. These are
# the addresses in QuestionPro's own mobile SDK (GlobalDataCX.swift); the last two do not fit the manual's pattern.
CENTRES: Final[Mapping[str, Centre]] = {
    "us": Centre("United States", "https://api.questionpro.com"),
    "eu": Centre("Europe", "https://api.questionpro.eu"),
    "ca": Centre("Canada", "https://api.questionpro.ca"),
    "au": Centre("Australia", "https://api.questionpro.au"),
    "sg": Centre("Singapore", "https://api.questionpro.sg"),
    "ae": Centre("United Arab Emirates", "https://api.questionpro.ae"),
    "sa": Centre("SurveyAnalytics", "https://api.surveyanalytics.com"),
    "ksa": Centre("Saudi Arabia", "https://api.questionprosa.com"),
}

#: How `closureDateTime` may be meant. It is only ever shown as 12/10/2023 13:43, and other dates of QuestionPro's are
#: written either way.
ORDERS: Final[Mapping[str, str]] = {"day_first": "%d/%m/%Y %H:%M", "month_first": "%m/%d/%Y %H:%M"}


def _check_zone(name: str) -> None:
    try:
        if name:
            ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValidationError("is not a time zone name such as Europe/Warsaw.") from None


class Connection(StrictSchema):
    data_centre = Choice(
        {name: centre.title for name, centre in CENTRES.items()},
        label="Data centre",
        help="Where your account lives; a key of one centre is not known to another.",
        example="eu",
        required=True,
    )
    api_key = SecretText(
        label="API key",
        help="The API key of your account. Regenerating it ends the one before.",
        required=True,
    )
    closure_order = Choice(
        {"day_first": "31/12/2026 18:00", "month_first": "12/31/2026 18:00"},
        label="How a closing time is written",
        help="Only for closureDateTime. The vendor's manual does not say which; try it with a date after the 12th.",
        example="month_first",
    )
    closure_zone = Text(
        label="Time zone of a closing time",
        help="Only for closureDateTime, together with closure_order. The vendor's manual does not say which.",
        example="America/Los_Angeles",
        checks=[_check_zone],
    )
    origin = Origin(
        tuple(centre.origin for centre in CENTRES.values()),
        label="Address",
        help="Leave it out to use the data centre's own.",
        example="https://api.questionpro.eu",
    )

    @validates_schema
    def want_order_with_zone(self, data: Mapping[str, Any], **_: Any) -> None:
        for name, other in (("closure_order", "closure_zone"), ("closure_zone", "closure_order")):
            if data.get(other) and not data.get(name):
                raise ValidationError({name: [f"is required with {other}."]})
