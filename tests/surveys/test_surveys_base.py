from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from marshmallow import ValidationError

from plugin.domain.delivery import DeliveryState
from plugin.domain.fields import Origin, StrictSchema
from plugin.domain.outcome import Outcome, Reason, Rejected, RetryLater, Uncertain
from plugin.domain.retry import decide_next
from plugin.domain.survey_call import OutboundResponse, SurveyCall
from plugin.surveys.base.answers import WORDS_LIMIT, clean_words, outcome_for_status, read_object, retry_after, words_of
from plugin.surveys.base.fields import (
    Duration,
    Email,
    FreeText,
    Language,
    Moment,
    Phone,
    WholeNumber,
    YesNo,
    filled,
)
from plugin.surveys.base.pasted import read_pasted_url


def load(field: Any, value: object) -> str:
    return StrictSchema.from_dict({"it": field})().load({"it": value})["it"]


def refusal(field: Any, value: object) -> str:
    with pytest.raises(ValidationError) as refused:
        load(field, value)
    [message] = refused.value.messages["it"]
    return message


# --- what a status means ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, Uncertain(Reason.UNRECOGNISED, "hm")),
        (204, Uncertain(Reason.UNRECOGNISED, "hm")),
        (100, Uncertain(Reason.UNRECOGNISED, "hm")),
        (301, Rejected(Reason.REDIRECTED, "hm")),
        (308, Rejected(Reason.REDIRECTED, "hm")),
        (400, Rejected(Reason.INVALID_CALL, "hm")),
        (401, Rejected(Reason.CREDENTIALS, "hm")),
        (402, Rejected(Reason.QUOTA, "hm")),
        (403, Rejected(Reason.CREDENTIALS, "hm")),
        (404, Rejected(Reason.NOT_FOUND, "hm")),
        (405, Rejected(Reason.INVALID_CALL, "hm")),
        (408, RetryLater(Reason.VENDOR_UNAVAILABLE, "hm")),
        (410, Rejected(Reason.INVALID_CALL, "hm")),
        (422, Rejected(Reason.INVALID_CALL, "hm")),
        (425, RetryLater(Reason.VENDOR_UNAVAILABLE, "hm")),
        (429, RetryLater(Reason.RATE_LIMITED, "hm")),
        (500, Uncertain(Reason.VENDOR_ERROR, "hm")),
        (501, Uncertain(Reason.VENDOR_ERROR, "hm")),
        (502, Uncertain(Reason.VENDOR_ERROR, "hm")),
        (503, RetryLater(Reason.VENDOR_UNAVAILABLE, "hm")),
        (504, Uncertain(Reason.VENDOR_ERROR, "hm")),
        (520, Uncertain(Reason.VENDOR_ERROR, "hm")),
    ],
)
def test_a_status_decides_when_the_body_is_silent(status: int, expected: Outcome) -> None:
    assert outcome_for_status(OutboundResponse(status, body=b"hm")) == expected


def test_words_that_a_connector_found_are_preferred_to_the_body() -> None:
    outcome = outcome_for_status(OutboundResponse(400, body=b'{"msg": "no"}'), words="no\r\nsuch survey")
    assert outcome == Rejected(Reason.INVALID_CALL, "no such survey")


SENT = "Mon, 23 Nov 2026 10:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "120"}, 120),
        ({"retry-after": " 1 "}, 1),
        ({"retry-after": "0"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "1.5"}, None),
        ({"retry-after": "٣"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "90000"}, 86400),
        ({"retry-after": "9" * 5000}, 86400),
        ({"retry-after": "Mon, 23 Nov 2026 10:02:30 GMT", "date": SENT}, 150),
        ({"retry-after": "Monday, 23-Nov-26 10:02:30 GMT", "date": SENT}, 150),
        ({"retry-after": "Mon Nov 23 10:02:30 2026", "date": SENT}, 150),
        ({"retry-after": "Tue, 23 Nov 2027 10:00:00 GMT", "date": SENT}, 86400),
        ({"retry-after": "Mon, 23 Nov 2026 09:59:59 GMT", "date": SENT}, None),
        ({"retry-after": "Mon, 23 Nov 2026 10:02:30 GMT"}, None),
        ({"retry-after": "Mon, 23 Nov 2026 10:02:30 GMT", "date": "yesterday"}, None),
        ({"retry-after": "Mon, 99 Nov 2026 10:02:30 GMT", "date": SENT}, None),
    ],
)
def test_retry_after_is_read_in_both_forms(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(OutboundResponse(429, headers)) == seconds


@pytest.mark.parametrize("status", [408, 425, 429, 503])
@pytest.mark.parametrize(
    ("headers", "due", "counts"),
    [
        ({}, timedelta(seconds=5), True),
        ({"retry-after": "120"}, timedelta(seconds=120), False),
        ({"retry-after": "Mon, 23 Nov 2026 10:02:30 GMT", "date": SENT}, timedelta(seconds=150), False),
        ({"retry-after": "86400"}, timedelta(hours=24), False),
        ({"retry-after": "604800"}, timedelta(hours=24), False),
        ({"retry-after": "Fri, 27 Nov 2026 10:00:00 GMT", "date": SENT}, timedelta(hours=24), False),
        # A time that lies behind, or none at all that can be read: our own waits, each of which is an attempt.
        ({"retry-after": "Mon, 23 Nov 2026 09:00:00 GMT", "date": SENT}, timedelta(seconds=5), True),
        ({"retry-after": "in a while"}, timedelta(seconds=5), True),
    ],
)
def test_a_vendor_that_says_when_is_called_then_and_burns_no_attempt(
    status: int, headers: dict[str, str], due: timedelta, counts: bool
) -> None:
    now = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
    settlement = decide_next(
        outcome_for_status(OutboundResponse(status, headers)),
        attempts=0,
        repeat_safe=False,
        expires_at=now + timedelta(hours=72),
        now=now,
        chance=lambda: 0.0,
    )

    assert (settlement.state, settlement.due, settlement.counts) == (DeliveryState.SCHEDULED, now + due, counts)


# --- the vendor's words -----------------------------------------------------------------------------------------------


def test_words_are_one_line_without_control_characters() -> None:
    assert clean_words("  no\tsuch\r\n\x00survey\u202e \ud800 ") == "no such survey"


def test_long_words_are_cut_between_words() -> None:
    cut = clean_words("word " * 100)
    assert cut == "word " * (WORDS_LIMIT // 5) + "…"


@pytest.mark.parametrize("before", range(WORDS_LIMIT - 20, WORDS_LIMIT + 5))
def test_a_secret_at_the_edge_is_whole_or_gone(before: int) -> None:
    cut = clean_words("x" * before + " sk-1234567890 and more" + " y" * 50)
    assert "sk-1234567890" in cut or "sk-" not in cut


def test_one_endless_word_is_not_quoted() -> None:
    assert clean_words("a" * 1000) == "…"


def test_json_is_quoted_without_its_escapes() -> None:
    response = OutboundResponse(400, body=b'{"url":"https:\\/\\/a.example\\/k\\/","msg":"\\u017ale"}')
    assert words_of(response) == '{"url": "https://a.example/k/", "msg": "źle"}'


@pytest.mark.parametrize(
    ("body", "document"),
    [
        ('{"type":"error"}', {"type": "error"}),
        ("{“type”:“error”}", {"type": "error"}),
        ("{„type”:”error”}", {"type": "error"}),
        ('{"msg":"survey „X”"}', {"msg": "survey „X”"}),
        ("“error”", {}),
        ("<html>“error”", {}),
        ("", {}),
    ],
)
def test_json_is_read_with_straight_and_with_typographic_quotes(body: str, document: dict[str, str]) -> None:
    assert read_object(OutboundResponse(200, body=body.encode())) == document


# --- fields -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unit", "written", "sent"),
    [
        ("minutes", "90", "90"),
        ("minutes", 90, "90"),
        ("minutes", "007", "7"),
        ("minutes", "0", "0"),
        ("minutes", "90m", "90"),
        ("minutes", " 2h ", "120"),
        ("minutes", "1h30m", "90"),
        ("minutes", "1H30M", "90"),
        ("minutes", "1d", "1440"),
        ("minutes", "PT2H", "120"),
        ("minutes", "pt90m", "90"),
        ("minutes", "P1DT1M", "1441"),
        ("hours", "48", "48"),
        ("hours", "2h", "2"),
        ("hours", "120m", "2"),
        ("hours", "P2D", "48"),
    ],
)
def test_a_duration_is_sent_in_the_vendor_s_unit(unit: str, written: object, sent: str) -> None:
    assert load(Duration(unit=unit, label="Delay"), written) == sent


@pytest.mark.parametrize(
    "written", ["soon", "", "-5", "1.5", "2 h", "h", "P", "PT", "P2M", "1m2h", "30s", "٣", "9" * 15, "1" * 30]
)
def test_what_is_no_duration_is_refused(written: str) -> None:
    message = refusal(Duration(unit="minutes", label="Delay"), written)
    assert message == "must be a duration such as 90m, 2h or PT2H, or a whole number of minutes."


def test_a_duration_finer_than_the_vendor_s_unit_is_refused() -> None:
    assert refusal(Duration(unit="hours", label="Reminder"), "90m") == "must be a whole number of hours."


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2026-12-01T18:00:00+01:00", "2026-12-01T17:00:00Z"),
        ("2026-12-01 18:00Z", "2026-12-01T18:00:00Z"),
        ("2026-12-01T18:00:59.999999Z", "2026-12-01T18:00:59Z"),
        ("2026-12-01T18:00", "2026-12-01T18:00:00"),
        ("2026-12-01T18:00:00Z/P2D", "2026-12-03T18:00:00Z"),
        ("2026-12-01T18:00:00+01:00 / 36h", "2026-12-03T05:00:00Z"),
        ("2026-12-01T18:00/PT90M", "2026-12-01T19:30:00"),
        ("", ""),
    ],
)
def test_a_moment_is_a_time_or_so_long_after_one(written: str, moment: str) -> None:
    assert load(Moment(label="Closes at"), written) == moment
    assert load(Moment(label="Closes at"), moment) == moment


@pytest.mark.parametrize(
    "written",
    [
        "tomorrow", "P2D", "48h", "2026-12-01", "20261201T180000Z", "01/12/2026 18:00", "2026-13-01T00:00Z",
        "2026-12-01T24:01Z", "2026-12-01T18:00Z/", "2026-12-01T18:00Z/2", "2026-12-01T18:00Z/P1M",
        "9999-12-31T23:00Z/P999999D", "0001-01-01T00:00+23:00", "1969-12-31T23:59Z",
        "9999-01-01T00:00", "٢٠٢٦-12-01T18:00Z",
    ],
)  # fmt: skip
def test_what_is_no_moment_is_refused(written: str) -> None:
    message = refusal(Moment(label="Closes at"), written)
    assert message == (
        "must be a time such as 2026-12-01T18:00:00+01:00, or one with a duration behind it: {{ event.time }}/P2D."
    )


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("1", "1"),
        ("yes", "1"),
        ("True", "1"),
        (True, "1"),
        ("0", "0"),
        ("no", "0"),
        (False, "0"),
        (0, "0"),
        ("OFF", "0"),
    ],
)
def test_yes_and_no_are_sent_as_one_and_zero(written: object, sent: str) -> None:
    assert load(YesNo(label="Footer"), written) == sent


def test_a_word_that_is_neither_yes_nor_no_is_refused() -> None:
    assert refusal(YesNo(label="Footer"), "maybe") == "must be yes or no."


@pytest.mark.parametrize("address", ["a@b", "łucja+x@example.com", "o'neil@mail.example", "x@[192.0.2.1]"])
def test_an_address_passes_as_it_is(address: str) -> None:
    assert load(Email(), address) == address


@pytest.mark.parametrize(
    "address", ["a", "@b", "a@", "a@b@c", "a b@c", "a@b\tc", "Ada <ada@example.com> x", "a@b, c@d"]
)
def test_what_is_no_single_address_is_refused(address: str) -> None:
    assert refusal(Email(), address) == "is not an e-mail address."


def test_free_text_keeps_every_character() -> None:
    text = "  Zażółć\r\n\t„gęślą” & jaźń #1/2 🙂 "
    assert load(FreeText(label="Title"), text) == text


def test_free_text_is_limited() -> None:
    assert refusal(FreeText(label="Title", max_length=3), "four") == "is longer than 3 characters."


def test_a_null_character_is_refused() -> None:
    assert refusal(FreeText(label="Title"), "a\x00b") == "must not hold a null character."


def test_required_free_text_must_hold_more_than_spaces() -> None:
    assert refusal(FreeText(label="Title", required=True), " \n ") == "must not be empty."


def test_a_language_passes_as_the_helpdesk_names_it() -> None:
    assert load(Language(), "Português (Brasil)") == "Português (Brasil)"


@pytest.mark.parametrize(
    ("written", "origin"),
    [
        ("https://www.mysurveylab.com", "https://www.mysurveylab.com"),
        ("https://WWW.MySurveyLab.com/", "https://www.mysurveylab.com"),
        ("https://www.mysurveylab.com:443", "https://www.mysurveylab.com"),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
        ("", ""),
    ],
)
def test_an_origin_is_brought_to_one_form(written: str, origin: str) -> None:
    assert load(Origin((), label="Address"), written) == origin


@pytest.mark.parametrize(
    "written",
    [
        "www.mysurveylab.com",
        "ftp://www.mysurveylab.com",
        "https://www.mysurveylab.com/api.php",
        "https://www.mysurveylab.com?x=1",
        "https://www.mysurveylab.com#x",
        "https://user@www.mysurveylab.com",
        "https://www.mysurveylab.com:port",
        "https://[::1",
        "https:///x",
    ],
)
def test_what_is_more_or_less_than_an_origin_is_refused(written: str) -> None:
    message = refusal(Origin((), label="Address"), written)
    assert message == "must be scheme and host alone, such as https://www.example.com."


# --- a call's parameters ----------------------------------------------------------------------------------------------


def test_only_filled_parameters_are_taken_in_the_order_asked_for() -> None:
    call = SurveyCall("acme", "invite", {"b": "2", "a": "1", "c": "", "other": "x"})
    assert filled(call, ["a", "b", "c", "d"]) == (("a", "1"), ("b", "2"))


# --- numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("+48 22 123 45 67", "+48221234567"),
        ("(022) 123-45-67", "0221234567"),
        ("+420\u00a0222.123.456", "+420222123456"),
        ("123\u2010456", "123456"),
        (48221234567, "48221234567"),
    ],
)
def test_a_phone_number_loses_what_only_makes_it_readable(written: object, number: str) -> None:
    assert load(Phone(), written) == number
    assert load(Phone(), number) == number


@pytest.mark.parametrize("written", ["12", "call me", "+48 22 123 45 67 ext. 9", "48+22", "٠١٢٣٤", "lucja@example.com"])
def test_what_is_no_phone_number_is_refused(written: str) -> None:
    assert refusal(Phone(), written) == "is not a phone number."


@pytest.mark.parametrize(("written", "number"), [("42", "42"), (42, "42"), ("007", "7"), ("0", "0"), ("000", "0")])
def test_a_whole_number_is_its_digits(written: object, number: str) -> None:
    assert load(WholeNumber(label="n"), written) == number


@pytest.mark.parametrize("written", ["-1", "1.5", "1e3", "٣", "seven"])
def test_what_is_no_whole_number_is_refused(written: str) -> None:
    assert refusal(WholeNumber(label="n"), written) == "must be a whole number, digits alone."


# --- pasted URLs ------------------------------------------------------------------------------------------------------


def test_a_placeholder_of_a_manual_may_stand_in_the_host() -> None:
    pasted = read_pasted_url("https://api.Vendor.{{Region}}/surveys/{{survey-id}}?key={{ api key }}")
    assert pasted.origin == "https://api.vendor.{{Region}}"
    assert pasted.segments == ("surveys", "{{survey-id}}")
    assert pasted.query == (("key", "{{api key}}"),)


@pytest.mark.parametrize(
    "text", ["https://a.example/\ue0009\ue001", "https://a.example/%EE%80%809%EE%80%81?x=%EE%80%800%EE%80%81"]
)
def test_what_stands_in_for_placeholders_cannot_be_forged(text: str) -> None:
    assert read_pasted_url(text).segments in {("9",), ("",)}
