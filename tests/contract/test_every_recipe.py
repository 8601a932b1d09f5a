"""What holds for every setup.json: its calls, made one after the other, set up the other side."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from plugin.manifest import load_manifest

ROOT = Path(__file__).parents[2]
RECIPES = sorted(path.parent.name for path in (ROOT / "manifests").glob("*/setup.json"))
RECORDED = ROOT / "tests/fixtures/recipes"
URL = "https://survey.example.com/triggers/k3y"
VALUES = {"url": URL, "source": "support", "tenant": "acme"}

every_recipe = pytest.mark.parametrize("source", RECIPES)


def recipe_of(source):
    return json.loads(load_manifest(source, VALUES).bodies["setup"])


def recorded_of(source):
    return json.loads((RECORDED / f"{source}.json").read_text("utf-8"))


def filled(node, values):
    """A whole text that is one mark becomes the value itself, so that ids stay numbers."""
    if isinstance(node, dict):
        return {name: filled(item, values) for name, item in node.items()}
    if isinstance(node, list):
        return [filled(item, values) for item in node]
    if not isinstance(node, str):
        return node
    if whole := re.fullmatch(r"\$\{(\w+)\}", node):
        return values[whole[1]]
    return re.sub(r"\$\{(\w+)\}", lambda mark: str(values[mark[1]]), node)


def found(answer, path):
    """`payload.webhook.id`, and `[name=closed].id` for the item of a list that has this name."""
    for step in re.findall(r"\[\w+=[^\]]*\]|\w+", path):
        if step.startswith("["):
            name, _, value = step[1:-1].partition("=")
            [answer] = [item for item in answer if item[name] == value]
        else:
            answer = answer[step]
    return answer


@contextmanager
def other_side(answers) -> Iterator[tuple[int, list]]:
    """A server that gives the recorded answers in their order, and what it was asked."""
    received: list[tuple] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            received.append((self.command, self.path, headers, json.loads(body) if body else None))
            answer = answers[len(received) - 1]
            data = json.dumps(answer["answer"]).encode() if "answer" in answer else b""
            self.send_response(answer["status"])
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server.server_address[1], received
        finally:
            server.shutdown()
            thread.join()


def make_calls(recipe, values, port):
    for call in recipe["calls"]:
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        body = json.dumps(filled(call["body"], values)) if "body" in call else None
        headers = {"Content-Type": "application/json", **filled(call["headers"], values)}
        connection.request(call["method"], filled(call["path"], values), body, headers)
        response = connection.getresponse()
        assert response.status in {200, 201}
        answer = json.loads(response.read() or b"{}")
        connection.close()
        values = {**values, **{name: found(answer, path) for name, path in call.get("keep", {}).items()}}
    return values


def test_there_are_recipes_and_each_was_tried():
    assert set(RECIPES) == {path.stem for path in RECORDED.glob("*.json")}


@every_recipe
def test_a_recipe_says_what_to_fill_in_and_uses_nothing_else(source):
    recipe = recipe_of(source)
    assert recipe.keys() == {"about", "fill_in", "calls", "then"}
    known, used = {*recipe["fill_in"]}, {"origin"}
    for call in recipe["calls"]:
        assert call.keys() <= {"method", "path", "headers", "body", "keep"}
        needed = set(re.findall(r"\$\{(\w+)\}", json.dumps({**call, "keep": None})))
        assert needed <= known, "used before it is known"
        known |= {*call["keep"]}
        used |= needed
    assert {*recipe["fill_in"]} <= used


@every_recipe
def test_the_calls_are_those_that_the_vendor_describes(source):
    recipe, recorded = recipe_of(source), recorded_of(source)
    with other_side(recorded["calls"]) as (port, received):
        values = make_calls(recipe, recorded["fill_in"], port)
    assert {name: values[name] for name in recorded["kept"]} == recorded["kept"]
    assert len(received) == len(recorded["calls"])
    for (method, path, headers, body), expected in zip(received, recorded["calls"], strict=True):
        assert (method, path) == (expected["method"], expected["path"])
        name, value = expected["header"]
        assert headers[name] == value
        assert set(expected["required"]) <= set(body or {}) <= set(expected["known"])
    assert URL in json.dumps([body for *_, body in received])


def test_zammads_trigger_runs_on_its_states_and_calls_its_webhook():
    recorded = recorded_of("zammad")
    with other_side(recorded["calls"]) as (port, received):
        make_calls(recipe_of("zammad"), recorded["fill_in"], port)
    *_, webhook = received[1]
    *_, trigger = received[2]
    assert webhook["signature_token"] == "a long text"
    assert trigger["condition"]["ticket.state_id"]["value"] == [4, 2]
    assert trigger["perform"] == {"notification.webhook": {"webhook_id": 6}}
