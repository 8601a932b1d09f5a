from __future__ import annotations

import json
from dataclasses import replace

import pytest

from plugin.domain.event import Event, EventKind
from plugin.domain.survey_call import OutboundResponse
from plugin.errors import Unreadable
from plugin.triggers import generic
from plugin.triggers.generic.pipedrive import ORIGIN, UNNAMED

CREDENTIALS = generic.SOURCE.credentials().load(
    {"basic": {"user": "pipedrive", "password": "s3cret"}, "pipedrive": {"api_token": "t0ken"}}
)
VERSION_2 = {
    "id": 3,
    "name": "Łucja Nowak",
    "emails": [
        {"value": "old@example.com", "primary": False},
        {"value": "lucja.nowak@example.com", "primary": True},
    ],
    "phones": [{"value": "+48221234567", "primary": True}],
}
VERSION_1 = {
    "id": 3,
    "name": "Łucja Nowak",
    "email": [{"value": "lucja.nowak@example.com", "primary": True}],
    "phone": [{"value": "+48221234567", "primary": True}],
    "cc_email": "acme@pipedrivemail.com",
}


@pytest.fixture
def read(load_trigger):
    def read(recording):
        request = load_trigger("generic", f"pipedrive_{recording}")
        [event] = generic.parse(replace(request, settings={"preset": "pipedrive"}))
        return event

    return read


def answered(data):
    return OutboundResponse(200, {}, json.dumps({"success": True, "data": data}).encode())


@pytest.mark.parametrize("recording", ["won_id_above_2_53", "lost", "version_1_won"])
def test_pipedrive_is_asked_for_the_person_of_a_deal(read, recording):
    request = generic.lookup(read(recording), CREDENTIALS)
    assert request.url() == f"{ORIGIN}/api/v2/persons/3"
    assert "t0ken" not in repr(request)
    assert generic.lookup_origins(CREDENTIALS) == [ORIGIN]


@pytest.mark.parametrize("person", [VERSION_1, VERSION_2])
def test_the_answer_names_the_person_and_nothing_is_asked_again(read, person):
    event = generic.complete(read("won_id_above_2_53"), answered(person))
    told = {name: value for name, value in event.values.items() if name.startswith("person.")}
    assert told == {
        "person.name": "Łucja Nowak",
        "person.email": "lucja.nowak@example.com",
        "person.phone": "+48221234567",
    }
    assert event.values["crm.id"] == "9007199254740995"
    assert UNNAMED not in event.notes
    assert generic.lookup(event, CREDENTIALS) is None


def test_a_person_without_an_address_is_asked_for_once_only(read):
    event = generic.complete(read("lost"), answered({"id": 3, "name": "Łucja", "emails": [], "phones": []}))
    assert "person.email" not in event.values
    assert generic.lookup(event, CREDENTIALS) is None


@pytest.mark.parametrize("data", [None, {"id": 4, "name": "Another"}, {"id": 3}, {"id": 3, "name": " "}, [], "x"])
def test_an_answer_about_nobody_or_somebody_else_is_not_taken(read, data):
    with pytest.raises(Unreadable):
        generic.complete(read("lost"), answered(data))


def test_an_answer_that_is_no_json_is_not_taken(read):
    with pytest.raises(Unreadable):
        generic.complete(read("lost"), OutboundResponse(200, {}, b"<html>"))


@pytest.mark.parametrize("recording", ["renamed_after_it_was_won", "person_changed", "deleted", "moved_while_open"])
def test_nothing_is_asked_about_what_is_no_closed_deal(read, recording):
    assert generic.lookup(read(recording), CREDENTIALS) is None


def test_without_a_token_the_receipt_says_how_to_give_one(read):
    event = read("lost")
    bare = generic.SOURCE.credentials().load({"bearer": "x"})
    assert generic.lookup(event, bare) is None
    assert generic.lookup_origins(bare) == []
    assert UNNAMED in event.notes


@pytest.mark.parametrize("number", [None, "../deals", "3/..", "", True, {"value": 3}, "٣", 10**30])
def test_a_persons_number_can_lead_nowhere_else(number):
    payload = {"meta": {"entity": "deal"}, "data": {"person_id": number}}
    assert generic.lookup(Event(EventKind.CRM_CHANGED, payload=payload), CREDENTIALS) is None
