"""What becomes of a delivery when its vendor misbehaves on the wire: real sockets, the real worker and its store."""

from __future__ import annotations

import contextlib
import gzip
import http
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
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
DEADLINE = 0.6

Script = Callable[[socket.socket], None]


class HastyOutbound(Outbound):
    """The way out, with less patience."""

    def send(self, request: OutboundRequest, *, deadline: float = DEADLINE, **options: Any) -> OutboundResponse:
        return super().send(request, deadline=min(deadline, DEADLINE), **options)


class ScriptedVendor:
    """Reads a request, looks up the script of its ticket, and lets that do what it likes with the connection."""

    def __init__(self, scripts: Mapping[str, Script]) -> None:
        self.calls: list[str] = []
        self._scripts = scripts
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.origin = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
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

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            head = b""
            while b"\r\n\r\n" not in head:
                piece = connection.recv(65536)
                if not piece:
                    return
                head += piece
            [ticket] = parse_qs(urlsplit(head.split(b" ")[1].decode("ascii")).query)["custom1"]
            self.calls.append(ticket)
            self._scripts[ticket](connection)


# --- scripts ----------------------------------------------------------------------------------------------------------

SUCCESS = b'{"status":true,"notification":"Action process correctly"}'
PAGE = b"<!doctype html><title>Sign in</title><p>Please sign in.</p>"


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


@dataclass(frozen=True)
class Case:
    """hangs: whether the lane then counts as one that hangs."""

    script: Script
    state: str
    reason: str
    hangs: bool = False


CASES: Mapping[str, Case] = {
    # Answers that arrive
    "success": Case(say(WHOLE), "accepted", "done"),
    "interim answers first": Case(
        say(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + WHOLE), "accepted", "done"
    ),
    "refusal with status 200": Case(
        say(answer("200 OK", b'{"status":false,"notification":"Action failed"}')), "rejected", "refused"
    ),
    "page with status 200": Case(say(answer("200 OK", PAGE)), "uncertain", "unrecognised"),
    "invalid JSON": Case(say(answer("200 OK", b'{"status":true')), "uncertain", "unrecognised"),
    "empty body": Case(say(answer("200 OK", b"")), "uncertain", "unrecognised"),
    "ten megabytes": Case(say(answer("200 OK", b" " * 10_000_000 + SUCCESS)), "uncertain", "unrecognised"),
    "gzip bomb": Case(
        say(answer("200 OK", gzip.compress(b" " * 50_000_000), "Content-Encoding: gzip")), "uncertain", "unrecognised"
    ),
    "length too short": Case(say(answer("200 OK", SUCCESS, length=5)), "uncertain", "unrecognised"),
    # Answers that do not
    "closed without an answer": Case(say(b""), "uncertain", "no_answer"),
    "reset after the request": Case(reset_after(b""), "uncertain", "no_answer"),
    "reset within the head": Case(reset_after(HEAD[:20]), "uncertain", "no_answer"),
    "reset within the body": Case(reset_after(WHOLE[:-5]), "uncertain", "no_answer"),
    "length too long": Case(say(answer("200 OK", SUCCESS, length=1000)), "uncertain", "no_answer"),
    "no HTTP": Case(say(b"220 mail.example.com ESMTP ready\r\n"), "uncertain", "no_answer"),
    "silence": Case(stall_after(b""), "uncertain", "no_answer", hangs=True),
    "silence within the head": Case(stall_after(HEAD[:20]), "uncertain", "no_answer", hangs=True),
    "silence within the body": Case(stall_after(WHOLE[:-5]), "uncertain", "no_answer", hangs=True),
    "head byte by byte": Case(trickle(HEAD[:20], WHOLE[20:]), "uncertain", "no_answer", hangs=True),
    "body byte by byte": Case(trickle(HEAD, SUCCESS), "uncertain", "no_answer", hangs=True),
}

STATUSES = sorted({status.value for status in http.HTTPStatus if status >= 200} | {299, 399, 420, 499, 520, 599})

#: What the worker promises for a status whose body says nothing: state, reason, and whether the connection pauses.
SPECIAL = {
    401: ("rejected", "credentials", True),
    402: ("rejected", "quota", True),
    403: ("rejected", "credentials", True),
    404: ("rejected", "not_found", False),
    408: ("scheduled", "vendor_unavailable", False),
    425: ("scheduled", "vendor_unavailable", False),
    429: ("scheduled", "rate_limited", False),
    500: ("scheduled", "vendor_unavailable", False),  # SurveyLab documents "try again"
    503: ("scheduled", "vendor_unavailable", False),
}
OF_CLASS = {
    2: ("uncertain", "unrecognised", False),
    3: ("rejected", "redirected", False),
    4: ("rejected", "invalid_call", False),
    5: ("uncertain", "vendor_error", False),
}


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

    def deliver(self) -> Mapping[str, Outcome]:
        """Report every ticket as closed, let a worker come to rest, and give what became of each."""
        promised = {ticket: _accept(self._parts, ticket) for ticket in self._tickets}
        outbound = HastyOutbound(user_agent="tests", extra_origins=self._parts.config.extra_vendor_origins)
        with outbound:
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
        self._parts.database.close()


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


def _deliver(
    folder: Path, scripts: Mapping[str, Script], elsewhere: Mapping[str, str] | None = None
) -> tuple[Mapping[str, Outcome], Sequence[str]]:
    """What became of each ticket, and the tickets that the vendor was called for.

    elsewhere: tickets whose connection points to another origin.
    """
    vendor = ScriptedVendor(scripts)
    bench = Bench(folder, dict.fromkeys(scripts, vendor.origin) | dict(elsewhere or {}))
    try:
        return bench.deliver(), vendor.calls
    finally:
        bench.close()
        vendor.close()


# --- tests ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def after_faults(tmp_path_factory: pytest.TempPathFactory) -> tuple[Mapping[str, Outcome], Sequence[str]]:
    return _deliver(tmp_path_factory.mktemp("faults"), {name: case.script for name, case in CASES.items()})


@pytest.fixture(scope="module")
def after_statuses(tmp_path_factory: pytest.TempPathFactory) -> tuple[Mapping[str, Outcome], Sequence[str]]:
    scripts = {str(status): say(_bare_answer(status)) for status in STATUSES}
    return _deliver(tmp_path_factory.mktemp("statuses"), scripts)


def _bare_answer(status: int) -> bytes:
    if status in {204, 304}:
        return f"HTTP/1.1 {status} Whatever\r\nConnection: close\r\n\r\n".encode()
    return answer(f"{status} Whatever", PAGE)


@pytest.mark.parametrize("name", CASES)
def test_a_fault_on_the_wire_ends_in_the_state_that_is_known_to_be_true(after_faults, name):
    outcome = after_faults[0][name]
    assert (outcome.state, outcome.reason) == (CASES[name].state, CASES[name].reason)


@pytest.mark.parametrize("name", CASES)
def test_only_a_call_that_ran_out_of_time_marks_its_lane_as_hanging(after_faults, name):
    assert after_faults[0][name].hanging is CASES[name].hangs


@pytest.mark.parametrize("status", STATUSES)
def test_a_status_without_a_word_means_what_its_table_says(after_statuses, status):
    outcome = after_statuses[0][str(status)]
    expected = SPECIAL.get(status, OF_CLASS[status // 100])
    assert (outcome.state, outcome.reason, outcome.paused) == expected


def test_no_call_is_made_a_second_time_at_once(after_faults, after_statuses):
    assert sorted(after_faults[1]) == sorted(CASES)
    assert sorted(after_statuses[1]) == sorted(map(str, STATUSES))


def test_a_vendor_that_is_not_there_is_tried_again(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        origin = f"http://127.0.0.1:{taken.getsockname()[1]}"
    began = datetime.now(UTC)

    outcomes, _ = _deliver(tmp_path, {}, {"refused": origin})

    outcome = outcomes["refused"]
    assert (outcome.state, outcome.reason, outcome.attempts) == ("scheduled", "not_reached", 1)
    assert began + timedelta(seconds=5) <= outcome.due <= datetime.now(UTC) + timedelta(seconds=10)


def test_a_vendor_without_the_encryption_that_its_address_promises_is_tried_again(tmp_path):
    vendor = ScriptedVendor({})

    outcomes, _ = _deliver(tmp_path, {}, {"plain": vendor.origin.replace("http:", "https:")})

    vendor.close()
    assert (outcomes["plain"].state, outcomes["plain"].reason) == ("scheduled", "not_reached")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_wherever_it_leads(tmp_path, status):
    with socket.create_server(("127.0.0.1", 0)) as canary:
        canary.setblocking(False)
        location = f"Location: http://127.0.0.1:{canary.getsockname()[1]}/api.php"

        outcomes, _ = _deliver(tmp_path, {"redirect": say(answer(f"{status} Elsewhere", b"", location))})

        assert (outcomes["redirect"].state, outcomes["redirect"].reason) == ("rejected", "redirected")
        with pytest.raises(BlockingIOError):
            canary.accept()


@pytest.mark.parametrize(
    "headers",
    [
        ["Retry-After: 120"],
        ["Date: Mon, 03 Mar 2025 10:00:00 GMT", "Retry-After: Mon, 03 Mar 2025 10:02:00 GMT"],
    ],
    ids=["seconds", "date"],
)
@pytest.mark.parametrize("status", [429, 503])
def test_a_vendor_that_names_a_time_is_called_then_and_no_attempt_is_counted(tmp_path, status, headers):
    began = datetime.now(UTC)

    outcomes, _ = _deliver(tmp_path, {"later": say(answer(f"{status} Later", b"", *headers))})

    outcome = outcomes["later"]
    assert (outcome.state, outcome.attempts) == ("scheduled", 0)
    assert timedelta(seconds=119) <= outcome.due - began <= timedelta(seconds=130)
