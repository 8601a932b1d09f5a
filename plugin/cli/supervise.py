"""A small process tree: children are started again when they die, and end when their parent does, however it ends.

The parent holds the writing end of a pipe, the lifeline, and never writes. The kernel closes it when the parent dies,
also by kill -9; the children see the end of the file and stop.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Final

import click

#: How long children may take to stop, seconds: a call under way has 20, and is settled then.
_STOPPING: Final = 30.0
#: Wait before a child that died is started again: this, doubled each time it dies young, up to the longest, seconds.
_FIRST_WAIT: Final = 0.2
_LONGEST_WAIT: Final = 30.0
_YOUNG: Final = 10.0


@dataclass(frozen=True)
class LifelineVariable:
    """The environment variable that tells a child which file descriptor its lifeline is."""

    name: str

    def given(self) -> int | None:
        value = os.environ.get(self.name, "")
        return int(value) if value.isdigit() else None


LIFELINE: Final = LifelineVariable("SURVEY_PLUGIN_LIFELINE")


def watch_lifeline(descriptor: int | None, on_end: Callable[[], object]) -> None:
    """Call `on_end` once, from a thread, when the parent is gone. Does nothing without a lifeline."""
    if descriptor is None:
        return

    def wait() -> None:
        while os.read(descriptor, 1):
            pass
        on_end()

    threading.Thread(target=wait, name="lifeline", daemon=True).start()


class Supervisor:
    """Runs `python -m plugin <arguments>` for each of `commands` until told to stop."""

    def __init__(self, commands: Sequence[Sequence[str]]) -> None:
        self._children = [_Child(arguments) for arguments in commands]
        self._stop = threading.Event()

    def run(self) -> None:
        reading, writing = os.pipe()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        watch_lifeline(LIFELINE.given(), self._stop.set)
        try:
            while not self._stop.is_set():
                for child in self._children:
                    child.keep_alive(reading)
                self._stop.wait(0.2)
        finally:
            self._end_children()
            os.close(writing)
            os.close(reading)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._stop.set()

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
        self._started = 0.0
        self._wait = _FIRST_WAIT
        self._start_at = 0.0

    def keep_alive(self, lifeline: int) -> None:
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
            self._process = subprocess.Popen(  # noqa: S603  # our own program with our own arguments
                [sys.executable, "-m", "plugin", *self._arguments],
                env={**os.environ, LIFELINE.name: str(lifeline)},
                pass_fds=(lifeline,),
            )

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
