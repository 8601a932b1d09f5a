"""A whole installation in a temporary folder: real database, pretended vendor, a clock that a test moves."""

from __future__ import annotations

import base64
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
def postgres_server() -> Iterator[Server]:
    """A real PostgreSQL, one for each process that runs tests."""
    with server() as running:
        yield running


@pytest.fixture(scope="session")
def _migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "test.db"
    database = Database(f"sqlite:///{path}")
    migrate(database)
    database.close()
    return path


@pytest.fixture
def config(tmp_path: Path, sandbox: Vendor) -> Config:
    return Config(
        database_url=f"sqlite:///{tmp_path / 'test.db'}",
        secret_keys=(Secret("s" * 40),),
        data_keys=(DATA_KEY,),
        extra_vendor_origins=(sandbox.origin,),
        worker_threads=8,
    )


@pytest.fixture
def parts(config: Config, clock: Clock, tmp_path: Path, _migrated: Path) -> Iterator[Parts]:
    """Everything that web, worker and commands share, over a database with its tables."""
    shutil.copy(_migrated, tmp_path / "test.db")
    opened = open_parts(config, Mint(clock, secrets.token_bytes))
    yield opened
    opened.database.close()


@pytest.fixture
def database(parts: Parts) -> Database:
    return parts.database


@pytest.fixture
def acme(parts: Parts, sandbox: Vendor, clock: Clock) -> Acme:
    """A tenant whose one rule asks after each closed ticket."""
    tenant = Acme(parts, sandbox, clock)
    tenant.apply()
    return tenant
