"""A vendor's URL, as somebody pasted it, turned into a connection and a rule for a tenant's file."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from marshmallow import Schema, ValidationError

from plugin import registry
from plugin.domain.event import CATALOGUE, EventKind
from plugin.domain.mapping import placeholders_of
from plugin.errors import Problem, TemplateInvalid, TenantFileInvalid, UrlNotRecognised
from plugin.redaction import Secret, mask_secrets
from plugin.tenant_file.check import check_document
from plugin.tenant_file.document import KEPT, Document, empty_document
from plugin.tenant_file.sender_names import in_our_names, remarks_on

#: What manuals print where a value of the reader's own belongs; nothing here fills it.
_STAND_IN: Final = re.compile(
    r"\{\{.*\}\}|\[[^\]]*\]|<[^>]*>|\{[^}]*\}|%[A-Za-z_]+%|#\{.*\}|\$\w+|\.{2,}|…|x{3,}|\*{2,}|your[ _-].*",
    re.IGNORECASE | re.DOTALL,
)
_ADDRESS: Final = re.compile(r"[^@\s{}]+@[^@\s{}]+\.[^@\s{}]+")
#: Which event a rule waits for, by what its templates speak of.
_EVENTS: Final = {"chat": EventKind.CHAT_ENDED, "crm": EventKind.CRM_CHANGED}


@dataclass(frozen=True)
class Imported:
    """What a pasted URL gives. fragment: the lists `connections` and `rules`, secrets as `Secret`.

    A secret that is needed and that the URL does not hold stands as `{secret: set}`.
    warnings: sentences about what was mended, left out or has to be looked at; none of them holds a secret.
    """

    fragment: Document = field(repr=False)
    warnings: Sequence[str] = ()


def import_url(text: str, *, name: str | None = None, taken: Collection[str] = ()) -> Imported:
    """Ask every vendor whose URL this is, and write down what it holds as a configuration has it.

    name: of the connection and the rule; else the vendor's name, with a number when it is among the `taken` ones.
    Raises UrlNotRecognised, whose text does not repeat the URL.
    """
    vendor, found = _recognise(text)
    name = name or _free(vendor, taken)
    warnings = list(found.warnings)
    settings = _settings(vendor, found, warnings)
    fragment: Document = {"connections": [{"name": name, "vendor": vendor, "settings": settings}], "rules": []}
    if found.call:
        schema = _schema_of(vendor, found.call, settings)
        parameters = _parameters(schema, registry.vendor(vendor).VENDOR.calls[found.call], found.parameters, warnings)
        rule = {
            "name": name,
            "when": {"events": [_event_of(parameters.values())]},
            "connection": name,
            "call": found.call,
            "parameters": parameters,
        }
        fragment["rules"].append(rule)
    warnings += [f"To be mended: {fault}" for fault in _faults(fragment) if not _is_told(fault, found.warnings)]
    secrets = list(_secrets_in(settings))
    return Imported(fragment, [mask_secrets(warning, secrets) for warning in dict.fromkeys(warnings)])


def with_variables(fragment: Document) -> tuple[Document, Sequence[str]]:
    """The fragment with `${NAME}` in the place of each secret, as the apply command reads it; and those names."""
    names: list[str] = []

    def variable(path: Sequence[str]) -> str:
        words = (word for word in path if word != "settings")
        name = re.sub(r"\W+", "_", "_".join(words), flags=re.ASCII).strip("_").upper()
        names.append(f"_{name}" if name[:1].isdigit() else name)
        return f"${{{names[-1]}}}"

    connections = [_replaced(one, (str(one["name"]),), variable) for one in fragment["connections"]]
    return {**fragment, "connections": connections}, names


def _recognise(text: str) -> tuple[str, registry.Recognised]:
    try:
        url = registry.read_pasted_url(text)
    except ValueError as error:
        raise UrlNotRecognised(str(error)) from None
    # A vendor that may be called anywhere may know a URL by its path alone, so those with hosts of their own are first.
    for name in sorted(registry.vendor_names(), key=_is_anywhere):
        recognise = getattr(registry.vendor(name), "recognise_url", None)
        found: registry.Recognised | None = recognise(url) if recognise is not None else None
        if found is not None:
            return name, found
    known = ", ".join(registry.vendor(name).VENDOR.title for name in registry.vendor_names() if name != "custom")
    raise UrlNotRecognised(
        f"No survey vendor here knows this URL. Known are: {known}. Any other vendor that is called over https can be "
        "described by hand, as a connection to the vendor `custom`."
    )


def _is_anywhere(vendor: str) -> bool:
    return registry.vendor(vendor).VENDOR.origins == registry.ANY_PUBLIC_HTTPS


def _free(name: str, taken: Collection[str]) -> str:
    names = (name if number == 1 else f"{name}-{number}" for number in range(1, len(taken) + 2))
    return next(one for one in names if one not in taken)


# --- settings ---------------------------------------------------------------------------------------------------------


def _settings(vendor: str, found: registry.Recognised, warnings: list[str]) -> Document:
    fields = registry.vendor(vendor).VENDOR.connection().fields
    settings: Document = {}
    for name, declared in fields.items():
        value = found.settings.get(name)
        if isinstance(value, Mapping):
            value = {key: _secret_or_kept(key, inner, found, warnings) for key, inner in value.items()}
        elif declared.required and declared.metadata["secret"]:
            value = _secret_or_kept(name, value, found, warnings)
        elif _is_gap(value):
            value = None
        if value is not None:
            settings[name] = value
    return settings


def _secret_or_kept(name: str, value: Any, found: registry.Recognised, warnings: list[str]) -> Any:
    """A secret that is needed, or what stands for one that the person still has to write."""
    if value is not None and not _is_gap(value):
        return value
    if not _speak_of(name, found.warnings):
        warnings.append(f"`{name}` is not in the URL: write it into the connection.")
    return KEPT


def _is_gap(value: Any) -> bool:
    return isinstance(value, Secret) and _STAND_IN.fullmatch(value.reveal()) is not None


def _secrets_in(value: Any) -> Iterator[Secret]:
    if isinstance(value, Secret):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _secrets_in(inner)


def _replaced(value: Any, path: Sequence[str], replace: Callable[[Sequence[str]], object]) -> Any:
    """`value` with what `replace` gives for the path of each secret in its place."""
    if isinstance(value, Secret) or value == KEPT:
        return replace(path)
    if isinstance(value, Mapping):
        return {key: _replaced(inner, (*path, str(key)), replace) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_replaced(inner, (*path, str(number)), replace) for number, inner in enumerate(value, 1)]
    return value


# --- parameters -------------------------------------------------------------------------------------------------------


def _parameters(schema: Schema, call: registry.Call, found: Mapping[str, str], warnings: list[str]) -> dict[str, str]:
    """The mapping in the order of the call, in our names; what must differ from person to person made to."""
    parameters: dict[str, str] = {}
    called: dict[str, str] = {}
    for name, declared in schema.fields.items():
        example = str(declared.metadata["example"])
        value, names = in_our_names(found.get(name, ""))
        called |= names
        if not value and declared.required and name not in call.defaults and "{{" in example:
            warnings.append(f"`{name}` is not in the URL; {example} was put in.")
            value = example
        elif example == "{{ person.email }}" and _ADDRESS.fullmatch(value):
            warnings.append(f"`{name}` was one person's address, who would get every survey; {example} was put in.")
            value = example
        elif value and "{{" not in value and _STAND_IN.fullmatch(value):
            warnings.append(f"`{name}` looks like an example's gap that nothing here fills: write the value itself.")
        if value:
            parameters[name] = value
    warnings += remarks_on(called)
    return parameters


def _schema_of(vendor: str, call: str, settings: Document) -> Schema:
    """The call's parameters, which may be those that these settings describe."""
    declared = registry.vendor(vendor).VENDOR
    try:
        connection = declared.connection().load(_replaced(settings, (), lambda _: "a secret"))
    except ValidationError:
        # What is wrong with them is told with all other faults.
        return registry.schema(declared.calls[call].parameters)
    return registry.parameters(declared.calls[call], registry.described_parameters(vendor, call, connection))


def _event_of(templates: Collection[str]) -> str:
    names = set().union(*(_names_in(template) for template in templates))
    families = {name.partition(".")[0] for name in names if name in CATALOGUE}
    if "ticket" in families:
        return EventKind.TICKET_CLOSED.value
    return next((kind.value for family, kind in _EVENTS.items() if family in families), EventKind.TICKET_CLOSED.value)


def _names_in(template: str) -> frozenset[str]:
    try:
        return placeholders_of(template)
    except TemplateInvalid:
        return frozenset()


# --- what is still wrong ----------------------------------------------------------------------------------------------


def _faults(fragment: Document) -> list[Problem]:
    """What the check of a whole configuration says of the two, each in its place in them."""
    whole = empty_document("fragment", "Fragment") | _replaced(fragment, (), lambda _: "a secret")
    try:
        check_document(whole)
    except TenantFileInvalid as error:
        return [
            Problem(re.sub(r"^(?:connections|rules)\[0\]\.", "", problem.place), problem.message)
            for problem in error.problems
        ]
    return []


def _is_told(fault: Problem, warnings: Sequence[str]) -> bool:
    """Whether the vendor has said already that something is missing."""
    return fault.message.startswith("is required") and _speak_of(fault.place.rpartition(".")[2], warnings)


def _speak_of(name: str, warnings: Sequence[str]) -> bool:
    return any(re.search(rf"\b{re.escape(name)}\b", warning) for warning in warnings)
