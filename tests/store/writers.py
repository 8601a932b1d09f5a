"""Writers in processes of their own, for tests of what one of them means to the others."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, insert, select

from plugin.store.database import Database
from plugin.store.tables import workers

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)

_WRITER = """
import sys
from tests.store.writers import add
from plugin.store.opening import open_database

url, name, count, hold = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] == "hold"
database = open_database(url)
for number in range(count):
    with database.write() as db:
        add(db, f"{name}-{number}")
        if hold:
            print("inside", flush=True)
            sys.stdin.readline()
"""


def add(db: Connection, name: str, now: datetime = NOW) -> None:
    db.execute(insert(workers).values(id=name, started_at=now, seen_at=now, threads=1))


def names(database: Database) -> list[str]:
    with database.read() as db:
        return sorted(db.execute(select(workers.c.id)).scalars())


def start_writer(url: str, name: str, count: int = 1) -> subprocess.Popen[str]:
    """A process that makes `count` transactions."""
    return _start(url, name, str(count), "go")


@contextmanager
def writer_inside(url: str, name: str) -> Iterator[subprocess.Popen[str]]:
    """A process that has written and does not commit before it reads a line."""
    writer = _start(url, name, "1", "hold")
    try:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "inside\n"
        yield writer
    finally:
        writer.communicate("go\n", timeout=10)


def _start(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _WRITER, *words], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
