"""Startquestion and its sister brands (Webankieta, Netquest): webhooks of one platform. The body's `type` decides.

send_invitation: https://help.startquestion.com/en/articles/5813932 (English) and
https://sprievodca.netquest.sk/api-dokumentace/pouziti-webhook-pro-rozesilani-pozvanek-k-pruzkumu/ (Slovak).
send_invitation_to_token: https://help.startquestion.com/en/articles/5813853 (English),
https://pomoc.webankieta.pl/pl/articles/5051548 (Polish) and
https://pruvodce.netquest.cz/api-dokumentace/pouziti-webhook-pro-odeslani-pozvanky-stavajicimu-respondentovi/ (Czech).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from plugin.domain.fields import Choice, SecretText, StrictSchema, Text
from plugin.domain.outcome import Accepted, Outcome, Reason, Rejected, Uncertain
from plugin.domain.survey_call import OutboundRequest, OutboundResponse, SurveyCall
from plugin.errors import Problem
from plugin.surveys.base import Call, Settings, Step, Vendor
from plugin.surveys.base.answers import clean_words, outcome_for_status, read_object
from plugin.surveys.base.fields import Duration, Email, FreeText, Origin, YesNo, filled


@dataclass(frozen=True)
class Brand:
    """One name under which the platform is sold, with accounts and pages of its own.

    labels: how many contact labels (l1, l2, ...) an invitation takes.
    lacks: parameters that the brand's own page on a call does not list, by call.
    token_by_get: its page on tokens shows GET alone, so the connection's method does not apply there.
    """

    title: str
    origin: str
    labels: int
    lacks: Mapping[str, frozenset[str]]
    token_by_get: bool = False


BRANDS: Final[Mapping[str, Brand]] = {
    "webankieta": Brand("Webankieta (Poland)", "https://www.webankieta.pl", 10, {}, token_by_get=True),
    "startquestion": Brand("Startquestion", "https://www.startquestion.com", 10, {}, token_by_get=True),
    # Fifteen labels are documented for the sister calls; the Czech page on send-invitation itself was not found.
    "netquest_cz": Brand(
        "Netquest (Czechia)", "https://www.netquest.cz", 15, {"send_invitation_to_token": frozenset({"reminder"})}
    ),
    "netquest_sk": Brand(
        "Netquest (Slovakia)",
        "https://www.netquest.sk",
        10,
        {"send_invitation": frozenset({"reminder_delay", "template_reminder_id"})},
    ),
}

#: The platform's name of each call, the fourth part of its path.
WEBHOOKS: Final[Mapping[str, str]] = {
    "send_invitation": "send-invitation",
    "send_invitation_to_token": "send-invitation-to-token",
}

# Looked for in the message after folding case; the pages show no other error text for these calls.
REASONS: Final[Mapping[str, Reason]] = {
    "invitations limit has been reached": Reason.QUOTA,
    # The Czech page says that it means: the respondent has unsubscribed.
    "respondents not found": Reason.OPTED_OUT,
    # The token was removed from the survey, or is wrong. Shown without an envelope.
    "token not found": Reason.UNKNOWN_RESPONDENT,
}


# Key and authorisation are parts of the path, where a lone dot or two means something else.
_PATH_PART: Final = r"(?!\.{1,2}\Z)"
_PATH_PART_MESSAGE: Final = "must be more than dots."


class Connection(StrictSchema):
    brand = Choice(
        {name: brand.title for name, brand in BRANDS.items()},
        label="Brand",
        help="Where your account lives; keys of one brand are not known to another.",
        example="webankieta",
        required=True,
    )
    id_account = Text(
        label="Account id",
        help="The number after /webhooks/ in an address of yours; the vendor's support tells it too.",
        example="171257",
        required=True,
        pattern=r"[0-9]+\Z",
        pattern_message="must be a number.",
    )
    webhook_key = SecretText(
        label="Webhook key",
        help="Made in your account under Settings, Integrations.",
        required=True,
        pattern=_PATH_PART,
        pattern_message=_PATH_PART_MESSAGE,
    )
    webhook_auth = SecretText(
        label="Webhook authorisation",
        help="Made together with the webhook key.",
        required=True,
        pattern=_PATH_PART,
        pattern_message=_PATH_PART_MESSAGE,
    )
    method = Choice(
        {"post": "POST", "get": "GET"},
        label="Method",
        help="POST keeps the customer's address out of the URL.",
        example="post",
        load_default="post",
    )
    origin = Origin(
        tuple(brand.origin for brand in BRANDS.values()),
        label="Address",
        help="Leave it out to use the brand's own.",
        example="https://www.webankieta.pl",
    )


_LABELS: Final = tuple(f"l{number}" for number in range(1, 1 + max(brand.labels for brand in BRANDS.values())))
_SURVEY: Final = Text(label="Survey", help="Id of the survey; the vendor's support tells it.", required=True)
_TEMPLATE: Final = Text(
    label="Invitation template", help="Id of the template; the vendor's support tells it.", required=True
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

SendInvitation = StrictSchema.from_dict(
    {
        "id_survey": _SURVEY,
        "id_template": _TEMPLATE,
        "email": Email(required=True),
        **{
            name: FreeText(label=f"Label {number}", help="Must be defined on the survey first.")
            for number, name in enumerate(_LABELS, start=1)
        },
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

VENDOR: Final = Vendor(
    title="Startquestion, Webankieta, Netquest",
    connection=Connection,
    origins=tuple(brand.origin for brand in BRANDS.values()),
    calls={
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
    },
)


def check(call_name: str, parameters: Mapping[str, str], connection: Mapping[str, Any]) -> list[Problem]:
    """Parameters that the connection's brand does not have; it would ignore them without a word."""
    brand = BRANDS.get(str(connection.get("brand")))
    if brand is None:
        return []
    lacking = {*_LABELS[brand.labels :], *brand.lacks.get(call_name, ())}
    return [Problem(name, f"is not offered by {brand.title}; leave it out.") for name in parameters if name in lacking]


#: The parameters of each call, in the order they are sent in.
_ORDER: Final = {name: tuple(call.parameters().fields) for name, call in VENDOR.calls.items()}


def build_request(call: SurveyCall, connection: Settings, step: str, memory: Mapping[str, str]) -> OutboundRequest:
    del step, memory  # each call is a single step
    brand = BRANDS[connection["brand"]]
    origin = connection.get("origin") or brand.origin
    path = (
        "webhooks",
        connection["id_account"],
        connection["webhook_key"],
        connection["webhook_auth"],
        WEBHOOKS[call.name],
    )
    pairs = filled(call, _ORDER[call.name])
    by_get = connection["method"] == "get" or (call.name == "send_invitation_to_token" and brand.token_by_get)
    if by_get:
        return OutboundRequest("GET", origin, path, query=pairs)
    return OutboundRequest("POST", origin, path, form=pairs)


def read_response(call: SurveyCall, response: OutboundResponse, step: str, memory: Mapping[str, str]) -> Outcome:
    """The HTTP status of an error is documented nowhere, so the body's `type` counts whatever the status is."""
    del call, step, memory
    envelope = read_object(response)
    kind, message = envelope.get("type"), envelope.get("msg")
    words = message if isinstance(message, str) else ""
    if kind == "success":
        return Accepted(words=clean_words(words))
    if kind == "error":
        return _read_error(response, words)
    bare = response.text.strip(" \"'“”„.").casefold()
    if bare in REASONS:
        return Rejected(REASONS[bare], clean_words(response.text))
    return outcome_for_status(response)


def _read_error(response: OutboundResponse, message: str) -> Outcome:
    folded = " ".join(message.casefold().split())
    for text, reason in REASONS.items():
        if text in folded:
            return Rejected(reason, clean_words(message))
    # The platform says that it did nothing. A status that says more (401, 429, ...) is heard; one that would leave
    # the matter open (200, 500) is not.
    by_status = outcome_for_status(response, words=message)
    return Rejected(Reason.REFUSED, clean_words(message)) if isinstance(by_status, Uncertain) else by_status
