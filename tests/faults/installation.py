"""One installation with its own database, and its processes as an operator starts them, some of them with faults."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import func, or_, select

from plugin.app import Config, open_parts
from plugin.cli.supervise import lifeline
from plugin.redaction import Secret
from plugin.store.opening import open_database
from plugin.store.schema import migrate
from plugin.store.tables import attempts, deliveries, lanes
from plugin.tenant_file import apply_configuration, check_document, read_document
from tests.faults.judge import StoredDelivery

ROOT: Final = Path(__file__).parent.parent.parent
_INJECT: Final = Path(__file__).parent / "inject"

#: Where the tenant's two sources are reported to. Each has a connection of its own.
PATHS: Final = ("/triggers/first-0123456789abcdef", "/triggers/second-0123456789abcdef")

#: How many calls may be under way through one connection, where its tenant says nothing about it.
LANE_CAP: Final = int(str(lanes.c.in_flight_cap.server_default.arg))

_TENANT: Final = """
tenant: acme
name: Acme
timezone: Europe/Warsaw
language: pl
sources:
  - {name: first, kind: generic, key: first-0123456789abcdef, credentials: {url_only: true}}
  - {name: second, kind: generic, key: second-0123456789abcdef, credentials: {url_only: true}}
connections:
  - {name: first, vendor: surveylab, settings: {origin: "VENDOR", api_token: token-of-first}}
  - {name: second, vendor: surveylab, settings: {origin: "VENDOR", api_token: token-of-second}}
rules:
  - name: first
    sources: [first]
    when: {events: [ticket.closed]}
    connection: first
    call: add_respondent
    parameters: {cId: "1", email: "{{ person.email }}", custom1: "{{ ticket.id }}"}
  - name: second
    sources: [second]
    when: {events: [ticket.closed]}
    connection: second
    call: add_respondent
    parameters: {cId: "1", email: "{{ person.email }}", custom1: "{{ ticket.id }}"}
"""


def wait_until(true: Callable[[], bool], seconds: float, what: str, *, pause: float = 0.01) -> None:
    """Look every `pause` seconds. Raises TimeoutError when it does not come true in time."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        time.sleep(pause)


class Child:
    """One process of the program; it leads a process group of its own."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._expected_to_end = False
        self.log = log

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ended_unasked(self) -> int | None:
        """The exit code of a process that was neither killed from here nor told to die; None when all is well."""
        return None if self._expected_to_end else self._process.poll()

    def kill(self) -> None:
        """kill -9, of gunicorn's workers too; returns when it is dead."""
        self._expected_to_end = True
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def kill_alone(self) -> None:
        """kill -9 of the one process, whatever its children do."""
        self._expected_to_end = True
        self._process.kill()
        self._process.wait()

    def kill_tree(self) -> None:
        """kill -9 of `serve` and then of its children, each with the group that it leads."""
        groups = self.children()
        self.kill_alone()
        for group in groups:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)

    def children(self, word: str = "") -> list[int]:
        """Ids of the processes that this one has started and whose command line has `word` in it."""
        listed = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text("ascii").split()
        return [
            int(pid)
            for pid in listed
            if word.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") or not word
        ]

    def wait_dead(self, seconds: float) -> None:
        """For a process that kills itself. Raises TimeoutError when it does not."""
        self._expected_to_end = True
        wait_until(lambda: self._process.poll() is not None, seconds, f"process {self.pid} dies")

    def terminate(self) -> None:
        """Ask it to stop, and wait until it has."""
        self._process.terminate()
        self.wait_done(60)

    def wait_done(self, seconds: float) -> int:
        """Its exit code, for one that ends by itself. Raises subprocess.TimeoutExpired."""
        self._expected_to_end = True
        return self._process.wait(seconds)

    def said(self) -> str:
        return self.log.read_text("utf-8", "replace")

    def freeze(self) -> None:
        os.killpg(self.pid, signal.SIGSTOP)

    def wait_frozen(self, seconds: float) -> None:
        """For a process that stops itself, or one of its children. Raises TimeoutError when none does."""
        wait_until(
            lambda: any(_is_frozen(pid) for pid in (self.pid, *self.children())), seconds, f"process {self.pid} stops"
        )

    def thaw(self) -> None:
        os.killpg(self.pid, signal.SIGCONT)

    def close(self) -> None:
        if self._process.poll() is None:
            self.kill()


class Installation:
    """database_url: of an empty database. tenant: its file, in which VENDOR stands for the vendor's origin."""

    def __init__(self, folder: Path, vendor: str, database_url: str, *, tenant: str = _TENANT) -> None:
        self.folder = folder
        self.port = free_port()
        self._database_url = database_url
        self._vendor = vendor
        self._tenant = tenant
        self._secret_key, self._data_key = (urlsafe_b64encode(secrets.token_bytes(32)).decode() for _ in range(2))
        self._children: list[Child] = []
        self._open = contextlib.ExitStack()
        self._lifeline = self._open.enter_context(lifeline())
        self._set_up()

    def _set_up(self) -> None:
        config = Config(
            database_url=self._database_url,
            secret_keys=(Secret(self._secret_key),),
            data_keys=(Secret(self._data_key),),
            extra_vendor_origins=(self._vendor,),
        )
        parts = open_parts(config)
        migrate(parts.database)
        document = read_document(self._tenant.replace("VENDOR", self._vendor))
        checked = check_document(document, extra_origins=[self._vendor])
        with parts.database.write() as db:
            apply_configuration(db, parts.vault, parts.mint, checked, saved_by="tests")
        parts.close()

    # --- processes --------------------------------------------------------------------------------------------------

    def start(self, command: str, faults: Mapping[str, Any], *, port: int | None = None) -> Child:
        """Start `web`, `worker` or another command, with faults in it and in whatever it starts."""
        arguments = [command, "--port", str(port or self.port)] if command in {"web", "serve"} else [command]
        path = self.folder / f"{len(self._children):02}-{command}.log"
        with path.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "plugin", *arguments],
                cwd=self.folder,
                env=self._environment(faults),
                pass_fds=(self._lifeline,),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )
        child = Child(process, path)
        self._children.append(child)
        return child

    def wait_for_web(self, port: int | None = None) -> None:
        wait_until(lambda: _answers(port or self.port), 90, "the web part answers")

    def crashed(self) -> list[str]:
        """A sentence for each process that ended by itself."""
        return [
            f"{child.log.stem} ended by itself with code {child.ended_unasked}: {_last_line(child.log)}"
            for child in self._children
            if child.ended_unasked is not None
        ]

    def damages(self) -> list[str]:
        """What the database says about its own state, when it is not sound."""
        with self._database() as database:
            return database.integrity_problems()

    def close(self) -> None:
        for child in self._children:
            child.close()
        self._open.close()

    def _environment(self, faults: Mapping[str, Any]) -> dict[str, str]:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "DATABASE_URL": self._database_url,
            "SECRET_KEYS": self._secret_key,
            "DATA_KEYS": self._data_key,
            "EXTRA_VENDOR_ORIGINS": self._vendor,
            "SURVEY_PLUGIN_LIFELINE": str(self._lifeline),
        }
        if faults:
            environment |= {"PYTHONPATH": os.pathsep.join((str(_INJECT), str(ROOT))), "FAULTS": json.dumps(faults)}
        return environment

    # --- what is stored ---------------------------------------------------------------------------------------------
    # Asked only while a process of the program runs: the last one that closes a SQLite database tidies it up, and that
    # is for the program to do after a crash.

    def stored(self) -> dict[str, StoredDelivery]:
        claims = select(func.count()).where(attempts.c.delivery_id == deliveries.c.id).scalar_subquery()
        with self._database() as database, database.read() as db:
            rows = db.execute(select(deliveries.c.id, deliveries.c.state, claims.label("claims")))
            return {row.id: StoredDelivery(row.state, row.claims) for row in rows}

    def live(self) -> int:
        """How many deliveries are still to be sent or settled."""
        query = select(func.count()).where(deliveries.c.state.in_(("scheduled", "claimed")))
        with self._database() as database, database.read() as db:
            return db.execute(query).scalar_one()

    def in_flight(self, pid: int, at: datetime) -> int:
        """How many claims the worker with that process id had not settled at that time."""
        query = select(func.count()).where(
            attempts.c.worker.like(f"%-{pid}-%"),
            attempts.c.claimed_at <= at,
            or_(attempts.c.finished_at.is_(None), attempts.c.finished_at > at),
        )
        with self._database() as database, database.read() as db:
            return db.execute(query).scalar_one()

    @contextlib.contextmanager
    def _database(self) -> Any:
        database = open_database(self._database_url)
        try:
            yield database
        finally:
            database.close()


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        return b" 200 " in connection.recv(100)
    return False


def _is_frozen(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(") ")[2][0] == "T"


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _last_line(log: Path) -> str:
    return next(reversed(log.read_text("utf-8", "replace").splitlines()), "")
