from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serve.program import TENANT, ListeningVendor, Program


@pytest.fixture(scope="session")
def listening() -> Iterator[ListeningVendor]:
    vendor = ListeningVendor()
    yield vendor
    vendor.close()


@pytest.fixture
def vendor(listening: ListeningVendor) -> ListeningVendor:
    """A vendor that has not been called yet."""
    listening.requests.clear()
    listening.answers.set()
    return listening


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory, listening: ListeningVendor) -> Path:
    """The folder of an installation with one tenant, to be copied."""
    program = Program(tmp_path_factory.mktemp("prepared"), listening.origin)
    program.apply(TENANT)
    return program.folder


@pytest.fixture
def program(tmp_path: Path, prepared: Path, vendor: ListeningVendor) -> Iterator[Program]:
    """An installation with one tenant, whose calls reach `vendor`; nothing of it runs yet."""
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    made = Program(tmp_path, vendor.origin)
    yield made
    made.close()
