"""Web and worker as a platform runs them, from the Procfile; commands from anywhere."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.serve.program import COMMAND, TENANT, ListeningVendor, Program, wait_until

pytestmark = pytest.mark.slow

CHECKOUT = Path(__file__).parents[2]


def procfile() -> dict[str, list[str]]:
    """Command lines by the names of their processes; programs are those beside this Python."""
    lines = (CHECKOUT / "Procfile").read_text().splitlines()
    commands = {name: shlex.split(command) for name, _, command in (line.partition(":") for line in lines)}
    return {name: [str(Path(sys.executable).with_name(first)), *rest] for name, (first, *rest) in commands.items()}


def test_the_procfile_runs_the_main_job(program: Program, vendor: ListeningVendor) -> None:
    commands = procfile()
    # gunicorn finds wsgi.py and its settings in the folder where it is started.
    for name in ("wsgi.py", "gunicorn.conf.py"):
        (program.folder / name).symlink_to(CHECKOUT / name)
    program.environment |= {"PORT": str(program.port), "WEB_CONCURRENCY": "2"}

    assert program.start(*commands["release"]).wait(40) == 0
    web, worker = program.start(*commands["web"]), program.start(*commands["worker"])
    program.wait_ready(web)
    assert program.close_ticket("701").status == 202
    wait_until(lambda: vendor.calls("701"), "the survey call")

    for process in (web, worker):
        process.send_signal(signal.SIGTERM)
    assert (web.wait(40), worker.wait(40)) == (0, 0)
    assert "Traceback" not in program.log.read_text()
    assert [delivery.state for delivery in program.deliveries()] == ["accepted"]


def test_gunicorn_tells_a_faulty_environment_in_sentences(program: Program) -> None:
    for name in ("wsgi.py", "gunicorn.conf.py"):
        (program.folder / name).symlink_to(CHECKOUT / name)
    program.environment |= {"PORT": str(program.port), "BASE_URL": "nonsense", "WORKER_THREADS": "many"}

    web = program.start(*procfile()["web"])

    assert web.wait(40) == 1
    told = program.log.read_text()
    assert "BASE_URL: is not an address" in told
    assert "WORKER_THREADS: must be a whole number from 1 to 512." in told
    assert "Traceback" not in told


def test_commands_work_from_any_folder_and_beside_a_folder_named_like_the_package(
    tmp_path: Path, vendor: ListeningVendor
) -> None:
    (tmp_path / "plugin").mkdir()
    (tmp_path / "plugin" / "__init__.py").write_text("raise SystemExit('the wrong package')", encoding="utf-8")
    with contextlib.closing(Program(tmp_path, vendor.origin)) as program:
        program.apply(TENANT)
        program.start()

        assert program.close_ticket("702").status == 202
        wait_until(lambda: vendor.calls("702"), "the survey call")
        assert (tmp_path / "data" / "plugin.db").is_file()
        assert (tmp_path / "data" / "keys.env").stat().st_mode & 0o777 == 0o600


def test_a_reader_that_goes_away_is_no_fault(program: Program) -> None:
    reading, writing = os.pipe()
    os.close(reading)

    done = subprocess.run(
        [COMMAND, "connectors", "--json"],
        check=False,
        cwd=program.folder,
        env=program.environment,
        stdout=writing,
        stderr=subprocess.PIPE,
        timeout=30,
    )
    os.close(writing)

    assert (done.returncode, done.stderr) == (0, b"")
