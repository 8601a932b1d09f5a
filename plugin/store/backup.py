"""A copy of a SQLite database while web and workers go on writing to it.

The copy is one state of the database: a read transaction holds it for as long as the copying takes. In WAL mode that
keeps no writer waiting; only the write-ahead log grows meanwhile. The source is opened read-only, so closing it never
checkpoints, whichever connection is the last.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from plugin.errors import NotAllowed, StoreBroken, StoreUnavailable
from plugin.store.restored import BACKUP_MARK

#: Pages copied between two reports of progress; 4 MiB with pages of the usual size.
_PAGES_A_STEP: Final = 1024

#: Gets the pages copied so far and all pages.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Backup:
    """A finished copy. size: bytes. schema: the version of its tables."""

    path: Path
    size: int
    schema: str


def back_up(database: Path, target: Path, *, replace: bool, progress: Progress) -> Backup:
    """Copy a database to `target`, which only its owner can read; durable and checked when this returns.

    replace: whether a file of that name may be overwritten. Raises NotAllowed when it exists and may not, StoreBroken
    when the database or its copy is damaged, StoreUnavailable when one cannot be read or the other written; an older
    file of that name is left as it was then.
    """
    if not replace and target.exists():
        raise NotAllowed(f"{target} exists already; name another file, or say --force to replace it.")
    if target.exists() and target.samefile(database):
        raise NotAllowed(f"{target} is the database itself; name another file.")
    draft = target.with_name(f".{target.name}.{os.getpid()}.part")
    os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        with _translated():
            _copy(database, draft, progress)
            schema = _finish(draft)
        _make_durable(draft)
        draft.replace(target)
    finally:
        for name in (draft, *(draft.with_name(f"{draft.name}-{end}") for end in ("wal", "shm", "journal"))):
            with suppress(FileNotFoundError):
                name.unlink()
    _make_durable(target.parent)
    return Backup(target, target.stat().st_size, schema)


def _copy(database: Path, draft: Path, progress: Progress) -> None:
    with closing(_connect(database, "ro")) as source, closing(_connect(draft, "rw")) as copy:
        # It is made durable at the end; until then nobody needs it after a crash.
        copy.execute("PRAGMA journal_mode = OFF")
        copy.execute("PRAGMA synchronous = OFF")
        source.execute("BEGIN")
        # A transaction sees a state of the database from its first read on.
        source.execute("SELECT count(*) FROM sqlite_master").fetchone()
        source.backup(
            copy,
            pages=_PAGES_A_STEP,
            progress=lambda _, remaining, total: progress(total - remaining, total),
        )


def _finish(draft: Path) -> str:
    """Make the copy a single file that says what it is, and check it; gives the version of its tables."""
    with closing(_connect(draft, "rw")) as copy:
        copy.execute("PRAGMA synchronous = OFF")
        copy.execute("PRAGMA journal_mode = DELETE")
        copy.execute(f"PRAGMA application_id = {BACKUP_MARK}")
        # Nobody works on the copy.
        copy.execute("DELETE FROM workers")
        found = [row[0] for row in copy.execute("PRAGMA integrity_check")]
        if found != ["ok"]:
            raise StoreBroken(f"The copy is damaged, and so may be the database: {found[0]}; run: survey-plugin doctor")
        return str(copy.execute("SELECT version_num FROM alembic_version").fetchone()[0])


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    # No transactions of the driver's own.
    return sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode={mode}", uri=True, timeout=5, isolation_level=None)


def _make_durable(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise StoreUnavailable(f"The backup could not be made: {error}.") from error
    except sqlite3.DatabaseError as error:
        raise StoreBroken(f"The database is damaged or is no database: {error}.") from error
