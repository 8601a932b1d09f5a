"""A bulk replay that is killed or stopped in the middle and resumed makes each item once. Real processes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.serve.program import COMMAND, TENANT, ListeningVendor, Program, wait_until

ITEMS = 40
REPLAY = ("replay", "--tenant", "acme", "--state", "cancelled")


@pytest.fixture
def program(tmp_path: Path, vendor: ListeningVendor):
    """An installation with deliveries that were cancelled before anything was sent."""
    made = Program(tmp_path, vendor.origin)
    made.apply(
        TENANT.replace("connections:", "  - {name: crm, kind: generic, credentials: {url_only: true}}\nconnections:")
    )
    message = [
        {
            "ticket": {
                "id": str(number),
                "title": "t",
                "requester": {"email": f"person{number}@example.com", "first_name": "P"},
            }
        }
        for number in range(ITEMS)
    ]
    (tmp_path / "message.json").write_text(json.dumps(message))
    made.run("trigger", "acme", "crm", "message.json")
    made.run("cancel", *(one.id for one in made.deliveries()))
    yield made
    made.close()


def made_of(program: Program) -> list[str]:
    """What was made once more, once for each time."""
    return [one.replay_of for one in program.deliveries() if one.replay_of is not None]


def cancelled(program: Program) -> set[str]:
    return {one.id for one in program.deliveries() if one.state == "cancelled"}


def replay_id(program: Program) -> str:
    [line] = program.run("replay", "list", "acme").stdout.splitlines()
    return line.split()[0]


def test_a_replay_that_is_killed_again_and_again_makes_each_item_once(program):
    program_of_round = [COMMAND, *REPLAY, "--per-minute", "3000"]
    for _ in range(4):
        before = len(made_of(program))
        process = program.start(*program_of_round)
        wait_until(lambda before=before: len(made_of(program)) > before + 2, "some items were made")
        process.kill()
        process.wait()
        program_of_round = [COMMAND, "replay", "resume", replay_id(program)]
    assert len(made_of(program)) < ITEMS

    told = program.run("replay", "resume", replay_id(program)).stdout

    assert f"Done: {ITEMS} new deliveries, refused 0." in told
    assert sorted(made_of(program)) == sorted(cancelled(program))


def test_a_replay_that_is_killed_before_its_first_item_is_made_whole(program):
    """Also where it is killed while it is still choosing."""
    process = program.start(COMMAND, *REPLAY, "--per-minute", "3000")
    wait_until(lambda: program.run("replay", "list", "acme").stdout, "it has begun")
    process.kill()
    process.wait()

    program.run("replay", "resume", replay_id(program))

    assert sorted(made_of(program)) == sorted(cancelled(program))


def test_ctrl_c_stops_it_and_says_how_to_go_on(program):
    process = program.start(COMMAND, *REPLAY, "--per-minute", "600")
    wait_until(lambda: made_of(program), "the first item was made")

    process.send_signal(signal.SIGINT)

    assert process.wait(30) == 1
    said = program.log.read_text()
    assert said.endswith(f"\nStopped. Go on with: survey-plugin replay resume {replay_id(program)}\n")
    assert "Traceback" not in said
    program.run("replay", "resume", replay_id(program))
    assert sorted(made_of(program)) == sorted(cancelled(program))


def test_it_keeps_to_its_pace(program):
    process = program.start(COMMAND, *REPLAY, "--per-minute", "60")
    wait_until(lambda: made_of(program), "the first item was made")
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(2)
    process.kill()

    # One at once, then one in each of two seconds; the processes of a busy machine may be late, never early.
    assert len(made_of(program)) <= 4


def test_a_terminal_shows_a_bar(program):
    master, terminal = os.openpty()
    process = subprocess.Popen(
        [COMMAND, *REPLAY, "--per-minute", "6000"],
        cwd=program.folder,
        env={**program.environment, "TERM": "xterm", "COLUMNS": "100"},
        stdout=subprocess.PIPE,
        stderr=terminal,
    )
    os.close(terminal)
    shown = b""
    with contextlib.suppress(OSError):  # the end of a terminal is an error on Linux
        while data := os.read(master, 65536):
            shown += data
    os.close(master)
    told, _ = process.communicate(timeout=30)

    assert process.returncode == 0
    assert b"Replaying" in shown
    assert b"/40" in shown
    assert b"Done: 40 new deliveries" in told
