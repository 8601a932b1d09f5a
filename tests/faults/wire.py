"""A vendor that misbehaves on the wire, and one tenant whose calls it gets: real sockets, the real worker and store."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from sqlalchemy import select

from plugin.app import Config, Parts, open_parts
from plugin.domain.survey_call import OutboundRequest, OutboundResponse
from plugin.outbound import Outbound
from plugin.redaction import Secret
from plugin.registry import InboundRequest
from plugin.store import sources, tenants
from plugin.store.schema import migrate
from plugin.store.tables import connections, deliveries, lanes
from plugin.tenant_file import apply_configuration, check_document, dump_document, read_document

#: How long a call may take here; the true deadline is 20 seconds.
DEADLINE = 2.0

Script = Callable[[socket.socket], None]


class HastyOutbound(Outbound):
    """The way out, with less patience."""

    def send(self, request: OutboundRequest, *, deadline: float = DEADLINE, **options: Any) -> OutboundResponse:
        return super().send(request, deadline=min(deadline, DEADLINE), **options)


class ScriptedVendor:
    """Reads a request, looks up the script of its ticket, and lets that do what it likes with the connection."""

    def __init__(self, scripts: Mapping[str, Script], tls: ssl.SSLContext | None = None) -> None:
        self.calls: list[str] = []
        self._scripts = scripts
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        host = "http://127.0.0.1" if tls is None else "https://localhost"
        self.origin = f"{host}:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, accepted: socket.socket) -> None:
        with contextlib.suppress(OSError), accepted, self._secured(accepted) as connection:
            head = b""
            while b"\r\n\r\n" not in head:
                piece = connection.recv(65536)
                if not piece:
                    return
                head += piece
            [ticket] = parse_qs(urlsplit(head.split(b" ")[1].decode("ascii")).query)["custom1"]
            self.calls.append(ticket)
            self._scripts[ticket](connection)

    def _secured(self, accepted: socket.socket) -> socket.socket:
        return accepted if self._tls is None else self._tls.wrap_socket(accepted, server_side=True)


# --- scripts ----------------------------------------------------------------------------------------------------------

SUCCESS = b'{"status":true,"notification":"Action process correctly"}'


def answer(status: str, body: bytes = SUCCESS, *headers: str, length: int | None = None) -> bytes:
    # Announced, because a call that meets an unannounced closing is a fault of its own: nobody knows what became of it.
    fixed = f"Content-Length: {len(body) if length is None else length}", "Connection: close"
    return "\r\n".join([f"HTTP/1.1 {status}", *fixed, *headers, "", ""]).encode() + body


def say(data: bytes) -> Script:
    """Send that, then close."""
    return lambda connection: connection.sendall(data)


def reset_after(data: bytes) -> Script:
    def script(connection: socket.socket) -> None:
        connection.sendall(data)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return script


def stall_after(data: bytes) -> Script:
    """Send that, then nothing; the connection stays open until the other side has enough of it."""

    def script(connection: socket.socket) -> None:
        connection.sendall(data)
        while connection.recv(65536):
            pass

    return script


def trickle(data: bytes, rest: bytes) -> Script:
    """Send that at once, and the rest too slowly, byte by byte."""

    def script(connection: socket.socket) -> None:
        connection.sendall(data)
        for byte in rest:
            time.sleep(DEADLINE / 4)
            connection.sendall(bytes([byte]))

    return script


WHOLE = answer("200 OK")
HEAD = WHOLE.removesuffix(SUCCESS)


# --- the installation -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """A delivery after the worker has come to rest, its connection and its lane."""

    state: str
    reason: str
    due: datetime
    attempts: int
    paused: bool
    hanging: bool


class Bench:
    """One tenant with a connection and a rule for each ticket, so that no fault reaches another ticket."""

    def __init__(self, folder: Path, origins: Mapping[str, str]) -> None:
        config = Config(
            database_url=f"sqlite:///{folder / 'plugin.db'}",
            secret_keys=(Secret("s" * 32),),
            data_keys=(Secret("ZGF0YS1rZXktb2YtdGhpcnR5LXR3by1ieXRlcy4uLi4="),),
            extra_vendor_origins=tuple(sorted(set(origins.values()))),
        )
        self._parts = open_parts(config)
        self._tickets = list(origins)
        migrate(self._parts.database)
        checked = check_document(read_document(_tenant(origins)), extra_origins=config.extra_vendor_origins)
        with self._parts.database.write() as db:
            apply_configuration(db, self._parts.vault, self._parts.mint, checked, saved_by="tests")

    def deliver(self, ca_file: str | None = None) -> Mapping[str, Outcome]:
        """Report every ticket as closed, let a worker come to rest, and give what became of each."""
        promised = {ticket: _accept(self._parts, ticket) for ticket in self._tickets}
        origins = self._parts.config.extra_vendor_origins
        with HastyOutbound(user_agent="tests", extra_origins=origins, ca_file=ca_file) as outbound:
            assert self._parts.worker(outbound).run_until_idle(30)
        query = (
            select(
                deliveries.c.state,
                deliveries.c.reason,
                deliveries.c.due,
                deliveries.c.attempts,
                connections.c.paused_at.is_not(None).label("paused"),
                lanes.c.hanging,
            )
            .join(connections, connections.c.id == deliveries.c.connection_id)
            .join(lanes, lanes.c.connection_id == connections.c.id)
        )
        with self._parts.database.read() as db:
            return {
                ticket: Outcome(**db.execute(query.where(deliveries.c.id == delivery)).mappings().one())
                for ticket, delivery in promised.items()
            }

    def close(self) -> None:
        self._parts.close()


def _tenant(origins: Mapping[str, str]) -> str:
    names = {ticket: f"c{position}" for position, ticket in enumerate(origins)}
    parameters = {"cId": "1", "email": "{{ person.email }}", "custom1": "{{ ticket.id }}"}
    return dump_document(
        {
            "tenant": "acme",
            "name": "Acme",
            "timezone": "Europe/Warsaw",
            "language": "pl",
            "sources": [{"name": "desk", "kind": "generic", "credentials": {"url_only": True}}],
            "connections": [
                {"name": name, "vendor": "surveylab", "settings": {"origin": origins[ticket], "api_token": "token"}}
                for ticket, name in names.items()
            ],
            "rules": [
                {
                    "name": name,
                    "when": {
                        "events": ["ticket.closed"],
                        "conditions": [{"field": "ticket.id", "op": "is", "value": ticket}],
                    },
                    "connection": name,
                    "call": "add_respondent",
                    "parameters": parameters,
                }
                for ticket, name in names.items()
            ],
        }
    )


def _accept(parts: Parts, ticket: str) -> str:
    """Report a ticket as closed; gives the delivery that it brought."""
    message = {"event": {"kind": "ticket.closed"}, "ticket": {"id": ticket, "requester": {"email": "ada@example.com"}}}
    with parts.database.read() as db:
        source = sources.source_by_name(db, tenants.tenant_by_slug(db, "acme").id, "desk")
    accepted = parts.acceptor.accept(
        source, InboundRequest("POST", "", {}, json.dumps(message).encode()), verified=True
    )
    [delivery] = [verdict["delivery"] for verdict in accepted.events[0].verdicts if verdict["delivery"]]
    return delivery


def deliver(
    folder: Path,
    scripts: Mapping[str, Script],
    elsewhere: Mapping[str, str] | None = None,
    *,
    ca_file: str | None = None,
) -> tuple[Mapping[str, Outcome], Sequence[str]]:
    """What became of each ticket, and the tickets that the vendor was called for.

    elsewhere: tickets whose connection points to another origin. ca_file: of an authority that is trusted besides.
    """
    vendor = ScriptedVendor(scripts)
    bench = Bench(folder, dict.fromkeys(scripts, vendor.origin) | dict(elsewhere or {}))
    try:
        return bench.deliver(ca_file), vendor.calls
    finally:
        bench.close()
        vendor.close()
