"""What becomes of a delivery when its vendor misbehaves on the wire: real sockets, the real worker and its store."""

from __future__ import annotations

import gzip
import http
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from tests.faults.wire import (
    HEAD,
    SUCCESS,
    WHOLE,
    Outcome,
    Script,
    ScriptedVendor,
    answer,
    deliver,
    reset_after,
    say,
    stall_after,
    trickle,
)

PAGE = b"<!doctype html><title>Sign in</title><p>Please sign in.</p>"


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


# --- tests ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def after_faults(tmp_path_factory: pytest.TempPathFactory) -> tuple[Mapping[str, Outcome], Sequence[str]]:
    return deliver(tmp_path_factory.mktemp("faults"), {name: case.script for name, case in CASES.items()})


@pytest.fixture(scope="module")
def after_statuses(tmp_path_factory: pytest.TempPathFactory) -> tuple[Mapping[str, Outcome], Sequence[str]]:
    scripts = {str(status): say(_bare_answer(status)) for status in STATUSES}
    return deliver(tmp_path_factory.mktemp("statuses"), scripts)


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

    outcomes, _ = deliver(tmp_path, {}, {"refused": origin})

    outcome = outcomes["refused"]
    assert (outcome.state, outcome.reason, outcome.attempts) == ("scheduled", "not_reached", 1)
    assert began + timedelta(seconds=5) <= outcome.due <= datetime.now(UTC) + timedelta(seconds=10)


def test_a_vendor_without_the_encryption_that_its_address_promises_is_tried_again(tmp_path):
    vendor = ScriptedVendor({})

    outcomes, _ = deliver(tmp_path, {}, {"plain": vendor.origin.replace("http:", "https:")})

    vendor.close()
    assert (outcomes["plain"].state, outcomes["plain"].reason) == ("scheduled", "not_reached")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_wherever_it_leads(tmp_path, status):
    with socket.create_server(("127.0.0.1", 0)) as canary:
        canary.setblocking(False)
        location = f"Location: http://127.0.0.1:{canary.getsockname()[1]}/api.php"

        outcomes, _ = deliver(tmp_path, {"redirect": say(answer(f"{status} Elsewhere", b"", location))})

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

    outcomes, _ = deliver(tmp_path, {"later": say(answer(f"{status} Later", b"", *headers))})

    outcome = outcomes["later"]
    assert (outcome.state, outcome.attempts) == ("scheduled", 0)
    assert timedelta(seconds=119) <= outcome.due - began <= timedelta(seconds=130)
