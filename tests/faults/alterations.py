"""Faults inside the program's own processes. Nothing here is part of the product: each child gets them as it starts."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

#: More pages than SQLite ever has: no limit.
_ANY_SIZE = 1_073_741_823


def apply(faults: Mapping[str, Any]) -> None:
    """Apply faults by name, in the order of FAULTS below. Raises KeyError for one that is not there."""
    unknown = faults.keys() - FAULTS.keys()
    if unknown:
        raise KeyError(f"no such faults: {', '.join(sorted(unknown))}")
    for name, alter in FAULTS.items():
        if name in faults:
            alter(faults[name])


def shorten_lease(seconds: float) -> None:
    """A lease of so many seconds; the times that hang together with it keep their proportion."""
    from plugin.domain import delivery

    share = seconds / delivery.LEASE.total_seconds()
    # Other modules take these values when they are imported, which has not happened yet.
    delivery.LEASE *= share
    delivery.CALL_DEADLINE *= share
    delivery.GIVE_BACK_AFTER *= share


def set_deadline(seconds: float) -> None:
    """A call may take so many seconds."""
    from plugin.domain import delivery

    delivery.CALL_DEADLINE = timedelta(seconds=seconds)


def shift_clock(path: str) -> None:
    """The wall clock is off by as many seconds as the file says; the monotonic clock is not."""
    import plugin.app
    from plugin.domain.identity import Mint

    true_mint = plugin.app.system_mint

    def shifted_mint() -> Mint:
        mint = true_mint()
        return Mint(lambda: mint.now() + timedelta(seconds=float(Path(path).read_text("ascii"))), mint.entropy)

    plugin.app.system_mint = shifted_mint


def limit_room(path: str) -> None:
    """While the file is there, the database cannot grow by a single page. SQLite only."""
    from sqlalchemy import event
    from sqlalchemy.pool import Pool

    def limit(connection: Any, _record: Any, _proxy: Any) -> None:
        # 1 is less than there is, which SQLite takes for "no more than there is".
        connection.execute(f"PRAGMA max_page_count = {1 if Path(path).exists() else _ANY_SIZE}")

    event.listen(Pool, "checkout", limit)


def repeat_safe(_: object) -> None:
    """Every step counts as one that a vendor documents as repeat-safe."""
    from plugin.pipeline import deliver

    deliver.is_repeat_safe = lambda _vendor, _call, _step: True


def freeze_at_rest(path: str) -> None:
    """The worker stops itself (SIGSTOP) once the file is there, and removes it; not within a transaction."""
    from plugin.worker import Worker

    collect = Worker._collect

    def freeze_then_collect(self: Worker, wait: float) -> None:
        if Path(path).exists():
            Path(path).unlink()
            os.kill(os.getpid(), signal.SIGSTOP)
        collect(self, wait)

    Worker._collect = freeze_then_collect


def freeze_writing(path: str) -> None:
    """The process stops itself (SIGSTOP) within a write transaction once the file is there, and removes it."""

    def freeze() -> None:
        with contextlib.suppress(FileNotFoundError):
            Path(path).unlink()
            os.kill(os.getpid(), signal.SIGSTOP)

    _before_each_commit(freeze)


def be_next_version(migrations: str) -> None:
    """The program knows one more change of the schema, from that folder."""
    from plugin.store import schema

    own_config = schema._config

    def next_config() -> Any:
        config = own_config()
        config.set_main_option("script_location", migrations)
        return config

    schema._config = next_config


def note_durability(path: str) -> None:
    """Write down each answer to the question whether commits wait for the disk, as connections are put to work."""
    import psycopg
    from sqlalchemy import event
    from sqlalchemy.pool import Pool

    seen: set[str] = set()

    def note(connection: Any, _record: Any, _proxy: Any) -> None:
        question = "PRAGMA synchronous" if isinstance(connection, sqlite3.Connection) else "SHOW synchronous_commit"
        try:
            [value] = connection.execute(question).fetchone()
        except psycopg.Error:
            return  # the server has gone, which the program is to find out by itself
        if str(value) not in seen:
            seen.add(str(value))
            with Path(path).open("a", encoding="ascii") as file:
                file.write(f"{value}\n")

    event.listen(Pool, "checkout", note)


def make_mistake(name: str) -> None:
    from tests.faults.mistakes import MISTAKES

    MISTAKES[name]()


# --- death at a named point -------------------------------------------------------------------------------------------


class Fuse:
    """Burns down as a point is passed; at the last time it is the moment to die."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._lock = threading.Lock()

    def burns_out(self) -> bool:
        with self._lock:
            self._length -= 1
            return self._length == 0

    def burn(self) -> None:
        if self.burns_out():
            die()


def die() -> NoReturn:
    """End this process, with gunicorn's others when it is one of them, as by kill -9."""
    os.killpg(0, signal.SIGKILL)
    raise AssertionError("this process has been killed")


def die_at(order: Mapping[str, Any]) -> None:
    """Die when the point `order["at"]` is passed for the `order["nth"]` time in this process."""
    POINTS[order["at"]](Fuse(order["nth"]))


def _after_claim(fuse: Fuse) -> None:
    from plugin.worker import Worker

    claim_and_settle = Worker._claim_and_settle

    def claim_then_die(self: Worker, free: int) -> list[Any]:
        claimed = claim_and_settle(self, free)
        if claimed:
            fuse.burn()
        return claimed

    Worker._claim_and_settle = claim_then_die


def _before_settle(fuse: Fuse) -> None:
    from plugin.worker import Worker

    claim_and_settle = Worker._claim_and_settle

    def die_then_settle(self: Worker, free: int) -> list[Any]:
        if self._unsettled:
            fuse.burn()
        return claim_and_settle(self, free)

    Worker._claim_and_settle = die_then_settle


def _after_settle(fuse: Fuse) -> None:
    from plugin.worker import Worker

    claim_and_settle = Worker._claim_and_settle

    def settle_then_die(self: Worker, free: int) -> list[Any]:
        settles = bool(self._unsettled)
        claimed = claim_and_settle(self, free)
        if settles:
            fuse.burn()
        return claimed

    Worker._claim_and_settle = settle_then_die


def _after_connect(fuse: Fuse) -> None:
    from plugin.outbound.connections import _Checked

    connect = _Checked.connect

    def connect_then_die(self: Any) -> None:
        connect(self)
        fuse.burn()

    _Checked.connect = connect_then_die


def _half_a_request(fuse: Fuse) -> None:
    from plugin.outbound.connections import _Checked

    send = _Checked.send

    def send_half_then_die(self: Any, data: bytes) -> None:
        if not fuse.burns_out():
            send(self, data)
            return
        send(self, data[: len(data) // 2])
        die()

    _Checked.send = send_half_then_die


def _before_commit(fuse: Fuse) -> None:
    _before_each_commit(fuse.burn)


def _before_each_commit(act: Callable[[], None]) -> None:
    from plugin.store.database import Database

    write = Database.write

    @contextmanager
    def write_then_act(self: Database) -> Iterator[Any]:
        with write(self) as connection:
            yield connection
            act()

    Database.write = write_then_act


def _after_commit(fuse: Fuse) -> None:
    from plugin.store.database import Database

    write = Database.write

    @contextmanager
    def write_then_die(self: Database) -> Iterator[Any]:
        with write(self) as connection:
            yield connection
        fuse.burn()

    Database.write = write_then_die


POINTS: Mapping[str, Callable[[Fuse], None]] = {
    "after claim": _after_claim,
    "after connect": _after_connect,
    "half a request": _half_a_request,
    "before settle": _before_settle,
    "after settle": _after_settle,
    "before commit": _before_commit,
    "after commit": _after_commit,
}

#: Lease and deadline come first, before anything else of the program is imported; what is noted comes last.
FAULTS: Mapping[str, Callable[[Any], None]] = {
    "lease": shorten_lease,
    "deadline": set_deadline,
    "clock": shift_clock,
    "room": limit_room,
    "repeat safe": repeat_safe,
    "freeze": freeze_at_rest,
    "freeze writing": freeze_writing,
    "next version": be_next_version,
    "die": die_at,
    "mistake": make_mistake,
    "note durability": note_durability,
}
