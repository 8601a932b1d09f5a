"""What Freshworks' platform 3.0 asks of an app package, as far as it can be checked without its own tool."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.manifests.node_runner import run_handler

_PLACEHOLDER = re.compile(r"<%=\s*(\w+)\.(\w+)\s*%>")
_SECRET_WORDS = re.compile(r"key|token|secret|password|auth", re.IGNORECASE)
_HOST = re.compile(r"(?:<%= iparam\.\w+ %>|[a-z0-9-])(?:\.?(?:<%= iparam\.\w+ %>|[a-z0-9-]))*")
_INPUT_TYPES = {"text", "number", "email", "url", "checkbox", "dropdown", "multiselect", "radio", "paragraph", "date"}


def problems_of(app: Path) -> list[str]:
    """Every breach of the platform's rules in the package in `app`; none, and it can be packed."""
    try:
        manifest, inputs, requests = (
            json.loads((app / name).read_text("utf-8"))
            for name in ("manifest.json", "config/iparams.json", "config/requests.json")
        )
    except (OSError, ValueError) as error:
        return [f"unreadable: {type(error).__name__}"]
    return [
        *_in_manifest(manifest),
        *_in_handlers(manifest, app),
        *_in_inputs(inputs),
        *_in_requests(requests, manifest, inputs),
    ]


def _in_manifest(manifest: Mapping[str, Any]) -> Iterator[str]:
    if manifest.get("platform-version") != "3.0":
        yield "platform-version must be 3.0"
    yield from (f"{name} is of older platforms" for name in ("product", "whitelisted-domains") if name in manifest)
    modules = manifest.get("modules", {})
    if "common" not in modules or len(modules) < 2:
        yield "modules must hold common and one of a product"
    if "location" in modules.get("common", {}):
        yield "locations belong to a product's module"
    for name, module in modules.items():
        yield from (f"{name}.{block} is empty" for block, content in module.items() if not content)
    if not all(re.fullmatch(r"\d+\.\d+\.\d+", manifest.get("engines", {}).get(name, "")) for name in ("node", "fdk")):
        yield "engines must name node and fdk by whole versions"


def _events(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for module, content in manifest.get("modules", {}).items():
        for event, told in content.get("events", {}).items():
            yield module, event, told.get("handler", "")


def _in_handlers(manifest: Mapping[str, Any], app: Path) -> Iterator[str]:
    exported = run_handler(app / "server/server.js").handlers
    used = set()
    for module, event, handler in _events(manifest):
        used.add(handler)
        if handler not in exported:
            yield f"{event} has the handler {handler}, which server.js does not export"
        if module != "common" and not (app / "server/test_data" / module / f"{event}.json").is_file():
            yield f"{event} has no test data"
    yield from (f"{name} is exported and called by no event" for name in sorted(set(exported) - used))


def _in_inputs(inputs: Mapping[str, Any]) -> Iterator[str]:
    for name, field in inputs.items():
        if not field.get("display_name") or not field.get("description"):
            yield f"{name} has no display_name or description"
        if field.get("type") not in _INPUT_TYPES:
            yield f"{name} has the unknown type {field.get('type')}"
        if _SECRET_WORDS.search(name) and field.get("secure") is not True:
            yield f"{name} is a secret and not secure"


def _in_requests(requests: Mapping[str, Any], manifest: Mapping[str, Any], inputs: Mapping[str, Any]) -> Iterator[str]:
    declared = set(manifest.get("modules", {}).get("common", {}).get("requests", {}))
    yield from (f"{name} is not declared, or not configured" for name in sorted(declared ^ set(requests)))
    for name, request in requests.items():
        schema = request.get("schema", {})
        if schema.get("protocol") != "https":
            yield f"{name} is not sent by https"
        if not _HOST.fullmatch(schema.get("host", "")):
            yield f"{name} has a host that is more than a name"
        if not schema.get("path", "").startswith("/"):
            yield f"{name} has a path without a slash"
        yield from _in_placeholders(name, schema, inputs)


def _in_placeholders(name: str, schema: Mapping[str, Any], inputs: Mapping[str, Any]) -> Iterator[str]:
    for place in ("host", "path", "query", "headers"):
        for root, field in _PLACEHOLDER.findall(json.dumps(schema.get(place, ""))):
            if root == "iparam" and field not in inputs:
                yield f"{name} asks for {field}, which is no input"
            elif root == "iparam" and place != "headers" and inputs[field].get("secure"):
                yield f"{name} shows the secure {field} in its {place}"
