"""kill -9 between the steps of calls. The ledger is the pretended LimeSurvey, which knows whom it mailed."""

from __future__ import annotations

import contextlib
import json
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from plugin.sandbox.server import Sandbox
from tests.faults.desk import Desk, Report
from tests.faults.installation import PATHS, Installation, wait_until
from tests.faults.notes import Notes
from tests.faults.stores import STORES
from tests.faults.trial import GRACE, SHORT_LEASE, STRIKE

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),  # a busy machine takes its time to start so many processes
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="watches processes in /proc"),
]

TENANT = """
tenant: acme
name: Acme
timezone: Europe/Warsaw
language: pl
sources:
  - {name: first, kind: generic, key: first-0123456789abcdef, credentials: {url_only: true}}
connections:
  - {name: lime, vendor: limesurvey, settings: {origin: "VENDOR", username: admin, password: a-password}}
rules:
  - name: first
    when: {events: [ticket.closed]}
    connection: lime
    call: invite
    parameters: {survey_id: "282267", email: "{{ person.email }}"}
"""
TICKETS = 24
#: Where one worker after the other dies, and by which of its calls.
DEATHS = (("before settle", 5), ("half a request", 7), ("after claim", 4), ("before settle", 9))


def dies(point: str, nth: int) -> dict[str, Any]:
    return {"lease": SHORT_LEASE, "die": {"at": point, "nth": nth}}


class Ledger:
    """What LimeSurvey was asked for, and whom it mailed."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.added: Counter[str] = Counter()
        self.mailed: Counter[str] = Counter()
        # What arrived by half is no call, and was answered with nothing.
        for call in (call for call in sandbox.received if call.answer.body):
            asked, answer = json.loads(call.body), json.loads(call.answer.body)
            if asked["method"] == "add_participants":
                self.added.update(row["email"] for row in answer["result"])
            elif asked["method"] == "invite_participants":
                assert len(asked["params"][2]) == 1
                self.mailed.update(row["email"] for row in answer["result"].values() if isinstance(row, dict))


@pytest.fixture(params=["sqlite", "postgresql"])
def running(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Installation, Sandbox]]:
    with contextlib.ExitStack() as opened:
        store = opened.enter_context(STORES[request.param]())
        url = store.fresh(tmp_path)
        opened.callback(store.remove, url)
        sandbox = opened.enter_context(Sandbox())
        installation = Installation(tmp_path, sandbox.origin, url, tenant=TENANT)
        opened.callback(installation.close)
        yield installation, sandbox


def test_nobody_is_added_or_mailed_twice_and_whoever_is_accepted_was_mailed(running, tmp_path):
    installation, sandbox = running
    installation.start("web", {"lease": SHORT_LEASE})
    installation.wait_for_web()
    report(installation, tmp_path)

    for point, nth in DEATHS:
        installation.start("worker", dies(point, nth)).wait_dead(STRIKE)
    installation.start("worker", {"lease": SHORT_LEASE})
    wait_until(lambda: installation.live() == 0, SHORT_LEASE + GRACE + STRIKE, "everything is decided", pause=0.2)

    stored, ledger = installation.stored(), Ledger(sandbox)
    states = Counter(one.state for one in stored.values())
    assert set(states) <= {"accepted", "uncertain"}
    assert sum(states.values()) == TICKETS
    # In each death at most the lane's cap of calls was under way, and some call was.
    assert states["accepted"] >= TICKETS // 4
    assert any(one.claims > 3 for one in stored.values()) or states["uncertain"]
    assert max(ledger.added.values()) == 1
    assert max(ledger.mailed.values()) == 1
    # Of one that is held, nobody knows; the mail may have left.
    assert states["accepted"] <= len(ledger.mailed) <= states["accepted"] + states["uncertain"]
    assert installation.damages() == []


def report(installation: Installation, folder: Path) -> None:
    """Report every ticket, and wait until each was taken."""
    taken = threading.Event()
    notes = Notes(folder / "acknowledgements.jsonl")
    try:
        desk = Desk(
            [installation.port], notes, on_acknowledged=lambda number: taken.set() if number == TICKETS else None
        )
        desk.start([Report(str(number), PATHS[0]) for number in range(TICKETS)], per_second=200.0)
        assert desk.wait(STRIKE)
    finally:
        notes.close()
