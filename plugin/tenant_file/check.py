"""Checking a configuration against what the connectors declare; all problems are reported together."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
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
#: What a rule with `when_uncertain: resend` means for people.
RESEND_WARNING: Final = (
    "a call whose answer is lost is made again, so a person may be asked twice; leave out when_uncertain to have such "
    "calls held for you to decide."
)
_KINDS: Final = ("sources", "connections", "rules")


@dataclass(frozen=True)
class CheckedTenant:
    """A configuration without a fault. document: complete, in one form, its secrets filled in as `Secret`.

    rules: as values, in order, without the ids of their rows. warnings: what is allowed, but should be known.
    """

    document: Document
    rules: Sequence[Rule]
    warnings: Sequence[str] = ()

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
    check = _Check(stored or {}, environment, extra_origins)
    shaped = check.shape(document)
    for kind in _KINDS:
        check.names_differ(kind, shaped.all[kind])
    sources = [check.source(place, item) for place, item in shaped.sound("sources")]
    connections = [check.connection(place, item) for place, item in shaped.sound("connections")]
    rules = [check.rule(place, item, shaped) for place, item in shaped.sound("rules")]
    if check.problems:
        raise TenantFileInvalid(check.problems)
    whole = {key: shaped.top[key] for key in ("tenant", "name", "timezone", "language")}
    parts = {"sources": sources, "connections": connections, "rules": shaped.all["rules"]}
    vendors = {item["name"]: item["vendor"] for item in connections}
    return CheckedTenant(_in_order(whole | parts), rules, list(_warnings(rules, vendors)))


def _warnings(rules: Sequence[Rule], vendors: Mapping[str, str]) -> Iterator[str]:
    """What each rule risks. vendors: by the name of a connection."""
    for rule in rules:
        if may_ask_twice(rule, vendors[rule.connection]):
            yield f"rule {rule.name}: {RESEND_WARNING}"


def may_ask_twice(rule: Rule, vendor: str) -> bool:
    """Whether the rule has calls made again that the vendor does not document as harmless to repeat."""
    if not rule.resend or vendor not in registry.vendor_names():
        return False
    call = registry.vendor(vendor).VENDOR.calls.get(rule.call)
    return call is not None and not all(step.repeat_safe for step in call.steps)


def wrap_secrets(values: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    """`values` with the texts of secret fields as `Secret`, also inside nested fields."""
    return {name: _wrap(value, schema.fields.get(name)) for name, value in values.items()}


def wrap_document(document: Document) -> Document:
    """A stored configuration, whose secrets are plain texts, with them as `Secret`."""
    return document | {
        "sources": [_wrap_source(item) for item in document["sources"]],
        "connections": [_wrap_connection(item) for item in document["connections"]],
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


@dataclass(frozen=True)
class _Shaped:
    """A configuration by its own schema. all: sources, connections and rules, whose faulty ones may lack anything."""

    top: Document
    all: Mapping[str, Sequence[Document]]
    faulty: Mapping[str, Collection[int]]

    def sound(self, kind: str) -> Iterator[tuple[str, Document]]:
        """Each part that has its right shape, with its place."""
        for i, item in enumerate(self.all[kind]):
            if i not in self.faulty[kind]:
                yield f"{kind}[{i}]", item

    def named(self, kind: str, name: str) -> Document | None:
        return next((item for item in self.all[kind] if item.get("name") == name), None)


class _Check:
    """Collects problems while it walks through one configuration."""

    def __init__(self, stored: Mapping[str, Any], environment: Environment, extra_origins: Collection[str]) -> None:
        self.problems: list[Problem] = []
        self._stored = stored
        self._environment = environment
        self._extra_origins = extra_origins
        #: Settings of connections without a fault, by name, as their vendors load them.
        self._sound_settings: dict[str, registry.Settings] = {}

    def tell(self, place: str, message: str) -> None:
        self.problems.append(Problem(place, message))

    def shape(self, document: Document) -> _Shaped:
        """Check everything that no connector has a say in. What is sound is checked further beside what is not."""
        loaded, messages = _load(TenantSchema(), document)
        self.problems += flatten_problems("", messages)
        return _Shaped(
            top=loaded,
            all={kind: loaded.get(kind, ()) for kind in _KINDS},
            faulty={kind: _positions(messages.get(kind)) for kind in _KINDS},
        )

    def names_differ(self, kind: str, items: Sequence[Mapping[str, Any]]) -> None:
        seen: set[str] = set()
        for i, item in enumerate(items):
            name = item.get("name")
            if name in seen:
                self.tell(f"{kind}[{i}].name", f"another one is named {name} too; names tell them apart.")
            if name is not None:
                seen.add(name)

    def source(self, place: str, item: Mapping[str, Any]) -> Document:
        before = self._named("sources", item["name"])
        if item["kind"] not in registry.source_names():
            names = ", ".join(registry.source_names())
            self.tell(f"{place}.kind", f"there is no kind of source named {item['kind']}; there are: {names}.")
            return dict(item)
        declared = registry.source(item["kind"]).SOURCE
        schema = declared.credentials()
        checked = dict(item)
        for part in ("credentials", "old_credentials"):
            if part in item:
                # Old ones that were not there before are those that were the present ones until now.
                known = before.get(part, before.get("credentials", {})) if before.get("kind") == item["kind"] else {}
                checked[part] = self._load(f"{place}.{part}", item[part], known, schema)
        self._settings(f"{place}.settings", item, declared)
        if item.get("state") == "capture" and not hasattr(registry.source(item["kind"]), "leaves_of"):
            self.tell(f"{place}.state", f"what {item['kind']} sends is known, so nothing is captured of it; use test.")
        # A key that was drawn here, and not written by a person, has no line in the file.
        was_drawn = bool(before) and "key" not in before
        if checked.get("key") == KEPT and was_drawn:
            del checked["key"]
        if "key" in checked:
            checked["key"] = self._key(f"{place}.key", checked["key"], before.get("key", _GONE))
        return checked

    def _settings(self, place: str, item: Mapping[str, Any], declared: registry.Source) -> None:
        """How messages are to be read, kept as it was written."""
        if declared.settings is not None:
            self.problems += flatten_problems(place, _load(declared.settings(), item.get("settings", {}))[1])
        elif item.get("settings"):
            self.tell(place, f"a source of kind {item['kind']} has none; leave it out.")

    def _key(self, place: str, raw: object, before: object) -> Secret:
        told = len(self.problems)
        key = unwrap(self._resolve(place, raw, before))
        if len(self.problems) == told and not (isinstance(key, str) and re.fullmatch(KEY_PATTERN, key)):
            self.tell(place, "must have 16 to 128 characters of A-Z, a-z, 0-9, - and _.")
        return Secret(str(key))

    def connection(self, place: str, item: Mapping[str, Any]) -> Document:
        before = self._named("connections", item["name"])
        if item["vendor"] not in registry.vendor_names():
            names = ", ".join(registry.vendor_names())
            self.tell(f"{place}.vendor", f"there is no survey vendor named {item['vendor']}; there are: {names}.")
            return dict(item)
        vendor = registry.vendor(item["vendor"]).VENDOR
        known = before.get("settings", {}) if before.get("vendor") == item["vendor"] else {}
        schema = vendor.connection()
        settings = self._load(f"{place}.settings", item["settings"], known, schema)
        # As it is called: origins may be tidier there than they were written.
        loaded, faults = _load(schema, unwrap(settings))
        if not faults:
            self._sound_settings[item["name"]] = loaded
        self._check_origins(f"{place}.settings", loaded, vendor)
        return {**item, "settings": settings}

    def rule(self, place: str, item: Mapping[str, Any], shaped: _Shaped) -> Rule:
        described: registry.Described | None = None
        for i, name in enumerate(item.get("sources") or ()):
            if shaped.named("sources", name) is None:
                self.tell(f"{place}.sources[{i}]", f"there is no source named {name} in this file.")
        connection = shaped.named("connections", item["connection"])
        if connection is None:
            self.tell(f"{place}.connection", f"there is no connection named {item['connection']} in this file.")
        elif connection.get("vendor") in registry.vendor_names():
            described = self._call(place, item, connection)
        for problem in check_mapping(item["parameters"]):
            self.tell(f"{place}.parameters.{problem.place}", problem.message)
        definition = {
            **item,
            "sources": item.get("sources"),
            "events": item["when"]["events"],
            "conditions": item["when"]["conditions"],
            "described": described,
        }
        return read_rule("", item["name"], item["connection"], definition)

    def _call(self, place: str, item: Mapping[str, Any], connection: Mapping[str, Any]) -> registry.Described | None:
        """Check what is asked of the vendor; gives the call's parameters where the connection declares them."""
        module = registry.vendor(connection["vendor"])
        call = module.VENDOR.calls.get(item["call"])
        if call is None:
            names = ", ".join(module.VENDOR.calls)
            self.tell(f"{place}.call", f"{connection['vendor']} has no call named {item['call']}; it has: {names}.")
            return None
        settings = self._sound_settings.get(connection["name"])
        if settings is None and hasattr(module, "parameters_of"):
            # Its own faults are told already, and with them nobody knows what its calls take.
            return None
        described = registry.described_parameters(connection["vendor"], item["call"], settings or {})
        schema = registry.parameters(call, described)
        for name in item["parameters"]:
            if name not in schema.fields:
                known = ", ".join(schema.fields)
                self.tell(f"{place}.parameters.{name}", f"{item['call']} has no such parameter; it has: {known}.")
        for name, field in schema.fields.items():
            if field.required and name not in item["parameters"] and name not in call.defaults:
                self.tell(f"{place}.parameters.{name}", f"is required by {item['call']}.")
        check = getattr(module, "check", None)
        if check is not None:
            for problem in check(item["call"], item["parameters"], connection.get("settings", {})):
                self.tell(f"{place}.parameters.{problem.place}", problem.message)
        return described

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
        plain = unwrap(resolved)
        self.problems += flatten_problems(place, _load(schema, plain)[1])
        return wrap_secrets(plain, schema)

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


def _positions(messages: object) -> Collection[int]:
    """Which items of a list marshmallow complains about."""
    return [key for key in messages if isinstance(key, int)] if isinstance(messages, Mapping) else ()


def _load(schema: Schema, values: Mapping[str, Any]) -> tuple[Document, Mapping[str, Any]]:
    """What the schema makes of those values that have no fault, and what it says of the others."""
    try:
        return schema.load(values), {}
    except ValidationError as error:
        valid = error.valid_data if isinstance(error.valid_data, dict) else {}
        return valid, error.messages if isinstance(error.messages, dict) else {"_schema": error.messages}


def _wrap(value: Any, field: fields.Field[Any] | None) -> Any:
    if isinstance(field, fields.Nested) and isinstance(value, Mapping):
        return wrap_secrets(value, field.schema)
    if isinstance(field, fields.Dict) and isinstance(value, Mapping):
        return {name: _wrap(inner, field.value_field) for name, inner in value.items()}
    if field is not None and field.metadata.get("secret") and isinstance(value, str):
        return Secret(value)
    return value


def _wrap_source(item: Mapping[str, Any]) -> Document:
    if item["kind"] not in registry.source_names():
        return dict(item)
    schema = registry.source(item["kind"]).SOURCE.credentials()
    secret = {part: wrap_secrets(item[part], schema) for part in ("credentials", "old_credentials") if part in item}
    key = {"key": Secret(item["key"])} if "key" in item else {}
    return {**item, **secret, **key}


def _wrap_connection(item: Mapping[str, Any]) -> Document:
    if item["vendor"] not in registry.vendor_names():
        return dict(item)
    return {**item, "settings": wrap_secrets(item["settings"], registry.vendor(item["vendor"]).VENDOR.connection())}


_ORDER: Final[Mapping[str, Sequence[str]]] = {
    "sources": (
        "name",
        "kind",
        "state",
        "language",
        "limit_per_minute",
        "key",
        "credentials",
        "old_credentials",
        "settings",
    ),
    "connections": ("name", "vendor", "settings", "languages", "limits"),
    "rules": (
        "name",
        "enabled",
        "stop",
        "sources",
        "when",
        "ask",
        "connection",
        "call",
        "when_uncertain",
        "parameters",
    ),
}


def _in_order(document: Document) -> Document:
    """Every part with its keys in the order of the guide, so that two versions compare line by line."""
    for kind, keys in _ORDER.items():
        document[kind] = [{key: item[key] for key in keys if key in item} for item in document[kind]]
    return document


def as_json(document: Document) -> str:
    """A configuration for the vault, secrets included."""
    return json.dumps(unwrap(document), ensure_ascii=False)
