"""A helpdesk outside the program: it reports each closed ticket until that is acknowledged, and some of them again."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tests.faults.notes import Notes

_CLIENTS: Final = 4
#: How long the helpdesk keeps trying one report, and how long it waits between two tries, seconds.
_PATIENCE: Final = 90.0
_PAUSE: Final = 0.05


@dataclass(frozen=True)
class Report:
    """One closed ticket, reported at a source's address."""

    ticket: str
    path: str

    def body(self) -> bytes:
        email = f"person-{self.ticket}@example.com"
        ticket = {"id": self.ticket, "requester": {"email": email}}
        return json.dumps({"event": {"kind": "ticket.closed", "id": f"event-{self.ticket}"}, "ticket": ticket}).encode()


class Desk:
    """Posts reports at an even pace from a few threads, each until a 2xx, which is written down before the next.

    ports: where the program answers, one for each web part; may be changed at any time. answers: how often each status
    came; 0 stands for no answer. on_acknowledged: called with their number so far, when
    a ticket was acknowledged that the program had not known before.
    """

    def __init__(self, ports: Sequence[int], notes: Notes, *, on_acknowledged: Callable[[int], None]) -> None:
        self.answers: Counter[int] = Counter()
        self.ports = ports
        self._notes = notes
        self._on_acknowledged = on_acknowledged
        self._lock = threading.Lock()
        self._reports: Sequence[Report] = ()
        self._next = 0
        self._acknowledged = 0
        self._began = 0.0
        self._per_second = 0.0
        self._threads: list[threading.Thread] = []

    def start(self, reports: Sequence[Report], *, per_second: float) -> None:
        self._reports, self._next = reports, 0
        self._per_second = per_second
        self._began = time.monotonic()
        self._threads = [threading.Thread(target=self._work, name="desk", daemon=True) for _ in range(_CLIENTS)]
        for thread in self._threads:
            thread.start()

    def wait(self, seconds: float) -> bool:
        """Whether all reports have been dealt with within so many seconds."""
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0))
        return not self.is_busy()

    def is_busy(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def _work(self) -> None:
        while True:
            with self._lock:
                position, self._next = self._next, self._next + 1
            if position >= len(self._reports):
                return
            time.sleep(max(self._began + position / self._per_second - time.monotonic(), 0))
            self._report(self._reports[position])

    def _report(self, report: Report) -> None:
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            status, answer = self._post(report)
            with self._lock:
                self.answers[status] += 1
            if 200 <= status < 300:
                self._note(report, answer)
                return
            time.sleep(_PAUSE)

    def _note(self, report: Report, answer: dict[str, Any]) -> None:
        [event] = answer["events"]
        deliveries = [verdict["delivery"] for verdict in event["verdicts"] if verdict["delivery"] is not None]
        self._notes.add(ticket=report.ticket, deliveries=deliveries)
        if event["duplicate"]:
            return
        with self._lock:
            self._acknowledged += 1
            number = self._acknowledged
        self._on_acknowledged(number)

    def _post(self, report: Report) -> tuple[int, dict[str, Any]]:
        """Status and answer; 0 and nothing when none came."""
        connection = http.client.HTTPConnection("127.0.0.1", random.choice(self.ports), timeout=10)
        with contextlib.closing(connection):
            try:
                connection.request("POST", report.path, report.body(), {"Content-Type": "application/json"})
                answer = connection.getresponse()
                return answer.status, json.loads(answer.read())
            except (OSError, http.client.HTTPException, json.JSONDecodeError):
                return 0, {}
