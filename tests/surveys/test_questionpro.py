from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from typing import Any

import pytest
from marshmallow import ValidationError

from plugin.domain.outcome import Accepted, NextRequest, Outcome, Reason, Rejected, RetryLater, Uncertain
from plugin.domain.survey_call import OutboundRequest, OutboundResponse, SurveyCall
from plugin.surveys import questionpro
from plugin.surveys.questionpro.answers import WAITS

SETTINGS = {"data_centre": "us", "api_key": "qp-key-7c1d"}
CLOSING = {"closure_order": "month_first", "closure_zone": "Europe/Warsaw"}
MEMBER = {"surveyID": "11372241", "emailAddress": "lucja@example.com"}
PERSON = {**MEMBER, "templateID": "490627"}


def load(settings: Mapping[str, str]) -> Mapping[str, Any]:
    return questionpro.Connection().load(dict(settings))


def request(call_name: str, parameters: Mapping[str, Any], /, **settings: str) -> OutboundRequest:
    schema = questionpro.VENDOR.calls[call_name].parameters()
    call = SurveyCall("questionpro", call_name, schema.load(dict(parameters)))
    return questionpro.build_request(call, load({**SETTINGS, **settings}), "send", {})


def body(call_name: str, parameters: Mapping[str, Any], /, **settings: str) -> Any:
    sent = request(call_name, parameters, **settings).body()
    assert sent is not None
    return json.loads(sent[0])


def refusal(call_name: str, parameters: Mapping[str, Any]) -> Any:
    with pytest.raises(ValidationError) as refused:
        questionpro.VENDOR.calls[call_name].parameters().load(dict(parameters))
    return refused.value.messages


def answered(call_name: str, status: int, document: Any, memory: Mapping[str, str] | None = None) -> Outcome:
    response = OutboundResponse(status, body=document if isinstance(document, bytes) else json.dumps(document).encode())
    return questionpro.read_response(
        SurveyCall("questionpro", call_name, {}), response, "status" if memory else "send", memory or {}
    )


# --- where it is called -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("centre", "origin"),
    [
        ("us", "https://api.questionpro.com"),
        ("eu", "https://api.questionpro.eu"),
        ("ca", "https://api.questionpro.ca"),
        ("au", "https://api.questionpro.au"),
        ("sg", "https://api.questionpro.sg"),
        ("ae", "https://api.questionpro.ae"),
        ("sa", "https://api.surveyanalytics.com"),
        ("ksa", "https://api.questionprosa.com"),
    ],
)
def test_each_data_centre_has_its_own_address(centre: str, origin: str) -> None:
    assert request("micropanel_batch", MEMBER, data_centre=centre).url() == f"{origin}/a/api/v2/micropanel/batches"
    assert request("survey_batch", PERSON, data_centre=centre).url() == f"{origin}/a/api/v2/surveys/11372241/batches"


def test_an_address_of_the_connection_s_own_comes_first() -> None:
    assert request("micropanel_batch", MEMBER, origin="http://127.0.0.1:9000").origin == "http://127.0.0.1:9000"


def test_a_data_centre_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValidationError) as refused:
        load({**SETTINGS, "data_centre": "moon"})
    assert refused.value.messages == {"data_centre": ["must be one of: us, eu, ca, au, sg, ae, sa, ksa."]}


@pytest.mark.parametrize(("call_name", "parameters"), [("micropanel_batch", MEMBER), ("survey_batch", PERSON)])
def test_the_key_goes_in_its_header_and_nowhere_else(call_name: str, parameters: dict[str, str]) -> None:
    sent = request(call_name, parameters)
    assert [(name, value.reveal()) for name, value in sent.headers if name == "api-key"] == [("api-key", "qp-key-7c1d")]  # type: ignore[union-attr]  # it is a Secret
    assert "qp-key-7c1d" not in sent.url() + str(sent.body())


def test_a_batch_s_state_is_asked_where_the_batch_was_made() -> None:
    call = SurveyCall("questionpro", "micropanel_batch", MEMBER)
    asked = questionpro.build_request(call, load({**SETTINGS, "data_centre": "eu"}), "status", {"batch": "4445556"})
    assert (asked.method, asked.url()) == ("GET", "https://api.questionpro.eu/a/api/v2/micropanel/batches/4445556")
    assert [name for name, _ in asked.headers] == ["api-key"]


# --- a member of a community ------------------------------------------------------------------------------------------


def test_a_batch_holds_every_documented_field() -> None:
    parameters = {
        **MEMBER, "surveyAlias": "Jak było?", "surveyLength": "8", "surveyLanguageID": "486", "templateID": "118632",
        "templateLanguageID": "1", "allowMultipleResponses": "yes", "completionPoints": "20", "quotaPoints": "30",
        "terminationPoints": "40", "closureDateTime": "2023-12-10T12:43:00Z", "responseQuota": "10",
        "enableEmailInvitation": "no",
    }  # fmt: skip
    assert body("micropanel_batch", parameters, **CLOSING) == {
        "compose": {
            "surveyID": 11372241, "surveyAlias": "Jak było?", "surveyLength": 8, "surveyLanguageID": 486,
            "templateID": 118632, "templateLanguageID": 1, "allowMultipleResponses": True,
            "incentives": {"completionPoints": 20, "quotaPoints": 30, "terminationPoints": 40},
        },
        "recipients": {"filterType": 2, "emailAddress": "lucja@example.com"},
        "send": {
            "deliveryOptions": {
                "automaticClosure": {"enabled": True, "closureDateTime": "12/10/2023 13:43", "responseQuota": 10}
            },
            "notification": {"enableEmailInvitation": False},
        },
    }  # fmt: skip


def test_what_is_not_mapped_is_left_to_the_vendor() -> None:
    assert body("micropanel_batch", MEMBER) == {
        "compose": {"surveyID": 11372241},
        "recipients": {"filterType": 2, "emailAddress": "lucja@example.com"},
        "send": {
            "deliveryOptions": {"automaticClosure": {"enabled": False}},
            "notification": {"enableEmailInvitation": True},
        },
    }


def test_the_invitation_goes_out_by_mail_unless_the_rule_says_no() -> None:
    assert questionpro.VENDOR.calls["micropanel_batch"].defaults == {"enableEmailInvitation": "yes"}
    for word, mailed in (("yes", True), ("1", True), ("no", False), ("false", False)):
        sent = body("micropanel_batch", {**MEMBER, "enableEmailInvitation": word})
        assert sent["send"]["notification"] == {"enableEmailInvitation": mailed}


@pytest.mark.parametrize("number", ["9007199254740993", "123456789012345678901234567890", "0007"])
def test_numbers_are_sent_as_numbers_without_a_digit_lost(number: str) -> None:
    sent = request("micropanel_batch", {**MEMBER, "surveyID": number}).body()
    assert sent is not None
    assert f'"surveyID": {int(number)}'.encode() in sent[0]


@pytest.mark.parametrize("number", ["-1", "1.5", "1e5", "abc", "11372241, 5"])
def test_what_is_no_number_is_told_before_anything_is_sent(number: str) -> None:
    assert refusal("micropanel_batch", {**MEMBER, "surveyID": number}) == {
        "surveyID": ["must be a whole number, digits alone."]
    }


@pytest.mark.parametrize("missing", ["surveyID", "emailAddress"])
def test_a_batch_needs_a_survey_and_a_person(missing: str) -> None:
    assert refusal("micropanel_batch", {**MEMBER, missing: ""}).keys() == {missing}


# Everything that a rule could try in order to reach the filters that invite many.
HOSTILE = [
    "1",
    "3",
    "DEFAULT_FILTER_TYPE",
    '"},"recipients":{"filterType":1},"x":{"y":"',
    "\u0000",
    "a,b",
    "[1]",
    "null",
    "0",
]


@pytest.mark.parametrize("call_name", questionpro.VENDOR.calls)
def test_no_parameter_can_invite_more_than_the_one_person(call_name: str) -> None:
    fields = questionpro.VENDOR.calls[call_name].parameters().fields
    names = [*fields, "filterType", "existingFilterID", "recipients", "emailListID", "mode", "emails", "emailTemplate"]
    for name, value in itertools.product(names, HOSTILE):
        # Put past the schema, which refuses most of it: what is built must be safe by itself.
        parameters = {**PERSON, name: value}
        try:
            sent = questionpro.build_request(
                SurveyCall("questionpro", call_name, parameters), load(SETTINGS), "send", {}
            )
        except ValueError:
            continue
        document = json.loads((sent.body() or (b"",))[0])
        address = parameters["emailAddress"]
        if call_name == "micropanel_batch":
            assert document.keys() == {"compose", "recipients", "send"}
            assert document["recipients"] == {"filterType": 2, "emailAddress": address}
        else:
            assert document.keys() == {"emails", "templateID", "mode"}
            assert (document["mode"], len(document["emails"])) == (2, 1)
            assert document["emails"][0].startswith(address.rstrip(","))


# --- automatic closure ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "zone", "closes", "sent"),
    [
        ("month_first", "UTC", "2026-12-01T18:05:59Z", "12/01/2026 18:05"),
        ("day_first", "UTC", "2026-12-01T18:05:00Z", "01/12/2026 18:05"),
        ("day_first", "Europe/Warsaw", "2026-07-01T22:30:00Z", "02/07/2026 00:30"),
        ("month_first", "America/Los_Angeles", "2026-12-01T01:00:00+01:00", "11/30/2026 16:00"),
        ("month_first", "Asia/Tokyo", "2026-12-01T18:00", "12/01/2026 18:00"),
        ("day_first", "UTC", "2026-12-30T18:00:00Z/P2D", "01/01/2027 18:00"),
        ("day_first", "Europe/Warsaw", "2026-10-24T12:00:00Z / 24h", "25/10/2026 13:00"),
    ],
)
def test_a_closing_time_is_written_as_the_connection_says(order: str, zone: str, closes: str, sent: str) -> None:
    document = body("micropanel_batch", {**MEMBER, "closureDateTime": closes}, closure_order=order, closure_zone=zone)
    assert document["send"]["deliveryOptions"]["automaticClosure"] == {"enabled": True, "closureDateTime": sent}


@pytest.mark.parametrize(
    ("parameters", "settings", "closure"),
    [
        ({"closureDateTime": "2026-12-01T18:00:00Z"}, {}, {"enabled": False}),
        ({}, CLOSING, {"enabled": False}),
        ({"responseQuota": "5"}, CLOSING, {"enabled": False, "responseQuota": 5}),
    ],
)
def test_closure_is_off_unless_rule_and_connection_both_speak_of_it(
    parameters: dict[str, str], settings: dict[str, str], closure: dict[str, Any]
) -> None:
    document = body("micropanel_batch", {**MEMBER, **parameters}, **settings)
    assert document["send"]["deliveryOptions"]["automaticClosure"] == closure


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
@pytest.mark.parametrize("closes", ["9998-12-31T23:59:59Z", "1970-01-01T00:00:00Z"])
def test_the_first_and_the_last_moment_can_be_written_in_every_zone(zone: str, closes: str) -> None:
    settings = {"closure_order": "day_first", "closure_zone": zone}
    document = body("micropanel_batch", {**MEMBER, "closureDateTime": closes}, **settings)
    assert document["send"]["deliveryOptions"]["automaticClosure"]["enabled"] is True


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"closure_order": "day_first"}, {"closure_zone": ["is required with closure_order."]}),
        ({"closure_zone": "UTC"}, {"closure_order": ["is required with closure_zone."]}),
        (
            {"closure_order": "day_first", "closure_zone": "Mars/Base"},
            {"closure_zone": ["is not a time zone name such as Europe/Warsaw."]},
        ),
        (
            {"closure_order": "day_first", "closure_zone": "../etc"},
            {"closure_zone": ["is not a time zone name such as Europe/Warsaw."]},
        ),
        (
            {"closure_order": "ymd", "closure_zone": "UTC"},
            {"closure_order": ["must be one of: day_first, month_first."]},
        ),
    ],
)
def test_order_and_zone_are_checked_and_given_together(settings: dict[str, str], problem: dict[str, list[str]]) -> None:
    with pytest.raises(ValidationError) as refused:
        load({**SETTINGS, **settings})
    assert refused.value.messages == problem


@pytest.mark.parametrize(
    ("parameters", "settings", "places"),
    [
        ({"closureDateTime": "{{ event.time }}/P2D"}, {}, ["closureDateTime"]),
        ({"closureDateTime": "{{ event.time }}/P2D"}, CLOSING, []),
        ({"responseQuota": "5"}, CLOSING, ["responseQuota"]),
        ({"responseQuota": "5", "closureDateTime": "{{ event.time }}/P2D"}, {}, ["closureDateTime"]),
        ({}, {}, []),
    ],
)
def test_a_rule_whose_closing_would_stay_off_is_not_saved(
    parameters: dict[str, str], settings: dict[str, str], places: list[str]
) -> None:
    problems = questionpro.check("micropanel_batch", parameters, settings)
    assert [problem.place for problem in problems] == places
    assert questionpro.check("survey_batch", parameters, settings) == []


# --- any address ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("custom", "line"),
    [
        ({}, "lucja@example.com"),
        ({"custom1": "35436"}, "lucja@example.com,35436"),
        ({"custom3": "c"}, "lucja@example.com,,,c"),
        ({f"custom{n}": f"v{n}" for n in range(1, 6)}, "lucja@example.com,v1,v2,v3,v4,v5"),
        ({"custom1": "Praha, Česko", "custom2": "b"}, "lucja@example.com,Praha Česko,b"),
        ({"custom1": ",,", "custom2": "b"}, "lucja@example.com,,b"),
        ({"custom1": "one\r\ntwo\n\nthree,", "custom2": "b"}, "lucja@example.com,one two three,b"),
        ({"custom1": "a\u2028b\u0085c\x0bd", "custom2": "b"}, "lucja@example.com,a b c d,b"),
        ({"custom1": "„cytat”; \"x\" 'y' ，", "custom2": "b"}, "lucja@example.com,„cytat”; \"x\" 'y' ，,b"),
    ],
)
def test_values_keep_their_places_behind_the_address(custom: dict[str, str], line: str) -> None:
    assert body("survey_batch", {**PERSON, **custom}) == {"emails": [line], "templateID": 490627, "mode": 2}


def test_an_address_with_a_comma_would_shift_the_places_and_is_refused() -> None:
    assert refusal("survey_batch", {**PERSON, "emailAddress": "lucja@example.com,petr"}) == {
        "emailAddress": ["must not hold a comma for this call."]
    }


# --- answers ----------------------------------------------------------------------------------------------------------

#: Every documented error, and the one outcome that it has.
DOCUMENTED = [
    (400, 1000, Rejected, Reason.INVALID_CALL),
    (400, 1001, Rejected, Reason.INVALID_CALL),
    (400, 1002, Rejected, Reason.INVALID_CALL),
    (400, 1003, Rejected, Reason.INVALID_CALL),
    (401, 1010, Rejected, Reason.CREDENTIALS),
    (403, 1011, Rejected, Reason.CREDENTIALS),
    (403, 1013, Rejected, Reason.CREDENTIALS),
    (429, 1013, Rejected, Reason.QUOTA),
    (500, 1026, Uncertain, Reason.VENDOR_ERROR),
    (404, 1040, Rejected, Reason.NOT_FOUND),
]
SHAPES = {
    "full": lambda error: {"response": {"error": {**error, "docs": "https://www.questionpro.com", "name": "X"}}},
    "shortened": lambda error: {"response": {"error": {"id": error["id"], "message": error["message"]}}},
    "id alone": lambda error: {"response": {"error": {"id": error["id"]}}},
    "without response": lambda error: {"error": error},
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("write", [int, str], ids=["number", "text"])
@pytest.mark.parametrize("call_name", questionpro.VENDOR.calls)
@pytest.mark.parametrize(("status", "number", "kind", "reason"), DOCUMENTED)
def test_each_documented_error_has_one_outcome(
    status: int, number: int, kind: type, reason: Reason, call_name: str, write: type, shape: str
) -> None:
    error = {"id": write(number), "message": "The vendor's words", "httpStatusCode": status}
    outcome = answered(call_name, status, SHAPES[shape](error))
    assert isinstance(outcome, kind)
    assert outcome.reason is reason  # type: ignore[union-attr]  # each of these kinds has one
    assert str(number) in outcome.words


@pytest.mark.parametrize(
    "document", [b"Too Many Requests", b"", {"response": {"error": {"message": "Slow down"}}}, {"message": "Slow down"}]
)
def test_the_rate_limit_is_waited_out_while_a_used_up_allowance_is_not(document: Any) -> None:
    outcome = answered("micropanel_batch", 429, document)
    assert isinstance(outcome, RetryLater)
    assert (outcome.reason, outcome.after) == (Reason.RATE_LIMITED, None)


def test_the_http_status_counts_more_than_the_status_in_the_body() -> None:
    document = {"response": {"error": {"id": "1040", "httpStatusCode": 404, "message": "Resource does not exist"}}}
    outcome = answered("micropanel_batch", 401, document)
    assert outcome == Rejected(Reason.CREDENTIALS, "Resource does not exist (1040)")


def test_a_new_batch_is_accepted_and_its_state_is_asked_for_a_minute_later() -> None:
    outcome = answered("micropanel_batch", 200, {"response": {"campaignBatchID": 4445556, "message": "Submitted"}})
    assert isinstance(outcome, Accepted)
    assert (outcome.vendor_reference, outcome.words) == ("4445556", "Submitted")
    assert outcome.follow_up is not None
    assert (outcome.follow_up.step, outcome.follow_up.after) == ("status", 60)
    assert questionpro.VENDOR.calls["micropanel_batch"].steps[1].follow_up


# --- what becomes of a batch ------------------------------------------------------------------------------------------


def ask_until_it_ends(answers: Any) -> tuple[list[float], list[str], Outcome]:
    """Ask for a batch's state as the worker would; gives the waits, the words on the way, and how it ended."""
    outcome = answered("micropanel_batch", 200, {"response": {"campaignBatchID": "4445556"}})
    assert isinstance(outcome, Accepted)
    following: Any = outcome.follow_up
    waits, words = [], []
    while isinstance(following, NextRequest):
        waits.append(following.after)
        words += [following.words] if following.words else []
        status, document = next(answers)
        following = answered("micropanel_batch", status, document, following.memory)
    return waits, words, following


def state(text: str) -> tuple[int, Any]:
    return 200, {"response": {"id": 4445556, "status": text}}


def test_a_batch_is_asked_for_until_it_is_delivered_and_each_change_is_told_once() -> None:
    told = iter([state("Scheduled"), state("In Progress"), state("In Progress"), state("Delivery Successful")])
    waits, words, end = ask_until_it_ends(told)
    assert waits == list(WAITS[:4])
    assert words == ["Scheduled", "In Progress"]
    assert end == Accepted("4445556", words="Delivery Successful")


def test_asking_ends_after_a_few_times_with_longer_and_longer_waits() -> None:
    waits, words, end = ask_until_it_ends(itertools.repeat(state("In Progress")))
    assert waits == [60, 300, 1800, 7200, 21600, 86400]
    assert words == ["In Progress"]
    assert end == Uncertain(Reason.UNRECOGNISED, "QuestionPro's last word on the batch was “In Progress”.")
