"""HubSpot's own reader of projects, installed where it is not yet, and run in Node.js."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.manifests.install_node import find_node

_HERE = Path(__file__).parent / "hubspot_parser"
_FILES = ("package.json", "package-lock.json", "parse.js")


def install_library(cache: Path) -> Path:
    """A folder below `cache` with the library in the versions of the lock file, each checked against its digest."""
    node, npm = find_node(), shutil.which("npm")
    if node is None or npm is None:
        pytest.fail(
            "These tests need Node.js and npm, which were not found. `make test` installs them.",
            pytrace=False,
        )
    digest = hashlib.sha256(b"".join((_HERE / name).read_bytes() for name in _FILES)).hexdigest()[:16]
    folder = cache / digest
    folder.mkdir(parents=True, exist_ok=True)
    ready = folder / "ready"
    with (cache / "lock").open("w") as turn:
        # Tests run in several processes; one installs, the others wait for it.
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not ready.exists():
            for name in _FILES:
                shutil.copy(_HERE / name, folder)
            done = _run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], folder, seconds=400)
            assert done.returncode == 0, f"npm ci: {done.stdout}{done.stderr}"
            ready.touch()
    return folder


def read_project(library: Path, project: Path, profile: str) -> dict[str, Any]:
    """What the library finds in a project: config, components, skipped, too_many; or `error`, its words."""
    node = find_node()
    assert node is not None
    done = _run([node, "parse.js", str(project), profile], library, seconds=60)
    if done.returncode != 0:
        return {"error": done.stderr}
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _run(command: list[str], folder: Path, *, seconds: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, encoding="utf-8", timeout=seconds, check=False
    )
