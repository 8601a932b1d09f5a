"""The total deadline of a call. Socket time-outs start anew at every read, so a server that trickles outlives them."""

from __future__ import annotations

import contextlib
import math
import socket
import threading
from collections.abc import Callable, Iterator


class Call:
    """One HTTP call while it lasts: until when, what it has reached, and the wire to cut at the deadline.

    host: for messages. public_only: whether only public addresses may be dialled.
    sent: whether a byte of the request may have left. bytes_sent: how many have at most. expired: whether the deadline
    came first.
    """

    def __init__(self, host: str, ends_at: float, clock: Callable[[], float], *, public_only: bool) -> None:
        self.host = host
        self.public_only = public_only
        self.ends_at = ends_at
        self.sent = False
        self.bytes_sent = 0
        self.expired = False
        self._clock = clock
        self._wire: socket.socket | None = None
        self._lock = threading.Lock()

    def remaining(self) -> float:
        """Seconds left, more than 0. Raises TimeoutError when there are none."""
        seconds = self.ends_at - self._clock()
        if self.expired or seconds <= 0:
            raise TimeoutError("the call's time is over")
        return seconds

    def cut_at_end(self, sock: socket.socket) -> None:
        """Have `sock` shut at the deadline. The first socket given stays the one."""
        with self._lock:
            if self._wire is None:
                # A duplicate, because wrapping in TLS and closing both invalidate the original under another
                # thread's hands, and its number may then already belong to somebody else's connection.
                self._wire = socket.fromfd(sock.fileno(), sock.family, sock.type)
            if self.expired:
                self._cut()

    def begin(self, sock: socket.socket, count: int) -> None:
        """So many bytes are about to leave through `sock`. Raises TimeoutError when it is too late for the first."""
        if not self.sent:
            self.remaining()
            self.cut_at_end(sock)
            self.sent = True
        self.bytes_sent += count

    def expire(self) -> None:
        """The deadline is here: whatever waits on the wire wakes up with an error."""
        with self._lock:
            self.expired = True
            self._cut()

    def end(self) -> None:
        """Let go of the wire, which may live on in the pool."""
        with self._lock:
            if self._wire is not None:
                self._wire.close()
                self._wire = None

    def _cut(self) -> None:
        if self._wire is not None:
            with contextlib.suppress(OSError):  # the other side was faster
                self._wire.shutdown(socket.SHUT_RDWR)


class Watchdog:
    """One thread that expires calls at their deadlines. It starts with the first call."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._calls: set[Call] = set()
        self._changed = threading.Condition()
        self._wakes_at = math.inf
        self._running = False
        self._closed = False

    @contextlib.contextmanager
    def watching(self, call: Call) -> Iterator[None]:
        """Expire `call` if the block lasts beyond its deadline. Raises RuntimeError after `close`."""
        self._add(call)
        try:
            yield
        finally:
            with self._changed:
                self._calls.discard(call)
            call.end()

    def close(self) -> None:
        """Take no more calls; those under way keep their deadlines."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _add(self, call: Call) -> None:
        with self._changed:
            if self._closed:
                raise RuntimeError("this Outbound has been closed")
            self._calls.add(call)
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, name="outbound-watchdog", daemon=True).start()
            elif call.ends_at < self._wakes_at:
                # Deadlines mostly come in the order of the calls, so that the thread is rarely woken for nothing.
                self._changed.notify()

    def _run(self) -> None:
        with self._changed:
            while self._calls or not self._closed:
                now = self._clock()
                for call in [call for call in self._calls if call.ends_at <= now]:
                    call.expire()
                    self._calls.discard(call)
                self._wakes_at = min((call.ends_at for call in self._calls), default=math.inf)
                self._changed.wait(None if self._wakes_at == math.inf else max(self._wakes_at - now, 0))
