"""A small process tree: children are started again when they die, and end when their parent does, however it ends.

The parent holds the writing end of a pipe, the lifeline, and never writes. The kernel closes it when the parent dies,
also by kill -9; the children see the end of the file and stop. Each child leads a process group of its own, so that
Ctrl-C reaches the parent alone, which then ends them in order.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import IO, Final

import click

#: How long children may take to stop, seconds: a call under way has 20, and is settled then.
_STOPPING: Final = 30.0
#: Wait before a child that died is started again: this, doubled each time it dies young, up to the longest, seconds.
_FIRST_WAIT: Final = 0.2
_LONGEST_WAIT: Final = 30.0
_YOUNG: Final = 10.0

#: The environment variable that tells a child which file descriptor its lifeline is.
_LIFELINE: Final = "SURVEY_PLUGIN_LIFELINE"


@contextmanager
def lifeline() -> Iterator[int]:
    """The descriptor to give to children; they end when the block does, or when this process dies."""
    reading, writing = os.pipe()
    try:
        yield reading
    finally:
        os.close(writing)
        os.close(reading)


def start_child(arguments: Sequence[str], descriptor: int, *, log: IO[bytes] | None = None) -> subprocess.Popen[bytes]:
    """Run this program once more, with `arguments` and at the end of a lifeline.

    log: a file for its standard error; this process's own when left out.
    """
    return subprocess.Popen(  # noqa: S603  # our own program with our own arguments
        # -P: a folder named `plugin` where the command was given must not be taken for this package.
        [sys.executable, "-P", "-m", "plugin", *arguments],
        env={**os.environ, _LIFELINE: str(descriptor)},
        pass_fds=(descriptor,),
        stdin=subprocess.DEVNULL,
        stderr=log,
        process_group=0,
    )


def watch_lifeline(on_end: Callable[[], object]) -> None:
    """Call `on_end` once, from a thread, when the parent is gone. Does nothing in a process without a lifeline."""
    given = os.environ.get(_LIFELINE, "")
    if not given.isdigit():
        return

    def wait() -> None:
        while os.read(int(given), 1):
            pass
        on_end()

    threading.Thread(target=wait, name="lifeline", daemon=True).start()


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and Ctrl-C set from now on."""
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        # From a thread: the signal may have come just while this one holds the event's own lock.
        threading.Thread(target=stop.set, name="stop").start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    return stop


class Supervisor:
    """Keeps this program running with the arguments of each of `commands` until told to stop."""

    def __init__(self, commands: Sequence[Sequence[str]]) -> None:
        self._children = [_Child(arguments) for arguments in commands]

    def run(self) -> None:
        stop = stop_on_signals()
        watch_lifeline(stop.set)
        with lifeline() as descriptor:
            while not stop.is_set():
                for child in self._children:
                    child.keep_alive(descriptor)
                stop.wait(0.2)
            click.echo("Stopping; calls that are under way are settled first.", err=True)
            self._end_children()

    def _end_children(self) -> None:
        for child in self._children:
            child.ask_to_stop()
        deadline = time.monotonic() + _STOPPING
        for child in self._children:
            child.wait_until(deadline)


class _Child:
    def __init__(self, arguments: Sequence[str]) -> None:
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None
        self._wait = _FIRST_WAIT
        # By the monotonic clock, seconds.
        self._started = 0.0
        self._start_at = 0.0

    def keep_alive(self, descriptor: int) -> None:
        """Start the child when it is not running; a while later each time when it keeps dying young."""
        now = time.monotonic()
        if self._process is not None and self._process.poll() is not None:
            self._wait = min(self._wait * 2, _LONGEST_WAIT) if now - self._started < _YOUNG else _FIRST_WAIT
            click.echo(
                f"{self._arguments[0]} ended with code {self._process.returncode}; starting it again in "
                f"{self._wait:.1f} s",
                err=True,
            )
            self._process = None
            self._start_at = now + self._wait
        if self._process is None and now >= self._start_at:
            self._started = now
            self._process = start_child(self._arguments, descriptor)

    def ask_to_stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def wait_until(self, deadline: float) -> None:
        if self._process is None:
            return
        try:
            self._process.wait(max(deadline - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
