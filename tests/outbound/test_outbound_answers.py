"""What reaches the vendor, and what of its answer comes back."""

from __future__ import annotations

import gzip
import threading
import time

import pytest
import responses

from plugin.domain.survey_call import ANSWER_LIMIT, OutboundRequest, OutboundResponse
from plugin.outbound import Outbound
from plugin.redaction import Secret


def keeps_answering(peer):
    while peer.read_request():
        peer.answer()


def test_the_request_is_written_to_the_letter(serve, door):
    server = serve(keeps_answering)
    request = OutboundRequest(
        "POST",
        server.origin,
        ("a/b", Secret("k?y"), "%2E%2E", "zażółć"),
        query=(("q", "1+1&#=ł"), ("empty", "")),
        form=(("e", "a b+c"), ("token", Secret("t&t"))),
        headers=(("X-Token", Secret("abc")),),
        trailing_slash=True,
    )
    door(server.origin).send(request, allowed_origins=[])
    [seen] = server.requests
    head, body = seen.split(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    assert first == "POST /a%2Fb/k%3Fy/%252E%252E/za%C5%BC%C3%B3%C5%82%C4%87/?q=1%2B1%26%23%3D%C5%82&empty= HTTP/1.1"
    assert body == b"e=a+b%2Bc&token=t%26t"
    assert (
        sorted(lines)
        == [
            "Accept-Encoding: identity",
            "Accept: */*",
            "Content-Length: 21",
            "Content-Type: application/x-www-form-urlencoded",
            f"Host: 127.0.0.1:{server.port}",
            "User-Agent: survey-plugin tests",
            "X-Token: abc",
        ]
        or "Connection: keep-alive" not in lines
    )


def test_a_json_body_keeps_its_letters_and_its_type(serve, door):
    server = serve(keeps_answering)
    request = OutboundRequest(
        "PUT", server.origin, json={"name": "Łucja 🎈"}, headers=(("Accept", "application/json"),)
    )
    door(server.origin).send(request, allowed_origins=[])
    [seen] = server.requests
    assert b"Content-Type: application/json\r\n" in seen
    assert b"Accept: application/json\r\n" in seen
    assert seen.endswith('{"name": "Łucja 🎈"}'.encode())


def test_the_answer_comes_back_with_lower_case_header_names(serve, door, get):
    def script(peer):
        peer.read_request()
        peer.answer(b"<html>hello</html>", headers="Retry-After: 7\r\nContent-Type: text/html\r\n")

    server = serve(script)
    answer = door(server.origin).send(get(server.origin), allowed_origins=[])
    assert answer == OutboundResponse(
        status=200,
        headers={"content-length": "18", "retry-after": "7", "content-type": "text/html"},
        body=b"<html>hello</html>",
        origin=server.origin,
    )
    assert answer.json_object == {}


def test_an_answer_says_how_long_the_request_was(serve, door):
    server = serve(lambda peer: peer.read_request() and peer.answer())
    request = OutboundRequest("POST", server.origin, ("api",), json={"name": "Łucja"})

    answer = door(server.origin).send(request, allowed_origins=[])

    assert answer.bytes_sent == len(server.requests[0])


@pytest.mark.parametrize("status", [201, 301, 404, 429, 500, 599])
def test_any_status_is_an_answer(serve, door, get, status):
    server = serve(lambda peer: peer.read_request() and peer.answer(status=f"{status} Something"))
    assert door(server.origin).send(get(server.origin), allowed_origins=[]).status == status


def test_interim_answers_are_passed_over(serve, door, get):
    def script(peer):
        peer.read_request()
        peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
        peer.send(b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n")
        peer.answer(b"done")

    server = serve(script)
    answer = door(server.origin).send(get(server.origin), allowed_origins=[])
    assert (answer.status, answer.body) == (200, b"done")
    assert "link" not in answer.headers


def test_a_chunked_answer_is_put_together(serve, door, get):
    def script(peer):
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n")

    server = serve(script)
    assert door(server.origin).send(get(server.origin), allowed_origins=[]).body == b"abcde"


@pytest.mark.parametrize(
    ("method", "status"), [("HEAD", "200 OK"), ("GET", "204 No Content"), ("GET", "304 Not Modified")]
)
def test_an_answer_without_a_body_is_complete(serve, door, method, status):
    def script(peer):
        while peer.read_request():
            peer.send(f"HTTP/1.1 {status}\r\nETag: 1\r\n\r\n".encode())

    server = serve(script)
    outbound = door(server.origin)
    for _ in range(2):
        answer = outbound.send(OutboundRequest(method, server.origin), allowed_origins=[], deadline=2)
        assert (answer.body, answer.cut) == (b"", False)


@pytest.mark.parametrize(("length", "cut"), [(ANSWER_LIMIT, False), (ANSWER_LIMIT + 1, True), (10_000_000, True)])
@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_a_long_body_is_cut_at_the_limit(serve, door, get, length, cut, framing):
    def script(peer):
        peer.read_request()
        body = b"x" * length
        if framing == "length":
            peer.answer(body)
        elif framing == "close":
            peer.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body)
        else:
            peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (length, body))

    server = serve(script)
    began = time.monotonic()
    answer = door(server.origin).send(get(server.origin), allowed_origins=[])
    assert (len(answer.body), answer.cut) == (ANSWER_LIMIT, cut)
    assert time.monotonic() - began < 2


def test_after_a_cut_body_the_connection_is_not_used_again(serve, door, get):
    def script(peer):
        while peer.read_request():
            peer.answer(b"x" * 1_000_000)

    server = serve(script)
    outbound = door(server.origin)
    for _ in range(2):
        assert outbound.send(get(server.origin), allowed_origins=[]).cut
    assert server.connections == 2


def test_compressed_content_stays_as_it_came(serve, door, get):
    bomb = gzip.compress(b"0" * 50_000_000)

    def script(peer):
        assert b"Accept-Encoding: identity\r\n" in peer.read_request()
        peer.answer(bomb, headers="Content-Encoding: gzip\r\n")

    server = serve(script)
    assert door(server.origin).send(get(server.origin), allowed_origins=[]).body == bomb[:ANSWER_LIMIT]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_and_is_not_followed(serve, door, get, canary, status):
    location = f"http://127.0.0.1:{canary.port}/"
    server = serve(
        lambda peer: peer.read_request() and peer.answer(status=f"{status} Go", headers=f"Location: {location}\r\n")
    )
    outbound = door(server.origin, f"http://127.0.0.1:{canary.port}")
    answer = outbound.send(get(server.origin), allowed_origins=[])
    assert (answer.status, answer.headers["location"]) == (status, location)
    assert not canary.sings
    assert len(server.requests) == 1


def test_a_redirect_to_a_metadata_address_ends_with_its_status(serve, door, get):
    server = serve(
        lambda peer: (
            peer.read_request()
            and peer.answer(status="302 Found", headers="Location: http://169.254.169.254/latest/meta-data/\r\n")
        )
    )
    assert door(server.origin).send(get(server.origin), allowed_origins=[], deadline=2).status == 302


def test_the_body_of_a_redirect_counts_against_the_limit(serve, door, get):
    def script(peer):
        peer.read_request()
        peer.answer(b"x" * 10_000_000, status="302 Found", headers="Location: /elsewhere\r\n")

    server = serve(script)
    answer = door(server.origin).send(get(server.origin), allowed_origins=[])
    assert (len(answer.body), answer.cut) == (ANSWER_LIMIT, True)


def test_no_cookie_is_ever_sent_back(serve, door, get):
    def script(peer):
        while peer.read_request():
            peer.answer(headers="Set-Cookie: session=of-tenant-one; Path=/; Max-Age=9999\r\n")

    server = serve(script)
    outbound = door(server.origin)
    for tenant in ("one", "two"):
        outbound.send(get(server.origin, query=(("tenant", tenant),)), allowed_origins=[])
    assert (len(server.requests), server.connections) == (2, 1)
    assert not any(b"cookie" in request.lower() for request in server.requests)


def test_a_connection_is_kept_for_the_next_call(serve, door, get):
    server = serve(keeps_answering)
    outbound = door(server.origin)
    for _ in range(3):
        outbound.send(get(server.origin), allowed_origins=[])
    assert (len(server.requests), server.connections) == (3, 1)


@pytest.mark.parametrize(("pauses", "connections"), [((1.9, 1.9), 1), ((2.0, 1.9), 2), ((2.0, 2.0), 3)])
def test_a_connection_idle_for_two_seconds_is_not_used_again(serve, get, pauses, connections):
    server = serve(keeps_answering)
    now = 1000.0
    with Outbound(user_agent="tests", extra_origins=[server.origin], clock=lambda: now) as outbound:
        outbound.send(get(server.origin), allowed_origins=[])
        for pause in pauses:
            now += pause
            outbound.send(get(server.origin), allowed_origins=[])
    assert (len(server.requests), server.connections) == (3, connections)


def test_a_connection_the_vendor_has_closed_is_replaced(serve, door, get):
    closed = threading.Event()

    def script(peer):
        peer.read_request()
        peer.answer()
        peer.sock.close()
        closed.set()

    server = serve(script)
    outbound = door(server.origin)
    outbound.send(get(server.origin), allowed_origins=[])
    assert closed.wait(2)
    assert outbound.send(get(server.origin), allowed_origins=[]).status == 200
    assert server.connections == 2


def test_one_door_serves_many_threads(serve, door, get):
    def script(peer):
        while request := peer.read_request():
            peer.answer(request.split(b" ")[1])

    server = serve(script)
    outbound = door(server.origin)
    wrong = []

    def call(number):
        for turn in range(20):
            answer = outbound.send(get(server.origin, f"{number}-{turn}"), allowed_origins=[])
            if answer.body != f"/{number}-{turn}".encode():
                wrong.append(answer.body)

    threads = [threading.Thread(target=call, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (wrong, len(server.requests), server.connections) == ([], 160, 8)


def test_connector_tests_can_put_a_mock_in_the_vendors_place(get):
    with responses.RequestsMock() as mock, Outbound(user_agent="tests") as outbound:
        mock.get("https://www.mysurveylab.com/api.php", body='{"msg": "ok"}', headers={"Set-Cookie": "a=b"})
        answer = outbound.send(
            get("https://www.mysurveylab.com", "api.php"), allowed_origins=["https://www.mysurveylab.com"]
        )
    assert answer.json_object == {"msg": "ok"}
