"""What QuestionPro's calls take, and the bodies that are made of it. One address each: no list, no filter, no panel."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from marshmallow import validate

from plugin.domain.fields import StrictSchema
from plugin.domain.survey_call import SurveyCall
from plugin.surveys.base import Settings
from plugin.surveys.base.fields import Email, FreeText, Moment, WholeNumber, YesNo
from plugin.surveys.questionpro.settings import ORDERS


def _number(label: str, help: str = "", **kwargs: Any) -> WholeNumber:  # noqa: A002  # the word that fields use
    return WholeNumber(label=label, help=help, max_length=1000, **kwargs)


# Which fields the vendor wants is not documented, beyond that a survey and a person are needed.
MicropanelBatch = StrictSchema.from_dict(
    {
        "surveyID": _number("Survey", "Id of the survey.", example="11372241", required=True),
        "emailAddress": Email(
            required=True,
            help="Must be the address of a member of the community; what happens to a stranger is not documented.",
        ),
        "surveyAlias": FreeText(label="Survey alias", help="What it is used for is not documented."),
        "surveyLength": _number("Survey length", "The unit is not documented.", example="8"),
        "surveyLanguageID": _number("Language of the survey", "An id of the vendor's, not a code.", example="486"),
        "templateID": _number("Invitation template", "Id of the template.", example="118632"),
        "templateLanguageID": _number("Language of the template", "An id of the vendor's, not a code.", example="1"),
        "allowMultipleResponses": YesNo(
            label="Several responses", help="Whether the person may respond again.", example="no"
        ),
        "completionPoints": _number("Points for completing", example="20"),
        "quotaPoints": _number("Points when a quota is full", example="30"),
        "terminationPoints": _number("Points when screened out", example="40"),
        "closureDateTime": Moment(
            label="Closes at",
            help="When the project closes by itself: a time, or so long after one. It never does without this, nor "
            "while the connection does not say how a closing time is written.",
            example="{{ event.time }}/P2D",
        ),
        "responseQuota": _number(
            "Closes after so many responses", "Goes with closureDateTime; automatic closure is off without it."
        ),
        "enableEmailInvitation": YesNo(
            label="Send the invitation by e-mail",
            help="Yes unless you say no. The sample in the vendor's manual says no, which presumably mails nobody.",
            example="yes",
        ),
    },
    name="MicropanelBatch",
)

_CUSTOM: Final = tuple(f"custom{number}" for number in range(1, 6))

SurveyBatch = StrictSchema.from_dict(
    {
        "surveyID": _number("Survey", "Id of the survey.", example="11372241", required=True),
        "templateID": _number(
            "Invitation template", "Id of the survey's e-mail template.", example="490627", required=True
        ),
        # The address and the values after it share one text, with commas between them.
        "emailAddress": Email(
            required=True, checks=[validate.ContainsNoneOf(",", error="must not hold a comma for this call.")]
        ),
        **{
            name: FreeText(
                label=f"Custom variable {number}",
                help="Kept with the response. Commas and line breaks become spaces.",
            )
            for number, name in enumerate(_CUSTOM, start=1)
        },
    },
    name="SurveyBatch",
)


def _is_yes(text: str) -> bool:
    return text == "1"


#: The fields of `compose` in their documented order, with what makes the JSON value of the text.
_COMPOSE: Final[Mapping[str, Callable[[str], Any]]] = {
    "surveyID": int,
    "surveyAlias": str,
    "surveyLength": int,
    "surveyLanguageID": int,
    "templateID": int,
    "templateLanguageID": int,
    "allowMultipleResponses": _is_yes,
}
_INCENTIVES: Final[Mapping[str, Callable[[str], Any]]] = {
    "completionPoints": int,
    "quotaPoints": int,
    "terminationPoints": int,
}

#: EMAIL_FILTER_TYPE. 1 would invite every member of the community and 3 those of a saved filter; neither is written
#: anywhere in this program.
_ONE_MEMBER: Final = 2

#: Addresses and a template. 1 and 3 would invite a whole list, 4 would carry a letter of its own.
_ADDRESSES: Final = 2


def micropanel_body(call: SurveyCall, connection: Settings) -> Mapping[str, Any]:
    """Body of POST /micropanel/batches for the one person of the call."""
    compose = _values(call, _COMPOSE)
    incentives = _values(call, _INCENTIVES)
    return {
        "compose": compose | ({"incentives": incentives} if incentives else {}),
        "recipients": {"filterType": _ONE_MEMBER, "emailAddress": call.parameters["emailAddress"]},
        "send": {
            "deliveryOptions": {"automaticClosure": _closure(call, connection)},
            "notification": {"enableEmailInvitation": call.parameters.get("enableEmailInvitation") != "0"},
        },
    }


def survey_body(call: SurveyCall) -> Mapping[str, Any]:
    """Body of POST /surveys/{id}/batches for the one person of the call."""
    custom = [_without_commas(call.parameters.get(name, "")) for name in _CUSTOM]
    person = ",".join([call.parameters["emailAddress"], *custom]).rstrip(",")
    return {"emails": [person], "templateID": int(call.parameters["templateID"]), "mode": _ADDRESSES}


def _values(call: SurveyCall, fields: Mapping[str, Callable[[str], Any]]) -> dict[str, Any]:
    return {name: write(call.parameters[name]) for name, write in fields.items() if call.parameters.get(name)}


def _closure(call: SurveyCall, connection: Settings) -> Mapping[str, Any]:
    """Automatic closure, which is off unless it is certain how the vendor reads the time."""
    closes, order, zone = (
        call.parameters.get("closureDateTime"),
        connection.get("closure_order"),
        connection.get("closure_zone"),
    )
    closure: dict[str, Any] = {"enabled": False}
    if closes and order and zone:
        moment = datetime.fromisoformat(closes)
        local = moment.astimezone(ZoneInfo(zone)) if moment.tzinfo else moment
        closure = {"enabled": True, "closureDateTime": local.strftime(ORDERS[order])}
    return closure | _values(call, {"responseQuota": int})


def _without_commas(value: str) -> str:
    """`value` on one line and without commas, which would move the values behind it out of their places."""
    parts = re.split(r"[,\n\r\v\f\x1c-\x1e\x85\u2028\u2029]", value)
    return " ".join(part.strip() for part in parts if part.strip())
