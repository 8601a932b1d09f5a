"""What a claim costs as the work that is waiting grows, beside the same claim at 20,000, in the same minutes.

Claims are undone again, so that each finds the same state. After each size a real worker shows how fast it delivers
from such a backlog.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from sqlalchemy import Connection, create_engine, make_url

from benchmarks.bulk import Stock
from benchmarks.installation import Installation, installation
from benchmarks.measure import Result, Round, Scope, Target, interleave, percentile, progress
from benchmarks.vendor import Vendor, vendor
from plugin.pipeline.deliver import Deliverer

LANES = 100
#: What one claim asks for: all senders of a worker are free.
FREE = 32
CLAIMS = 40
ROUNDS = 5
#: Deliveries that the real worker makes at each size.
CALLS = 1000
THREADS = 8
_AT_ONCE = 500_000


@dataclass(frozen=True)
class Size:
    due: int
    done: int = 0

    @property
    def words(self) -> str:
        return f"{self.due:,} due" + (f" and {self.done:,} done" if self.done else "")


REFERENCE = Size(20_000)
SIZES = (Size(1_000), REFERENCE, Size(100_000), Size(1_000_000), Size(1_000_000, 10_000_000))
QUICK_SIZES = (Size(1_000, 1_000),)


def measure(scope: Scope) -> Result:
    rows: dict[str, Round] = {}
    sizes = QUICK_SIZES if scope.quick else SIZES
    fixed = QUICK_SIZES[0] if scope.quick else REFERENCE
    with (
        vendor(0.0) as sink,
        installation(scope.store, sink.origins) as small,
        installation(scope.store, sink.origins) as growing,
    ):
        reference = _Backlog(small, sink, scope.calls(CALLS))
        reference.grow(fixed)
        backlog = _Backlog(growing, sink, scope.calls(CALLS))
        for size in sizes:
            backlog.grow(size)
            sides = {f"beside: {fixed.words}": reference.round, size.words: backlog.round}
            base, here = interleave(sides, scope.rounds(ROUNDS)).values()
            rows[f"{size.words}, {scope.store}"] = {
                **here,
                "base_p50": base["p50"],
                "of_reference": here["p50"] / base["p50"],
            }
    last = rows[f"{sizes[-1].words}, {scope.store}"]
    return Result(
        "backlog",
        f"the same claim of {FREE} at {fixed.words}, measured in turn with each size",
        rows,
        [
            Target(
                f"claim at {sizes[-1].words}, times that at {fixed.words}, {scope.store}",
                1.3,
                last["of_reference"],
                most=True,
            )
        ],
    )


class _Backlog:
    """An installation with a growing stock of due deliveries, spread over many connections."""

    def __init__(self, place: Installation, sink: Vendor, calls: int) -> None:
        self._place = place
        self._sink = sink
        self._calls = calls
        place.add_tenant("bench", sink.origins * LANES)
        self._stock = Stock(place, "bench")
        self._due = 0
        self._done = 0

    def grow(self, size: Size) -> None:
        """Add what is missing, and let PostgreSQL do the housekeeping that it would do within minutes."""
        missing = size.due - self._due + size.done - self._done
        with _bulk(self._place) as db, _without_indices(db, worthwhile=missing > _AT_ONCE):
            now = self._place.parts.mint.now()
            for count in _portions(size.due - self._due):
                self._stock.add(db, count, now)
                db.commit()
                progress(f"{count:,} due deliveries made")
            for count in _portions(size.done - self._done):
                self._stock.add_done(db, count, now)
                db.commit()
                progress(f"{count:,} done deliveries made")
        self._due, self._done = size.due, max(size.done, self._done)
        if self._place.store == "postgresql":
            with _bulk(self._place) as db:
                db.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("VACUUM ANALYZE")

    def round(self) -> Round:
        """Claims that are undone, then a short while of a real worker, which is made good again."""
        with self._place.parts.outbound() as outbound:
            deliverer = self._place.parts.deliverer(outbound)
            before = time.thread_time()
            took = sorted(self._claim(deliverer) * 1000 for _ in range(CLAIMS))
            cpu = (time.thread_time() - before) * 1000 / CLAIMS
        calls = self._calls
        with self._place.workers(1, THREADS):
            arrivals = self._sink.wait_for(calls, 120)
        with self._place.parts.database.write() as db:
            self._stock.add(db, len(arrivals) + len(self._sink.take()), self._place.parts.mint.now())
        rate = (calls - 1) / (arrivals[calls - 1].at - arrivals[0].at)
        return {"p50": percentile(took, 0.5), "p99": percentile(took, 0.99), "server_cpu": cpu, "rate": rate}

    def _claim(self, deliverer: Deliverer) -> float:
        """Seconds that one claim took within its transaction."""
        with suppress(_Undone), self._place.parts.database.write() as db:
            began = time.perf_counter()
            claimed = deliverer.claim_and_settle(db, [], worker="bench", free=FREE, free_for_hanging=FREE // 4)
            took = time.perf_counter() - began
            raise _Undone
        if len(claimed) != FREE:
            raise RuntimeError(f"{len(claimed)} were claimed instead of {FREE}")
        return took


_INDICES = {
    "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN {tables}",
    "postgresql": "SELECT indexname, indexdef FROM pg_indexes WHERE tablename IN {tables} "
    "AND indexname NOT IN (SELECT conname FROM pg_constraint)",
}


@contextmanager
def _without_indices(db: Connection, *, worthwhile: bool) -> Iterator[None]:
    """Put those indices aside that can be, and make them anew at the end: much faster than row by row."""
    query = _INDICES[db.dialect.name].format(tables="('deliveries', 'delivery_calls')")
    indices = db.exec_driver_sql(query).all() if worthwhile else []
    for name, _ in indices:
        db.exec_driver_sql(f"DROP INDEX {name}")
    yield
    for name, definition in indices:
        progress(f"making the index {name}")
        db.exec_driver_sql(definition)
    db.commit()


class _Undone(Exception):
    """Ends a transaction without keeping anything."""


def _portions(count: int) -> Iterator[int]:
    while count > 0:
        yield min(count, _AT_ONCE)
        count -= _AT_ONCE


@contextmanager
def _bulk(place: Installation) -> Iterator[Connection]:
    """A connection that writes without waiting for the disk. Nobody else may be writing."""
    engine = create_engine(make_url(place.environment["DATABASE_URL"]))
    settings = (
        ["PRAGMA synchronous = OFF", "PRAGMA cache_size = -1000000"]
        if place.store == "sqlite"
        else ["SET synchronous_commit = off", "SET maintenance_work_mem = '512MB'"]
    )
    try:
        with engine.connect() as db:
            for setting in settings:
                db.exec_driver_sql(setting)
            db.commit()
            yield db
            db.commit()
    finally:
        engine.dispose()
