from __future__ import annotations

import pytest

from plugin.domain.episode import Episode
from plugin.domain.event import Event, EventKind, tidy_values
from plugin.domain.rule import Condition, Rule
from plugin.pipeline.plan import Circumstances, plan_event
from plugin.store.rules import BoundRule
from tests.acme import ACME, closing, verdicts

PARAMETERS = {"cId": "837", "email": "{{ person.email }}"}


def event(kind=EventKind.TICKET_CLOSED, **values):
    sent = {"ticket.id": "35", "ticket.requester.email": "ada@example.com", **values}
    tidied = tidy_values({name.replace("__", "."): value for name, value in sent.items()})
    return Event(kind, id="sent-1", subject="ticket:35", values=tidied.values, unrendered=tidied.unrendered)


def rule(name="csat", vendor="surveylab", call="add_respondent", parameters=None, **more):
    more.setdefault("events", (EventKind.TICKET_CLOSED,))
    made = Rule(name, name, "lab", call, parameters=PARAMETERS if parameters is None else parameters, **more)
    return BoundRule(made, "connection-1", vendor)


def plan(happened, *rules, **around):
    given = {"source": "desk", "test": False, "episode": Episode("e1", 7), "repeated": False, "language": "pl"}
    return plan_event(happened, rules, Circumstances(**{**given, **around}), lambda: "r" * 26)


def test_a_rule_that_applies_gives_a_call_by_the_vendors_own_names():
    [planned] = plan(event(), rule())

    assert (planned.verdict.decision, planned.verdict.cause) == ("ask", "matched")
    assert planned.call.parameters == {"cId": "837", "email": "ada@example.com", "crk": "r" * 26}
    assert (planned.call.step, planned.call.reference, planned.preview) == ("add", "r" * 26, None)


@pytest.mark.parametrize(
    ("happened", "bound", "around", "expected"),
    [
        (event(), rule(enabled=False), {}, ("no", "disabled")),
        (event(), rule(sources=("chat",)), {}, ("no", "other_source")),
        (event(EventKind.CHAT_ENDED), rule(), {}, ("no", "other_event")),
        (event(), rule(conditions=(Condition("ticket.id", "is", "36"),)), {}, ("no", "condition")),
        (event(), rule(), {"repeated": True}, ("no", "same_episode")),
        (event(), rule(), {"test": True}, ("no", "test_state")),
        (event(ticket__requester__email=""), rule(), {}, ("problem", "missing")),
        (event(ticket__requester__email="{{ticket.email}}"), rule(), {}, ("problem", "unrendered")),
        (event(), rule(parameters={"email": "ada@example.com"}), {}, ("problem", "missing")),
        (event(), rule(parameters={**PARAMETERS, "custom1": "{{ 1 | divided_by: 0 }}"}), {}, ("problem", "template")),
        (event(ticket__requester__email="ada"), rule(), {}, ("problem", "template")),
        (event(), rule(parameters={**PARAMETERS, "crk": "x" * 65}), {}, ("problem", "too_long")),
        (event(), rule(call="gone"), {}, ("problem", "template")),
    ],
)
def test_each_cause_of_a_no_has_its_verdict_and_no_call(happened, bound, around, expected):
    [planned] = plan(happened, bound, **around)

    assert (planned.verdict.decision, planned.verdict.cause) == expected
    assert planned.call is None


def test_a_tenant_without_rules_gets_one_verdict_that_says_so():
    [planned] = plan(event())

    assert (planned.rule_id, planned.verdict.rule, planned.verdict.cause) == (None, None, "no_rule")


def test_a_rule_that_stops_leaves_nothing_to_the_next():
    first, second = plan(event(), rule("first", stop=True), rule("second"))

    assert first.call is not None
    assert (second.verdict.cause, second.call) == ("stopped", None)


def test_a_rule_that_stops_but_cannot_ask_leaves_the_event_to_the_next():
    broken = {**PARAMETERS, "email": "{{ ticket.assignee.email }}"}

    first, second = plan(event(), rule("first", stop=True, parameters=broken), rule("second"))

    assert (first.verdict.decision, first.verdict.cause) == ("problem", "missing")
    assert second.verdict.decision == "ask"


def test_a_rule_that_stops_does_so_in_state_test_and_when_a_closing_is_repeated():
    for around in ({"test": True}, {"repeated": True}):
        _, second = plan(event(), rule("first", stop=True), rule("second"), **around)
        assert second.verdict.cause == "stopped"


def test_state_test_shows_the_call_that_would_have_been_made():
    [planned] = plan(event(), rule(), test=True)

    assert planned.preview.parameters["email"] == "ada@example.com"


def test_an_optional_parameter_without_a_value_is_left_out_with_a_warning():
    [planned] = plan(event(), rule(parameters={**PARAMETERS, "phone": "{{ person.phone }}"}))

    assert "phone" not in planned.call.parameters
    assert "phone is left out" in planned.verdict.warnings[0]


def test_a_problem_names_each_parameter_but_no_value():
    [planned] = plan(
        event(ticket__requester__email="ada@@example.com"), rule(parameters={**PARAMETERS, "crk": "x" * 65})
    )

    assert planned.verdict.detail == "email: is not an e-mail address. crk: is longer than 64 characters."


def test_a_default_of_the_call_gives_way_to_the_rule():
    [planned] = plan(event(), rule(parameters={**PARAMETERS, "crk": "{{ ticket.id }}"}))

    assert planned.call.parameters["crk"] == "35"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, "pl"),
        ({"ticket__requester__language": "cs"}, "cs"),
        ({"ticket__requester__language": "{{ticket.requester.language}}"}, "pl"),
    ],
)
def test_a_person_whose_language_is_unknown_gets_the_tenants(values, expected):
    [planned] = plan(event(**values), rule(parameters={**PARAMETERS, "language": "{{ person.language }}"}))

    assert planned.call.parameters["language"] == expected


def test_a_mapping_may_speak_of_the_event_the_episode_and_the_delivery():
    told = "{{ event.id }} {{ event.kind }} {{ episode.id }} {{ episode.number }} {{ delivery.reference }}"

    [planned] = plan(event(), rule(parameters={**PARAMETERS, "custom1": told}))

    assert planned.call.parameters["custom1"] == f"sent-1 ticket.closed e1 7 {'r' * 26}"


def test_each_rule_gets_a_reference_of_its_own():
    references = iter(["a" * 26, "b" * 26])
    around = Circumstances("desk", test=False, episode=None, repeated=False, language="pl")

    planned = plan_event(event(), [rule("first"), rule("second")], around, lambda: next(references))

    assert [one.call.reference for one in planned] == ["a" * 26, "b" * 26]


def test_the_verdicts_of_a_stored_event_are_those_that_were_planned(acme):
    acme.apply(
        ACME.replace("- name: csat", "- name: csat\n    stop: true")
        + """
  - name: later
    when: {events: [ticket.closed]}
    connection: lab
    call: add_respondent
    parameters: {cId: "838", email: "{{ person.email }}"}
  - name: chats
    when: {events: [chat.ended]}
    connection: lab
    call: add_respondent
    parameters: {cId: "838", email: "{{ person.email }}"}
"""
    )

    asked = acme.close("35")
    lacking = acme.close("36", email=None)

    assert verdicts(asked) == [("ask", "matched"), ("no", "stopped"), ("no", "other_event")]
    assert verdicts(lacking)[0] == ("problem", "missing")
    assert len(acme.deliveries()) == 1


def test_a_chat_without_an_address_is_a_problem_and_still_has_its_receipt(acme):
    acceptance = acme.send({"event": "chat.ended", "chat": {"id": "c1"}}, source="any")

    [record] = acme.receipt(acceptance).events
    assert (record.event.kind, record.verdicts[0].cause) == ("chat.ended", "missing")
    assert record.verdicts[0].detail


def test_the_tenants_language_reaches_the_vendor(acme):
    acme.send(closing("35"))

    assert acme.delivery().parameters["language"] == "pl"
