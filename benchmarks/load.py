"""The load generator: HTTP over kept-alive raw sockets, one thread, in a process of its own.

The same one calls the product and its floor. It shares the processor with both, so it does as little as it can: a
request is one template filled with a number, an answer is searched for its status and its length.
"""

from __future__ import annotations

import itertools
import json
import resource
import selectors
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field

from benchmarks.measure import percentile
from benchmarks.processes import child

TOKEN = "bench-token"


@dataclass(frozen=True)
class Load:
    """What to send. paths: used in turn. rate: a second, by the clock; None: each client as soon as it is answered."""

    port: int
    paths: Sequence[str]
    seconds: float
    clients: int = 16
    rate: float | None = None


@dataclass(frozen=True)
class Loaded:
    """What came of it. Latencies in seconds, sorted; with a rate they count from the moment a request was due.

    sent: when each ticket was sent, by the monotonic clock of the machine. cpu: seconds the generator itself used.
    """

    count: int
    took: float
    cpu: float
    latencies: Sequence[float] = field(repr=False)
    sent: dict[str, float] = field(repr=False)

    @property
    def rate(self) -> float:
        return self.count / self.took

    def milliseconds(self, share: float) -> float:
        return percentile(self.latencies, share) * 1000


def run_load(load: Load) -> Loaded:
    """Send it from a process of its own. Raises RuntimeError when an answer is not 202."""
    with start_load(load) as finish:
        return finish()


class _Loading:
    """A load that is under way; called, it waits for the end and gives what came of it."""

    def __init__(self, load: Load) -> None:
        self._process = child("benchmarks.load")
        self._load = load

    def __enter__(self) -> Callable[[], Loaded]:
        self._child = self._process.__enter__()
        self._child.tell(asdict(self._load))
        return lambda: Loaded(**self._child.hear())

    def __exit__(self, *problem: object) -> None:
        self._process.__exit__(*problem)


start_load = _Loading


# --- in the process -----------------------------------------------------------------------------------------------


class _Client:
    """One kept-alive connection with at most one request under way."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.began = 0.0
        self._answer = b""

    def send(self, request: bytes, began: float) -> None:
        self.began = began
        self.socket.sendall(request)

    def has_answer(self) -> bool:
        """Read what is there; whether the answer is whole now."""
        piece = self.socket.recv(65536)
        if not piece:
            raise RuntimeError("the server closed a connection under load")
        self._answer += piece
        head, end, body = self._answer.partition(b"\r\n\r\n")
        if not end:
            return False
        if not head.startswith(b"HTTP/1.1 202"):
            raise RuntimeError(f"answered {head[:30]!r}")
        if len(body) < int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]):
            return False
        self._answer = b""
        return True


class _Requests:
    """Requests of one size, each for a ticket of its own; remembers when each was made."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._run = f"{time.time_ns():x}"
        self._templates = itertools.cycle([_template(path, self._run) for path in paths])
        self._numbers = itertools.count()
        self.times: list[float] = []

    def next(self, now: float) -> bytes:
        number = next(self._numbers)
        self.times.append(now)
        return next(self._templates) % (number, number, number)

    def sent(self) -> dict[str, float]:
        return {f"{self._run}-{number:08}": at for number, at in enumerate(self.times)}


def _template(path: str, run: str) -> bytes:
    number = "%08d"
    ticket = {
        "id": f"{run}-{number}",
        "status": "Solved",
        "tags": "printer vip",
        "updated_at": "2026-11-03T16:05:12Z",
        "requester": {"name": "Łucja Nowak", "email": f"lucja.{number}@example.com", "language": "pl"},
    }
    body = json.dumps({"event": {"kind": "ticket.closed", "id": f"e-{run}-{number}"}, "ticket": ticket}).encode()
    length = len(body) - 3 * len(number) + 3 * 8
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    )
    return head.encode() + body


class _Generator:
    def __init__(self, load: Load) -> None:
        self._load = load
        self._requests = _Requests(load.paths)
        self._clients = [_Client(load.port) for _ in range(load.clients)]
        self._selector = selectors.DefaultSelector()
        for client in self._clients:
            self._selector.register(client.socket, selectors.EVENT_READ, client)
        self._latencies: list[float] = []

    def run(self) -> Loaded:
        began = time.monotonic()
        deadline = began + self._load.seconds
        if self._load.rate is None:
            self._as_fast_as_answered(deadline)
        else:
            self._by_the_clock(deadline, 1 / self._load.rate)
        took = time.monotonic() - began
        self._selector.close()
        for client in self._clients:
            client.socket.close()
        used = resource.getrusage(resource.RUSAGE_SELF)
        return Loaded(
            count=len(self._latencies),
            took=took,
            cpu=used.ru_utime + used.ru_stime,
            latencies=sorted(self._latencies),
            sent=self._requests.sent(),
        )

    def _as_fast_as_answered(self, deadline: float) -> None:
        for client in self._clients:
            self._send(client, time.monotonic())
        busy = len(self._clients)
        while busy:
            for client in self._answered(None):
                now = time.monotonic()
                if now < deadline:
                    self._send(client, now)
                else:
                    busy -= 1

    def _by_the_clock(self, deadline: float, pause: float) -> None:
        idle = deque(self._clients)
        due = time.monotonic()
        while due < deadline or len(idle) < len(self._clients):
            now = time.monotonic()
            while idle and due <= now and due < deadline:
                self._send(idle.popleft(), due)
                due += pause
            wait = max(due - time.monotonic(), 0.0) if idle and due < deadline else None
            idle.extend(self._answered(wait))

    def _send(self, client: _Client, began: float) -> None:
        client.send(self._requests.next(began), began)

    def _answered(self, wait: float | None) -> Iterator[_Client]:
        for key, _ in self._selector.select(wait):
            client: _Client = key.data
            if client.has_answer():
                self._latencies.append(time.monotonic() - client.began)
                yield client


if __name__ == "__main__":
    loaded = _Generator(Load(**json.loads(sys.stdin.readline()))).run()
    print(json.dumps(asdict(loaded)), flush=True)
