"""The write turn: one writer at a time, over all threads and processes of this machine."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from plugin.errors import StoreUnavailable

#: Time between two tries for the lock file, seconds.
_PAUSE: Final = 0.001

_TOO_LATE: Final = "The database is busy: the turn to write did not come in time."


class WriteTurn:
    """A lock file beside the database. The kernel lets go of it when its holder dies, however it dies."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread_turn = threading.Lock()
        self._file: int | None = None

    @contextmanager
    def taken(self, wait: float) -> Iterator[None]:
        """Hold the turn for the length of the block. Raises StoreUnavailable when `wait` seconds were not enough."""
        deadline = time.monotonic() + wait
        if not self._thread_turn.acquire(timeout=wait):
            raise StoreUnavailable(_TOO_LATE)
        try:
            self._lock_file(deadline)
            try:
                yield
            finally:
                self._unlock_file()
        finally:
            self._thread_turn.release()

    def _lock_file(self, deadline: float) -> None:
        try:
            if self._file is None:
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            while not _is_locked(self._file):
                if time.monotonic() >= deadline:
                    raise StoreUnavailable(_TOO_LATE)
                time.sleep(_PAUSE)
        except OSError as error:
            raise StoreUnavailable(f"The database's lock file cannot be used: {error.strerror}.") from error

    def _unlock_file(self) -> None:
        if self._file is not None:
            fcntl.flock(self._file, fcntl.LOCK_UN)


def _is_locked(file: int) -> bool:
    """Whether the lock is ours now."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
