"""What `doctor` looks at in the store: each check gives its findings, a word and a sentence each."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from plugin.app import Config, Parts
from plugin.domain.identity import first_id
from plugin.errors import VaultError
from plugin.pipeline.credentials import connection_settings, load_credentials
from plugin.pipeline.reencrypt import keys_in_use
from plugin.store import connections, erasure, sources, tenants, workers
from plugin.store.filesystem import filesystem_kind, is_shared
from plugin.store.opening import sqlite_path
from plugin.store.postgresql import OLDEST_SERVER
from plugin.store.restored import copy_problem
from plugin.store.schema import schema_problem
from plugin.store.server import CONNECTIONS_OF_A_PROCESS, Server, about_server
from plugin.store.sqlite import has_wal_reset_bug
from plugin.store.workers import WorkerSeen
from plugin.tenant_file import stored_document

#: `fine`, `note` or `fault`, and what there is to say.
Finding = tuple[str, str]

_WORKER_SILENT: Final = timedelta(seconds=30)
#: Clocks that are further apart make retries and leases come early or late.
_CLOCK_TOLERANCE: Final = timedelta(seconds=5)
#: Retention may be so late before it is worth a word.
_RETENTION_GRACE: Final = timedelta(days=1)


# --- before the database is opened ------------------------------------------------------------------------------------


def check_folder(config: Config) -> Iterator[Finding]:
    """Whether a SQLite database's folder takes files, and who can read the keys in it."""
    path, keys = sqlite_path(config.database_url), config.keys_file
    if path is None or keys is None:
        return
    folder = path.parent
    if not folder.is_dir():
        yield "fault", f"The database's folder {folder} does not exist; make it, or run: survey-plugin migrate"
        return
    try:
        _try_to_write(folder, path)
    except OSError as error:
        yield "fault", f"The database's folder {folder} and its files cannot be written to: {error.strerror}."
    else:
        yield "fine", f"The database's folder {folder} can be written to."
    if keys.exists() and keys.stat().st_mode & 0o077:
        yield "fault", f"Other users of this machine can read the keys; run: chmod 600 {keys}"


def _try_to_write(folder: Path, path: Path) -> None:
    # Tried and not looked up: rights may say yes where a mount or a quota says no.
    with tempfile.TemporaryFile(dir=folder):
        pass
    if path.is_file():
        with path.open("r+b"):
            pass


def check_filesystem(config: Config) -> Iterator[Finding]:
    """Whether a SQLite database lies on a local disk; opening it tells when it does not."""
    path = sqlite_path(config.database_url)
    kind = filesystem_kind(path) if path is not None else None
    if kind is not None and not is_shared(kind):
        yield "fine", f"The database lies on a file system of this machine ({kind})."


def check_sqlite_version(config: Config) -> Iterator[Finding]:
    if sqlite_path(config.database_url) is None:
        return
    if has_wal_reset_bug():
        sentence = (
            f"SQLite {sqlite3.sqlite_version} has the WAL-reset bug (mended in 3.51.3); this program works around it "
            "with a single process that checkpoints. Other programs must not write to the database."
        )
        yield "note", sentence
    else:
        yield "fine", f"SQLite {sqlite3.sqlite_version}."


# --- the database -----------------------------------------------------------------------------------------------------


def check_database(parts: Parts) -> Iterator[Finding]:
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


def check_copy(parts: Parts) -> Iterator[Finding]:
    """Whether this is a backup put back, of which nobody has said what becomes of what waited."""
    with parts.database.read() as db:
        problem = copy_problem(db)
    if problem is not None:
        yield "fault", problem


def check_server(parts: Parts) -> Iterator[Finding]:
    """Version, settings, clock and connections of a PostgreSQL server."""
    with parts.database.read() as db:
        server = about_server(db)
        alive = len(_alive(workers.all_workers(db), parts.mint.now()))
    if server is None:
        return
    yield _about_version(server)
    yield from server_settings(server)
    yield about_clock(server, datetime.now(UTC))
    yield about_connections(server, web=parts.config.web_concurrency, workers=max(alive, 1))
    if server.idle:
        sentence = (
            f"{server.idle} session{'' if server.idle == 1 else 's'} of this database have held a transaction open "
            "without work for 30 s or more; while they do, claims grow slower. See pg_stat_activity."
        )
        yield "note", sentence


def _about_version(server: Server) -> Finding:
    if server.version < OLDEST_SERVER:
        return "fault", f"PostgreSQL {server.version} is older than {OLDEST_SERVER}, the oldest that this works with."
    return "fine", f"PostgreSQL {server.version}."


def server_settings(server: Server) -> Iterator[Finding]:
    """Settings of a server that would break a promise of ours."""
    for name in ("fsync", "full_page_writes"):
        if server.settings.get(name) == "off":
            yield "fault", f"The server's setting {name} is off: a power cut damages the database. Switch it on."
    if server.settings.get("synchronous_commit") == "off":
        sentence = (
            "The server's setting synchronous_commit is off: a crash loses triggers that were acknowledged. Switch it "
            "on, at least for this database: ALTER DATABASE … SET synchronous_commit = on"
        )
        yield "fault", sentence
    if server.settings.get("autovacuum") == "off":
        yield "fault", "The server's setting autovacuum is off: claims grow slower day by day. Switch it on."


def about_clock(server: Server, now: datetime) -> Finding:
    away = abs(now - server.now)
    if away > _CLOCK_TOLERANCE:
        return "fault", f"This machine's clock and the database server's are {away.total_seconds():.0f} s apart."
    return "fine", "The clock agrees with the database server's."


def about_connections(server: Server, *, web: int, workers: int) -> Finding:
    """Whether the server takes what one web machine and the workers may open."""
    wanted = (web + workers) * CONNECTIONS_OF_A_PROCESS
    sentence = (
        f"{web} web process{'' if web == 1 else 'es'} and {workers} worker{'' if workers == 1 else 's'} may open "
        f"{wanted} connections; the server takes {server.connections}."
    )
    if wanted > server.connections:
        return "note", f"{sentence} Raise max_connections, or put PgBouncer in transaction mode between."
    return "fine", sentence


# --- what is in it ----------------------------------------------------------------------------------------------------


def check_keys(parts: Parts) -> Iterator[Finding]:
    """Whether every stored secret can be read: a wrong DATA_KEYS shows here and nowhere earlier."""
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


def check_older_keys(parts: Parts) -> Iterator[Finding]:
    """Whether secrets are still sealed with keys that should have been replaced."""
    newest, *older = parts.vault.key_ids
    in_use = keys_in_use(parts.database, parts.vault)
    waiting = sum(in_use.get(key_id, 0) for key_id in older)
    if waiting:
        yield "note", f"{waiting:,} stored secrets are sealed with an older key; run: survey-plugin keys reencrypt"
    elif older and newest in in_use:
        yield "note", "No stored secret needs the older keys in DATA_KEYS any more; only backups may."


def check_workers(parts: Parts) -> Iterator[Finding]:
    now = parts.mint.now()
    with parts.database.read() as db:
        seen = workers.all_workers(db)
    alive = _alive(seen, now)
    if alive:
        yield "fine", f"{len(alive)} worker{'' if len(alive) == 1 else 's'} alive."
    else:
        yield "note", "No worker is running: triggers are kept, and nothing is sent until one runs."
    for one in seen:
        if one not in alive:
            minutes = (now - one.seen_at).total_seconds() / 60
            yield "note", f"Worker {one.id} has said nothing for {minutes:.0f} min: it was killed, or it hangs."


def workers_alive(parts: Parts) -> int:
    with parts.database.read() as db:
        return len(_alive(workers.all_workers(db), parts.mint.now()))


def _alive(seen: list[WorkerSeen], now: datetime) -> list[WorkerSeen]:
    return [one for one in seen if now - one.seen_at < _WORKER_SILENT]


def check_retention(parts: Parts) -> Iterator[Finding]:
    """Whether values are kept longer than they should be."""
    days = parts.config.retention_days
    overdue = first_id(parts.mint.now() - timedelta(days=days) - _RETENTION_GRACE)
    with parts.database.read() as db:
        old, undecided = erasure.count_overdue(db, overdue)
    many = " or more" if old >= erasure.COUNTED_AT_MOST else ""
    if old > undecided:
        yield "note", f"{old - undecided:,}{many} receipts have values older than {days} days; a worker removes them."
    if undecided:
        yield "note", f"{undecided:,}{many} receipts keep values older than {days} days for deliveries still undecided."
    if not old:
        yield "fine", f"No values are kept longer than {days} days."
