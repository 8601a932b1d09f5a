"""Deliberate mistakes in the program, made in a child only: a round that does not notice them proves nothing."""

from __future__ import annotations

import copy
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

#: By how much an acknowledgement comes before its commit, seconds.
_TOO_SOON = 0.05


def acknowledge_before_commit() -> None:
    """A trigger is answered while its transaction is still open; it is committed a moment later."""
    from plugin.pipeline.accept import Acceptor
    from plugin.store.database import Database

    def late_copy(database: Database) -> Database:
        write = database.write

        @contextmanager
        def write_late() -> Iterator[Any]:
            transaction = write()
            try:
                yield transaction.__enter__()
            except BaseException:
                transaction.__exit__(*sys.exc_info())
                raise
            threading.Timer(_TOO_SOON, transaction.__exit__, (None, None, None)).start()

        late = copy.copy(database)
        late.write = write_late
        return late

    make = Acceptor.__init__

    def make_late(self: Acceptor, database: Database, *rest: Any, **options: Any) -> None:
        make(self, late_copy(database), *rest, **options)

    Acceptor.__init__ = make_late


def settle_without_epoch() -> None:
    """Whatever a call brought is applied to the delivery, also when somebody else has claimed it since."""
    from plugin.store import settling

    values_of = settling._settled_values

    def applies(_row: Any, found: Any) -> bool:
        return found is not None and found.state in {"claimed", "uncertain"}

    def values_for_anybody(item: Any, found: Any, now: Any) -> dict[str, Any]:
        return values_of(item, found, now) | {"at_epoch": found.lease_epoch}

    settling.applies, settling._settled_values = applies, values_for_anybody


def claim_without_epoch() -> None:
    """A claim does not raise the epoch, so that an old claim and a new one look alike."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    raised, kept = "lease_epoch=(deliveries.lease_epoch + ", "lease_epoch=(deliveries.lease_epoch + 0 * "

    def keep(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> tuple[str, Any]:
        # Of all statements that raise it, only the claim gives rows back.
        return statement.replace(raised, kept) if "RETURNING" in statement else statement, parameters

    event.listen(Engine, "before_cursor_execute", keep, retval=True)


def claim_without_lane_locks() -> None:
    """Several workers may serve the same lane at the same moment, each with what the others left. PostgreSQL only."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    from plugin.store import lanes

    lock = "FOR UPDATE OF lanes SKIP LOCKED"

    def unlock(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> tuple[str, Any]:
        return statement.replace(lock, ""), parameters

    in_flight = lanes.in_flight

    def count_and_linger(*given: Any) -> Any:
        counted = in_flight(*given)
        # So that two of them meet in every run; with the locks they would not.
        time.sleep(0.1)
        return counted

    lanes.in_flight = count_and_linger
    event.listen(Engine, "before_cursor_execute", unlock, retval=True)


def synchronous_off() -> None:
    """A commit does not wait for the disk. SQLite only."""
    from sqlalchemy import event
    from sqlalchemy.pool import Pool

    def switch_off(connection: Any, _record: Any, _proxy: Any) -> None:
        connection.execute("PRAGMA synchronous = OFF")

    event.listen(Pool, "checkout", switch_off)


def synchronous_commit_off() -> None:
    """A commit does not wait for the disk. PostgreSQL only."""
    from sqlalchemy import event
    from sqlalchemy.pool import Pool

    def switch_off(connection: Any, _record: Any) -> None:
        connection.execute("SET synchronous_commit = off")

    event.listen(Pool, "connect", switch_off)


def repeat_what_is_uncertain() -> None:
    """A call that may have reached the vendor is made again, though nobody said that repeating it does no harm."""
    from plugin.store import leases

    recover = leases.recover

    def recover_by_repeating(db: Any, lost: Any, now: Any, *, repeat: bool) -> None:
        del repeat
        recover(db, lost, now, repeat=True)

    leases.recover = recover_by_repeating


def stop_without_draining() -> None:
    """A worker that is told to stop does not wait for its calls."""
    from plugin.worker import Worker

    def leave(_self: Worker) -> None:
        os._exit(0)

    Worker._drain = leave


MISTAKES: Mapping[str, Callable[[], None]] = {
    "acknowledge before commit": acknowledge_before_commit,
    "settle without epoch": settle_without_epoch,
    "claim without epoch": claim_without_epoch,
    "claim without lane locks": claim_without_lane_locks,
    "synchronous off": synchronous_off,
    "synchronous commit off": synchronous_commit_off,
    "repeat what is uncertain": repeat_what_is_uncertain,
    "stop without draining": stop_without_draining,
}
