"""Rules: which events, which people, which survey call; and what each of them decides about one event."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from plugin.domain.event import EventKind, Value
from plugin.domain.schedule import Ask
from plugin.domain.verdict import Cause, Decision, Verdict

OPERATORS: Final = (
    "is", "is_not", "contains", "excludes", "starts_with", "like", "in", "not_in", "present", "absent", "greater",
    "less",
)  # fmt: skip

#: Operators that take no value, and those that take a list of them.
VALUELESS: Final = frozenset({"present", "absent"})
LISTED: Final = frozenset({"in", "not_in"})

#: What an operator says of a missing field.
_TRUE_WHEN_MISSING: Final = frozenset({"is_not", "excludes", "not_in", "absent"})

#: Finds a placeholder's value by name; None when the event has none.
Lookup = Callable[[str], Value | None]


@dataclass(frozen=True)
class Condition:
    """field op value. value is a tuple for `in` and `not_in`, empty for `present` and `absent`."""

    field: str
    op: str
    value: str | tuple[str, ...] = ""

    def holds(self, lookup: Lookup) -> bool:
        found = lookup(self.field)
        if found is None:
            return self.op in _TRUE_WHEN_MISSING
        return _TESTS[self.op](_folded(found), _folded(self.value))

    def __str__(self) -> str:
        value = ", ".join(self.value) if isinstance(self.value, tuple) else self.value
        return f"{self.field} {self.op} {value}".rstrip()


@dataclass(frozen=True)
class AnyOf:
    """Holds when one of its conditions does."""

    any: tuple[Condition | AnyOf, ...]

    def holds(self, lookup: Lookup) -> bool:
        return any(condition.holds(lookup) for condition in self.any)

    def __str__(self) -> str:
        return "any of (" + "; ".join(map(str, self.any)) + ")"


@dataclass(frozen=True)
class Rule:
    """A tenant's decision. id: of its row, kept over edits.

    sources: names of those it listens to, None for all. ask: when. resend: make a call again whose fate is unknown, at
    the risk that a person is asked twice; otherwise it is held for somebody to decide. described: the parameters of
    its call as the connection declares them; None where they are the vendor's own.
    """

    id: str
    name: str
    connection: str
    call: str
    enabled: bool = True
    stop: bool = False
    sources: tuple[str, ...] | None = None
    events: tuple[EventKind, ...] = ()
    conditions: tuple[Condition | AnyOf, ...] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)
    ask: Ask = field(default_factory=Ask)
    resend: bool = False
    described: Mapping[str, Mapping[str, Any]] | None = None


def choose_rules(
    rules: Sequence[Rule],
    source: str,
    kind: EventKind,
    lookup: Lookup,
    takes: Callable[[Rule], bool] = lambda rule: True,  # noqa: ARG005  # the same shape as any other
) -> list[tuple[Rule | None, Verdict]]:
    """One verdict for each rule, in the rules' order; a single `no_rule` (with no rule) when there are none.

    takes: whether a rule that applies and stops really asks; one whose mapping fails leaves the event to the others.
    """
    if not rules:
        return [(None, Verdict(None, Decision.NO, Cause.NO_RULE))]
    verdicts: list[tuple[Rule | None, Verdict]] = []
    stopped_by: str | None = None
    for rule in rules:
        verdict = _judge(rule, source, kind, lookup, stopped_by)
        if verdict.decision is Decision.ASK and rule.stop and takes(rule):
            stopped_by = rule.name
        verdicts.append((rule, verdict))
    return verdicts


def _judge(rule: Rule, source: str, kind: EventKind, lookup: Lookup, stopped_by: str | None) -> Verdict:
    def no(cause: Cause, detail: str = "") -> Verdict:
        return Verdict(rule.name, Decision.NO, cause, detail)

    if not rule.enabled:
        return no(Cause.DISABLED)
    if rule.sources is not None and source not in rule.sources:
        return no(Cause.OTHER_SOURCE, f"It listens to {', '.join(rule.sources)}; this came from {source}.")
    if kind not in rule.events:
        return no(Cause.OTHER_EVENT, f"It acts on {', '.join(rule.events)}; this is {kind}.")
    for condition in rule.conditions:
        if not condition.holds(lookup):
            return no(Cause.CONDITION, f"Does not hold: {condition}.")
    if stopped_by is not None:
        return no(Cause.STOPPED, f"Rule {stopped_by} took this event and stops there.")
    return Verdict(rule.name, Decision.ASK, Cause.MATCHED)


# --- comparing --------------------------------------------------------------------------------------------------------

_Folded = str | tuple[str, ...]


def _folded(value: Value) -> _Folded:
    return value.casefold() if isinstance(value, str) else tuple(item.casefold() for item in value)


def _whole(value: _Folded) -> str:
    return value if isinstance(value, str) else " ".join(value)


def _is(found: _Folded, wanted: _Folded) -> bool:
    return _whole(found) == _whole(wanted)


def _contains(found: _Folded, wanted: _Folded) -> bool:
    """A member of a list, a part of a text."""
    return _whole(wanted) in found


def _in(found: _Folded, wanted: _Folded) -> bool:
    choices = wanted if isinstance(wanted, tuple) else (wanted,)
    if isinstance(found, tuple):
        return any(item in choices for item in found)
    return found in choices


def _like(found: _Folded, wanted: _Folded) -> bool:
    return matches_glob(_whole(found), _whole(wanted))


def matches_glob(text: str, pattern: str) -> bool:
    """Whether `text` matches `pattern`, where `*` is any run of characters and `?` any one character.

    Takes one step for each character of `text`, however hostile the pattern: bit n of `reached` says that the first n
    characters of the pattern, stars not counted, can match what was read so far.
    """
    singles = pattern.replace("*", "")
    any_character = _bits(singles, "?")
    accepted_by = {character: _bits(singles, character) | any_character for character in set(singles)}
    after_star = 0
    position = 0
    for character in pattern:
        if character == "*":
            after_star |= 1 << position
        else:
            position += 1
    reached = 1
    for character in text:
        reached = (reached & accepted_by.get(character, any_character)) << 1 | (reached & after_star)
        if not reached:
            return False
    return bool(reached >> len(singles) & 1)


def _bits(characters: str, wanted: str) -> int:
    return sum(1 << position for position, character in enumerate(characters) if character == wanted)


def _ordered(found: _Folded, wanted: _Folded) -> tuple[Decimal, Decimal] | tuple[datetime, datetime] | None:
    """Both sides as numbers, else both as ISO times, else nothing."""
    left, right = _whole(found).strip(), _whole(wanted).strip()
    numbers = _number(left), _number(right)
    if numbers[0] is not None and numbers[1] is not None:
        return numbers[0], numbers[1]
    times = _time(left), _time(right)
    if times[0] is not None and times[1] is not None:
        return times[0], times[1]
    return None


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _time(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text.upper())
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _greater(found: _Folded, wanted: _Folded) -> bool:
    pair = _ordered(found, wanted)
    return pair is not None and pair[0] > pair[1]  # type: ignore[operator]  # both are of one kind


def _less(found: _Folded, wanted: _Folded) -> bool:
    pair = _ordered(found, wanted)
    return pair is not None and pair[0] < pair[1]  # type: ignore[operator]  # both are of one kind


_TESTS: Final[Mapping[str, Callable[[_Folded, _Folded], bool]]] = {
    "is": _is,
    "is_not": lambda found, wanted: not _is(found, wanted),
    "contains": _contains,
    "excludes": lambda found, wanted: not _contains(found, wanted),
    "starts_with": lambda found, wanted: _whole(found).startswith(_whole(wanted)),
    "like": _like,
    "in": _in,
    "not_in": lambda found, wanted: not _in(found, wanted),
    "present": lambda found, wanted: True,  # noqa: ARG005  # a missing field never gets here
    "absent": lambda found, wanted: False,  # noqa: ARG005
    "greater": _greater,
    "less": _less,
}
