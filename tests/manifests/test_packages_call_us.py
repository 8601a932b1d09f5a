"""Each package as the platform uses it: with what stands in the zip alone, its calls are proven and understood."""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import zipfile
from base64 import b64encode
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from plugin import __version__
from plugin.errors import NotAllowed
from plugin.packages import build_package
from plugin.store import sources
from plugin.store.tenants import Tenant
from plugin.triggers.base.recording import read_recording
from tests.contract.test_every_manifest import filled_by_sender
from tests.web.installation import Installation

RECORDINGS = Path(__file__).parents[1] / "fixtures/triggers"
ORIGIN = "https://survey.example.com"
TENANT = """
tenant: acme
name: Acme
sources:
- {name: zen desk, kind: zendesk, credentials: {signing_secret: a secret of our own}}
- {name: messaging, kind: zendesk, credentials: {conversations_secret: secret-of-messaging-0123456789abcdef}}
- {name: hub, kind: hubspot, credentials: {client_secret: client-secret-1}, settings: {portal_id: "62515"}}
- {name: fresh, kind: freshdesk, credentials: {header: {name: X-Survey-Secret, value: header-secret-0123456789abcdef}}}
"""

Document = dict[str, Any]


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    made = Installation(tmp_path, base_url=ORIGIN)
    yield made
    made.close()


@pytest.fixture
def acme(installation: Installation) -> Tenant:
    return installation.apply(TENANT)


def unpacked(installation: Installation, tenant: Tenant, name: str) -> dict[str, Document]:
    """The JSON files of the package that is built for a source."""
    parts = installation.parts
    with parts.database.read() as db:
        source = sources.source_by_name(db, tenant.id, name)
        built = build_package(db, parts.vault, tenant, source, base_url=ORIGIN, now=installation.clock())
    with zipfile.ZipFile(io.BytesIO(built.content)) as archive:
        return {file: json.loads(archive.read(file)) for file in archive.namelist() if file.endswith(".json")}


def call(installation: Installation, url: str, headers: Mapping[str, str], body: bytes) -> Document:
    """Call an address as it stands in the package; gives the one event that came of it."""
    assert url.startswith(f"{ORIGIN}/")
    answer = installation.app.test_client().post(
        urlsplit(url).path, data=body, headers={"Content-Type": "application/json", **headers}
    )
    assert answer.status_code == 202, answer.text
    [event] = answer.get_json()["events"]
    found: Document = event
    return found


@pytest.mark.parametrize("happened", ["ticket_closed", "ticket_reopened"])
def test_zendesk_calls_by_its_webhook_with_the_body_of_the_trigger(
    installation: Installation, acme: Tenant, happened: str
) -> None:
    requirements = unpacked(installation, acme, "zen desk")["requirements.json"]
    [action] = requirements["triggers"][f"survey_{happened}"]["actions"]
    name, text = action["value"]
    webhook = requirements["webhooks"][name]
    body, time = filled_by_sender(text), installation.clock().isoformat()
    secret = webhook["signing_secret"]
    assert secret["algorithm"] == "SHA256"
    signature = hmac.digest(secret["secret"].encode(), time.encode() + body, hashlib.sha256)

    event = call(
        installation,
        webhook["endpoint"],
        {
            "X-Zendesk-Webhook-Signature": b64encode(signature).decode(),
            "X-Zendesk-Webhook-Signature-Timestamp": time,
        },
        body,
    )

    assert event["kind"] == happened.replace("_", ".")


def test_zendesk_s_app_is_of_this_version_and_shows_a_page_of_ours(installation: Installation, acme: Tenant) -> None:
    manifest = unpacked(installation, acme, "zen desk")["manifest.json"]
    page = manifest["location"]["support"]["nav_bar"]["url"]

    assert manifest["version"] == __version__
    # It is there, and shows nothing to somebody who brings no token.
    assert page == f"{ORIGIN}/frames/acme/zen%20desk"
    assert installation.app.test_client().post(urlsplit(page).path).status_code == 403


def test_an_app_is_not_built_without_the_secret_that_it_needs(installation: Installation, acme: Tenant) -> None:
    with pytest.raises(NotAllowed, match="holds signing_secret, which messaging does not have"):
        unpacked(installation, acme, "messaging")


@pytest.mark.parametrize("action", ["ticket", "deal"])
def test_hubspot_calls_by_the_workflow_action(installation: Installation, acme: Tenant, action: str) -> None:
    files = unpacked(installation, acme, "hub")
    config = files[f"src/app/workflow-actions/{action}-hsmeta.json"]["config"]
    variables = files["src/hsprofile.prod.json"]["variables"]
    url = config["actionUrl"].replace("${TARGET_URL}", variables["TARGET_URL"])
    body = json.dumps(
        {
            "callbackId": "ap-1",
            "origin": {"portalId": files["src/hsprofile.prod.json"]["accountId"]},
            "object": {"objectId": 35436, "objectType": config["objectTypes"][0], "properties": {}},
            "inputFields": {"email": "lucja.nowak@example.com"},
        }
    ).encode()
    time = str(int(installation.clock().timestamp() * 1000))
    signature = hmac.digest(b"client-secret-1", f"POST{url}".encode() + body + time.encode(), hashlib.sha256)

    event = call(
        installation,
        url,
        {"X-HubSpot-Signature-v3": b64encode(signature).decode(), "X-HubSpot-Request-Timestamp": time},
        body,
    )

    assert event["kind"] == {"ticket": "ticket.closed", "deal": "crm.changed"}[action]


def test_freshdesk_calls_by_the_request_template(installation: Installation, acme: Tenant) -> None:
    files = unpacked(installation, acme, "fresh")
    schema = files["config/requests.json"]["sendTrigger"]["schema"]
    # What the admin has to type is the secret alone; the form brings the rest.
    typed = {"header_secret": "header-secret-0123456789abcdef"}
    inputs = {name: field.get("default_value", "") for name, field in files["config/iparams.json"].items()} | typed

    def filled(template: str) -> str:
        for name, value in inputs.items():
            template = template.replace(f"<%= iparam.{name} %>", value)
        return template

    event = call(
        installation,
        filled(f"{schema['protocol']}://{schema['host']}{schema['path']}"),
        {name: filled(value) for name, value in schema["headers"].items()},
        read_recording((RECORDINGS / "freshdesk/ticket_closed_by_app.json").read_bytes()).body,
    )

    assert event["kind"] == "ticket.closed"
