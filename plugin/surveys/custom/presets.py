"""Vendors whose API needs no connector of its own: how each is called, and what its answers mean, as settings.

SurveySparrow: https://surveysparrow.com/developer (authentication, statuses) and
https://dev-docs-sigma.vercel.app/rest-apis/post-v-3-channels (the call; apparently the same API's reference).
Alchemer: https://apihelp.alchemer.com/help/surveycontact-create (the call),
https://apihelp.alchemer.com/help/api-request-limits (both kinds of 429) and
https://apihelp.alchemer.com/help/api-base-domains (regions).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True)
class Preset:
    """title: for people. origins: where it is called, the usual one first. settings: as a person would write them."""

    title: str
    origins: tuple[str, ...]
    settings: Mapping[str, Any]


def _text(label: str, **more: Any) -> Mapping[str, Any]:
    return {"kind": "text", "label": label, **more}


_SPARROW_SURVEY: Final[Mapping[str, Any]] = {
    "survey_id": {"kind": "number", "label": "Survey", "help": "Id of the survey.", "required": True},
    "name": _text(
        "Share", help="What the share is called in your account.", required=True, example="Ticket {{ ticket.id }}"
    ),
    "ticket": _text("Ticket", help="Kept as the variable `ticket`.", example="{{ ticket.id }}"),
    "reference": _text("Reference", help="Kept as the variable `reference`.", example="{{ delivery.reference }}"),
}
_SPARROW_VARIABLES: Final = '"variables": {"ticket": "{ticket}", "reference": "{reference}"}'
_SPARROW_HEADERS: Final = {"Authorization": "Bearer {secret:access_token}"}
_SPARROW_ANSWERS: Final = (
    # "Accepted but queued": the list of statuses says so, and no page shows what the body holds then.
    {"status": "202", "means": "accepted", "status_is_enough": True, "reference": "data.id"},
    {"look": [{"at": "data.id", "present": True}], "means": "accepted", "reference": "data.id"},
    # "Conflicts with another": there is such a share already, so this one was not made.
    {"status": "409", "means": "rejected", "reason": "invalid_call"},
)

_ALCHEMER_CONTACT: Final = {
    "email": "email_address",
    "first_name": "first_name",
    "last_name": "last_name",
    "organization": "organization",
    "phone": "mobilephone",
    **{f"custom{number}": f"customfield{number}" for number in range(1, 11)},
}

PRESETS: Final[Mapping[str, Preset]] = {
    "surveysparrow": Preset(
        "SurveySparrow: e-mail to one person",
        ("https://api.surveysparrow.com",),
        {
            "method": "post",
            "path": "/v3/channels",
            "headers": _SPARROW_HEADERS,
            # One contact and no list of contacts: what is written here is all that can be mailed.
            "json": '{"survey_id": "{survey_id}", "name": "{name}", "type": "EMAIL", "mode": "BLAST",'
            f' "contacts": [{{"email": "{{email}}", {_SPARROW_VARIABLES}}}],'
            ' "email": {"subject": "{subject}", "body": "{body}"}}',
            "parameters": {
                **_SPARROW_SURVEY,
                "email": {"kind": "email", "label": "E-mail", "required": True, "example": "{{ person.email }}"},
                "subject": _text("Subject", help="Of the e-mail.", required=True),
                "body": _text("Text", help="Of the e-mail.", required=True),
            },
            "answers": _SPARROW_ANSWERS,
        },
    ),
    "surveysparrow_sms": Preset(
        "SurveySparrow: SMS to one person",
        ("https://api.surveysparrow.com",),
        {
            "method": "post",
            "path": "/v3/channels",
            "headers": _SPARROW_HEADERS,
            "json": '{"survey_id": "{survey_id}", "name": "{name}", "type": "SMS", "mode": "BLAST",'
            f' "contacts": [{{"mobile": "{{mobile}}", {_SPARROW_VARIABLES}}}],'
            ' "sms": {"body": "{body}"}}',
            "parameters": {
                **_SPARROW_SURVEY,
                "mobile": {
                    "kind": "phone",
                    "label": "Mobile number",
                    "help": "With the country's code: +48 600 100 200.",
                    "required": True,
                    "example": "{{ person.phone }}",
                },
                "body": _text("Text", help="Of the SMS.", required=True),
            },
            "answers": _SPARROW_ANSWERS,
        },
    ),
    "alchemer": Preset(
        "Alchemer: add a contact to a campaign",
        (
            "https://api.alchemer.com",
            "https://api.alchemer.eu",
            "https://api.alchemer-ca.com",
            "https://app.au.alchemer.com",
        ),
        {
            "method": "put",
            "path": "/v5/survey/{survey_id}/surveycampaign/{campaign_id}/surveycontact",
            "query": {
                "api_token": "{secret:api_token}",
                "api_token_secret": "{secret:api_token_secret}",
                **{theirs: f"{{{ours}}}" for ours, theirs in _ALCHEMER_CONTACT.items()},
            },
            "parameters": {
                "survey_id": _text("Survey", help="Id of the survey.", required=True, example="123456"),
                "campaign_id": _text("Campaign", help="Id of the campaign.", required=True, example="100000"),
                "email": {"kind": "email", "label": "E-mail", "required": True, "example": "{{ person.email }}"},
                "first_name": _text("First name", example="{{ ticket.requester.first_name }}"),
                "last_name": _text("Last name", example="{{ ticket.requester.last_name }}"),
                "organization": _text("Organisation"),
                "phone": {"kind": "phone", "label": "Mobile number", "help": "Campaigns by SMS use it."},
                **{f"custom{n}": _text(f"Custom field {n}", example="{{ ticket.id }}") for n in range(1, 11)},
            },
            "answers": (
                # An identical call is refused for 60 s. It is not the rate limit, and an earlier try meets it anew.
                {
                    "status": "429",
                    "look": [{"contains": "wait for other requests"}],
                    "means": "retry",
                    "reason": "too_soon",
                    "after": 61,
                    "words": "message",
                },
                # 240 calls a minute for the whole account. Going on regardless gets the access switched off.
                {"status": "429", "means": "retry", "reason": "rate_limited", "after": 61, "words": "message"},
                {"look": [{"at": "result_ok", "is": "true"}], "means": "accepted", "reference": "data.id"},
                # Older pages print the flag as 1.
                {"look": [{"at": "result_ok", "is": "1"}], "means": "accepted", "reference": "data.id"},
                # HTTP may say 200 all the same. With another status than 2xx, that status says more.
                {
                    "status": "2xx",
                    "look": [{"at": "result_ok", "is": "false"}],
                    "means": "rejected",
                    "reason": "refused",
                    "words": "message",
                },
            ),
        },
    ),
}
