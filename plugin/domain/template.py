"""Liquid as a mapping may use it: few tags, our own filters, and a limit on everything that could grow or run on.

A template is written by a tenant and rendered on our machine, so it is treated as hostile: it cannot reach a file, a
clock or a Python attribute, and the work of one rendering is counted and cut off.
"""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from io import StringIO
from typing import Final, TextIO

from liquid import BoundTemplate, Environment, RenderContext, Token
from liquid.ast import Node
from liquid.builtin import content, illegal, output
from liquid.builtin.expressions import Filter, FilteredExpression, LoopExpression, Path, StringLiteral
from liquid.builtin.expressions.logical import EqExpression, NeExpression
from liquid.builtin.expressions.primitive import Blank, Empty, IntegerLiteral, RangeLiteral
from liquid.builtin.tags import (
    assign_tag,
    capture_tag,
    case_tag,
    comment_tag,
    for_tag,
    if_tag,
    inline_comment_tag,
    unless_tag,
)
from liquid.exceptions import LiquidError, LiquidTypeError, OutputStreamLimitError, ResourceLimitError
from liquid.expression import Expression
from liquid.output import LimitedStringIO
from liquid.tag import Tag
from liquid.token import TOKEN_TAG
from liquid.undefined import UNDEFINED
from liquid.utils import ReadOnlyChainMap

from plugin.domain.template_filters import FILTERS, TAKES_MISSING
from plugin.domain.template_values import (
    LIST_LIMIT,
    TEXT_LIMIT,
    Items,
    Missing,
    RenderFailed,
    printed,
    resolve,
    too_long,
)
from plugin.errors import TemplateInvalid

#: The longest template, in characters.
SOURCE_LIMIT: Final = 4_000
#: Rounds of all loops of one rendering together, and so the longest range.
ROUND_LIMIT: Final = 1_000
#: Work of one rendering: see `Budget`.
WORK_LIMIT: Final = 200_000
#: Filters in one expression; operands and brackets inside one another; blocks inside one another.
FILTER_LIMIT: Final = 20
DEPTH_LIMIT: Final = 40
BLOCK_LIMIT: Final = 10

#: Work of calling a filter, of an entry of a list it goes through, and the characters it goes through for one unit.
_FILTER_WORK: Final = 20
_ENTRY_WORK: Final = 10
_CHARACTERS: Final = 100
#: The lexer tries each length of a run of spaces again and again, so long runs are refused before it sees them.
_SPACES: Final = re.compile(r"\s{101}")

_TAGS: Final[tuple[type[Tag], ...]] = (
    assign_tag.AssignTag,
    capture_tag.CaptureTag,
    case_tag.CaseTag,
    comment_tag.CommentTag,
    for_tag.BreakTag,
    for_tag.ContinueTag,
    for_tag.ForTag,
    if_tag.IfTag,
    inline_comment_tag.InlineCommentTag,
    unless_tag.UnlessTag,
)
#: What a template may use between `{%` and `%}`; `raw` is known to the lexer, the rest belong to these.
TAG_NAMES: Final = tuple(sorted([*(tag.name for tag in _TAGS), "raw"]))
_INNER_TAGS: Final = frozenset({"else", "elsif", "when", "endcapture", "endcase", "endcomment", "endfor", "endif"}) | {
    "endraw",
    "endunless",
}


@dataclass
class Budget:
    """What one rendering has used of its limits. Asking for more than is left raises RenderFailed.

    work: units of roughly a fifth of a microsecond. rounds: of all loops together.
    """

    work: int = 0
    rounds: int = 0

    def charge(self, units: int) -> None:
        if self.work + units > WORK_LIMIT:
            raise RenderFailed("it takes more work than one template may")
        self.work += units

    def start_loop(self, rounds: int, work_of_one: int) -> None:
        if self.rounds + rounds > ROUND_LIMIT:
            raise RenderFailed(f"its loops make more than {ROUND_LIMIT:,} rounds")
        self.rounds += rounds
        self.charge(rounds * work_of_one)


@dataclass(frozen=True)
class Template:
    """A template that was found acceptable.

    placeholders: names from outside that it speaks of, as written with dots (`ticket.id`, `payload.items[0].id`).
    """

    source: str
    placeholders: frozenset[str]
    parsed: BoundTemplate = field(repr=False)

    def render(self, scope: Mapping[str, object], budget: Budget | None = None) -> str:
        """The text that the template gives over `scope`, which holds a Record or another value by first name.

        budget: a fresh one, for who wants to know what was used. Raises RenderFailed, of which MissingValue is one
        kind, and nothing else.
        """
        if "{" not in self.source:
            # Many parameters are a fixed text, which needs no Liquid.
            return self.source
        context = _Context(self, scope, budget or Budget())
        buffer = context.get_buffer()
        try:
            self.parsed.render_with_context(context, buffer)
        except RenderFailed:
            raise
        except OutputStreamLimitError:
            raise too_long("the text it gives") from None
        except ResourceLimitError:
            raise RenderFailed("it keeps more in its own names than one template may") from None
        except LiquidTypeError:
            raise RenderFailed(
                "it compares values of different kinds, a text with a number for instance;"
                " `assign n = name | plus: 0` makes a number of a text"
            ) from None
        except Exception as error:  # Liquid lets errors of Python through; none may stop an event
            raise RenderFailed(f"it cannot be filled for this event ({type(error).__name__})") from None
        return buffer.getvalue()


def compile_template(source: str) -> Template:
    """Read `source` and refuse what is not Liquid, not known here, or not safe to run. Remembers what it read lately.

    Raises TemplateInvalid with one sentence part that says what is wrong, where, and what to write instead.
    """
    return _compile_short(source) if len(source) <= _SHORT else _compile_long(source)


def _compile(source: str) -> Template:
    if len(source) > SOURCE_LIMIT:
        raise TemplateInvalid(f"is longer than {SOURCE_LIMIT:,} characters.")
    if _SPACES.search(source):
        raise TemplateInvalid("has more than 100 spaces or line breaks in a row.")
    try:
        parsed = _ENVIRONMENT.from_string(source)
    except LiquidError as error:
        raise TemplateInvalid(_syntax_problem(error)) from None
    for expression, depth in _expressions(parsed):
        if depth > DEPTH_LIMIT:
            raise TemplateInvalid(f"has an expression with more than {DEPTH_LIMIT} parts; use several tags.")
        _check(expression)
    return Template(source, _placeholders(parsed), parsed)


# A template of full length takes 300 kB of memory and a usual one 2 kB, so two bounds keep both kinds in bounds.
_SHORT: Final = 200
_compile_short = lru_cache(maxsize=8192)(_compile)
_compile_long = lru_cache(maxsize=256)(_compile)


def suggestion(name: str, known: Iterable[str]) -> str:
    """` Did you mean ...?` with the closest of `known`; empty when none is close."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    return f" Did you mean `{close[0]}`?" if close else ""


# --- checking ---------------------------------------------------------------------------------------------------------


def _syntax_problem(error: LiquidError) -> str:
    token = error.token
    if isinstance(error, ResourceLimitError):
        return f"has more than {BLOCK_LIMIT} blocks inside one another."
    if isinstance(error.__cause__, RecursionError):
        return "is nested too deeply."
    if token is not None and token.kind == TOKEN_TAG and token.value not in TAG_NAMES:
        where = _where(token)
        if token.value in _INNER_TAGS:
            return f"has a tag `{token.value}` that belongs to no tag before it{where}."
        known = ", ".join(TAG_NAMES)
        return f"uses the tag `{token.value}`{where}, which is not one of {known}.{suggestion(token.value, TAG_NAMES)}"
    hint = ""
    if token is not None and token.start_index > 0 and token.source[token.start_index - 1] == ".":
        hint = f' A name that is also a word of Liquid stands in brackets: `["{token.value}"]`.'
    return f"is not a valid template: {error.message}{_where(token)}.{hint}"


def _where(token: Token | None) -> str:
    if token is None or not 0 <= token.start_index <= len(token.source):
        return ""
    before = token.source[: token.start_index]
    return f" (line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))})"


def _expressions(parsed: BoundTemplate) -> Iterator[tuple[Expression, int]]:
    """Every expression of a template with its depth; without recursion, since depth is what is to be checked."""
    context = RenderContext(parsed)
    nodes: list[Node] = list(parsed.nodes)
    while nodes:
        node = nodes.pop(0)
        nodes[:0] = node.children(context, include_partials=False)
        pending = [(expression, 1) for expression in node.expressions()]
        while pending:
            expression, depth = pending.pop()
            yield expression, depth
            pending += [(child, depth + 1) for child in expression.children() if not _is_loop_range(expression, child)]


def _is_loop_range(expression: Expression, child: Expression) -> bool:
    return isinstance(expression, LoopExpression) and child is expression.iterable and isinstance(child, RangeLiteral)


def _check(expression: Expression) -> None:
    match expression:
        case Path():
            _check_path(expression)
        case FilteredExpression():
            _check_filters(expression.filters or [])
        case LoopExpression() if isinstance(expression.iterable, RangeLiteral):
            _check_loop_range(expression.iterable)
        case RangeLiteral():
            raise TemplateInvalid(f"uses a range outside `for`{_where(expression.token)}.")
        case EqExpression() | NeExpression():
            _check_comparison(expression)


def _check_path(path: Path) -> None:
    if not isinstance(path.path[0], str) or any(isinstance(part, Path) for part in path.path):
        raise TemplateInvalid(f"uses brackets with something else than a quoted name or a number{_where(path.token)}.")


def _check_filters(filters: list[Filter]) -> None:
    if len(filters) > FILTER_LIMIT:
        raise TemplateInvalid(f"has more than {FILTER_LIMIT} filters in one expression{_where(filters[0].token)}.")
    for item in filters:
        function = FILTERS.get(item.name)
        if function is None:
            hint = suggestion(item.name, FILTERS)
            raise TemplateInvalid(f"uses the filter `{item.name}`{_where(item.token)}, which is not known.{hint}")
        names = [getattr(argument, "name", None) for argument in item.args]
        try:
            inspect.signature(function).bind(
                None, *[None for name in names if name is None], **{name: None for name in names if name is not None}
            )
        except TypeError:
            raise TemplateInvalid(
                f"gives the filter `{item.name}` arguments that it does not take{_where(item.token)}."
            ) from None


def _check_loop_range(span: RangeLiteral) -> None:
    first, last = span.start, span.stop
    if not (isinstance(first, IntegerLiteral) and isinstance(last, IntegerLiteral)):
        raise TemplateInvalid(f"has a range with an end that is not a plain whole number{_where(span.token)}.")
    if last.value - first.value >= ROUND_LIMIT:
        raise TemplateInvalid(f"has a range of more than {ROUND_LIMIT:,} numbers{_where(span.token)}.")


def _check_comparison(expression: EqExpression | NeExpression) -> None:
    for side in (expression.left, expression.right):
        if isinstance(side, Blank | Empty) or (isinstance(side, StringLiteral) and not side.value):
            raise TemplateInvalid(
                f"compares with blank, empty or an empty text{_where(expression.token)}, which never holds, since what"
                " is empty counts as missing. Write `{% if name %}` or `{% unless name %}` instead."
            )


def _placeholders(parsed: BoundTemplate) -> frozenset[str]:
    found = parsed.analyze(include_partials=False).globals
    return frozenset(_path_name(variable.segments) for variables in found.values() for variable in variables)


def _path_name(segments: Iterable[object]) -> str:
    first, *rest = segments
    return str(first) + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in rest)


# --- rendering --------------------------------------------------------------------------------------------------------


class _Context(RenderContext):
    """Resolves names in our own values and charges a budget for the work."""

    def __init__(self, template: Template, scope: Mapping[str, object], budget: Budget) -> None:
        super().__init__(template.parsed, globals=scope)
        # Without Liquid's own `now` and `today`: what a template gives depends on the event alone.
        self.scope = ReadOnlyChainMap(self.locals, self.globals)
        self._budget = budget
        # A template evaluates no more in one go than it has characters.
        self._work_of_one_round = len(template.source)

    def get(self, path: list[object], *, token: Token | None, default: object = UNDEFINED) -> object:  # noqa: ARG002
        root, *rest = path
        value = self.scope.get(str(root), UNDEFINED)
        if value is UNDEFINED:
            return Missing(_path_name(path))
        value = resolve(value, [part if isinstance(part, int) else str(part) for part in rest], str(root))
        self._budget.charge(_work_on(value))
        return value

    def filter(self, name: str, token: Token | None) -> Callable[..., object]:  # noqa: ARG002
        function = FILTERS[name]

        def apply(*arguments: object, **named: object) -> object:
            if name not in TAKES_MISSING:
                for value in arguments:
                    if isinstance(value, Missing):
                        raise value.problem()
            self._budget.charge(_FILTER_WORK + sum(map(_work_on, arguments)))
            result = function(*arguments, **named)
            self._budget.charge(_work_on(result))
            if isinstance(result, str) and len(result) > TEXT_LIMIT:
                raise too_long(f"the result of `{name}`")
            if isinstance(result, Items) and len(result) > LIST_LIMIT:
                raise RenderFailed(f"the result of `{name}` has more than {LIST_LIMIT:,} entries")
            return result

        return apply

    def get_buffer(self, buf: TextIO | None = None) -> StringIO:
        used = buf.size if isinstance(buf, LimitedStringIO) else 0
        # Without newline="" a StringIO turns CR LF into LF.
        return LimitedStringIO(limit=TEXT_LIMIT - used, newline="")

    def raise_for_loop_limit(self, length: int = 1) -> None:
        # Called once at the start of each loop, so that loops inside loops and after one another all count.
        self._budget.start_loop(length, self._work_of_one_round)


def _work_on(value: object) -> int:
    if isinstance(value, str):
        return len(value) // _CHARACTERS
    return _ENTRY_WORK * min(len(value), LIST_LIMIT) if isinstance(value, Items) else 0


class _OutputNode(output.OutputNode):
    """Prints our own values in our own way."""

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        return buffer.write(printed(self.expression.evaluate(context)))


class _Output(output.Output):
    node_class = _OutputNode


class _Environment(Environment):
    block_nesting_limit = BLOCK_LIMIT
    context_depth_limit = 2 * BLOCK_LIMIT
    local_namespace_limit = 20 * TEXT_LIMIT
    shorthand_indexes = True

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:  # noqa: ARG002
        tags: tuple[type[Tag], ...] = (content.Literal, _Output, illegal.Illegal, *_TAGS)
        for tag in tags:
            self.add_tag(tag)


_ENVIRONMENT: Final = _Environment(undefined=Missing, strict_filters=True)
