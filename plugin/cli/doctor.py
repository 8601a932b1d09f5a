"""`doctor` looks at an installation and names each fault; `connectors` lists what it can speak to."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import click

from plugin import __version__, registry
from plugin.app import Config, Parts, read_configuration
from plugin.cli.own_pages import ask_own
from plugin.cli.session import open_for_command, print_json
from plugin.errors import ConfigInvalid, OutboundFailed, SurveyPluginError, VaultError
from plugin.pipeline.credentials import connection_settings, load_credentials
from plugin.store import connections, sources, tenants, workers
from plugin.store.opening import sqlite_path
from plugin.store.schema import schema_problem
from plugin.store.sqlite import has_wal_reset_bug
from plugin.tenant_file import stored_document

_CLOCK_TOLERANCE: Final = timedelta(seconds=60)
_WORKER_SILENT: Final = timedelta(seconds=30)
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
#: Failures to reach BASE_URL that are expected while nothing runs there.
_NOT_YET: Final = frozenset({"refused", "timeout", "reset"})


@click.command()
def doctor() -> None:
    """Check configuration, keys, database, SQLite version and integrity, clock and reachability; name each fault."""
    click.echo(f"survey-plugin {__version__}")
    try:
        config = read_configuration()
    except ConfigInvalid as error:
        for problem in error.problems:
            _tell("fault", problem)
        click.get_current_context().exit(1)
    _tell("fine", "The environment is complete and well formed.")
    faults = 0
    for check in _checks(config):
        try:
            findings = list(check())
        except SurveyPluginError as error:
            findings = [("fault", str(error))]
        for word, sentence in findings:
            _tell(word, sentence)
            faults += word == "fault"
    if faults:
        click.echo(f"{faults} fault{'' if faults == 1 else 's'} found.")
        click.get_current_context().exit(1)
    click.echo("No fault found.")


Finding = tuple[str, str]


def _checks(config: Config) -> Iterator[Callable[[], Iterator[Finding]]]:
    path, keys = sqlite_path(config.database_url), config.keys_file
    if path is not None and keys is not None:
        yield lambda: _folder(path, keys)
        yield _sqlite_version
    opened: list[Parts] = []

    def database() -> Iterator[Finding]:
        parts = open_for_command(config)
        findings = list(_database(parts))
        if all(word != "fault" for word, _ in findings):
            opened.append(parts)
        yield from findings

    yield database
    yield lambda: _keys(opened)
    yield lambda: _workers(opened)
    yield lambda: _base_url(config, opened)
    yield lambda: _metrics(config)


def _folder(path: Path, keys: Path) -> Iterator[Finding]:
    folder = path.parent
    if not folder.is_dir():
        yield "fault", f"The database's folder {folder} does not exist; make it, or run: survey-plugin migrate"
        return
    try:
        # Tried and not looked up: rights may say yes where a mount or a quota says no.
        with tempfile.TemporaryFile(dir=folder):
            pass
        if path.is_file():
            with path.open("r+b"):
                pass
    except OSError as error:
        yield (
            "fault",
            f"The database's folder {folder} and its files cannot be written to: {error.strerror}.",
        )
    else:
        yield "fine", f"The database's folder {folder} can be written to."
    if keys.exists() and keys.stat().st_mode & 0o077:
        yield "fault", f"Other users of this machine can read the keys; run: chmod 600 {keys}"


def _sqlite_version() -> Iterator[Finding]:
    if has_wal_reset_bug():
        sentence = (
            f"SQLite {sqlite3.sqlite_version} has the WAL-reset bug (mended in 3.51.3); this program works around it "
            "with a single process that checkpoints. Other programs must not write to the database."
        )
        yield "note", sentence
    else:
        yield "fine", f"SQLite {sqlite3.sqlite_version}."


def _database(parts: Parts) -> Iterator[Finding]:
    if not parts.database.is_there:
        yield "fault", f"There is no database at {parts.database.place} yet; run: survey-plugin migrate"
        return
    problem = schema_problem(parts.database)
    if problem is not None:
        yield "fault", problem
        return
    parts.database.write_probe()
    yield "fine", "The database takes a write."
    damages = parts.database.integrity_problems()
    if damages:
        yield "fault", f"The database is damaged: {damages[0]} Restore a backup."
    else:
        yield "fine", "The database is sound."


def _keys(opened: list[Parts]) -> Iterator[Finding]:
    """Whether every stored secret can be read: a wrong DATA_KEYS shows here and nowhere earlier."""
    if not opened:
        return
    parts = opened[0]
    unreadable = 0
    with parts.database.read() as db:
        found = tenants.all_tenants(db)
        for tenant in found:
            try:
                stored_document(db, parts.vault, tenant)
                for source in sources.sources_of(db, tenant.id):
                    load_credentials(parts.vault, source)
                for connection in connections.connections_of(db, tenant.id):
                    connection_settings(parts.vault, connection)
            except VaultError as error:
                unreadable += 1
                yield "fault", f"Tenant {tenant.slug}: {error}"
    if not unreadable:
        yield "fine", f"The secrets of {len(found)} tenant{'' if len(found) == 1 else 's'} can be read."


def _workers(opened: list[Parts]) -> Iterator[Finding]:
    if not opened:
        return
    alive = _workers_alive(opened[0])
    if alive:
        yield "fine", f"{alive} worker{'' if alive == 1 else 's'} alive."
    else:
        yield "note", "No worker is running: triggers are kept, and nothing is sent until one runs."


def _workers_alive(parts: Parts) -> int:
    with parts.database.read() as db:
        seen = workers.all_workers(db)
    return sum(parts.mint.now() - one.seen_at < _WORKER_SILENT for one in seen)


def _base_url(config: Config, opened: list[Parts]) -> Iterator[Finding]:
    """Whether helpdesks would reach us at BASE_URL, and whether our clock agrees with what answers there."""
    if urlsplit(config.base_url).hostname in _LOOPBACK:
        yield "note", f"BASE_URL is {config.base_url}: only programs on this machine can call it."
    elif not config.is_https:
        yield "note", f"BASE_URL {config.base_url} is not https: whoever is on the way can read what helpdesks send."
    try:
        answer = ask_own(config, "healthz")
    except OutboundFailed as error:
        # Before the first start nothing can answer yet; a wrong name or certificate is wrong then too.
        is_awaited = error.kind in _NOT_YET and not (opened and _workers_alive(opened[0]))
        after = " Nothing may be running yet." if is_awaited else ""
        yield "note" if is_awaited else "fault", f"BASE_URL, where helpdesks call, does not answer: {error}{after}"
        return
    if answer.status != HTTPStatus.OK or answer.json_object.get("status") != "up":
        yield "fault", f"BASE_URL {config.base_url} answers {answer.status}, but it is not survey-plugin there."
        return
    yield "fine", f"BASE_URL {config.base_url} is reached."
    yield from _clock(answer.headers.get("date"))


def _clock(date: str | None) -> Iterator[Finding]:
    if date is None:
        return
    away = abs(datetime.now(UTC) - parsedate_to_datetime(date))
    if away > _CLOCK_TOLERANCE:
        yield "fault", f"This machine's clock and the one behind BASE_URL are {away.total_seconds():.0f} s apart."
    else:
        yield "fine", "The clock agrees with the one behind BASE_URL."


def _metrics(config: Config) -> Iterator[Finding]:
    if config.operator_token is None:
        yield "note", "OPERATOR_TOKEN is not set: /metrics shows nothing to anybody."
    else:
        yield "fine", "/metrics is shown for the OPERATOR_TOKEN."


def _tell(word: str, sentence: str) -> None:
    click.echo(f"{word:<5}  {sentence}")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
def connectors(as_json: bool) -> None:
    """List the trigger sources and survey vendors that this version speaks to."""
    found = _connectors()
    if as_json:
        print_json(found)
        return
    click.echo("Sources")
    for source in found["sources"]:
        click.echo(f"  {source['name']:<16}{source['title']}: {', '.join(source['events'])}")
    click.echo("Survey vendors")
    for vendor in found["vendors"]:
        click.echo(f"  {vendor['name']:<16}{vendor['title']}")
        for name, call in vendor["calls"].items():
            click.echo(f"    {name:<28}{', '.join(call['required'])} | {', '.join(call['optional'])}")


def _connectors() -> dict[str, Any]:
    return {
        "sources": [
            {
                "name": name,
                "title": registry.source(name).SOURCE.title,
                "events": sorted(registry.source(name).SOURCE.events),
                "placeholders": list(registry.source(name).SOURCE.placeholders),
            }
            for name in registry.source_names()
        ],
        "vendors": [
            {
                "name": name,
                "title": registry.vendor(name).VENDOR.title,
                "calls": {call_name: _call(call) for call_name, call in registry.vendor(name).VENDOR.calls.items()},
            }
            for name in registry.vendor_names()
        ],
    }


def _call(call: registry.Call) -> dict[str, list[str]]:
    fields = call.parameters().fields
    return {
        "required": [name for name, field in fields.items() if field.required],
        "optional": [name for name, field in fields.items() if not field.required],
    }


COMMANDS: Sequence[click.Command] = (doctor, connectors)
