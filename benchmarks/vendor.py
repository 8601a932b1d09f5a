"""The pretend vendor: answers calls over raw sockets, one thread, in a process of its own, and notes each arrival.

It shares the processor with what is measured, so it does as little as it can.
"""

from __future__ import annotations

import json
import re
import selectors
import socket
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

from benchmarks.processes import Child, child

_BODY = b'{"status":true,"notification":"Action processed correctly"}'
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
_KEY = re.compile(rb"[?&]custom1=([^& ]*)")


@dataclass(frozen=True)
class Arrival:
    """One call. at: by the monotonic clock of the machine. door: which of the vendor's ports. key: its `custom1`."""

    at: float
    door: int
    key: str


class Vendor:
    """A running pretend vendor with a port, or door, for each of its delays."""

    def __init__(self, process: Child, ports: Sequence[int]) -> None:
        self._process = process
        self.origins = [f"http://127.0.0.1:{port}" for port in ports]

    @property
    def pid(self) -> int:
        return self._process.pid

    def count(self) -> int:
        """How many calls have come since they were last taken."""
        return int(self._process.ask("count"))

    def take(self) -> list[Arrival]:
        """The calls that have come since, in their order."""
        return [Arrival(*arrival) for arrival in self._process.ask("take")]

    def hang_up(self) -> None:
        """End the vendor: whoever waits for an answer sees the connection break."""
        self._process.stop()

    def wait_for(self, calls: int, seconds: float) -> list[Arrival]:
        """Take the calls once there are so many. Raises RuntimeError when they do not come within `seconds`."""
        deadline = time.monotonic() + seconds
        while self.count() < calls:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.count()} of {calls} calls came within {seconds:.0f} s")
            time.sleep(0.05)
        return self.take()


@contextmanager
def vendor(*delays: float | None) -> Iterator[Vendor]:
    """A pretend vendor. delays: seconds before each door answers; None: it takes calls and never does."""
    with child("benchmarks.vendor") as process:
        yield Vendor(process, process.ask(delays))


# --- in the process -----------------------------------------------------------------------------------------------


class _Door:
    def __init__(self, number: int, delay: float | None) -> None:
        self.number = number
        self.delay = delay
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=512)

    @property
    def port(self) -> int:
        return int(self.socket.getsockname()[1])


class _Caller:
    def __init__(self, connection: socket.socket, door: _Door) -> None:
        self.socket = connection
        self.door = door
        self.request = b""


class _Sink:
    def __init__(self, delays: Sequence[float | None]) -> None:
        self._doors = [_Door(number, delay) for number, delay in zip(count(), delays, strict=False)]
        self._selector = selectors.DefaultSelector()
        self._selector.register(sys.stdin, selectors.EVENT_READ)
        for door in self._doors:
            self._selector.register(door.socket, selectors.EVENT_READ, door)
        self._arrivals: list[tuple[float, int, bytes]] = []
        # One line of waiting answers for each length of delay, so that each stays in order.
        self._waiting: dict[float, deque[tuple[float, _Caller]]] = {delay: deque() for delay in delays if delay}

    def ports(self) -> list[int]:
        return [door.port for door in self._doors]

    def run(self) -> None:
        while True:
            for key, _ in self._selector.select(self._pause()):
                if isinstance(key.data, _Caller):
                    self._read(key.data)
                elif isinstance(key.data, _Door):
                    self._let_in(key.data)
                elif not self._obey(sys.stdin.readline()):
                    return
            self._answer_what_is_due()

    def _let_in(self, door: _Door) -> None:
        connection, _ = door.socket.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._selector.register(connection, selectors.EVENT_READ, _Caller(connection, door))

    def _read(self, caller: _Caller) -> None:
        try:
            piece = caller.socket.recv(65536)
        except OSError:
            piece = b""
        if not piece:
            self._selector.unregister(caller.socket)
            caller.socket.close()
            return
        caller.request += piece
        if not caller.request.endswith(b"\r\n\r\n"):
            return
        now = time.monotonic()
        self._arrivals.append((now, caller.door.number, caller.request))
        caller.request = b""
        if caller.door.delay:
            self._waiting[caller.door.delay].append((now + caller.door.delay, caller))
        elif caller.door.delay is not None:
            _answer(caller)

    def _pause(self) -> float | None:
        first = [line[0][0] for line in self._waiting.values() if line]
        return max(min(first) - time.monotonic(), 0.0) if first else None

    def _answer_what_is_due(self) -> None:
        for line in self._waiting.values():
            now = time.monotonic()
            while line and line[0][0] <= now:
                _answer(line.popleft()[1])

    def _obey(self, line: str) -> bool:
        if not line:
            return False
        if json.loads(line) == "count":
            _say(len(self._arrivals))
        else:
            taken, self._arrivals = self._arrivals, []
            _say([(at, door, _key_of(request)) for at, door, request in taken])
        return True


def _answer(caller: _Caller) -> None:
    try:
        caller.socket.sendall(_ANSWER)
    except OSError:
        return  # the caller is gone; the selector will say so


def _key_of(request: bytes) -> str:
    found = _KEY.search(request)
    return found[1].decode() if found else ""


def _say(message: object) -> None:
    print(json.dumps(message), flush=True)


if __name__ == "__main__":
    sink = _Sink(json.loads(sys.stdin.readline()))
    _say(sink.ports())
    sink.run()
