from __future__ import annotations

import hmac
import json
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from marshmallow import ValidationError

from plugin.domain.event import EventKind
from plugin.domain.survey_call import OutboundResponse
from plugin.errors import SignatureInvalid, Unreadable
from plugin.redaction import Secret
from plugin.triggers import hubspot
from plugin.triggers.base import InboundRequest
from tests.triggers.sender_hubspot import CONTACT, TICKET

SAMPLE_EVENTS = (
    '[{"eventId":1,"subscriptionId":12345,"portalId":62515,"occurredAt":1564113600000,'
    '"subscriptionType":"contact.creation","attemptNumber":0,"objectId":123,"changeSource":"CRM",'
    '"changeFlag":"NEW","appId":54321}]'
)
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
STAMP = "1767323045000"
BODY = '{"ticket":{"id":"4711","note":"Żółć \\"ok\\""},"n":1}'.encode()
URL = "https://in.example.test/h/abc?x=1"
RECORDED_URL = "https://survey.example.com/triggers/key-0123456789abcdef"
SIGNED = {"client_secret": Secret("client-secret-1"), "api_origin": "https://api.hubapi.com"}
KEYED = {"header": {"name": "X-Survey-Key", "value": Secret("hubspot-api-key-1")}}
ASKING = {**SIGNED, "api_token": Secret("pat-eu1-token")}
SETTINGS = {"portal_id": "62515", "closed_stages": "4, 108253671"}

V1 = {
    "x-hubspot-signature": "dcb76f55d700be0ec1f0a57e58f42df7a3c865008290f33e088dd3871d1d63c3",
    "x-hubspot-signature-version": "v1",
}
V2 = {
    "x-hubspot-signature": "543f00a2edfd33a3c56393221fe0054dc35b0b60b3afe11671e54a2bd24602ae",
    "x-hubspot-signature-version": "v2",
}
V3 = {
    "x-hubspot-signature-v3": "odxf/iPo52FrAw0WjfOKuuFDC4CiduDMawBRRolGOyw=",
    "x-hubspot-request-timestamp": STAMP,
}


def sent(headers, url=URL, body=BODY, method="POST"):
    return InboundRequest(method, "", headers, body, url=url)


# --- proof


@pytest.mark.parametrize("headers", [V1, V2, V3, {**V1, **V3}], ids=["v1", "v2", "v3", "v3 beside v1"])
def test_each_version_of_the_signature_is_checked_by_its_own_recipe(headers):
    hubspot.verify(sent(headers), SIGNED, NOW)


@pytest.mark.parametrize(
    ("version", "method", "body", "signature"),
    [
        (
            "v1",
            "POST",
            SAMPLE_EVENTS,
            "232db2615f3d666fe21a8ec971ac7b5402d33b9a925784df3ca654d05f4817de",
        ),
        ("v2", "GET", "", "eee2dddcc73c94d699f5e395f4b9d454a069a6855fbfa152e91e88823087200e"),
        (
            "v2",
            "POST",
            '{"example_field":"example_value"}',
            "9569219f8ba981ffa6f6f16aa0f48637d35d728c7e4d93d0d52efaa512af7900",
        ),
    ],
)
def test_the_samples_of_hubspots_own_page_are_let_in(version, method, body, signature):
    headers = {"x-hubspot-signature": signature, "x-hubspot-signature-version": version}
    request = sent(headers, "https://www.example.com/webhook_uri", body.encode(), method)
    hubspot.verify(request, {"client_secret": Secret("yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy")}, NOW)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="nothing"),
        pytest.param({**V1, "x-hubspot-signature-version": "v2"}, id="the first recipe named the second"),
        pytest.param({**V2, "x-hubspot-signature-version": "v1"}, id="the second recipe named the first"),
        pytest.param({"x-hubspot-signature": V1["x-hubspot-signature"]}, id="no version named"),
        pytest.param({**V1, "x-hubspot-signature-version": "v3"}, id="a version that stands elsewhere"),
        pytest.param({**V3, "x-hubspot-signature-v3": V1["x-hubspot-signature"]}, id="an old recipe in the new header"),
        pytest.param({**V1, **V3, "x-hubspot-signature-v3": "bm8="}, id="v1 does not excuse a wrong v3"),
        pytest.param({**V1, **V3, "x-hubspot-signature-v3": ""}, id="v1 does not excuse an empty v3"),
        pytest.param({**V1, **V3, "x-hubspot-request-timestamp": ""}, id="v1 does not excuse a v3 without its time"),
        pytest.param({**V3, "x-hubspot-request-timestamp": "1767323045"}, id="seconds"),
        pytest.param({**V3, "x-hubspot-request-timestamp": "9" * 400}, id="no time"),
    ],
)
def test_any_other_signature_is_refused(headers):
    with pytest.raises(SignatureInvalid):
        hubspot.verify(sent(headers), SIGNED, NOW)


@pytest.mark.parametrize("seconds", [-301, 301])
def test_a_stale_or_future_request_is_refused_although_its_old_signature_still_fits(seconds):
    with pytest.raises(SignatureInvalid, match="300 seconds"):
        hubspot.verify(sent({**V1, **V3}), SIGNED, NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize("headers", [V2, V3], ids=["v2", "v3"])
@pytest.mark.parametrize("change", [{"url": "https://elsewhere.example.test/h/abc?x=1"}, {"method": "PUT"}])
def test_a_request_to_another_address_or_by_another_method_is_refused(headers, change):
    with pytest.raises(SignatureInvalid):
        hubspot.verify(replace(sent(headers), **change), SIGNED, NOW)


@pytest.mark.parametrize(
    ("called", "signed"),
    [
        ("?to=a%40b.example%2Cc&d=1%202", "?to=a@b.example,c&d=1%202"),
        ("?to=a%40b.example%2Cc&d=1%202", "?to=a%40b.example%2Cc&d=1%202"),
        ("?x=%3f%24", "?x=?$"),
    ],
)
def test_an_address_is_taken_as_hubspots_page_decodes_it_and_as_its_libraries_leave_it(called, signed, sign_v3):
    base = "https://in.example.test/h/abc"
    hubspot.verify(sent(sign_v3(base + signed), base + called), SIGNED, NOW)


@pytest.fixture
def sign_v3():
    def sign(url):
        digest = hmac.digest(b"client-secret-1", b"POST" + url.encode() + BODY + STAMP.encode(), "sha256")
        return {**V3, "x-hubspot-signature-v3": b64encode(digest).decode()}

    return sign


def test_only_a_signature_over_a_time_marks_a_request_that_is_sent_again():
    assert hubspot.replay_mark(sent({**V1, **V3}), SIGNED) == hubspot.replay_mark(sent(V3), SIGNED) is not None
    assert hubspot.replay_mark(sent(V1), SIGNED) is None
    assert hubspot.replay_mark(sent(V3), KEYED) is None


def test_an_api_key_counts_where_no_signature_could():
    key = {"x-survey-key": "hubspot-api-key-1"}
    hubspot.verify(sent(key), KEYED, NOW)
    hubspot.verify(sent(key), {**SIGNED, **KEYED}, NOW)
    for headers in ({}, {"x-survey-key": "other"}, {**key, **V2, "x-hubspot-signature": "00"}):
        with pytest.raises(SignatureInvalid):
            hubspot.verify(sent(headers), {**SIGNED, **KEYED}, NOW)


def test_every_recording_is_proved_as_hubspot_would(load_trigger, recordings_of):
    for name in recordings_of("hubspot"):
        request = load_trigger("hubspot", name)
        called = replace(request, url=RECORDED_URL + (f"?{request.query}" if request.query else ""))
        hubspot.verify(called, {**SIGNED, **KEYED}, NOW)


@pytest.mark.parametrize(
    ("given", "problem"),
    [({}, "or header instead"), ({"client_secret": "x", "api_origin": "api.hubapi.com"}, "scheme and host")],
)
def test_credentials_that_prove_nothing_are_refused(given, problem):
    with pytest.raises(ValidationError, match=problem):
        hubspot.SOURCE.credentials().load(given)


def test_the_api_is_asked_where_the_credentials_say():
    loaded = hubspot.SOURCE.credentials().load({"client_secret": "x"})
    assert list(hubspot.lookup_origins(loaded)) == ["https://api.hubapi.com"]


# --- events

CLOSED, CRM, NOT = EventKind.TICKET_CLOSED, EventKind.CRM_CHANGED, EventKind.UNSUPPORTED


@pytest.fixture
def parse(load_trigger):
    def read(name, **settings):
        return hubspot.parse(replace(load_trigger("hubspot", name), settings={**SETTINGS, **settings}))

    return read


@pytest.mark.parametrize(
    ("recording", "kind", "subject", "email"),
    [
        ("ticket_closed", CLOSED, "ticket:35436", None),
        ("ticket_closed_retry", CLOSED, "ticket:35436", None),
        ("ticket_closed_ids_as_text", CLOSED, "ticket:35436", None),
        ("ticket_closed_big_ids", CLOSED, "ticket:9007199254740993123", None),
        ("ticket_closed_object_subscription", CLOSED, "ticket:35436", None),
        ("ticket_closed_date_entered", CLOSED, "ticket:35436", None),
        ("ticket_closed_date_entered_cleared", NOT, "ticket:35436", None),
        ("ticket_date_entered_open_stage", NOT, "ticket:35436", None),
        ("ticket_priority_of_a_closed_ticket", NOT, "ticket:35436", None),
        ("ticket_creation", NOT, "ticket:35436", None),
        ("ticket_deletion", NOT, "ticket:35436", None),
        ("ticket_merge", NOT, None, None),
        ("deal_stage", CRM, "crm:deal:9007199254740993123", None),
        ("deal_amount", NOT, "crm:deal:9007", None),
        ("workflow_action", CLOSED, "ticket:35436", "lucja.nowak@example.com"),
        ("workflow_action_without_inputs", CLOSED, "ticket:35436", None),
        ("workflow_action_reopened", EventKind.TICKET_REOPENED, "ticket:35436", "lucja.nowak@example.com"),
        ("workflow_action_at_open_stage", NOT, "ticket:35436", "lucja.nowak@example.com"),
        ("workflow_action_unrendered_email", CLOSED, "ticket:35436", None),
        ("workflow_action_deal", CRM, "crm:deal:9007199254740993123", "lucja.nowak@example.com"),
        ("workflow_action_ticket_kind_for_deal", NOT, "crm:deal:9007199254740993123", None),
        ("workflow_ticket_record", CLOSED, "ticket:35436", None),
        ("workflow_ticket_record_deleted", NOT, "ticket:35436", None),
        ("workflow_contact_record", CRM, "crm:contact:3234574", "lucja.nowak@example.com"),
        ("workflow_contact_phone_only", CRM, "crm:contact:3234574", None),
        ("workflow_chosen_properties", CLOSED, "ticket:35436", None),
        ("workflow_our_names", CLOSED, "ticket:35436", "lucja.nowak@example.com"),
        ("workflow_our_names_wrong_content_type", CLOSED, "ticket:35436", "lucja.nowak@example.com"),
        ("workflow_our_names_by_query", CLOSED, "ticket:35436", "lucja.nowak@example.com"),
        ("workflow_nothing_known", NOT, None, None),
    ],
)
def test_what_happened_to_which_record_and_who_is_the_customer(parse, recording, kind, subject, email):
    [event] = parse(recording)
    assert (event.kind, event.subject, event.values.get("person.email")) == (kind, subject, email)
    assert event.account in {"62515", None}
    assert event.notes or kind is not NOT


@pytest.mark.parametrize(
    "recording",
    [
        "ticket_closed",
        "ticket_closed_date_entered",
        "ticket_closed_ids_as_text",
        "workflow_action",
        "workflow_ticket_record",
        "workflow_chosen_properties",
        "workflow_our_names",
    ],
)
def test_the_time_of_closing_marks_it_however_it_is_told(parse, recording):
    [event] = parse(recording)
    assert event.closing_mark == "2026-01-02T03:04:01Z"


def test_a_retry_is_the_same_event_and_another_subscription_is_not(parse):
    [first], [retry], [text], [generic], [entered] = map(
        parse,
        (
            "ticket_closed",
            "ticket_closed_retry",
            "ticket_closed_ids_as_text",
            "ticket_closed_object_subscription",
            "ticket_closed_date_entered",
        ),
    )
    assert first.id == retry.id == text.id
    assert len({first.id, generic.id, entered.id}) == 3


def test_a_workflow_that_tries_again_is_known_by_its_callback_or_by_the_closing(parse):
    [action], [ours], [by_query] = map(parse, ("workflow_action", "workflow_our_names", "workflow_our_names_by_query"))
    assert action.id == "ap-62515-1589400750477-3-0"
    assert ours.id == by_query.id is not None


def test_a_request_holds_many_events_and_each_says_whose_it_is(parse):
    assert [event.subject for event in parse("hundred_events")] == [f"ticket:{35436 + n}" for n in range(100)]
    assert [event.account for event in parse("ticket_closed_mixed_accounts")] == ["62515", "99999", "62515"]
    assert len({event.id for event in parse("ticket_closed_mixed_accounts")}) == 3
    assert [event.kind for event in parse("odd_neighbours")] == [CLOSED, NOT, NOT, NOT, NOT]
    assert parse("nothing_in_the_list") == parse("ping_empty") == []


def test_more_events_than_hubspot_ever_sends_are_refused():
    with pytest.raises(Unreadable, match="1001 events"):
        hubspot.parse(InboundRequest("POST", "", {}, json.dumps([{}] * 1001).encode()))


def test_nothing_of_other_records_and_conversations_is_acted_on_and_each_is_told_why(parse):
    for name in ("contact_changes", "conversation_events", "ticket_restore_and_association"):
        for event in parse(name):
            assert (event.kind, len(event.notes)) == (NOT, 1), name
            assert event.vendor_kind.partition(".")[2]


def test_another_stage_is_a_reopening_only_of_a_ticket_that_was_closed(parse):
    [event] = parse("ticket_moved_to_other_stage")
    assert (event.kind, event.only_after_closing) == (EventKind.TICKET_REOPENED, True)
    assert [one.kind for one in parse("ticket_closed_moved_and_closed_again_in_one_request")] == [
        CLOSED,
        EventKind.TICKET_REOPENED,
        CLOSED,
    ]
    [event] = parse("ticket_moved_to_other_stage", closed_stages="")
    assert (event.kind, event.only_after_closing) == (NOT, False)


def test_as_long_as_no_closed_stage_is_known_the_receipt_names_the_one_that_was_seen(parse):
    [event] = parse("ticket_closed", closed_stages="")
    assert event.kind is NOT
    assert "stage 4" in event.notes[0]
    assert "closed_stages" in event.notes[0]


@pytest.mark.parametrize("stages", ["4", "1;4", "108253671 4", " 4 ,"])
def test_closed_stages_are_a_list_however_it_is_written(parse, stages):
    [event] = parse("ticket_closed", closed_stages=stages)
    assert (event.kind, event.values["ticket.status"]) == (CLOSED, "closed")


def test_a_workflow_calls_for_what_it_waited_for_where_no_stage_is_listed(parse):
    [event] = parse("workflow_action_at_open_stage", closed_stages="")
    assert event.kind is CLOSED


def test_the_fields_of_the_workflow_action_are_read_as_the_guide_lists_them(parse):
    [event] = parse("workflow_action")
    assert {name: value for name, value in event.values.items() if not name.startswith("event.")} == {
        "ticket.id": "35436",
        "ticket.title": 'He said "fire" \\ now',
        "ticket.status": "closed",
        "ticket.priority": "HIGH",
        "ticket.created_at": "2026-01-01T10:00:00Z",
        "ticket.custom.pipeline": "0",
        "ticket.custom.stage": "4",
        "ticket.custom.order": "ORD-77",
        "ticket.assignee.name": "Jan Novák",
        "ticket.assignee.email": "jan.novak@acme.example",
        "ticket.requester.email": "lucja.nowak@example.com",
        "ticket.requester.phone": "+48221234567",
        "ticket.requester.first_name": "Łucja",
        "ticket.requester.last_name": "Nowak",
        "ticket.requester.name": "Łucja Nowak",
        "ticket.requester.language": "pl",
        "person.email": "lucja.nowak@example.com",
        "person.phone": "+48221234567",
        "person.name": "Łucja Nowak",
        "person.language": "pl",
    }
    assert event.notes == ()


def test_ids_longer_than_any_of_hubspots_still_fit_an_index():
    message = {"object": {"objectType": "TICKET", "objectId": "1" * 5000}, "callbackId": "ap-" * 5000}
    [event] = hubspot.parse(InboundRequest("POST", "", {}, json.dumps(message).encode(), settings=SETTINGS))
    assert max(len(event.id), len(event.subject)) < 100


def test_a_field_whose_name_is_no_name_is_left_to_the_payload():
    fields = {"": "a", ".": "b", "x." * 300: "c", "order": "ORD-77"}
    message = {"object": {"objectType": "TICKET", "objectId": 35436}, "inputFields": fields}
    [event] = hubspot.parse(InboundRequest("POST", "", {}, json.dumps(message).encode(), settings=SETTINGS))
    assert [name for name in event.values if name.startswith("ticket.custom.")] == ["ticket.custom.order"]


def test_a_token_that_hubspot_did_not_fill_in_is_unrendered(parse):
    [event] = parse("workflow_action_unrendered_email")
    assert "person.email" in event.unrendered


def test_a_contact_is_read_from_its_properties_and_not_from_its_history(parse):
    [event] = parse("workflow_contact_record")
    shown = {name: event.values.get(name) for name in ("person.phone", "person.name", "crm.stage", "crm.url")}
    assert shown == {
        "person.phone": "+48221234567",
        "person.name": "Łucja Nowak",
        "crm.stage": "customer",
        "crm.url": "https://app.hubspot.com/contacts/62515/contact/3234574",
    }


@pytest.mark.parametrize("recording", ["unreadable_cut_off", "unreadable_no_events"])
def test_what_is_no_message_of_hubspots_is_refused(parse, recording):
    with pytest.raises(Unreadable):
        parse(recording)


# --- look-ups


def answer(document):
    return OutboundResponse(200, body=json.dumps(document).encode())


def ticket_with(*contacts, **changes):
    return {**TICKET, "associations": {"contacts": {"results": list(contacts)}}, **changes}


def link(number, kind="ticket_to_contact"):
    return {"id": number, "type": kind}


def test_a_thin_closing_asks_for_the_ticket_and_then_for_its_contact(parse):
    [event] = parse("ticket_closed")

    first = hubspot.lookup(event, ASKING)
    assert (first.method, first.url().partition("?")[0]) == (
        "GET",
        "https://api.hubapi.com/crm/v3/objects/tickets/35436",
    )
    assert dict(first.query)["associations"] == "contacts"
    assert "hs_v2_date_entered_4" in dict(first.query)["properties"].split(",")
    event = hubspot.complete(event, answer(TICKET))

    second = hubspot.lookup(event, ASKING)
    assert second.url().partition("?")[0] == "https://api.hubapi.com/crm/v3/objects/contacts/3234574"
    event = hubspot.complete(event, answer(CONTACT))

    assert hubspot.lookup(event, ASKING) is None
    assert event.values["person.email"] == "lucja.nowak@example.com"
    assert event.values["person.phone"] == "+48221234567"
    assert event.values["person.language"] == "pl"
    assert event.values["ticket.title"] == "Printer on fire"
    assert event.values["ticket.requester.external_id"] == "3234574"
    assert event.notes == ()


def test_the_token_is_a_secret_of_the_request_and_goes_nowhere_else(parse):
    [event] = parse("ticket_closed")
    request = hubspot.lookup(event, ASKING)
    assert {secret.reveal() for secret in request.secrets} == {"Bearer pat-eu1-token", "pat-eu1-token"}
    assert "pat-eu1-token" not in request.shown_url() + repr(request)


@pytest.mark.parametrize(
    "recording",
    [
        "workflow_action",
        "workflow_our_names",
        "workflow_contact_phone_only",
        "ticket_creation",
        "workflow_nothing_known",
    ],
)
def test_nothing_is_asked_where_the_message_says_enough_or_nothing_follows(parse, recording):
    [event] = parse(recording)
    assert hubspot.lookup(event, ASKING) is None


@pytest.mark.parametrize("recording", ["ticket_closed", "deal_stage", "workflow_ticket_record"])
def test_without_a_token_nothing_is_asked_and_the_event_says_what_is_missing(parse, recording):
    [event] = parse(recording)
    assert hubspot.lookup(event, SIGNED) is None
    assert "api_token" in event.notes[0]


@pytest.mark.parametrize("number", ["..", "35436/../9", "", "x" * 50, None])
def test_a_record_whose_id_is_none_is_not_asked_for(parse, number):
    body = json.dumps({"objectType": "TICKET", "objectId": number, "properties": {}}).encode()
    [event] = hubspot.parse(InboundRequest("POST", "", {}, body, settings=SETTINGS))
    assert hubspot.lookup(event, ASKING) is None


def test_a_deal_is_completed_likewise(parse):
    [event] = parse("deal_stage")
    assert (
        hubspot.lookup(event, ASKING)
        .url()
        .startswith("https://api.hubapi.com/crm/v3/objects/deals/9007199254740993123?")
    )
    deal = {
        "id": "9007199254740993123",
        "properties": {"dealname": "Renewal 2027", "dealstage": "contractsent", "hubspot_owner_id": "9001"},
        "associations": {"contacts": {"results": [link("3234574", "deal_to_contact")]}},
    }
    event = hubspot.complete(hubspot.complete(event, answer(deal)), answer(CONTACT))
    # The stage is the one that the deal came to, wherever it has gone since.
    assert (event.values["crm.name"], event.values["crm.stage"]) == ("Renewal 2027", "closedwon")
    assert (event.values["person.email"], event.values["person.name"]) == ("lucja.nowak@example.com", "Łucja Nowak")
    assert hubspot.lookup(event, ASKING) is None


def test_a_company_is_nobody_and_its_contacts_are_not_asked_for():
    body = json.dumps({"objectType": "COMPANY", "objectId": 7, "properties": {"name": {"value": "Acme"}}}).encode()
    [event] = hubspot.parse(InboundRequest("POST", "", {}, body, settings=SETTINGS))
    assert (event.kind, event.values["crm.name"]) == (CRM, "Acme")
    assert "of a company" in event.notes[0]
    assert hubspot.lookup(event, ASKING) is None


def test_a_thin_contact_is_asked_for_at_once(parse):
    body = json.dumps({"object": {"objectType": "CONTACT", "objectId": 3234574}, "callbackId": "ap-1"}).encode()
    [event] = hubspot.parse(InboundRequest("POST", "", {}, body, settings=SETTINGS))
    assert hubspot.lookup(event, ASKING).path[-2:] == ("contacts", "3234574")
    assert hubspot.complete(event, answer(CONTACT)).values["person.email"] == "lucja.nowak@example.com"


@pytest.mark.parametrize(
    ("links", "chosen", "because"),
    [
        ([link("1"), link("2")], "1", "listed first"),
        ([link("1"), link("2"), link("2", "billing_contact")], "2", "label"),
        ([link("1", "billing_contact"), link("2", "Primary contact"), link("2")], "2", "primary"),
        (
            [link("1", "ticket_to_contact_unlabeled"), link("3", "deal_to_contact"), link("2", "requester")],
            "2",
            "label",
        ),
    ],
)
def test_of_several_contacts_one_is_taken_by_rule_and_the_others_are_named(parse, links, chosen, because):
    [event] = parse("ticket_closed")
    event = hubspot.complete(event, answer(ticket_with(*links)))
    assert event.values["ticket.custom.contact_id"] == chosen
    [note] = event.notes
    assert f"{chosen} was taken" in note
    assert because in note
    assert all(one["id"] in note for one in links)


@pytest.mark.parametrize(
    "associations",
    [None, {}, {"contacts": None}, {"contacts": {"results": []}}, {"contacts": {"results": [1, {"id": "../9"}]}}],
)
def test_a_ticket_without_a_contact_says_so_and_is_not_asked_for_again(parse, associations):
    [event] = parse("ticket_closed")
    event = hubspot.complete(event, answer({**TICKET, "associations": associations}))
    assert "no contact" in event.notes[0]
    assert "person.email" not in event.values
    assert hubspot.lookup(event, ASKING) is None


def test_a_contact_that_cannot_be_reached_says_so_and_is_not_asked_for_again(parse):
    [event] = parse("ticket_closed")
    nobody = {"id": "3234574", "properties": {"email": None, "phone": "", "firstname": "Łucja"}}
    event = hubspot.complete(hubspot.complete(event, answer(TICKET)), answer(nobody))
    assert "neither an e-mail address nor a phone number" in event.notes[0]
    assert hubspot.lookup(event, ASKING) is None


def test_two_reports_of_one_closing_agree_on_its_mark_once_they_are_completed(parse):
    [moved], [entered] = parse("ticket_closed"), parse("ticket_closed_date_entered")
    moved = replace(moved, closing_mark="2026-01-02T03:04:01.004000Z")
    marks = {hubspot.complete(event, answer(TICKET)).closing_mark for event in (moved, entered)}
    assert marks == {"2026-01-02T03:04:01Z"}


def test_a_ticket_that_has_moved_on_since_then_is_told(parse):
    [event] = parse("ticket_closed")
    moved = {**TICKET, "properties": {**TICKET["properties"], "hs_pipeline_stage": "1"}}
    event = hubspot.complete(event, answer(moved))
    assert "another stage" in event.notes[0]
    assert (event.values["ticket.custom.stage"], event.values["ticket.custom.stage_now"]) == ("4", "1")


def test_a_record_that_was_deleted_meanwhile_closes_nothing(parse):
    [event] = parse("ticket_closed")
    event = hubspot.complete(event, answer(ticket_with(link("1"), archived=True)))
    assert event.kind is NOT
    assert hubspot.lookup(event, ASKING) is None


@pytest.mark.parametrize(
    "response",
    [
        OutboundResponse(200, body=b""),
        OutboundResponse(200, body=b"[]"),
        OutboundResponse(200, body=b'{"properties": null}'),
        OutboundResponse(200, body=b'{"properties": {}}', cut=True),
        OutboundResponse(204),
    ],
)
def test_an_answer_that_is_no_record_is_unreadable(parse, response):
    [event] = parse("ticket_closed")
    with pytest.raises(Unreadable):
        hubspot.complete(event, response)
