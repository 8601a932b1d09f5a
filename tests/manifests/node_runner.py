"""Code of app packages, run in Node.js."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.manifests.install_node import find_node

_RUNNER = Path(__file__).parent / "run_handler.js"


@dataclass(frozen=True)
class Ran:
    """What a handler did. handlers: the names that the file exports. requests: name and options of each template."""

    handlers: list[str]
    requests: list[dict[str, Any]]
    logs: list[str]
    rendered: int


def run_handler(file: Path, handler: str = "", payload: Any = None, *, failure: dict[str, Any] | None = None) -> Ran:
    """Call `handler` of `file` with `payload`; without a name the file is only loaded. failure: of every request."""
    node = find_node()
    if node is None:
        pytest.fail(
            "These tests need Node.js, and none was found. `make test` installs it; or name yours in NODE_BINARY.",
            pytrace=False,
        )
    asked = {"file": str(file), "handler": handler, "payload": payload, "failure": failure}
    done = subprocess.run(
        [node, str(_RUNNER)],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Ran(**json.loads(done.stdout))
