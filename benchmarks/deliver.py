"""How fast due deliveries are made: one real worker, beside a bare loop of the same calls with the same threads."""

from __future__ import annotations

import logging
import os
import socketserver
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import requests
import structlog

from benchmarks.accept import TENANT
from benchmarks.measure import Round, interleave, report, work_folder
from plugin.app import Parts, open_parts, read_configuration
from plugin.registry import InboundRequest
from plugin.store import sources, tenants
from plugin.store.schema import migrate
from plugin.tenant_file import apply_configuration, check_document, read_document

CALLS = 2000
THREADS = 8  # the lane's own cap: one connection never has more under way
ROUNDS = 5
_ANSWER = b'{"status":true,"notification":"Action processed correctly"}'


class _Vendor(socketserver.ThreadingTCPServer):
    """Answers each request at once, keeping connections alive, with as little work as Python can do."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(_ANSWER)
        while self.rfile.readline():
            while self.rfile.readline() not in (b"\r\n", b""):
                pass
            self.wfile.write(head + _ANSWER)


def main() -> None:
    vendor = _Vendor(("127.0.0.1", 0), _Handler)
    threading.Thread(target=vendor.serve_forever, daemon=True).start()
    origin = f"http://127.0.0.1:{vendor.server_address[1]}"
    with work_folder() as folder:
        os.environ["DATABASE_URL"] = f"sqlite:///{folder / 'bench.db'}"
        os.environ["EXTRA_VENDOR_ORIGINS"] = origin
        os.environ["WORKER_THREADS"] = "32"
        parts = _set_up(origin)
        rows = interleave(
            {
                "a bare requests loop": lambda: _bare(origin),
                "one worker, SQLite": lambda: _ours(parts),
            },
            ROUNDS,
        )
        parts.database.close()
    vendor.shutdown()
    vendor.server_close()
    report("deliver", rows, floor="a bare requests loop")


def _set_up(origin: str) -> Parts:
    # A line for each delivery would measure the terminal.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    parts = open_parts(read_configuration())
    migrate(parts.database)
    checked = check_document(
        read_document(TENANT.replace("https://www.mysurveylab.com", origin)), extra_origins=[origin]
    )
    with parts.database.write() as db:
        apply_configuration(db, parts.vault, parts.mint, checked, saved_by="bench")
    return parts


def _bare(origin: str) -> Round:
    local = threading.local()
    sessions: list[requests.Session] = []

    def call(number: int) -> None:
        if not hasattr(local, "session"):
            local.session = requests.Session()
            local.session.trust_env = False
            sessions.append(local.session)
        local.session.get(f"{origin}/api.php", params={"apiToken": "x", "cId": "1", "email": f"a{number}@example.com"})

    began = time.monotonic()
    with ThreadPoolExecutor(THREADS) as senders:
        list(senders.map(call, range(CALLS)))
    took = time.monotonic() - began
    for session in sessions:
        session.close()
    return Round(CALLS / took)


def _ours(parts: Parts) -> Round:
    with parts.database.read() as db:
        source = sources.source_by_name(db, tenants.tenant_by_slug(db, "bench").id, "desk")
    for first in range(0, CALLS, 100):
        body = ",".join(
            f'{{"event": {{"kind": "ticket.closed"}}, "ticket": {{"id": "{time.time_ns()}-{n}", '
            f'"requester": {{"email": "a{n}@example.com"}}}}}}'
            for n in range(first, first + 100)
        )
        parts.acceptor.accept(source, InboundRequest("POST", "", {}, f"[{body}]".encode()), verified=True)
    with parts.outbound() as outbound:
        worker = parts.worker(outbound)
        began = time.monotonic()
        if not worker.run_until_idle(120):
            raise RuntimeError("the worker did not come to an end")
        return Round(CALLS / (time.monotonic() - began))
