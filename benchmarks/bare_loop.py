"""The floor of `deliver`: threads that make the same calls with `requests` and do nothing else."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import requests

from benchmarks.processes import Child, child


class BareLoops:
    """Processes that are ready to call."""

    def __init__(self, loops: Sequence[Child]) -> None:
        self._loops = loops

    @property
    def pids(self) -> list[int]:
        return [loop.pid for loop in self._loops]

    def start(self, calls: int) -> None:
        """Make so many calls between them; does not wait."""
        for number, loop in enumerate(self._loops):
            loop.tell(calls // len(self._loops) + (number < calls % len(self._loops)))


@contextmanager
def bare_loops(origin: str, processes: int, threads: int) -> Iterator[BareLoops]:
    with ExitStack() as stack:
        loops = [stack.enter_context(child("benchmarks.bare_loop")) for _ in range(processes)]
        for loop in loops:
            loop.ask({"origin": origin, "threads": threads})
        yield BareLoops(loops)


# --- in the process -----------------------------------------------------------------------------------------------


def _call(session: requests.Session, origin: str, numbers: Iterator[int]) -> None:
    # next() of an iterator written in C: safe between threads
    for number in numbers:
        answer = session.get(
            f"{origin}/api.php",
            params={
                "apiToken": "x",
                "method": "addRespondent",
                "cId": "1",
                "email": "lucja@example.com",
                "crk": f"{number:026}",
                "custom1": "model",
            },
        )
        if answer.status_code != 200:
            raise RuntimeError(f"answered {answer.status_code}")


def _run(origin: str, threads: int) -> None:
    sessions = [requests.Session() for _ in range(threads)]
    for session in sessions:
        # What the product does not look up either: proxies and credentials in the environment.
        session.trust_env = False
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        numbers = iter(range(json.loads(line)))
        callers = [threading.Thread(target=_call, args=(session, origin, numbers)) for session in sessions]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
    for session in sessions:
        session.close()


if __name__ == "__main__":
    _run(**json.loads(sys.stdin.readline()))
