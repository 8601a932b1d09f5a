"""The program as an operator runs it: real processes in a folder of their own, and a survey vendor that listens."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from plugin.store import receipts, tenants
from plugin.store.opening import open_database
from plugin.store.receipts import DeliveryRecord
from plugin.store.turn import WriteTurn

COMMAND = Path(sys.executable).with_name("survey-plugin")
SIGNING_SECRET = "zendesk-signing-secret-canary"
DESK = "/triggers/desk-0123456789abcdef"

TENANT = """
tenant: acme
name: Acme
timezone: Europe/Warsaw
language: pl
sources:
  - name: desk
    kind: zendesk
    key: desk-0123456789abcdef
    credentials: {signing_secret: zendesk-signing-secret-canary}
connections:
  - {name: lab, vendor: surveylab, settings: {origin: "VENDOR", api_token: lab-token-canary}}
rules:
  - name: csat
    when: {events: [ticket.closed]}
    connection: lab
    call: add_respondent
    parameters:
      cId: "8379821739721"
      email: "{{ person.email }}"
      crk: "{{ delivery.reference }}"
      firstName: "{{ ticket.requester.first_name }}"
      custom1: "{{ ticket.title }}"
      custom2: "{{ ticket.id }}"
"""

Found = TypeVar("Found")


def wait_until(find: Callable[[], Found], what: str, seconds: float = 60.0) -> Found:
    """What `find` gives once that is true. Fails when it does not come true in time."""
    deadline = time.monotonic() + seconds
    while not (found := find()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.02)
    return found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class ListeningVendor:
    """A survey vendor that keeps every request as its bytes came, and answers each as SurveyLab confirms one.

    answers: clear it to keep callers waiting. status, answer: what every call is answered.
    """

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.answers = threading.Event()
        self.answers.set()
        self.status = "200 OK"
        self.answer = b'{"status":true,"notification":"Action process correctly"}'
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def calls(self, ticket: str | None = None) -> list[dict[str, str]]:
        """The parameters of each call, decoded once; those for one ticket when it is given."""
        calls = [dict(parse_qsl(target_of(request).partition("?")[2])) for request in list(self.requests)]
        return [call for call in calls if ticket is None or call.get("custom2") == ticket]

    def close(self) -> None:
        self.answers.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        unread = b""
        with contextlib.suppress(OSError), connection:
            while True:
                while b"\r\n\r\n" not in unread:
                    data = connection.recv(65536)
                    if not data:
                        return
                    unread += data
                request, _, unread = unread.partition(b"\r\n\r\n")
                self.requests.append(request)
                self.answers.wait(30)
                head = (
                    f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(self.answer)}\r\n\r\n"
                )
                connection.sendall(head.encode() + self.answer)


def target_of(request: bytes) -> str:
    """Path and query of a recorded request, exactly as on the wire. Fails on any byte outside ASCII."""
    return request.split(b" ")[1].decode("ascii")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> dict[str, Any]:
        return json.loads(self.body)


class Program:
    """One installation: its folder, its environment, its commands, and `serve` as a process."""

    def __init__(self, folder: Path, vendor: str = "https://www.surveylab.com", **environment: str) -> None:
        self.folder = folder
        self.vendor = vendor
        self.port = free_port()
        self.log = folder / "program.log"
        self._mark = uuid.uuid4().hex
        self._started: list[subprocess.Popen[bytes]] = []
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "DATABASE_URL": "sqlite:///data/plugin.db",
            "BASE_URL": f"http://127.0.0.1:{self.port}",
            "EXTRA_VENDOR_ORIGINS": vendor,
            # Found again in /proc: what carries it was started here, by whatever parent.
            "STARTED_BY_TEST": self._mark,
            **environment,
        }

    # --- commands ---------------------------------------------------------------------------------------------------

    def run(self, *arguments: str, text: str | None = None, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run one command to its end. text: its standard input. Fails unless it ends with `code`."""
        done = subprocess.run(
            [COMMAND, *arguments],
            check=False,
            cwd=self.folder,
            env=self.environment,
            input=text or "",
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == code, f"{done.returncode}: {done.stdout}{done.stderr}"
        return done

    def apply(self, tenant: str) -> None:
        self.run("apply", "-", text=tenant.replace("VENDOR", self.vendor))

    def deliveries(self) -> list[DeliveryRecord]:
        """All deliveries of the tenant, the newest first, read from the store."""
        database = open_database(f"sqlite:///{self.folder / 'data' / 'plugin.db'}")
        with contextlib.closing(database), database.read() as db:
            return receipts.deliveries_of_tenant(db, tenants.tenant_by_slug(db, "acme").id)

    # --- processes --------------------------------------------------------------------------------------------------

    def start(self, *command: str | Path) -> subprocess.Popen[bytes]:
        """Start a command in a process group of its own; without arguments `serve`, and wait until it is up."""
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                command or [COMMAND, "serve", "--port", str(self.port)],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )
        self._started.append(process)
        if not command:
            self.wait_ready(process)
        return process

    def wait_ready(self, process: subprocess.Popen[bytes]) -> None:
        def ready() -> bool:
            assert process.poll() is None, f"ended with {process.returncode}: {self.log.read_text()}"
            with contextlib.suppress(OSError):
                answer = self.request("GET", "/readyz")
                return answer.status == 200 and answer.json()["workers_alive"] > 0
            return False

        wait_until(ready, "web and worker are up")

    def processes(self, word: str = "") -> dict[int, int]:
        """Living processes of this program whose command line holds `word`; their parents by their ids."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if self._mark.encode() in (folder / "environ").read_bytes():
                    stat = (folder / "stat").read_text().rpartition(") ")[2].split()
                    words = (folder / "cmdline").read_bytes().split(b"\0")
                    if stat[0] != "Z" and (not word or word.encode() in words):
                        found[int(folder.name)] = int(stat[1])
        return found

    def worker_pid(self) -> int:
        [pid] = wait_until(lambda: self.processes("worker"), "a worker runs")
        return pid

    def freeze_worker(self) -> int:
        """Have the worker stand still, not in the middle of a write; gives its process id."""
        pid = self.worker_pid()
        with self.write_turn():
            os.kill(pid, signal.SIGSTOP)
        return pid

    def write_turn(self) -> AbstractContextManager[None]:
        """Keep everybody else from writing to the store."""
        return WriteTurn(self.folder / "data" / "plugin.db.turn").taken(30)

    def web_pids(self) -> tuple[int, int]:
        """Of gunicorn's arbiter and of its one worker."""

        def family() -> list[tuple[int, int]]:
            pids = self.processes("web")
            return [(parent, pid) for pid, parent in pids.items() if parent in pids]

        [pair] = wait_until(family, "gunicorn and its worker run")
        return pair

    def wait_gone(self, seconds: float = 30.0) -> None:
        """Fails when a process of this program is alive after so many seconds."""
        wait_until(lambda: not self.processes(), f"no process is left of {self.processes()}", seconds)

    def close(self) -> None:
        for process in self._started:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    # --- requests ---------------------------------------------------------------------------------------------------

    def request(
        self, method: str, target: str, body: Any = None, headers: Mapping[str, str] | None = None, **options: Any
    ) -> Answer:
        """One request on a connection of its own. options: for http.client, such as encode_chunked."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, target, body, dict(headers or {}), **options)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())

    def close_ticket(self, number: str, invocation: str | None = None, **ticket: Any) -> Answer:
        """Report a closed ticket, signed as Zendesk signs."""
        body = ticket_closed(number, **ticket)
        return self.request("POST", DESK, body, signed(body, invocation=invocation))


def ticket_closed(number: str, **ticket: Any) -> bytes:
    requester = {"email": "lucja.nowak@example.com", "first_name": "Łucja"}
    message = {"event": {"kind": "ticket.closed"}, "ticket": {"id": number, "requester": requester, **ticket}}
    return json.dumps(message, ensure_ascii=False).encode()


def signed(
    body: bytes, *, invocation: str | None = None, secret: str = SIGNING_SECRET, at: datetime | None = None
) -> dict[str, str]:
    """The headers that Zendesk sends with a body."""
    timestamp = (at or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")
    digest = hmac.new(secret.encode(), timestamp.encode() + body, hashlib.sha256).digest()
    return {
        "Content-Type": "application/json; charset=utf-8",
        "X-Zendesk-Webhook-Invocation-Id": invocation or uuid.uuid4().hex,
        "X-Zendesk-Webhook-Signature-Timestamp": timestamp,
        "X-Zendesk-Webhook-Signature": base64.b64encode(digest).decode(),
    }
