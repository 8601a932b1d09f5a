"""Checking a configuration against what the connectors declare; all problems are reported together."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from marshmallow import Schema, ValidationError, fields

from plugin import registry
from plugin.domain.mapping import check_mapping
from plugin.domain.rule import Rule
from plugin.errors import Problem, TenantFileInvalid, flatten_problems
from plugin.outbound import origin_problem
from plugin.redaction import Secret
from plugin.store.rules import read_rule
from plugin.tenant_file.document import KEPT, Document
from plugin.tenant_file.schema import KEY_PATTERN, TenantSchema

#: Finds a variable of the environment that `${NAME}` may stand for; None where that is not allowed.
Environment = Callable[[str], str | None] | None

_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_GONE: Final = object()


@dataclass(frozen=True)
class CheckedTenant:
    """A configuration without a fault. document: complete, in one form, its secrets filled in as `Secret`.

    rules: as values, in order, without the ids of their rows.
    """

    document: Document
    rules: Sequence[Rule]

    @property
    def slug(self) -> str:
        return str(self.document["tenant"])


def check_document(
    document: Document,
    *,
    stored: Document | None = None,
    environment: Environment = None,
    extra_origins: Collection[str] = (),
) -> CheckedTenant:
    """Check a whole configuration.

    stored: the present one, whose secrets stand in for `{secret: set}`. environment: where `${NAME}` may stand for a
    secret, its look-up. extra_origins: allowed besides the vendors' own. Raises TenantFileInvalid with every problem.
    """
    try:
        loaded: Document = TenantSchema().load(document)
    except ValidationError as error:
        raise TenantFileInvalid(flatten_problems("", error.messages)) from None
    check = _Check(stored or {}, environment, extra_origins)
    sources = [check.source(f"sources[{i}]", item) for i, item in enumerate(loaded["sources"])]
    connections = [check.connection(f"connections[{i}]", item) for i, item in enumerate(loaded["connections"])]
    for kind in ("sources", "connections", "rules"):
        check.names_differ(kind, loaded[kind])
    rules = [check.rule(f"rules[{i}]", item, loaded) for i, item in enumerate(loaded["rules"])]
    if check.problems:
        raise TenantFileInvalid(check.problems)
    whole = {
        "tenant": loaded["tenant"],
        "name": loaded["name"],
        "timezone": loaded["timezone"],
        "language": loaded["language"],
        "sources": sources,
        "connections": connections,
        "rules": loaded["rules"],
    }
    return CheckedTenant(_in_order(whole), [rule for rule in rules if rule is not None])


def wrap_secrets(values: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    """`values` with the texts of secret fields as `Secret`, also inside nested fields."""
    return {name: _wrap(value, schema.fields.get(name)) for name, value in values.items()}


def wrap_document(document: Document) -> Document:
    """A stored configuration, whose secrets are plain texts, with them as `Secret`."""
    return document | {
        "sources": [_wrap_part(item, "kind", "credentials") for item in document["sources"]],
        "connections": [_wrap_part(item, "vendor", "settings") for item in document["connections"]],
    }


def unwrap(value: Any) -> Any:
    """The other way round, for the vault: secrets as plain texts."""
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, Mapping):
        return {key: unwrap(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [unwrap(inner) for inner in value]
    return value


class _Check:
    """Collects problems while it walks through one configuration."""

    def __init__(self, stored: Mapping[str, Any], environment: Environment, extra_origins: Collection[str]) -> None:
        self.problems: list[Problem] = []
        self._stored = stored
        self._environment = environment
        self._extra_origins = extra_origins

    def tell(self, place: str, message: str) -> None:
        self.problems.append(Problem(place, message))

    def names_differ(self, kind: str, items: Sequence[Mapping[str, Any]]) -> None:
        seen: set[str] = set()
        for i, item in enumerate(items):
            if item["name"] in seen:
                self.tell(f"{kind}[{i}].name", f"another one is named {item['name']} too; names tell them apart.")
            seen.add(item["name"])

    def source(self, place: str, item: Mapping[str, Any]) -> Document:
        before = self._named("sources", item["name"])
        if item["kind"] not in registry.source_names():
            names = ", ".join(registry.source_names())
            self.tell(f"{place}.kind", f"there is no kind of source named {item['kind']}; there are: {names}.")
            return dict(item)
        schema = registry.source(item["kind"]).SOURCE.credentials()
        known = before.get("credentials", {}) if before.get("kind") == item["kind"] else {}
        credentials = self._load(f"{place}.credentials", item["credentials"], known, schema)
        checked = {**item, "credentials": credentials}
        if "key" in item:
            key = self._resolve(f"{place}.key", item["key"], before.get("key", _GONE))
            if isinstance(key, str) and not re.fullmatch(KEY_PATTERN, key):
                self.tell(f"{place}.key", "must have 16 to 128 characters of A-Z, a-z, 0-9, - and _.")
            # A key that is stored but was drawn here, not written by a person, needs no line in the file.
            checked.pop("key")
            if key is not None:
                checked["key"] = key if isinstance(key, Secret) else Secret(str(key))
        return checked

    def connection(self, place: str, item: Mapping[str, Any]) -> Document:
        before = self._named("connections", item["name"])
        if item["vendor"] not in registry.vendor_names():
            names = ", ".join(registry.vendor_names())
            self.tell(f"{place}.vendor", f"there is no survey vendor named {item['vendor']}; there are: {names}.")
            return dict(item)
        vendor = registry.vendor(item["vendor"]).VENDOR
        known = before.get("settings", {}) if before.get("vendor") == item["vendor"] else {}
        settings = self._load(f"{place}.settings", item["settings"], known, vendor.connection())
        self._check_origins(f"{place}.settings", settings, vendor)
        return {**item, "settings": settings}

    def rule(self, place: str, item: Mapping[str, Any], whole: Mapping[str, Any]) -> Rule | None:
        names = {source["name"] for source in whole["sources"]}
        for i, name in enumerate(item.get("sources") or ()):
            if name not in names:
                self.tell(f"{place}.sources[{i}]", f"there is no source named {name} in this file.")
        connection = next((one for one in whole["connections"] if one["name"] == item["connection"]), None)
        if connection is None:
            self.tell(f"{place}.connection", f"there is no connection named {item['connection']} in this file.")
        elif connection["vendor"] in registry.vendor_names():
            self._call(place, item, connection)
        for problem in check_mapping(item["parameters"]):
            self.tell(f"{place}.parameters.{problem.place}", problem.message)
        definition = {
            **item,
            "sources": item.get("sources"),
            "events": item["when"]["events"],
            "conditions": item["when"]["conditions"],
        }
        return read_rule("", item["name"], item["connection"], definition)

    def _call(self, place: str, item: Mapping[str, Any], connection: Mapping[str, Any]) -> None:
        module = registry.vendor(connection["vendor"])
        call = module.VENDOR.calls.get(item["call"])
        if call is None:
            names = ", ".join(module.VENDOR.calls)
            self.tell(f"{place}.call", f"{connection['vendor']} has no call named {item['call']}; it has: {names}.")
            return
        schema = call.parameters()
        for name in item["parameters"]:
            if name not in schema.fields:
                known = ", ".join(schema.fields)
                self.tell(f"{place}.parameters.{name}", f"{item['call']} has no such parameter; it has: {known}.")
        for name, field in schema.fields.items():
            if field.required and name not in item["parameters"] and name not in call.defaults:
                self.tell(f"{place}.parameters.{name}", f"is required by {item['call']}.")
        check = getattr(module, "check", None)
        if check is not None:
            for problem in check(item["call"], item["parameters"], connection["settings"]):
                self.tell(f"{place}.parameters.{problem.place}", problem.message)

    def _check_origins(self, place: str, settings: Mapping[str, Any], vendor: registry.Vendor) -> None:
        allowed = None if vendor.origins == registry.ANY_PUBLIC_HTTPS else vendor.origins
        for name, value in settings.items():
            if (name == "origin" or name.endswith("_origin")) and isinstance(value, str) and value:
                problem = origin_problem(value, allowed, self._extra_origins)
                if problem is not None:
                    self.tell(f"{place}.{name}", problem)

    def _named(self, kind: str, name: str) -> Mapping[str, Any]:
        return next((item for item in self._stored.get(kind, ()) if item["name"] == name), {})

    def _load(self, place: str, raw: Mapping[str, Any], known: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
        """Fill in kept secrets, then have the connector's schema check all of it."""
        before = len(self.problems)
        resolved = self._resolve(place, raw, known)
        if len(self.problems) > before:
            return dict(raw)
        try:
            schema.load(unwrap(resolved))
        except ValidationError as error:
            self.problems += flatten_problems(place, error.messages)
        return wrap_secrets(unwrap(resolved), schema)

    def _resolve(self, place: str, value: Any, known: Any) -> Any:
        if isinstance(value, Mapping):
            if dict(value) == dict(KEPT):
                if known is _GONE or known is None:
                    self.tell(place, "there is no stored secret to keep here; write the secret itself.")
                    return None
                return known
            inside = known if isinstance(known, Mapping) else {}
            return {key: self._resolve(f"{place}.{key}", inner, inside.get(key, _GONE)) for key, inner in value.items()}
        if isinstance(value, str) and (variable := _VARIABLE.fullmatch(value)):
            return self._from_environment(place, variable[1])
        return value

    def _from_environment(self, place: str, name: str) -> str | None:
        if self._environment is None:
            self.tell(place, f"${{{name}}} works in the apply command only; write the value here.")
            return None
        value = self._environment(name)
        if not value:
            self.tell(place, f"the environment has no variable {name}, or it is empty.")
        return value


def _wrap(value: Any, field: fields.Field[Any] | None) -> Any:
    if isinstance(field, fields.Nested) and isinstance(value, Mapping):
        return wrap_secrets(value, field.schema)
    if field is not None and field.metadata.get("secret") and isinstance(value, str):
        return Secret(value)
    return value


def _wrap_part(item: Mapping[str, Any], kind_key: str, part: str) -> Document:
    names = registry.source_names() if part == "credentials" else registry.vendor_names()
    if item[kind_key] not in names:
        return dict(item)
    schema = (
        registry.source(item[kind_key]).SOURCE.credentials()
        if part == "credentials"
        else registry.vendor(item[kind_key]).VENDOR.connection()
    )
    wrapped = {**item, part: wrap_secrets(item[part], schema)}
    if "key" in wrapped:
        wrapped["key"] = Secret(wrapped["key"])
    return wrapped


_ORDER: Final[Mapping[str, Sequence[str]]] = {
    "sources": ("name", "kind", "state", "key", "credentials"),
    "connections": ("name", "vendor", "settings"),
    "rules": ("name", "enabled", "stop", "sources", "when", "connection", "call", "parameters"),
}


def _in_order(document: Document) -> Document:
    """Every part with its keys in the order of the guide, so that two versions compare line by line."""
    for kind, keys in _ORDER.items():
        document[kind] = [{key: item[key] for key in keys if key in item} for item in document[kind]]
    return document


def as_json(document: Document) -> str:
    """A configuration for the vault, secrets included."""
    return json.dumps(unwrap(document), ensure_ascii=False)
