"""SurveyLab (MySurveyLab): one GET per respondent. The answer's boolean `status` decides, its text never does.

Left out on purpose are `source` and `action` of the same address. The actions that turn a collector on and off invite
nobody, and a closed ticket should move no switch; `source` makes SurveyLab read what LiveChat or Intercom posts to it,
and what it takes from there is not documented.

Calls, parameters and answers: https://www.surveylab.com/help/api-integration/webhooks and, newer, in Polish
https://www.surveylab.com/pl/help/api-i-integracja/webhooks; an older copy, the only one that lists the names of
pageTag, is https://www.mysurveylab.com/en/help/api-integration/webhooks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from marshmallow import ValidationError, validates_schema

from plugin.domain.fields import Origin, SecretText, StrictSchema, Text
from plugin.domain.outcome import Accepted, Outcome, Reason, Rejected, RetryLater, Uncertain
from plugin.domain.survey_call import OutboundRequest, OutboundResponse, SurveyCall, origin_of
from plugin.redaction import Secret
from plugin.surveys.base import Call, PastedUrl, Recognised, Settings, Step, Vendor
from plugin.surveys.base.answers import clean_words, outcome_for_status, read_object, retry_after, words_of
from plugin.surveys.base.fields import Email, FreeText, Language, filled
from plugin.surveys.base.pasted import take_known

#: Where api.php is documented. The button "API link" of a collector shows the one of the account.
API_ORIGINS: Final = ("https://www.mysurveylab.com", "https://www.surveylab.com", "https://app.surveylab.com")

#: Where survey links live today; older pages show them on www.mysurveylab.com.
LINK_ORIGIN: Final = "https://feedback.surveylab.com"


class Connection(StrictSchema):
    origin = Origin(
        API_ORIGINS,
        label="Address",
        help="Scheme and host of the link that the button “API link” of your collector shows.",
        example=API_ORIGINS[0],
        required=True,
    )
    link_origin = Origin(
        (LINK_ORIGIN, API_ORIGINS[0]),
        label="Address of survey links",
        help="Scheme and host of your survey links; only the call page_tag uses it.",
        example=LINK_ORIGIN,
        load_default=LINK_ORIGIN,
    )
    api_token = SecretText(
        label="API token",
        help="Made in SurveyLab under account settings, Integrations, “Reset API token”. A reset replaces the old one.",
        required=True,
    )


class PathValues(StrictSchema):
    """Values that become segments of a path."""

    @validates_schema
    def refuse_dots(self, data: Mapping[str, Any], **_: Any) -> None:
        # HTTP clients and servers drop such a segment, even percent-encoded; the names and values behind it would
        # then change places. A value with a slash is sent as %2F; a server that decodes it first sees its dots too.
        dots = [name for name, value in data.items() if {".", ".."} & set(re.split(r"[/\\]", value))]
        if dots:
            raise ValidationError({name: [_ONLY_DOTS] for name in dots})


_ONLY_DOTS: Final = "has a part that is only dots, which cannot be sent in a link."
_COLLECTOR: Final = Text(
    label="Collector",
    help="Id of the collector; in the collector's API link it stands after cId=.",
    example="8379821739721",
    required=True,
    max_length=64,
)
_REFERRER: Final = FreeText(label="Referrer", help="Kept with the response.", example="{{ ticket.url }}")
_PHONE: Final = Text(label="Phone", example="{{ person.phone }}", max_length=40)
_LANGUAGE: Final = Language(help="The survey must have a version in this language.")
_FIRST_NAME: Final = FreeText(label="First name", example="{{ ticket.requester.first_name }}")
_LAST_NAME: Final = FreeText(label="Last name", example="{{ ticket.requester.last_name }}")
# The pages on api.php break off after custom4; pageTag has eight.
_CUSTOM: Final = {
    f"custom{number}": FreeText(label=f"Custom field {number}", help="Kept with the response.")
    for number in range(1, 9)
}

AddRespondent = StrictSchema.from_dict(
    {
        "cId": _COLLECTOR,
        "email": Email(required=True),
        "crk": Text(
            label="Response key",
            help="Must be unique for each invitation: a ticket's number fails when the ticket is closed twice.",
            example="{{ delivery.reference }}",
            required=True,
            # The limit of link collectors; none is documented for api.php.
            # https://www.surveylab.com/help/api-integration/response-id
            max_length=64,
        ),
        "referrer": _REFERRER,
        "language": _LANGUAGE,
        "phone": _PHONE,
        "firstName": _FIRST_NAME,
        "lastName": _LAST_NAME,
        **_CUSTOM,
    },
    name="AddRespondent",
)

PageTag = PathValues.from_dict(
    {
        "cId": _COLLECTOR,
        "referrer": FreeText(
            label="Referrer",
            help="Kept with the response. Rather an id than an address: what becomes of its slashes is not documented.",
            example="{{ ticket.id }}",
        ),
        "email": Email(),
        "phone": _PHONE,
        # Not firstName and lastName, as in api.php.
        "name": _FIRST_NAME,
        "surname": _LAST_NAME,
        "language": _LANGUAGE,
        **_CUSTOM,
    },
    name="PageTag",
)

VENDOR: Final = Vendor(
    title="SurveyLab",
    connection=Connection,
    origins=(*API_ORIGINS, LINK_ORIGIN),
    calls={
        "add_respondent": Call(
            label="Add a respondent to a collector",
            help="An active collector of the kind “E-mail / SMS invitations” then sends its invitation by itself. To a "
            "collector that is not active people are added as well, but nobody is mailed.",
            success_note="SurveyLab mails the person by itself, but only while the collector is active.",
            parameters=AddRespondent,
            # Two calls with one crk give one answer, but a second mail is not ruled out.
            steps=[Step("add", source="https://www.surveylab.com/help/api-integration/webhooks")],
            defaults={"crk": "{{ delivery.reference }}"},
            tracked="crk",
        ),
        "page_tag": Call(
            label="Open a survey link with data",
            help="Opens the link of a survey with values attached. SurveyLab does not confirm that it took them.",
            parameters=PageTag,
            steps=[Step("open", source="https://www.mysurveylab.com/en/help/api-integration/webhooks")],
            confirms=False,
        ),
    },
)


#: The parameters of each call, in the order they are sent in.
_ORDER: Final = {name: tuple(call.parameters().fields) for name, call in VENDOR.calls.items()}


def build_request(call: SurveyCall, connection: Settings, step: str, memory: Mapping[str, str]) -> OutboundRequest:
    del step, memory  # each call is a single step
    pairs = filled(call, _ORDER[call.name])
    if call.name == "page_tag":
        segments = [text for pair in pairs for text in pair]
        path = ("pageTag", "SurveyCampaign", *segments)
        return OutboundRequest("GET", connection.get("link_origin") or LINK_ORIGIN, path)
    query = (("apiToken", connection["api_token"]), *pairs)
    return OutboundRequest("GET", connection["origin"], ("api.php",), query)


def read_response(call: SurveyCall, response: OutboundResponse, step: str, memory: Mapping[str, str]) -> Outcome:
    del step, memory
    if call.name == "page_tag":
        return _read_opened_link(response)
    answer = read_object(response)
    done, notification = answer.get("status"), answer.get("notification")
    words = notification if isinstance(notification, str) else words_of(response)
    if done is True:
        if _is_success(response):
            # "Action process correctly" in English, "Action processed correctly" in Polish.
            return Accepted(words=clean_words(words))
        return Uncertain(Reason.UNRECOGNISED, clean_words(words))
    if done is False and _is_success(response):
        # Always "Action failed", whatever the cause; a crk that was used before is not documented to be told apart.
        return Rejected(Reason.REFUSED, clean_words(words))
    if response.status == 500:
        # The list of codes says of 500: try again, or ask support.
        return RetryLater(Reason.VENDOR_UNAVAILABLE, clean_words(words), retry_after(response))
    # 400 means "bad request or wrong token", so it must not pause the connection by itself: see `outcome_for_status`.
    return outcome_for_status(response, words=words)


def _read_opened_link(response: OutboundResponse) -> Outcome:
    """The link answers with a page for a person, or redirects to it; nothing in it says whether the data was taken."""
    if _is_success(response) or _stays_on_host(response):
        return Accepted(reason=Reason.OPENED)
    return outcome_for_status(response)


def _is_success(response: OutboundResponse) -> bool:
    return 200 <= response.status < 300


def _stays_on_host(response: OutboundResponse) -> bool:
    """Whether it redirects to another page of the same origin; elsewhere the link has moved and nothing was opened."""
    location = response.headers.get("location", "")
    if not 300 <= response.status < 400 or not location:
        return False
    try:
        target = urlsplit(location)
        return not (target.scheme or target.netloc) or origin_of(location) == response.origin
    except ValueError:
        return False


# --- pasted URLs ------------------------------------------------------------------------------------------------------

#: Origins as they are met, to those that are documented: one older sample lacks the `www.`.
_MET_ORIGINS: Final[Mapping[str, str]] = {
    met: origin
    for origin in (*API_ORIGINS, LINK_ORIGIN)
    for host in (origin.removeprefix("https://"), origin.removeprefix("https://www."))
    for met in (f"https://{host}", f"http://{host}")
}
#: The table of api.php misprints its own cId, and the article on Zendesk the label of referrer.
_MISPRINTS: Final[Mapping[str, str]] = {"cld": "cId", "refferer": "referrer", "referer": "referrer"}
#: Placeholders that are new for each invitation, or at least for each closing.
_UNIQUE: Final = re.compile(r"\{\{\s*(?:delivery\.reference|episode\.id|event\.id)\b")


def recognise_url(url: PastedUrl) -> Recognised | None:
    origin = _MET_ORIGINS.get(url.origin)
    if origin is None:
        return None
    segments = tuple(segment for segment in url.segments if segment)
    mended = [] if origin == url.origin else [f"The address was mended to {origin}."]
    if segments == ("api.php",) and origin in API_ORIGINS:
        return _recognise_api(origin, url.query, mended)
    if segments[:2] == ("pageTag", "SurveyCampaign"):
        return _recognise_link(origin, segments[2:], mended)
    return None


def _recognise_api(origin: str, query: Sequence[tuple[str, str]], warnings: list[str]) -> Recognised:
    names = ("apiToken", "source", "action", *_ORDER["add_respondent"])
    parameters, remarks = take_known(query, names, _MISPRINTS)
    settings: dict[str, Any] = {"origin": origin}
    if "apiToken" in parameters:
        settings["api_token"] = Secret(parameters.pop("apiToken"))
    source, action = parameters.pop("source", None), parameters.pop("action", "addContactToCollector")
    if action != "addContactToCollector":
        remarks.append(
            "The URL turns a collector on or off, which is left out here, for it invites nobody: this rule adds the "
            "customer to that collector instead."
        )
    if source:
        remarks.append("`source` was left out: the mapping says here what SurveyLab gets, whatever system calls.")
    crk = parameters.get("crk")
    if crk and not _UNIQUE.search(crk):
        remarks.append(
            "`crk` must be new for each invitation, but this one is the same when a ticket closes a second time; "
            "write {{ delivery.reference }} in its place, or leave crk out, which means the same."
        )
    return Recognised("add_respondent", settings, parameters, (*warnings, *remarks))


def _recognise_link(origin: str, segments: Sequence[str], warnings: list[str]) -> Recognised:
    pairs = list(zip(segments[::2], segments[1::2], strict=False))
    parameters, remarks = take_known(pairs, _ORDER["page_tag"], _MISPRINTS)
    if len(segments) % 2:
        remarks.append("The last name in the path has no value and was left out.")
    settings = {"link_origin": origin}
    if origin in API_ORIGINS:
        settings["origin"] = origin
    return Recognised("page_tag", settings, parameters, (*warnings, *remarks))
