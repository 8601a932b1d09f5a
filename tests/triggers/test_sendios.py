from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from marshmallow import ValidationError

from plugin.domain.event import EventKind
from plugin.errors import SignatureInvalid, Unreadable
from plugin.triggers import sendios
from plugin.triggers.base import Belonging, InboundRequest, MatchBy

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
REFERENCE = "k3v9x0q2m7t5w8z1b4d6f9h2j5"
SMS = {
    "event": "sms_lost",
    "client_user_id": REFERENCE,
    "project_id": 99,
    "template_id": 15,
    "sms_id": 1233,
    "ts": 1549382627,
    "omnichannel": 1,
    "channel": "sms",
}


def parsed(document):
    return sendios.parse(InboundRequest("POST", "", {}, json.dumps(document).encode()))


def report(**changes):
    [event] = parsed({"0": {**SMS, **changes}})
    return event


def credentials(**more):
    return sendios.SendiosCredentials().load({"url_only": True, **more})


# --- what is read


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("sms_sent", EventKind.SMS_SENT),
        ("sms_lost", EventKind.SMS_LOST),
        ("sms_click", EventKind.SMS_CLICK),
        ("email_sent", EventKind.EMAIL_SENT),
        ("email_lost", EventKind.EMAIL_BOUNCED),
        ("email_reject", EventKind.EMAIL_BOUNCED),
        ("email_open", EventKind.EMAIL_OPENED),
        ("email_click", EventKind.EMAIL_CLICKED),
        ("email_created", EventKind.UNSUPPORTED),
        ("email_queue", EventKind.UNSUPPORTED),
        ("unknown_event", EventKind.UNSUPPORTED),
        ("app_push", EventKind.UNSUPPORTED),
    ],
)
def test_each_report_is_an_event_and_what_no_rule_acts_on_is_kept(load_trigger, name, kind):
    [event] = sendios.parse(load_trigger("sendios", name))
    assert event.kind is kind
    assert event.vendor_kind
    assert event.payload["project_id"] == 99
    assert bool(event.notes) == (kind is EventKind.UNSUPPORTED or name == "sms_click")


def test_the_values_of_a_report_are_in_our_names(load_trigger):
    [event] = sendios.parse(load_trigger("sendios", "sms_click"))
    assert event.values == {
        "sms.id": "1233",
        "sms.template_id": "15",
        "sms.link": "https://example.com/survey/4e3",
        "event.id": event.id,
        "event.kind": "sms.click",
        "event.time": "2019-02-05T16:03:47Z",
    }
    assert event.time == datetime(2019, 2, 5, 16, 3, 47, tzinfo=UTC)
    assert event.notes == ("sms.link came without https://, which was added.",)
    assert event.correlation == REFERENCE


def test_a_report_on_an_e_mail_has_no_values_of_an_sms(load_trigger):
    [event] = sendios.parse(load_trigger("sendios", "email_click"))
    assert event.values.keys() == {"event.id", "event.kind", "event.time"}


@pytest.mark.parametrize("name", ["several_by_number", "several_in_a_list"])
def test_every_report_of_a_message_is_read(load_trigger, name):
    events = sendios.parse(load_trigger("sendios", name))
    assert [event.vendor_kind for event in events] == ["sms_sent", "sms_lost", "sms_sent", "sms_click"]
    assert len({event.id for event in events}) == 4


def test_what_is_no_report_does_not_take_its_neighbours_with_it(load_trigger):
    events = sendios.parse(load_trigger("sendios", "odd_neighbours"))
    assert [event.kind.value for event in events] == ["unsupported", "sms.lost", "unsupported", "unsupported"]


@pytest.mark.parametrize("name", ["empty_envelope", "ping_empty"])
def test_a_message_without_reports_gives_no_events(load_trigger, name):
    assert sendios.parse(load_trigger("sendios", name)) == []


@pytest.mark.parametrize("document", [{"status": "ok"}, [1, 2], "sms_lost", 7, None, {"0": None}])
def test_a_message_of_another_shape_is_unreadable(document):
    with pytest.raises(Unreadable, match="must hold reports"):
        parsed(document)


def test_more_reports_than_one_message_may_hold_are_refused():
    assert len(parsed([SMS] * sendios.MAX_EVENTS)) == sendios.MAX_EVENTS
    with pytest.raises(Unreadable, match="501 reports"):
        parsed([SMS] * (sendios.MAX_EVENTS + 1))


# --- as the documentation prints them


@pytest.mark.parametrize("word", ["sms_sent", "sms_lost", "sms_click"])
def test_the_documented_samples_are_mended_and_say_so(load_trigger, word):
    [printed] = sendios.parse(load_trigger("sendios", f"{word}_as_printed"))
    [sound] = sendios.parse(load_trigger("sendios", word))
    assert (printed.id, printed.kind, printed.values) == (sound.id, sound.kind, sound.values)
    assert printed.payload["channel"] == "sms"
    assert printed.correlation == "test123"
    assert [note for note in printed.notes if "not quite JSON" in note] == list(printed.notes[:2])
    assert printed.notes[2:] == sound.notes


def test_several_reports_with_the_same_slip_are_mended(load_trigger):
    events = sendios.parse(load_trigger("sendios", "several_as_printed"))
    assert [event.vendor_kind for event in events] == ["sms_sent", "sms_lost"]
    assert all(len(event.notes) == 2 for event in events)


# --- the same report again


@pytest.mark.parametrize(
    "name",
    ["single", "ids_as_text", "ids_as_fractions", "no_client_user_id", "sms_lost_as_printed"],
)
def test_the_same_report_has_the_same_id_however_it_is_written(load_trigger, name):
    [again] = sendios.parse(load_trigger("sendios", name))
    assert again.id == report().id


def test_the_time_of_the_notification_makes_no_new_report():
    assert report(ts=1549390000).id == report().id


@pytest.mark.parametrize(
    "changes",
    [{"event": "sms_sent"}, {"sms_id": 1234}, {"project_id": 98}, {"event": "sms_click", "link": "a.example"}],
)
def test_another_report_has_another_id(changes):
    assert report(**changes).id != report().id


def test_each_link_that_is_opened_is_a_report_of_its_own():
    opened = [report(event="sms_click", link=link).id for link in ("a.example/1", "a.example/2", "a.example/1")]
    assert opened[0] == opened[2] != opened[1]


@pytest.mark.parametrize("nothing", [None, "", 0, "0"])
def test_a_report_that_names_no_message_is_told_by_person_and_time(nothing):
    nameless = {**SMS, "sms_id": nothing}
    [first], [again], [later] = (parsed({"0": {**nameless, "ts": ts}}) for ts in (1, 1, 2))
    assert first.id == again.id != later.id


def test_an_sms_and_an_e_mail_of_one_number_are_two():
    assert report(event="sms_lost", sms_id=7).id != report(event="sms_lost", sms_id=None, mail_id=7).id


def test_ids_keep_every_digit(load_trigger):
    [event] = sendios.parse(load_trigger("sendios", "big_ids"))
    assert event.values["sms.id"] == "90071992547409931"
    assert event.correlation == "9007199254740993"
    # As doubles these two would be one.
    assert report(sms_id=9007199254740993).id != report(sms_id=9007199254740992).id


# --- which delivery it belongs to


@pytest.mark.parametrize("by", list(MatchBy))
def test_a_report_belongs_to_the_delivery_that_the_source_s_settings_say(by):
    settings = credentials(match_by=by.value)
    assert sendios.belongs_to(report(), settings) == Belonging(by, REFERENCE)
    assert sendios.belongs_to(report(client_user_id=991), settings) == Belonging(by, "991")


def test_our_reference_is_what_is_looked_for_unless_said_otherwise():
    assert sendios.belongs_to(report(), credentials()) == Belonging(MatchBy.REFERENCE, REFERENCE)


@pytest.mark.parametrize("user", [None, "", "  "])
def test_a_report_that_names_nobody_belongs_to_none(user):
    assert sendios.belongs_to(report(client_user_id=user), credentials()) is None


@pytest.mark.parametrize("name", ["email_open", "email_address_of_user"])
def test_a_report_on_an_e_mail_names_its_person_by_the_address(load_trigger, name):
    [event] = sendios.parse(load_trigger("sendios", name))
    by_person = sendios.belongs_to(event, credentials(match_by="person"))
    assert by_person == Belonging(MatchBy.PERSON, "lucja.nowak@example.com")


def test_the_address_is_no_reference(load_trigger):
    [event] = sendios.parse(load_trigger("sendios", "email_address_of_user"))
    assert sendios.belongs_to(event, credentials()) is None


# --- proof


def test_the_address_alone_is_the_proof():
    sendios.verify(InboundRequest("POST", "", {}, b""), credentials(), NOW)
    with pytest.raises(SignatureInvalid):
        sendios.verify(InboundRequest("POST", "", {}, b""), {}, NOW)


@pytest.mark.parametrize("wrong", [{}, {"url_only": False}, {"url_only": True, "match_by": "crk"}])
def test_credentials_that_prove_nothing_or_match_by_nothing_are_refused(wrong):
    with pytest.raises(ValidationError):
        sendios.SendiosCredentials().load(wrong)
