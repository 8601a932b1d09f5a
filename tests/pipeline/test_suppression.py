"""Who has opted out is invited no more: what puts a person on the list, what that ends, and what goes on."""

from __future__ import annotations

import pytest

from plugin.domain.delivery import Resolution
from plugin.pipeline.fingerprint import mark_of
from plugin.pipeline.forget import forget_person
from plugin.pipeline.replay import ReplayRefused, replay_delivery
from plugin.pipeline.suppression import add_by_hand, remove_by_hand
from plugin.store import suppressions
from plugin.store.resolutions import resolve
from tests.acme import Acme, verdicts

TENANT = """
tenant: acme
name: Acme
timezone: Europe/Warsaw
language: pl
sources:
  - {name: desk, kind: zendesk, credentials: {signing_secret: zendesk-secret}}
connections:
  - name: web
    vendor: startquestion
    settings: {brand: netquest_cz, origin: $sandbox, id_account: "171257", webhook_key: MjU3, webhook_auth: 3a123}
  - {name: lab, vendor: surveylab, settings: {origin: "$sandbox", api_token: lab-token}}
rules:
  - name: again
    when: {events: [ticket.closed], conditions: [{field: ticket.tags, op: contains, value: again}]}
    connection: web
    call: send_invitation_to_token
    parameters: {id_survey: "1", id_template: "2", token: "{{ ticket.external_id }}"}
  - name: csat
    when: {events: [ticket.closed]}
    connection: lab
    call: add_respondent
    parameters: {cId: "837", email: "{{ person.email }}"}
    ask: {delay_minutes: 60}
  - name: keep
    when: {events: [ticket.closed]}
    connection: web
    call: update_respondent
    parameters: {id_survey: "1", id_respondent: "55", l1: "{{ ticket.id }}"}
  - name: leave
    when: {events: [ticket.closed], conditions: [{field: ticket.tags, op: contains, value: leave}]}
    connection: web
    call: unsubscribe
    parameters: {email: "{{ person.email }}"}
"""
ADA = "ada@example.com"


@pytest.fixture
def shop(acme: Acme) -> Acme:
    acme.apply(TENANT)
    return acme


def opt_out(shop: Acme) -> None:
    """Have the vendor say that Ada has unsubscribed."""
    shop.close("1", email=ADA, tags="again", external_id="unsubscribed")
    shop.work()


def list_of(shop: Acme) -> list[suppressions.Suppression]:
    with shop.parts.database.read() as db:
        return suppressions.suppressions_of(db, shop.tenant.id, 10)


def by_rule(shop: Acme) -> dict[str, tuple[str, str | None]]:
    return {one.rule: (one.state, one.reason) for one in shop.deliveries()}


def test_a_vendor_s_answer_puts_the_person_on_the_list_with_who_said_so_and_where(shop: Acme) -> None:
    opt_out(shop)
    [wish] = list_of(shop)
    assert (wish.person, wish.said_by, wish.words) == (mark_of(shop.tenant.id, ADA), "web", "Respondents not found")
    assert wish.trigger_id == shop.deliveries()[0].trigger_id
    assert ADA not in repr(wish)


def test_what_was_still_to_be_sent_to_the_person_is_called_off_and_the_records_are_kept_up(shop: Acme) -> None:
    opt_out(shop)
    assert by_rule(shop) == {
        "again": ("rejected", "opted_out"),
        "csat": ("cancelled", "opted_out"),
        "keep": ("accepted", "done"),
    }


def test_a_person_on_the_list_is_asked_by_no_rule_and_each_verdict_says_who_said_so(shop: Acme) -> None:
    opt_out(shop)
    accepted = shop.close("2", email="ADA@Example.com ")
    assert verdicts(accepted) == [("no", "condition"), ("no", "opted_out"), ("ask", "matched"), ("no", "condition")]
    [event] = shop.receipt(accepted).events
    assert event.verdicts[1].detail == "web said so on 2026-11-03. “Respondents not found”"


def test_another_person_and_another_tenant_are_asked_as_before(shop: Acme) -> None:
    opt_out(shop)
    assert verdicts(shop.close("3", email="bob@example.com"))[1] == ("ask", "matched")
    shop.apply(TENANT.replace("tenant: acme", "tenant: other"))
    with shop.parts.database.read() as db:
        assert suppressions.wishes_of(db, ["another tenant"], [mark_of("another tenant", ADA)]) == []


def test_a_phone_number_of_the_person_is_no_way_round_the_wish(shop: Acme) -> None:
    shop.close("1", email=ADA, requester={"email": ADA, "phone": "+48 22"}, tags="again", external_id="unsubscribed")
    shop.work()
    accepted = shop.close("2", requester={"phone": "+48 22"})
    assert verdicts(accepted)[1] == ("no", "opted_out")


def test_a_phone_number_is_the_same_however_it_is_written(shop: Acme) -> None:
    with shop.parts.database.write() as db:
        add_by_hand(db, shop.tenant.id, "+48 (22) 123-45.67", "", shop.clock())
    for phone in ("+48221234567", "+48 22 123 45 67"):
        assert verdicts(shop.close(phone, requester={"phone": phone}))[1] == ("no", "opted_out")
    assert verdicts(shop.close("3", requester={"phone": "+48221234568"}))[1] != ("no", "opted_out")


def test_the_success_of_a_call_that_unsubscribes_puts_the_person_on_the_list(shop: Acme) -> None:
    shop.close("1", email=ADA, tags="leave")
    shop.work()
    assert [wish.words for wish in list_of(shop)] == ["E-mail has been unsubscribed"]
    assert verdicts(shop.close("2", email=ADA))[1] == ("no", "opted_out")


def test_the_first_word_stays_when_it_is_said_again(shop: Acme) -> None:
    opt_out(shop)
    [before] = list_of(shop)
    shop.clock.advance(days=1)
    with shop.parts.database.write() as db:
        assert not add_by_hand(db, shop.tenant.id, ADA, "once more", shop.clock())
    assert list_of(shop) == [before]


def test_by_hand_a_person_is_put_on_the_list_and_taken_off_it(shop: Acme) -> None:
    shop.close("1", email=ADA)
    with shop.parts.database.write() as db:
        assert add_by_hand(db, shop.tenant.id, f" {ADA.upper()} ", "told us by phone", shop.clock())
    assert by_rule(shop)["csat"] == ("cancelled", "opted_out")
    with shop.parts.database.write() as db:
        assert remove_by_hand(db, shop.tenant.id, ADA)
        assert not remove_by_hand(db, shop.tenant.id, ADA)
    assert verdicts(shop.close("2", email=ADA))[1] == ("ask", "matched")


def test_nothing_is_replayed_for_a_person_on_the_list(shop: Acme) -> None:
    opt_out(shop)
    called_off = next(one for one in shop.deliveries() if one.rule == "csat")
    with pytest.raises(ReplayRefused, match="web said so"), shop.parts.database.write() as db:
        replay_delivery(db, shop.parts.mint, shop.tenant.id, called_off.id)


def test_a_person_who_opts_out_while_a_message_is_being_planned_is_not_asked_by_it(
    shop: Acme, monkeypatch: pytest.MonkeyPatch
) -> None:
    acceptor = shop.parts.acceptor
    store = acceptor._store

    def opted_out_before(entry):
        monkeypatch.setattr(acceptor, "_store", store)
        with shop.parts.database.write() as db:
            add_by_hand(db, shop.tenant.id, ADA, "", shop.clock())
        return store(entry)

    monkeypatch.setattr(acceptor, "_store", opted_out_before)
    assert verdicts(shop.close("1", email=ADA))[1] == ("no", "opted_out")


BUSY = "busy@example.com"


@pytest.mark.parametrize("answered", [True, False])
def test_a_call_that_was_under_way_when_the_person_opted_out_is_not_made_again(shop: Acme, answered: bool) -> None:
    shop.close("1", email=BUSY)
    shop.clock.advance(hours=1)
    with shop.parts.outbound() as outbound:
        deliverer = shop.parts.deliverer(outbound)
        with shop.parts.database.write() as db:
            claims = deliverer.claim_and_settle(db, [], worker="w1", free=8, free_for_hanging=2)
        with shop.parts.database.write() as db:
            assert add_by_hand(db, shop.tenant.id, BUSY, "", shop.clock())
        with shop.parts.database.write() as db:
            if answered:
                deliverer.claim_and_settle(
                    db, [deliverer.call(one) for one in claims], worker="w1", free=0, free_for_hanging=0
                )
            else:
                # Nobody heard of this claim, so nothing was sent for it.
                deliverer.give_back_unheard(db, "w1", [])
    asked = len(shop.vendor.received)
    assert by_rule(shop)["csat"][0] == "scheduled"
    shop.clock.advance(minutes=10)
    shop.work()
    assert by_rule(shop)["csat"] == ("cancelled", "opted_out")
    assert by_rule(shop)["keep"] == ("accepted", "done")
    assert [call.vendor for call in shop.vendor.received[asked:]] == ([] if answered else ["startquestion"])


def test_a_decision_that_nothing_was_sent_invites_nobody_who_has_opted_out_since(shop: Acme) -> None:
    shop.close("1", email="broken@example.com")
    shop.clock.advance(hours=1)
    shop.work()
    held = next(one for one in shop.deliveries() if one.rule == "csat")
    assert held.state == "uncertain"
    with shop.parts.database.write() as db:
        add_by_hand(db, shop.tenant.id, "broken@example.com", "", shop.clock())
        resolve(db, shop.tenant.id, held.id, Resolution.NOT_SENT, decided_by="Jan", now=shop.clock())
    asked = len(shop.vendor.received)
    shop.work()
    assert by_rule(shop)["csat"] == ("cancelled", "opted_out")
    assert len(shop.vendor.received) == asked


def test_the_words_of_a_wish_hold_no_address_and_go_when_the_person_is_forgotten(shop: Acme) -> None:
    with shop.parts.database.write() as db:
        add_by_hand(db, shop.tenant.id, ADA, f"{ADA} told us on +48 22 123", shop.clock())
    [wish] = list_of(shop)
    assert wish.words == "a•••@example.com told us on +48 22 123"
    forget_person(shop.parts.database, shop.parts.mint, shop.tenant.id, ADA, lambda _done, _all: None)
    assert [one.words for one in list_of(shop)] == [""]


def test_forgetting_a_person_leaves_the_wish_in_place(shop: Acme) -> None:
    opt_out(shop)
    forget_person(shop.parts.database, shop.parts.mint, shop.tenant.id, ADA, lambda _done, _all: None)
    assert len(list_of(shop)) == 1
    assert verdicts(shop.close("2", email=ADA))[1] == ("no", "opted_out")
