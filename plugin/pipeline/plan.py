"""Planning an event: rule, mapping, then what the vendor's schema says of the values. Decides, stores nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

from marshmallow import ValidationError
from marshmallow.fields import Field

from plugin import registry
from plugin.domain.episode import Episode
from plugin.domain.event import Event
from plugin.domain.language import language_tag, translate_language
from plugin.domain.mapping import Filled, Values, fill
from plugin.domain.rule import Rule, choose_rules
from plugin.domain.verdict import Cause, Decision, Verdict
from plugin.errors import Problem, flatten_problems
from plugin.store.rules import BoundRule

#: Where several things are wrong with one mapping, the verdict carries the first of these.
_WORST_FIRST: Final = (Cause.TEMPLATE, Cause.UNRENDERED, Cause.MISSING, Cause.TOO_LONG)


@dataclass(frozen=True)
class PlannedCall:
    """A survey call to be made. parameters are what the vendor gets, by its own names."""

    bound: BoundRule
    reference: str
    step: str
    parameters: Mapping[str, str]


@dataclass(frozen=True)
class PlannedVerdict:
    """call: set when the verdict is to be acted on. preview: the call that a source in state test only shows."""

    verdict: Verdict
    rule_id: str | None
    call: PlannedCall | None = None
    preview: PlannedCall | None = None


@dataclass(frozen=True)
class Circumstances:
    """What is known around an event.

    episode: which closing it is part of, if any. repeated: that closing has been planned before.
    test: its source is in state test. language: for people whose own is unknown. wish: a sentence about who said that
    its person wants no more invitations.
    """

    source: str
    test: bool
    episode: Episode | None
    repeated: bool
    language: str
    wish: str | None = None


def plan_event(
    event: Event, rules: Sequence[BoundRule], around: Circumstances, new_reference: Callable[[], str]
) -> list[PlannedVerdict]:
    """One planned verdict for each rule, in order; a single one without a rule when there are none."""
    bound_by_id = {bound.rule.id: bound for bound in rules}
    lookup = Values(event, _known_around(event, around)).lookup

    @cache
    def plan(rule_id: str) -> PlannedVerdict:
        bound = bound_by_id[rule_id]
        if around.repeated:
            return PlannedVerdict(Verdict(bound.rule.name, Decision.NO, Cause.SAME_EPISODE), rule_id)
        return plan_call(bound, event, around, new_reference())

    def takes(rule: Rule) -> bool:
        return plan(rule.id).verdict.decision is not Decision.PROBLEM

    chosen = choose_rules([bound.rule for bound in rules], around.source, event.kind, lookup, takes)
    return [
        plan(rule.id)
        if rule is not None and verdict.decision is Decision.ASK
        else PlannedVerdict(verdict, rule.id if rule is not None else None)
        for rule, verdict in chosen
    ]


def plan_call(bound: BoundRule, event: Event, around: Circumstances, reference: str) -> PlannedVerdict:
    """Fill one rule's mapping for an event that the rule applies to, and check it by the vendor's schema."""
    rule = bound.rule
    call = registry.vendor(bound.vendor).VENDOR.calls.get(rule.call)
    if call is None:
        missing = Verdict(rule.name, Decision.PROBLEM, Cause.TEMPLATE, f"{bound.vendor} has no call named {rule.call}.")
        return PlannedVerdict(missing, rule.id)
    if call.invites and around.wish is not None:
        return PlannedVerdict(Verdict(rule.name, Decision.NO, Cause.OPTED_OUT, around.wish), rule.id)
    schema = registry.parameters(call, rule.described)
    required = [name for name, field in schema.fields.items() if field.required]
    templates = {**call.defaults, **rule.parameters}
    language = _language_of(event, around)
    word = translate_language(language, bound.languages)
    known = {**_known_around(event, around), "delivery.reference": reference, "person.language": word}
    filled = fill(templates, Values(event, known), required=required)
    if word != language and any("person.language" in template for template in templates.values()):
        filled = replace(filled, warnings=(*filled.warnings, f"{rule.connection} is told {word} for {language}."))
    if filled.problems:
        return PlannedVerdict(_problem_verdict(rule, filled), rule.id)
    try:
        parameters = schema.load(filled.values)
    except ValidationError as error:
        return PlannedVerdict(_refused_verdict(rule, filled, error, schema.fields), rule.id)
    planned = PlannedCall(bound, reference, call.steps[0].name, parameters)
    if around.test:
        verdict = Verdict(rule.name, Decision.NO, Cause.TEST_STATE, warnings=filled.warnings)
        return PlannedVerdict(verdict, rule.id, preview=planned)
    return PlannedVerdict(Verdict(rule.name, Decision.ASK, Cause.MATCHED, warnings=filled.warnings), rule.id, planned)


def _known_around(event: Event, around: Circumstances) -> dict[str, str]:
    known: dict[str, str] = {}
    if around.episode is not None:
        known |= {"episode.id": around.episode.id, "episode.number": str(around.episode.number)}
    known["person.language"] = _language_of(event, around)
    return known


def _language_of(event: Event, around: Circumstances) -> str:
    told = event.values.get("person.language")
    return (language_tag(told) if isinstance(told, str) else None) or around.language


def _problem_verdict(rule: Rule, filled: Filled) -> Verdict:
    causes = {problem.cause for problem in filled.problems}
    worst = next(cause for cause in _WORST_FIRST if cause in causes)
    detail = " ".join(f"{problem.parameter}: {problem.message}" for problem in filled.problems)
    return Verdict(rule.name, Decision.PROBLEM, worst, detail, filled.warnings)


def _refused_verdict(rule: Rule, filled: Filled, error: ValidationError, fields: Mapping[str, Field[Any]]) -> Verdict:
    """What the vendor's schema says of the filled values."""
    problems = flatten_problems("", error.messages)
    cause = Cause.TOO_LONG if any(_is_too_long(problem, filled, fields) for problem in problems) else Cause.TEMPLATE
    return Verdict(rule.name, Decision.PROBLEM, cause, " ".join(map(str, problems)), filled.warnings)


def _is_too_long(problem: Problem, filled: Filled, fields: Mapping[str, Field[Any]]) -> bool:
    if problem.place not in fields:
        return False
    longest = fields[problem.place].metadata.get("max_length")
    return longest is not None and len(filled.values.get(problem.place, "")) > longest
