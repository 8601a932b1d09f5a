"""What the machine around says: its proxies and credentials are not heard, an explicit proxy is."""

from __future__ import annotations

import socket

import pytest

from plugin.domain.survey_call import OutboundRequest
from plugin.errors import ConfigInvalid, OutboundFailed
from plugin.redaction import Secret


def answers(peer):
    while peer.read_request():
        peer.answer()


def test_proxies_of_the_environment_are_ignored(serve, door, get, canary, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{canary.port}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    server = serve(answers)
    assert door(server.origin).send(get(server.origin), allowed_origins=[]).status == 200
    assert not canary.sings


def test_credentials_of_the_machines_user_are_not_sent(serve, door, get, monkeypatch, tmp_path):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1\nlogin somebody\npassword theirs\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    server = serve(answers)
    door(server.origin).send(get(server.origin), allowed_origins=[])
    assert b"authorization" not in server.requests[0].lower()


def refuses(peer):
    peer.read_request()
    peer.answer(status="407 Proxy Authentication Required")


def secret_request(origin):
    return OutboundRequest("GET", origin, ("api.php",), query=(("apiToken", Secret("s3cr3t-token")),))


def test_an_explicit_proxy_is_asked_for_a_tunnel_with_its_own_credentials_alone(serve, door):
    proxy = serve(refuses)
    outbound = door(proxy=f"http://user:pass@127.0.0.1:{proxy.port}")
    with pytest.raises(OutboundFailed):
        outbound.send(secret_request("https://vendor.example.com"), allowed_origins=None)
    [asked] = proxy.requests
    assert asked.startswith(b"CONNECT vendor.example.com:443 HTTP/1.")
    assert b"Proxy-Authorization: Basic dXNlcjpwYXNz" in asked
    assert b"s3cr3t" not in asked


def test_an_explicit_proxy_resolves_the_names(serve, door):
    def resolve(host, port, **_):
        assert host == "127.0.0.1", "only the proxy itself is looked up here"
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)

    proxy = serve(refuses)
    outbound = door(proxy=f"http://127.0.0.1:{proxy.port}", resolve=resolve)
    with pytest.raises(OutboundFailed) as caught:
        outbound.send(secret_request("https://vendor.example.com"), allowed_origins=None)
    assert (caught.value.kind, caught.value.sent) == ("proxy", False)
    assert str(caught.value) == "vendor.example.com: the proxy (OUTBOUND_PROXY) did not open the way (it answered 407)."


def test_a_plain_http_origin_goes_through_the_proxy_too(serve, door, get):
    proxy = serve(answers)
    outbound = door("http://vendor.test:9000", proxy=f"http://127.0.0.1:{proxy.port}")
    assert outbound.send(get("http://vendor.test:9000", "a"), allowed_origins=[]).status == 200
    assert proxy.requests[0].startswith(b"GET http://vendor.test:9000/a HTTP/1.1\r\n")


def closes(peer):
    peer.read_request()


@pytest.mark.parametrize("script", [closes, None])
def test_a_proxy_that_is_away_or_hangs_up_sends_nothing(serve, door, get, script):
    if script is None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
    else:
        port = serve(script).port
    outbound = door(proxy=f"http://127.0.0.1:{port}")
    with pytest.raises(OutboundFailed) as caught:
        outbound.send(get("https://vendor.example.com"), allowed_origins=None)
    assert (caught.value.kind, caught.value.sent) == ("proxy", False)


@pytest.mark.parametrize("proxy", ["proxy:3128", "https://proxy.example.com", "socks5://10.0.0.1", "http://"])
def test_a_proxy_that_cannot_be_used_is_told_at_once(door, proxy):
    with pytest.raises(ConfigInvalid, match="OUTBOUND_PROXY"):
        door(proxy=proxy)
