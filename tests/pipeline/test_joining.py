"""Closings that do not name their customer: what their source said when the chat began completes them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import delete, select

from plugin.cli.receipt_text import receipt_lines
from plugin.errors import SignatureInvalid
from plugin.pipeline.accept import UnreadableKept
from plugin.pipeline.forget import forget_person
from plugin.pipeline.pending import Planner
from plugin.pipeline.replay import replay_delivery
from plugin.registry import InboundRequest, read_recording
from plugin.store import persons, sources, tenants
from plugin.store.tables import event_values, metadata, trigger_bodies
from tests.acme import ACME, states
from tests.triggers.sender_livechat import SECRET, prove

RECORDINGS = Path(__file__).parents[1] / "fixtures" / "triggers" / "livechat"
CHATS = ACME.replace(
    "connections:",
    '  - {name: chats, kind: livechat, credentials: {secret_key: "livechat-secret-key"}}\n'
    '  - {name: others, kind: livechat, credentials: {secret_key: "livechat-secret-key"}}\nconnections:',
).replace("ticket.id }}", "chat.id }}")
CUSTOMER = "lucja.nowak@example.com"
FROM_BEGINNING = "Who the customer is was taken from incoming_chat, which came before (receipt "


@pytest.fixture
def chats(acme):
    acme.apply(CHATS)
    return acme


def recorded(name, **changes):
    """A recorded message with texts in its body replaced."""
    request = read_recording((RECORDINGS / f"{name}.json").read_bytes())
    for before, after in changes.items():
        assert before.encode() in request.body
        request = replace(request, body=request.body.replace(before.encode(), after.encode()))
    return request


def send(acme, name, source="chats", **changes):
    acme.clock.advance(seconds=1)
    request = prove(recorded(name, **changes), datetime.now(UTC))
    return acme.parts.acceptor.accept(acme.source(source), request)


def only_event(acme, acceptance):
    [record] = acme.receipt(acceptance).events
    return record


def causes(acme, acceptance):
    return [(one.decision, one.cause) for one in only_event(acme, acceptance).verdicts]


def everything(acme):
    """All that the database holds besides the configuration, as one text."""
    with acme.parts.database.read() as db:
        return "\n".join(
            str(tuple(row))
            for table in metadata.sorted_tables
            if table.name not in {"configurations", "rules"}
            for row in db.execute(select(table))
        )


def forget(acme, address=CUSTOMER):
    return forget_person(acme.parts.database, acme.parts.mint, acme.tenant.id, address, lambda *_: None)


# --- completed --------------------------------------------------------------------------------------------------------


def test_the_end_of_a_chat_asks_the_customer_whom_its_beginning_named(chats):
    began = send(chats, "incoming_chat")
    ended = send(chats, "chat_deactivated")
    [answered] = ended.as_json()["events"]
    assert (answered["kind"], answered["verdicts"], answered["pending"]) == ("chat.ended", [], True)

    chats.work()

    [call] = chats.vendor.asked
    assert (call["email"], call["custom1"]) == (CUSTOMER, "PJ0MRSHTDG")
    record = only_event(chats, ended)
    assert record.event.values["chat.visitor.name"] == "Łucja Nowak"
    assert (record.event.values["event.kind"], record.event.values["event.id"]) == (
        "chat.ended",
        "chat_deactivated:K600PKZON8",
    )
    assert f"{FROM_BEGINNING}{began.receipt})." in record.event.notes
    assert f"{FROM_BEGINNING}{began.receipt})." in "\n".join(receipt_lines(chats.receipt(ended)))
    assert causes(chats, began) == [("no", "other_event")]


def test_what_the_end_itself_says_is_not_overwritten(chats):
    send(
        chats, "v2_chat_started", **{"Łucja Nowak": "Somebody", "lucja.nowak@example.com": "", "lucja.form@": "first@"}
    )
    ended = send(chats, "v2_chat_ended_address_in_survey_only", **{"lucja.form@example.com": ""})

    chats.work()

    values = only_event(chats, ended).event.values
    assert (values["person.email"], values["person.name"]) == ("first@example.com", "Łucja Nowak")


def test_an_end_that_names_its_customer_is_planned_as_it_comes_in(chats):
    send(chats, "v2_chat_started", **{"lucja.nowak@": "first@"})

    [event] = send(chats, "v2_chat_ended").events

    assert (event.pending, len(event.verdicts)) == (False, 1)


def test_the_newest_beginning_counts(chats):
    send(chats, "incoming_chat", **{CUSTOMER: "older@example.com", "K600PKZON8": "K600PKZON7"})
    send(chats, "incoming_chat")
    send(chats, "chat_deactivated")

    chats.work()

    assert [call["email"] for call in chats.vendor.asked] == [CUSTOMER]


def test_each_thread_of_a_chat_is_a_closing_of_its_own_and_each_is_told_once(chats):
    send(chats, "incoming_chat")
    send(chats, "chat_deactivated")
    chats.work()
    again = send(chats, "chat_deactivated")
    assert [(event.duplicate, len(event.verdicts)) for event in again.events] == [(True, 1)]
    second = send(chats, "chat_deactivated_next_thread_of_the_same_chat")

    chats.work()

    assert only_event(chats, second).event.episode_number == 2
    assert [call["email"] for call in chats.vendor.asked] == [CUSTOMER, CUSTOMER]


# --- not completed ----------------------------------------------------------------------------------------------------


def test_without_a_beginning_the_receipt_says_what_is_missing(chats):
    ended = send(chats, "chat_deactivated")

    chats.work()

    assert causes(chats, ended) == [("problem", "missing")]
    assert (
        "It does not name the customer, and nothing that does (chat_started, incoming_chat) came in the 7 days before."
        in only_event(chats, ended).event.notes
    )


def test_a_beginning_without_an_address_is_told_as_such(chats):
    began = send(chats, "incoming_chat_without_address")
    ended = send(chats, "chat_deactivated")

    chats.work()

    assert causes(chats, ended) == [("problem", "missing")]
    assert (
        f"{FROM_BEGINNING}{began.receipt}); no e-mail address was given there." in only_event(chats, ended).event.notes
    )


@pytest.mark.parametrize(("days", "asked"), [(6.9, 1), (7.1, 0)])
def test_a_beginning_is_remembered_for_a_week(chats, days, asked):
    send(chats, "incoming_chat")
    chats.clock.advance(days=days)
    send(chats, "chat_deactivated")

    chats.work()

    assert len(chats.vendor.asked) == asked


def test_what_came_later_or_of_another_chat_or_by_another_source_is_not_taken(chats):
    send(chats, "incoming_chat", source="others")
    send(chats, "incoming_chat", PJ0MRSHTDG="PJ0MRSHTDH")
    ended = send(chats, "chat_deactivated")
    send(chats, "incoming_chat")

    chats.work()

    assert causes(chats, ended) == [("problem", "missing")]
    assert chats.vendor.asked == []


def test_another_tenant_with_the_same_chat_learns_nothing(chats):
    send(chats, "incoming_chat")
    chats.apply(CHATS.replace("tenant: acme", "tenant: bolt"))
    with chats.parts.database.read() as db:
        theirs = sources.source_by_name(db, tenants.tenant_by_slug(db, "bolt").id, "chats")

    chats.clock.advance(seconds=1)
    chats.parts.acceptor.accept(theirs, prove(recorded("chat_deactivated"), datetime.now(UTC)))
    chats.work()

    assert chats.vendor.asked == []


@pytest.mark.parametrize("tried", ["incoming_chat", "chat_deactivated"])
def test_what_is_tried_and_what_is_live_know_nothing_of_each_other(chats, tried):
    for name in ("incoming_chat", "chat_deactivated"):
        state = "test" if name == tried else "live"
        chats.apply(CHATS.replace("kind: livechat", f"kind: livechat, state: {state}", 1))
        ended = send(chats, name)

    chats.work()

    assert any("nothing that does" in note for note in only_event(chats, ended).event.notes)
    assert chats.vendor.asked == []


def test_a_dry_run_says_that_more_would_be_looked_for(chats):
    [draft] = chats.parts.acceptor.dry_run(chats.source("chats"), recorded("chat_deactivated"))

    assert (draft.pending, draft.thin, list(draft.planned)) == (True, False, [])
    assert draft.outlook.startswith("It does not name the customer;")


# --- later ------------------------------------------------------------------------------------------------------------


def test_a_replay_knows_what_was_taken_over_when_the_beginning_is_long_gone(chats):
    began = send(chats, "incoming_chat")
    send(chats, "chat_deactivated")
    chats.work()
    with chats.parts.database.write() as db:
        db.execute(delete(trigger_bodies).where(trigger_bodies.c.trigger_id == began.receipt))
        [first] = chats.receipt(began).events
        db.execute(delete(event_values).where(event_values.c.event_id == first.event.id))

    with chats.parts.database.write() as db:
        replay_delivery(db, chats.parts.mint, chats.tenant.id, chats.delivery().id, again=True)
    chats.work()

    assert [call["email"] for call in chats.vendor.asked] == [CUSTOMER, CUSTOMER]


def test_a_person_who_was_forgotten_before_the_chat_ended_is_not_known_any_more(chats):
    send(chats, "incoming_chat")
    forget(chats)
    ended = send(chats, "chat_deactivated")

    chats.work()

    assert causes(chats, ended) == [("problem", "missing")]
    assert CUSTOMER not in everything(chats)


def test_whoever_is_forgotten_is_forgotten_with_what_was_taken_over(chats):
    send(chats, "incoming_chat")
    send(chats, "chat_deactivated")
    chats.work()
    assert CUSTOMER in everything(chats)

    found = forget(chats)

    assert found.receipts == 2
    assert CUSTOMER not in everything(chats)


class Hasty(Planner):
    """Something happens between its reading and its writing, the first time."""

    def __init__(self, acme, between):
        parts = acme.parts
        super().__init__(parts.database, parts.vault, parts.mint, monotonic=lambda: 0.0)
        self.between = [between]

    def _store_all(self, plans):
        if self.between:
            self.between.pop()()
        return super()._store_all(plans)


def test_a_person_who_is_forgotten_while_the_end_is_planned_is_not_asked(chats):
    send(chats, "incoming_chat")
    ended = send(chats, "chat_deactivated")
    planner = Hasty(chats, lambda: forget(chats))

    assert planner.turn() == []
    planner.turn()

    assert causes(chats, ended) == [("problem", "missing")]
    assert chats.deliveries() == []
    assert CUSTOMER not in everything(chats)


def test_what_is_taken_over_while_somebody_is_forgotten_is_found_as_well(chats, monkeypatch):
    send(chats, "incoming_chat")
    ended = send(chats, "chat_deactivated")
    look = persons.traces_in

    def traces_in(db, *args):
        traces = look(db, *args)
        if not only_event(chats, ended).event.planned:
            Hasty(chats, lambda: None).turn()
        return traces

    monkeypatch.setattr(persons, "traces_in", traces_in)
    forget(chats)

    assert only_event(chats, ended).event.planned
    assert states(chats.deliveries()) == ["cancelled"]
    assert CUSTOMER not in everything(chats)


# --- the secret in the body -------------------------------------------------------------------------------------------


def test_nothing_that_is_kept_holds_the_secret(chats):
    send(chats, "incoming_chat")
    send(chats, "chat_deactivated")
    for body in (b'{"a": 1, "secret_key" : "%s", "action": ', b'"secret_key":"%s"', b'{"secret\\u005fkey": "%s"}]'):
        with pytest.raises(UnreadableKept):
            chats.parts.acceptor.accept(
                chats.source("chats"), InboundRequest("POST", "", {}, body % SECRET.encode()), verified=True
            )

    chats.work()

    assert SECRET not in everything(chats)


def test_a_message_is_proved_anew_by_its_whole_body_when_the_source_was_changed_meanwhile(chats):
    send(chats, "incoming_chat")
    organization = json.loads(recorded("incoming_chat").body)["organization_id"]
    chats.apply(CHATS.replace("kind: livechat,", f"kind: livechat, settings: {{organization_id: {organization}}},", 1))

    assert send(chats, "chat_deactivated").events[0].pending


def test_a_message_without_the_secret_leaves_nothing(chats):
    before = chats.counts()
    with pytest.raises(SignatureInvalid):
        chats.parts.acceptor.accept(chats.source("chats"), recorded("chat_deactivated"))
    assert chats.counts() == before


def test_messages_of_another_organization_are_answered_and_left_out(chats):
    chats.apply(CHATS.replace("kind: livechat,", "kind: livechat, settings: {organization_id: mine},", 1))

    acceptance = send(chats, "chat_deactivated")

    assert (acceptance.receipt, list(acceptance.events)) == (None, [])
    assert acceptance.answer is not None
    assert acceptance.answer.status == 200
