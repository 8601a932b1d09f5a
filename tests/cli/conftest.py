from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tests.cli.commands import Commands


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Commands]:
    """Commands given in an empty folder, with no settings but the defaults."""
    for name in list(os.environ):
        if name.endswith(("_KEYS", "_URL", "_FILE", "_ORIGINS", "_TOKEN", "_PROXY", "_THREADS", "_FORMAT")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    yield Commands(tmp_path)
    # Commands set up logging for the process that they are; this one goes on.
    root.handlers[:], root.level = before[0], before[1]
    structlog.reset_defaults()
