"""No address inside the house is reachable: by number, by name, by any spelling, by a name that changes its mind."""

from __future__ import annotations

import socket

import pytest

from plugin.domain.survey_call import origin_of
from plugin.errors import ConfigInvalid, OutboundFailed
from plugin.outbound import origin_problem
from plugin.outbound.addresses import is_public
from plugin.outbound.connections import only_public

INSIDE = [
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "100.127.255.254",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.254",
    "192.0.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.19.255.254",
    "198.51.100.1",
    "203.0.113.5",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:0:7f00:1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:80ff:fffe",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a00:1::",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%1",
    "2606:4700::1111%1",
    "fec0::1",
    "ff02::1",
]
OUTSIDE = [
    "1.1.1.1",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.167.255.255",
    "223.255.255.255",
    "2606:4700::1111",
    "2a00:1450:4001:800::200e",
    "::ffff:1.1.1.1",
    "64:ff9b::101:101",
]


@pytest.mark.parametrize("address", INSIDE)
def test_an_address_of_the_house_is_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", OUTSIDE)
def test_an_address_of_the_internet_is_public(address):
    assert is_public(address)


def entry(address, port=443):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return (family, socket.SOCK_STREAM, 6, "", (address, port))


def test_of_mixed_answers_only_the_public_ones_are_dialled():
    mixed = [entry("10.0.0.1"), entry("1.1.1.1"), entry("::1"), entry("2606:4700::1111"), entry("127.0.0.1")]
    assert only_public(mixed) == [entry("1.1.1.1"), entry("2606:4700::1111")]


HOSTS_INSIDE = [
    "127.0.0.1",
    "localhost",
    "api.localhost",
    "2130706433",
    "0x7f.1",
    "0x7f000001",
    "0177.0.0.1",
    "127.1",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[0:0:0:0:0:ffff:7f00:1]",
    "169.254.169.254",
    "metadata.google.internal",
    "0.0.0.0",
    "0",
    "10.0.0.1",
    "100.64.0.1",
    "[fe80::1]",
    "[fe80::1%25lo]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "224.0.0.1",
    "[ff02::1]",
    "[fec0::1]",
    "192.88.99.1",
    "198.18.0.1",
    "203.0.113.5",
    "intranet",
    "printer.local",
    "router.home.arpa",
]


def refused(outbound, request, **options) -> OutboundFailed:
    with pytest.raises(OutboundFailed) as caught:
        outbound.send(request, **options)
    return caught.value


@pytest.mark.parametrize("host", HOSTS_INSIDE)
@pytest.mark.parametrize("proxied", [False, True])
def test_a_place_of_the_house_is_refused_as_it_is_written(door, get, canary, host, proxied):
    outbound = door(proxy=f"http://127.0.0.1:{canary.port}" if proxied else None)
    for scheme in ("https", "http"):
        failure = refused(outbound, get(f"{scheme}://{host}:{canary.port}"), allowed_origins=None, deadline=2)
        assert (failure.kind, failure.sent) == ("forbidden", False)
    assert not canary.sings


@pytest.mark.parametrize("address", INSIDE)
def test_a_name_that_leads_into_the_house_is_refused_when_dialled(door, get, canary, address):
    outbound = door(resolve=lambda host, port, **_: [entry(address, port)])
    origin = f"https://vendor.example.com:{canary.port}"
    for allowed in (None, [origin]):
        failure = refused(outbound, get(origin), allowed_origins=allowed, deadline=2)
        assert (failure.kind, failure.sent) == ("forbidden", False)
        assert str(failure) == f"vendor.example.com:{canary.port}: it leads to no public address."
    assert not canary.sings


def test_the_address_that_was_checked_is_the_one_dialled(serve, door, get, canary):
    server = serve(lambda peer: peer.read_request() and peer.answer())
    answers = [[entry("127.0.0.1", server.port)], [entry("127.0.0.1", canary.port)]]
    outbound = door("http://vendor.test", resolve=lambda *_, **__: answers.pop(0))
    assert outbound.send(get("http://vendor.test"), allowed_origins=[]).status == 200
    assert len(answers) == 1
    assert not canary.sings


def test_a_name_that_turns_public_after_the_check_stays_refused(door, get, canary):
    answers = [[entry("127.0.0.1", canary.port)], [entry("1.1.1.1")]]
    outbound = door(resolve=lambda *_, **__: answers.pop(0))
    failure = refused(outbound, get("https://vendor.example.com"), allowed_origins=None)
    assert (failure.kind, len(answers)) == ("forbidden", 1)
    assert not canary.sings


def test_an_extra_origin_may_lie_in_the_house(serve, door, get):
    server = serve(lambda peer: peer.read_request() and peer.answer())
    assert door(server.origin).send(get(server.origin), allowed_origins=[]).status == 200


def test_an_extra_origin_opens_no_other_port_scheme_or_name_of_its_host(door, get, canary):
    outbound = door(f"http://127.0.0.1:{canary.port + 1 if canary.port < 65535 else 1}")
    for origin in (
        f"http://127.0.0.1:{canary.port}",
        f"https://127.0.0.1:{canary.port}",
        f"http://localhost:{canary.port}",
    ):
        assert refused(outbound, get(origin), allowed_origins=None).kind == "forbidden"
    assert not canary.sings


def test_an_origin_that_is_not_the_vendors_is_refused(door, get):
    failure = refused(door(), get("https://elsewhere.example.com"), allowed_origins=["https://www.mysurveylab.com"])
    assert (failure.kind, failure.sent) == ("forbidden", False)


@pytest.mark.parametrize(
    ("origin", "allowed", "extra", "told"),
    [
        ("https://www.example.com", None, (), None),
        ("https://www.example.com:8443", None, (), None),
        ("https://xn--d-uga.example.com", None, (), None),
        ("https://1.1.1.1", None, (), None),
        ("https://www.example.com", ["https://www.example.com"], (), None),
        ("http://10.0.0.7:9000", [], ["http://10.0.0.7:9000"], None),
        ("https://www.example.com", ["https://other.example.com"], (), "not an address of this vendor"),
        ("http://www.example.com", None, (), "must begin with https://"),
        ("http://www.example.com", ["http://www.example.com"], (), "must begin with https://"),
        ("https://www.example.com/", None, (), "written as https://www.example.com,"),
        ("https://WWW.example.com", None, (), "written as https://www.example.com,"),
        ("https://www.example.com:443", None, (), "written as https://www.example.com,"),
        ("https://www.example.com/api?x=1#y", None, (), "written as https://www.example.com,"),
        ("https://user@www.example.com", None, (), "an address like"),
        ("https://www.example.com\n", None, (), "an address like"),
        ("https://www.exa\tmple.com", None, (), "an address like"),
        ("ftp://www.example.com", None, (), "an address like"),
        ("www.example.com", None, (), "an address like"),
        ("", None, (), "an address like"),
        ("https://www.example.com:99999", None, (), "an address like"),
        ("https://zażółć.example.com", None, (), "xn-- form"),
        ("https://127.0.0.1%2f.example.com", None, (), "xn-- form"),
        ("https://a\\b.example.com", None, (), "xn-- form"),
        ("https://www.example.com.", None, (), "xn-- form"),
        ("https://-a.example.com", None, (), "xn-- form"),
        ("https://[1::2::3]", None, (), "an address like"),
        ("https://192.168.0.1", ["https://192.168.0.1"], (), "not a public address"),
        ("https://3232235521", None, (), "not a public address"),
        ("https://intranet", None, (), "local network"),
    ],
)
def test_an_origin_can_be_judged_before_it_is_saved(origin, allowed, extra, told):
    problem = origin_problem(origin, allowed, extra)
    assert problem is None if told is None else told in problem


def test_what_origin_of_writes_is_what_the_door_takes():
    assert origin_problem(origin_of("HTTPS://WWW.Example.com:443/api.php?x=1"), None, ()) is None


@pytest.mark.parametrize("origin", ["127.0.0.1:9000", "http://user:pw@127.0.0.1", "ftp://127.0.0.1", ""])
def test_an_extra_origin_that_is_none_is_told_at_once(door, origin):
    with pytest.raises(ConfigInvalid, match="EXTRA_VENDOR_ORIGINS") as caught:
        door(origin)
    assert "pw" not in str(caught.value)
