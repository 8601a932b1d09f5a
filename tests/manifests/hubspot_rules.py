"""What a HubSpot project must hold that HubSpot's library does not look at without an account.

Rules in our own words, after https://developers.hubspot.com/docs/apps/developer-platform/add-features/custom-workflow-actions
and https://developers.hubspot.com/docs/apps/developer-platform/add-features/configure-webhooks
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

Files = Mapping[str, bytes]
Documents = Mapping[str, Any]

#: Where each component has to lie below src/. What lies elsewhere is left out by HubSpot without a word.
FOLDERS = {"app": "app", "webhooks": "app/webhooks", "workflow-action": "app/workflow-actions"}
META = "-hsmeta.json"
META_KEYS = {"uid", "type", "config", "dependencies", "permissions"}
VERSIONS = {"2025.2", "2026.03", "2026.09"}
APP_KEYS = {"name", "description", "distribution", "auth", "permittedUrls", "support"}
ACTION_KEYS = {
    "actionUrl", "isPublished", "supportedClients", "inputFields", "outputFields", "inputFieldDependencies",
    "executionRules", "objectRequestOptions", "labels", "objectTypes",
}  # fmt: skip
OBJECTS = {"CONTACT", "COMPANY", "DEAL", "TICKET"}
VALUE_TYPES = {"STATIC_VALUE", "OBJECT_PROPERTY"}
LABELS = {"actionName", "actionDescription", "actionCardContent", "inputFieldLabels"}
SUBSCRIPTIONS = {
    "object.creation", "object.deletion", "object.merge", "object.restore", "object.propertyChange",
    "object.associationChange",
}  # fmt: skip
SCOPES = {"ticket": "tickets", "deal": "crm.objects.deals.read", "contact": "crm.objects.contacts.read"}
VARIABLE = re.compile(r"\$\{(\w+)\}")


def faults(files: Files) -> list[str]:
    """Everything that is wrong with a project, in sentences; empty when it is right."""
    documents: dict[str, Any] = {}
    for name in sorted(files):
        try:
            documents[name] = json.loads(files[name])
        except ValueError:
            return [f"{name} is no JSON"]
    metas = {name: document for name, document in documents.items() if name.endswith(META)}
    return [
        *_project(documents.get("hsproject.json", {})),
        *_profiles(documents, metas),
        *_components(metas),
        *(f"{name}: {what}" for name, meta in metas.items() for what in _CHECKS.get(meta.get("type"), _unknown)(meta)),
        *_scopes(metas),
    ]


def _project(project: Mapping[str, Any]) -> Iterator[str]:
    if project.keys() != {"name", "srcDir", "platformVersion"}:
        yield "hsproject.json needs name, srcDir and platformVersion"
    if project.get("platformVersion") not in VERSIONS:
        yield "hsproject.json: unknown platformVersion"


def _profiles(documents: Documents, metas: Documents) -> Iterator[str]:
    used = set(VARIABLE.findall(json.dumps(list(metas.values()))))
    profiles = {name: item for name, item in documents.items() if re.fullmatch(r"src/hsprofile\.\w+\.json", name)}
    if not profiles:
        yield "there is no profile"
    for name, profile in profiles.items():
        if not isinstance(profile.get("accountId"), int):
            yield f"{name}: accountId is no number"
        given = set(profile.get("variables", {}))
        yield from (f"{name}: nothing is said of {one}" for one in sorted(used - given))
        yield from (f"{name}: nobody uses {one}" for one in sorted(given - used))
        yield from (
            f"{name}: {one} is no https address"
            for one, value in profile.get("variables", {}).items()
            if one.endswith("URL") and not str(value).startswith("https://")
        )


def _components(metas: Documents) -> Iterator[str]:
    for uid, times in Counter(meta.get("uid") for meta in metas.values()).items():
        if times > 1 or not re.fullmatch(r"[\w.-]{1,64}", str(uid), re.ASCII):
            yield f"the uid {uid} is none, or stands there twice"
    kinds = Counter(meta.get("type") for meta in metas.values())
    yield from (f"there must be one component of type {kind}" for kind in ("app", "webhooks") if kinds[kind] != 1)
    for name, meta in metas.items():
        yield from (f"{name}: unknown key {key}" for key in sorted(meta.keys() - META_KEYS))
        if name.rpartition("/")[0] != f"src/{FOLDERS.get(meta.get('type'))}":
            yield f"{name}: HubSpot does not look for it there"


def _unknown(meta: Mapping[str, Any]) -> Iterator[str]:
    yield f"unknown type {meta.get('type')}"


def _app(meta: Mapping[str, Any]) -> Iterator[str]:
    config = meta["config"]
    yield from (f"unknown key {key}" for key in sorted(config.keys() - APP_KEYS))
    if not config.get("name") or not config.get("description"):
        yield "name or description is missing"
    if config.get("distribution") != "private" or config.get("auth", {}).get("type") != "static":
        yield "the app must be private, with a token of its own"


def _action(meta: Mapping[str, Any]) -> Iterator[str]:
    config = meta["config"]
    yield from (f"unknown key {key}" for key in sorted(config.keys() - ACTION_KEYS))
    if config.get("actionUrl") != "${TARGET_URL}":
        yield "actionUrl is not the source's address"
    if config.get("supportedClients") != [{"client": "WORKFLOWS"}]:
        yield "workflows do not know it"
    if not set(config.get("objectTypes", [])) <= OBJECTS or not config.get("objectTypes"):
        yield "unknown objectTypes"
    for item in config.get("inputFields", []):
        yield from (f"inputFields: {what}" for what in _input(item))
    names = [item["typeDefinition"]["name"] for item in config.get("inputFields", [])]
    if len(names) != len(set(names)):
        yield "inputFields: a name stands there twice"
    yield from _labels(config.get("labels", {}), set(names))


def _input(item: Mapping[str, Any]) -> Iterator[str]:
    definition = item.get("typeDefinition", {})
    kind = definition.get("type"), definition.get("fieldType")
    if kind not in {("string", "text"), ("enumeration", "select")}:
        yield f"unknown type {kind}"
    if (kind[0] == "enumeration") != bool(definition.get("options")):
        yield "only an enumeration has options, and it needs them"
    if not set(item.get("supportedValueTypes", [])) <= VALUE_TYPES or not item.get("supportedValueTypes"):
        yield "unknown supportedValueTypes"
    if not isinstance(item.get("isRequired"), bool):
        yield "isRequired is no switch"


def _labels(labels: Mapping[str, Any], names: set[str]) -> Iterator[str]:
    if "en" not in labels:
        yield "labels: English is missing"
    for language, texts in labels.items():
        yield from (f"labels.{language}: {key} is missing" for key in sorted(LABELS) if not texts.get(key))
        if set(texts.get("inputFieldLabels", {})) != names:
            yield f"labels.{language}: labels and fields differ"
        if not set(texts.get("inputFieldDescriptions", {})) <= names:
            yield f"labels.{language}: a field is described that there is not"


def _webhooks(meta: Mapping[str, Any]) -> Iterator[str]:
    config = meta["config"]
    if config.get("settings", {}).get("targetUrl") != "${TARGET_URL}":
        yield "targetUrl is not the source's address"
    for item in config.get("subscriptions", {}).get("crmObjects", []):
        kind = item.get("subscriptionType")
        if kind not in SUBSCRIPTIONS or not item.get("objectType"):
            yield f"unknown subscription {kind}"
        if (kind == "object.propertyChange") != bool(item.get("propertyName")):
            yield "propertyName is missing or too much"
        if "active" not in item:
            yield "active is missing"


_CHECKS = {"app": _app, "workflow-action": _action, "webhooks": _webhooks}


def _scopes(metas: Documents) -> Iterator[str]:
    """What is read without a right to read it."""
    by_kind: dict[str, list[Any]] = {}
    for meta in metas.values():
        by_kind.setdefault(meta.get("type"), []).append(meta["config"])
    granted = {one for app in by_kind.get("app", []) for one in app.get("auth", {}).get("requiredScopes", [])}
    read = {
        item.get("objectType")
        for webhooks in by_kind.get("webhooks", [])
        for item in webhooks.get("subscriptions", {}).get("crmObjects", [])
    } | {kind.lower() for action in by_kind.get("workflow-action", []) for kind in action.get("objectTypes", [])}
    yield from (
        f"the scope for {one} is missing" for one in sorted(filter(None, read)) if SCOPES.get(one) not in granted
    )
