"""Recorded requests for the tests of trigger sources."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from plugin.triggers.base import InboundRequest
from plugin.triggers.base.recording import read_recording

RECORDINGS = Path(__file__).parents[1] / "fixtures" / "triggers"


@pytest.fixture
def load_trigger() -> Callable[[str, str], InboundRequest]:
    def load(source: str, name: str) -> InboundRequest:
        return read_recording((RECORDINGS / source / f"{name}.json").read_bytes())

    return load


@pytest.fixture
def recordings_of() -> Callable[[str], list[str]]:
    def names(source: str) -> list[str]:
        return sorted(path.stem for path in (RECORDINGS / source).glob("*.json"))

    return names
