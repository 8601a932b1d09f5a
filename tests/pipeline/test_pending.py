"""Events that a worker plans: reports of what became of a delivery, and what its call has told."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from plugin.pipeline.pending import Planner
from plugin.store import planning, receipts
from tests.acme import ACME, Acme
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
    '      custom1: "{{ ticket.id }}"\n  - name: by-mail',
    '      custom1: "{{ ticket.id }}"\n      crk: "crk-{{ ticket.id }}"\n  - name: by-mail',
)
BY_PERSON = REPORTING.replace("match: reference", "match: person")
#: Every lost SMS asks once more through the same connection, whose SMS may be lost as well.
CIRCLE = REPORTING.replace('cId: "900"', 'cId: "circle"')
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
    parameters: {cId: "1", email: "{{ person.email }}", custom1: "{{ link.url }}", custom2: "{{ payload.ticket.subject }}",
      custom3: "{{ episode.number }}"}
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
        other = reporting.parts.database  # the same database, another tenant
        assert other is not None
        row = db.execute(text("SELECT id FROM tenants WHERE slug = 'other'")).scalar_one()
        assert planning.kinds_reported(db, [first.id]) == {first.id: []}
    from plugin.pipeline.belonging import find_delivery
    from plugin.registry import Belonging, MatchBy

    with reporting.parts.database.read() as db:
        assert find_delivery(db, row, Belonging(MatchBy.REFERENCE, first.reference), "reporter") is None
        assert find_delivery(db, row, Belonging(MatchBy.PERSON, "ada@example.com"), "reporter") is None
