"""A pooler in transaction mode at its meanest: each transaction meets a server connection that has seen nothing before.

So whatever a program keeps on its connection between two transactions is missing in the second; and whatever it leaves
behind at the end of one is noted. It speaks as much of PostgreSQL's protocol as that takes.
https://www.postgresql.org/docs/18/protocol-message-formats.html
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_ENCRYPTION_REQUESTS: Final = (80877103, 80877104)
_CANCEL_REQUEST: Final = 80877102
_SERVER_READY: Final = b"Z"
_DATA_ROW: Final = b"D"
_IDLE: Final = b"I"

#: What outlives a transaction, by the words of the server's own catalogues.
_LEFT_BEHIND: Final = """
select 'prepared statement: ' || statement from pg_prepared_statements
union all select 'setting: ' || name from pg_settings where source = 'session'
union all select 'listening: ' || channel from pg_listening_channels() channel
union all select 'advisory lock' from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()
union all select 'cursor: ' || name from pg_cursors
union all select 'temporary table: ' || relname from pg_class where relnamespace = pg_my_temp_schema()
"""

Message = tuple[bytes, bytes]


class TransactionPooler:
    """server: the path of its Unix socket. left_behind: what transactions left on their connections."""

    def __init__(self, server: Path) -> None:
        self.left_behind: set[str] = set()
        self.transactions = 0
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, name="pooler", daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), name="pooler", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError), client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            startup = _read_startup(client)
            if startup is None:
                return
            server, greeting = self._connect(startup)
            server.close()
            client.sendall(greeting)
            while first := client.recv(65536):
                server, _ = self._connect(startup)
                with server:
                    server.sendall(first)
                    self._relay_transaction(client, server)
                    self.transactions += 1
                    self.left_behind.update(_ask(server, _LEFT_BEHIND))

    def _connect(self, startup: bytes) -> tuple[socket.socket, bytes]:
        """A new connection of the server, and what it said until it was ready."""
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(str(self._server))
            server.sendall(startup)
            return server, b"".join(whole for _, whole in _until_ready(server))
        except BaseException:
            server.close()
            raise

    def _relay_transaction(self, client: socket.socket, server: socket.socket) -> None:
        """Both ways, until the server says that no transaction is open."""
        while True:
            readable, _, _ = select.select([client, server], [], [])
            if client in readable:
                asked = client.recv(65536)
                if not asked:
                    raise EOFError
                server.sendall(asked)
            if server in readable:
                kind, whole = _read_message(server)
                client.sendall(whole)
                if kind == _SERVER_READY and whole[5:6] == _IDLE:
                    return


def _read_startup(client: socket.socket) -> bytes | None:
    """A client's first message; None when it only wants another one's statement cancelled."""
    while True:
        head = _read(client, 8)
        length, code = struct.unpack("!ii", head)
        if code == _CANCEL_REQUEST:
            return None
        if code not in _ENCRYPTION_REQUESTS:
            return head + _read(client, length - 8)
        client.sendall(b"N")


def _ask(server: socket.socket, query: str) -> Iterator[str]:
    """The first column of each row."""
    text = query.encode() + b"\0"
    server.sendall(b"Q" + struct.pack("!i", len(text) + 4) + text)
    for kind, whole in _until_ready(server):
        if kind == _DATA_ROW:
            yield whole[11:].decode()


def _until_ready(server: socket.socket) -> Iterator[Message]:
    while True:
        kind, whole = _read_message(server)
        yield kind, whole
        if kind == _SERVER_READY:
            return


def _read_message(server: socket.socket) -> Message:
    """Its kind, and all of it."""
    head = _read(server, 5)
    return head[:1], head + _read(server, struct.unpack("!i", head[1:])[0] - 4)


def _read(connection: socket.socket, length: int) -> bytes:
    """Raises EOFError when the other side has gone."""
    data = b""
    while len(data) < length:
        piece = connection.recv(length - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data
