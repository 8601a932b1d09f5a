"""Zendesk's app as it is built: taken by the platform's rules, and understood by our source."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from plugin import __version__, registry
from plugin.manifest import load_package
from plugin.triggers.base import InboundRequest
from tests.contract.test_every_manifest import filled_by_sender
from tests.manifests.zendesk_rules import faults, png_size

VALUES = {
    "url": "https://survey.example.com/triggers/desk-0123456789abcdef",
    "origin": "https://survey.example.com",
    "domain": "survey.example.com",
    "frame_url": "https://survey.example.com/frames/acme/desk",
    "source": 'the "front" desk \\',
    "tenant": "Acme & Söhne",
    "signing_secret": "a-secret/of+our==",
    "version": __version__,
}

Document = dict[str, Any]


@pytest.fixture
def files() -> dict[str, bytes]:
    return dict(load_package("zendesk", VALUES).files)


def document(files: dict[str, bytes], name: str) -> Document:
    loaded: Document = json.loads(files[name])
    return loaded


def test_the_package_follows_every_rule(files: dict[str, bytes]) -> None:
    assert faults(files) == []


def test_it_is_an_app_of_this_version_in_four_languages(files: dict[str, bytes]) -> None:
    assert document(files, "manifest.json")["version"] == __version__
    assert {name for name in files if name.startswith("translations/")} == {
        f"translations/{locale}.json" for locale in ("en", "pl", "cs", "uk")
    }
    texts = [document(files, f"translations/{locale}.json")["app"] for locale in ("en", "pl", "cs", "uk")]
    assert len({text["short_description"] for text in texts}) == 4


def test_the_webhook_calls_this_source_and_signs_as_it_checks(files: dict[str, bytes]) -> None:
    [webhook] = document(files, "requirements.json")["webhooks"].values()

    assert webhook["endpoint"] == VALUES["url"]
    assert webhook["signing_secret"] == {"algorithm": "SHA256", "secret": VALUES["signing_secret"]}
    assert "authentication" not in webhook  # the source checks the signature and nothing else
    assert webhook["name"] == 'Survey: the "front" desk \\'


@pytest.mark.parametrize("body", ["ticket_closed", "ticket_reopened"])
def test_a_trigger_sends_the_body_of_the_guide_and_our_source_understands_it(
    files: dict[str, bytes], body: str
) -> None:
    trigger = document(files, "requirements.json")["triggers"][f"survey_{body}"]
    [action] = trigger["actions"]
    [event] = registry.source("zendesk").parse(
        InboundRequest("POST", "", {"content-type": "application/json"}, filled_by_sender(action["value"][1]))
    )

    assert event.kind.value == body.replace("_", ".")
    assert event.values["person.email"] == "lucja.nowak@example.com"
    assert (event.notes, event.unrendered) == ((), frozenset())


# --- every rule catches what it is for --------------------------------------------------------------------------------

Change = Callable[[Document], object]


def _of_webhook(change: Change) -> Change:
    return lambda document: change(document["webhooks"]["survey_webhook"])


def _of_trigger(change: Change) -> Change:
    return lambda document: change(document["triggers"]["survey_ticket_closed"])


def _of_call(change: Callable[[list[str]], object]) -> Change:
    return _of_trigger(lambda trigger: change(trigger["actions"][0]["value"]))


def _parameter(**item: Any) -> Change:
    return lambda document: document.update(parameters=[{"name": "where", "type": "text", **item}])


MANIFEST, REQUIREMENTS, POLISH = "manifest.json", "requirements.json", "translations/pl.json"
SPOILT: dict[str, tuple[str, Change, str]] = {
    "no name": (MANIFEST, lambda d: d.pop("name"), "name is missing"),
    "empty name": (MANIFEST, lambda d: d.update(name=" "), "name is no text"),
    "no version": (MANIFEST, lambda d: d.pop("version"), "version is missing"),
    "unknown key": (MANIFEST, lambda d: d.update(defaultLocal="en"), "unknown key defaultLocal"),
    "another framework": (MANIFEST, lambda d: d.update(frameworkVersion="1.0"), "frameworkVersion"),
    "no author": (MANIFEST, lambda d: d.pop("author"), "author"),
    "an author without an address": (MANIFEST, lambda d: d["author"].update(email="nobody"), "author"),
    "an author's page without https": (MANIFEST, lambda d: d["author"].update(url="ftp://a.example"), "author"),
    "a locale without texts": (MANIFEST, lambda d: d.update(defaultLocale="de"), "defaultLocale"),
    "private as a text": (MANIFEST, lambda d: d.update(private="yes"), "private is no switch"),
    "requirements only": (MANIFEST, lambda d: d.update(requirementsOnly=True), "requirementsOnly forbids"),
    "another product": (MANIFEST, lambda d: d["location"].update(chat={}), "for support, not chat"),
    "an unknown place": (MANIFEST, lambda d: d["location"]["support"].update(side="https://a.example"), "place side"),
    "a place over http": (MANIFEST, lambda d: d["location"]["support"].update(nav_bar="http://a.example"), "https"),
    "a page that is not there": (MANIFEST, lambda d: d["location"]["support"].update(modal="assets/no.html"), "modal"),
    "a place without its icon": (
        MANIFEST,
        lambda d: d["location"]["support"].update(top_bar="https://a.example"),
        "no icon",
    ),
    "an unknown type": (MANIFEST, _parameter(type="dropdown"), "unknown type"),
    "scopes without secure": (MANIFEST, _parameter(scopes=["header"]), "need each other"),
    "secure without scopes": (MANIFEST, _parameter(secure=True), "need each other"),
    "an unknown scope": (MANIFEST, _parameter(secure=True, scopes=["cookie"]), "unknown scope"),
    "a default secret": (MANIFEST, _parameter(secure=True, scopes=["header"], default="x"), "a default"),
    "hidden and required": (MANIFEST, _parameter(type="hidden", required=True), "hidden and required"),
    "a secret in the open": (MANIFEST, _parameter(name="api_token"), "not secure"),
    "a forbidden name": (MANIFEST, _parameter(name="name"), "the name is taken"),
    "a parameter without labels": (MANIFEST, _parameter(), "where has no label"),
    "a name twice": (MANIFEST, lambda d: d.update(parameters=[{"name": "a", "type": "text"}] * 2), "the name is taken"),
    "oauth twice": (
        MANIFEST,
        lambda d: d.update(parameters=[{"name": name, "type": "oauth"} for name in "ab"]),
        "more than one",
    ),
    "no title in Polish": (POLISH, lambda d: d["app"].pop("name"), "app.name is missing"),
    "a label of nothing": (POLISH, lambda d: d["app"].update(parameters={"x": {"label": "X"}}), "no parameter x"),
    "an unknown requirement": (REQUIREMENTS, lambda d: d.update(workflows={}), "unknown type workflows"),
    "too many requirements": (
        REQUIREMENTS,
        lambda d: d.update(macros={str(i): {"title": "x"} for i in range(5000)}),
        "more than 5000",
    ),
    "a dead kind of target": (
        REQUIREMENTS,
        lambda d: d.update(targets={"x": {"title": "x", "type": "http_target"}}),
        "works no more",
    ),
    "no endpoint": (REQUIREMENTS, _of_webhook(lambda w: w.pop("endpoint")), "endpoint is missing"),
    "an endpoint over http": (REQUIREMENTS, _of_webhook(lambda w: w.update(endpoint="http://a.example")), "not https"),
    "an unknown method": (REQUIREMENTS, _of_webhook(lambda w: w.update(http_method="SEND")), "unknown http_method"),
    "an unknown format": (REQUIREMENTS, _of_webhook(lambda w: w.update(request_format="yaml")), "unknown request_f"),
    "an unknown status": (REQUIREMENTS, _of_webhook(lambda w: w.update(status="on")), "unknown status"),
    "an unknown key of a webhook": (REQUIREMENTS, _of_webhook(lambda w: w.update(url="x")), "unknown key url"),
    "events in place of triggers": (
        REQUIREMENTS,
        _of_webhook(lambda w: w.update(subscriptions=["zen:event-type:ticket.created"])),
        "conditional_ticket_events",
    ),
    "an unknown proof": (
        REQUIREMENTS,
        _of_webhook(lambda w: w.update(authentication={"type": "oauth"})),
        "unknown authentication",
    ),
    "no secret": (REQUIREMENTS, _of_webhook(lambda w: w.pop("signing_secret")), "no signing secret"),
    "no title": (REQUIREMENTS, _of_trigger(lambda t: t.pop("title")), "title is missing"),
    "no conditions": (REQUIREMENTS, _of_trigger(lambda t: t.pop("conditions")), "no condition"),
    "an unknown operator": (
        REQUIREMENTS,
        _of_trigger(lambda t: t["conditions"]["all"][0].update(operator="becomes")),
        "unknown operator",
    ),
    "a condition without its value": (
        REQUIREMENTS,
        _of_trigger(lambda t: t["conditions"]["all"][0].pop("value")),
        "a value is missing",
    ),
    "no action": (REQUIREMENTS, _of_trigger(lambda t: t.update(actions=[])), "no action"),
    "a webhook that is not there": (REQUIREMENTS, _of_call(lambda v: v.__setitem__(0, "other")), "no webhook other"),
    "a call that is a text": (
        REQUIREMENTS,
        _of_trigger(lambda t: t["actions"][0].update(value="survey_webhook")),
        "no pair",
    ),
    "a body that is no JSON": (REQUIREMENTS, _of_call(lambda v: v.__setitem__(1, '{"id": "{{ticket.id}}"')), "no JSON"),
    "a body that is too long": (REQUIREMENTS, _of_call(lambda v: v.__setitem__(1, f'"{"x" * 262144}"')), "too long"),
    "a setting that nobody enters": (
        REQUIREMENTS,
        _of_webhook(lambda w: w.update(endpoint="https://a.example/{{setting.where}}")),
        "setting where",
    ),
}  # fmt: skip


@pytest.mark.parametrize("way", SPOILT)
def test_a_spoilt_document_is_caught(files: dict[str, bytes], way: str) -> None:
    name, change, said = SPOILT[way]
    spoilt = document(files, name)
    change(spoilt)

    found = faults({**files, name: json.dumps(spoilt).encode()})

    assert [fault for fault in found if said in fault], found


def _files(name: str, content: bytes | None) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    return lambda files: {key: value for key, value in {**files, name: content}.items() if value is not None}


SPOILT_FILES = {
    "no manifest": (_files(MANIFEST, None), "manifest.json is missing"),
    "a manifest one folder down": (lambda files: {f"app/{name}": files[name] for name in files}, "missing at the root"),
    "a key twice": (_files(POLISH, b'{"app": {"name": "A", "name": "B"}}'), "name stands there twice"),
    "no JSON": (_files(POLISH, b"{"), "translations/pl.json: "),
    "no default texts": (_files("translations/en.json", None), "defaultLocale"),
    "a locale that is none": (_files("translations/english.json", b'{"app": {}}'), "english is no locale"),
    "no logo": (_files("assets/logo.png", None), "assets/logo.png is no picture of (320, 320)"),
    "a text as a logo": (_files("assets/logo-small.png", b"PNG"), "assets/logo-small.png is no picture"),
    "no drawing": (_files("assets/logo.svg", None), "assets/logo.svg is no SVG"),
    "an icon that is none": (_files("assets/icon_nav_bar.svg", b"<html>"), "icon_nav_bar.svg is no SVG"),
    "an archive": (_files("assets/more.zip", b"PK"), "assets/more.zip: such files are refused"),
}


@pytest.mark.parametrize("way", SPOILT_FILES)
def test_a_spoilt_file_is_caught(files: dict[str, bytes], way: str) -> None:
    spoil, said = SPOILT_FILES[way]

    found = faults(spoil(files))

    assert [fault for fault in found if said in fault], found


def test_a_logo_of_another_size_is_caught(files: dict[str, bytes]) -> None:
    found = faults({**files, "assets/logo.png": files["assets/logo-small.png"]})

    assert png_size(files["assets/logo-small.png"]) == (128, 128)
    assert found == ["assets/logo.png is no picture of (320, 320)"]
