"""What a Zendesk app package must hold to be taken, and what Zendesk's own validator does not look at.

Rules in our own words, after https://developer.zendesk.com/documentation/apps/app-developer-guide/manifest/,
https://developer.zendesk.com/documentation/apps/app-developer-guide/apps_requirements/ and the checks of
https://github.com/zendesk/zendesk_apps_support
"""

from __future__ import annotations

import json
import re
import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

Files = Mapping[str, bytes]

MANIFEST_KEYS = {
    "name", "author", "defaultLocale", "private", "version", "frameworkVersion", "location", "parameters",
    "domainWhitelist", "signedUrls", "singleInstall", "requirementsOnly", "marketingOnly", "oauth",
    "termsConditionsURL", "remoteInstallationURL", "gaID",
}  # fmt: skip
NEEDED_KEYS = {"name", "author", "defaultLocale", "version", "frameworkVersion", "location"}
SWITCHES = {"private", "signedUrls", "singleInstall", "requirementsOnly", "marketingOnly"}
LOCATIONS = {
    "top_bar", "nav_bar", "ticket_sidebar", "new_ticket_sidebar", "user_sidebar", "organization_sidebar", "background",
    "modal", "ticket_editor", "system_top_bar",
}  # fmt: skip
WITH_ICON = {"top_bar", "nav_bar", "system_top_bar", "ticket_editor"}
PARAMETER_TYPES = {"text", "checkbox", "url", "number", "multiline", "hidden", "oauth"}
SCOPES = {
    "header", "body", "url", "jwt_secret_key", "jwt_claim", "basic_auth_username", "basic_auth_password",
}  # fmt: skip
TEXTS = {"name", "short_description", "long_description", "installation_instructions"}
REQUIREMENTS = {
    "automations", "channel_integrations", "custom_objects", "custom_objects_v2", "macros", "targets", "views",
    "ticket_fields", "triggers", "user_fields", "organization_fields", "webhooks",
}  # fmt: skip
WITHOUT_TITLE = {"webhooks", "channel_integrations", "custom_objects", "custom_objects_v2"}
WEBHOOK_KEYS = {"name", "status", "endpoint", "http_method", "request_format"}
WEBHOOK_EXTRAS = {"description", "subscriptions", "authentication", "signing_secret", "custom_headers"}
OPERATORS = {
    "is", "is_not", "less_than", "greater_than", "changed", "not_changed", "value", "value_previous", "not_value",
    "not_value_previous", "includes", "not_includes",
}  # fmt: skip
WITHOUT_VALUE = {"changed", "not_changed"}
LOGOS = {"assets/logo.png": (320, 320), "assets/logo-small.png": (128, 128)}
FORBIDDEN_FILES = re.compile(r"\.(zip|gz|tar|rar|7z|docx?|xlsx?|pptx?|pdf|jar|mp3)\Z", re.IGNORECASE)
LOCALE = re.compile(r"[a-z]{2,3}(-[A-Z]{2})?\Z")
SECRET_NAME = re.compile(r"token|key|pwd|password", re.IGNORECASE)
SETTING = re.compile(r"\{\{\s*setting\.(\w+)")
LARGEST_BODY = 256 * 1024


def faults(files: Files) -> list[str]:
    """Everything that is wrong with a package, in sentences; empty when it is right."""
    documents: dict[str, Any] = {}
    found: list[str] = []
    for name in sorted(files):
        if name.endswith(".json"):
            try:
                documents[name] = json.loads(files[name], object_pairs_hook=_without_repeats)
            except ValueError as error:
                found.append(f"{name}: {error}")
    manifest = documents.get("manifest.json")
    if not isinstance(manifest, dict):
        return [*found, "manifest.json is missing at the root"]
    return [
        *found,
        *_manifest(manifest, files),
        *_locations(manifest, files),
        *_parameters(manifest),
        *_translations(manifest, documents),
        *_requirements(documents.get("requirements.json", {})),
        *_settings(manifest, files),
        *_assets(files),
    ]


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    repeated = [name for name, times in Counter(name for name, _ in pairs).items() if times > 1]
    if repeated:
        raise ValueError(f"{', '.join(repeated)} stands there twice")
    return dict(pairs)


def _manifest(manifest: Mapping[str, Any], files: Files) -> Iterator[str]:
    yield from (f"manifest: unknown key {name}" for name in sorted(manifest.keys() - MANIFEST_KEYS))
    yield from (f"manifest: {name} is missing" for name in sorted(NEEDED_KEYS - manifest.keys()))
    yield from (
        f"manifest: {name} is no switch" for name in SWITCHES & manifest.keys() if manifest[name] not in (True, False)
    )
    if manifest.get("frameworkVersion") != "2.0":
        yield "manifest: frameworkVersion is not 2.0"
    for name in ("name", "version"):
        if name in manifest and not (isinstance(manifest[name], str) and manifest[name].strip()):
            yield f"manifest: {name} is no text"
    author = manifest.get("author")
    if not isinstance(author, dict) or not {"name", "email"} <= author.keys() <= {"name", "email", "url"}:
        yield "manifest: author needs name and email"
    elif not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", author["email"]) or not _is_https(
        author.get("url", "https://a.b")
    ):
        yield "manifest: author's email or url is none"
    locale = str(manifest.get("defaultLocale"))
    if not LOCALE.fullmatch(locale) or f"translations/{locale}.json" not in files:
        yield "manifest: defaultLocale has no translation"
    if manifest.get("requirementsOnly") and manifest.keys() & {"location", "frameworkVersion"}:
        yield "manifest: requirementsOnly forbids location and frameworkVersion"


def _locations(manifest: Mapping[str, Any], files: Files) -> Iterator[str]:
    for product, places in manifest.get("location", {}).items():
        if product != "support":
            yield f"location: this app is for support, not {product}"
        for place, item in places.items():
            url = item if isinstance(item, str) else item.get("url", "")
            if place not in LOCATIONS:
                yield f"location: unknown place {place}"
            if not (_is_https(url) or url in files):
                yield f"location: {place} leads neither to https nor to a file of the package"
            if place in WITH_ICON and f"assets/icon_{place}.svg" not in files:
                yield f"location: {place} has no icon"


def _parameters(manifest: Mapping[str, Any]) -> Iterator[str]:
    declared = manifest.get("parameters", [])
    for name, times in Counter(item.get("name") for item in declared).items():
        if times > 1 or name in {None, "", "name"}:
            yield f"parameter {name}: the name is taken"
    if sum(item.get("type") == "oauth" for item in declared) > 1:
        yield "parameters: more than one of type oauth"
    for item in declared:
        yield from (f"parameter {item.get('name')}: {what}" for what in _parameter(item))


def _parameter(item: Mapping[str, Any]) -> Iterator[str]:
    secure, kind = item.get("secure", False), item.get("type")
    if kind not in PARAMETER_TYPES:
        yield f"unknown type {kind}"
    if not set(item.get("scopes", [])) <= SCOPES:
        yield "unknown scope"
    if bool(item.get("scopes")) != secure:
        yield "secure and scopes need each other"
    if "default" in item and (secure or kind == "hidden"):
        yield "a default for what nobody is to see"
    if kind == "hidden" and item.get("required"):
        yield "hidden and required"
    if kind == "text" and not secure and SECRET_NAME.search(str(item.get("name"))):
        yield "a secret that is not secure"


def _translations(manifest: Mapping[str, Any], documents: Mapping[str, Any]) -> Iterator[str]:
    names = {item.get("name") for item in manifest.get("parameters", [])}
    for file in sorted(name for name in documents if name.startswith("translations/")):
        locale = file.removeprefix("translations/").removesuffix(".json")
        app = documents[file].get("app", {})
        labels = app.get("parameters", {})
        if not LOCALE.fullmatch(locale):
            yield f"{file}: {locale} is no locale"
        yield from (f"{file}: app.{name} is missing" for name in sorted(TEXTS) if not app.get(name))
        yield from (f"{file}: parameter {name} has no label" for name in names if not labels.get(name, {}).get("label"))
        yield from (f"{file}: there is no parameter {name}" for name in labels.keys() - names)


# --- requirements -----------------------------------------------------------------------------------------------------


def _requirements(requirements: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"requirements: unknown type {kind}" for kind in sorted(requirements.keys() - REQUIREMENTS))
    if sum(map(len, requirements.values())) > 5000:
        yield "requirements: more than 5000"
    for kind, items in requirements.items():
        if kind not in WITHOUT_TITLE:
            yield from (f"{kind}.{name}: title is missing" for name, item in items.items() if not item.get("title"))
    for name, item in requirements.get("targets", {}).items():
        if item.get("type") in {"http_target", "url_target", "url_target_v2"}:
            yield f"targets.{name}: this kind works no more"
    for name, item in requirements.get("webhooks", {}).items():
        yield from (f"webhooks.{name}: {what}" for what in _webhook(item))
    for name, item in requirements.get("triggers", {}).items():
        yield from (f"triggers.{name}: {what}" for what in _trigger(item, requirements.get("webhooks", {})))


def _webhook(item: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"{name} is missing" for name in sorted(WEBHOOK_KEYS - item.keys()))
    yield from (f"unknown key {name}" for name in sorted(item.keys() - WEBHOOK_KEYS - WEBHOOK_EXTRAS))
    if not _is_https(item.get("endpoint", "")):
        yield "the endpoint is not https"
    for name, allowed in {
        "http_method": {"POST", "PUT", "PATCH", "GET", "DELETE"},
        "request_format": {"json", "xml", "form_encoded"},
        "status": {"active", "inactive"},
    }.items():
        if name in item and item[name] not in allowed:
            yield f"unknown {name}"
    if item.get("subscriptions") != ["conditional_ticket_events"]:
        yield "a webhook of triggers subscribes to conditional_ticket_events alone"
    if item.get("authentication", {}).get("type", "bearer_token") not in {"api_key", "basic_auth", "bearer_token"}:
        yield "unknown authentication"
    signing = item.get("signing_secret", {})
    if signing.get("algorithm") != "SHA256" or not signing.get("secret"):
        yield "no signing secret"


def _trigger(item: Mapping[str, Any], webhooks: Mapping[str, Any]) -> Iterator[str]:
    conditions = [one for group in ("all", "any") for one in item.get("conditions", {}).get(group, [])]
    if not conditions:
        yield "no condition"
    for one in conditions:
        if one.get("operator") not in OPERATORS or not one.get("field"):
            yield "unknown operator"
        elif ("value" in one) == (one["operator"] in WITHOUT_VALUE):
            yield "a value is missing or too much"
    for action in item.get("actions", []):
        if action.get("field") == "notification_webhook":
            yield from _call(action.get("value"), webhooks)
    if not item.get("actions"):
        yield "no action"


def _call(value: Any, webhooks: Mapping[str, Any]) -> Iterator[str]:
    if not (isinstance(value, list) and len(value) == 2 and all(isinstance(one, str) for one in value)):
        yield "the call is no pair of webhook and body"
        return
    name, body = value
    if name not in webhooks:
        yield f"there is no webhook {name}"
    if len(body.encode()) >= LARGEST_BODY:
        yield "the body is too long"
    try:
        json.loads(re.sub(r"\{\{.*?\}\}", "1", body))
    except ValueError:
        yield "the body is no JSON"


def _settings(manifest: Mapping[str, Any], files: Files) -> Iterator[str]:
    declared = {item.get("name") for item in manifest.get("parameters", [])}
    for name, content in files.items():
        if name.endswith((".json", ".html", ".js")):
            used = set(SETTING.findall(content.decode("utf-8", "replace")))
            yield from (f"{name}: uses the setting {one}, which nobody can enter" for one in sorted(used - declared))


def _assets(files: Files) -> Iterator[str]:
    yield from (f"{name}: such files are refused" for name in files if FORBIDDEN_FILES.search(name))
    yield from (f"{name} is no picture of {size}" for name, size in LOGOS.items() if png_size(files.get(name)) != size)
    for name in ("assets/logo.svg", *(name for name in files if name.startswith("assets/icon_"))):
        if not files.get(name, b"").startswith(b"<svg "):
            yield f"{name} is no SVG"


def png_size(content: bytes | None) -> tuple[int, int] | None:
    """Width and height, by the header of a PNG file; None for anything else."""
    if content is None or content[:8] != b"\x89PNG\r\n\x1a\n" or content[12:16] != b"IHDR":
        return None
    width, height = struct.unpack(">II", content[16:24])
    return width, height


def _is_https(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" and bool(parts.hostname)
