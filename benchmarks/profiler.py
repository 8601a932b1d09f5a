"""Runs survey-plugin under a sampling profiler: `python -m benchmarks.profiler worker`.

Each few milliseconds it looks which threads have used processor time since, and books that time on the functions they
stand in. Waiting costs nothing, so what is shown is what the processor does. cProfile would show the cost of counting.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from benchmarks.processes import ROOT

#: The environment variable that names the folder for the profiles; set, it switches profiling on.
PROFILE_FOLDER = "BENCH_PROFILE_FOLDER"
_PAUSE = 0.004
#: How long a thread may keep the interpreter from the sampler, seconds. With Python's own 5 ms most threads would give
#: it up by themselves before, where they wait, and all their time would seem to be spent there.
_SWITCH = 0.0002
_WRITING = 1.0
_STANDARD = Path(os.__file__).parent


@contextmanager
def profiling(folder: Path | None) -> Iterator[None]:
    """Whatever of the product is started within the block leaves its profile in `folder`; None: nothing does."""
    if folder is not None:
        os.environ[PROFILE_FOLDER] = str(folder)
    try:
        yield
    finally:
        os.environ.pop(PROFILE_FOLDER, None)


class Sampler:
    """Samples this process's other threads and keeps a file with the sums."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / f"{os.getpid()}.json"
        self._own: Counter[str] = Counter()
        self._within: Counter[str] = Counter()
        self._used: dict[int, int] = {}

    def run(self) -> None:
        next_writing = time.monotonic() + _WRITING
        while True:
            time.sleep(_PAUSE)
            self._sample()
            if time.monotonic() >= next_writing:
                next_writing += _WRITING
                self._write()

    def _sample(self) -> None:
        frames = sys._current_frames()  # noqa: SLF001  # public in all but its name
        for thread in threading.enumerate():
            spent = self._spent(thread)
            frame = frames.get(thread.ident or 0)
            if spent and frame is not None and thread is not threading.current_thread():
                self._book(frame, spent)

    def _spent(self, thread: threading.Thread) -> int:
        """Nanoseconds of processor time since the last look; 0 at the first."""
        try:
            used = int(Path(f"/proc/self/task/{thread.native_id}/schedstat").read_text().split()[0])
        except OSError:
            return 0
        before = self._used.get(thread.native_id or 0, used)
        self._used[thread.native_id or 0] = used
        return used - before

    def _book(self, frame: FrameType, spent: int) -> None:
        names = []
        at: FrameType | None = frame
        while at is not None:
            names.append(_name(at))
            at = at.f_back
        if any("importlib" in name for name in names):
            return  # starting up
        self._own[names[0]] += spent
        self._within.update(dict.fromkeys(names, spent))

    def _write(self) -> None:
        self._file.write_text(json.dumps({"command": sys.argv[1], "own": self._own, "within": self._within}))


def _name(frame: FrameType) -> str:
    path = frame.f_code.co_filename
    short = path.removeprefix(f"{ROOT}/").rpartition("site-packages/")[2].removeprefix(f"{_STANDARD}/")
    return f"{short}:{frame.f_code.co_qualname}"


def show(folder: Path, top: int = 18) -> str:
    """The profiles of a folder as text: a table for each command, the most expensive functions first."""
    lines = []
    for command in ("web", "worker"):
        own: Counter[str] = Counter()
        within: Counter[str] = Counter()
        for file in folder.glob("*.json"):
            profile = json.loads(file.read_text())
            if profile["command"] == command:
                own.update(profile["own"])
                within.update(profile["within"])
        if total := own.total():
            lines += [f"\nprofile of {command}: {total / 1e9:.1f} s of processor time"]
            lines += ["  in the function itself", *_top(own, total, top)]
            ours = Counter({name: spent for name, spent in within.items() if name.startswith("plugin/")})
            lines += ["  in it and what it calls, of plugin/", *_top(ours, total, top)]
    return "\n".join(lines)


def _top(spent: Counter[str], total: int, top: int) -> list[str]:
    return [f"  {share / total:6.1%}  {name}" for name, share in spent.most_common(top)]


def _start() -> None:
    sys.setswitchinterval(_SWITCH)
    sampler = Sampler(Path(os.environ[PROFILE_FOLDER]))
    threading.Thread(target=sampler.run, name="profiler", daemon=True).start()


if __name__ == "__main__":
    from plugin.cli import main

    _start()
    # gunicorn forks its workers.
    os.register_at_fork(after_in_child=_start)
    main()
