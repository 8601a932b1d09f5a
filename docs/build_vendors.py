"""Fills the generated part of each docs/vendors/<name>.md from what the vendor declares: python docs/build_vendors.py

The rest of the page is written by hand: what to copy from where, and what each answer of the vendor means for us.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent))

from declared import fields_table, paragraph, table

from plugin import registry

FOLDER = Path(__file__).with_name("vendors")
BEGIN = "<!-- generated: begin -->"
END = "<!-- generated: end -->"


def page_of(name: str) -> Path:
    return FOLDER / f"{name}.md"


def parts_of(page: str) -> tuple[str, str, str]:
    """A page as the text before its generated part, that part without its marks, and the text behind it.

    Raises ValueError unless each mark stands in the page once, the beginning first.
    """
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        raise ValueError(f"The page must hold {BEGIN} and {END}, each once.")
    before, _, rest = page.partition(BEGIN)
    generated, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"The page must hold {BEGIN} before {END}.")
    return before, generated, after


def filled(name: str, page: str) -> str:
    """The page with its generated part made anew."""
    before, _, after = parts_of(page)
    generated = "\n".join(_vendor(name)).rstrip()
    return f"{before}{BEGIN}\n\n{generated}\n\n{END}{after}"


def _vendor(name: str) -> Iterator[str]:
    module = registry.vendor(name)
    vendor = module.VENDOR
    yield f"## What `{name}` declares\n"
    yield "Made from the program itself by `python docs/build_vendors.py`; a test keeps it current.\n"
    yield from paragraph(vendor.help)
    if isinstance(vendor.origins, str):
        yield f"Called at {vendor.origins}.\n"
    else:
        yield "Called at " + ", ".join(f"`{origin}`" for origin in vendor.origins) + ".\n"
    if hasattr(module, "recognise_url"):
        yield "URLs of this vendor can be pasted: `survey-plugin import-url -` makes a connection and a rule of them.\n"
    yield "### Settings of a connection\n"
    yield from fields_table(vendor.connection())
    for call_name, call in vendor.calls.items():
        yield from _call(call_name, call)
    yield from _lists(name)


def _call(name: str, call: registry.Call) -> Iterator[str]:
    yield f"### Call `{name}`: {call.label}\n"
    yield from paragraph(call.help)
    yield "\n".join(f"- {sentence}" for sentence in _facts(call)) + "\n"
    parameters = call.parameters()
    if parameters.fields:
        yield from fields_table(parameters, call.defaults)
    yield from table(("step", "made again when no answer came", "documented at"), [_step(step) for step in call.steps])


def _facts(call: registry.Call) -> Iterator[str]:
    if call.invites:
        yield "May reach the person, so it is withheld from people who have opted out."
    else:
        yield "Reaches nobody, so it is made for people who have opted out too."
    if call.opts_out:
        yield "Its success puts the person on the tenant's suppression list."
    if not call.confirms:
        yield "The answer confirms no more than that the address was opened."
    if call.tracked:
        yield f"Reports that come later are matched with it by `{call.tracked}`."


def _step(step: registry.Step) -> tuple[str, str, str]:
    if step.follow_up:
        repeated = "yes; made after the delivery has ended, it only adds reports"
    elif step.repeat_safe:
        repeated = "yes, documented to do no harm"
    else:
        repeated = "no, held for a person to decide"
    label = f": {step.label}" if step.label else ""
    when = "; only where an answer asks for it" if step.seldom else ""
    return f"`{step.name}`{label}{when}", repeated, f"<{step.source}>"


def _lists(name: str) -> Iterator[str]:
    lists = getattr(registry.vendor(name), "LISTS", {})
    if not lists:
        return
    yield "### What the vendor can list\n"
    rows = [
        (f"`{key}`", one.label, ", ".join(f"`{parameter}`" for parameter in one.parameters), f"<{one.source}>")
        for key, one in lists.items()
    ]
    yield from table(("list", "what", "values of", "documented at"), rows)


if __name__ == "__main__":
    for vendor_name in registry.vendor_names():
        page = page_of(vendor_name)
        page.write_text(filled(vendor_name, page.read_text(encoding="utf-8")), encoding="utf-8")
