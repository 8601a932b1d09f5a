"""The webhooks of the platform as survey calls: their parameters, and the requests they become."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from plugin.domain.fields import StrictSchema, Text
from plugin.domain.survey_call import OutboundRequest, SurveyCall
from plugin.errors import Problem
from plugin.surveys.base import Call, Settings, Step
from plugin.surveys.base.fields import Duration, Email, FreeText, YesNo, filled
from plugin.surveys.startquestion.brands import BRANDS, webhook_request

#: The platform's name of each call, the last part of its path.
WEBHOOKS: Final[Mapping[str, str]] = {
    "send_invitation": "send-invitation",
    "send_invitation_to_token": "send-invitation-to-token",
    "add_respondent": "add-respondent",
    "update_respondent": "update-respondent",
    "unsubscribe": "unsubscribe",
    "shorten_link": "shorten-link",
}

#: Whatever the brand, the pages on these show GET alone.
_BY_GET: Final = frozenset({"unsubscribe", "shorten_link"})

LABELS: Final = tuple(f"l{number}" for number in range(1, 1 + max(brand.labels for brand in BRANDS.values())))

_SURVEY: Final = Text(
    label="Survey",
    help="Id of the survey: the connection's choices list it, and so does the vendor's own list of projects.",
    example="419349",
    required=True,
)
_TEMPLATE: Final = Text(
    label="Invitation template",
    help="Id of the template; the vendor's support tells it.",
    example="3593",
    required=True,
)
_DELAY: Final = Duration(
    unit="minutes",
    label="Delay",
    help="How long the vendor waits before it sends: 90m, 2h, PT2H; a bare number is minutes.",
    example="90m",
)
_FOOTER: Final = YesNo(label="Footer with the sender's details", help="On unless you say no.", example="no")
_REMINDER_HELP: Final = (
    "How long after the invitation a reminder follows: 48h, P2D; a bare number is hours. None unless set."
)
_LABEL_FIELDS: Final = {
    name: FreeText(label=f"Label {number}", help="Must be defined on the survey first.")
    for number, name in enumerate(LABELS, start=1)
}

SendInvitation = StrictSchema.from_dict(
    {
        "id_survey": _SURVEY,
        "id_template": _TEMPLATE,
        "email": Email(required=True),
        **_LABEL_FIELDS,
        "delay": _DELAY,
        "footer": _FOOTER,
        "reminder_delay": Duration(unit="hours", label="Reminder", help=_REMINDER_HELP, example="48h"),
        "template_reminder_id": Text(label="Reminder template", help="Id of the template of the reminder."),
    },
    name="SendInvitation",
)

SendInvitationToToken = StrictSchema.from_dict(
    {
        "id_survey": _SURVEY,
        "id_template": _TEMPLATE,
        "token": Text(
            label="Token", help="The respondent's token in the survey's list.", example="81a2B7", required=True
        ),
        "delay": _DELAY,
        "footer": _FOOTER,
        # Here it is called reminder, in the other call reminder_delay.
        "reminder": Duration(unit="hours", label="Reminder", help=_REMINDER_HELP, example="48h"),
    },
    name="SendInvitationToToken",
)

AddRespondent = StrictSchema.from_dict(
    {"id_survey": _SURVEY, "email": Email(required=True), **_LABEL_FIELDS}, name="AddRespondent"
)

UpdateRespondent = StrictSchema.from_dict(
    {
        "id_survey": _SURVEY,
        # The pages mark it neither mandatory nor optional; without it nobody would be meant.
        "id_respondent": Text(
            label="Respondent",
            help="Id in the survey's list; the vendor's macro [ID_RESPONDENT] gives it.",
            example="12345",
            required=True,
        ),
        **_LABEL_FIELDS,
    },
    name="UpdateRespondent",
)

Unsubscribe = StrictSchema.from_dict({"email": Email(required=True)}, name="Unsubscribe")

ShortenLink = StrictSchema.from_dict(
    {
        # The pages call every parameter optional, but say that it is the survey whose link is shortened.
        "id_survey": _SURVEY,
        # https://help.startquestion.com/en/articles/5810000: no diacritics, no other signs, at most 31.
        "external_key": Text(
            label="External key",
            help="Comes back with the answers: letters a to z and digits, at most 31.",
            example="K7QM2RZ4",
            max_length=31,
            pattern=r"[A-Za-z0-9]*\Z",
            pattern_message="may hold only the letters a to z, A to Z and digits.",
        ),
        "user_token": Text(label="Your token", help="What your own system calls the person.", example="JANKOW14"),
        "token": Text(label="Token", help="The respondent's token in the survey's list.", example="81a2B7"),
        **_LABEL_FIELDS,
    },
    name="ShortenLink",
)

CALLS: Final[Mapping[str, Call]] = {
    "send_invitation": Call(
        label="Send an invitation",
        help="Adds the person to the survey's list and sends the invitation.",
        parameters=SendInvitation,
        # Respondents are not unique, so a repeat can add the person again and mail again.
        steps=[Step("send", source="https://help.startquestion.com/en/articles/5813932")],
    ),
    "send_invitation_to_token": Call(
        label="Send an invitation to a listed respondent",
        help="For people who are in the survey's list already and whose token you know.",
        parameters=SendInvitationToToken,
        steps=[Step("send", source="https://help.startquestion.com/en/articles/5813853")],
    ),
    "add_respondent": Call(
        label="Add a respondent to the survey's list",
        help="Keeps the person for a later mailing; nothing is sent.",
        parameters=AddRespondent,
        steps=[Step("add", source="https://pomoc.webankieta.pl/pl/articles/5051565")],
        invites=False,
    ),
    "update_respondent": Call(
        label="Update a respondent's labels",
        help="Gives labels of a listed respondent new values; those that are left out stay as they are.",
        parameters=UpdateRespondent,
        # It sets values, but nothing says that it may be repeated.
        steps=[Step("update", source="https://help.startquestion.com/en/articles/5813876")],
        invites=False,
    ),
    "unsubscribe": Call(
        label="Block an address",
        help="The vendor mails nothing more to this address, from no survey of the account.",
        parameters=Unsubscribe,
        # The page says that an address which is blocked already gets the same answer.
        steps=[Step("unsubscribe", repeat_safe=True, source="https://help.startquestion.com/en/articles/5813838")],
        invites=False,
        opts_out=True,
    ),
    "shorten_link": Call(
        label="Make a short link to the survey",
        help="Sends nothing; the link becomes an event, so that another rule can send it.",
        parameters=ShortenLink,
        steps=[Step("shorten", source="https://pomoc.webankieta.pl/pl/articles/5051558")],
        defaults={"external_key": "{{ delivery.reference }}"},
        invites=False,
        tracked="external_key",
    ),
}

#: The parameters of each call, in the order they are sent in.
_ORDER: Final = {name: tuple(call.parameters().fields) for name, call in CALLS.items()}


def check(call_name: str, parameters: Mapping[str, str], connection: Mapping[str, Any]) -> list[Problem]:
    """What a rule asks for in vain: parameters that the brand would ignore without a word, and an empty update."""
    brand = str(connection.get("brand"))
    problems = [
        Problem(name, f"is not offered by {BRANDS[brand].title}; leave it out.")
        for name in not_offered(brand, call_name, parameters)
    ]
    if call_name == "update_respondent" and not any(parameters.get(label) for label in LABELS):
        problems.append(Problem("l1", "or another label must be given; there is nothing else to update."))
    return problems


def not_offered(brand_name: str, call_name: str, parameters: Iterable[str]) -> list[str]:
    """Those of `parameters` that the brand does not have; none for a brand that is not known."""
    brand = BRANDS.get(brand_name)
    if brand is None:
        return []
    lacking = {*LABELS[brand.labels :], *brand.lacks.get(call_name, ())}
    return [name for name in parameters if name in lacking]


def build_request(call: SurveyCall, connection: Settings, step: str, memory: Mapping[str, str]) -> OutboundRequest:
    del step, memory  # each call is a single step
    brand = BRANDS[connection["brand"]]
    by_get = (
        connection["method"] == "get"
        or call.name in _BY_GET
        or (call.name == "send_invitation_to_token" and brand.token_by_get)
    )
    return webhook_request(connection, WEBHOOKS[call.name], filled(call, _ORDER[call.name]), by_get=by_get)
