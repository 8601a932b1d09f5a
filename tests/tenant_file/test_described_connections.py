"""A connection that describes its vendor itself, from the tenant's file to the receipt."""

from __future__ import annotations

import pytest

from plugin.errors import TenantFileInvalid
from plugin.tenant_file import dump_document
from tests.acme import ACME, verdicts

OWN = """
      origin: $sandbox
      path: /custom/{survey}
      headers: {Authorization: "Bearer {secret:token}"}
      json: '{"to": "{email}", "ticket": "{ticket}", "score": "{score}"}'
      secrets: {token: kw-token-canary}
      parameters:
        survey: {required: true}
        email: {kind: email, required: true}
        ticket: {max_length: 10}
        score: {kind: number}
      answers:
        - {look: [{at: message, contains: cannot be invited}], means: rejected, reason: refused, words: message}
        - {look: [{at: state, is: queued}], means: accepted, reference: invitation.id}
"""
HEAD, _, _ = ACME.partition("connections:")
PARAMETERS = 'survey: s-17, email: "{{ person.email }}", ticket: "{{ ticket.id }}"'
KWESTIA = f"""{HEAD}connections:
  - name: kwestia
    vendor: custom
    settings:{OWN}
rules:
  - name: csat
    when: {{events: [ticket.closed]}}
    connection: kwestia
    call: send
    parameters: {{{PARAMETERS}}}
"""


def refused(acme, text):
    with pytest.raises(TenantFileInvalid) as caught:
        acme.apply(text)
    assert "kw-token-canary" not in str(caught.value)
    return [str(problem) for problem in caught.value.problems]


# --- saving -----------------------------------------------------------------------------------------------------------


def test_a_rule_is_checked_by_what_its_connection_declares(acme):
    found = refused(acme, KWESTIA.replace("survey: s-17", "surwey: s-17"))
    assert found == [
        "rules[0].parameters.surwey: send has no such parameter; it has: survey, email, ticket, score.",
        "rules[0].parameters.survey: is required by send.",
    ]


def test_a_faulty_connection_is_told_alone(acme):
    [problem] = refused(acme, KWESTIA.replace("/custom/{survey}", "/custom/{surwey}"))
    assert problem.startswith("connections[0].settings.path: has a slot {surwey}, and `parameters` declares no surwey")


def test_faults_within_rows_and_names_are_told_in_their_places(acme):
    text = KWESTIA.replace("kind: number", "kind: date").replace("means: rejected", "means: no")
    assert [problem.partition(": ")[0] for problem in refused(acme, text)] == [
        "connections[0].settings.parameters.score.kind",
        "connections[0].settings.answers[0].means",
    ]


def test_its_secrets_are_exported_only_on_demand_and_kept_when_they_come_back(acme):
    acme.apply(KWESTIA)
    stored = acme.stored()

    exported = dump_document(stored)
    assert "kw-token-canary" not in exported + repr(stored)
    assert "token: {secret: set}" in exported
    assert acme.apply(exported).changes == ()
    assert acme.stored() == stored
    assert "kw-token-canary" in dump_document(stored, with_secrets=True)


def test_a_changed_secret_is_told_and_not_shown(acme):
    acme.apply(KWESTIA)
    applied = acme.apply(KWESTIA.replace("kw-token-canary", "another-token"))
    assert [str(change) for change in applied.changes] == [
        "connection kwestia: settings.secrets.token changes (not shown)."
    ]


def test_no_secret_of_it_stands_readable_in_the_database(acme):
    acme.apply(KWESTIA)
    with acme.parts.database.read() as db:
        rows = [
            *db.exec_driver_sql("SELECT settings FROM connections"),
            *db.exec_driver_sql("SELECT definition FROM rules"),
            *db.exec_driver_sql("SELECT sealed FROM configurations"),
        ]
    assert "kw-token" not in str(rows)


# --- planning and calling ---------------------------------------------------------------------------------------------


def test_a_closed_ticket_makes_the_described_call(acme):
    acme.apply(KWESTIA)
    acme.close("35")
    acme.work()

    delivery = acme.delivery()
    assert (delivery.state, delivery.vendor_reference) == ("accepted", "inv-7001")
    [call] = acme.vendor.received
    assert (call.method, call.path) == ("POST", ("custom", "s-17"))
    assert call.body == b'{"to": "ada@example.com", "ticket": "35"}'


def test_the_table_of_answers_decides(acme):
    acme.apply(KWESTIA)
    acme.close(requester={"email": "refused@example.com"})
    acme.work()

    delivery = acme.delivery()
    assert (delivery.state, delivery.reason) == ("rejected", "refused")
    assert delivery.attempts[-1].words == "This contact cannot be invited."


def test_a_value_that_does_not_suit_the_connection_is_a_problem_of_that_event(acme):
    acme.apply(KWESTIA)
    assert verdicts(acme.close("12345678901")) == [("problem", "too_long")]
    assert verdicts(acme.close(requester={"email": ""})) == [("problem", "missing")]
    assert acme.deliveries() == []


def test_a_call_that_waits_is_made_as_the_connection_says_then(acme):
    acme.apply(KWESTIA)
    acme.close("35")
    acme.apply(KWESTIA.replace('"ticket": "{ticket}"', '"case": "{ticket}"'))
    acme.work()

    [call] = acme.vendor.received
    assert call.body == b'{"to": "ada@example.com", "case": "35"}'


def test_a_call_that_does_not_fit_its_connection_any_more_is_rejected_and_not_sent(acme):
    acme.apply(KWESTIA)
    acme.close("35")
    changed = KWESTIA.replace("/custom/{survey}", "/custom/{survey}/{team}")
    changed = changed.replace("ticket: {max_length: 10}", "ticket: {max_length: 10}\n        team: {required: true}")
    acme.apply(changed.replace("survey: s-17,", "survey: s-17, team: blue,"))
    acme.work()

    delivery = acme.delivery()
    assert (delivery.state, delivery.reason) == ("rejected", "invalid_call")
    assert (
        delivery.attempts[-1].words
        == "The call does not fit its connection: {team} is a part of the path and has no value."
    )
    assert acme.vendor.received == []
