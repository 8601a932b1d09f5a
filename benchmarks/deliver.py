"""How fast due deliveries are made: real workers, beside bare loops of the same calls with as many threads.

Rates are the vendor's: calls from the first to the last that arrived. All are found settled afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.bare_loop import bare_loops
from benchmarks.bulk import Stock
from benchmarks.installation import Installation, installation
from benchmarks.measure import Result, Round, Scope, Target, interleave, with_share
from benchmarks.processes import cpu_seconds
from benchmarks.vendor import Vendor, vendor

ROUNDS = 5
#: Connections that the deliveries are spread over, so that no cap of a lane is in the way.
LANES = 32
_DELAY = 0.05


@dataclass(frozen=True)
class Setting:
    """A vendor's delay in seconds, and how many processes with how many threads each call it."""

    delay: float
    processes: int
    threads: int
    calls: int

    @property
    def words(self) -> str:
        vendor_words = f"{self.delay * 1000:.0f} ms vendor" if self.delay else "instant vendor"
        return f"{vendor_words}, {self.processes} x {self.threads} threads"

    @property
    def bound(self) -> float:
        """No more calls a second can be made when each takes the vendor's delay."""
        return self.processes * self.threads / self.delay


SETTINGS = (
    Setting(0.0, 1, 8, 4000),
    Setting(0.0, 2, 8, 8000),
    Setting(_DELAY, 1, 64, 4000),
    Setting(_DELAY, 2, 64, 8000),
)


def measure(scope: Scope) -> Result:
    rows: dict[str, Round] = {}
    targets = []
    with vendor(0.0, _DELAY) as sink, installation(scope.store, sink.origins) as place:
        instant, slow = sink.origins
        stocks = {origin: _stock(place, slug, origin) for slug, origin in (("instant", instant), ("slow", slow))}
        for setting in SETTINGS[1:3] if scope.quick else SETTINGS:
            origin = slow if setting.delay else instant
            calls = scope.calls(setting.calls)
            ours, bare = f"{setting.words}: worker, {scope.store}", f"{setting.words}: bare loop"
            found = interleave(
                {
                    bare: _bare_round(sink, origin, setting, calls),
                    ours: _our_round(sink, place, stocks[origin], setting, calls),
                },
                scope.rounds(ROUNDS),
            )
            rows |= with_share(found, {ours: bare})
            if setting.delay:
                rows |= {name: {**rows[name], "of_bound": rows[name]["rate"] / setting.bound} for name in found}
            targets += _targets(setting, rows[ours], scope.store)
    return Result("deliver", "a `requests` loop of the same calls with as many processes and threads", rows, targets)


def _stock(place: Installation, slug: str, origin: str) -> Stock:
    place.add_tenant(slug, [origin] * LANES)
    return Stock(place, slug)


def _targets(setting: Setting, row: Round, store: str) -> list[Target]:
    if setting.delay:
        return [Target(f"share of the bound, {setting.words}, {store}", 0.85, row["of_bound"])]
    share = Target(f"share of the bare loop, {setting.words}, {store}", 0.75, row["of_floor"])
    if setting.processes < 2:
        return [share]
    return [share, Target(f"per second, {setting.words}, {store}", 2600, row["rate"])]


def _bare_round(sink: Vendor, origin: str, setting: Setting, calls: int) -> Callable[[], Round]:
    def run() -> Round:
        with bare_loops(origin, setting.processes, setting.threads) as loops:
            before = cpu_seconds(*loops.pids)
            loops.start(calls)
            rate = _rate(sink, calls)
            return {"rate": rate, "server_cpu": (cpu_seconds(*loops.pids) - before) * 1000 / calls}

    return run


def _our_round(sink: Vendor, place: Installation, stock: Stock, setting: Setting, calls: int) -> Callable[[], Round]:
    def run() -> Round:
        with place.workers(setting.processes, setting.threads) as pids:
            stock.add_due_in(1.0 + calls / 10_000, calls)
            before = cpu_seconds(*pids), place.store_cpu_seconds()
            rate = _rate(sink, calls)
            used = cpu_seconds(*pids) - before[0], place.store_cpu_seconds() - before[1]
        # They have stopped, so all that arrived has been settled.
        outcomes = place.outcomes()
        if outcomes.keys() - {"accepted", "cancelled"}:
            raise RuntimeError(f"not all deliveries were accepted: {outcomes}")
        cpu = {"server_cpu": used[0] * 1000 / calls}
        if place.store_pid:
            cpu["store_cpu"] = used[1] * 1000 / calls
        return {"rate": rate, **cpu}

    return run


def _rate(sink: Vendor, calls: int) -> float:
    arrivals = sink.wait_for(calls, 120)
    if len(arrivals) != calls:
        raise RuntimeError(f"{len(arrivals)} calls came instead of {calls}")
    return calls / (arrivals[-1].at - arrivals[0].at)
