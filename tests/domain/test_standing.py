from __future__ import annotations

import pytest

from plugin.domain.chain import inherit
from plugin.domain.event import Event, EventKind
from plugin.domain.standing import is_news, report_label, standing, standing_sentence


@pytest.mark.parametrize(
    ("kinds", "sentence"),
    [
        ([], ""),
        (["sms.sent"], "SMS sent"),
        (["sms.sent", "sms.lost"], "SMS lost"),
        (["sms.lost", "sms.sent"], "SMS lost"),
        (["sms.click", "sms.lost"], "Link in SMS opened"),
        (["email.bounced", "email.sent"], "E-mail bounced"),
        (["email.bounced", "email.opened"], "E-mail opened"),
        (["email.clicked", "email.opened"], "Link in e-mail opened"),
        (["email.sent", "sms.lost"], "SMS lost, E-mail sent"),
        # What a vendor says of its own batches is no way that an invitation goes.
        (["follow_up"], ""),
        (["follow_up", "sms.sent"], "SMS sent"),
    ],
)
def test_the_furthest_that_is_known_stands(kinds, sentence):
    assert standing_sentence(standing(kinds)) == sentence


@pytest.mark.parametrize(
    ("kind", "known", "news"),
    [
        ("sms.sent", [], True),
        ("sms.lost", ["sms.sent"], True),
        ("sms.click", ["sms.lost"], True),
        ("sms.sent", ["sms.lost"], False),
        ("sms.lost", ["sms.lost"], False),
        ("sms.lost", ["sms.sent", "sms.click"], False),
        ("email.bounced", ["email.sent"], True),
        ("email.bounced", ["email.opened"], False),
        ("email.opened", ["email.bounced"], True),
        # The one way says nothing of the other.
        ("sms.sent", ["email.clicked", "follow_up"], True),
    ],
)
def test_only_what_goes_further_is_news(kind, known, news):
    assert is_news(kind, known) is news


def test_every_report_has_a_place_and_a_label():
    for kind in EventKind:
        if kind.is_report:
            assert standing([kind]) == [kind]
            assert report_label(kind) == kind.label
    assert report_label("follow_up") == "What the vendor says of it"


def test_what_follows_takes_over_everything_but_what_an_event_says_of_itself():
    first = Event(
        EventKind.TICKET_CLOSED,
        id="e1",
        subject="ticket:35",
        values={"event.id": "e1", "person.email": "ada@example.com", "ticket.id": "35"},
        unrendered=frozenset({"event.time", "ticket.title", "sms.id"}),
        payload={"ticket": {"id": 35}, "of": "first"},
    )
    report = Event(
        EventKind.SMS_LOST, values={"person.email": "b@example.com", "sms.id": "7"}, payload={"of": "report"}
    )

    full = inherit(report, first)

    assert (full.kind, full.id, full.subject) == (EventKind.SMS_LOST, None, "ticket:35")
    assert full.values == {"person.email": "b@example.com", "ticket.id": "35", "sms.id": "7"}
    assert full.unrendered == {"ticket.title"}
    assert full.payload == {"ticket": {"id": 35}, "of": "report"}


@pytest.mark.parametrize("own", [[1], "text"])
def test_a_message_that_is_no_object_is_not_mixed_with_the_one_before(own):
    report = Event(EventKind.SMS_LOST, payload=own)

    assert inherit(report, Event(EventKind.TICKET_CLOSED, payload={"a": 1})).payload == own
