"""No secret and no e-mail address in anything that the running program says, whatever is sent to it."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import signal
import socket
import sqlite3
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.serve.program import ListeningVendor, Program, signed, ticket_closed, wait_until

pytestmark = pytest.mark.slow

PERSON = "canary-person"
EMAIL = f"{PERSON}@example.com"
ZENDESK = "canary-signing-secret"
BEARER = "canary-bearer-token"
BASIC = "canary-basic-password"
HMAC = "canary-hmac-secret"
API_TOKEN = "canary-api-token"
DESK, CRM, SHOP, FORM = (f"canary-key-of-{name}-0123456789" for name in ("desk", "crm", "shop", "form"))
SECRET_KEY = "canary-secret-key-that-is-long-enough-to-be-one"
DATA_KEY = urlsafe_b64encode(b"canary-data-key-of-32-bytes-long").decode()

TENANT = f"""
tenant: acme
name: Acme
sources:
  - {{name: desk, kind: zendesk, key: {DESK}, credentials: {{signing_secret: {ZENDESK}}}}}
  - {{name: crm, kind: generic, key: {CRM}, credentials: {{bearer: {BEARER}}}}}
  - {{name: shop, kind: generic, key: {SHOP}, credentials: {{basic: {{user: shop, password: {BASIC}}}}}}}
  - {{name: form, kind: generic, key: {FORM}, credentials: {{hmac: {{secret: {HMAC}, header: X-Signature}}}}}}
connections:
  - {{name: lab, vendor: surveylab, settings: {{origin: "VENDOR", api_token: {API_TOKEN}}}}}
rules:
  - name: csat
    when: {{events: [ticket.closed]}}
    connection: lab
    call: add_respondent
    parameters:
      {{cId: "1", email: "{{{{ person.email }}}}", custom1: "{{{{ ticket.title }}}}", custom2: "{{{{ ticket.id }}}}"}}
"""

TITLE = f"Please call {EMAIL}, token={API_TOKEN}"
BASIC_PAIR = b64encode(f"shop:{BASIC}".encode()).decode()


@pytest.fixture
def vendor() -> Iterator[ListeningVendor]:
    listening = ListeningVendor()
    yield listening
    listening.close()


@pytest.fixture
def program(tmp_path: Path, vendor: ListeningVendor) -> Iterator[Program]:
    made = Program(tmp_path, vendor.origin, SECRET_KEYS=SECRET_KEY, DATA_KEYS=DATA_KEY)
    yield made
    made.close()


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_nothing_that_is_logged_holds_a_secret_or_an_address(
    program: Program, vendor: ListeningVendor, log_format: str
) -> None:
    program.environment["LOG_FORMAT"] = log_format
    program.apply(TENANT)
    serve = program.start()

    send_good_ones(program, vendor)
    send_bad_ones(program)
    send_no_http(program)
    open_pages(program)
    let_the_vendor_talk(program, vendor)
    lock_the_store(program)
    crash_web_and_worker(program)
    serve.send_signal(signal.SIGTERM)
    assert serve.wait(40) == 0

    lines = program.log.read_text().splitlines()
    assert [line for line in lines if "canary" in line.lower() or BASIC_PAIR in line or DATA_KEY[:20] in line] == []
    said = "\n".join(lines)
    for word in ("request crashed", "trigger not stored", "delivery settled", "rejected", "not proper HTTP"):
        assert word in said
    if log_format == "json":
        assert all(json.loads(line)["level"] for line in lines if line.startswith("{"))


def send_good_ones(program: Program, vendor: ListeningVendor) -> None:
    form = f"ticket.id=4&ticket.title={quote(TITLE)}&ticket.requester.email={quote(EMAIL)}".encode()
    signature = hmac.new(HMAC.encode(), form, hashlib.sha256).hexdigest()
    sent = [
        (DESK, ticket("1"), signed(ticket("1"), secret=ZENDESK)),
        (CRM, ticket("2"), {"Authorization": f"Bearer {BEARER}", "Cookie": f"a={BEARER}"}),
        (SHOP, ticket("3"), {"Authorization": f"Basic {BASIC_PAIR}"}),
        (FORM, form, {"X-Signature": signature, "Content-Type": "application/x-www-form-urlencoded"}),
    ]
    for key, body, headers in sent:
        answer = program.request("POST", f"/triggers/{key}?email={quote(EMAIL)}&token={BEARER}", body, headers)
        assert answer.status == 202, answer.body
    wait_until(lambda: all(vendor.calls(number) for number in "1234"), "four calls")


def send_bad_ones(program: Program) -> None:
    torn = ticket("5")[:-20]
    wrong = {"Authorization": f"Bearer {BEARER}x", "X-Zendesk-Webhook-Signature": ZENDESK}
    assert program.request("POST", f"/triggers/{DESK}", torn, signed(torn, secret=ZENDESK)).status == 400
    assert program.request("POST", f"/triggers/{CRM}", ticket("5"), wrong).status == 401
    assert program.request("POST", f"/triggers/{DESK}", ticket("5"), wrong).status == 401
    assert program.request("POST", f"/triggers/{DESK}x", ticket("5"), wrong).status == 404
    assert program.request("DELETE", f"/triggers/{DESK}?{BEARER}", headers=wrong).status == 405
    assert program.request("POST", f"/triggers/{DESK}", EMAIL.encode() * 100_000).status == 413


def send_no_http(program: Program) -> None:
    """Requests that the web server itself refuses, and tells about in its own words."""
    target = f"/triggers/{DESK}?email={EMAIL}&token={BEARER}"
    for raw in (
        f"POST {target} HTP/1.1\r\n\r\n",
        f"{BEARER} {EMAIL}\r\n\r\n",
        f"GET {target}{'a' * 9000} HTTP/1.1\r\nHost: x\r\n\r\n",
        f"GET {target} HTTP/1.1\r\nAuthorization Bearer {BEARER}\r\n\r\n",
        f"GET {target} HTTP/1.1\r\nAuthorization: Bearer {BEARER}\r\n {EMAIL}\r\n\r\n",
        f"GET {target} HTTP/1.1\r\nCook;ie: {BEARER}\r\n\r\n",
        f"POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {EMAIL}\r\n\r\n",
        f"POST {target} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: {BEARER}\r\n\r\n",
        f"POST {target} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{EMAIL}\r\n\r\n",
        f"GET {target} HTTP/{BEARER}\r\n\r\n",
        f"{API_TOKEN.upper()} {target} HTTP/1.1\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", program.port), timeout=10) as connection:
            connection.sendall(raw.encode())
            connection.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):
                connection.recv(65536)


def open_pages(program: Program) -> None:
    link = program.run("tenant", "link", "acme").stdout.strip().partition(f":{program.port}")[2]
    assert program.request("GET", link).status == 200
    cookie = {"Cookie": f"survey_plugin={BEARER}"}
    for target in (f"{link}x", f"/config/{BEARER}", f"/settings/receipts?search={EMAIL}", f"/{BEARER}?{EMAIL}"):
        assert program.request("GET", target, headers=cookie).status in {302, 303, 401, 403, 404, 410}
        assert program.request("POST", target, f"csrf_token={BEARER}&email={EMAIL}", cookie).status >= 400


def let_the_vendor_talk(program: Program, vendor: ListeningVendor) -> None:
    """Answers that repeat what they were asked with, as bodies, status lines and headers."""
    echo = f"apiToken={API_TOKEN} {EMAIL} {API_TOKEN}"
    answers = {
        "10": ("200 OK", json.dumps({"status": True, "notification": echo})),
        "11": ("400 Bad Request", json.dumps({"status": False, "notification": echo})),
        "12": ("404 " + echo, echo),
        "13": (f"302 Found\r\nLocation: http://127.0.0.1/?{quote(echo)}", ""),
        "14": (f"200 OK\r\nContent-Length: {echo}", echo),
        "15": (echo, ""),
    }
    for number, (status, answer) in answers.items():
        vendor.status, vendor.answer = status, answer.encode()
        body = ticket(number)
        assert program.request("POST", f"/triggers/{DESK}", body, signed(body, secret=ZENDESK)).status == 202
        wait_until(lambda number=number: vendor.calls(number), f"the call of ticket {number}")
    wait_until(lambda: {one.state for one in program.deliveries()} <= {"accepted", "rejected", "uncertain"}, "answers")


def lock_the_store(program: Program) -> None:
    with program.write_turn():
        body = ticket("20")
        assert program.request("POST", f"/triggers/{DESK}", body, signed(body, secret=ZENDESK)).status == 503


def crash_web_and_worker(program: Program) -> None:
    """Rows that this program never writes: what meets them fails in ways that nobody has foreseen."""
    worker = program.freeze_worker()
    body = ticket("30")
    assert program.request("POST", f"/triggers/{DESK}", body, signed(body, secret=ZENDESK)).status == 202
    spoil(program, "UPDATE connections SET vendor = 'nobody'")
    os.kill(worker, signal.SIGCONT)
    wait_until(lambda: "nobody" in program.log.read_text(), "the worker meets it, and settles the delivery")
    spoil(program, "UPDATE rules SET definition = '{}'")
    # What is kept of the rules for a moment is read anew only when the configuration has changed.
    spoil(program, "UPDATE tenants SET version = version + 1")
    body = ticket("31")
    assert program.request("POST", f"/triggers/{DESK}", body, signed(body, secret=ZENDESK)).status == 500


def spoil(program: Program, statement: str) -> None:
    with program.write_turn(), contextlib.closing(sqlite3.connect(program.folder / "data" / "plugin.db")) as db:
        db.execute(statement)
        db.commit()


def ticket(number: str) -> bytes:
    return ticket_closed(number, title=TITLE, requester={"email": EMAIL, "name": PERSON})
