"""Small raw servers on 127.0.0.1, each following a script, and a door that may reach them."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator

import pytest

from plugin.domain.survey_call import OutboundRequest
from plugin.outbound import Outbound


class Peer:
    """The server's end of one connection."""

    def __init__(self, sock: socket.socket, server: RawServer) -> None:
        self.sock = sock
        self._server = server
        self._unread = b""

    def read_request(self) -> bytes:
        """Head and declared body of the next request; empty when the client has gone."""
        while b"\r\n\r\n" not in self._unread:
            if not self.receive():
                return b""
        head, _, rest = self._unread.partition(b"\r\n\r\n")
        length = next(
            (int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        while len(rest) < length:
            if not self.receive():
                return b""
            rest = self._unread.partition(b"\r\n\r\n")[2]
        request, self._unread = head + b"\r\n\r\n" + rest[:length], rest[length:]
        self._server.requests.append(request)
        return request

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def answer(self, body: bytes = b"ok", *, status: str = "200 OK", headers: str = "") -> None:
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
        self.send(head.encode() + body)

    def reset(self) -> None:
        """Close so that the client gets a reset and no orderly end."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")

    def hang(self) -> None:
        """Say nothing more until the client goes or the test ends."""
        with contextlib.suppress(OSError):
            while self.sock.recv(65536):
                pass

    def pause(self, seconds: float) -> None:
        self._server.stopping.wait(seconds)

    def receive(self) -> bytes:
        data = self.sock.recv(65536)
        self._unread += data
        return data


Script = Callable[[Peer], None]


class RawServer:
    """Runs `script` for every connection. requests: each as it came. connections: how many were made."""

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.stopping = threading.Event()
        self._script = script
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def port(self) -> int:
        return self._listener.getsockname()[1]

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self.stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._open:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(sock)
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError), sock:
            if self._tls is None:
                self._script(Peer(sock, self))
            else:
                with self._tls.wrap_socket(sock, server_side=True) as secured:
                    self._open.append(secured)
                    self._script(Peer(secured, self))


@pytest.fixture
def serve() -> Iterator[Callable[..., RawServer]]:
    servers: list[RawServer] = []

    def start(script: Script, tls: ssl.SSLContext | None = None) -> RawServer:
        servers.append(RawServer(script, tls))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def door() -> Iterator[Callable[..., Outbound]]:
    """Makes doors that allow the origins given, and closes them."""
    with contextlib.ExitStack() as stack:

        def make(*extra_origins: str, **options: object) -> Outbound:
            return stack.enter_context(
                Outbound(user_agent="survey-plugin tests", extra_origins=extra_origins, **options)
            )

        yield make


@pytest.fixture
def canary() -> Iterator[Canary]:
    canary = Canary()
    yield canary
    canary.close()


class Canary:
    """Listens on one port of both loopback addresses and is never to be reached."""

    def __init__(self) -> None:
        self._listeners = [socket.create_server(("127.0.0.1", 0))]
        self.port = self._listeners[0].getsockname()[1]
        with contextlib.suppress(OSError):  # a machine without IPv6
            self._listeners.append(socket.create_server(("::1", self.port), family=socket.AF_INET6))

    @property
    def sings(self) -> bool:
        """Whether anybody has connected. On loopback that is so before `connect` returns, so nothing is awaited."""
        for listener in self._listeners:
            listener.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                listener.accept()[0].close()
                return True
        return False

    def close(self) -> None:
        for listener in self._listeners:
            listener.close()


def get(origin: str, *path: str, **parts: object) -> OutboundRequest:
    return OutboundRequest("GET", origin, path, **parts)


@pytest.fixture(name="get")
def _get() -> Callable[..., OutboundRequest]:
    return get
