"""Whom a secure connection trusts, and that nothing of a request reaches anybody else."""

from __future__ import annotations

import contextlib
import socket
import threading
from datetime import timedelta

import pytest

from plugin.errors import ConfigInvalid, OutboundFailed
from tests.certificates import Authority

NAME = "vendor.test"


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


def to_loopback(host, port, type):  # noqa: A002  # getaddrinfo's own name
    return [(socket.AF_INET, type, 0, "", ("127.0.0.1", port))]


def answers(peer):
    while peer.read_request():
        peer.answer(b"secured")


def trickles(peer):
    peer.read_request()
    peer.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    for _ in range(1000):
        peer.send(b"x")
        peer.pause(0.05)


def test_a_certificate_of_the_extra_authority_is_trusted(serve, door, get, authority):
    server = serve(answers, authority.server(NAME))
    origin = f"https://{NAME}:{server.port}"
    outbound = door(origin, resolve=to_loopback, ca_file=authority.ca_file)
    for _ in range(2):
        assert outbound.send(get(origin), allowed_origins=[]).body == b"secured"
    assert server.connections == 1


@pytest.mark.parametrize(
    ("certificate", "trusted", "told"),
    [
        ({}, False, "unable to get local issuer certificate"),
        ({"self_signed": True}, True, "self-signed certificate"),
        ({"name": "other.test"}, True, "Hostname mismatch, certificate is not valid for 'vendor.test'"),
        ({"valid": timedelta(days=-1)}, True, "certificate has expired"),
    ],
)
def test_any_other_certificate_is_refused_and_nothing_was_sent(serve, door, get, authority, certificate, trusted, told):
    server = serve(answers, authority.server(**{"name": NAME, **certificate}))
    origin = f"https://{NAME}:{server.port}"
    outbound = door(origin, resolve=to_loopback, ca_file=authority.ca_file if trusted else None)
    with pytest.raises(OutboundFailed) as caught:
        outbound.send(get(origin), allowed_origins=[])
    assert (caught.value.kind, caught.value.sent) == ("tls", False)
    assert str(caught.value) == f"{NAME}:{server.port}: the certificate is not accepted ({told})."
    assert server.requests == []


def resets(peer):
    # Once the handshake has begun; earlier it would be a refused connection.
    peer.receive()
    peer.reset()


def speaks_plain_http(peer):
    peer.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    peer.hang()


@pytest.mark.parametrize(("script", "kind"), [(resets, "tls"), (speaks_plain_http, "tls")])
def test_a_connection_that_cannot_be_secured_sends_nothing(serve, door, get, script, kind):
    server = serve(script)
    origin = f"https://127.0.0.1:{server.port}"
    with pytest.raises(OutboundFailed) as caught:
        door(origin).send(get(origin), allowed_origins=[], deadline=5)
    assert (caught.value.kind, caught.value.sent) == (kind, False)


def test_a_silent_handshake_is_cut_at_the_deadline_and_nothing_was_sent(serve, door, get):
    server = serve(lambda peer: peer.hang())
    origin = f"https://127.0.0.1:{server.port}"
    with pytest.raises(OutboundFailed) as caught:
        door(origin).send(get(origin), allowed_origins=[], deadline=0.3)
    assert (caught.value.kind, caught.value.sent) == ("timeout", False)


def test_a_secured_answer_that_trickles_is_cut_at_the_deadline(serve, door, get, authority):
    server = serve(trickles, authority.server(NAME))
    origin = f"https://{NAME}:{server.port}"
    with pytest.raises(OutboundFailed) as caught:
        door(origin, resolve=to_loopback, ca_file=authority.ca_file).send(get(origin), allowed_origins=[], deadline=0.4)
    assert (caught.value.kind, caught.value.sent) == ("timeout", True)


def test_a_ca_file_that_cannot_be_used_is_told_at_once(door, tmp_path):
    (tmp_path / "no.pem").write_text("not a certificate")
    for file in (tmp_path / "no.pem", tmp_path / "missing.pem"):
        with pytest.raises(ConfigInvalid, match="EXTRA_CA_FILE"):
            door(ca_file=str(file))


def tunnels_to(port):
    """A proxy's script: opens the way that CONNECT asks for, always to `port` here."""

    def script(peer):
        peer.read_request()
        with socket.create_connection(("127.0.0.1", port)) as other:
            peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=pump, args=(other, peer.sock))
            back.start()
            pump(peer.sock, other)
            back.join()

    return script


def pump(source, sink):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def test_a_proxy_carries_the_secured_call_and_reads_nothing_of_it(serve, door, get, authority):
    vendor = serve(answers, authority.server(name="vendor.example.com"))
    proxy = serve(tunnels_to(vendor.port))
    outbound = door(proxy=f"http://127.0.0.1:{proxy.port}", ca_file=authority.ca_file)
    answer = outbound.send(get("https://vendor.example.com", "path"), allowed_origins=None)
    assert answer.body == b"secured"
    assert [request.split(b"\r\n")[0] for request in vendor.requests] == [b"GET /path HTTP/1.1"]
    assert [request.split(b" ")[:2] for request in proxy.requests] == [[b"CONNECT", b"vendor.example.com:443"]]


def test_through_a_proxy_the_certificate_is_still_the_vendors(serve, door, get, authority):
    vendor = serve(answers, authority.server(name="other.example.com"))
    proxy = serve(tunnels_to(vendor.port))
    outbound = door(proxy=f"http://127.0.0.1:{proxy.port}", ca_file=authority.ca_file)
    with pytest.raises(OutboundFailed) as caught:
        outbound.send(get("https://vendor.example.com"), allowed_origins=None)
    assert (caught.value.kind, caught.value.sent) == ("tls", False)
    assert vendor.requests == []
