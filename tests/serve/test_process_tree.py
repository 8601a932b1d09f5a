"""`serve` and its children: they are started again, and they never outlive it."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.serve.program import COMMAND, ListeningVendor, Program, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes in /proc"),
]


def test_a_call_is_made_once_although_serve_alone_is_killed_after_the_202(
    program: Program, vendor: ListeningVendor
) -> None:
    serve = program.start()
    assert len(program.processes()) == 4

    assert program.close_ticket("501").status == 202
    serve.kill()
    program.wait_gone()
    socket.create_server(("127.0.0.1", program.port)).close()
    program.start()

    reference = wait_for_accepted(program)
    assert [call["crk"] for call in vendor.calls("501")] == [reference]


def test_a_call_is_made_once_although_the_whole_group_is_killed_after_the_202(
    program: Program, vendor: ListeningVendor
) -> None:
    serve = program.start()
    # So the call is certainly still to be made when all are killed.
    worker = program.freeze_worker()

    assert program.close_ticket("502").status == 202
    os.killpg(serve.pid, signal.SIGKILL)
    os.kill(worker, signal.SIGKILL)
    program.wait_gone()
    assert vendor.calls() == []
    program.start()

    reference = wait_for_accepted(program)
    assert [call["crk"] for call in vendor.calls("502")] == [reference]


def test_children_that_are_only_starting_end_with_serve_too(program: Program) -> None:
    serve = program.start(COMMAND, "serve", "--port", str(program.port))
    wait_until(lambda: program.processes("web") and program.processes("worker"), "both children are started")

    serve.kill()

    program.wait_gone()


def test_whichever_child_is_killed_is_started_again(program: Program, vendor: ListeningVendor) -> None:
    program.start()

    worker = program.worker_pid()
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: program.processes("worker").keys() - {worker}, "a new worker runs")
    assert program.close_ticket("503").status == 202
    wait_until(lambda: vendor.calls("503"), "the new worker makes the call")

    arbiter, web = program.web_pids()
    os.kill(web, signal.SIGKILL)
    wait_until(lambda: web not in program.processes("web") and _answers(program), "another gunicorn worker answers")
    assert program.web_pids()[0] == arbiter

    before = program.web_pids()
    os.kill(arbiter, signal.SIGKILL)
    wait_until(lambda: not set(before) & set(program.processes("web")), "no orphan keeps the port")
    wait_until(lambda: _answers(program), "the new gunicorn answers")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_settles_the_call_under_way_and_ends_without_a_traceback(
    program: Program, vendor: ListeningVendor, number: signal.Signals
) -> None:
    serve = program.start()
    vendor.answers.clear()
    assert program.close_ticket("504").status == 202
    wait_until(lambda: vendor.calls("504"), "the call is under way")

    os.killpg(serve.pid, number)
    time.sleep(0.5)
    assert serve.poll() is None
    vendor.answers.set()

    assert serve.wait(40) == 0
    assert not program.processes()
    assert [delivery.state for delivery in program.deliveries()] == ["accepted"]
    assert "Traceback" not in program.log.read_text()


def test_an_idle_serve_stops_quickly_also_while_its_children_are_starting(program: Program) -> None:
    serve = program.start(COMMAND, "serve", "--port", str(program.port))
    wait_until(lambda: program.processes("worker"), "the children are started")

    began = time.monotonic()
    os.killpg(serve.pid, signal.SIGINT)

    assert serve.wait(40) == 0
    assert time.monotonic() - began < 15
    assert not program.processes()
    assert "Traceback" not in program.log.read_text()


def wait_for_accepted(program: Program) -> str:
    """The reference of the one delivery, once it is accepted."""

    def accepted() -> str | None:
        [delivery] = program.deliveries()
        return delivery.reference if delivery.state == "accepted" else None

    return wait_until(accepted, "the delivery is accepted") or ""


def _answers(program: Program) -> bool:
    try:
        return program.request("GET", "/healthz").status == 200
    except OSError:
        return False
