"""Re-openings of senders that say where a ticket has come to, and not where it came from."""

from __future__ import annotations

import json

import pytest

from plugin.pipeline.rereading import read_again
from plugin.registry import InboundRequest
from plugin.store.origins import origin_of
from tests.acme import ACME, verdicts
from tests.triggers.sender_hubspot import SECRET, prove

HUBSPOT = (
    ACME.replace(
        "connections:",
        f"  - name: hub\n    kind: hubspot\n    credentials: {{client_secret: {SECRET}}}\n"
        '    settings: {portal_id: "62515", closed_stages: "4"}\nconnections:',
    )
    + """
  - name: again
    when: {events: [ticket.reopened]}
    connection: lab
    call: add_respondent
    parameters: {cId: "838", email: "somebody@example.com"}
"""
)


@pytest.fixture
def moves(acme):
    """Sends a ticket's ways through its pipeline, one request each or all in one."""
    acme.apply(HUBSPOT)

    def send(*stages):
        events = []
        for stage in stages:
            acme.clock.advance(seconds=1)
            at = int(acme.clock().timestamp() * 1000)
            event = {"eventId": at, "subscriptionId": 1, "portalId": 62515, "objectId": 35, "occurredAt": at}
            changed = {"propertyName": "hs_pipeline_stage", "propertyValue": stage}
            events.append({**event, "subscriptionType": "ticket.propertyChange", **changed})
        request = InboundRequest("POST", "", {}, json.dumps(events).encode(), url="https://survey.example.com/x")
        return acme.parts.acceptor.accept(acme.source("hub"), prove(request, acme.clock()))

    return send


def kinds(acceptance):
    return [event.kind for event in acceptance.events]


def test_a_ticket_on_its_way_through_the_stages_is_not_opened_again(acme, moves):
    acceptances = [moves("1"), moves("2"), moves("3", "1")]

    assert [kind for one in acceptances for kind in kinds(one)] == ["unsupported"] * 4
    [record] = acme.receipt(acceptances[0]).events
    assert "stage 1" in record.event.notes[0]
    assert "No closing of this ticket is known" in record.event.notes[1]
    assert not acme.deliveries()


def test_a_closed_ticket_that_comes_to_another_stage_is_opened_again_once(moves):
    assert kinds(moves("4")) == ["ticket.closed"]
    reopened = moves("2")
    assert kinds(reopened) == ["ticket.reopened"]
    assert ("ask", "matched") in verdicts(reopened)
    assert kinds(moves("1")) == ["unsupported"]


def test_all_of_it_may_stand_in_one_request(acme, moves):
    acceptance = moves("1", "4", "2", "3", "4")

    assert kinds(acceptance) == ["unsupported", "ticket.closed", "ticket.reopened", "unsupported", "ticket.closed"]
    numbers = [record.event.episode_number for record in acme.receipt(acceptance).events]
    assert (numbers[1], numbers[4]) == (1, 2)


def test_what_is_only_tried_ends_no_closing(acme, moves):
    moves("4")
    acme.apply(HUBSPOT.replace("kind: hubspot", "kind: hubspot\n    state: test"))
    assert kinds(moves("2")) == ["unsupported"]
    acme.apply(HUBSPOT)
    assert kinds(moves("2")) == ["ticket.reopened"]


def test_what_it_was_taken_for_stands_when_the_message_is_read_again(acme, moves):
    events = [acceptance.events[0].id for acceptance in (moves("2"), moves("4"), moves("1"))]

    with acme.parts.database.read() as db:
        again = [read_again(db, acme.tenant.id, origin_of(db, acme.tenant.id, event)) for event in events]
    assert [event.kind for event in again] == ["unsupported", "ticket.closed", "ticket.reopened"]
