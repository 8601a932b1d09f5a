"""A backup made under load, put back in another folder: it is sound, it sends nothing twice, and the work goes on."""

from __future__ import annotations

import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.serve.program import ListeningVendor, Program, wait_until

# Some ten commands and two installations, one after the other.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@contextmanager
def closing_tickets(program: Program) -> Iterator[list[str]]:
    """Close ticket after ticket in the background; gives the receipts of those that were acknowledged."""
    stop, receipts = threading.Event(), []

    def close() -> None:
        for number in range(1000, 2000):
            if stop.is_set():
                return
            answer = program.close_ticket(str(number))
            if answer.status == 202:
                receipts.append(answer.json()["receipt"])

    thread = threading.Thread(target=close)
    thread.start()
    try:
        yield receipts
    finally:
        stop.set()
        thread.join()


def test_a_backup_made_under_load_is_put_back_and_sends_nothing_twice(
    program: Program, vendor: ListeningVendor, tmp_path: Path
) -> None:
    running = program.start()
    assert program.close_ticket("1").status == 202
    wait_until(lambda: vendor.calls("1"), "a first call")
    # From now on calls hang, so that much waits when the backup is made.
    vendor.answers.clear()
    with closing_tickets(program) as receipts:
        wait_until(lambda: len(receipts) > 20, "load")
        before = list(receipts)
        told = program.run("backup", "copy.db").stdout
        wait_until(lambda: len(receipts) > len(before) + 5, "load after the backup")
    vendor.answers.set()
    assert "checked." in told
    assert "Keep a copy of data/keys.env elsewhere" in told
    last = before[-1]
    wait_until(lambda: {one.state for one in program.deliveries()} == {"accepted"}, "all is delivered after the backup")
    running.send_signal(signal.SIGTERM)
    assert running.wait(40) == 0

    # The machine is lost; its backup and its keys are put into another folder.
    other = Program(tmp_path / "other", vendor.origin)
    (other.folder / "data").mkdir(parents=True)
    shutil.copy(program.folder / "copy.db", other.folder / "data" / "plugin.db")
    shutil.copy(program.folder / "data" / "keys.env", other.folder / "data" / "keys.env")
    try:
        assert "restored --hold" in other.run("serve", "--port", str(other.port), code=1).stderr
        called = len(vendor.requests)
        assert "Held as uncertain: " in other.run("restored", "--hold").stdout
        other.start()
        assert other.close_ticket("2").status == 202
        wait_until(lambda: vendor.calls("2"), "the work goes on")

        assert len(vendor.requests) == called + 1
        assert all(len(vendor.calls(call["custom2"])) == 1 for call in vendor.calls())
        kept = {one.trigger_id: one for one in other.deliveries()}
        assert set(before) <= kept.keys()
        assert kept[last].state in {"uncertain", "claimed"}
        assert f"Receipt {last}" in other.run("receipt", last).stdout
        assert other.run("doctor").stdout.endswith("No fault found.\n")
    finally:
        other.close()


def test_what_waited_is_sent_when_that_is_said(program: Program, vendor: ListeningVendor, tmp_path: Path) -> None:
    program.run("connection", "pause", "acme", "lab")
    program.start()
    assert program.close_ticket("1").status == 202
    program.run("backup", "copy.db")
    assert "stop the workers first" in program.run("restored", "--send", code=1).stderr
    program.close()
    shutil.copy(program.folder / "copy.db", program.folder / "data" / "plugin.db")
    for name in ("plugin.db-wal", "plugin.db-shm"):
        (program.folder / "data" / name).unlink(missing_ok=True)

    program.run("restored", "--send")
    program.run("connection", "resume", "acme", "lab")
    program.start()

    wait_until(lambda: vendor.calls("1"), "what waited is sent")
