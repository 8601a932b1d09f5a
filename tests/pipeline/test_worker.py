from __future__ import annotations

import threading
import time
from contextlib import contextmanager

import pytest
from sqlalchemy import select, update

from plugin.errors import StoreConflict, StoreUnavailable
from plugin.store import claims, links, workers
from plugin.store import lanes as lane_store
from plugin.store.links import Link, Session
from plugin.store.tables import deliveries, lanes
from plugin.wake import WakeListener, wake_folder
from plugin.worker import Worker
from tests.acme import ACME, closing, states


@pytest.fixture
def outbound(acme):
    with acme.parts.outbound() as opened:
        yield opened


def wait_until(holds, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.005)


@contextmanager
def running(worker):
    """The worker in a thread of its own, stopped at the end of the block."""
    stop = threading.Event()
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(20)
        assert not thread.is_alive()


def seen(acme):
    with acme.parts.database.read() as db:
        return workers.all_workers(db)


def test_what_is_due_is_delivered_until_nothing_is_left(acme, outbound):
    for number in range(12):
        acme.close(str(number))

    assert acme.parts.worker(outbound).run_until_idle(20) is True

    assert states(acme.deliveries()) == ["accepted"] * 12
    assert sorted(call["custom1"] for call in acme.vendor.asked) == sorted(map(str, range(12)))


def test_a_worker_says_when_it_could_not_finish(acme, outbound):
    acme.close()

    assert acme.parts.worker(outbound).run_until_idle(0) is False


def test_what_is_not_due_is_left_for_later(acme, outbound):
    acme.close(email="down@example.com")

    assert acme.parts.worker(outbound).run_until_idle(20) is True

    assert acme.delivery().state == "scheduled"
    assert len(acme.vendor.received) == 1


def test_a_worker_that_is_told_to_stop_settles_what_is_under_way(acme, outbound):
    acme.close(email="slow@example.com")

    with running(acme.parts.worker(outbound)):
        wait_until(lambda: acme.vendor.received)
        assert acme.delivery().state == "claimed"

    # The sandbox answered nothing of use, but it did answer.
    assert (acme.delivery().state, acme.delivery().reason) == ("uncertain", "unrecognised")


def test_a_worker_shows_that_it_is_alive_and_says_goodbye(acme, outbound):
    with running(acme.parts.worker(outbound)):
        wait_until(lambda: seen(acme))
        [worker] = seen(acme)
        assert (worker.threads, worker.seen_at) == (8, acme.clock())

    assert seen(acme) == []


class Faltering:
    """A database that refuses some writes, as one does whose disk is away for a moment."""

    def __init__(self, database, error=StoreUnavailable):
        self._database = database
        self._error = error
        self.refusals = 0
        self.refused = 0

    def __getattr__(self, name):
        return getattr(self._database, name)

    def write(self):
        if self.refusals:
            self.refusals -= 1
            self.refused += 1
            raise self._error("The disk is away.")
        return self._database.write()


def worker_on(database, parts, outbound):
    listener = WakeListener(wake_folder(parts.config.database_url))
    deliverer = parts.deliverer(outbound)
    errands = parts.errand_worker(outbound)
    return Worker(
        database,
        deliverer,
        errands,
        parts.planner(),
        parts.retention(),
        parts.mint,
        parts.meter,
        listener,
        name="w1",
        threads=4,
    )


@pytest.mark.parametrize("error", [StoreUnavailable, StoreConflict])
def test_a_store_that_is_away_for_a_while_loses_and_doubles_nothing(acme, outbound, error):
    acme.close(email="slow@example.com")
    acme.close(email="ada@example.com")
    parts = acme.parts
    database = Faltering(parts.database, error)
    worker = worker_on(database, parts, outbound)

    with running(worker):
        wait_until(lambda: acme.vendor.received)
        database.refusals = 2
        wait_until(lambda: not database.refusals and "claimed" not in states(acme.deliveries()))

    assert database.refused == 2
    assert states(acme.deliveries()) == ["uncertain", "accepted"]
    assert len(acme.vendor.received) == 2


def test_two_workers_on_one_database_make_no_call_twice(acme, outbound):
    acme.apply(
        ACME
        + """
  - name: second
    when: {events: [ticket.closed]}
    connection: lab
    call: add_respondent
    parameters: {cId: "838", email: "{{ person.email }}"}
"""
    )
    acme.send([closing(str(number)) for number in range(100)], source="any")

    with running(acme.parts.worker(outbound)), running(acme.parts.worker(outbound)):
        wait_until(lambda: len(acme.vendor.received) >= 200, seconds=60)

    assert set(states(acme.deliveries())) == {"accepted"}
    asked = [call["crk"] for call in acme.vendor.asked]
    assert len(asked) == 200
    assert sorted(asked) == sorted(delivery.reference for delivery in acme.deliveries())
    assert all(len(delivery.attempts) == 1 for delivery in acme.deliveries())


def test_the_claims_of_a_dead_worker_are_decided_by_a_living_one(acme, outbound):
    acme.close()
    with acme.parts.database.write() as db:
        acme.parts.deliverer(outbound).claim_and_settle(db, [], worker="dead", free=1, free_for_hanging=1)
    acme.clock.advance(seconds=46)

    acme.work()

    assert (acme.delivery().state, acme.delivery().reason) == ("uncertain", "lease_lost")
    assert acme.vendor.received == []


def test_a_worker_clears_away_what_is_of_no_use_any_more(acme, outbound):
    acme.send({"ticket": {"requester": {"email": "ada@example.com"}}}, source="any")
    now = acme.clock()
    tenant = acme.tenant.id
    with acme.parts.database.write() as db:
        workers.beat(db, "silent", now=now, threads=1)
        links.add_link(db, tenant, Link("link", tenant, "admin", now, None), now)
        links.add_session(db, tenant, "hash", Session(tenant, "link", "admin", now), now)
    acme.clock.advance(days=2)

    acme.work()

    counts = acme.counts()
    assert (counts["event_keys"], counts["sessions"]) == (0, 0)
    assert "silent" not in [worker.id for worker in seen(acme)]


# --- what a worker hears, and what it does not ------------------------------------------------------------------------


def test_a_hint_has_a_worker_look_at_once(acme, outbound, monkeypatch):
    monkeypatch.setattr("plugin.worker.POLL", 30.0)
    folder = wake_folder(acme.parts.config.database_url)

    with running_worker(acme.parts.worker(outbound)):
        wait_until(lambda: folder.exists() and list(folder.iterdir()))
        acme.close()
        acme.parts.hint.send()
        wait_until(lambda: acme.vendor.received, seconds=20)

    assert states(acme.deliveries()) == ["accepted"]


@contextmanager
def running_worker(worker):
    """As `running`, for one that would sleep for long: a last hint ends its sleep."""
    stop = threading.Event()
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        worker.wake()
        thread.join(20)
        assert not thread.is_alive()


class Forgetful:
    """A database that commits and then is gone, so that nobody hears of it."""

    def __init__(self, database):
        self._database = database
        self.forgets = threading.Event()

    def __getattr__(self, name):
        return getattr(self._database, name)

    @contextmanager
    def write(self):
        with self._database.write() as db:
            yield db
        if self.forgets.is_set():
            self.forgets.clear()
            raise StoreUnavailable("The server is gone.")


def test_a_claim_whose_commit_was_not_heard_of_is_given_back_and_made_once(acme, outbound):
    parts = acme.parts
    database = Forgetful(parts.database)
    worker = worker_on(database, parts, outbound)

    with running(worker):
        wait_until(lambda: seen(acme))
        # Its chores are done by now; the next thing that it writes is the claim.
        database.forgets.set()
        acme.close()
        wait_until(lambda: "accepted" in states(acme.deliveries()))

    assert not database.forgets.is_set()
    assert len(acme.vendor.received) == 1


def test_a_call_whose_settling_was_not_heard_of_is_settled_once(acme, outbound):
    acme.close(email="slow@example.com")
    parts = acme.parts
    database = Forgetful(parts.database)

    with running(worker_on(database, parts, outbound)):
        wait_until(lambda: acme.vendor.received)
        database.forgets.set()
        wait_until(lambda: not database.forgets.is_set() and "claimed" not in states(acme.deliveries()))

    [attempt] = acme.delivery().attempts
    assert (acme.delivery().state, attempt.late, acme.delivery().attempts_made) == ("uncertain", False, 1)
    assert len(acme.vendor.received) == 1


def lane(acme):
    with acme.parts.database.read() as db:
        return db.execute(select(lanes)).one()


def test_a_lane_whose_call_takes_long_counts_as_hanging_before_the_call_has_ended(acme, outbound, monkeypatch):
    monkeypatch.setattr("plugin.worker.SLOW", 0.02)
    monkeypatch.setattr("plugin.pipeline.deliver.SLOW", 0.02)
    monkeypatch.setattr("plugin.worker._RECOVERY", 0.01)
    acme.close(email="slow@example.com")

    with running(acme.parts.worker(outbound)):
        wait_until(lambda: lane(acme).hanging)

    assert lane(acme).hanging


#: More vendors than a worker has senders.
LANES = 12


def many_lanes():
    connections = "".join(
        f'  - {{name: "{number}", vendor: surveylab, settings: {{origin: "$sandbox", api_token: lab-token}}}}\n'
        for number in range(LANES + 1)
    )
    rules = "".join(
        f"""
  - name: "{number}"
    when: {{events: [ticket.closed], conditions: [{{field: ticket.tags, op: contains, value: "lane-{number}"}}]}}
    connection: "{number}"
    call: add_respondent
    parameters: {{cId: "837", email: "{{{{ person.email }}}}"}}"""
        for number in range(LANES + 1)
    )
    head = ACME.partition("connections:")[0]
    return f"{head}connections:\n{connections}rules:{rules}\n"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_many_vendors_that_hang_from_one_moment_on_leave_senders_to_the_one_that_answers(acme, outbound, monkeypatch):
    let_go = threading.Event()
    monkeypatch.setattr(acme.vendor.server, "_slow_seconds", 60)
    monkeypatch.setattr(acme.vendor.server, "_stopping", let_go)
    acme.apply(many_lanes())
    for ticket in range(4 * LANES):
        acme.close(f"{ticket}", email="slow@example.com", tags=f"lane-{ticket % LANES}")
    for ticket in range(10):
        acme.close(f"well-{ticket}", tags=f"lane-{LANES}")

    def of_the_healthy():
        return [one for one in acme.deliveries() if one.connection == str(LANES)]

    with running(acme.parts.worker(outbound)):
        wait_until(lambda: set(states(of_the_healthy())) == {"accepted"}, 15)
        others = [one.state for one in acme.deliveries() if one.connection != str(LANES)]
        let_go.set()

    assert set(others) == {"claimed", "scheduled"}


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_delivery_that_was_not_committed_yet_when_its_lane_was_served_is_not_forgotten(acme):
    acme.close("1")
    acme.close("2")
    first, second = acme.deliveries()
    database = acme.parts.database
    with database.write() as db:
        db.execute(update(deliveries).where(deliveries.c.id == second.id).values(state="cancelled"))

    with database.write() as storing:
        # As an acceptance does: the row, and its lane only where that sleeps longer.
        storing.execute(update(deliveries).where(deliveries.c.id == second.id).values(state="scheduled"))
        lane_store.lower(storing, {lane(acme).connection_id: second.due})
        with database.write() as claiming:
            [claimed] = claims.claim(claiming, worker="w1", now=acme.clock(), free=8, free_for_hanging=1)
    assert (claimed.id, lane(acme).next_due) == (first.id, None)

    acme.work()

    assert acme.deliveries()[1].state == "accepted"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_two_claims_at_the_same_moment_keep_to_the_cap_of_a_lane_and_wait_for_nobody(acme):
    for number in range(10):
        acme.close(str(number))
    database = acme.parts.database

    with database.write() as one, database.write() as other:
        first = claims.claim(one, worker="w1", now=acme.clock(), free=5, free_for_hanging=1)
        # The lane is the other one's until that has committed.
        assert claims.claim(other, worker="w2", now=acme.clock(), free=5, free_for_hanging=1) == []
    with database.write() as other:
        second = claims.claim(other, worker="w2", now=acme.clock(), free=5, free_for_hanging=1)

    assert (len(first), len(second)) == (5, 3)
