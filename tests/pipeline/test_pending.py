"""Events that a worker plans: reports of what became of a delivery, and what its call has told."""

from __future__ import annotations

from typing import Any

import pytest

from tests.acme import ACME, Acme, closing
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


@pytest.fixture
def reporting(acme: Acme, monkeypatch: pytest.MonkeyPatch) -> Acme:
    """Acme with a source that reports, and a rule that asks once more, by mail, where an SMS was lost."""
    install(monkeypatch)
    acme.apply(REPORTING)
    return acme


def report(acme: Acme, kind: str, of: str | None, **values: Any) -> str:
    """A report comes in; gives its receipt."""
    acceptance = acme.send([{"event": kind, "of": of, **values}], source="phones")
    return str(acceptance.receipt)


def decided(acme: Acme, receipt_id: str) -> list[tuple[str | None, str, str]]:
    [record] = acme.receipt(receipt_id).events
    return [(one.rule, one.decision, one.cause) for one in record.verdicts]


def asked(acme: Acme) -> list[str]:
    """For which surveys somebody was asked, in the order of the calls."""
    return [call["cId"] for call in acme.vendor.asked]


def test_a_report_asks_the_rules_with_what_the_delivery_was_made_of(reporting):
    reporting.send(closing("35", subject="Printer on fire"))
    reporting.work()
    [first] = reporting.deliveries()

    receipt_id = report(reporting, "sms.lost", first.reference)
    reporting.work()

    assert decided(reporting, receipt_id) == [("csat", "no", "other_event"), ("by-mail", "ask", "matched")]
    asked = reporting.vendor.asked[1]
    assert (asked["cId"], asked["email"], asked["custom1"]) == ("900", "ada@example.com", "35")
    assert (asked["custom2"], asked["custom3"]) == ("Printer on fire", "1")
