"""The rounds: each brings one fault over an installation under load. What a round does by chance, its seed decides."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.faults.installation import Child, sqlite_in, wait_until
from tests.faults.trial import SHORT_LEASE, TICKETS, Result, Trial
from tests.faults.vendor import ACCEPTS, BUSY, Answer, Request

#: How long a round waits for its fault to strike, seconds.
_STRIKE: Final = 20.0


@dataclass(frozen=True)
class Round:
    """act: bring the load and the fault. lease: seconds, None for the program's own 45, without any change to it."""

    act: Callable[[Trial], None]
    lease: float | None = SHORT_LEASE


def run_round(
    name: str,
    seed: int,
    *,
    tickets: int = TICKETS,
    mistake: str | None = None,
    fresh_database: Callable[[Path], str] = sqlite_in,
) -> Result:
    """Run one round in a folder of its own.

    tickets: how many are closed, 20 or more. mistake: made on purpose in every process, see mistakes.py.
    fresh_database: gives the address of an empty database for the round in that folder.
    """
    chosen = ROUNDS[name]
    with tempfile.TemporaryDirectory(prefix="survey-plugin-faults-") as folder:
        common = {} if mistake is None else {"mistake": mistake}
        trial = Trial(seed, Path(folder), fresh_database, tickets, chosen.lease, common)
        try:
            _act(chosen, trial)
            return trial.finish(name)
        finally:
            trial.close()


def _act(chosen: Round, trial: Trial) -> None:
    try:
        chosen.act(trial)
    except TimeoutError as error:
        trial.failures.append(f"{error}.")


def no_fault(trial: Trial) -> None:
    """Nothing happens, and nothing must be uncertain."""
    trial.begin()


# --- kill -9 of the worker --------------------------------------------------------------------------------------------


def kill_worker(trial: Trial) -> None:
    """At any moment."""
    _, worker = trial.begin()
    trial.wait_a_while()
    _kill_worker(trial, worker)
    trial.start("worker")


def kill_worker_often(trial: Trial) -> None:
    """Again and again, each time soon after it has come up."""
    _, worker = trial.begin()
    for _ in range(3):
        time.sleep(trial.random.uniform(0.7, 1.5))
        _kill_worker(trial, worker)
        worker = trial.start("worker")


def kill_one_of_two_workers(trial: Trial) -> None:
    """The other goes on and decides what the dead one had claimed."""
    trial.start("worker")
    _, worker = trial.begin()
    trial.wait_a_while()
    _kill_worker(trial, worker)


def _kill_worker_at(point: str) -> Callable[[Trial], None]:
    def act(trial: Trial) -> None:
        trial.must_meet_calls = point in {"after claim", "after connect", "half a request", "before settle"}
        trial.behaviour.keeps_alive = point != "after connect"
        _, worker = trial.begin(worker={"die": {"at": point, "nth": trial.random.randint(2, 12)}})
        worker.wait_dead(_STRIKE)
        trial.struck(worker.pid)
        trial.start("worker")

    return act


def kill_worker_request_read(trial: Trial) -> None:
    """By the vendor's hand: when it has the request and before it answers."""
    trial.must_meet_calls = True
    _begin_and_strike(trial, "on_read", lambda worker: _kill_worker(trial, worker))
    trial.start("worker")


def kill_worker_answered(trial: Trial) -> None:
    """By the vendor's hand: when its answer has just left."""
    _begin_and_strike(trial, "on_answered", lambda worker: _kill_worker(trial, worker))
    trial.start("worker")


def _begin_and_strike(trial: Trial, moment: str, strike: Callable[[Child], None]) -> tuple[Child, Child]:
    """Begin, and strike the worker at that moment of one of the vendor's requests."""
    nth = trial.some_number()
    struck = threading.Event()

    def strike_at_request(request: Request) -> None:
        if request.number == nth:
            strike(worker)
            struck.set()

    setattr(trial.behaviour, moment, strike_at_request)
    web, worker = trial.begin()
    trial.expect("The vendor got too few requests to strike.", so=struck.wait(_STRIKE))
    return web, worker


def _kill_worker(trial: Trial, worker: Child) -> None:
    worker.kill()
    trial.struck(worker.pid)


# --- kill -9 of the web part ------------------------------------------------------------------------------------------


def kill_web(trial: Trial) -> None:
    """At any moment."""
    web, _ = trial.begin()
    trial.wait_a_while()
    web.kill()
    trial.start("web")


def kill_web_worker(trial: Trial) -> None:
    """Gunicorn's worker alone: its arbiter starts another."""
    web, _ = trial.begin()
    trial.wait_a_while()
    for pid in web.children():
        os.kill(pid, signal.SIGKILL)


def kill_web_at_answer(trial: Trial) -> None:
    """As soon as the helpdesk has written down an acknowledgement."""
    nth = trial.some_number()
    killed = threading.Event()
    begun = threading.Event()

    def kill(number: int) -> None:
        if number == nth:
            begun.wait(_STRIKE)
            web.kill()
            killed.set()

    trial.at_acknowledgement = kill
    web, _ = trial.begin()
    begun.set()
    trial.expect("There were too few acknowledgements to strike.", so=killed.wait(_STRIKE))
    trial.start("web")


def _kill_web_at(point: str) -> Callable[[Trial], None]:
    def act(trial: Trial) -> None:
        web, _ = trial.begin(web={"die": {"at": point, "nth": trial.some_number()}})
        web.wait_dead(_STRIKE)
        trial.start("web")

    return act


# --- kill -9 of more than one -----------------------------------------------------------------------------------------


def kill_both(trial: Trial) -> None:
    """Web and worker, at any moment."""
    web, worker = trial.begin()
    trial.wait_a_while()
    web.kill()
    _kill_worker(trial, worker)
    trial.start("web")
    trial.start("worker")


def kill_serve(trial: Trial) -> None:
    """The parent alone: its children settle what is under way, and end."""
    serve = _begin_serve(trial)
    trial.wait_a_while()
    children = serve.children()
    serve.kill_alone()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children), 30, "the children end")
    trial.start("serve")


def kill_serve_tree(trial: Trial) -> None:
    """The parent and all its children."""
    serve = _begin_serve(trial)
    trial.wait_a_while()
    workers = serve.children("worker")
    serve.kill_tree()
    for pid in workers:
        trial.struck(pid)
    trial.start("serve")


def _begin_serve(trial: Trial) -> Child:
    serve = trial.start("serve")
    trial.installation.wait_for_web()
    trial.load()
    return serve


# --- stopped for too long ---------------------------------------------------------------------------------------------


def stop_past_lease(trial: Trial) -> None:
    """A worker sleeps past its lease, another one takes over, then the sleeper goes on where it was."""
    trial.must_meet_calls = True
    _, worker = _begin_and_strike(trial, "on_read", Child.freeze)
    trial.struck(worker.pid)
    trial.start("worker")
    time.sleep((trial.lease or 45.0) + 2.0)
    worker.thaw()


def stop_past_lease_repeat_safe(trial: Trial) -> None:
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
            (refuses if request.attempt == 1 else answers).wait(_STRIKE)

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
    sleeper.wait_frozen(_STRIKE)
    trial.struck(sleeper.pid)
    refuses.set()
    trial.start("worker")
    _take(trial, reached[2], trial.tickets, "the calls are made again")
    sleeper.thaw()
    time.sleep(0.5)
    answers.set()


def _take(trial: Trial, semaphore: threading.Semaphore, count: int, what: str) -> None:
    for _ in range(count):
        if not semaphore.acquire(timeout=_STRIKE):
            raise TimeoutError(f"not within {_STRIKE:g} s: {what}")


def stop_web(trial: Trial) -> None:
    """The web part sleeps past the lease, perhaps in a write transaction; what the worker learns meanwhile is kept."""
    web, _ = trial.begin()
    trial.wait_a_while()
    web.freeze()
    time.sleep((trial.lease or 45.0) + 2.0)
    web.thaw()


# --- asked to stop ----------------------------------------------------------------------------------------------------


def stop_worker(trial: Trial) -> None:
    """SIGTERM: calls under way are settled, and nothing is uncertain."""
    _, worker = trial.begin()
    trial.wait_a_while()
    worker.terminate()
    trial.start("worker")


# --- no room, and clocks that are off ---------------------------------------------------------------------------------


def store_full(trial: Trial) -> None:
    """For a while the database cannot grow."""
    full = trial.folder / "full"
    trial.begin(web={"room": str(full)}, worker={"room": str(full)})
    trial.wait_a_while()
    full.touch()
    time.sleep(trial.random.uniform(0.5, SHORT_LEASE + 1.0))
    full.unlink()
    trial.desk.wait(_STRIKE)
    trial.expect("Nobody was told that nothing could be stored.", so=trial.desk.answers[503] > 0)


def clock_forward(trial: Trial) -> None:
    """The wall clock jumps an hour ahead."""
    _jump(trial, 3600.0)


def clock_back(trial: Trial) -> None:
    """The wall clock jumps a few seconds back: what was accepted before waits as long."""
    _jump(trial, -trial.random.uniform(1.0, 8.0))


def _jump(trial: Trial, seconds: float) -> None:
    offset = trial.folder / "offset"
    offset.write_text("0", "ascii")
    trial.begin(web={"clock": str(offset)}, worker={"clock": str(offset)})
    trial.wait_a_while()
    draft = offset.with_suffix(".new")
    draft.write_text(str(seconds), "ascii")
    draft.replace(offset)


ROUNDS: Final[Mapping[str, Round]] = {
    "no-fault": Round(no_fault),
    "kill-worker": Round(kill_worker),
    "kill-worker-often": Round(kill_worker_often),
    "kill-one-of-two-workers": Round(kill_one_of_two_workers),
    "kill-worker-after-claim": Round(_kill_worker_at("after claim")),
    "kill-worker-after-connect": Round(_kill_worker_at("after connect")),
    "kill-worker-half-a-request": Round(_kill_worker_at("half a request")),
    "kill-worker-request-read": Round(kill_worker_request_read),
    "kill-worker-answered": Round(kill_worker_answered),
    "kill-worker-before-settle": Round(_kill_worker_at("before settle")),
    "kill-worker-before-commit": Round(_kill_worker_at("before commit")),
    "kill-worker-after-settle": Round(_kill_worker_at("after settle")),
    "kill-web": Round(kill_web),
    "kill-web-worker": Round(kill_web_worker),
    "kill-web-before-commit": Round(_kill_web_at("before commit")),
    "kill-web-after-commit": Round(_kill_web_at("after commit")),
    "kill-web-at-answer": Round(kill_web_at_answer),
    "kill-both": Round(kill_both),
    "kill-serve": Round(kill_serve),
    "kill-serve-tree": Round(kill_serve_tree),
    "stop-past-lease": Round(stop_past_lease),
    "stop-past-lease-repeat-safe": Round(stop_past_lease_repeat_safe, lease=4.0),
    "stop-web": Round(stop_web),
    "stop-worker": Round(stop_worker),
    "store-full": Round(store_full),
    "clock-forward": Round(clock_forward),
    "clock-back": Round(clock_back),
    "kill-worker-true-lease": Round(kill_worker, lease=None),
    "stop-past-true-lease": Round(stop_past_lease, lease=None),
}
