"""A mapping: survey parameters by name, each a Liquid template over the placeholders of an event.

`check_mapping` is for saving, `fill` for an event. Values are encoded for their target later and by code, never here.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from plugin.domain.event import CATALOGUE, Event, Value, ValueKind, is_known
from plugin.domain.template import Template, compile_template, suggestion
from plugin.domain.template_values import (
    Items,
    Missing,
    MissingValue,
    Record,
    RenderFailed,
    describe_missing,
    printed,
    resolve,
    wrap,
)
from plugin.domain.verdict import Cause
from plugin.errors import Problem, TemplateInvalid

__all__ = [
    "FillProblem",
    "Filled",
    "Template",
    "TemplateInvalid",
    "Values",
    "check_mapping",
    "compile_template",
    "fill",
    "placeholders_of",
]

_FAMILIES: Final = frozenset(name.partition(".")[0] for name in CATALOGUE)


class Values:
    """The placeholders of one event, for conditions and for templates.

    extra: further placeholders by name that the event itself cannot know: `episode.id`, `episode.number`,
    `delivery.reference`.
    """

    def __init__(self, event: Event, extra: Mapping[str, str] | None = None) -> None:
        entries: dict[str, dict[str, object]] = {family: {} for family in _FAMILIES}
        unrendered = {name: Missing(name, unrendered=True) for name in event.unrendered}
        for name, value in {**unrendered, **event.values, **_about(event), **(extra or {})}.items():
            family, _, rest = name.partition(".")
            entries.setdefault(family, {})[rest] = value
        self._families: dict[str, object] = {name: Record(known, name) for name, known in entries.items()}
        self._families["payload"] = wrap(event.payload, "payload")
        self._looked_up: dict[str, Value | None] = {}

    @property
    def scope(self) -> Mapping[str, object]:
        """What a template resolves names in."""
        return self._families

    def find(self, name: str) -> object:
        """What stands under `name`, as a template sees it; Missing when there is nothing."""
        family, _, rest = name.partition(".")
        values = self._families.get(family, Missing(name))
        if isinstance(values, Record) and (found := values.find([rest])) is not None:
            return found
        first, *path = re.findall(r"[^.\[\]]+", name) or [""]
        return resolve(self._families.get(first, Missing(name)), path, first)

    def lookup(self, name: str) -> Value | None:
        """The value of a placeholder for a condition: trimmed text, or a tuple of texts for a list; None when missing.

        Parts of the raw message are `payload.order.items[0].id`, or with dots alone `payload.order.items.0.id`.
        """
        # Many rules ask for the same few fields, and a list in a message can be long.
        if name not in self._looked_up:
            self._looked_up[name] = _as_value(self.find(name))
        return self._looked_up[name]


def _as_value(found: object) -> Value | None:
    if isinstance(found, Missing | Record):
        return None
    if isinstance(found, Items):
        entries = [found[index] for index in range(len(found))]
        return tuple(printed(entry) for entry in entries if not isinstance(entry, Missing | Record | Items)) or None
    return printed(found).strip()


def _about(event: Event) -> dict[str, str]:
    about = {"event.kind": event.kind.value}
    if event.id is not None:
        about["event.id"] = event.id
    if event.time is not None:
        about["event.time"] = _iso(event.time)
    return about


def _iso(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")


# --- saving -----------------------------------------------------------------------------------------------------------


def placeholders_of(source: str) -> frozenset[str]:
    """Names that a template takes from the event. Raises TemplateInvalid."""
    return compile_template(source).placeholders


def check_mapping(parameters: Mapping[str, str]) -> list[Problem]:
    """What keeps a mapping from being saved; the place of each problem is the parameter's name."""
    problems: list[Problem] = []
    for parameter, source in parameters.items():
        try:
            names = placeholders_of(source)
        except TemplateInvalid as error:
            problems.append(Problem(parameter, str(error)))
        else:
            problems += [Problem(parameter, _unknown(name)) for name in sorted(names) if not _may_be_named(name)]
    return problems


def _may_be_named(name: str) -> bool:
    dotted = re.sub(r"\[(-?\d+)\]", r".\1", name)
    if is_known(dotted):
        return True
    whole, _, part = dotted.rpartition(".")
    if whole not in CATALOGUE:
        return False
    is_list = CATALOGUE[whole].kind is ValueKind.LIST
    return part == "size" or (is_list and re.fullmatch(r"first|last|-?\d+", part) is not None)


def _unknown(name: str) -> str:
    if name == "payload":
        return "prints `payload`, the whole message; name a part of it, as in `payload.order.id`."
    inside = [known for known in CATALOGUE if known.startswith(f"{name}.")]
    if inside:
        return f"uses `{name}`, which is a group of placeholders; name one of them, as in `{inside[0]}`."
    return f"uses `{name}`, which is not a placeholder.{suggestion(name, CATALOGUE)}"


# --- filling ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FillProblem:
    """Why one parameter cannot be filled.

    cause: missing, unrendered or template. message: one sentence that follows the parameter's name and holds no value.
    """

    parameter: str
    cause: Cause
    message: str


@dataclass(frozen=True)
class Filled:
    """Parameters as the templates gave them, and what is wrong (no call must be made) or doubtful about them."""

    values: Mapping[str, str] = field(repr=False)
    problems: tuple[FillProblem, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Lack:
    """Why a template gives nothing; clause goes into a sentence."""

    cause: Cause
    clause: str


def fill(parameters: Mapping[str, str], values: Values, *, required: Collection[str]) -> Filled:
    """Fill each parameter on its own. Never raises.

    A required parameter without a value is a problem; any other is left out, with a warning. A template that fails is a
    problem of either kind of parameter, for it is a mistake in the rule and not a gap in the event.
    """
    filled: dict[str, str] = {}
    problems: list[FillProblem] = []
    warnings: list[str] = []
    for parameter, source in parameters.items():
        result = _render(source, values)
        match result:
            case str():
                filled[parameter] = result
            case _Lack(cause=Cause.TEMPLATE):
                problems.append(FillProblem(parameter, result.cause, f"has a template that failed: {result.clause}."))
            case _Lack() if parameter in required:
                problems.append(FillProblem(parameter, result.cause, f"is required, but {result.clause}."))
            case _Lack():
                warnings.append(f"{parameter} is left out, since {result.clause}.")
    problems += [
        FillProblem(parameter, Cause.MISSING, "is required, but the rule gives it no value.")
        for parameter in required
        if parameter not in parameters
    ]
    return Filled(filled, tuple(problems), tuple(warnings))


def _render(source: str, values: Values) -> str | _Lack:
    try:
        template = compile_template(source)
        text = template.render(values.scope)
    except MissingValue as error:
        return _Lack(Cause.UNRENDERED if error.unrendered else Cause.MISSING, str(error))
    except RenderFailed as error:
        return _Lack(Cause.TEMPLATE, str(error))
    except TemplateInvalid as error:
        return _Lack(Cause.TEMPLATE, f"it {error}".rstrip("."))
    return text if text.strip() else _empty(template, values)


def _empty(template: Template, values: Values) -> _Lack:
    """Why a template that ran gave no text: most likely for a placeholder that it tests or gives a default for."""
    found = [values.find(name) for name in sorted(template.placeholders)]
    missing = [value for value in found if isinstance(value, Missing)]
    missing.sort(key=lambda value: not value.unrendered)
    if not missing:
        return _Lack(Cause.MISSING, "its template gives no text")
    first = missing[0]
    cause = Cause.UNRENDERED if first.unrendered else Cause.MISSING
    return _Lack(cause, f"its template gives no text and {describe_missing(first.name, unrendered=first.unrendered)}")
