"""HubSpot's project as it is built: read by HubSpot's own library, and its calls by our source."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plugin import registry
from plugin.manifest import load_package
from plugin.triggers.base import InboundRequest
from plugin.triggers.base.recording import read_recording
from tests.manifests.hubspot_library import install_library, read_project
from tests.manifests.hubspot_rules import faults

RECORDINGS = Path(__file__).parents[1] / "fixtures/triggers/hubspot"
ORIGIN = "https://survey.example.com"
VALUES = {
    "url": f"{ORIGIN}/triggers/hub-0123456789abcdef",
    "source": 'the "front" desk \\',
    "tenant": "Acme",
    "portal_id": "62515",
    "version": "1.2.3",
}
APP, HOOKS = "src/app/app-hsmeta.json", "src/app/webhooks/webhooks-hsmeta.json"
TICKET, DEAL = (f"src/app/workflow-actions/{name}-hsmeta.json" for name in ("ticket", "deal"))
PROFILE = "src/hsprofile.prod.json"
READING = {"portal_id": "62515", "closed_stages": "4"}

Document = dict[str, Any]


@pytest.fixture
def files() -> dict[str, bytes]:
    return dict(load_package("hubspot", VALUES).files)


def config(files: dict[str, bytes], name: str) -> Document:
    loaded: Document = json.loads(files[name])["config"]
    return loaded


def read(body: Any) -> Any:
    request = InboundRequest("POST", "", {}, json.dumps(body).encode(), settings=READING)
    [event] = registry.source("hubspot").parse(request)
    return event


def test_the_project_follows_every_rule(files: dict[str, bytes]) -> None:
    assert faults(files) == []


@pytest.mark.parametrize("name", ["closed", "reopened"])
def test_each_choice_of_the_ticket_s_action_is_a_kind_that_our_source_knows(files: dict[str, bytes], name: str) -> None:
    [choice] = [item for item in config(files, TICKET)["inputFields"] if item["typeDefinition"]["name"] == "event"]
    [value] = [one["value"] for one in choice["typeDefinition"]["options"] if one["value"] == f"ticket.{name}"]
    recorded = json.loads(read_recording((RECORDINGS / "workflow_action.json").read_bytes()).body)

    event = read({**recorded, "inputFields": {**recorded["inputFields"], "event": value}})

    assert event.kind.value == value


def test_every_field_of_the_ticket_s_action_is_understood_under_its_own_name(files: dict[str, bytes]) -> None:
    names = {item["typeDefinition"]["name"] for item in config(files, TICKET)["inputFields"]}
    texts = {name: f"value-{name}" for name in names} | {
        "event": "ticket.closed",
        "email": "lucja.nowak@example.com",
        "agent_email": "jan.novak@acme.example",
        "phone": "+48221234567",
        "closed_at": "1767323041000",
        "stage": "4",
    }
    event = read(
        {
            "callbackId": "ap-1",
            "origin": {"portalId": 62515},
            "object": {"objectId": 35436, "objectType": "TICKET", "properties": {}},
            "inputFields": texts,
        }
    )

    assert event.values["person.email"] == "lucja.nowak@example.com"
    assert event.values["ticket.assignee.name"] == "value-agent_name"
    assert event.values["ticket.title"] == "value-subject"
    assert event.closing_mark == "2026-01-02T03:04:01Z"
    assert not [
        name for name in event.values if name.startswith("ticket.custom.") and name.split(".")[-1] in names - {"stage"}
    ]


def test_the_properties_that_the_ticket_s_action_asks_for_are_those_that_are_read(files: dict[str, bytes]) -> None:
    asked = set(config(files, TICKET)["objectRequestOptions"]["properties"])
    page = (Path(__file__).parents[2] / "docs/sources/hubspot.md").read_text("utf-8")

    assert [name for name in asked if f"`{name}`" not in page] == []
    assert {"hs_pipeline_stage", "closed_date", "subject"} <= asked


def test_a_deal_s_action_is_a_change_in_the_crm(files: dict[str, bytes]) -> None:
    properties = dict.fromkeys(config(files, DEAL)["objectRequestOptions"]["properties"], "x")
    names = [item["typeDefinition"]["name"] for item in config(files, DEAL)["inputFields"]]
    event = read(
        {
            "callbackId": "ap-2",
            "origin": {"portalId": 62515},
            "object": {"objectId": 4711, "objectType": "DEAL", "properties": properties},
            "inputFields": dict.fromkeys(names, "") | {"email": "lucja.nowak@example.com"},
        }
    )

    assert event.kind.value == "crm.changed"
    assert (event.values["crm.id"], event.values["person.email"]) == ("4711", "lucja.nowak@example.com")


def test_what_the_webhooks_subscribe_to_is_acted_on(files: dict[str, bytes]) -> None:
    kinds = {}
    for item in config(files, HOOKS)["subscriptions"]["crmObjects"]:
        number = {"ticket": "0-5", "deal": "0-3"}[item["objectType"]]
        happened = {
            "eventId": 1,
            "portalId": 62515,
            "occurredAt": 1767323041000,
            "subscriptionType": item["subscriptionType"],
            "objectTypeId": number,
            "objectId": 35436,
            "propertyName": item["propertyName"],
            "propertyValue": "4",
        }
        kinds[item["objectType"]] = read([happened]).kind.value

    assert kinds == {"ticket": "ticket.closed", "deal": "crm.changed"}


# --- HubSpot's own library --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def library(request: pytest.FixtureRequest) -> Path:
    return install_library(request.config.cache.mkdir("hubspot-library"))


def written(files: dict[str, bytes], folder: Path) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.slow
@pytest.mark.timeout(500)  # the first run of all installs the library
def test_hubspot_s_library_reads_every_component_with_the_profile_filled_in(
    library: Path, files: dict[str, bytes], tmp_path: Path
) -> None:
    found = read_project(library, written(files, tmp_path), "prod")

    assert (found["skipped"], found["too_many"]) == ([], [])
    assert {one["uid"]: one["type"] for one in found["components"]} == {
        "survey_plugin": "APPLICATION",
        "survey_plugin_webhooks": "WEBHOOKS",
        "survey_plugin_ticket": "WORKFLOW_ACTION",
        "survey_plugin_deal": "WORKFLOW_ACTION",
    }
    configs = {one["uid"]: one["config"] for one in found["components"]}
    assert configs["survey_plugin_ticket"]["actionUrl"] == VALUES["url"]
    assert configs["survey_plugin_webhooks"]["settings"]["targetUrl"] == VALUES["url"]
    assert configs["survey_plugin_webhooks"]["subscriptions"]["crmObjects"][0]["active"] is False
    assert "${" not in json.dumps(configs)


@pytest.mark.slow
@pytest.mark.timeout(500)
def test_hubspot_s_library_tells_what_is_spoilt(library: Path, files: dict[str, bytes], tmp_path: Path) -> None:
    twice = {**files, DEAL: files[DEAL].replace(b"survey_plugin_deal", b"survey_plugin_ticket")}
    aside = {**files, "src/elsewhere/deal-hsmeta.json": files[DEAL]}

    assert "survey_plugin_ticket" in read_project(library, written(twice, tmp_path / "twice"), "prod")["error"]
    assert read_project(library, written(aside, tmp_path / "aside"), "prod")["skipped"] != []
    assert "error" in read_project(library, written(files, tmp_path / "whole"), "nosuch")


# --- every rule catches what it is for --------------------------------------------------------------------------------

Change = Callable[[Document], object]

SPOILT: dict[str, tuple[str, Change, str]] = {
    "no version of the platform": ("hsproject.json", lambda d: d.pop("platformVersion"), "needs name, srcDir"),
    "an old platform": ("hsproject.json", lambda d: d.update(platformVersion="2025.1"), "unknown platformVersion"),
    "an account as a text": (PROFILE, lambda d: d.update(accountId="62515"), "accountId is no number"),
    "a variable without a value": (
        PROFILE,
        lambda d: d["variables"].pop("TARGET_URL"),
        "nothing is said of TARGET_URL",
    ),
    "a variable for nothing": (PROFILE, lambda d: d["variables"].update(MORE="1"), "nobody uses MORE"),
    "an address without TLS": (PROFILE, lambda d: d["variables"].update(TARGET_URL="http://a.example"), "no https"),
    "a uid with a blank": (TICKET, lambda d: d.update(uid="our action"), "the uid our action"),
    "a uid twice": (TICKET, lambda d: d.update(uid="survey_plugin_deal"), "the uid survey_plugin_deal"),
    "an unknown key": (TICKET, lambda d: d.update(version=1), "unknown key version"),
    "an unknown type": (TICKET, lambda d: d.update(type="workflow-actions"), "unknown type workflow-actions"),
    "a component in another's folder": (TICKET, lambda d: d.update(type="webhooks"), "does not look for it there"),
    "an app for everybody": (APP, lambda d: d["config"].update(distribution="marketplace"), "must be private"),
    "an app without a name": (APP, lambda d: d["config"].update(name=""), "name or description"),
    "an unknown key of the app": (APP, lambda d: d["config"].update(webhooks={}), "unknown key webhooks"),
    "a right that is missing": (
        APP,
        lambda d: d["config"]["auth"]["requiredScopes"].remove("tickets"),
        "scope for ticket",
    ),
    "another address": (TICKET, lambda d: d["config"].update(actionUrl="https://a.example"), "actionUrl is not"),
    "an unknown key of the action": (TICKET, lambda d: d["config"].update(inputs=[]), "unknown key inputs"),
    "an action for nobody": (TICKET, lambda d: d["config"].update(supportedClients=[]), "workflows do not know it"),
    "an unknown object": (TICKET, lambda d: d["config"].update(objectTypes=["TICKETS"]), "unknown objectTypes"),
    "an unknown type of field": (
        TICKET,
        lambda d: d["config"]["inputFields"][1]["typeDefinition"].update(type="text"),
        "unknown type ('text', 'text')",
    ),
    "a choice of nothing": (
        TICKET,
        lambda d: d["config"]["inputFields"][0]["typeDefinition"].pop("options"),
        "an enumeration has options",
    ),
    "a value from nowhere": (
        TICKET,
        lambda d: d["config"]["inputFields"][1].update(supportedValueTypes=["PROPERTY"]),
        "unknown supportedValueTypes",
    ),
    "a field that may be left out, perhaps": (
        TICKET,
        lambda d: d["config"]["inputFields"][1].pop("isRequired"),
        "isRequired is no switch",
    ),
    "a field twice": (
        TICKET,
        lambda d: d["config"]["inputFields"].append(d["config"]["inputFields"][0]),
        "a name stands",
    ),
    "no English": (TICKET, lambda d: d["config"]["labels"].pop("en"), "English is missing"),
    "no name": (TICKET, lambda d: d["config"]["labels"]["en"].pop("actionName"), "actionName is missing"),
    "a field without a label": (
        TICKET,
        lambda d: d["config"]["labels"]["en"]["inputFieldLabels"].pop("email"),
        "labels and fields differ",
    ),
    "a description of nothing": (
        TICKET,
        lambda d: d["config"]["labels"]["en"]["inputFieldDescriptions"].update(fax="x"),
        "described that there is not",
    ),
    "another target": (
        HOOKS,
        lambda d: d["config"]["settings"].update(targetUrl="https://a.example"),
        "targetUrl is not",
    ),
    "an unknown subscription": (
        HOOKS,
        lambda d: d["config"]["subscriptions"]["crmObjects"][0].update(subscriptionType="ticket.change"),
        "unknown subscription ticket.change",
    ),
    "a change of nothing": (
        HOOKS,
        lambda d: d["config"]["subscriptions"]["crmObjects"][0].pop("propertyName"),
        "propertyName is missing",
    ),
    "perhaps active": (
        HOOKS,
        lambda d: d["config"]["subscriptions"]["crmObjects"][0].pop("active"),
        "active is missing",
    ),
}


@pytest.mark.parametrize("way", SPOILT)
def test_a_spoilt_document_is_caught(files: dict[str, bytes], way: str) -> None:
    name, change, said = SPOILT[way]
    spoilt = json.loads(files[name])
    change(spoilt)

    found = faults({**files, name: json.dumps(spoilt).encode()})

    assert [fault for fault in found if said in fault], found


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (TICKET, b"{", "is no JSON"),
        (PROFILE, None, "there is no profile"),
        (APP, None, "one component of type app"),
        (HOOKS, None, "one component of type webhooks"),
    ],
)
def test_a_spoilt_file_is_caught(files: dict[str, bytes], name: str, content: bytes | None, said: str) -> None:
    spoilt = {key: value for key, value in {**files, name: content}.items() if value is not None}

    found = faults(spoilt)

    assert [fault for fault in found if said in fault], found


def test_no_registry_stands_in_the_lock_file() -> None:
    text = (Path(__file__).parent / "hubspot_parser/package-lock.json").read_text("utf-8")

    assert '"resolved"' not in text
    assert "://" not in text
    packages = json.loads(text)["packages"]
    assert [name for name, item in packages.items() if name and "integrity" not in item] == []
