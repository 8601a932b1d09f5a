"""A recorded closing of every source, over real HTTP and processes, with one mapping that all of them share."""

from __future__ import annotations

import importlib
import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from string import Template
from typing import Any

import pytest

from plugin import registry
from plugin.sandbox.server import Sandbox
from plugin.triggers.base.recording import read_recording
from tests.serve.program import Answer, Program, wait_until
from tests.triggers.sender import Sender, sender_of

pytestmark = pytest.mark.slow

RECORDINGS = Path(__file__).parents[1] / "fixtures" / "triggers"
SOURCES = [name for name in registry.source_names() if sender_of(name).closing]

RULE = {
    "name": "csat",
    "when": {"events": ["ticket.closed", "chat.ended"]},
    "connection": "lab",
    "call": "add_respondent",
    "parameters": {
        "cId": "8379821739721",
        "email": "{{ person.email }}",
        "language": "{{ person.language }}",
        "custom1": "{{ ticket.id | default: chat.id }}",
        "custom2": "{{ event.kind }}",
    },
}


@dataclass(frozen=True)
class Running:
    program: Program
    sandbox: Sandbox

    def send(self, source: str, recording: str) -> Answer:
        """Send a recorded message as its sender would send it now."""
        recorded = read_recording((RECORDINGS / source / f"{recording}.json").read_bytes())
        path = f"/triggers/{key_of(source)}{'?' if recorded.query else ''}{recorded.query}"
        url = f"{self.program.environment['BASE_URL']}{path}"
        sent = sender_of(source).prove(replace(recorded, url=url), datetime.now(UTC))
        headers = {name: value for name, value in sent.headers.items() if name not in {"host", "content-length"}}
        return self.program.request(sent.method, path, sent.body, headers)


def key_of(source: str) -> str:
    return f"{source}-0123456789abcdef"


def credentials_of(source: str, sender: Sender, stack: ExitStack) -> tuple[Any, str]:
    """Its credentials, and the origin of its own API where it has one to be asked."""
    api = getattr(importlib.import_module(f"tests.triggers.sender_{source}"), "api", None)
    origin = stack.enter_context(api_of(api)) if api is not None else ""
    return json.loads(Template(json.dumps(sender.credentials)).safe_substitute(api=origin)), origin


@contextmanager
def api_of(answer: Any) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            self.rfile.read(length)
            status, document = answer(self.command, self.path)
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with ExitStack() as stack:
        sandbox = stack.enter_context(Sandbox())
        sources, origins = [], [sandbox.origin]
        for name in SOURCES:
            sender = sender_of(name)
            credentials, origin = credentials_of(name, sender, stack)
            origins += [origin] if origin else []
            source = {"name": name, "kind": name, "key": key_of(name), "credentials": credentials}
            sources.append(source | ({"settings": sender.settings} if sender.settings else {}))
        settings = {"origin": sandbox.origin, "api_token": "lab-token"}
        whole = {"tenant": "acme", "name": "Acme", "timezone": "Europe/Warsaw", "language": "pl"}
        connections = [{"name": "lab", "vendor": "surveylab", "settings": settings}]
        program = Program(tmp_path_factory.mktemp("sources"), sandbox.origin, EXTRA_VENDOR_ORIGINS=",".join(origins))
        program.apply(json.dumps(whole | {"sources": sources, "connections": connections, "rules": [RULE]}))
        program.start()
        stack.callback(program.close)
        yield Running(program, sandbox)


@pytest.mark.parametrize("source", SOURCES)
def test_a_recorded_closing_invites_its_customer_by_the_mapping_of_all(running: Running, source: str) -> None:
    for before in sender_of(source).before:
        assert running.send(source, before).status < 300
    known = {record.id for record in running.program.deliveries()}

    answer = running.send(source, sender_of(source).closing)

    assert answer.status in {200, 202}, answer.body
    [delivery] = wait_until(
        lambda: [one for one in running.program.deliveries() if one.id not in known and one.state == "accepted"],
        f"the customer of {source} was invited: {answer.body!r}",
    )
    received = [dict(call.parameters) for call in running.sandbox.received]
    [sent] = [one for one in received if one["crk"] == delivery.reference]
    assert "@" in sent["email"]
    assert sent["custom1"]
    assert sent["custom2"] in {"ticket.closed", "chat.ended"}


@pytest.mark.parametrize("source", SOURCES)
def test_the_same_closing_once_more_invites_nobody(running: Running, source: str) -> None:
    running.send(source, sender_of(source).closing)
    known = {record.id for record in running.program.deliveries()}
    assert running.send(source, sender_of(source).closing).status in {200, 202}
    assert {record.id for record in running.program.deliveries()} == known
