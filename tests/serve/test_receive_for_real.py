"""Triggers over real sockets, gunicorn and processes: what senders are answered, and what the vendor then gets."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest

from tests.serve.program import (
    DESK,
    SIGNING_SECRET,
    TENANT,
    ListeningVendor,
    Program,
    signed,
    target_of,
    ticket_closed,
    wait_until,
)

pytestmark = pytest.mark.slow

SOURCES = """sources:
  - {name: open, kind: generic, key: open-0123456789abcdef, credentials: {url_only: true}}
"""
OPEN = "/triggers/open-0123456789abcdef"

#: Events of tickets with this tag are asked for twice.
SECOND_RULE = """
  - name: second opinion
    when: {events: [ticket.closed], conditions: [{field: ticket.tags, op: contains, value: twice}]}
    connection: lab
    call: add_respondent
    parameters: {cId: "42", email: "{{ person.email }}", crk: "{{ delivery.reference }}", custom2: "{{ ticket.id }}"}
"""

HARD = "R&D + 50% #7 a/b?c=d \"quoted\" 'single' <b>\nnew line 🙂 Zażółć gęślą jaźń · Příliš žluťoučký kůň · Її ґанок"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, listening: ListeningVendor) -> Iterator[Program]:
    program = Program(tmp_path_factory.mktemp("receive"), listening.origin)
    program.apply(TENANT.replace("sources:\n", SOURCES) + SECOND_RULE)
    program.start()
    yield program
    program.close()


# --- what the vendor gets -------------------------------------------------------------------------------------------


def test_every_value_reaches_the_vendor_byte_for_byte(running: Program, listening: ListeningVendor) -> None:
    requester = {"email": "ľubica+survey@example.com", "first_name": "O'Brien & Søn"}

    answer = running.close_ticket("600", title=HARD, requester=requester)

    assert answer.status == 202
    [call] = wait_until(lambda: listening.calls("600"), "the survey call")
    path, _, query = target_of(next(r for r in listening.requests if b"custom2=600" in r)).partition("?")
    sent = [tuple(map(unquote_to_bytes, pair.split("="))) for pair in query.split("&")]
    assert path == "/api.php"
    assert sent == [
        (b"apiToken", b"lab-token-canary"),
        (b"cId", b"8379821739721"),
        (b"email", requester["email"].encode()),
        (b"crk", call["crk"].encode()),
        (b"firstName", requester["first_name"].encode()),
        (b"custom1", HARD.encode()),
        (b"custom2", b"600"),
    ]


def test_one_invocation_sent_fifty_times_at_once_makes_one_call(running: Program, listening: ListeningVendor) -> None:
    body = ticket_closed("601")
    headers = signed(body, invocation="fifty-times")

    with ThreadPoolExecutor(50) as senders:
        answers = list(senders.map(lambda _: running.request("POST", DESK, body, headers), range(50)))

    assert {answer.status for answer in answers} == {202}
    assert len({answer.json()["receipt"] for answer in answers}) == 1
    assert sum(not answer.json()["events"][0]["duplicate"] for answer in answers) == 1
    wait_until(lambda: listening.calls("601"), "the survey call")
    wait_until(lambda: {one.state for one in running.deliveries()} == {"accepted"}, "nothing is left to be sent")
    assert len(listening.calls("601")) == 1


def test_two_closings_of_one_ticket_have_two_keys(running: Program, listening: ListeningVendor) -> None:
    reopened = json.dumps({"event": {"kind": "ticket.reopened"}, "ticket": {"id": "602"}}).encode()

    assert running.close_ticket("602", updated_at="2026-01-02T03:04:05Z").status == 202
    assert running.request("POST", DESK, reopened, signed(reopened)).status == 202
    assert running.close_ticket("602", updated_at="2026-01-03T03:04:05Z").status == 202

    calls = wait_until(lambda: len(found := listening.calls("602")) == 2 and found, "two survey calls")
    assert len({call["crk"] for call in calls}) == 2


def test_two_rules_for_one_closing_have_two_keys(running: Program, listening: ListeningVendor) -> None:
    assert running.close_ticket("603", tags="vip twice").status == 202

    calls = wait_until(lambda: len(found := listening.calls("603")) == 2 and found, "two survey calls")
    assert {call["cId"] for call in calls} == {"8379821739721", "42"}
    assert len({call["crk"] for call in calls}) == 2


# --- what senders are answered --------------------------------------------------------------------------------------


def test_a_proven_trigger_is_answered_as_documented(running: Program) -> None:
    answer = running.close_ticket("610")

    told = answer.json()
    [event] = told["events"]
    assert answer.status == 202
    assert (event["kind"], event["duplicate"]) == ("ticket.closed", False)
    assert [(one["rule"], one["verdict"], one["cause"]) for one in event["verdicts"]] == [
        ("csat", "ask", "matched"),
        ("second opinion", "no", "condition"),
    ]
    assert running.run("receipt", told["receipt"]).stdout.startswith(f"Receipt {told['receipt']}")
    assert event["verdicts"][0]["delivery"] in running.run("receipt", told["receipt"], "--json").stdout


@pytest.mark.parametrize("target", [DESK, "/triggers/nobody-knows-this-key"])
def test_a_body_of_two_megabytes_is_413_for_known_and_unknown_addresses(running: Program, target: str) -> None:
    answer = running.request("POST", target, b"x" * 2_000_000)

    assert answer.status == 413
    assert "1048576 bytes" in answer.json()["error"]


def test_a_body_that_comes_in_chunks_is_413_as_well(running: Program) -> None:
    chunks = (b"x" * 50_000 for _ in range(40))

    assert running.request("POST", DESK, chunks, encode_chunked=True).status == 413


@pytest.mark.parametrize(
    ("length", "sent"),
    [
        pytest.param("Content-Length: 60", "%s", id="declared"),
        pytest.param("Transfer-Encoding: chunked", "2a\r\n%s\r\n", id="between chunks"),
        pytest.param("Transfer-Encoding: chunked", "2c\r\n%s", id="within a chunk"),
    ],
)
def test_a_body_that_breaks_off_is_not_taken_for_a_whole_one(running: Program, length: str, sent: str) -> None:
    before = len(running.deliveries())
    body = sent % "ticket.id=699&ticket.requester.email=a%40e"

    with socket.create_connection(("127.0.0.1", running.port), timeout=10) as connection:
        head = f"POST {OPEN} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n{length}"
        connection.sendall(f"{head}\r\n\r\n{body}".encode())
        connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(65536)

    assert b" 202 " not in answer
    assert len(running.deliveries()) == before


def test_a_body_that_comes_in_chunks_is_read(running: Program) -> None:
    body = ticket_closed("611")

    answer = running.request("POST", DESK, iter([body[:20], body[20:]]), signed(body), encode_chunked=True)

    assert answer.status == 202


@pytest.mark.parametrize(
    "key", ["nobody-knows-this-key", "short", "desk-0123456789abcde", "desk%2D0123456789abcdef%00"]
)
def test_an_unknown_key_is_404(running: Program, key: str) -> None:
    assert running.request("POST", f"/triggers/{key}", b"{}").status == 404


@pytest.mark.parametrize(
    ("secret", "signed_body", "age"),
    [
        pytest.param("guessed", b"{}", 0, id="wrong"),
        pytest.param(SIGNING_SECRET, b"{ }", 0, id="of another body"),
        pytest.param(SIGNING_SECRET, b"{}", 6, id="stale"),
        pytest.param(SIGNING_SECRET, b"{}", -6, id="from the future"),
        pytest.param(None, b"", 0, id="missing"),
    ],
)
def test_an_unproven_request_is_401_and_learns_nothing_more(
    running: Program, secret: str | None, signed_body: bytes, age: int
) -> None:
    at = datetime.now(UTC) - timedelta(minutes=age)
    headers = signed(signed_body, secret=secret, at=at) if secret is not None else {}

    answer = running.request("POST", DESK, b"{}", headers)

    assert answer.status == 401
    assert answer.json() == {"error": "The request does not prove who sent it."}


def test_a_proven_body_that_is_no_json_is_400_with_its_place_and_a_receipt(running: Program) -> None:
    body = b'{"ticket": {"id": "612",\n  "title": }}'

    answer = running.request("POST", DESK, body, signed(body))

    assert answer.status == 400
    assert "line 2" in answer.json()["error"]
    shown = json.loads(running.run("receipt", answer.json()["receipt"], "--json").stdout)
    assert (shown["cause"], shown["body"]) == ("unreadable", body.decode())


@pytest.mark.parametrize("method", ["DELETE", "PATCH", "TRACE"])
def test_other_methods_are_405_with_those_that_are_allowed(running: Program, method: str) -> None:
    answer = running.request(method, DESK)

    assert answer.status == 405
    assert {"GET", "HEAD", "POST", "PUT"} <= set(answer.headers["Allow"].split(", "))


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("target", [DESK, OPEN])
def test_trying_an_address_is_200(running: Program, method: str, target: str) -> None:
    assert running.request(method, target).status == 200


def test_a_put_and_a_get_with_a_query_are_messages_and_trying_stores_nothing(running: Program) -> None:
    before = len(running.deliveries())

    running.request("GET", OPEN)
    running.request("HEAD", f"{OPEN}?ticket.id=613&ticket.requester.email=a%40example.com")
    put = running.request("PUT", OPEN, ticket_closed("614"), {"Content-Type": "application/json"})
    get = running.request("GET", f"{OPEN}?ticket.id=615&ticket.requester.email=a%40example.com")

    assert (put.status, get.status) == (202, 202)
    assert len(running.deliveries()) == before + 2


def test_a_store_that_is_away_is_503_and_keeps_nothing(running: Program) -> None:
    before = running.deliveries()

    with running.write_turn():
        answer = running.close_ticket("616")

    assert answer.status == 503
    assert answer.headers["Retry-After"] == "30"
    assert "again" in answer.json()["error"]
    assert len(running.deliveries()) == len(before)
    assert running.close_ticket("616").status == 202


def test_no_message_of_random_bytes_is_a_fault_of_ours(running: Program) -> None:
    chance = random.Random(20260102)
    statuses = [_send_noise(running, chance) for _ in range(200)]

    assert {status // 100 for status in statuses} <= {2, 4}
    assert len(set(statuses)) > 1


def _send_noise(running: Program, chance: random.Random) -> int:
    """A message that is nearly one: its body torn and mixed with noise, its content type drawn."""
    whole = ticket_closed("617", title=HARD)
    cut = chance.randrange(len(whole))
    body = whole[:cut] + chance.randbytes(chance.randrange(40)) + whole[cut + chance.randrange(3) :]
    kinds = [
        "application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/\xe9",
        "",
    ]
    headers = {**signed(body), "Content-Type": chance.choice(kinds)}
    target = chance.choice([DESK, OPEN, f"{OPEN}?%ff&ticket.id=%00&=&a=b;c", f"{DESK}?{'&' * 300}"])
    return running.request(chance.choice(["POST", "PUT"]), target, body, headers).status


@pytest.mark.parametrize(
    "raw",
    [
        b"NONSENSE\r\n\r\n",
        b"GET /triggers/desk-0123456789abcdef?\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /triggers/desk-0123456789abcdef HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /triggers/desk-0123456789abcdef HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nX\xe9: \xff\r\n\r\n{}}",
    ],
)
def test_requests_that_are_no_http_are_refused_and_the_next_one_is_served(running: Program, raw: bytes) -> None:
    with socket.create_connection(("127.0.0.1", running.port), timeout=10) as connection:
        connection.sendall(raw)
        status = connection.recv(65536).split(b" ")[1:2]

    assert status in ([], [b"400"], [b"401"], [b"404"])
    assert running.request("GET", "/healthz").json() == {"status": "up"}


def test_health_tells_of_process_store_and_worker(running: Program) -> None:
    assert running.request("GET", "/healthz").json() == {"status": "up"}
    ready: dict[str, Any] = running.request("GET", "/readyz").json()
    assert ready == {"status": "ready", "store": "takes writes", "workers_alive": 1}
