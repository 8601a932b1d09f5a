from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import structlog

from tests.cli.commands import Commands


@contextmanager
def settled_in(folder: Path) -> Iterator[Commands]:
    """Commands given in a folder, with no settings but the defaults. They set up logging; it is put back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.endswith(("_KEYS", "_URL", "_FILE", "_ORIGINS", "_PROXY", "_THREADS", "_CONCURRENCY", "_FORMAT")):
                patch.delenv(name)
        patch.chdir(folder)
        yield Commands(folder)
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def _applied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the tenant has been applied, to be copied."""
    with settled_in(tmp_path_factory.mktemp("applied")) as commands:
        commands.apply()
        return commands.folder


@pytest.fixture
def commands(tmp_path: Path) -> Iterator[Commands]:
    """Commands given in an empty folder."""
    with settled_in(tmp_path) as commands:
        yield commands


@pytest.fixture
def acme(commands: Commands, _applied: Path) -> Commands:
    """Commands given where a tenant named acme has been applied."""
    shutil.copytree(_applied, commands.folder, dirs_exist_ok=True)
    return commands
