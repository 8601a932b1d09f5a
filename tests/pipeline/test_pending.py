"""Events that a worker plans: reports of what became of a delivery, and what its call has told."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text, update
from sqlalchemy.event import listen

from plugin.cli.receipt_text import receipt_lines
from plugin.errors import StoreUnavailable
from plugin.pipeline.belonging import find_delivery, likeliest
from plugin.pipeline.forget import find_person, forget_person
from plugin.pipeline.pending import BATCH, Decided, Planner
from plugin.pipeline.replay import ReplayRefused, replay_delivery
from plugin.registry import Belonging, InboundRequest, MatchBy
from plugin.store import planning, receipts, tenants
from plugin.store.belonging import Called
from plugin.store.restored import hold_unplanned
from plugin.store.sources import remove_source
from plugin.store.tables import events
from tests.acme import ACME, Acme, states
from tests.reporter import install

REPORTING = (
    ACME.replace(
        "connections:",
        "  - {name: phones, kind: reporter, credentials: {match: reference}}\nconnections:",
    )
    + """
  - name: by-mail
    when: {events: [sms.lost, email.bounced]}
    connection: lab
    call: add_respondent
    parameters:
      cId: "900"
      email: "{{ person.email }}"
      custom1: "{{ ticket.id }}"
      custom2: "{{ payload.ticket.subject | default: 'none' }}"
      custom3: "{{ episode.number }}"
"""
)
TRACKED = REPORTING.replace("match: reference", "match: tracked").replace(
    '      cId: "837"\n',
    '      cId: "837"\n      crk: "crk-{{ ticket.id }}"\n',
)
BY_PERSON = REPORTING.replace("match: reference", "match: person")
LINKS = """
tenant: acme
name: Acme
timezone: Europe/Warsaw
language: pl
sources:
  - {name: desk, kind: zendesk, credentials: {signing_secret: zendesk-secret}}
connections:
  - {name: lab, vendor: surveylab, settings: {origin: "$sandbox", api_token: lab-token}}
  - name: web
    vendor: startquestion
    settings: {brand: webankieta, origin: $sandbox, id_account: "171257", webhook_key: MjU3ABUyMj,
      webhook_auth: 3a12307689817111c82711d910f5f4aa}
rules:
  - name: link
    when: {events: [ticket.closed]}
    connection: web
    call: shorten_link
    parameters: {id_survey: "399793", user_token: "{{ ticket.id }}"}
  - name: tell
    sources: [desk]
    when: {events: [survey.link], conditions: [{field: ticket.id, op: is, value: "35"}]}
    connection: lab
    call: add_respondent
    parameters: {cId: "1", email: "{{ person.email }}", custom1: "{{ link.url }}",
      custom2: "{{ payload.ticket.subject }}", custom3: "{{ episode.number }}"}
"""


@pytest.fixture
def reporting(acme: Acme, monkeypatch: pytest.MonkeyPatch) -> Acme:
    """Acme with a source that reports, and a rule that asks once more, by mail, where an SMS was lost."""
    install(monkeypatch)
    acme.apply(REPORTING)
    return acme


def invite(acme: Acme, ticket: str = "35", **values: Any) -> receipts.DeliveryRecord:
    """A ticket is closed and its person is invited."""
    acceptance = acme.close(ticket, **values)
    acme.work()
    [record] = acme.receipt(acceptance).events
    return record.deliveries[0]


def report(acme: Acme, kind: str, of: str | None, **values: Any) -> str:
    """A report comes in; gives its receipt."""
    acme.clock.advance(seconds=1)
    values.setdefault("ts", acme.clock().isoformat())
    return str(acme.send([{"event": kind, "of": of, **values}], source="phones").receipt)


def decided(acme: Acme, receipt_id: str) -> list[tuple[str | None, str, str]]:
    [record] = acme.receipt(receipt_id).events
    return [(one.rule, one.decision, one.cause) for one in record.verdicts]


def asked(acme: Acme) -> list[str]:
    """For which surveys somebody was asked, in the order of the calls."""
    return [call["cId"] for call in acme.vendor.asked]


def planner(acme: Acme) -> Planner:
    return acme.parts.planner()


ASKED_BY_MAIL = [("csat", "no", "other_event"), ("by-mail", "ask", "matched")]


# --- a report asks the rules ------------------------------------------------------------------------------------------


def test_a_report_is_answered_as_pending_and_decided_by_a_worker(reporting):
    first = invite(reporting)

    answer = reporting.send([{"event": "sms.lost", "of": first.reference, "id": "e1"}], source="phones")
    again = reporting.send([{"event": "sms.lost", "of": first.reference, "id": "e1"}], source="phones")

    assert [(event["pending"], event["verdicts"]) for event in answer.as_json()["events"]] == [(True, [])]
    assert [(event["pending"], event["duplicate"]) for event in again.as_json()["events"]] == [(True, True)]
    reporting.work()
    later = reporting.send([{"event": "sms.lost", "of": first.reference, "id": "e1"}], source="phones").as_json()
    assert [(event.get("pending"), len(event["verdicts"])) for event in later["events"]] == [(None, 2)]


def test_a_report_is_filled_in_with_what_the_first_event_said(reporting):
    first = invite(reporting, subject="Printer on fire")

    receipt_id = report(reporting, "sms.lost", first.reference)
    reporting.work()

    assert decided(reporting, receipt_id) == ASKED_BY_MAIL
    call = reporting.vendor.asked[1]
    assert (call["cId"], call["email"], call["custom1"]) == ("900", "ada@example.com", "35")
    assert (call["custom2"], call["custom3"]) == ("Printer on fire", "1")


def test_what_a_report_says_itself_hides_what_it_takes_over(reporting):
    first = invite(reporting)

    report(reporting, "sms.lost", first.reference, **{"person.email": "other@example.com"})
    reporting.work()

    assert reporting.vendor.asked[1]["email"] == "other@example.com"


def test_a_rule_may_take_reports_of_one_source_only(reporting):
    reporting.apply(REPORTING.replace("when: {events: [sms.lost", "sources: [desk]\n    when: {events: [sms.lost"))
    first = invite(reporting)

    receipt_id = report(reporting, "sms.lost", first.reference)
    reporting.work()

    assert ("by-mail", "no", "other_source") in decided(reporting, receipt_id)


# --- which delivery ---------------------------------------------------------------------------------------------------


def belongs_to(acme: Acme, receipt_id: str) -> str | None:
    [record] = acme.receipt(receipt_id).events
    return record.parent.delivery_id if record.parent is not None else None


def test_a_report_that_names_nothing_known_is_kept_counted_and_found(reporting):
    invite(reporting)

    lost = [report(reporting, "sms.lost", of) for of in ("nothing", None)]
    reporting.work()

    assert [decided(reporting, one) for one in lost] == [[(None, "no", "unmatched")]] * 2
    [unknown], [unsaid] = ([v.detail for v in reporting.receipt(one).events[0].verdicts] for one in lost)
    assert unknown == "No delivery has the reference that it names."
    assert unsaid == "It does not say which delivery it is about."
    with reporting.parts.database.read() as db:
        found = receipts.find_receipts(db, reporting.tenant.id, state=receipts.UNMATCHED)
    assert [line.id for line in found] == lost[::-1]
    assert asked(reporting) == ["837"]


def test_a_reference_is_found_whatever_case_its_letters_come_back_in(reporting):
    first = invite(reporting)

    receipt_id = report(reporting, "sms.sent", first.reference.upper())
    reporting.work()

    assert belongs_to(reporting, receipt_id) == first.id


def test_a_report_finds_nothing_of_another_tenant(reporting):
    first = invite(reporting)
    reporting.apply(REPORTING.replace("tenant: acme", "tenant: other"))

    with reporting.parts.database.read() as db:
        other = tenants.tenant_by_slug(db, "other").id
        for belonging in (Belonging(MatchBy.REFERENCE, first.reference), Belonging(MatchBy.PERSON, "ada@example.com")):
            assert find_delivery(db, reporting.tenant.id, belonging, "reporter") is not None
            assert find_delivery(db, other, belonging, "reporter") is None


def test_a_person_is_found_by_address_and_by_number_and_the_last_call_is_meant(reporting):
    reporting.apply(BY_PERSON)
    invite(reporting, "34", requester={"email": "ada@example.com", "phone": "+48 22"})
    last = invite(reporting, "35", requester={"email": "Ada@Example.com", "phone": "+48 22"})
    # Not called yet, so nothing can be told of it.
    reporting.close("36", requester={"email": "ada@example.com", "phone": "+48 22"})

    told = [report(reporting, "sms.sent", of) for of in ("ADA@example.com ", "+48 22")]
    assert [one.kind for _ in told for one in planner(reporting).turn()] == ["sms.sent"] * 2

    assert [belongs_to(reporting, one) for one in told] == [last.id, last.id]


def test_a_tracked_value_is_found_whether_it_is_our_reference_or_not(reporting):
    reporting.apply(TRACKED)
    own = invite(reporting)
    reporting.apply(REPORTING.replace("match: reference", "match: tracked"))
    ours = invite(reporting, "36")

    told = [report(reporting, "sms.sent", of) for of in ("crk-35", ours.reference)]
    reporting.work()

    assert [belongs_to(reporting, one) for one in told] == [own.id, ours.id]


@pytest.mark.parametrize(
    ("found", "meant"),
    [
        ([], None),
        ([Called("1", "e", "accepted", "lab"), Called("2", "e", "accepted", "lab")], "2"),
        # What was refused is not what arrived.
        ([Called("1", "e", "accepted", "lab"), Called("2", "e", "rejected", "lab")], "1"),
        # Who reports of its own messages means a call to itself.
        ([Called("1", "e", "accepted", "sendios"), Called("2", "e", "accepted", "lab")], "1"),
        ([Called("1", "e", "rejected", "sendios"), Called("2", "e", "accepted", "lab")], "2"),
    ],
)
def test_of_several_deliveries_the_likeliest_is_meant(found, meant):
    chosen = likeliest(found, "sendios")

    assert (chosen.id if chosen is not None else None) == meant


def test_a_dry_run_says_what_a_report_belongs_to(reporting):
    first = invite(reporting)
    source = reporting.source("phones")

    def tried(of: str) -> list[str]:
        body = json.dumps([{"event": "sms.lost", "of": of}]).encode()
        return [
            draft.outlook for draft in reporting.parts.acceptor.dry_run(source, InboundRequest("POST", "", {}, body))
        ]

    assert tried(first.reference)[0].startswith(f"It belongs to delivery {first.id};")
    assert tried("nothing")[0].startswith("No delivery has the reference that it names.")
    assert reporting.counts()["events"] == 1


# --- late, twice, out of order ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kinds", "asks", "stands"),
    [
        (["sms.sent", "sms.lost"], 1, ["sms.lost"]),
        (["sms.lost", "sms.sent"], 1, ["sms.lost"]),
        (["sms.lost", "sms.lost"], 1, ["sms.lost"]),
        (["sms.click", "sms.lost"], 0, ["sms.click"]),
        (["email.opened", "sms.lost", "email.bounced"], 1, ["sms.lost", "email.opened"]),
    ],
)
@pytest.mark.parametrize("together", [True, False])
def test_what_comes_late_or_twice_lands_as_a_report_and_asks_nobody(reporting, kinds, asks, stands, together):
    first = invite(reporting)

    told = [{"event": kind, "of": first.reference, "id": str(number)} for number, kind in enumerate(kinds)]
    for message in [told] if together else [[one] for one in told]:
        reporting.send(message, source="phones")
    reporting.work()

    record = reporting.receipt(first.trigger_id).events[0].deliveries[0]
    assert [one.kind for one in record.reports] == kinds
    assert list(record.standing) == stands
    assert asked(reporting) == ["837", *["900"] * asks]


def test_what_was_overtaken_says_so(reporting):
    first = invite(reporting)
    report(reporting, "sms.lost", first.reference)

    late = report(reporting, "sms.sent", first.reference)
    reporting.work()

    assert decided(reporting, late) == [(None, "no", "overtaken")]
    assert belongs_to(reporting, late) == first.id


# --- any number of workers, and crashes -------------------------------------------------------------------------------


class Beaten(Planner):
    """A planner whose plans come to be stored just after something else has happened."""

    def __init__(self, acme: Acme, first: Callable[[], object]) -> None:
        parts = acme.parts
        super().__init__(parts.database, parts.vault, parts.mint, monotonic=lambda: 0.0)
        self._first: Callable[[], object] | None = first

    def _store_all(self, plans: Any) -> list[Decided]:
        first, self._first = self._first, None
        if first is not None:
            first()
        return super()._store_all(plans)


def test_two_workers_that_plan_one_event_store_it_once(reporting):
    first = invite(reporting)
    receipt_id = report(reporting, "sms.lost", first.reference)

    slow = Beaten(reporting, lambda: planner(reporting).turn())

    assert slow.turn() == []
    reporting.work()
    assert decided(reporting, receipt_id) == ASKED_BY_MAIL
    assert asked(reporting) == ["837", "900"]


def test_two_workers_that_plan_two_reports_of_one_delivery_ask_once(reporting):
    first = invite(reporting)
    report(reporting, "sms.lost", first.reference)

    def another_worker_plans_a_second_one() -> None:
        wait(reporting, waits=True)
        report(reporting, "sms.lost", first.reference)
        planner(reporting).turn()
        wait(reporting, waits=False)

    assert Beaten(reporting, another_worker_plans_a_second_one).turn() == []
    reporting.work()
    assert asked(reporting) == ["837", "900"]


def wait(acme: Acme, *, waits: bool) -> None:
    """Have what is not planned yet wait for something else first, or no more."""
    with acme.parts.database.write() as db:
        db.execute(update(events).where(text("NOT planned")).values(waits=waits))


def test_what_was_planned_by_rules_that_have_changed_is_planned_anew(reporting):
    first = invite(reporting)
    receipt_id = report(reporting, "sms.lost", first.reference)

    slow = Beaten(reporting, lambda: reporting.apply(REPORTING.replace('cId: "900"', 'cId: "901"')))

    assert slow.turn() == []
    reporting.work()
    assert asked(reporting) == ["837", "901"]
    assert decided(reporting, receipt_id) == ASKED_BY_MAIL


def test_a_worker_that_falls_silent_while_it_writes_leaves_nothing_behind(reporting, monkeypatch):
    first = invite(reporting)
    receipt_id = report(reporting, "sms.lost", first.reference)

    def fall_silent(*_: object) -> None:
        raise StoreUnavailable("killed")

    with monkeypatch.context() as broken:
        broken.setattr(planning, "add_reports", fall_silent)
        with pytest.raises(StoreUnavailable):
            planner(reporting).turn()

    assert decided(reporting, receipt_id) == []
    assert states(reporting.deliveries()) == ["accepted"]
    reporting.work()
    assert asked(reporting) == ["837", "900"]


def test_a_connectors_fault_is_told_and_keeps_no_other_event_waiting(reporting):
    first = invite(reporting)

    broken, whole = report(reporting, "sms.lost", "break"), report(reporting, "sms.lost", first.reference)
    reporting.work()

    assert decided(reporting, broken) == [(None, "problem", "unreadable")]
    assert "A fault in survey-plugin itself (KeyError)" in reporting.receipt(broken).events[0].verdicts[0].detail
    assert decided(reporting, whole) == ASKED_BY_MAIL


def test_a_large_message_is_planned_in_turns(reporting):
    first = invite(reporting)
    many = [{"event": "sms.sent", "of": first.reference, "id": str(n)} for n in range(BATCH + 5)]

    receipt_id = reporting.send(many, source="phones").receipt
    reporting.work()

    record = reporting.receipt(first.trigger_id).events[0].deliveries[0]
    assert len(record.reports) == len(many)
    assert all(one.event.planned for one in reporting.receipt(str(receipt_id)).events)


def test_nothing_is_planned_while_something_has_to_be_asked_first(reporting):
    first = invite(reporting)
    receipt_id = report(reporting, "sms.lost", first.reference)
    wait(reporting, waits=True)

    reporting.work()

    assert decided(reporting, receipt_id) == []


def test_what_is_to_be_planned_is_found_by_an_index_that_holds_nothing_else(reporting):
    asked_for: list[str] = []
    with reporting.parts.database.read() as db:
        listen(db.engine, "before_cursor_execute", lambda *call: asked_for.append(call[2]))
        planning.events_to_plan(db, besides=(), limit=1)
    [query] = [one for one in asked_for if "events" in one]
    with reporting.parts.database.read() as db:
        if db.dialect.name == "sqlite":
            plan = db.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", (1, 0)[: query.count("?")]).all()
        else:
            db.exec_driver_sql("SET LOCAL enable_seqscan = off")
            plan = db.exec_driver_sql(f"EXPLAIN {query}", {"most": 1}).all()
    assert "ix_events_to_plan" in str(plan)


# --- what is only tried, removed or forgotten -------------------------------------------------------------------------


def test_a_report_of_a_source_in_state_test_shows_what_would_have_been(reporting):
    reporting.apply(REPORTING.replace("kind: reporter,", "kind: reporter, state: test,"))
    first = invite(reporting)

    receipt_id = report(reporting, "sms.lost", first.reference)
    unmatched = report(reporting, "sms.lost", "nothing")
    reporting.work()

    assert decided(reporting, receipt_id)[1] == ("by-mail", "no", "test_state")
    preview = reporting.receipt(receipt_id).events[0].verdicts[1].preview
    assert preview is not None
    assert preview["parameters"]["email"] == "ada@example.com"
    assert belongs_to(reporting, receipt_id) == first.id
    assert decided(reporting, unmatched) == [(None, "no", "unmatched")]
    assert reporting.counts()["reports"] == 0
    assert asked(reporting) == ["837"]


def test_a_report_whose_source_is_removed_meanwhile_asks_no_rule(reporting):
    first = invite(reporting)
    receipt_id = report(reporting, "sms.lost", first.reference)
    with reporting.parts.database.write() as db:
        remove_source(db, reporting.tenant.id, reporting.source("phones").id, reporting.clock())

    reporting.work()

    assert decided(reporting, receipt_id) == [(None, "no", "source_gone")]


def test_what_follows_from_calls_to_a_person_is_forgotten_with_them(reporting):
    first, other = invite(reporting), invite(reporting, "36", email="bob@example.com")
    of_ada, of_bob = (report(reporting, "sms.lost", one.reference, customer="C-17") for one in (first, other))
    reporting.work()
    parts, tenant_id = reporting.parts, reporting.tenant.id

    found = find_person(parts.database, tenant_id, "ada@example.com", lambda *_: None)
    erased = forget_person(parts.database, parts.mint, tenant_id, "ada@example.com", lambda *_: None)

    assert (found.receipts, erased.receipts) == (2, 2)
    assert reporting.receipt(of_ada).body is None
    assert reporting.receipt(of_bob).body is not None
    record = reporting.receipt(first.trigger_id).events[0].deliveries[0]
    assert [(one.kind, one.words) for one in record.reports] == [("sms.lost", "")]


def test_who_is_forgotten_while_a_report_is_planned_is_not_asked(reporting):
    first = invite(reporting)
    receipt_id = report(reporting, "sms.lost", first.reference)
    parts, tenant_id = reporting.parts, reporting.tenant.id

    slow = Beaten(
        reporting, lambda: forget_person(parts.database, parts.mint, tenant_id, "ada@example.com", lambda *_: None)
    )

    assert slow.turn() == []
    reporting.work()
    assert asked(reporting) == ["837"]
    assert all("ada" not in str(one) for one in reporting.deliveries())
    assert ("by-mail", "problem", "missing") in decided(reporting, receipt_id)


def test_what_was_pending_in_a_backup_is_held_for_a_person(reporting):
    first = invite(reporting)
    report(reporting, "sms.lost", first.reference)
    with reporting.parts.database.write() as db:
        assert hold_unplanned(db, reporting.tenant.id) == 1

    reporting.work()

    assert [(one.state, one.reason) for one in reporting.deliveries()[1:]] == [("uncertain", "restored")]
    assert asked(reporting) == ["837"]


def test_a_delivery_made_for_a_report_is_replayed_with_what_the_first_event_said(reporting):
    first = invite(reporting, subject="Printer on fire")
    report(reporting, "sms.lost", first.reference)
    reporting.work()
    second = reporting.deliveries()[1]

    with reporting.parts.database.write() as db:
        replay_delivery(db, reporting.parts.mint, reporting.tenant.id, second.id, again=True)
    reporting.work()

    assert reporting.vendor.asked[2]["custom2"] == "Printer on fire"
    assert asked(reporting) == ["837", "900", "900"]


# --- chains -----------------------------------------------------------------------------------------------------------


def test_a_chain_ends_after_three_events(reporting):
    reference, told = invite(reporting).reference, []
    for _ in range(4):
        told.append(report(reporting, "sms.lost", reference))
        reporting.work()
        reference = reporting.deliveries()[-1].reference

    assert [reporting.receipt(one).events[0].event.depth for one in told[:3]] == [1, 2, 3]
    assert decided(reporting, told[1]) == ASKED_BY_MAIL
    assert decided(reporting, told[2]) == [(None, "no", "chain_ended")]
    assert asked(reporting) == ["837", "900", "900"]
    assert reporting.vendor.asked[2]["custom1"] == "35"


def test_a_link_that_a_call_has_made_is_an_event_that_rules_act_on(acme):
    acme.apply(LINKS)

    acceptance = acme.close("35", subject="Printer on fire")
    acme.work()

    ticket, link = acme.receipt(acceptance).events
    assert (link.event.kind, link.event.subject, link.event.position) == ("survey.link", "ticket:35", 1)
    assert link.parent is not None
    assert link.parent.delivery_id == ticket.deliveries[0].id
    assert [(one.rule, one.cause) for one in link.verdicts] == [("link", "other_event"), ("tell", "matched")]
    [call] = [call for call in acme.vendor.asked if call.get("cId") == "1"]
    assert call["custom1"] == link.event.values["link.url"]
    assert (call["email"], call["custom2"], call["custom3"]) == ("ada@example.com", "Printer on fire", "1")

    with acme.parts.database.write() as db:
        replay_delivery(db, acme.parts.mint, acme.tenant.id, link.deliveries[0].id, again=True)
    acme.work()
    assert [one for one in acme.vendor.asked if one.get("cId") == "1"][1]["custom1"] == call["custom1"]


def test_a_link_for_which_the_person_was_forgotten_cannot_be_replayed(acme):
    acme.apply(LINKS)
    acceptance = acme.close("35")
    acme.work()
    [_, link] = acme.receipt(acceptance).events
    parts = acme.parts
    forget_person(parts.database, parts.mint, acme.tenant.id, "ada@example.com", lambda *_: None)

    assert acme.receipt(acceptance).events[1].event.values == {}
    with parts.database.write() as db, pytest.raises(ReplayRefused, match="forgotten"):
        replay_delivery(db, parts.mint, acme.tenant.id, link.deliveries[0].id, again=True)


# --- receipts ---------------------------------------------------------------------------------------------------------


def test_both_receipts_lead_to_each_other(reporting):
    first = invite(reporting)
    receipt_id = report(reporting, "sms.lost", first.reference)

    waiting = "\n".join(receipt_lines(reporting.receipt(receipt_id)))
    reporting.work()
    parent = "\n".join(receipt_lines(reporting.receipt(first.trigger_id)))
    child = "\n".join(receipt_lines(reporting.receipt(receipt_id)))

    assert "waits for a worker, which asks the rules" in waiting
    assert "what is known since: SMS lost" in parent
    assert f"SMS lost, by receipt {receipt_id}" in parent
    assert "“sms_lost”" in parent
    assert "SMS lost: ticket:35, closing number 1" in child
    assert f"belongs to delivery {first.id} of receipt {first.trigger_id}" in child
