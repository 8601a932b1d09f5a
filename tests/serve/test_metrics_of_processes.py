"""Several processes, one truth: what each of them counts is shown by all."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import subprocess
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.serve.program import (
    COMMAND,
    DESK,
    TENANT,
    ListeningVendor,
    Program,
    free_port,
    signed,
    ticket_closed,
    wait_until,
)

pytestmark = pytest.mark.slow

TOKEN = "operator-token-0123456789"
#: Gauges that tell about the moment, or about the process that answers.
OF_THE_MOMENT = ("survey_plugin_worker_heartbeat_age_seconds", "survey_plugin_oldest_due_seconds")


class WebPart:
    """One process tree of the web part, at a port of its own."""

    def __init__(self, program: Program) -> None:
        self.port = free_port()
        self._process: subprocess.Popen[bytes] = program.start(COMMAND, "web", "--port", str(self.port))
        wait_until(self._is_up, f"the web part at port {self.port} is up")

    def request(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            assert answer.status in {200, 202}, answer.status
            return answer.read()

    def close_ticket(self, number: str) -> None:
        body = ticket_closed(number)
        assert json.loads(self.request("POST", DESK, body, signed(body)))["receipt"]

    def metrics(self) -> dict[tuple[str, ...], float]:
        page = self.request("GET", "/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        return {
            (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(page.decode())
            for sample in family.samples
            if sample.name not in OF_THE_MOMENT
        }

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        assert self._process.wait(40) == 0

    def _is_up(self) -> bool:
        with contextlib.suppress(OSError):
            return bool(self.request("GET", "/healthz"))
        return False


@pytest.fixture
def program(tmp_path: Path, vendor: ListeningVendor, database_url: str) -> Iterator[Program]:
    made = Program(
        tmp_path,
        vendor.origin,
        DATABASE_URL=database_url,
        SECRET_KEYS="a signing key for tests that is long enough",
        DATA_KEYS=urlsafe_b64encode(bytes(range(32))).decode(),
        OPERATOR_TOKEN=TOKEN,
    )
    yield made
    made.close()


def test_every_web_process_shows_what_all_of_them_and_the_worker_did(program: Program, vendor: ListeningVendor) -> None:
    program.apply(TENANT)
    program.environment["WEB_CONCURRENCY"] = "2"
    worker = program.start(COMMAND, "worker")
    first, second = WebPart(program), WebPart(program)
    for number in range(6):
        first.close_ticket(f"1{number}")
    for number in range(4):
        second.close_ticket(f"2{number}")

    def all_is_told() -> bool:
        told = first.metrics()
        done = told.get(("survey_plugin_deliveries_settled_total", "done", "accepted", "surveylab"))
        return told.get(("survey_plugin_triggers_total", "zendesk", "202")) == done == 10

    wait_until(all_is_told, "what four web processes and a worker counted", 30)
    wait_until(lambda: first.metrics() == second.metrics(), "both tell the same", 30)
    told = second.metrics()
    assert told["survey_plugin_verdicts_total", "matched", "ask"] == 10
    assert told["survey_plugin_accept_seconds_count",] == 10
    assert told["survey_plugin_call_seconds_count", "surveylab"] == 10
    assert told["survey_plugin_workers",] == 1

    # A stop loses nothing: the last ones are stored at once, not after some seconds.
    first.close_ticket("30")
    first.stop()
    wait_until(lambda: vendor.calls("30"), "the last call")
    assert second.metrics()["survey_plugin_triggers_total", "zendesk", "202"] == 11
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(40) == 0
    assert second.metrics()["survey_plugin_claimed_deliveries_sum",] == 11
    assert "Traceback" not in program.log.read_text()
