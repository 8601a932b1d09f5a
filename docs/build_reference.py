"""Writes docs/reference.md from what the connectors and the catalogue declare: python docs/build_reference.py"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from marshmallow import Schema

sys.path.insert(0, str(Path(__file__).parent.parent))

from plugin import registry
from plugin.domain.event import CATALOGUE, EventKind
from plugin.domain.outcome import REASON_SENTENCES
from plugin.domain.verdict import Cause

TARGET = Path(__file__).with_name("reference.md")


def reference() -> str:
    """The whole page."""
    return "\n".join(_lines()).rstrip() + "\n"


def _lines() -> Iterator[str]:
    yield "# Reference\n"
    yield "Made from the program itself by `python docs/build_reference.py`; a test keeps it current.\n"
    yield "## Kinds of events\n"
    yield from _table(("kind", "what"), [(f"`{kind}`", kind.label) for kind in EventKind])
    yield "## Placeholders\n"
    yield "Besides these, `ticket.custom.<key>` and `payload.<path>` for anything else in the message.\n"
    yield from _table(
        ("placeholder", "what", "example"), [(f"`{p.name}`", p.label, p.example) for p in CATALOGUE.values()]
    )
    yield "## Causes of verdicts\n"
    yield from _table(("cause", "in words"), [(f"`{cause}`", cause.sentence) for cause in Cause])
    yield "## Reasons of outcomes\n"
    yield from _table(("reason", "in words"), [(f"`{reason}`", text) for reason, text in REASON_SENTENCES.items()])
    yield "## Sources\n"
    for name in registry.source_names():
        source = registry.source(name).SOURCE
        yield f"### `{name}`: {source.title}\n"
        yield from _paragraph(source.help)
        yield "Credentials:\n"
        yield from _fields(source.credentials())
    yield "## Survey vendors\n"
    for name in registry.vendor_names():
        yield from _vendor(name)


def _vendor(name: str) -> Iterator[str]:
    vendor = registry.vendor(name).VENDOR
    yield f"### `{name}`: {vendor.title}\n"
    yield from _paragraph(vendor.help)
    yield "Settings of a connection:\n"
    yield from _fields(vendor.connection())
    for call_name, call in vendor.calls.items():
        yield f"#### `{call_name}`: {call.label}\n"
        yield from _paragraph(call.help)
        yield from _fields(call.parameters(), call.defaults)


def _paragraph(text: str) -> Iterator[str]:
    if text:
        yield f"{text}\n"


def _fields(schema: Schema, defaults: dict[str, str] | None = None) -> Iterator[str]:
    rows = []
    for name, field in schema.fields.items():
        about = field.metadata
        need = "required" if field.required else "optional"
        if defaults and name in defaults:
            need = f"default `{defaults[name]}`"
        example = f"`{about['example']}`" if about.get("example") else ""
        rows.append((f"`{name}`", need, f"{about['label']}. {about.get('help', '')}".strip(), example))
    yield from _table(("name", "", "what", "example"), rows)


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |"
    yield ""


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
