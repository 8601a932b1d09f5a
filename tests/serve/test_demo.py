"""`demo` in a folder of its own: every promise of the first five minutes."""

from __future__ import annotations

import os
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.serve.program import COMMAND, Program, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes in /proc"),
]


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Program]:
    """An empty folder with a name that addresses and shells stumble over, where nothing has been done yet."""
    folder = tmp_path / "żółty & blue #1"
    folder.mkdir()
    program = Program(folder)
    yield program
    program.close()


def references(told: str) -> set[str]:
    return set(re.findall(r"reference ([a-z0-9]{26})", told))


def test_it_serves_until_it_is_stopped_and_works_again_whatever_the_environment_says(fresh: Program) -> None:
    with busy(8000), busy(9000):
        demo = fresh.start(COMMAND, "demo")
        wait_until(lambda: "Ctrl-C ends it." in fresh.log.read_text(), "the demo serves")
        first = fresh.log.read_text()
        check_the_demo_serves(fresh, first)
        os.killpg(demo.pid, signal.SIGINT)
    assert demo.wait(40) == 0
    assert not fresh.processes()
    assert "Traceback" not in fresh.log.read_text()

    fresh.environment |= {
        "DATABASE_URL": "sqlite:////nowhere/plugin.db",
        "BASE_URL": "https://surveys.example.com",
        "DATA_KEYS": "nonsense",
        "SECRET_KEYS_FILE": "/nowhere",
        "OUTBOUND_PROXY": "http://proxy.invalid:1",
    }
    second = fresh.run("demo", "--once", "--port", str(fresh.port)).stdout
    assert not fresh.processes()

    for told in (first, second):
        assert told.count("Receipt ") == 5
        assert told.count("accepted - The vendor confirmed the call.") == 4
        assert "no - A condition of the rule does not hold." in told
        assert "call: GET http://127.0.0.1:" in told
        assert "“Invitation has been sent”" in told
        assert re.search(r"http://127\.0\.0\.1:\d+/config/[\w.-]+", told)
        assert "lucja" not in told
    assert len(references(first) | references(second)) == 8


def check_the_demo_serves(fresh: Program, told: str) -> None:
    """On ports that were free, with pages that open, and alone in its folder."""
    link = re.search(r"http://127\.0\.0\.1:(\d+)(/config/\S+)", told)
    assert link is not None
    assert f"survey-plugin serves http://127.0.0.1:{link[1]}\n" in told
    assert link[1] != "8000"
    assert "answers at http://127.0.0.1:9000" not in told
    fresh.port = int(link[1])
    assert fresh.request("GET", "/readyz").json()["workers_alive"] == 1
    assert fresh.request("GET", link[2]).status == 200
    second = fresh.run("demo", "--once", code=1)
    assert second.stderr == "A demo is running in var/demo already; end it, or choose another --folder.\n"


def test_it_leaves_nothing_either_when_it_is_interrupted_on_its_way(fresh: Program) -> None:
    demo = fresh.start(COMMAND, "demo", "--port", str(fresh.port))
    wait_until(lambda: fresh.processes("serve"), "the demo starts to serve")

    os.killpg(demo.pid, signal.SIGINT)

    assert demo.wait(40) == 1
    fresh.wait_gone()
    assert "Traceback" not in fresh.log.read_text()


def test_it_leaves_nothing_when_it_is_killed(fresh: Program) -> None:
    demo = fresh.start(COMMAND, "demo", "--port", str(fresh.port))
    wait_until(lambda: len(fresh.processes("web")) == 2, "the demo serves")

    demo.kill()

    fresh.wait_gone()


@pytest.mark.parametrize("command", ["demo", "serve"])
def test_a_port_that_was_asked_for_and_is_taken_is_a_sentence(fresh: Program, command: str) -> None:
    with socket.create_server(("127.0.0.1", fresh.port)):
        refused = fresh.run(command, "--port", str(fresh.port), code=1)

    assert refused.stderr == f"Port {fresh.port} is in use by another program; choose another one with --port.\n"


@contextmanager
def busy(port: int) -> Iterator[None]:
    """Somebody listens at a port while the block runs: we, or whoever was first."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):
            listener.bind(("127.0.0.1", port))
            listener.listen()
        yield
