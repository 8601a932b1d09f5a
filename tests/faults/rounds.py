"""The rounds: each brings one fault over an installation under load. What a round does by chance, its seed decides."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.faults.acts import clocks, database, kills, sleeps, stops
from tests.faults.installation import LANE_CAP
from tests.faults.stores import Store
from tests.faults.trial import SHORT_LEASE, STRIKE, TICKETS, Result, Trial

_SQLITE: Final = ("sqlite",)
_POSTGRESQL: Final = ("postgresql",)


@dataclass(frozen=True)
class Round:
    """act: bring the load and the fault. lease: seconds, None for the program's own 45, without any change to it.

    stores: names of those that it makes sense on.
    """

    act: Callable[[Trial], None]
    lease: float | None = SHORT_LEASE
    stores: Sequence[str] = ("sqlite", "postgresql")


def run_round(name: str, seed: int, store: Store, *, tickets: int = TICKETS, mistake: str | None = None) -> Result:
    """Run one round in a folder and with a database of its own.

    tickets: how many are closed, 20 or more. mistake: made on purpose in every process, see mistakes.py.
    """
    chosen = ROUNDS[name]
    with tempfile.TemporaryDirectory(prefix="survey-plugin-faults-") as folder:
        common = {} if mistake is None else {"mistake": mistake}
        trial = Trial(seed, Path(folder), store, tickets, chosen.lease, common)
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


def many_processes(trial: Trial) -> None:
    """Several web parts and workers share one database, and no connection gets more calls at once than it may.

    The workers begin at one moment, when much is due already, so that they are in each other's way as much as they can.
    """
    trial.behaviour.latency = 0.5
    trial.keeps_lane_cap = True
    # Each begins with two calls, and all of them together must be able to go beyond the cap.
    workers = [trial.start_worker_asleep() for _ in range(LANE_CAP // 2 + 2)]
    trial.begin_many(webs=2, workers=0)
    trial.desk.wait(60)
    for worker in workers:
        worker.wait_frozen(STRIKE)
    for worker in workers:
        worker.thaw()


ROUNDS: Final[Mapping[str, Round]] = {
    "no-fault": Round(no_fault),
    "many-processes": Round(many_processes),
    "kill-worker": Round(kills.kill_worker),
    "kill-worker-often": Round(kills.kill_worker_often),
    "kill-one-of-two-workers": Round(kills.kill_one_of_two_workers),
    "kill-worker-after-claim": Round(kills.kill_worker_at("after claim")),
    "kill-worker-after-connect": Round(kills.kill_worker_at("after connect")),
    "kill-worker-half-a-request": Round(kills.kill_worker_at("half a request")),
    "kill-worker-request-read": Round(kills.kill_worker_request_read),
    "kill-worker-answered": Round(kills.kill_worker_answered),
    "kill-worker-before-settle": Round(kills.kill_worker_at("before settle")),
    "kill-worker-before-commit": Round(kills.kill_worker_at("before commit")),
    "kill-worker-after-settle": Round(kills.kill_worker_at("after settle")),
    "kill-web": Round(kills.kill_web),
    "kill-web-worker": Round(kills.kill_web_worker),
    "kill-web-before-commit": Round(kills.kill_web_at("before commit")),
    "kill-web-after-commit": Round(kills.kill_web_at("after commit")),
    "kill-web-at-answer": Round(kills.kill_web_at_answer),
    "kill-both": Round(kills.kill_both),
    "kill-some-of-many": Round(kills.kill_some_of_many),
    "kill-serve": Round(kills.kill_serve),
    "kill-serve-tree": Round(kills.kill_serve_tree),
    "sleep-past-lease": Round(sleeps.sleep_past_lease),
    "sleep-past-lease-repeat-safe": Round(sleeps.sleep_past_lease_repeat_safe, lease=4.0),
    "sleep-web": Round(sleeps.sleep_web),
    "sleep-web-while-writing": Round(sleeps.sleep_web_while_writing),
    "stop-worker": Round(stops.stop_worker),
    "stop-serve": Round(stops.stop_serve),
    "rolling-restart": Round(stops.rolling_restart),
    "two-versions": Round(stops.two_versions),
    "store-full": Round(database.store_full, stores=_SQLITE),
    "disk-full": Round(database.disk_full, stores=_POSTGRESQL),
    "kill-database": Round(database.kill_database, stores=_POSTGRESQL),
    "kill-database-often": Round(database.kill_database_often, stores=_POSTGRESQL),
    "database-away": Round(database.database_away, stores=_POSTGRESQL),
    "database-disconnects": Round(database.database_disconnects, stores=_POSTGRESQL),
    "clock-forward": Round(clocks.clock_forward),
    "clock-back": Round(clocks.clock_back),
    "clocks-apart": Round(clocks.clocks_apart),
    "kill-worker-true-lease": Round(kills.kill_worker, lease=None),
    "sleep-past-true-lease": Round(sleeps.sleep_past_lease, lease=None),
}
