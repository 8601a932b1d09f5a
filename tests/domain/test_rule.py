"""Conditions compare as documented, and each rule gives one verdict with its cause."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugin.domain.event import EventKind
from plugin.domain.rule import OPERATORS, AnyOf, Condition, Rule, choose_rules, matches_glob
from plugin.domain.verdict import Cause, Decision, Verdict

FIELDS = {
    "title": "Printer on FIRE",
    "tags": ("VIP", "no_survey"),
    "count": "10",
    "price": "9.90",
    "huge": "900719925474099312",
    "time": "2026-11-03T16:05:12Z",
    "day": "2026-11-03",
    "street": "Hauptstraße",
    "empty_like": "0",
}


def lookup(name):
    return FIELDS.get(name)


@pytest.mark.parametrize(
    ("field", "op", "value", "holds"),
    [
        ("title", "is", "printer on fire", True),
        ("title", "is", "printer", False),
        ("street", "is", "HAUPTSTRASSE", True),
        ("tags", "is", "vip no_survey", True),
        ("count", "is", "10.0", False),
        ("title", "is_not", "printer", True),
        ("title", "is_not", "PRINTER ON fire", False),
        ("title", "contains", "ON f", True),
        ("title", "contains", "water", False),
        ("tags", "contains", "vip", True),
        ("tags", "contains", "vi", False),
        ("tags", "excludes", "no_survey", False),
        ("tags", "excludes", "no_", True),
        ("title", "excludes", "fire", False),
        ("title", "excludes", "water", True),
        ("title", "starts_with", "PRINTER", True),
        ("title", "starts_with", "on", False),
        ("title", "like", "printer*", True),
        ("title", "like", "*ON*", True),
        ("title", "like", "printer", False),
        ("title", "like", "p?inter on fire", True),
        ("title", "in", ("scanner", "PRINTER ON FIRE"), True),
        ("title", "in", ("scanner",), False),
        ("title", "in", (), False),
        ("title", "in", "printer on fire", True),
        ("tags", "in", ("gold", "vip"), True),
        ("tags", "in", ("gold", "vi"), False),
        ("title", "not_in", ("scanner",), True),
        ("title", "not_in", ("printer on fire",), False),
        ("tags", "not_in", ("vip",), False),
        ("title", "present", "", True),
        ("empty_like", "present", "", True),
        ("title", "absent", "", False),
        ("count", "greater", "9", True),
        ("count", "greater", "10", False),
        ("count", "greater", "9.99", True),
        ("count", "less", "1e2", True),
        ("count", "less", "-5", False),
        ("price", "greater", "9.9", False),
        ("huge", "greater", "900719925474099311", True),
        ("time", "greater", "2026-11-03T17:05:11+01:00", True),
        ("time", "less", "2026-11-03T16:05:13", True),
        ("time", "greater", "2026-11-03", True),
        ("day", "less", "2026-11-04", True),
        ("time", "greater", "0001-01-01T00:00:00+23:59", True),
        # not comparable: false both ways
        ("title", "greater", "5", False),
        ("title", "less", "5", False),
        ("count", "greater", "many", False),
        ("count", "less", "2026-11-03", False),
        ("count", "greater", "nan", False),
        ("count", "less", "infinity", False),
        ("tags", "less", "5", False),
    ],
)
def test_an_operator_compares_as_text_without_case_and_numbers_and_times_as_such(field, op, value, holds):
    assert Condition(field, op, value).holds(lookup) is holds


@pytest.mark.parametrize("op", OPERATORS)
def test_a_missing_field_makes_only_the_negative_operators_true(op):
    assert Condition("nothing", op, "x").holds(lookup) is (op in {"is_not", "excludes", "not_in", "absent"})


@pytest.mark.parametrize(
    ("any_of", "holds"),
    [
        (AnyOf((Condition("title", "is", "x"), Condition("count", "is", "10"))), True),
        (AnyOf((Condition("title", "is", "x"), Condition("count", "is", "11"))), False),
        (AnyOf(()), False),
        (AnyOf((AnyOf((Condition("title", "is", "x"), AnyOf((Condition("tags", "contains", "vip"),)))),)), True),
        (AnyOf((AnyOf((Condition("title", "is", "x"),)),)), False),
    ],
)
def test_any_holds_when_one_of_its_conditions_does_however_deep(any_of, holds):
    assert any_of.holds(lookup) is holds


def test_a_condition_is_shown_in_words_for_the_receipt():
    shown = AnyOf((Condition("ticket.type", "in", ("a", "b")), Condition("ticket.id", "present")))
    assert str(shown) == "any of (ticket.type in a, b; ticket.id present)"


# --- globs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "pattern", "matches"),
    [
        ("", "", True),
        ("", "*", True),
        ("", "?", False),
        ("a", "", False),
        ("abc", "abc", True),
        ("abc", "a*c", True),
        ("abc", "*b*", True),
        ("abc", "a?c", True),
        ("abc", "a?", False),
        ("abcabc", "*abc", True),
        ("abcabd", "*abc", False),
        ("a*c", "a*c", True),
        ("a.c", "a.c", True),
        ("abc", "a.c", False),
        ("[a]", "[a]", True),
        ("žluť", "ž??ť", True),
        ("a\nb", "a*b", True),
    ],
)
def test_a_glob_knows_star_and_question_mark_and_nothing_else(text, pattern, matches):
    assert matches_glob(text, pattern) is matches


@settings(max_examples=400, deadline=None)
@given(st.text("ab*?\n", max_size=12), st.text("ab*?", max_size=8))
def test_a_glob_agrees_with_a_regular_expression(text, pattern):
    expression = "".join({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in pattern)
    assert matches_glob(text, pattern) is (re.fullmatch(expression, text, re.DOTALL) is not None)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("pattern", ["*a" * 200 + "b", "*" + "a" * 500 + "b", "*" * 1000 + "b", "?*" * 300 + "b"])
def test_a_hostile_glob_takes_one_step_for_each_character(pattern):
    assert matches_glob("a" * 200_000, pattern) is False


# --- verdicts ---------------------------------------------------------------------------------------------------------


def rule(name, **changes):
    return Rule(
        **{"id": name, "name": name, "connection": "lab", "call": "ask", "events": (EventKind.TICKET_CLOSED,)} | changes
    )


def judge(*rules):
    return [verdict for _, verdict in choose_rules(rules, "support", EventKind.TICKET_CLOSED, lookup)]


def test_a_tenant_without_rules_gets_one_verdict_that_says_so():
    assert choose_rules([], "support", EventKind.TICKET_CLOSED, lookup) == [
        (None, Verdict(None, Decision.NO, Cause.NO_RULE))
    ]


@pytest.mark.parametrize(
    ("changes", "decision", "cause"),
    [
        ({}, Decision.ASK, Cause.MATCHED),
        ({"sources": ("support",)}, Decision.ASK, Cause.MATCHED),
        ({"conditions": (Condition("tags", "contains", "vip"),)}, Decision.ASK, Cause.MATCHED),
        ({"enabled": False}, Decision.NO, Cause.DISABLED),
        ({"sources": ("chat", "crm")}, Decision.NO, Cause.OTHER_SOURCE),
        ({"sources": ()}, Decision.NO, Cause.OTHER_SOURCE),
        ({"events": (EventKind.CHAT_ENDED,)}, Decision.NO, Cause.OTHER_EVENT),
        ({"conditions": (Condition("tags", "excludes", "no_survey"),)}, Decision.NO, Cause.CONDITION),
        (
            {"conditions": (Condition("tags", "contains", "vip"), Condition("nothing", "present"))},
            Decision.NO,
            Cause.CONDITION,
        ),
        # the first obstacle is the one that is told
        ({"enabled": False, "sources": ("chat",)}, Decision.NO, Cause.DISABLED),
        ({"sources": ("chat",), "events": (EventKind.SMS_LOST,)}, Decision.NO, Cause.OTHER_SOURCE),
        (
            {"events": (EventKind.SMS_LOST,), "conditions": (Condition("nothing", "present"),)},
            Decision.NO,
            Cause.OTHER_EVENT,
        ),
    ],
)
def test_a_rule_decides_with_the_first_cause_that_applies(changes, decision, cause):
    [verdict] = judge(rule("csat", **changes))
    assert (verdict.rule, verdict.decision, verdict.cause) == ("csat", decision, cause)


def test_the_detail_names_the_condition_that_does_not_hold():
    [verdict] = judge(rule("csat", conditions=(Condition("tags", "excludes", "no_survey"),)))
    assert verdict.detail == "Does not hold: tags excludes no_survey."


def test_every_rule_gives_a_verdict_in_order_beside_the_rule_it_came_from():
    rules = [rule("a"), rule("b", enabled=False), rule("c")]
    chosen = choose_rules(rules, "support", EventKind.TICKET_CLOSED, lookup)
    assert [(found, verdict.rule, verdict.cause) for found, verdict in chosen] == [
        (rules[0], "a", Cause.MATCHED),
        (rules[1], "b", Cause.DISABLED),
        (rules[2], "c", Cause.MATCHED),
    ]


def test_a_rule_that_stops_keeps_the_event_from_later_rules_only_when_it_asks():
    stopping = rule("first", stop=True)
    idle = rule("idle", stop=True, conditions=(Condition("nothing", "present"),))
    assert [verdict.cause for verdict in judge(idle, rule("next"))] == [Cause.CONDITION, Cause.MATCHED]
    assert [verdict.cause for verdict in judge(stopping, rule("next"))] == [Cause.MATCHED, Cause.STOPPED]
    assert "first" in judge(stopping, rule("next"))[1].detail


def test_a_later_rule_that_would_not_ask_anyway_keeps_its_own_cause():
    assert [verdict.cause for verdict in judge(rule("a", stop=True), rule("b", enabled=False))] == [
        Cause.MATCHED,
        Cause.DISABLED,
    ]


@pytest.mark.parametrize("cause", Cause)
def test_every_cause_has_a_sentence(cause):
    assert cause.sentence.endswith(".")
