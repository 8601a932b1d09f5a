"""SIGSTOP: a process sleeps for longer than the others wait for it, then goes on where it was."""

from __future__ import annotations

import threading
import time

from tests.faults.acts.kills import begin_and_strike
from tests.faults.installation import Child, free_port
from tests.faults.trial import STRIKE, Trial
from tests.faults.vendor import ACCEPTS, BUSY, Answer, Request


def sleep_past_lease(trial: Trial) -> None:
    """A worker sleeps past its lease, another one takes over, then the sleeper goes on where it was."""
    trial.must_meet_calls = True
    _, worker = begin_and_strike(trial, "on_read", Child.freeze)
    trial.struck(worker.pid)
    trial.start("worker")
    time.sleep((trial.lease or 45.0) + 2.0)
    worker.thaw()


def sleep_past_lease_repeat_safe(trial: Trial) -> None:
    """The sleeper's calls have been made again meanwhile; what it brings must not disturb those.

    The vendor refuses what the sleeper asked for, and takes what the other worker asks for; but it answers the latter
    only when the sleeper is up again and has settled.
    """
    refuses, answers = threading.Event(), threading.Event()
    # As many as two lanes can have under way at once, whichever they fall into.
    trial.tickets = 6
    reached = {1: threading.Semaphore(0), 2: threading.Semaphore(0)}

    def decide(request: Request) -> Answer:
        return BUSY if request.attempt == 1 else ACCEPTS

    def hold(request: Request) -> None:
        if request.attempt in reached:
            reached[request.attempt].release()
            (refuses if request.attempt == 1 else answers).wait(STRIKE)

    trial.behaviour.decide, trial.behaviour.on_read = decide, hold
    # A deadline beyond the lease: the sleeper is to find an answer when it wakes, not that its time is over.
    trial.common |= {"repeat safe": True, "deadline": 15.0}
    trial.start("web")
    trial.installation.wait_for_web()
    # Asleep in a write transaction it would keep everybody else from writing, and nobody could take over.
    freeze = trial.folder / "freeze"
    sleeper = trial.start("worker", freeze=str(freeze))
    trial.load()
    _take(trial, reached[1], trial.tickets, "the first calls are made")
    freeze.touch()
    sleeper.wait_frozen(STRIKE)
    trial.struck(sleeper.pid)
    refuses.set()
    trial.start("worker")
    _take(trial, reached[2], trial.tickets, "the calls are made again")
    sleeper.thaw()
    time.sleep(0.5)
    answers.set()


def _take(trial: Trial, semaphore: threading.Semaphore, count: int, what: str) -> None:
    for _ in range(count):
        if not semaphore.acquire(timeout=STRIKE):
            raise TimeoutError(f"not within {STRIKE:g} s: {what}")


def sleep_web(trial: Trial) -> None:
    """The web part sleeps past the lease, perhaps in a write transaction; what the worker learns meanwhile is kept."""
    web, _ = trial.begin()
    trial.wait_a_while()
    web.freeze()
    time.sleep((trial.lease or 45.0) + 2.0)
    web.thaw()


def sleep_web_while_writing(trial: Trial) -> None:
    """One of two web parts sleeps past the lease within a write transaction: the others wait for it or do without.

    The vendor is slow, so its lanes are busy when the sleeper looks at them, and may be at rest when it commits.
    """
    trial.behaviour.latency = 0.5
    freeze = trial.folder / "freeze"
    port = free_port()
    sleeper = trial.start("web", port=port, **{"freeze writing": str(freeze)})
    trial.installation.wait_for_web(port)
    trial.desk.ports = [trial.installation.port, port]
    nth = trial.some_number()
    trial.at_acknowledgement = lambda number: freeze.touch() if number == nth else None
    trial.begin()
    sleeper.wait_frozen(STRIKE)
    time.sleep((trial.lease or 45.0) + 2.0)
    sleeper.thaw()
