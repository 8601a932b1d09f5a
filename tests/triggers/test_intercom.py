from __future__ import annotations

import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from marshmallow import ValidationError

from plugin.domain.episode import Episode, same_episode
from plugin.domain.event import EventKind
from plugin.domain.survey_call import OutboundResponse
from plugin.errors import SignatureInvalid, Unreadable
from plugin.redaction import Secret
from plugin.triggers import intercom
from plugin.triggers.base import InboundRequest
from tests.triggers.sender_intercom import CONTACT

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
BODY = '{"ticket":{"id":"4711","note":"Żółć \\"ok\\""},"n":1}'.encode()
VECTOR = "sha1=7fab0504cdc4e919c20a9ccc18cc426480a969e7"
CREDENTIALS = {"client_secret": Secret("client-secret-1")}
RECORDED = {"client_secret": Secret("intercom-client-secret")}
CONTACT_ID = "696346bbaebb5a479d3851a3"
CUSTOMER = "lucja.nowak@example.com"


def signed(signature, body=BODY):
    return InboundRequest("POST", "", {"x-hub-signature": signature}, body)


def asking(**more):
    return intercom.SOURCE.credentials().load({"client_secret": "s", "access_token": "token-0123456789", **more})


def answer(**changes):
    return OutboundResponse(200, body=json.dumps({**CONTACT, **changes}).encode())


@pytest.fixture
def read(load_trigger):
    def read_one(name, **settings):
        [event] = intercom.parse(replace(load_trigger("intercom", name), settings=settings))
        return event

    return read_one


# --- proof


def test_the_raw_body_is_what_is_signed_with_the_text_of_the_client_secret():
    intercom.verify(signed(VECTOR), CREDENTIALS, NOW)


@pytest.mark.parametrize(
    "signature",
    [
        pytest.param(VECTOR.removeprefix("sha1="), id="without its prefix"),
        pytest.param("sha256=" + hmac.digest(b"client-secret-1", BODY, "sha256").hex(), id="another algorithm"),
        pytest.param("sha1=" + hmac.digest(b"client-secret-1", BODY + b"\n", "sha1").hex(), id="another body"),
        pytest.param("sha1=" + hmac.digest(b"the-access-token", BODY, "sha1").hex(), id="the access token as the key"),
        pytest.param("sha1=", id="nothing but a prefix"),
        pytest.param("", id="nothing"),
    ],
)
def test_any_other_signature_is_refused(signature):
    with pytest.raises(SignatureInvalid):
        intercom.verify(signed(signature), CREDENTIALS, NOW)


def test_every_recording_is_signed_as_intercom_would(load_trigger, recordings_of):
    for name in recordings_of("intercom"):
        intercom.verify(load_trigger("intercom", name), RECORDED, NOW)


def test_the_client_secret_is_required_and_the_rest_is_not():
    with pytest.raises(ValidationError, match="required"):
        intercom.IntercomCredentials().load({})
    loaded = intercom.IntercomCredentials().load({"client_secret": "s"})
    assert loaded["api_origin"] == "https://api.intercom.io"
    assert intercom.IntercomSettings().load({}) == {"without_teammate": False}


# --- what happened


@pytest.mark.parametrize(
    ("recording", "kind", "vendor_kind"),
    [
        ("conversation_closed_with_user", EventKind.CHAT_ENDED, "conversation.admin.closed"),
        ("conversation_closed_contact_ids", EventKind.CHAT_ENDED, "conversation.admin.closed"),
        ("conversation_closed_by_teammate_after_bot", EventKind.CHAT_ENDED, "conversation.admin.closed"),
        ("conversation_closed_began_by_teammate", EventKind.CHAT_ENDED, "conversation.admin.closed"),
        ("conversation_closed_with_ticket", EventKind.TICKET_CLOSED, "conversation.admin.closed"),
        ("ticket_closed", EventKind.TICKET_CLOSED, "ticket.closed"),
        ("wrong_content_type", EventKind.TICKET_CLOSED, "ticket.closed"),
        ("ticket_closed_unresolved", EventKind.TICKET_CLOSED, "ticket.closed"),
        ("ticket_state_resolved", EventKind.TICKET_CLOSED, "ticket.state.updated"),
        ("ticket_state_resolved_not_closed_yet", EventKind.TICKET_CLOSED, "ticket.state.updated"),
        ("ticket_state_as_text", EventKind.TICKET_CLOSED, "ticket.state.updated"),
        ("conversation_opened", EventKind.TICKET_REOPENED, "conversation.admin.opened"),
        ("conversation_open_assigned", EventKind.TICKET_REOPENED, "conversation.admin.open.assigned"),
        ("ticket_state_reopened", EventKind.TICKET_REOPENED, "ticket.state.updated"),
        ("ticket_state_waiting_unknown_before", EventKind.TICKET_REOPENED, "ticket.state.updated"),
    ],
)
def test_each_closing_and_each_re_opening_is_one(read, recording, kind, vendor_kind):
    event = read(recording)
    assert (event.kind, event.vendor_kind) == (kind, vendor_kind)


@pytest.mark.parametrize(
    ("recording", "vendor_kind", "because"),
    [
        ("conversation_closed_by_bot_alone", "conversation.admin.closed: without a teammate", "No teammate"),
        ("conversation_closed_customer_never_wrote", "conversation.admin.closed: without the customer", "never wrote"),
        ("conversation_snoozed", "conversation.admin.snoozed", "comes back"),
        ("conversation_unsnoozed", "conversation.admin.unsnoozed", "not closed before"),
        ("conversation_replied_state_closed", "conversation.admin.replied", "Nothing follows"),
        ("conversation_noted", "conversation.admin.noted", "Nothing follows"),
        ("conversation_assigned", "conversation.admin.assigned", "Nothing follows"),
        ("conversation_user_replied", "conversation.user.replied", "next closing"),
        ("conversation_deleted", "conversation.deleted", "deleted"),
        ("conversation_rating_added", "conversation.rating.added", "rated"),
        ("contact_created", "contact.created", "Nothing follows"),
        ("ticket_closed_backoffice", "ticket.closed: internal ticket", "team's own"),
        ("ticket_state_tracker", "ticket.state.updated: internal ticket", "team's own"),
        ("ticket_state_resolved_to_resolved", "ticket.state.updated: resolved before", "resolved before"),
        ("ticket_state_in_progress", "ticket.state.updated: in_progress", "not before"),
        ("ticket_state_missing", "ticket.state.updated: no state", "which state"),
        ("ticket_admin_replied_resolved", "ticket.admin.replied", "Nothing follows"),
        ("ticket_note_created", "ticket.note.created", "Nothing follows"),
        ("no_topic", "", "no topic"),
    ],
)
def test_what_only_looks_like_a_closing_is_kept_with_the_reason(read, recording, vendor_kind, because):
    event = read(recording)
    assert (event.kind, event.vendor_kind) == (EventKind.UNSUPPORTED, vendor_kind)
    assert because in " ".join(event.notes)
    assert "person.email" not in event.values


def test_a_conversation_with_a_bot_alone_is_asked_about_where_that_is_wanted(read):
    event = read("conversation_closed_by_bot_alone", without_teammate=True)
    assert event.kind is EventKind.CHAT_ENDED
    assert "No teammate took part in the conversation." in event.notes


@pytest.mark.parametrize("name", ["ping", "ping_empty"])
def test_a_ping_gives_no_events(load_trigger, name):
    assert intercom.parse(load_trigger("intercom", name)) == []


# --- who the customer is


@pytest.mark.parametrize(
    ("recording", "contact", "email"),
    [
        ("conversation_closed_with_user", "5c9553cb27e377f24eed49f7", CUSTOMER),
        ("conversation_closed_empty_email_of_lead", "5c9553cb27e377f24eed49f7", None),
        ("conversation_closed_null_email", "5c9553cb27e377f24eed49f7", None),
        ("conversation_closed_admin_where_the_user_stands", None, None),
        ("conversation_closed_contact_ids", "696205460674dbb9050aa7fd", None),
        ("conversation_closed_author_is_the_contact", "696205460674dbb9050aa7fd", CUSTOMER),
        ("conversation_closed_began_by_teammate", "696205460674dbb9050aa7fd", None),
        ("conversation_closed_several_contacts", "696205460674dbb9050aa7fd", CUSTOMER),
        ("conversation_closed_several_contacts_none_began", "aaa111", None),
        ("conversation_closed_contacts_without_envelope", "696205460674dbb9050aa7fd", None),
        ("conversation_closed_no_contacts", None, None),
        ("conversation_closed_with_ticket", "696205460674dbb9050aa7fd", None),
        ("ticket_closed", CONTACT_ID, None),
        ("ticket_closed_several_contacts", CONTACT_ID, None),
    ],
)
def test_the_customer_is_found_by_its_own_path(read, recording, contact, email):
    event = read(recording)
    assert event.values.get("ticket.custom.contact_id") == contact
    assert event.values.get("person.email") == email
    missing = [note for note in event.notes if "no e-mail address" in note or "names no contact" in note]
    assert len(missing) == (email is None)


def test_nobody_but_the_customer_is_ever_the_person(load_trigger, recordings_of):
    found = set()
    for name in recordings_of("intercom"):
        if not name.startswith("unreadable_"):
            for event in intercom.parse(replace(load_trigger("intercom", name), settings={"without_teammate": True})):
                found.add(event.values.get("person.email"))
    assert found == {None, CUSTOMER}


@pytest.mark.parametrize(
    ("recording", "note"),
    [
        ("conversation_closed_several_contacts", "Of 3 contacts, the one who began the conversation was taken"),
        ("conversation_closed_several_contacts_none_began", "Of 2 contacts, the one listed first was taken"),
        ("ticket_closed_several_contacts", "Of 2 contacts, the one listed first was taken"),
    ],
)
def test_of_several_contacts_the_choice_is_told(read, recording, note):
    assert note in read(recording).notes[0]


# --- what it says


def test_a_conversation_in_our_names(read):
    event = read("conversation_closed_author_is_the_contact")
    assert event.values == {
        "chat.id": "215472621202693",
        "chat.rating": "4",
        "chat.agent.name": "Jan Novák",
        "chat.agent.email": "jan.novak@acme.example",
        "chat.visitor.name": "Łucja Nowak",
        "chat.visitor.email": CUSTOMER,
        "chat.visitor.external_id": "C-1024",
        "person.name": "Łucja Nowak",
        "person.email": CUSTOMER,
        "ticket.title": "Drukarka się pali",
        "ticket.status": "closed",
        "ticket.channel": "conversation",
        "ticket.tags": ("vip",),
        "ticket.created_at": "2026-01-02T02:50:12Z",
        "ticket.updated_at": "2026-01-02T03:04:01Z",
        "ticket.custom.order_number": "ORD-77",
        "ticket.custom.has_attachments": "false",
        "ticket.custom.parts": ("toner", "drum"),
        "ticket.custom.contact_id": "696205460674dbb9050aa7fd",
        "event.id": event.id,
        "event.kind": "chat.ended",
        "event.time": "2026-01-02T03:04:01Z",
    }


def test_an_older_conversation_holds_its_link_and_its_tags(read):
    values = read("conversation_closed_with_user").values
    assert values["chat.url"] == "https://app.intercom.io/a/apps/lqh5r2xz/conversations/21322009097"
    assert values["ticket.tags"] == ("vip", "billing")
    assert values["chat.agent.email"] == "jan.novak@acme.example"


def test_a_ticket_in_our_names_has_the_number_that_people_see(read):
    event = read("ticket_closed")
    assert event.values == {
        "ticket.id": "66040342",
        "ticket.title": "Drukarka się pali",
        "ticket.status": "closed",
        "ticket.type": "Tickets",
        "ticket.channel": "messenger",
        "ticket.assignee.name": "Jan Novák",
        "ticket.assignee.email": "jan.novak@acme.example",
        "ticket.created_at": "2026-01-02T01:56:40Z",
        "ticket.updated_at": "2026-01-02T03:04:01Z",
        "ticket.custom.platforms": "web",
        "ticket.custom.contact_id": CONTACT_ID,
        "event.id": "notif_aedb66d9-7147-43ee-8b75-fe3ee2108b11",
        "event.kind": "ticket.closed",
        "event.time": "2026-01-02T03:04:01Z",
    }


def test_a_ticket_that_nobody_is_assigned_to_has_no_agent(read):
    assert "ticket.assignee.email" not in read("ticket_closed_nobody_assigned").values


def test_ids_keep_every_digit(read):
    assert read("ticket_closed_big_ids").subject == "ticket:90071992547409931"
    assert read("conversation_closed_big_ids").values["chat.id"] == "9007199254740993123"


def test_the_workspace_is_the_account(read):
    assert read("ticket_closed").account == "lqh5r2xz"
    assert read("conversation_closed_other_workspace").account == "zzzzzzzz"


# --- the same once more


def test_a_retry_is_the_same_notification(read):
    assert read("ticket_closed").id == "notif_aedb66d9-7147-43ee-8b75-fe3ee2108b11"


def test_all_that_is_told_of_one_closing_is_one_closing(read):
    names = ("ticket_closed", "ticket_state_resolved", "conversation_closed_with_ticket")
    told = {(event.subject, event.closing_mark, event.kind) for event in map(read, names)}
    assert told == {("ticket:66040342", "1767323041", EventKind.TICKET_CLOSED)}


def test_a_ticket_that_is_closed_some_days_after_it_was_resolved_was_closed_once(read):
    resolved, closed = read("ticket_state_resolved_not_closed_yet"), read("ticket_closed_later_than_resolved")
    assert (resolved.subject, resolved.values["ticket.status"]) == (closed.subject, "solved")
    before = Episode("e", 1, resolved.closing_mark, "solved")
    assert closed.closing_mark != resolved.closing_mark
    assert same_episode(before, None, mark=closed.closing_mark, status=closed.values["ticket.status"]) is before


def test_a_conversation_that_is_closed_again_is_closed_twice(read):
    first, second = read("conversation_closed_contact_ids"), read("conversation_closed_again")
    assert first.subject == second.subject
    assert (first.closing_mark, second.closing_mark) == ("1767323041", "1767330241")


def test_statistics_tell_the_time_of_a_closing_without_parts(read):
    assert read("conversation_closed_no_parts").closing_mark == "1767323041"


# --- what the API is asked for


def test_a_closing_is_completed_by_its_contact(read):
    event = read("ticket_closed")
    request = intercom.lookup(event, asking(api_origin="https://api.eu.intercom.io"))
    assert request.url() == f"https://api.eu.intercom.io/contacts/{CONTACT_ID}"
    assert dict(request.headers)["Authorization"].reveal() == "Bearer token-0123456789"
    completed = intercom.complete(event, answer())
    assert intercom.lookup(completed, asking()) is None
    added = {name: value for name, value in completed.values.items() if name not in event.values}
    assert added == {
        **{f"{whose}.name": "Łucja Nowak" for whose in ("person", "ticket.requester")},
        **{f"{whose}.email": CUSTOMER for whose in ("person", "ticket.requester")},
        **{f"{whose}.phone": "+48221234567" for whose in ("person", "ticket.requester")},
        **{f"{whose}.language": "pl" for whose in ("person", "ticket.requester")},
        "ticket.requester.external_id": "C-1024",
        "ticket.custom.contact_role": "user",
        "ticket.custom.contact_unsubscribed": "false",
    }


def test_a_chat_is_completed_as_a_chat_and_what_the_message_told_stays(read):
    event = read("conversation_closed_author_is_the_contact")
    completed = intercom.complete(event, answer(email="new@example.com", language_override="cs", role="lead"))
    assert completed.values["chat.visitor.email"] == completed.values["person.email"] == CUSTOMER
    assert completed.values["chat.visitor.language"] == "cs"
    assert completed.values["ticket.custom.contact_role"] == "lead"
    assert not any(name.startswith("ticket.requester") for name in completed.values)


def test_a_contact_known_by_phone_alone_is_asked_for_once(read):
    completed = intercom.complete(read("ticket_closed"), answer(email="", role=None, browser_language=None))
    assert "person.email" not in completed.values
    assert completed.values["person.phone"] == "+48221234567"
    assert intercom.lookup(completed, asking()) is None


@pytest.mark.parametrize("role", ["{{role}}", "admin", "", 7, ["user"]])
def test_a_role_that_is_none_leads_to_no_second_request(read, role):
    completed = intercom.complete(read("ticket_closed"), answer(role=role))
    assert completed.values["ticket.custom.contact_role"] == "contact"
    assert intercom.lookup(completed, asking()) is None


def test_a_contact_that_cannot_be_reached_is_told(read):
    completed = intercom.complete(read("ticket_closed"), answer(email=None, phone=None))
    assert "neither an e-mail address nor a phone number" in completed.notes[-1]


@pytest.mark.parametrize(
    "recording",
    ["ticket_state_reopened", "conversation_opened", "conversation_closed_no_contacts", "ticket_closed_backoffice"],
)
def test_what_closes_nothing_or_names_nobody_is_not_asked_for(read, recording):
    assert intercom.lookup(read(recording), asking()) is None


def test_without_an_access_token_nothing_is_asked(read):
    credentials = intercom.SOURCE.credentials().load({"client_secret": "s"})
    assert intercom.lookup(read("ticket_closed"), credentials) is None


@pytest.mark.parametrize("number", ["..", "a/b", "a?b", "", "x" * 101, "ž"])
def test_an_id_that_is_none_leads_nowhere(read, number):
    event = read("ticket_closed")
    spoilt = replace(event, values={**event.values, "ticket.custom.contact_id": number})
    assert intercom.lookup(spoilt, asking()) is None


def test_no_message_can_choose_whom_the_token_is_sent_to():
    assert intercom.lookup_origins(asking()) == ("https://api.intercom.io",)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"type": "error.list"}', b'{"type": "contact"'])
def test_an_answer_without_a_contact_is_unreadable(read, body):
    with pytest.raises(Unreadable):
        intercom.complete(read("ticket_closed"), OutboundResponse(200, body=body))


def test_an_answer_that_was_cut_is_unreadable(read):
    with pytest.raises(Unreadable):
        intercom.complete(read("ticket_closed"), replace(answer(), cut=True))
