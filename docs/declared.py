"""What a connector declares, written as Markdown: shared by the scripts that build pages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from marshmallow import Schema, fields, missing

from plugin.redaction import MASK

#: Limits from here on are those of our own store, of no interest to who writes a mapping.
_OWN_LIMIT = 1000


def paragraph(text: str) -> Iterator[str]:
    if text:
        yield f"{text}\n"


def fields_table(schema: Schema, defaults: Mapping[str, str] | None = None) -> Iterator[str]:
    """Every field of a schema, those of a group under the group's name. defaults: templates of unmapped parameters."""
    yield from table(("name", "need", "what", "example"), _rows(schema, "", defaults or {}))


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |"
    yield ""


def _rows(schema: Schema, prefix: str, defaults: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    for name, field in schema.fields.items():
        about = field.metadata
        example = f"`{about['example']}`" if about.get("example") else ""
        yield f"`{prefix}{name}`", _need(field, defaults.get(name)), " ".join(_sentences(field)), example
        yield from _rows_within(field, f"{prefix}{name}")


def _rows_within(field: fields.Field, place: str) -> Iterator[tuple[str, ...]]:
    """The fields of a group, of each group in a list, or of each value under a name that the person chooses."""
    if isinstance(field, fields.Nested):
        yield from _rows(field.schema, f"{place}.", {})
    elif isinstance(field, fields.List):
        yield from _rows_within(field.inner, f"{place}[]")
    elif isinstance(field, fields.Dict) and field.value_field is not None:
        yield from _rows_within(field.value_field, f"{place}.<name>")


def _need(field: fields.Field, template: str | None) -> str:
    if template is not None:
        return f"default `{template}`"
    if field.required:
        return "required"
    # A default that is empty, or made by a function, is no value that anybody would write.
    plain = field.load_default is not missing and not callable(field.load_default) and field.load_default
    return f"default `{field.load_default}`" if plain else "optional"


def _sentences(field: fields.Field) -> Iterator[str]:
    about = field.metadata
    label = str(about["label"])
    yield label if label.endswith((".", "?", "…")) else f"{label}."
    if about.get("help"):
        yield str(about["help"])
    if about.get("choices"):
        yield "One of " + ", ".join(f"`{name}` ({label})" for name, label in about["choices"].items()) + "."
    if int(about.get("max_length", _OWN_LIMIT)) < _OWN_LIMIT:
        yield f"At most {about['max_length']} characters."
    if about.get("secret"):
        yield f"Stored encrypted and shown as {MASK}."
