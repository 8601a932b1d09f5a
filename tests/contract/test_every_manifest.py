"""What holds for every manifest: the guide is complete, and its bodies are read by the source they are made for."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from plugin import registry
from plugin.domain.event import CATALOGUE
from plugin.errors import NotFound
from plugin.manifest import load_manifest, load_package, marks_of, zipped
from plugin.triggers.base import InboundRequest

MANIFESTS = Path(__file__).parents[2] / "manifests"
SOURCES = sorted(path.name for path in MANIFESTS.iterdir() if path.is_dir())
VALUES = {"url": "https://survey.example.com/triggers/k3y", "source": "support", "tenant": "acme"}
#: What a sender fills in where the catalogue's own example is not what it would write.
SAMPLES = {
    "event.id": "evt-1",
    "ticket.ticket_type": "Incident",
    "ticket.created_at_with_timestamp": "2026-01-01T10:00:00Z",
    "ticket.updated_at_with_timestamp": "2026-01-02T03:04:01Z",
    "ticket.updated_at": "2026-01-02T03:04:01Z",
    "ticket.last_close_at": "2026-01-02T03:04:01Z",
    "ticket.number": "35436",
    "ticket.state.name": "closed",
    "ticket.priority.name": "2 normal",
    "ticket.customer.email": "lucja.nowak@example.com",
    "ticket.customer.phone": "+48221234567",
    "ticket.owner.email": "jan.novak@acme.example",
    "notification.link": "https://zammad.example.com/#ticket/zoom/81",
    "ticket.closed_at": "2026-01-02T03:04:01Z",
    "chat.ended_at": "2026-01-02T03:04:01Z",
    "triggered_event": "{status:{from:2,to:4}}",
    "ticket.source": "Email",
    "ticket.modified_on": "2026-01-02T03:04:01Z",
    "ticket.requester.mobile": "+48600100200",
    "ticket.requester.unique_external_id": "C-1024",
    "ticket.agent.name": "Jan Novák",
    "ticket.agent.email": "jan.novak@acme.example",
}

#: Bodies that go with a preset of their source: what the sender fills in there, whatever it calls it.
PRESET_SAMPLES = {
    "closed_at": "2026-01-02T03:04:01Z",
    "updated_at": "2026-01-02T03:04:01Z",
    "status": "Closed",
    "status_category": "done",
}

every_source = pytest.mark.parametrize("source", SOURCES)
#: What some sources have beside bodies or instead of them: the calls of their API that set everything up.
RECIPE = "setup"
BODIES = [
    (path.parent.name, path.stem) for path in sorted(MANIFESTS.glob("*/*.json")) if not path.match(f"{RECIPE}.json")
]
#: Of senders whose messages nobody writes the files are samples to try them with, not bodies to paste.
TEMPLATES = [
    (source, body)
    for source, body in BODIES
    if re.search(r"\{\{|[#$]\{|\{[$!]", (MANIFESTS / source / f"{body}.json").read_text("utf-8"))
]
every_body = pytest.mark.parametrize(("source", "body"), TEMPLATES)
every_sample = pytest.mark.parametrize(("source", "sample"), [one for one in BODIES if one not in TEMPLATES])


def settings_for(source: str, body: str) -> dict[str, str]:
    """A body that is named after a preset of its source is read by that."""
    schema = registry.source(source).SOURCE.settings
    presets = schema().fields["preset"].metadata["choices"] if schema and "preset" in schema().fields else {}
    return {"preset": body} if body in presets else {}


def filled_by_name(node: object, name: str = "") -> object:
    """A preset's body with each value by our name for it, since the sender's own placeholders are many languages."""
    if isinstance(node, dict):
        return {key: filled_by_name(inner, f"{name}.{key}" if name else key) for key, inner in node.items()}
    leaf = name.rpartition(".")[2]
    return PRESET_SAMPLES.get(leaf) or (CATALOGUE[name].example if name in CATALOGUE else node)


def kind_of(source: str, body: str, text: str) -> str:
    if not settings_for(source, body):
        return body.replace("_", ".", 1)
    return "ticket.closed" if '"ticket"' in text else "crm.changed"


def filled_by_sender(body: str) -> bytes:
    def sample(placeholder: re.Match[str]) -> str:
        name = placeholder[1].strip()
        return SAMPLES.get(name) or CATALOGUE[name].example

    return re.sub(r"(?:\{\{|#\{)(.*?)\}\}?", sample, body).encode()


@every_source
def test_the_guide_names_the_address_and_every_body(source):
    manifest = load_manifest(source, VALUES)
    assert VALUES["url"] in manifest.guide
    assert manifest.bodies
    for name in manifest.bodies:
        assert f"`{name}.json`" in manifest.guide


@every_source
def test_no_mark_of_ours_is_left(source):
    manifest = load_manifest(source, VALUES)
    assert not re.search(r"\[\[|\]\]", manifest.guide + "".join(manifest.bodies.values()))


@every_source
def test_what_is_installed_has_every_mark_filled_in_and_is_the_same_each_time(source):
    values = dict.fromkeys(marks_of(source), "4711") | VALUES
    files = load_package(source, values).files
    assert files
    for name, content in files.items():
        assert not re.search(rb"\[\[[a-z_]+\]\]", content), name
        if name.endswith(".json"):
            json.loads(content)
    assert zipped(files) == zipped(dict(reversed(files.items())))


@every_body
def test_every_value_stands_in_quotes(source, body):
    document = json.loads(load_manifest(source, VALUES).bodies[body])

    def leaves(node):
        return [leaf for item in node.values() for leaf in leaves(item)] if isinstance(node, dict) else [node]

    assert all(isinstance(leaf, str) for leaf in leaves(document))


@every_body
def test_a_filled_body_is_read_as_what_its_name_says(source, body):
    text, settings = load_manifest(source, VALUES).bodies[body], settings_for(source, body)
    filled = json.dumps(filled_by_name(json.loads(text))).encode() if settings else filled_by_sender(text)
    request = InboundRequest("POST", "", {"content-type": "application/json"}, filled, settings=settings)
    [event] = registry.source(source).parse(request)
    assert event.kind.value == kind_of(source, body, text)
    assert event.values["person.email"] == "lucja.nowak@example.com"
    assert event.subject is not None
    marked = event.kind.closes or event.kind.value == "ticket.reopened" or "updated_at" in text
    assert event.closing_mark == ("2026-01-02T03:04:01Z" if marked else None)
    assert (event.notes, event.unrendered) == ((), frozenset())


@every_body
def test_a_body_that_nobody_filled_in_sends_nothing_on(source, body):
    text = load_manifest(source, VALUES).bodies[body]
    settings = settings_for(source, body)
    [event] = registry.source(source).parse(InboundRequest("POST", "", {}, text.encode(), settings=settings))
    assert event.values.keys() <= {"event.kind", "crm.object"}
    assert event.id is None
    assert settings or event.kind.value == kind_of(source, body, text)
    assert "person.email" in event.unrendered


@every_body
def test_free_text_stays_out_of_the_bodies(source, body):
    text = load_manifest(source, VALUES).bodies[body]
    assert not re.search(r"\{\{[\w.]*(title|description|comment|requester\.name|visitor\.name|person\.name)", text)


@every_body
def test_a_source_that_mends_its_bodies_knows_their_names(source, body):
    known = getattr(registry.source(source), "BODIES", None)
    if known is None:
        return
    document = json.loads(load_manifest(source, VALUES).bodies[body])
    assert document.pop("sent_for").keys() == {"tenant", "source"}

    def leaves(node, path=""):
        if not isinstance(node, dict):
            return [path.removesuffix(".")]
        return [leaf for name, item in node.items() for leaf in leaves(item, f"{path}{name}.")]

    assert sorted(known[body.replace("_", ".")]) == sorted(leaves(document))


@every_body
def test_a_title_that_somebody_adds_to_a_body_may_hold_anything(source, body):
    if not hasattr(registry.source(source), "BODIES"):
        return
    text = load_manifest(source, VALUES).bodies[body]
    title = 'He said "fire", "smoke"}\n C:\\Data'
    broken = filled_by_sender(text).replace(b'"status":', b'"title": "' + title.encode() + b'",\n    "status":', 1)
    [event] = registry.source(source).parse(InboundRequest("POST", "", {}, broken))
    assert event.values["ticket.title"] == title
    assert event.values["person.email"] == "lucja.nowak@example.com"
    assert "ticket.title holds a quotation mark and a backslash" in event.notes[0]


@every_sample
def test_a_sample_is_of_the_kind_that_it_is_named_after(source, sample):
    module = registry.source(source)
    [event] = module.parse(InboundRequest("POST", "", {}, load_manifest(source, VALUES).bodies[sample].encode()))
    assert event.kind.value == sample.replace("_", ".", 1)
    assert event.notes == ()
    # Whoever tries it puts a reference or an address there.
    told = event.correlation if event.kind.is_report else event.values["person.email"]
    assert told == ("put the reference of a delivery here" if event.kind.is_report else "your.own@address.example")


def test_values_are_escaped_inside_json_and_plain_in_the_guide():
    manifest = load_manifest("zendesk", {**VALUES, "source": 'a "b" \\'})
    assert 'a "b" \\' in manifest.guide
    assert json.loads(manifest.bodies["ticket_closed"])["sent_for"]["source"] == 'a "b" \\'


@pytest.mark.parametrize("source", ["nosuch", "", "..", "../plugin", "zendesk/../zendesk"])
def test_a_source_without_a_manifest_is_told(source):
    with pytest.raises(NotFound):
        load_manifest(source, VALUES)


def test_a_mark_without_a_value_is_refused():
    with pytest.raises(ValueError, match=r"\[\[tenant\]\]"):
        load_manifest("zendesk", {"url": "u", "source": "s"})
