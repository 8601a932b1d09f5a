"""QuestionPro: two ways to invite one person, by its REST API v2. The batch's id in the answer is what counts.

micropanel_batch, a member of a community: https://www.questionpro.com/api/communities/send-survey.html and, for what
becomes of it, https://www.questionpro.com/api/communities/batch-details.html.
survey_batch, any address: https://www.questionpro.com/api/send-batch.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from plugin.domain.outcome import Outcome
from plugin.domain.survey_call import OutboundRequest, OutboundResponse, SurveyCall
from plugin.errors import Problem
from plugin.surveys.base import Call, Settings, Step, Vendor
from plugin.surveys.questionpro.answers import read_micropanel, read_status, read_survey_batch
from plugin.surveys.questionpro.pasted import recognise_url
from plugin.surveys.questionpro.requests import MicropanelBatch, SurveyBatch, micropanel_body, survey_body
from plugin.surveys.questionpro.settings import CENTRES, Connection

__all__ = ["CENTRES", "VENDOR", "Connection", "build_request", "check", "read_response", "recognise_url"]

VENDOR: Final = Vendor(
    title="QuestionPro",
    connection=Connection,
    origins=tuple(centre.origin for centre in CENTRES.values()),
    calls={
        "micropanel_batch": Call(
            label="Invite a member of a community",
            help="Makes a batch for this one member. QuestionPro works it off later; its state is then asked for and "
            "shown on the receipt.",
            parameters=MicropanelBatch,
            steps=[
                # Nothing tells a repeat from a second batch.
                Step(
                    "send",
                    source="https://www.questionpro.com/api/communities/send-survey.html",
                    label="Make the batch",
                ),
                Step(
                    "status",
                    repeat_safe=True,
                    follow_up=True,
                    source="https://www.questionpro.com/api/communities/batch-details.html",
                    label="Ask what became of it",
                ),
            ],
            defaults={"enableEmailInvitation": "yes"},
            success_note="QuestionPro has taken the batch and works it off later; its state follows.",
        ),
        "survey_batch": Call(
            label="Invite an address to a survey",
            help="Sends the survey's e-mail template to this one address; the person need not be a member of anything.",
            parameters=SurveyBatch,
            steps=[Step("send", source="https://www.questionpro.com/api/send-batch.html")],
            success_note="QuestionPro has taken the batch and sends it later; it tells no more about it.",
        ),
    },
)


def check(call_name: str, parameters: Mapping[str, str], connection: Mapping[str, Any]) -> list[Problem]:
    """What would have no effect: a closing that stays off."""
    if call_name != "micropanel_batch":
        return []
    problems = []
    if "closureDateTime" in parameters and not (connection.get("closure_order") and connection.get("closure_zone")):
        problems.append(Problem("closureDateTime", "needs the connection's closure_order and closure_zone."))
    if "responseQuota" in parameters and "closureDateTime" not in parameters:
        problems.append(Problem("responseQuota", "has no effect without closureDateTime; automatic closure stays off."))
    return problems


def build_request(call: SurveyCall, connection: Settings, step: str, memory: Mapping[str, str]) -> OutboundRequest:
    origin = connection.get("origin") or CENTRES[connection["data_centre"]].origin
    # Some samples spell the header apiKey, which is another one.
    headers = (("api-key", connection["api_key"]),)
    base = ("a", "api", "v2")
    if step == "status":
        # The page on it shows the older host; the batch lives where it was made.
        return OutboundRequest("GET", origin, (*base, "micropanel", "batches", memory["batch"]), headers=headers)
    if call.name == "micropanel_batch":
        body = micropanel_body(call, connection)
        return OutboundRequest("POST", origin, (*base, "micropanel", "batches"), json=body, headers=headers)
    path = (*base, "surveys", call.parameters["surveyID"], "batches")
    return OutboundRequest("POST", origin, path, json=survey_body(call), headers=headers)


def read_response(call: SurveyCall, response: OutboundResponse, step: str, memory: Mapping[str, str]) -> Outcome:
    if step == "status":
        return read_status(response, memory)
    return read_micropanel(response) if call.name == "micropanel_batch" else read_survey_batch(response)
