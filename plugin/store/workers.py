"""Which workers are alive, by their heartbeats."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, delete, insert, select, update

from plugin.store.tables import workers

#: A worker whose heartbeat is older than this is taken for dead.
ALIVE: Final = timedelta(seconds=20)


@dataclass(frozen=True)
class WorkerSeen:
    id: str
    started_at: datetime
    seen_at: datetime
    threads: int


def beat(db: Connection, worker: str, *, now: datetime, threads: int) -> None:
    """Say that a worker is alive."""
    changed = db.execute(update(workers).where(workers.c.id == worker).values(seen_at=now))
    if not changed.rowcount:
        db.execute(insert(workers).values(id=worker, started_at=now, seen_at=now, threads=threads))


def gone(db: Connection, worker: str) -> None:
    """Forget a worker that has stopped."""
    db.execute(delete(workers).where(workers.c.id == worker))


def forget_silent(db: Connection, before: datetime) -> None:
    db.execute(delete(workers).where(workers.c.seen_at < before))


def all_workers(db: Connection) -> list[WorkerSeen]:
    query = select(workers.c.id, workers.c.started_at, workers.c.seen_at, workers.c.threads)
    return [WorkerSeen(*row) for row in db.execute(query.order_by(workers.c.seen_at.desc()))]
