"""What a connection to Startquestion can list for the choices of its rules."""

from __future__ import annotations

import json

import pytest

from plugin.domain.outcome import Outcome, Reason, Rejected, RetryLater, Uncertain
from plugin.domain.survey_call import OutboundResponse
from plugin.surveys import startquestion
from plugin.surveys.base import Choices

SURVEYS = startquestion.LISTS["surveys"]
#: The one entry that the page shows: https://pruvodce.netquest.cz/api-dokumentace/pouziti-webhook-pro-ziskani-seznamu-dotazniku-z-uctu/
ENTRY = {
    "id": 69047,
    "title": "Název dotazníku",
    "user_title": "Interní název dotazníku",
    "url_title": "nazev-dotazniku",
    "date_created": "2011-09-19 13:22:06",
    "date_end": None,
    "security_level": 0,
    "answers_count": 0,
    "status": 1,
    "type": 0,
    "link": "https://www.netquest.cz/dotaznik/342435/nazev-dotazniku.html",
}


def listed(document: object, status: int = 200) -> Choices | Outcome:
    body = document if isinstance(document, str) else json.dumps(document)
    return SURVEYS.read_choices(OutboundResponse(status, body=body.encode()))


@pytest.mark.parametrize(("brand", "origin"), [(name, brand.origin) for name, brand in startquestion.BRANDS.items()])
def test_the_list_of_surveys_is_asked_for_page_by_page(brand: str, origin: str) -> None:
    keys = {"brand": brand, "id_account": "171257", "webhook_key": "k", "webhook_auth": "a"}
    connection = startquestion.Connection().load(keys)
    request = SURVEYS.build_request(connection, 2)
    assert (request.method, request.origin, request.path[-1]) == ("GET", origin, "survey-list")
    assert request.query == (("limit", "20"), ("offset", "2"))
    assert SURVEYS.parameters == ("id_survey",)


def test_a_survey_is_listed_by_its_title_and_the_name_its_owner_gave_it() -> None:
    assert listed([ENTRY]) == Choices([("69047", "Název dotazníku (Interní název dotazníku)")])
    assert listed([{**ENTRY, "id": "7", "user_title": "Název dotazníku"}]) == Choices([("7", "Název dotazníku")])
    assert listed([{"id": 8, "user_title": "Only\n inside"}, {"id": 9}]) == Choices([("8", "Only inside"), ("9", "9")])


def test_a_full_page_means_that_there_may_be_more() -> None:
    assert listed([{**ENTRY, "id": number} for number in range(20)]).more is True  # type: ignore[union-attr]
    assert listed([]) == Choices([])


def test_entries_that_are_no_surveys_are_left_out() -> None:
    entries = [ENTRY, 7, None, {}, {"id": True}, {"id": ""}, {"id": [1]}]
    assert listed(entries) == Choices([("69047", "Název dotazníku (Interní název dotazníku)")])


@pytest.mark.parametrize(
    ("document", "status", "outcome"),
    [
        ({"type": "error", "msg": "Unauthorized"}, 401, Rejected(Reason.CREDENTIALS, "Unauthorized")),
        ({"type": "error", "msg": "No such account"}, 200, Rejected(Reason.REFUSED, "No such account")),
        ({"type": "success", "msg": "?"}, 200, Uncertain(Reason.UNRECOGNISED, '{"type": "success", "msg": "?"}')),
        ("<html>", 200, Uncertain(Reason.UNRECOGNISED, "<html>")),
        ("[[7]]", 200, Uncertain(Reason.UNRECOGNISED, "[[7]]")),
        ([ENTRY], 500, None),
        ("[" * 60_000, 200, None),
        ("", 503, RetryLater(Reason.VENDOR_UNAVAILABLE, "")),
    ],
)
def test_what_is_no_list_says_why(document: object, status: int, outcome: Outcome | None) -> None:
    found = listed(document, status)
    assert not isinstance(found, Choices)
    assert outcome is None or found == outcome
