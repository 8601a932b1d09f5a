"""A whole installation in a temporary folder: real database, pretended vendor, a clock that a test moves."""

from __future__ import annotations

import base64
import itertools
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from plugin.app import Parts, open_parts
from plugin.config import Config
from plugin.domain.identity import Mint
from plugin.redaction import Secret
from plugin.sandbox.server import Sandbox
from plugin.store.database import Database
from plugin.store.opening import open_database
from plugin.store.schema import migrate
from tests.acme import Acme, Clock, Vendor
from tests.postgresql import Server, server

DATA_KEY = Secret(base64.urlsafe_b64encode(b"k" * 32).decode())


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def _sandbox_server() -> Iterator[Sandbox]:
    with Sandbox(slow_seconds=0.1) as running:
        yield running


@pytest.fixture
def sandbox(_sandbox_server: Sandbox) -> Vendor:
    received = _sandbox_server.received
    return Vendor(_sandbox_server, received[-1].number if received else 0)


@pytest.fixture(scope="session")
def _migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "test.db"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A real PostgreSQL, with one database that has the tables and nobody connected."""
    with server() as running:
        _migrate(running.create(_TEMPLATE))
        yield running
        running.drop(_TEMPLATE)


#: Has the process in its name: several may test on one server.
_TEMPLATE = f"survey_plugin_migrated_{os.getpid()}"
_numbers = itertools.count()


def _migrate(url: str) -> None:
    database = open_database(url)
    migrate(database)
    database.close()


@pytest.fixture
def sqlite_url(tmp_path: Path, _migrated: Path) -> str:
    """A file with its tables."""
    shutil.copy(_migrated, tmp_path / "test.db")
    return f"sqlite:///{tmp_path / 'test.db'}"


@pytest.fixture
def postgresql_url(postgresql: Server) -> Iterator[str]:
    """A database of its own with its tables."""
    name = f"survey_plugin_test_{os.getpid()}_{next(_numbers)}"
    yield postgresql.create(name, template=_TEMPLATE)
    postgresql.drop(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A database on each engine in turn: whatever uses it, or `parts`, or `acme`, is tested on both."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def config(database_url: str, sandbox: Vendor) -> Config:
    return Config(
        database_url=database_url,
        secret_keys=(Secret("s" * 40),),
        data_keys=(DATA_KEY,),
        extra_vendor_origins=(sandbox.origin,),
        worker_threads=8,
    )


@pytest.fixture
def parts(config: Config, clock: Clock) -> Iterator[Parts]:
    """Everything that web, worker and commands share, over a database with its tables."""
    opened = open_parts(config, Mint(clock, secrets.token_bytes))
    yield opened
    opened.close()


@pytest.fixture
def database(parts: Parts) -> Database:
    return parts.database


@pytest.fixture
def acme(parts: Parts, sandbox: Vendor, clock: Clock) -> Acme:
    """A tenant whose one rule asks after each closed ticket."""
    tenant = Acme(parts, sandbox, clock)
    tenant.apply()
    return tenant
