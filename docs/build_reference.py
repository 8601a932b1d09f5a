"""Writes docs/reference.md from what the connectors and the catalogue declare: python docs/build_reference.py"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent))

from declared import fields_table, paragraph, table

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
    yield from table(("kind", "what"), [(f"`{kind}`", kind.label) for kind in EventKind])
    yield "## Placeholders\n"
    yield "Besides these, `ticket.custom.<key>` and `payload.<path>` for anything else in the message.\n"
    yield from table(
        ("placeholder", "what", "example"), [(f"`{p.name}`", p.label, p.example) for p in CATALOGUE.values()]
    )
    yield "## Causes of verdicts\n"
    yield from table(("cause", "in words"), [(f"`{cause}`", cause.sentence) for cause in Cause])
    yield "## Reasons of outcomes\n"
    yield from table(("reason", "in words"), [(f"`{reason}`", text) for reason, text in REASON_SENTENCES.items()])
    yield "## Sources\n"
    for name in registry.source_names():
        source = registry.source(name).SOURCE
        yield f"### `{name}`: {source.title}\n"
        yield from paragraph(f"{source.help} More on [its page](sources/{name}.md).")
        yield "Credentials:\n"
        yield from fields_table(source.credentials())
        if source.settings is not None:
            yield "Settings, which say how its messages are read:\n"
            yield from fields_table(source.settings())
    yield "## Survey vendors\n"
    yield "Settings, parameters and answers stand on each vendor's page.\n"
    yield from table(("vendor", "calls"), _vendor_rows())


def _vendor_rows() -> Iterable[tuple[str, ...]]:
    for name in registry.vendor_names():
        vendor = registry.vendor(name).VENDOR
        calls = ", ".join(f"`{call}`" for call in vendor.calls)
        yield f"[`{name}`](vendors/{name}.md): {vendor.title}", calls


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
