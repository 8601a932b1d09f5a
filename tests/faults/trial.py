"""One round as it runs: an installation under load, a blow, what comes after, and the judgement."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tests.faults.desk import Desk, Report
from tests.faults.installation import LANE_CAP, PATHS, Child, Installation, free_port, wait_until
from tests.faults.judge import Judgement, judge
from tests.faults.notes import Notes
from tests.faults.stores import Store
from tests.faults.vendor import ACCEPTS, BUSY, Answer, Behaviour, PretendVendor, Request

#: A lease as short as the rounds use it, seconds; the true one is 45.
SHORT_LEASE: Final = 3.0
#: How long after the lease everything must be settled, seconds.
GRACE: Final = 15.0
#: How long a round waits for its fault to strike, seconds.
STRIKE: Final = 20.0

#: Closed tickets in a short round, how many come a second, and the share of them that is reported twice.
TICKETS: Final = 60
PER_SECOND: Final = 100.0
_REPEATED: Final = 0.15
#: The share of first calls that the vendor puts off.
_PUT_OFF: Final = 0.1


@dataclass(frozen=True)
class Result:
    """in_flight: claims not settled at the blows. recovery: seconds from the last restart until all was settled.

    failures: sentences; a round without any is passed.
    """

    round: str
    store: str
    seed: int
    judgement: Judgement
    in_flight: int
    recovery: float
    failures: list[str]


@dataclass
class Blow:
    """A worker that was struck, and when."""

    pid: int
    at: datetime


@dataclass
class Trial:
    """What a round does its work with.

    tickets: how many are closed. lease: seconds, None for the program's own. common: faults that every process gets.
    """

    seed: int
    folder: Path
    store: Store
    tickets: int
    lease: float | None
    common: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.behaviour = Behaviour(decide=self.decide)
        self.failures: list[str] = []
        self.per_second = PER_SECOND
        # Whether the blow must have met calls under way, or proves nothing.
        self.must_meet_calls = False
        # Whether no connection may ever get more calls at once than its cap; not so where a caller dies.
        self.keeps_lane_cap = False
        self._blows: list[Blow] = []
        self._acknowledgements = Notes(self.folder / "acknowledgements.jsonl")
        self._requests = Notes(self.folder / "requests.jsonl")
        self._vendor = PretendVendor(self._requests, self.behaviour)
        self.database_url = self.store.fresh(self.folder)
        self.installation = Installation(self.folder, self._vendor.origin, self.database_url)
        self.at_acknowledgement: Callable[[int], None] = lambda _number: None
        self.desk = Desk(
            [self.installation.port],
            self._acknowledgements,
            on_acknowledged=self._acknowledged,
        )
        self._put_off = {ticket for ticket in map(self._ticket, range(self.tickets)) if self.random.random() < _PUT_OFF}
        self._durability = self.folder / "durability"
        if self.lease is not None:
            self.common |= {"lease": self.lease, "note durability": str(self._durability)}
        self.settled_within = (self.lease or 45.0) + GRACE
        self._restarted = time.monotonic()

    def close(self) -> None:
        self.installation.close()
        self._vendor.close()
        self._acknowledgements.close()
        self._requests.close()
        self.store.remove(self.database_url)

    # --- what a round is made of ------------------------------------------------------------------------------------

    def start(self, command: str, *, port: int | None = None, **faults: Any) -> Child:
        """port: where a web part answers; the installation's first when left out."""
        self.restarted()
        return self.installation.start(command, {**self.common, **faults}, port=port)

    def start_worker_asleep(self) -> Child:
        """Start a worker that stops itself (SIGSTOP) before it does anything."""
        freeze = self.folder / f"freeze-{uuid.uuid4()}"
        freeze.touch()
        return self.start("worker", freeze=str(freeze))

    def restarted(self) -> None:
        """From this moment on the time of recovery counts."""
        self._restarted = time.monotonic()

    def begin(
        self, *, web: Mapping[str, Any] | None = None, worker: Mapping[str, Any] | None = None
    ) -> tuple[Child, Child]:
        """Start web and worker, each with its faults, and the load as soon as the web part answers."""
        children = self.start("web", **(web or {})), self.start("worker", **(worker or {}))
        self.installation.wait_for_web()
        self.load()
        return children

    def begin_many(self, *, webs: int, workers: int) -> tuple[list[Child], list[Child]]:
        """Start so many web parts and workers, and the load, shared among the web parts, as soon as all answer."""
        ports = [self.installation.port, *(free_port() for _ in range(webs - 1))]
        children = [self.start("web", port=port) for port in ports], [self.start("worker") for _ in range(workers)]
        for port in ports:
            self.installation.wait_for_web(port)
        self.desk.ports = ports
        self.load()
        return children

    def spread_load(self, seconds: float) -> None:
        """Let the load last this long, for what takes its time."""
        self.per_second = self.tickets / seconds

    def load(self) -> None:
        """Let the helpdesk report so many closed tickets, some of them twice: at once, or a while later."""
        reports = [Report(self._ticket(n), self.random.choice(PATHS)) for n in range(self.tickets)]
        for report in self.random.sample(reports, round(self.tickets * _REPEATED)):
            reports.insert(min(reports.index(report) + self.random.choice((1, 1, 20)), len(reports)), report)
        self.desk.start(reports, per_second=self.per_second)

    def wait_for_calls(self) -> None:
        """Until a worker has come up and calls the vendor."""
        wait_until(lambda: self._vendor.received > 0, STRIKE, "the vendor is called")

    def wait_a_while(self) -> None:
        """Until some moment while the load goes on."""
        time.sleep(self.random.uniform(0.2, self.tickets / self.per_second))

    def some_number(self) -> int:
        """Of a ticket, a request, a transaction: early enough to come in the first half of the load."""
        return self.random.randint(5, self.tickets // 2)

    def struck(self, pid: int) -> None:
        """Remember that a worker was just struck, to count later what it had in flight."""
        self._blows.append(Blow(pid, datetime.now(UTC)))

    def expect(self, what: str, *, so: bool) -> None:
        """A failure when it is not so: above all, when the round's own fault never struck."""
        if not so:
            self.failures.append(what)

    def decide(self, request: Request) -> Answer:
        """How the vendor answers unless a round decides otherwise: some first calls are put off."""
        return BUSY if request.ticket in self._put_off and request.attempt == 1 else ACCEPTS

    # --- the end ----------------------------------------------------------------------------------------------------

    def finish(self, name: str) -> Result:
        """Wait until everything is settled, or long enough, then judge."""
        self.expect("The helpdesk was not answered in time.", so=self.desk.wait(120))
        recovery = self._wait_settled()
        judgement = judge(self._acknowledgements.read(), self._requests.read(), self.installation.stored())
        in_flight = sum(self.installation.in_flight(blow.pid, blow.at) for blow in self._blows)
        self.expect("The blow met no call under way.", so=in_flight > 0 or not self.must_meet_calls)
        self.failures += [*self.installation.crashed(), *self.installation.damages()]
        self.failures += _complaints(judgement, in_flight)
        self.expect("A connection did not wait for the disk when it committed.", so=self._was_durable())
        self.expect("A connection got more calls at once than its cap.", so=self._kept_lane_cap())
        return Result(name, self.store.name, self.seed, judgement, in_flight, recovery, self.failures)

    def _wait_settled(self) -> float:
        """Seconds from the last restart."""
        try:
            wait_until(self._is_over, self.settled_within, "all deliveries are settled", pause=0.05)
        except TimeoutError as error:
            self.failures.append(f"{error}.")
        return time.monotonic() - self._restarted

    def _is_over(self) -> bool:
        return self.installation.live() == 0 or bool(self.installation.crashed())

    def _was_durable(self) -> bool:
        return not self._durability.exists() or set(self._durability.read_text("ascii").split()) == {self.store.durable}

    def _kept_lane_cap(self) -> bool:
        return not self.keeps_lane_cap or self._vendor.most_at_once <= LANE_CAP

    def _acknowledged(self, number: int) -> None:
        self.at_acknowledgement(number)

    def _ticket(self, number: int) -> str:
        return f"{self.seed}-{number}"


def _complaints(judgement: Judgement, in_flight: int) -> list[str]:
    found = [
        f"{len(tickets)} {what}: {', '.join(tickets[:5])}."
        for what, tickets in (
            ("lost", judgement.lost),
            ("doubled", judgement.doubled),
            ("not settled", judgement.unsettled),
            ("contradicted", judgement.contradicted),
        )
        if tickets
    ]
    if len(judgement.uncertain) > in_flight:
        found.append(f"{len(judgement.uncertain)} uncertain, but only {in_flight} in flight at the blows.")
    if judgement.acknowledged == 0:
        found.append("Nothing was acknowledged.")
    return found
