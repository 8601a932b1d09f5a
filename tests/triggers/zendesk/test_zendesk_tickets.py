"""Zendesk's own ticket events, and what Zendesk answers about their requester."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from plugin.domain.event import EventKind, is_known
from plugin.errors import Unreadable
from plugin.redaction import Secret
from plugin.triggers import zendesk
from tests.triggers.zendesk.asking import API, ODD, answered, load, only_event

USER = {
    "id": 8447388090494,
    "url": "https://acme.zendesk.com/api/v2/users/8447388090494.json",
    "name": "Łucja Nowak",
    "email": "lucja.nowak@example.com",
    "phone": "+48221234567",
    "locale": "pl",
    "external_id": "C-1024",
    "role": "end-user",
    "suspended": False,
    "active": True,
    "verified": True,
}


# --- what happened

STATUS_CHANGED = "zen:event-type:ticket.status_changed"


@pytest.mark.parametrize(
    ("recording", "kind", "subject", "told"),
    [
        ("event_solved", EventKind.TICKET_CLOSED, "ticket:35436", STATUS_CHANGED),
        ("event_solved_no_requester", EventKind.TICKET_CLOSED, "ticket:35436", STATUS_CHANGED),
        ("event_closed_at_once_big_ids", EventKind.TICKET_CLOSED, "ticket:9007199254740993123", STATUS_CHANGED),
        ("event_solved_ids_as_numbers", EventKind.TICKET_CLOSED, "ticket:9007199254740993123", STATUS_CHANGED),
        ("event_closed_by_itself_after_solved", EventKind.TICKET_CLOSED, "ticket:35436", STATUS_CHANGED),
        ("event_reopened", EventKind.TICKET_REOPENED, "ticket:35436", STATUS_CHANGED),
        (
            "event_closed_by_merge",
            EventKind.UNSUPPORTED,
            "ticket:35436",
            f"{STATUS_CHANGED}: closed_by_merge",
        ),
        ("event_still_under_way", EventKind.UNSUPPORTED, "ticket:35436", f"{STATUS_CHANGED}: PENDING"),
        ("event_deleted_status", EventKind.UNSUPPORTED, "ticket:35436", f"{STATUS_CHANGED}: DELETED"),
        ("event_archived", EventKind.UNSUPPORTED, "ticket:35436", f"{STATUS_CHANGED}: ARCHIVED"),
        ("event_scrubbed", EventKind.UNSUPPORTED, "ticket:35436", f"{STATUS_CHANGED}: SCRUBBED"),
        ("event_restored_as_solved", EventKind.UNSUPPORTED, "ticket:35436", f"{STATUS_CHANGED}: SOLVED"),
        ("event_wrong_shapes", EventKind.UNSUPPORTED, None, STATUS_CHANGED),
        (
            "event_custom_status_of_a_solved_ticket",
            EventKind.UNSUPPORTED,
            "ticket:35436",
            "zen:event-type:ticket.custom_status_changed",
        ),
        ("event_merged", EventKind.UNSUPPORTED, "ticket:35436", "zen:event-type:ticket.merged"),
        ("event_soft_deleted", EventKind.UNSUPPORTED, "ticket:35436", "zen:event-type:ticket.soft_deleted"),
        ("event_marked_as_spam", EventKind.UNSUPPORTED, "ticket:35436", "zen:event-type:ticket.marked_as_spam"),
        ("event_tags_of_a_solved_ticket", EventKind.UNSUPPORTED, "ticket:35436", "zen:event-type:ticket.tags_changed"),
        (
            "event_comment_on_a_solved_ticket",
            EventKind.UNSUPPORTED,
            "ticket:35436",
            "zen:event-type:ticket.comment_added",
        ),
        ("event_user_created", EventKind.UNSUPPORTED, None, "zen:event-type:user.created"),
    ],
)
def test_only_a_change_of_the_status_closes_or_reopens(load_trigger, recording, kind, subject, told):
    [event] = zendesk.parse(load_trigger("zendesk", recording))
    assert (event.kind, event.subject, event.vendor_kind) == (kind, subject, told)
    assert "person.email" not in event.values
    assert kind is EventKind.TICKET_REOPENED or len(event.notes) == 1


@pytest.mark.parametrize(
    ("previous", "current", "kind"),
    [
        ("NEW", "CLOSED", EventKind.TICKET_CLOSED),
        ("hold", "solved", EventKind.TICKET_CLOSED),
        (None, "SOLVED", EventKind.TICKET_CLOSED),
        ("SOLVED", "CLOSED", EventKind.TICKET_CLOSED),
        ("SOLVED", "HOLD", EventKind.TICKET_REOPENED),
        ("CLOSED", "OPEN", EventKind.TICKET_REOPENED),
        ("SOLVED", "SOLVED", EventKind.UNSUPPORTED),
        ("CLOSED", "SOLVED", EventKind.UNSUPPORTED),
        ("DELETED", "OPEN", EventKind.UNSUPPORTED),
        ("DELETED", "CLOSED", EventKind.UNSUPPORTED),
        ("ARCHIVED", "CLOSED", EventKind.UNSUPPORTED),
        ("OPEN", None, EventKind.UNSUPPORTED),
        ("OPEN", "WAITING_FOR_PARTS", EventKind.UNSUPPORTED),
        (None, "OPEN", EventKind.UNSUPPORTED),
    ],
)
def test_a_closing_is_a_change_from_under_way_to_done(load_trigger, previous, current, kind):
    request = load_trigger("zendesk", "event_solved")
    document = json.loads(request.body) | {"event": {"current": current, "previous": previous}}
    [event] = zendesk.parse(replace(request, body=json.dumps(document).encode()))
    assert (event.kind, event.closing_mark is not None) == (kind, kind is EventKind.TICKET_CLOSED)


def test_an_event_is_known_by_its_own_id_and_its_closing_by_the_tickets_last_change(load_trigger):
    [event] = zendesk.parse(load_trigger("zendesk", "event_solved"))
    assert event.id == event.values["event.id"] == "cbe4028c-7239-495d-b020-f22348516101"
    assert event.closing_mark == event.values["ticket.updated_at"] == "2026-01-02T03:04:01Z"
    assert (event.time, event.account) == (datetime(2026, 1, 2, 3, 4, 2, 61000, tzinfo=UTC), "9001")


def test_an_event_without_an_id_is_known_by_what_it_says(load_trigger):
    request = load_trigger("zendesk", "event_solved_no_event_id")
    [event], [again] = zendesk.parse(request), zendesk.parse(replace(request, headers={}))
    [later] = zendesk.parse(replace(request, body=request.body.replace(b"03:04:02", b"03:04:03")))
    assert event.id == again.id != later.id


def test_an_event_gives_the_placeholders_that_a_trigger_gives_tidied_and_the_ids_besides(load_trigger):
    [event] = zendesk.parse(load_trigger("zendesk", "event_solved"))
    assert {name: value for name, value in event.values.items() if name.startswith("ticket.")} == {
        "ticket.id": "35436",
        "ticket.title": "Printer on fire",
        "ticket.status": "solved",
        "ticket.type": "incident",
        "ticket.priority": "high",
        "ticket.channel": "web_service",
        "ticket.via": "web_service",
        "ticket.tags": ("vip", "printer"),
        "ticket.created_at": "2026-01-01T10:00:00Z",
        "ticket.updated_at": "2026-01-02T03:04:01Z",
        "ticket.custom.previous_status": "open",
        "ticket.custom.requester_id": "8447388090494",
        "ticket.custom.assignee_id": "8447388090499",
        "ticket.custom.group_id": "8447320466431",
        "ticket.custom.brand_id": "8447346621310",
        "ticket.custom.organization_id": "8447346622462",
        "ticket.custom.form_id": "8447320466430",
        "ticket.custom.custom_status": "8447320465790",
    }


@pytest.mark.parametrize("recording", ["event_closed_at_once_big_ids", "event_solved_ids_as_numbers"])
def test_ids_keep_every_digit(load_trigger, recording):
    [event] = zendesk.parse(load_trigger("zendesk", recording))
    assert event.values["ticket.custom.requester_id"] == "9007199254740995551"


# --- asking Zendesk who the requester is


def test_the_requester_is_asked_for_with_the_token_in_no_place_that_is_shown(load_trigger):
    credentials = load(signing_secret="a", **API)
    request = zendesk.lookup(only_event(load_trigger, "event_solved"), credentials)
    assert (request.method, request.url()) == ("GET", "https://acme.zendesk.com/api/v2/users/8447388090494.json")
    sent = dict(request.headers)["Authorization"].reveal()
    assert sent == "Basic " + b64encode(b"surveys@acme.example/token:token-1").decode()
    assert Secret("token-1") in request.secrets
    assert "token-1" not in repr(request)
    assert list(zendesk.lookup_origins(credentials)) == ["https://acme.zendesk.com"]


@pytest.mark.parametrize(
    "recording",
    [
        "ticket_closed",
        "ticket_closed_unrendered",
        "event_solved_no_requester",
        "event_closed_by_itself_after_solved",
        "event_reopened",
        "event_closed_by_merge",
        "event_user_created",
    ],
)
def test_nobody_is_looked_up_where_nobody_will_be_asked_or_all_is_told(load_trigger, recording):
    assert zendesk.lookup(only_event(load_trigger, recording), load(signing_secret="a", **API)) is None


def test_without_api_credentials_nothing_is_asked_and_the_note_says_how_to_give_them(load_trigger):
    event = only_event(load_trigger, "event_solved")
    assert zendesk.lookup(event, load(signing_secret="a")) is None
    assert list(zendesk.lookup_origins(load(signing_secret="a"))) == []
    assert "api_origin, api_email and api_token" in event.notes[0]


def test_the_answer_completes_the_event_and_nothing_more_is_asked(load_trigger):
    event = zendesk.complete(only_event(load_trigger, "event_solved"), answered({"user": USER}))
    told = {name: event.values.get(name) for name in event.values if name.startswith(("person.", "ticket.requester."))}
    assert told == {
        **{f"ticket.requester.{name}": USER[name] for name in ("name", "email", "phone", "external_id")},
        "ticket.requester.language": "pl",
        **{f"person.{name}": USER[name] for name in ("name", "email", "phone")},
        "person.language": "pl",
    }
    assert event.values["ticket.link"] == "https://acme.zendesk.com/agent/tickets/35436"
    assert (event.kind, event.notes) == (EventKind.TICKET_CLOSED, ())
    assert zendesk.lookup(event, load(signing_secret="a", **API)) is None


@pytest.mark.parametrize(
    ("differs", "reason"),
    [
        ({"role": "agent"}, "works in this Zendesk (role agent)"),
        ({"role": "admin"}, "works in this Zendesk (role admin)"),
        ({"suspended": True}, "suspended"),
        ({"active": False, "email": None}, "deleted"),
    ],
)
def test_agents_and_people_who_are_gone_are_told_apart_and_their_address_is_left_out(load_trigger, differs, reason):
    event = zendesk.complete(only_event(load_trigger, "event_solved"), answered({"user": {**USER, **differs}}))
    assert (event.kind, event.values["event.kind"]) == (EventKind.UNSUPPORTED, "unsupported")
    [note] = event.notes
    assert reason in note
    assert not [name for name in event.values if name.startswith(("person.", "ticket.requester."))]
    assert zendesk.lookup(event, load(signing_secret="a", **API)) is None


def test_a_requester_without_any_address_is_told_and_not_asked_for_again(load_trigger):
    event = zendesk.complete(
        only_event(load_trigger, "event_solved"), answered({"user": {**USER, "email": None, "phone": ""}})
    )
    assert (event.kind, event.values["person.name"]) == (EventKind.TICKET_CLOSED, "Łucja Nowak")
    assert "neither an e-mail address nor a phone number" in event.notes[0]
    assert zendesk.lookup(event, load(signing_secret="a", **API)) is None


@pytest.mark.parametrize("document", [[], {}, {"user": None}, {"user": ["x"]}, {"users": [USER]}])
def test_an_answer_that_holds_no_user_is_refused(load_trigger, document):
    with pytest.raises(Unreadable):
        zendesk.complete(only_event(load_trigger, "event_solved"), answered(document))


def test_an_answer_that_was_cut_off_is_refused(load_trigger):
    with pytest.raises(Unreadable):
        zendesk.complete(only_event(load_trigger, "event_solved"), replace(answered({"user": USER}), cut=True))


@pytest.mark.parametrize("odd", ODD, ids=map(str, range(len(ODD))))
def test_an_odd_value_anywhere_in_an_answer_completes_the_event_or_makes_it_unreadable(load_trigger, odd):
    event = only_event(load_trigger, "event_solved")
    for document in (odd, *({"user": {**USER, name: odd}} for name in USER)):
        try:
            completed = zendesk.complete(event, answered(document))
        except Unreadable:
            continue
        assert all(is_known(name) and value for name, value in completed.values.items())
        assert zendesk.lookup(completed, load(signing_secret="a", **API)) is None
