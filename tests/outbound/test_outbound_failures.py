"""Calls that bring no answer: of which kind, and whether a byte may have left."""

from __future__ import annotations

import logging
import socket
import threading
import time
import traceback

import pytest

from plugin.domain.survey_call import OutboundRequest
from plugin.errors import OutboundFailed
from plugin.redaction import Secret


def fail(outbound, request, **options) -> OutboundFailed:
    with pytest.raises(OutboundFailed) as caught:
        outbound.send(request, allowed_origins=[], **options)
    return caught.value


def closes_at_once(peer):
    peer.reset()


def closes_after_the_request(peer):
    peer.read_request()


def resets_after_the_request(peer):
    peer.read_request()
    peer.reset()


def closes_within_the_headers(peer):
    peer.read_request()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Ty")


def closes_within_the_body(peer):
    peer.read_request()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")


def resets_within_the_body(peer):
    closes_within_the_body(peer)
    peer.reset()


def closes_within_a_chunk(peer):
    peer.read_request()
    peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nhalf")


def sends_a_wrong_chunk_size(peer):
    peer.read_request()
    peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n\r\n")


def speaks_another_protocol(peer):
    peer.read_request()
    peer.send(b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n")


def sends_two_lengths(peer):
    peer.read_request()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok")


def sends_headers_without_end(peer):
    peer.read_request()
    peer.send(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000)
    peer.hang()


def is_silent(peer):
    peer.hang()


def trickles_headers(peer):
    peer.read_request()
    for byte in b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 1000:
        peer.send(bytes([byte]))
        peer.pause(0.05)


def trickles_the_body(peer):
    peer.read_request()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(1000):
        peer.send(b"x")
        peer.pause(0.05)


def trickles_a_body_of_no_declared_length(peer):
    peer.read_request()
    peer.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    for _ in range(1000):
        peer.send(b"x")
        peer.pause(0.05)


def trickles_interim_answers(peer):
    peer.read_request()
    for _ in range(1000):
        peer.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        peer.pause(0.05)


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        (closes_after_the_request, "reset"),
        (resets_after_the_request, "reset"),
        (closes_within_the_headers, "reset"),
        (closes_within_the_body, "reset"),
        (resets_within_the_body, "reset"),
        (closes_within_a_chunk, "reset"),
        (sends_a_wrong_chunk_size, "reset"),
        (speaks_another_protocol, "protocol"),
        (sends_two_lengths, "protocol"),
        (sends_headers_without_end, "protocol"),
    ],
)
def test_a_broken_answer_counts_as_sent(serve, door, get, script, kind):
    server = serve(script)
    failure = fail(door(server.origin), get(server.origin), deadline=5)
    assert (failure.kind, failure.sent) == (kind, True)


def test_a_connection_reset_at_once_counts_as_sent_only_if_the_request_had_begun(serve, door, get):
    server = serve(closes_at_once)
    failure = fail(door(server.origin), get(server.origin), deadline=5)
    assert (failure.kind, failure.sent) in {("reset", True), ("refused", False)}  # the reset may come before or after


@pytest.mark.parametrize(
    "script",
    [
        is_silent,
        trickles_headers,
        trickles_the_body,
        trickles_a_body_of_no_declared_length,
        trickles_interim_answers,
    ],
)
def test_a_slow_answer_is_cut_at_the_total_deadline(serve, door, get, script):
    server = serve(script)
    began = time.monotonic()
    failure = fail(door(server.origin), get(server.origin), deadline=0.4)
    assert (failure.kind, failure.sent) == ("timeout", True)
    assert 0.35 < time.monotonic() - began < 3


def test_a_request_that_nobody_reads_is_cut_at_the_total_deadline(serve, door):
    server = serve(lambda peer: peer.pause(5))
    request = OutboundRequest("POST", server.origin, json="x" * 15_000_000)
    began = time.monotonic()
    failure = fail(door(server.origin), request, deadline=0.4)
    assert (failure.kind, failure.sent) == ("timeout", True)
    assert time.monotonic() - began < 3


def watchdogs() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "outbound-watchdog"}


def test_calls_with_different_deadlines_end_each_at_its_own(serve, door, get):
    server = serve(is_silent)
    outbound = door(server.origin)
    lasted = {}
    earlier_doors = watchdogs()

    def call(deadline):
        began = time.monotonic()
        fail(outbound, get(server.origin), deadline=deadline)
        lasted[deadline] = time.monotonic() - began

    threads = [threading.Thread(target=call, args=(deadline,)) for deadline in (1.2, 0.2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0.15 < lasted[0.2] < 0.9
    assert lasted[1.2] > 1.15
    assert len(watchdogs() - earlier_doors) == 1


def test_a_port_where_nobody_listens_is_refused_and_nothing_was_sent(door, get):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
    failure = fail(door(origin), get(origin))
    assert (failure.kind, failure.sent, failure.bytes_sent) == ("refused", False, 0)
    assert str(failure) == f"{origin.removeprefix('http://')}: the connection was refused."


def test_a_name_that_does_not_exist_is_told_and_nothing_was_sent(door, get):
    origin = "http://no-such-vendor.invalid"

    def resolve(host, port, type):  # noqa: A002  # getaddrinfo's own name
        assert (host, port) == ("no-such-vendor.invalid", 80)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    failure = fail(door(origin, resolve=resolve), get(origin))
    assert (failure.kind, failure.sent) == ("dns", False)
    assert str(failure) == "no-such-vendor.invalid: the name could not be resolved."


def test_the_systems_own_resolver_is_asked(door, get):
    label_that_no_resolver_takes = "http://" + "x" * 64 + ".invalid"
    failure = fail(door(label_that_no_resolver_takes), get(label_that_no_resolver_takes))
    assert (failure.kind, failure.sent) == ("dns", False)


def test_a_name_without_addresses_is_a_dns_failure(door, get):
    failure = fail(door("http://vendor.test", resolve=lambda *_, **__: []), get("http://vendor.test"))
    assert (failure.kind, failure.sent) == ("dns", False)


def test_a_look_up_that_hangs_ends_at_the_deadline(door, get):
    release = threading.Event()

    def resolve(*_, **__):
        release.wait(10)
        return []

    began = time.monotonic()
    failure = fail(door("http://vendor.test", resolve=resolve), get("http://vendor.test"), deadline=0.3)
    release.set()
    assert (failure.kind, failure.sent) == ("timeout", False)
    assert str(failure) == "vendor.test: no connection within 0.3 seconds."
    assert time.monotonic() - began < 3


def test_the_next_address_is_tried_when_one_refuses(serve, door, get):
    server = serve(lambda peer: peer.read_request() and peer.answer())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = listener.getsockname()[1]

    def resolve(*_, **__):
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port)) for port in (closed, server.port)]

    outbound = door("http://vendor.test", resolve=resolve)
    assert outbound.send(get("http://vendor.test"), allowed_origins=[]).status == 200


def test_a_header_that_cannot_be_written_is_refused_before_anything_is_sent(serve, door, get):
    server = serve(lambda peer: peer.read_request())
    outbound = door(server.origin)
    for value in ("line\nbreak", "\u0142"):
        failure = fail(outbound, get(server.origin, headers=(("X-Token", Secret(value)),)))
        assert (failure.kind, failure.sent) == ("protocol", False)
    assert server.requests == []


def test_a_kept_connection_that_dies_under_a_request_counts_as_sent(serve, door, get):
    def script(peer):
        peer.read_request()
        peer.answer()
        peer.read_request()
        peer.reset()

    server = serve(script)
    outbound = door(server.origin)
    outbound.send(get(server.origin), allowed_origins=[])
    failure = fail(outbound, get(server.origin))
    assert (failure.kind, failure.sent, server.connections) == ("reset", True, 1)


def test_a_call_is_never_repeated(serve, door):
    server = serve(closes_after_the_request)
    fail(door(server.origin), OutboundRequest("POST", server.origin, form=(("a", "b"),)))
    assert (len(server.requests), server.connections) == (1, 1)


@pytest.mark.parametrize(
    "script", [closes_after_the_request, closes_within_the_body, speaks_another_protocol, is_silent]
)
def test_a_failure_shows_neither_url_nor_secret_nor_address(serve, door, script, caplog):
    caplog.set_level(logging.DEBUG)
    server = serve(script)
    request = OutboundRequest(
        "GET",
        server.origin,
        ("api.php", Secret("key-in-the-path")),
        query=(("apiToken", Secret("s3cr3t-token")), ("email", "ada@example.com")),
        headers=(("Authorization", Secret("Bearer abc-def")),),
    )
    failure = fail(door(server.origin), request, deadline=0.3)
    told = "".join(traceback.format_exception(failure)) + repr(failure) + caplog.text
    assert failure.__context__ is None
    for leak in ("s3cr3t-token", "key-in-the-path", "abc-def", "ada", "api.php"):
        assert leak not in told


def test_the_library_below_does_not_log_urls(serve, door, get, caplog):
    def script(peer):
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nno colon here\r\n\r\nok")

    caplog.set_level(logging.DEBUG)
    server = serve(script)
    request = get(server.origin, query=(("apiToken", Secret("s3cr3t-token")),))
    assert door(server.origin).send(request, allowed_origins=[]).status == 200
    assert "s3cr3t-token" not in caplog.text


def test_a_closed_door_takes_no_calls(serve, door, get):
    server = serve(lambda peer: peer.read_request() and peer.answer())
    outbound = door(server.origin)
    outbound.close()
    with pytest.raises(RuntimeError, match="closed"):
        outbound.send(get(server.origin), allowed_origins=[])
    assert server.connections == 0


def test_a_failure_says_how_much_may_have_been_sent(serve, door, get):
    server = serve(resets_after_the_request)

    failure = fail(door(server.origin), get(server.origin))

    assert (failure.sent, failure.bytes_sent) == (True, len(server.requests[0]))
