"""Child processes of a benchmark: servers that listen at a port, and lean children that are spoken to line by line."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen, TimeoutExpired
from typing import Any

import psutil

ROOT = Path(__file__).parent.parent
_STOPPING = 40.0


class Child:
    """A module of this package in a process of its own; JSON goes in and comes out, a line each."""

    def __init__(self, process: Popen[str]) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    def stop(self) -> None:
        """End it; a second time does no harm."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        _end(self._process)

    def tell(self, message: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()

    def hear(self) -> Any:
        """The child's next line. Raises RuntimeError when it ended instead."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a child of the benchmark ended with code {self._process.wait()}")
        return json.loads(line)

    def ask(self, message: Any) -> Any:
        self.tell(message)
        return self.hear()


@contextmanager
def child(module: str) -> Iterator[Child]:
    """`python -m module` from here on; it is ended with the block, and ends by itself when its input does."""
    process = Popen([sys.executable, "-m", module], cwd=ROOT, stdin=PIPE, stdout=PIPE, text=True)
    with process:
        running = Child(process)
        try:
            yield running
        finally:
            running.stop()


@contextmanager
def server(
    arguments: Sequence[str], environment: Mapping[str, str] | None = None, port: int | None = None
) -> Iterator[int]:
    """`python ARGUMENTS` as a child, from the moment it listens at `port`; gives its process id."""
    process = Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdin=DEVNULL,
        stdout=DEVNULL,
        stderr=None if os.environ.get("BENCH_DEBUG") else DEVNULL,
    )
    try:
        if port is not None:
            _wait_for(port, process)
        yield process.pid
    finally:
        _end(process)


def _end(process: Popen[Any]) -> None:
    process.terminate()
    try:
        process.wait(_STOPPING)
    except TimeoutExpired:
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int, process: Popen[Any]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"nothing listens at port {port}; with BENCH_DEBUG=1 the server's own words are shown")


# --- what processes use up ----------------------------------------------------------------------------------------


def cpu_seconds(*roots: int) -> float:
    """Processor time that these processes and all below them have used so far."""
    return sum(_used(process) for root in roots for process in _family(root))


def _family(root: int) -> list[psutil.Process]:
    process = psutil.Process(root)
    return [process, *process.children(recursive=True)]


def _used(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0  # its parent counts it from now on
    return float(times.user + times.system + times.children_user + times.children_system)


def resident_megabytes(pid: int) -> float:
    """The memory that a process has in use."""
    return float(psutil.Process(pid).memory_info().rss) / 1024**2
