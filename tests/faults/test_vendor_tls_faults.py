"""What becomes of a delivery when the vendor cannot prove who it is: nothing is sent, and it is tried again."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from tests.certificates import Authority
from tests.faults.wire import WHOLE, ScriptedVendor, deliver, reset_after, say, stall_after


@pytest.fixture
def authority(tmp_path) -> Authority:
    return Authority(tmp_path)


def outcome_at(tmp_path, origin, ca_file=None):
    outcomes, _ = deliver(tmp_path, {}, {"tls": origin}, ca_file=ca_file)
    return outcomes["tls"]


@pytest.mark.parametrize(
    ("certificate", "trusted"),
    [
        ({"name": "localhost"}, False),
        ({"name": "localhost", "self_signed": True}, True),
        ({"name": "other.test"}, True),
        ({"name": "localhost", "valid": timedelta(days=-1)}, True),
    ],
    ids=["unknown authority", "self-signed", "wrong name", "expired"],
)
def test_a_vendor_whose_certificate_proves_nothing_gets_nothing(tmp_path, authority, certificate, trusted):
    vendor = ScriptedVendor({"tls": say(WHOLE)}, tls=authority.server(**certificate))

    outcome = outcome_at(tmp_path, vendor.origin, authority.ca_file if trusted else None)

    vendor.close()
    assert (outcome.state, outcome.reason, outcome.attempts) == ("scheduled", "not_reached", 1)
    assert vendor.calls == []


def test_a_certificate_of_the_authority_in_extra_ca_file_is_good(tmp_path, authority):
    vendor = ScriptedVendor({"tls": say(WHOLE)}, tls=authority.server("localhost"))

    outcome = outcome_at(tmp_path, vendor.origin, authority.ca_file)

    vendor.close()
    assert (outcome.state, outcome.reason) == ("accepted", "done")
    assert vendor.calls == ["tls"]


def test_a_reset_within_a_secured_answer_is_uncertain(tmp_path, authority):
    vendor = ScriptedVendor({"tls": reset_after(WHOLE[:-5])}, tls=authority.server("localhost"))

    outcome = outcome_at(tmp_path, vendor.origin, authority.ca_file)

    vendor.close()
    assert (outcome.state, outcome.reason) == ("uncertain", "no_answer")


def silent(connection: socket.socket) -> None:
    connection.recv(65536)
    stall_after(b"")(connection)


def resetting(connection: socket.socket) -> None:
    connection.recv(65536)
    reset_after(b"")(connection)


@pytest.fixture
def listening() -> Iterator[Callable[[Callable[[socket.socket], None]], str]]:
    """Makes a server that does that with each connection, from its first byte on; gives its origin."""
    with contextlib.ExitStack() as opened:

        def listen(script: Callable[[socket.socket], None]) -> str:
            listener = opened.enter_context(socket.create_server(("127.0.0.1", 0)))

            def serve() -> None:
                with contextlib.suppress(OSError), listener.accept()[0] as connection:
                    script(connection)

            threading.Thread(target=serve, daemon=True).start()
            return f"https://localhost:{listener.getsockname()[1]}"

        yield listen


@pytest.mark.parametrize(("script", "hangs"), [(silent, True), (resetting, False)])
def test_a_handshake_that_fails_has_sent_nothing(tmp_path, listening, script, hangs):
    outcome = outcome_at(tmp_path, listening(script))

    assert (outcome.state, outcome.reason, outcome.hanging) == ("scheduled", "not_reached", hangs)


def test_a_connection_that_is_never_taken_has_sent_nothing(tmp_path):
    # With its queue full, a listener lets the next ones wait without a word: what a dropped packet looks like.
    with socket.socket() as listener, contextlib.ExitStack() as waiting:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            one = waiting.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(listener.getsockname())

        outcome = outcome_at(tmp_path, f"http://127.0.0.1:{listener.getsockname()[1]}")

    assert (outcome.state, outcome.reason, outcome.hanging) == ("scheduled", "not_reached", True)
