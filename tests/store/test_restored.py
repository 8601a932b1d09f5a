"""What waited in a database that was put back from a backup is held until a person decides."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from plugin.domain.delivery import Resolution
from plugin.errors import NotAllowed
from plugin.store import restored
from plugin.store.resolutions import resolve
from plugin.store.tables import deliveries
from tests.acme import states


def hold(acme):
    after, held = "", 0
    while after is not None:
        with acme.parts.database.write() as db:
            count, after = restored.hold_waiting(db, acme.tenant.id, acme.clock(), after)
        held += count
    return held


def test_what_waits_is_held_as_uncertain_and_not_sent(acme, monkeypatch):
    monkeypatch.setattr(restored, "_WAITING", restored._WAITING.limit(2))
    for ticket in range(5):
        acme.close(str(ticket))

    assert hold(acme) == 5

    acme.work()
    assert acme.vendor.received == []
    assert {(one.state, one.reason) for one in acme.deliveries()} == {("uncertain", "restored")}


def test_what_was_settled_stays_and_what_comes_later_is_sent(acme):
    acme.close("1")
    acme.work()

    assert hold(acme) == 0

    acme.close("2")
    acme.work()
    assert states(acme.deliveries()) == ["accepted", "accepted"]


def test_what_its_rule_would_rather_send_twice_is_sent(acme):
    acme.close()
    with acme.parts.database.write() as db:
        db.execute(update(deliveries).values(resend=True))

    assert hold(acme) == 0


def test_a_live_database_is_not_taken_for_a_copy(database):
    with database.read() as db:
        restored.refuse_undecided_copy(db)


def test_a_copy_is_refused_until_it_is_released(database):
    with database.write() as db:
        if db.dialect.name != "sqlite":
            # Copies that others made carry no mark.
            restored.release_copy(db)
            return
        db.exec_driver_sql(f"PRAGMA application_id = {restored.BACKUP_MARK}")
    with database.read() as db, pytest.raises(NotAllowed, match="restored --hold"):
        restored.refuse_undecided_copy(db)

    with database.write() as db:
        restored.release_copy(db)

    with database.read() as db:
        restored.refuse_undecided_copy(db)


def test_what_was_held_and_was_not_sent_is_sent_when_a_person_says_so(acme):
    acme.close()
    hold(acme)
    delivery = acme.delivery()

    with acme.parts.database.write() as db:
        assert resolve(db, acme.tenant.id, delivery.id, Resolution.NOT_SENT, decided_by="ada", now=acme.clock())

    acme.work()
    assert len(acme.vendor.received) == 1
    assert states(acme.deliveries()) == ["accepted"]
