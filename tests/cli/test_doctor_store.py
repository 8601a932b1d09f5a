"""What `doctor` says of the store: old keys, workers that went silent, values kept too long, and the server."""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import update

from plugin.cli.doctor_store import about_clock, about_connections, server_settings
from plugin.domain.identity import first_id
from plugin.store import workers
from plugin.store.database import Database
from plugin.store.opening import open_database
from plugin.store.server import CONNECTIONS_OF_A_PROCESS, Server, about_server
from plugin.store.tables import deliveries, trigger_bodies, triggers
from tests.cli.commands import Commands

DATABASE = Path("var/survey-plugin.db")


@pytest.fixture
def database(acme: Commands) -> Iterator[Database]:
    opened = open_database(f"sqlite:///{DATABASE}")
    with closing(opened):
        yield opened


def told(commands: Commands, word: str, code: int = 0) -> list[str]:
    lines = commands.run("doctor", code=code).stdout.splitlines()
    return [line.removeprefix(word).strip() for line in lines if line.startswith(word)]


def test_a_local_disk_and_values_that_are_young_are_fine(acme: Commands) -> None:
    fine = told(acme, "fine")

    assert any(line.startswith("The database lies on a file system of this machine (") for line in fine)
    assert "No values are kept longer than 90 days." in fine


def test_a_backup_that_was_put_back_is_a_fault_until_somebody_has_decided(acme: Commands) -> None:
    acme.run("backup", "copy.db")
    Path("copy.db").replace(DATABASE)

    [fault] = told(acme, "fault", code=1)
    assert "restored --hold" in fault

    acme.run("restored", "--hold")
    assert told(acme, "fault") == []


def test_secrets_sealed_with_an_older_key_are_noted(acme: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    old = re.search(r"^DATA_KEYS=(.*)$", Path("var/keys.env").read_text(), re.MULTILINE)
    assert old is not None
    monkeypatch.setenv("DATA_KEYS", f"{urlsafe_b64encode(bytes(32)).decode()},{old[1]}")

    assert "6 stored secrets are sealed with an older key; run: survey-plugin keys reencrypt" in told(acme, "note")

    acme.run("keys", "reencrypt")
    assert "No stored secret needs the older keys in DATA_KEYS any more; only backups may." in told(acme, "note")


def test_a_worker_that_went_silent_is_noted(acme: Commands, database: Database) -> None:
    with database.write() as db:
        workers.beat(db, "machine-1", now=datetime.now(UTC) - timedelta(minutes=5), threads=4)

    assert "Worker machine-1 has said nothing for 5 min: it was killed, or it hangs." in told(acme, "note")


def test_values_that_are_kept_too_long_are_noted_with_why(acme: Commands, database: Database) -> None:
    def grow_old() -> None:
        old = first_id(datetime.now(UTC) - timedelta(days=92))
        with database.write() as db:
            db.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
            db.execute(update(triggers).values(id=old))
            db.execute(update(trigger_bodies).values(trigger_id=old))
            db.exec_driver_sql("UPDATE events SET trigger_id = ?", (old,))

    acme.close_ticket()
    grow_old()
    assert "1 receipts keep values older than 90 days for deliveries still undecided." in told(acme, "note")

    with database.write() as db:
        db.execute(update(deliveries).values(state="cancelled"))
    assert "1 receipts have values older than 90 days; a worker removes them." in told(acme, "note")


# --- the server -------------------------------------------------------------------------------------------------------


@pytest.fixture
def on_postgresql(commands: Commands, postgresql_url: str, monkeypatch: pytest.MonkeyPatch) -> Commands:
    monkeypatch.setenv("DATABASE_URL", postgresql_url)
    monkeypatch.setenv("SECRET_KEYS", "s" * 40)
    monkeypatch.setenv("DATA_KEYS", urlsafe_b64encode(b"k" * 32).decode())
    return commands


def ask(url: str, query: str) -> str:
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as db:
        [value] = db.execute(query).fetchone() or [""]
        return str(value)


def test_the_server_is_looked_at(on_postgresql: Commands, postgresql_url: str) -> None:
    # A server made for tests may well be one that a power cut damages.
    off = [name for name in ("fsync", "full_page_writes") if ask(postgresql_url, f"SHOW {name}") == "off"]
    fine = told(on_postgresql, "fine", code=1 if off else 0)

    assert [fault.split()[3] for fault in told(on_postgresql, "fault", code=1 if off else 0)] == off
    assert any(re.fullmatch(r"PostgreSQL \d+\.", line) for line in fine)
    assert "The clock agrees with the database server's." in fine
    assert any("1 web process and 1 worker may open 40 connections; the server takes " in line for line in fine)


def test_a_server_that_forgets_what_it_acknowledged_is_a_fault(on_postgresql: Commands, postgresql_url: str) -> None:
    name = ask(postgresql_url, "SELECT current_database()")
    with psycopg.connect(postgresql_url.replace("+psycopg", ""), autocommit=True) as db:
        db.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')

    assert any("a crash loses triggers that were acknowledged" in fault for fault in told(on_postgresql, "fault", 1))


def test_backups_of_a_server_are_its_own_affair(on_postgresql: Commands) -> None:
    refused = on_postgresql.run("backup", "copy.db", code=1).stderr

    assert "pg_dump --format=custom" in refused
    assert "keep SECRET_KEYS and DATA_KEYS as well" in refused
    assert not Path("copy.db").exists()


def server(**settings: str) -> Server:
    return Server(version=17, settings=settings, connections=97, idle=0, now=datetime(2026, 11, 3, 12, 0, tzinfo=UTC))


@pytest.mark.parametrize("name", ["fsync", "full_page_writes", "autovacuum", "synchronous_commit"])
def test_each_setting_that_breaks_a_promise_is_a_fault(name: str) -> None:
    [(word, sentence)] = server_settings(server(**{name: "off"}))

    assert word == "fault"
    assert name in sentence


def test_settings_that_keep_the_promises_are_not_spoken_of() -> None:
    settings = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "remote_apply", "autovacuum": "on"}
    assert list(server_settings(server(**settings))) == []


def test_clocks_that_are_apart_are_a_fault() -> None:
    assert about_clock(server(), server().now + timedelta(seconds=4))[0] == "fine"
    assert about_clock(server(), server().now - timedelta(seconds=90)) == (
        "fault",
        "This machine's clock and the database server's are 90 s apart.",
    )


def test_more_connections_than_the_server_takes_are_noted() -> None:
    word, sentence = about_connections(server(), web=4, workers=2)

    assert word == "note"
    assert sentence.startswith(f"4 web processes and 2 workers may open {6 * CONNECTIONS_OF_A_PROCESS} connections")
    assert "PgBouncer" in sentence


def test_only_a_server_is_asked_about_itself(acme: Commands, database: Database) -> None:
    with database.read() as db:
        assert about_server(db) is None
