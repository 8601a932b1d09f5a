"""An installation to be measured: a fresh database of either store, tenants in it, and its own processes."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import func, select
from sqlalchemy.engine import make_url

from benchmarks.load import TOKEN
from benchmarks.processes import ROOT, cpu_seconds, free_port, server
from benchmarks.profiler import PROFILE_FOLDER
from plugin.app import Parts, open_parts, read_configuration
from plugin.cli.tenants import source_urls
from plugin.store import tables
from plugin.store.schema import migrate
from plugin.tenant_file import apply_configuration, check_document, read_document
from tests.postgresql import Cluster, Server

STORES = ("sqlite", "postgresql")

#: What a machine that serves in earnest would set; the rest is as PostgreSQL comes.
_POSTGRESQL_SETTINGS = {"shared_buffers": "1GB", "max_wal_size": "8GB", "checkpoint_timeout": "15min"}

_CONNECTION = '{{name: {name}, vendor: surveylab, settings: {{origin: "{origin}", api_token: x}}}}'
_TENANT = """
tenant: {slug}
name: Bench
sources: [{{name: desk, kind: generic, credentials: {{bearer: {token}}}}}]
connections: [{connections}]
rules:
  - name: csat
    when: {{events: [ticket.closed], conditions: [{{field: ticket.tags, op: excludes, value: no_survey}}]}}
    connection: {first}
    call: add_respondent
    parameters: {{cId: "1", email: "{{{{ person.email }}}}", custom1: "{{{{ ticket.id }}}}"}}
"""


@dataclass(frozen=True)
class Installation:
    """A migrated database and the environment in which commands find it. store_pid: of PostgreSQL, if it is ours."""

    store: str
    environment: dict[str, str]
    parts: Parts
    store_pid: int | None
    _paths: dict[str, str] = field(default_factory=dict)

    def add_tenant(self, slug: str, origins: Sequence[str]) -> str:
        """A tenant with a connection to each origin, and a rule that asks through the first; the path of its source."""
        names = [f"vendor{number}" for number in range(len(origins))]
        connections = ", ".join(
            _CONNECTION.format(name=name, origin=origin) for name, origin in zip(names, origins, strict=True)
        )
        document = _TENANT.format(slug=slug, token=TOKEN, connections=connections, first=names[0])
        checked = check_document(read_document(document), extra_origins=self.parts.config.extra_vendor_origins)
        with self.parts.database.write() as db:
            apply_configuration(db, self.parts.vault, self.parts.mint, checked, saved_by="bench")
        url = source_urls(self.parts, slug)["desk"]
        return url[url.index("/triggers/") :]

    def run(self, *arguments: str) -> None:
        """One command, to its end. Raises CalledProcessError."""
        command = [sys.executable, "-m", "plugin", *arguments]
        subprocess.run(command, cwd=ROOT, env={**os.environ, **self.environment}, check=True, capture_output=True)

    @contextmanager
    def web(self) -> Iterator[tuple[int, int]]:
        """The web part; gives its port and process id."""
        port = free_port()
        with server([*_plugin(), "web", "--port", str(port)], self.environment, port) as pid:
            yield port, pid

    @contextmanager
    def workers(self, processes: int, threads: int) -> Iterator[list[int]]:
        """Workers, from the moment all have said that they are there; gives their process ids."""
        environment = {**self.environment, "WORKER_THREADS": str(threads)}
        with ExitStack() as stack:
            pids = [stack.enter_context(server([*_plugin(), "worker"], environment)) for _ in range(processes)]
            self._wait_for_workers(processes)
            yield pids

    def _wait_for_workers(self, processes: int) -> None:
        deadline = time.monotonic() + 30
        while self._count(tables.workers) < processes:
            if time.monotonic() > deadline:
                raise RuntimeError("a worker did not start; with BENCH_DEBUG=1 its own words are shown")
            time.sleep(0.05)

    def _count(self, table: tables.Table) -> int:
        with self.parts.database.read() as db:
            return db.execute(select(func.count()).select_from(table)).scalar_one()

    def store_cpu_seconds(self) -> float:
        """Processor time that PostgreSQL has used so far; 0 where it is not ours, and for SQLite."""
        return cpu_seconds(self.store_pid) if self.store_pid else 0.0

    def outcomes(self) -> dict[str, int]:
        """How many deliveries are in each state."""
        state = tables.deliveries.c.state
        with self.parts.database.read() as db:
            return {row[0]: row[1] for row in db.execute(select(state, func.count()).group_by(state))}


@contextmanager
def installation(store: str, origins: Sequence[str] = ()) -> Iterator[Installation]:
    """A fresh one, removed with the block. origins: where its vendors may be, besides their own addresses."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="survey-plugin-bench-")))
        url, store_pid = f"sqlite:///{folder / 'bench.db'}", None
        if store == "postgresql":
            url, store_pid = stack.enter_context(_postgresql_database())
        environment = {
            "DATABASE_URL": url,
            "SECRET_KEYS": secrets.token_urlsafe(48),
            "DATA_KEYS": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "EXTRA_VENDOR_ORIGINS": ",".join(origins),
            "LOG_FORMAT": "json",
        }
        parts = _open(environment)
        stack.callback(parts.close)
        migrate(parts.database)
        yield Installation(store, environment, parts, store_pid)


def _open(environment: dict[str, str]) -> Parts:
    before = dict(os.environ)
    os.environ.update(environment)
    try:
        return open_parts(read_configuration())
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _postgresql_database() -> Iterator[tuple[str, int | None]]:
    running, pid = _postgresql()
    name = f"bench_{secrets.token_hex(6)}"
    url = running.create(name)
    try:
        yield url, pid
    finally:
        running.drop(name)


@cache
def _postgresql() -> tuple[Server, int | None]:
    """The server that BENCH_DATABASE_URL names, else one of our own whose commits wait for the disk."""
    if given := os.environ.get("BENCH_DATABASE_URL"):
        return Server(make_url(given)), None
    cluster = Cluster(durable=True, settings=_POSTGRESQL_SETTINGS)
    return cluster, cluster.pid


def postgresql_version() -> str:
    running, _ = _postgresql()
    with running.connect() as connection:
        return str(connection.info.parameter_status("server_version")).split()[0]


def _plugin() -> list[str]:
    return ["-m", "benchmarks.profiler"] if os.environ.get(PROFILE_FOLDER) else ["-m", "plugin"]
