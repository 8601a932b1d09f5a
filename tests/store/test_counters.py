"""Counters in the store: added to from memory, and noted by the transactions that end deliveries."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import func, select

from plugin.domain.outcome import Reason
from plugin.store import connections, counters, deliveries, leases, resolutions
from plugin.store.resolutions import Resolution
from plugin.store.tables import counters as rows


def told(database):
    with database.read() as db:
        return {(name, *labels): value for (name, labels), value in counters.all_counters(db).items()}


def test_a_note_counts_at_once_and_once_only_when_it_is_folded(database):
    for _ in range(3):
        with database.write() as db:
            counters.note(db, "lost", "x", by=2)
    assert told(database) == {("lost", "x"): 6}

    for _ in range(2):
        with database.write() as db:
            counters.fold(db)
    assert told(database) == {("lost", "x"): 6}
    with database.read() as db:
        assert db.execute(select(func.count()).select_from(rows)).scalar_one() == 1


def test_a_note_goes_with_its_transaction_when_that_is_undone(database):
    def fail():
        with database.write() as db:
            counters.note(db, "lost")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    assert told(database) == {}


def test_nothing_is_noted_of_nothing(database):
    with database.write() as db:
        counters.note(db, "lost", by=0)

    assert told(database) == {}


def test_folding_at_the_same_time_doubles_nothing(database):
    for _ in range(40):
        with database.write() as db:
            counters.note(db, "lost")

    def fold():
        for _ in range(5):
            with database.write() as db:
                counters.fold(db)

    threads = [threading.Thread(target=fold) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert told(database) == {("lost",): 40}


def test_what_expires_is_counted_wherever_it_waits(acme, database, clock):
    acme.close("1")
    with database.write() as db:
        [lab] = connections.connections_of(db, acme.tenant.id)
        connections.pause_connection(db, acme.tenant.id, lab.id, reason=Reason.QUOTA, words="", now=clock())
    clock.advance(days=4)
    with database.write() as db:
        deliveries.expire_parked(db, clock())
        connections.resume_connection(db, acme.tenant.id, lab.id)
    assert told(database) == {(counters.EXPIRED,): 1}

    acme.close("2")
    clock.advance(days=4)
    acme.work()
    assert told(database)[counters.EXPIRED,] == 2


def test_what_is_cancelled_is_counted_whoever_did_it(acme, database, clock):
    acme.close("1")
    with database.write() as db:
        assert deliveries.cancel_by_id(db, acme.tenant.id, acme.delivery().id, clock())
    assert told(database) == {(counters.CANCELLED,): 1}

    acme.close("2", requester={"email": "slow@example.com"})
    acme.work()
    with database.write() as db:
        last = acme.deliveries()[-1].id
        resolutions.resolve(db, acme.tenant.id, last, Resolution.CANCEL, decided_by="test", now=clock())
    assert told(database)[counters.CANCELLED,] == 2


def test_a_claim_that_lost_its_worker_is_counted(acme, database, parts, clock):
    acme.close("1")
    with parts.outbound() as outbound:
        deliverer = parts.deliverer(outbound)
        with database.write() as db:
            [_] = deliverer.claim_and_settle(db, [], worker="w1", free=4, free_for_hanging=1)
        clock.advance(minutes=2)
        with database.write() as db:
            assert leases.has_lost_claims(db, clock())
            deliverer.recover_lost(db)

    assert told(database) == {
        (counters.SETTLED, "surveylab", "uncertain", "lease_lost"): 1,
        (counters.ATTEMPTS, "surveylab", "lost"): 1,
    }
