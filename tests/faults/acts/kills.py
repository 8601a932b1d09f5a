"""kill -9 of one of the program's processes, or of several."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.faults.installation import Child, wait_until
from tests.faults.trial import STRIKE, Trial
from tests.faults.vendor import Request

# --- the worker -------------------------------------------------------------------------------------------------------


def kill_worker(trial: Trial) -> None:
    """At any moment."""
    _, worker = trial.begin()
    trial.wait_for_calls()
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


def kill_worker_at(point: str) -> Callable[[Trial], None]:
    def act(trial: Trial) -> None:
        trial.must_meet_calls = point in {"after claim", "after connect", "half a request", "before settle"}
        trial.behaviour.keeps_alive = point != "after connect"
        _, worker = trial.begin(worker={"die": {"at": point, "nth": trial.random.randint(2, 12)}})
        worker.wait_dead(STRIKE)
        trial.struck(worker.pid)
        trial.start("worker")

    return act


def kill_worker_request_read(trial: Trial) -> None:
    """By the vendor's hand: when it has the request and before it answers."""
    trial.must_meet_calls = True
    begin_and_strike(trial, "on_read", lambda worker: _kill_worker(trial, worker))
    trial.start("worker")


def kill_worker_answered(trial: Trial) -> None:
    """By the vendor's hand: when its answer has just left."""
    begin_and_strike(trial, "on_answered", lambda worker: _kill_worker(trial, worker))
    trial.start("worker")


def begin_and_strike(trial: Trial, moment: str, strike: Callable[[Child], None]) -> tuple[Child, Child]:
    """Begin, and strike the worker at that moment of one of the vendor's requests."""
    nth = trial.some_number()
    struck = threading.Event()

    def strike_at_request(request: Request) -> None:
        if request.number == nth:
            strike(worker)
            struck.set()

    setattr(trial.behaviour, moment, strike_at_request)
    web, worker = trial.begin()
    trial.expect("The vendor got too few requests to strike.", so=struck.wait(STRIKE))
    return web, worker


def _kill_worker(trial: Trial, worker: Child) -> None:
    worker.kill()
    trial.struck(worker.pid)


# --- the web part -----------------------------------------------------------------------------------------------------


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
            begun.wait(STRIKE)
            web.kill()
            killed.set()

    trial.at_acknowledgement = kill
    web, _ = trial.begin()
    begun.set()
    trial.expect("There were too few acknowledgements to strike.", so=killed.wait(STRIKE))
    trial.start("web")


def kill_web_at(point: str) -> Callable[[Trial], None]:
    def act(trial: Trial) -> None:
        # Of fewer transactions than there are tickets: those that come together are stored together.
        web, _ = trial.begin(web={"die": {"at": point, "nth": trial.random.randint(3, 12)}})
        web.wait_dead(STRIKE)
        trial.start("web")

    return act


# --- more than one ----------------------------------------------------------------------------------------------------


def kill_both(trial: Trial) -> None:
    """Web and worker, at any moment."""
    web, worker = trial.begin()
    trial.wait_a_while()
    web.kill()
    _kill_worker(trial, worker)
    trial.start("web")
    trial.start("worker")


def kill_some_of_many(trial: Trial) -> None:
    """One of two web parts and two of three workers; what is left does all the work."""
    webs, workers = trial.begin_many(webs=2, workers=3)
    trial.wait_a_while()
    trial.random.choice(webs).kill()
    for worker in trial.random.sample(workers, 2):
        _kill_worker(trial, worker)


def kill_serve(trial: Trial) -> None:
    """The parent alone: its children settle what is under way, and end."""
    serve = begin_serve(trial)
    trial.wait_a_while()
    children = serve.children()
    serve.kill_alone()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children), 30, "the children end")
    trial.start("serve")


def kill_serve_tree(trial: Trial) -> None:
    """The parent and all its children."""
    serve = begin_serve(trial)
    trial.wait_a_while()
    workers = serve.children("worker")
    serve.kill_tree()
    for pid in workers:
        trial.struck(pid)
    trial.start("serve")


def begin_serve(trial: Trial) -> Child:
    """Start web and worker as one tree of processes, and the load."""
    serve = trial.start("serve")
    trial.installation.wait_for_web()
    trial.load()
    return serve
