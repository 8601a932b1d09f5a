from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from plugin.sandbox.server import Sandbox
from plugin.store.tenants import Tenant
from tests.web.installation import CONFIGURATION, OTHER, Installation, Visitor


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    made = Installation(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="session")
def vendor() -> Iterator[Sandbox]:
    with Sandbox(slow_seconds=0.1) as running:
        yield running


@pytest.fixture
def delivering(tmp_path: Path, vendor: Sandbox) -> Iterator[Installation]:
    """An installation whose survey calls reach a pretended vendor."""
    made = Installation(tmp_path, vendor=vendor.origin)
    yield made
    made.close()


@pytest.fixture
def acme(installation: Installation) -> Tenant:
    return installation.apply(CONFIGURATION)


@pytest.fixture
def blue(installation: Installation) -> Tenant:
    return installation.apply(OTHER)


@pytest.fixture
def admin(installation: Installation, acme: Tenant) -> Visitor:
    return installation.visitor(installation.add_link(acme))


@pytest.fixture
def viewer(installation: Installation, acme: Tenant) -> Visitor:
    return installation.visitor(installation.add_link(acme, "viewer"))
