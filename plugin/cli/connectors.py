"""`connectors` lists the sources and vendors that this version speaks to, with all that they take."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import click
from marshmallow import Schema, fields

from plugin import registry
from plugin.cli.session import print_json

#: Where the second column begins, and the narrowest that it may become.
_COLUMN: Final = 30
_NARROWEST: Final = 40
_WIDEST: Final = 120


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As one JSON object, with labels, explanations and examples.")
def connectors(as_json: bool) -> None:
    """List the trigger sources and survey vendors, with settings, calls and parameters.

    What is marked with * must be given. docs/vendors explains each vendor.
    """
    if as_json:
        print_json(
            {
                "sources": [_source(name) for name in registry.source_names()],
                "vendors": [_vendor(name) for name in registry.vendor_names()],
            }
        )
        return
    for line in _lines():
        click.echo(line)


# --- for people -------------------------------------------------------------------------------------------------------


def _lines() -> Iterator[str]:
    yield "Sources"
    for name in registry.source_names():
        source = registry.source(name).SOURCE
        yield from _row(2, name, source.title)
        yield from _row(4, "events", ", ".join(sorted(source.events)))
        yield from _row(4, "credentials", _names(source.credentials()))
        if source.settings is not None:
            yield from _row(4, "settings", _names(source.settings()))
    yield ""
    yield "Survey vendors"
    for name in registry.vendor_names():
        vendor = registry.vendor(name).VENDOR
        yield from _row(2, name, vendor.title)
        yield from _row(4, "settings", _names(vendor.connection()))
        for call_name, call in vendor.calls.items():
            names = _names(call.parameters(), call.defaults)
            yield from _row(4, call_name, names or "(what the connection declares, or its preset)")
            for fact in _facts(call):
                yield from _row(4, "", f"({fact})")


def _row(indent: int, head: str, text: str) -> Iterator[str]:
    width = min(max(shutil.get_terminal_size().columns, _COLUMN + _NARROWEST), _WIDEST) - _COLUMN
    first, *more = textwrap.wrap(text, width, break_on_hyphens=False) or [""]
    left = " " * indent + head
    # A long name pushes its own line and no other.
    yield f"{left:<{_COLUMN - 1}} {first}".rstrip()
    for line in more:
        yield " " * _COLUMN + line


def _names(schema: Schema, defaults: Iterable[str] = ()) -> str:
    """All fields, the required ones first and marked; l1, l2, l3 as l1-l3."""
    has_default = set(defaults)
    required = [name for name, field in schema.fields.items() if field.required and name not in has_default]
    return ", ".join(
        [*(f"{name}*" for name in required), *_runs(name for name in schema.fields if name not in required)]
    )


def _runs(names: Iterable[str]) -> Iterator[str]:
    runs: list[list[str]] = []
    for name in names:
        if runs and _follows(runs[-1][-1], name):
            runs[-1].append(name)
        else:
            runs.append([name])
    for run in runs:
        yield f"{run[0]}-{run[-1]}" if len(run) > 2 else ", ".join(run)


def _follows(before: str, name: str) -> bool:
    """Whether `name` is `before` with the next number."""
    numbered = re.fullmatch(r"(.*?)([0-9]+)", before)
    return numbered is not None and name == f"{numbered[1]}{int(numbered[2]) + 1}"


def _facts(call: registry.Call) -> Iterator[str]:
    if not call.invites:
        yield "reaches nobody"
    if call.opts_out:
        yield "success puts the person on the suppression list"
    if not call.confirms:
        yield "the answer confirms no more than that the address was opened"
    for name, template in call.defaults.items():
        yield f"{name} is {template} unless a rule maps it"


# --- for programs -----------------------------------------------------------------------------------------------------


def _source(name: str) -> dict[str, Any]:
    source = registry.source(name).SOURCE
    return {
        "name": name,
        "title": source.title,
        "help": source.help,
        "events": sorted(source.events),
        "placeholders": list(source.placeholders),
        "credentials": _fields(source.credentials()),
        "settings": _fields(source.settings()) if source.settings is not None else [],
    }


def _vendor(name: str) -> dict[str, Any]:
    module = registry.vendor(name)
    vendor = module.VENDOR
    return {
        "name": name,
        "title": vendor.title,
        "help": vendor.help,
        "origins": vendor.origins if isinstance(vendor.origins, str) else list(vendor.origins),
        "reads_pasted_urls": hasattr(module, "recognise_url"),
        "lists": list(getattr(module, "LISTS", {})),
        "settings": _fields(vendor.connection()),
        "calls": {call_name: _call(call) for call_name, call in vendor.calls.items()},
    }


def _call(call: registry.Call) -> dict[str, Any]:
    declared = call.parameters()
    return {
        "label": call.label,
        "help": call.help,
        "required": [name for name, field in declared.fields.items() if field.required],
        "optional": [name for name, field in declared.fields.items() if not field.required],
        "defaults": dict(call.defaults),
        "parameters": _fields(declared),
        "invites": call.invites,
        "opts_out": call.opts_out,
        "confirms": call.confirms,
        "tracked": call.tracked,
        "steps": [
            {
                "name": step.name,
                "label": step.label,
                "repeat_safe": step.repeat_safe,
                "follow_up": step.follow_up,
                "seldom": step.seldom,
                "source": step.source,
            }
            for step in call.steps
        ],
    }


def _fields(schema: Schema) -> list[dict[str, Any]]:
    return [_field(name, field) for name, field in schema.fields.items()]


def _field(name: str, field: fields.Field[Any]) -> dict[str, Any]:
    about = field.metadata
    told: dict[str, Any] = {
        "name": name,
        "required": field.required,
        **{key: about[key] for key in ("label", "help", "example", "secret")},
    }
    if about.get("choices"):
        told["choices"] = dict(about["choices"])
    if isinstance(field, fields.Nested):
        told["fields"] = _fields(field.schema)
    return told


COMMANDS: Sequence[click.Command] = (connectors,)
