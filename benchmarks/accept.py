"""How fast triggers are taken: the real application under its gunicorn, beside a bare view under the same one."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import threading
import time
from pathlib import Path

from benchmarks.measure import Round, free_port, interleave, percentile, report, running, work_folder
from plugin.app import open_parts, read_configuration, system_mint
from plugin.cli.tenants import source_urls
from plugin.store.schema import migrate
from plugin.tenant_file import apply_configuration, check_document, read_document

CLIENTS = 16
SECONDS = 4.0
ROUNDS = 5

TENANT = """
tenant: bench
name: Bench
sources: [{name: desk, kind: generic, credentials: {bearer: bench-token}}]
connections: [{name: lab, vendor: surveylab, settings: {origin: "https://www.mysurveylab.com", api_token: x}}]
rules:
  - name: csat
    when: {events: [ticket.closed], conditions: [{field: ticket.tags, op: excludes, value: no_survey}]}
    connection: lab
    call: add_respondent
    parameters: {cId: "1", email: "{{ person.email }}", custom1: "{{ ticket.id }}"}
"""
_numbers = itertools.count(1)


def main() -> None:
    with work_folder() as folder:
        os.environ["DATABASE_URL"] = f"sqlite:///{folder / 'bench.db'}"
        path = _set_up()
        ours, bare = free_port(), free_port()
        environment = {"PYTHONPATH": str(Path(__file__).parent.parent), "LOG_FORMAT": "json"}
        with (
            running(["-m", "plugin", "web", "--port", str(ours)], environment, ours),
            running(["-m", "benchmarks.bare_view", str(bare)], environment, bare),
        ):
            for port in (ours, bare):
                _load(port, path, 1.0)
            rows = interleave(
                {
                    "a bare view, same gunicorn": lambda: _load(bare, path, SECONDS),
                    "accept, SQLite": lambda: _load(ours, path, SECONDS),
                },
                ROUNDS,
            )
    report("accept", rows, floor="a bare view, same gunicorn")


def _set_up() -> str:
    parts = open_parts(read_configuration(), system_mint())
    migrate(parts.database)
    with parts.database.write() as db:
        checked = check_document(read_document(TENANT))
        apply_configuration(db, parts.vault, parts.mint, checked, saved_by="bench")
    url = source_urls(parts, "bench")["desk"]
    parts.database.close()
    return url[url.index("/triggers/") :]


def _load(port: int, path: str, seconds: float) -> Round:
    latencies: list[float] = []
    lock = threading.Lock()
    deadline = time.monotonic() + seconds

    def client() -> None:
        mine = []
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        while (began := time.monotonic()) < deadline:
            connection.request("POST", path, _body(), _HEADERS)
            answer = connection.getresponse()
            answer.read()
            if answer.status != 202:
                raise RuntimeError(f"answered {answer.status}")
            mine.append((time.monotonic() - began) * 1000)
        connection.close()
        with lock:
            latencies.extend(mine)

    clients = [threading.Thread(target=client) for _ in range(CLIENTS)]
    began = time.monotonic()
    for one in clients:
        one.start()
    for one in clients:
        one.join()
    took = time.monotonic() - began
    latencies.sort()
    return Round(len(latencies) / took, percentile(latencies, 0.5), percentile(latencies, 0.99))


_HEADERS = {"Authorization": "Bearer bench-token", "Content-Type": "application/json"}


def _body() -> bytes:
    number = next(_numbers)
    ticket = {
        "id": str(number),
        "status": "Solved",
        "tags": "printer vip",
        "updated_at": "2026-11-03T16:05:12Z",
        "requester": {"name": "Łucja Nowak", "email": f"lucja.{number}@example.com", "language": "pl"},
    }
    return json.dumps(
        {"event": {"kind": "ticket.closed", "id": f"e-{number}-{time.time_ns()}"}, "ticket": ticket}
    ).encode()
