"""A pretend survey vendor that is never killed: it writes each request down before it answers."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, urlsplit

from tests.faults.notes import Notes


@dataclass(frozen=True)
class Answer:
    """invites: whether the vendor sends an invitation for the request that is answered so."""

    invites: bool
    status: str
    body: bytes
    headers: str = ""

    def on_the_wire(self) -> bytes:
        head = f"HTTP/1.1 {self.status}\r\nContent-Type: application/json\r\nContent-Length: {len(self.body)}\r\n"
        return f"{head}{self.headers}\r\n".encode() + self.body


ACCEPTS: Final = Answer(True, "200 OK", b'{"status":true,"notification":"Action process correctly"}')
BUSY: Final = Answer(False, "503 Service Unavailable", b"", "Retry-After: 1\r\n")


@dataclass(frozen=True)
class Request:
    """One complete request. number: of all, from 1. attempt: of those for this ticket, from 1. token: who calls."""

    number: int
    attempt: int
    token: str
    ticket: str
    reference: str


@dataclass
class Behaviour:
    """In this order: decide, write down, `on_read`, wait `latency` seconds, answer, `on_answered`."""

    decide: Callable[[Request], Answer] = lambda _request: ACCEPTS
    latency: float = 0.02
    on_read: Callable[[Request], None] = lambda _request: None
    on_answered: Callable[[Request], None] = lambda _request: None
    keeps_alive: bool = True


class PretendVendor:
    def __init__(self, notes: Notes, behaviour: Behaviour) -> None:
        self._notes = notes
        self._behaviour = behaviour
        self._lock = threading.Lock()
        self._number = 0
        self._attempts: Counter[str] = Counter()
        self._at_once: Counter[str] = Counter()
        # The most requests of one caller that were here at the same time.
        self.most_at_once = 0
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.origin = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, name="vendor", daemon=True).start()

    @property
    def received(self) -> int:
        """How many requests have come so far."""
        return self._number

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), name="vendor", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        # Whatever the caller's end does to the connection is what these rounds are about.
        with contextlib.suppress(OSError), connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while (head := _read_head(connection)) is not None:
                self._answer(connection, self._counted(head))
                if not self._behaviour.keeps_alive:
                    return

    def _counted(self, head: bytes) -> Request:
        query = parse_qs(urlsplit(head.split(b" ")[1].decode("ascii")).query)
        [ticket], [reference], [token] = query["custom1"], query["crk"], query["apiToken"]
        with self._lock:
            self._number += 1
            self._attempts[ticket] += 1
            self._at_once[token] += 1
            self.most_at_once = max(self.most_at_once, self._at_once[token])
            return Request(self._number, self._attempts[ticket], token, ticket, reference)

    def _answer(self, connection: socket.socket, request: Request) -> None:
        answer = self._behaviour.decide(request)
        self._notes.add(ticket=request.ticket, reference=request.reference, invites=answer.invites)
        self._behaviour.on_read(request)
        time.sleep(self._behaviour.latency)
        with self._lock:
            # Before the answer: what the caller does next must not be counted beside it.
            self._at_once[request.token] -= 1
        connection.sendall(answer.on_the_wire())
        self._behaviour.on_answered(request)


def _read_head(connection: socket.socket) -> bytes | None:
    """One request without a body; None when the caller has gone, also in the middle of it."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        piece = connection.recv(65536)
        if not piece:
            return None
        head += piece
    return head
