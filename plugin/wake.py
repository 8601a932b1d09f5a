"""The wake hint: tells the workers of this machine that something has just become due.

A datagram without content on a local socket. Workers look for due work by themselves all the time, so a hint that is
lost costs a moment and nothing else. Each worker listens at a socket of its own in one folder; whoever hints, hints to
all of them.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import socket
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy.engine import make_url

#: The longest path that a local socket may have, on any system; a socket's own name takes some of it.
_LONGEST_FOLDER: Final = 80
#: Hints that come within this time of each other are one, seconds.
_PAUSE: Final = 0.002


def wake_folder(database_url: str) -> Path:
    """Where the sockets are of all that work on this database: beside a file, else among the temporary files."""
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite" and url.database:
        beside = Path(f"{Path(url.database).absolute()}.wake")
        if len(os.fsencode(beside)) <= _LONGEST_FOLDER:
            return beside
        url = url.set(database=str(beside))
    shown = url.set(password=None).render_as_string()
    mark = hashlib.sha256(shown.encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"survey-plugin-{os.getuid()}-{mark}"


class WakeHint:
    """Sends hints. One for a process, shared by its threads; make it after forking."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def send(self) -> None:
        """Have every worker of this machine look for due work. Never waits, never raises."""
        try:
            listening = list(self._folder.iterdir()) if _is_ours(self._folder) else []
        except OSError:
            return
        for path in listening:
            self._send_to(path)

    def close(self) -> None:
        self._socket.close()

    def _send_to(self, path: Path) -> None:
        try:
            self._socket.sendto(b"", str(path))
        except ConnectionRefusedError:
            # Its worker is gone and could not clear it away.
            with contextlib.suppress(OSError):
                path.unlink()
        except OSError:
            # A full socket has hints enough; one that is gone needs none.
            return


class WakeListener:
    """Listens for hints on behalf of one worker."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def listening(self, wake: Callable[[], None]) -> Iterator[None]:
        """Call `wake`, in a thread of its own, for hints that come while the block lasts.

        Where no socket can be made there are no hints, and nothing else is different.
        """
        ear = self._open()
        if ear is None:
            yield
            return
        path, listener = ear
        over = threading.Event()
        thread = threading.Thread(target=_listen, args=(listener, wake, over), name="wake-listener", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            with contextlib.suppress(OSError):
                path.unlink()
            with contextlib.suppress(OSError):
                # Ends a receive that is under way.
                listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            listener.close()

    def _open(self) -> tuple[Path, socket.socket] | None:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = self._folder / f"{os.getpid()}-{secrets.token_hex(3)}"
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            if not _is_ours(self._folder):
                raise PermissionError
            listener.bind(str(path))
            path.chmod(0o600)
        except OSError:
            listener.close()
            return None
        return path, listener


def _listen(listener: socket.socket, wake: Callable[[], None], over: threading.Event) -> None:
    while not over.is_set():
        try:
            listener.recv(1)
        except OSError:
            return
        wake()
        time.sleep(_PAUSE)
        with contextlib.suppress(BlockingIOError):
            while not over.is_set():
                listener.recv(1, socket.MSG_DONTWAIT)


def _is_ours(folder: Path) -> bool:
    """Whether nobody else can put anything there: a name among the temporary files may be taken by anyone."""
    found = folder.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
