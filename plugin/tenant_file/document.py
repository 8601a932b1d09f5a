"""The YAML text of a tenant: reading it safely, and writing it with or without its secrets.

Every scalar is read as the text that was typed: ids keep their zeros and digits, `no` stays a word. Schemas decide
later what is a number or a truth value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import yaml
from yaml.events import AliasEvent
from yaml.nodes import Node, ScalarNode
from yaml.reader import ReaderError

from plugin.errors import Problem, TenantFileInvalid
from plugin.redaction import Secret

#: The longest configuration that is read, characters.
LONGEST: Final = 512_000
_DEEPEST: Final = 12

#: What no configuration means, and what neither a database nor a vendor takes: control characters, half a letter.
_UNWRITABLE: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")

#: How a stored secret is written: on apply it keeps what is stored.
KEPT: Final[Mapping[str, str]] = {"secret": "set"}

#: A configuration as plain values: dicts, lists, texts and truth values; secrets are `Secret`.
Document = dict[str, Any]


class _Loader(yaml.BaseLoader):
    """Reads scalars as text. Refuses what a configuration never needs: aliases, repeated keys, deep nesting."""

    depth = 0

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        if self.check_event(AliasEvent):
            raise self._refusal("aliases (*name) are not supported")
        self.depth += 1
        if self.depth > _DEEPEST:
            raise self._refusal("it is nested too deeply")
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def construct_scalar(self, node: ScalarNode) -> str:
        text = str(super().construct_scalar(node))
        if _UNWRITABLE.search(text):
            raise yaml.MarkedYAMLError(problem="this text holds a control character", problem_mark=node.start_mark)
        return text

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = True) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, ScalarNode):
                raise yaml.MarkedYAMLError(problem="a key must be a plain word", problem_mark=key_node.start_mark)
            if key_node.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key_node.value} stands here twice", problem_mark=key_node.start_mark
                )
            seen.add(key_node.value)
        return dict(super().construct_mapping(node, deep=deep))

    def _refusal(self, problem: str) -> yaml.MarkedYAMLError:
        event = self.peek_event()  # type: ignore[no-untyped-call]  # the stubs leave it untyped
        return yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)


class _Kept(dict[str, str]):
    """`KEPT` in a document that is about to be written."""


class _Dumper(yaml.SafeDumper):
    """Writes kept secrets on one line and texts of several lines as blocks."""


def _represent_kept(dumper: yaml.SafeDumper, kept: _Kept) -> yaml.MappingNode:
    return dumper.represent_mapping("tag:yaml.org,2002:map", kept, flow_style=True)


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(_Kept, _represent_kept)


def read_document(text: str) -> Document:
    """The configuration that `text` holds, unchecked. Raises TenantFileInvalid naming line and column."""
    if len(text) > LONGEST:
        raise TenantFileInvalid([Problem("", f"The configuration is longer than {LONGEST:,} characters.")])
    try:
        document = yaml.load(text, Loader=_Loader)  # noqa: S506  # a loader that only makes text, lists and dicts
    except yaml.MarkedYAMLError as error:
        raise TenantFileInvalid([_yaml_problem(error)]) from None
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise TenantFileInvalid([Problem(f"line {line}", "holds a control character; take it out.")]) from None
    except (yaml.YAMLError, RecursionError):
        raise TenantFileInvalid([Problem("", "This is not YAML; see the example in the guide.")]) from None
    if not isinstance(document, dict):
        raise TenantFileInvalid([Problem("", "A configuration is a list of keys such as `tenant:` and `rules:`.")])
    return document


def dump_document(document: Document, *, with_secrets: bool = False) -> str:
    """The YAML of a configuration; secrets stand as `{secret: set}` unless they are asked for."""
    return yaml.dump(
        _writable(document, with_secrets=with_secrets),
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
        width=110,
    )


def empty_document(slug: str, name: str) -> Document:
    """What a tenant starts with."""
    return {
        "tenant": slug,
        "name": name,
        "timezone": "UTC",
        "language": "en",
        "sources": [],
        "connections": [],
        "rules": [],
    }


def _writable(value: Any, *, with_secrets: bool) -> Any:
    if isinstance(value, Secret):
        return value.reveal() if with_secrets else _Kept(KEPT)
    if value == KEPT:
        return _Kept(KEPT)
    if isinstance(value, Mapping):
        return {key: _writable(inner, with_secrets=with_secrets) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_writable(inner, with_secrets=with_secrets) for inner in value]
    return value


def _yaml_problem(error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    # A tab is the commonest mistake, and the parser's words for it help nobody.
    problem = error.problem or "this is not YAML"
    if "cannot start any token" in problem:
        problem = (
            "this character cannot stand here; indent with spaces, not tabs, and put texts with : { or % in quotes"
        )
    return Problem(place, re.sub(r"\s+", " ", problem).rstrip(".") + ".")
