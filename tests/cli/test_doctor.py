"""`doctor` names every fault of an installation, and finds none in a sound one."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from plugin.store import workers
from plugin.store.opening import open_database
from tests.cli.commands import Commands

DATABASE = Path("var/survey-plugin.db")


def faults(commands: Commands) -> list[str]:
    """The sentences of the faults that `doctor` finds; there is at least one."""
    told = commands.run("doctor", code=1).stdout.splitlines()
    return [line.removeprefix("fault").strip() for line in told if line.startswith("fault")]


class Elsewhere(BaseHTTPRequestHandler):
    """Another program that answers at our address."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the parent's name
        pass


class OurselvesYesterday(Elsewhere):
    """This program, on a machine whose clock is a day behind."""

    def do_GET(self) -> None:
        body = json.dumps({"status": "up"}).encode()
        self.send_response_only(200)
        self.send_header("Date", "Mon, 05 Jan 2026 00:00:00 GMT")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def answering() -> Iterator[Callable[[type[BaseHTTPRequestHandler]], str]]:
    """Starts a server; gives its address."""
    servers: list[HTTPServer] = []

    def start(kind: type[BaseHTTPRequestHandler]) -> str:
        servers.append(HTTPServer(("127.0.0.1", 0), kind))
        threading.Thread(target=servers[-1].serve_forever, args=(0.02,), daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_sound_installation_has_no_fault(acme: Commands) -> None:
    told = acme.run("doctor").stdout

    assert told.endswith("No fault found.\n")
    assert "fine   The secrets of 1 tenant can be read." in told
    assert "note   No worker is running" in told
    assert "only programs on this machine can call it" in told


def test_every_fault_of_the_environment_is_named(commands: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_KEYS", "short")
    monkeypatch.setenv("SECRET_KEYS", "short")
    monkeypatch.setenv("BASE_URL", "surveys.example.com")

    assert [sentence.partition(":")[0] for sentence in faults(commands)] == ["BASE_URL", "SECRET_KEYS", "DATA_KEYS"]


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("sqlite:////proc/plugin.db", "/proc"),
        ("sqlite:////dev/null/below/plugin.db", "/dev/null/below"),
        ("mysql://db/plugin", "mysql is not supported"),
    ],
)
def test_a_database_that_cannot_be_made_there_is_a_fault(
    commands: Commands, monkeypatch: pytest.MonkeyPatch, url: str, sentence: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)

    assert any(sentence in fault for fault in faults(commands))


def test_a_folder_that_only_looks_writable_is_a_fault(acme: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = Path("var/keys.env").read_text(encoding="utf-8").splitlines()
    for line in keys:
        if not line.startswith("#"):
            monkeypatch.setenv(*line.split("=", 1))
    monkeypatch.setenv("DATABASE_URL", "sqlite:////proc/plugin.db")

    assert "The database's folder /proc and its files cannot be written to" in faults(acme)[0]


def test_a_database_that_does_not_exist_yet_is_a_fault_and_is_not_made(commands: Commands) -> None:
    assert faults(commands) == [f"There is no database at {DATABASE} yet; run: survey-plugin migrate"]
    assert not DATABASE.exists()


def test_a_file_that_is_no_database_is_a_fault(acme: Commands) -> None:
    DATABASE.write_bytes(b"this is no database at all, whatever its name says\n" * 200)

    assert any("damaged or is no database" in fault for fault in faults(acme))


def test_a_damaged_database_is_a_fault(acme: Commands) -> None:
    with closing(sqlite3.connect(DATABASE)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.execute("PRAGMA journal_mode = DELETE")
    whole = bytearray(DATABASE.read_bytes())
    for start in range(4096, len(whole), 4096):
        whole[start + 100 : start + 400] = bytes(300)
    DATABASE.write_bytes(whole)

    assert any("damaged" in fault for fault in faults(acme))


def test_another_programs_database_is_a_fault(commands: Commands) -> None:
    DATABASE.parent.mkdir()
    with closing(sqlite3.connect(DATABASE)) as db:
        db.execute("CREATE TABLE customers (id INTEGER PRIMARY KEY)")
        db.commit()

    told = "The database holds tables of another program; name one of our own in DATABASE_URL."
    assert faults(commands) == [told]
    assert commands.run("migrate", code=1).stderr == f"{told}\n"


def test_a_database_of_a_newer_version_is_a_fault(acme: Commands) -> None:
    with closing(sqlite3.connect(DATABASE)) as db:
        db.execute("UPDATE alembic_version SET version_num = '9999'")
        db.commit()

    assert "made by a newer version" in faults(acme)[0]
    assert "made by a newer version" in acme.run("migrate", code=1).stderr


def test_a_changed_data_key_is_a_fault_of_each_tenant(acme: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_KEYS", urlsafe_b64encode(bytes(32)).decode())

    [fault] = faults(acme)

    assert fault.startswith("Tenant acme: A stored secret in ")
    assert "not in DATA_KEYS" in fault


def test_keys_that_others_can_read_are_a_fault(acme: Commands) -> None:
    Path("var/keys.env").chmod(0o644)

    assert faults(acme) == ["Other users of this machine can read the keys; run: chmod 600 var/keys.env"]


def test_another_program_at_our_address_is_a_fault(
    acme: Commands, answering: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BASE_URL", answering(Elsewhere))

    [fault] = faults(acme)

    assert "answers 200, but it is not survey-plugin there" in fault


def test_a_clock_that_is_off_is_a_fault(
    acme: Commands, answering: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BASE_URL", answering(OurselvesYesterday))

    [fault] = faults(acme)

    assert "This machine's clock and the one behind BASE_URL are" in fault


def test_an_address_whose_name_nobody_knows_is_a_fault(acme: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BASE_URL", "https://surveys.invalid")

    [fault] = faults(acme)

    assert fault.startswith("BASE_URL, where helpdesks call, does not answer: surveys.invalid")


def test_silence_at_our_address_is_a_fault_once_a_worker_runs(acme: Commands) -> None:
    database = open_database(f"sqlite:///{DATABASE}")
    with closing(database), database.write() as db:
        workers.beat(db, "a-worker", now=datetime.now(UTC), threads=1)

    [fault] = faults(acme)

    assert "does not answer: 127.0.0.1:8000: the connection was refused" in fault


def test_an_address_without_https_is_noted(acme: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BASE_URL", "http://surveys.invalid")

    assert "is not https" in acme.run("doctor", code=1).stdout


def test_metrics_that_nobody_may_read_are_noted(acme: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "OPERATOR_TOKEN is not set" in acme.run("doctor").stdout
    monkeypatch.setenv("OPERATOR_TOKEN", "operator-token-0123456789")
    told = acme.run("doctor").stdout

    assert "/metrics is shown for the OPERATOR_TOKEN" in told
    assert "operator-token" not in told


def test_a_removed_database_is_told_by_other_commands_too(acme: Commands) -> None:
    shutil.rmtree("var")
    Path("var").write_text("", encoding="utf-8")

    assert "var/keys.env: the keys cannot be read or made there" in acme.run("tenant", "list", code=1).stderr
