"""What is old loses payloads and personal values, and nothing else; what is still to be sent keeps what it needs."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager

import pytest
from sqlalchemy import select, update

from plugin.pipeline import retention as module
from plugin.pipeline.accept import UnreadableKept
from plugin.pipeline.retention import REST, Retention
from plugin.registry import InboundRequest
from plugin.store.tables import deliveries, event_keys, metadata, reports
from tests.acme import ACME

ADDRESS = "ada.lovelace@example.com"


class Stopwatch:
    """A monotonic clock that jumps over every rest between batches."""

    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        self.seconds += 1.0
        return self.seconds


def retention(acme):
    return Retention(acme.parts.database, acme.parts.mint, days=90, monotonic=Stopwatch())


def run_pass(acme, worker=None):
    """One whole pass; gives how many turns it took."""
    worker = worker or retention(acme)
    for turn in range(1, 1000):
        worker._next = 0.0
        worker.turn()
        if worker._next >= REST:
            return turn
    raise AssertionError("the pass does not end")


def everything(acme):
    """All that the database holds, as one text; only what the configuration says is left out."""
    with acme.parts.database.read() as db:
        rows = [
            f"{table.name}: {tuple(row)}"
            for table in metadata.sorted_tables
            if table.name not in {"configurations", "rules"}
            for row in db.execute(select(table))
        ]
    return "\n".join(rows).casefold()


def about_ada(**more):
    """A closing that names a person wherever a sender may write something."""
    person = {"email": ADDRESS, "name": ADDRESS, "phone": "+48221234567", "external_id": ADDRESS, "language": ADDRESS}
    ticket = {
        **dict.fromkeys(("id", "title", "type", "status", "url", "priority", "channel", "via", "updated_at"), ADDRESS),
        "tags": [ADDRESS],
        "custom": {"a": ADDRESS},
        "requester": person,
        **more,
    }
    return {"event": {"kind": "ticket.closed", "id": ADDRESS}, "ticket": ticket, "other": {ADDRESS: ADDRESS}}


def post(acme, message, kind="application/json"):
    headers = {"authorization": "Bearer bearer-secret", "content-type": kind, "x-from": ADDRESS}
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    return acme.parts.acceptor.accept(acme.source("any"), InboundRequest("POST", f"from={ADDRESS}", headers, body))


def test_after_its_time_nothing_of_a_person_is_left_in_any_table(acme):
    acme.apply(ACME.replace('cId: "837"', 'cId: "837"\n      firstName: "{{ person.name }}"'))
    post(acme, about_ada())
    post(acme, {"event": ADDRESS, "ticket": {"id": "36"}})
    acme.apply(ACME.replace("kind: generic,", "kind: generic, state: test,"))
    post(acme, about_ada(id="37"))
    with pytest.raises(UnreadableKept):
        post(acme, b'{"email": "' + ADDRESS.encode() + b'"')
    acme.work()
    with acme.parts.database.write() as db:
        [delivery] = db.execute(select(deliveries.c.id, deliveries.c.tenant_id)).all()
        db.execute(update(deliveries).values(vendor_reference=ADDRESS))
        told = {"id": "r", "tenant_id": delivery.tenant_id, "delivery_id": delivery.id, "kind": "email.opened"}
        now = acme.clock()
        db.execute(reports.insert().values(**told, happened_at=now, received_at=now, words=ADDRESS))
    assert everything(acme).count("lovelace") > 20

    acme.clock.advance(days=90, seconds=1)
    run_pass(acme)

    assert [line for line in everything(acme).splitlines() if "lovelace" in line] == []
    assert "221234567" not in everything(acme)


def test_verdicts_states_counts_and_ids_stay(acme):
    acceptance = acme.close("35", title="Printer")
    acme.work()
    before = acme.receipt(acceptance)

    acme.clock.advance(days=91)
    run_pass(acme)

    after = acme.receipt(acceptance)
    [old], [new] = before.events, after.events
    assert new.event.subject == old.event.subject == "ticket:35"
    assert [one.decision for one in new.verdicts] == [one.decision for one in old.verdicts]
    assert [one.cause for one in new.verdicts] == [one.cause for one in old.verdicts]
    [delivery] = new.deliveries
    assert (delivery.state, delivery.reference) == ("accepted", old.deliveries[0].reference)
    assert (delivery.parameters, delivery.attempts[0].url, delivery.attempts[0].status) == ({}, None, 200)
    assert (after.body, new.event.values) == (None, {})
    assert "printer" not in everything(acme)


def test_the_receipt_says_that_values_were_removed_and_after_how_long(acme):
    acceptance = acme.close()
    acme.work()
    assert acme.receipt(acceptance).emptied == ""

    acme.clock.advance(days=90, hours=1)
    run_pass(acme)

    assert acme.receipt(acceptance).emptied == "Message and personal values were removed after 90 days."


def test_what_is_younger_keeps_all(acme):
    acceptance = acme.close()
    acme.work()
    acme.clock.advance(days=89, hours=23)

    run_pass(acme)

    assert acme.receipt(acceptance).body is not None
    assert acme.delivery().parameters["email"] == "ada@example.com"


@pytest.mark.parametrize("state", ["scheduled", "claimed", "uncertain"])
def test_what_is_still_to_be_decided_keeps_what_it_needs_until_it_is(acme, state):
    acceptance = acme.close()
    with acme.parts.database.write() as db:
        db.execute(update(deliveries).values(state=state))
    acme.clock.advance(days=91)
    worker = retention(acme)

    run_pass(acme, worker)
    assert acme.delivery().parameters["email"] == "ada@example.com"
    assert acme.receipt(acceptance).body is not None

    with acme.parts.database.write() as db:
        db.execute(update(deliveries).values(state="cancelled"))
    run_pass(acme, worker)
    assert acme.delivery().parameters == {}
    assert acme.receipt(acceptance).body is None


def test_what_is_left_beside_a_message_that_is_gone_is_found_too(acme):
    acme.close()
    acme.work()
    with acme.parts.database.write() as db:
        db.execute(metadata.tables["trigger_bodies"].delete())

    acme.clock.advance(days=91)
    run_pass(acme)

    assert "ada@example.com" not in everything(acme)


def test_the_work_comes_in_small_batches_and_begins_anew_after_a_crash(acme, monkeypatch):
    monkeypatch.setattr(module, "BATCH", 2)
    for ticket in range(7):
        acme.close(str(ticket))
    acme.work()
    acme.clock.advance(days=91)
    first = retention(acme)
    first.turn()
    assert sum(not one.parameters for one in acme.deliveries()) == 2

    turns = run_pass(acme, retention(acme))

    assert turns >= 4
    assert "ada@example.com" not in everything(acme)


def test_after_a_batch_it_rests_four_times_as_long_as_the_batch_took(acme):
    for _ in range(3):
        acme.close()
    acme.work()
    acme.clock.advance(days=91)
    now = [100.0]
    worker = Retention(acme.parts.database, acme.parts.mint, days=90, monotonic=lambda: now[0])
    slow = acme.parts.database.read

    @contextmanager
    def taking_a_second():
        now[0] += 1.0
        with slow() as db:
            yield db

    acme.parts.database.read = taking_a_second
    worker.turn()
    began = now[0]
    now[0] = began + 3.9
    worker.turn()
    assert now[0] == began + 3.9
    now[0] = began + 4.1
    worker.turn()
    assert now[0] > began + 5.0


def test_it_writes_nothing_where_there_is_nothing_to_do(acme, monkeypatch):
    acme.close()
    acme.work()

    def write():
        raise AssertionError("a turn to write was taken")

    monkeypatch.setattr(acme.parts.database, "write", write)
    assert run_pass(acme) == 1


def test_workers_at_it_at_once_do_not_get_into_each_others_way(acme, monkeypatch):
    monkeypatch.setattr(module, "BATCH", 3)
    for ticket in range(30):
        acme.close(str(ticket))
    acme.work()
    acme.clock.advance(days=91)
    problems = []

    def work():
        try:
            run_pass(acme)
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run_pass(acme)

    assert problems == []
    assert "ada@example.com" not in everything(acme)


def test_a_worker_does_it_by_itself(acme):
    acme.close()
    acme.work()
    acme.clock.advance(days=91)

    acme.work()

    assert acme.delivery().parameters == {}


def test_a_subject_that_is_an_id_still_counts_the_closings(acme):
    acme.close("35")
    acme.work()
    acme.clock.advance(days=91)
    run_pass(acme)

    acme.send({"event": "ticket.reopened", "ticket": {"id": "35"}}, x_zendesk_webhook_invocation_id="again")
    second = acme.receipt(acme.close("35"))

    assert second.events[0].event.episode_number == 2


def keys_kept(acme):
    with acme.parts.database.read() as db:
        return len(db.execute(select(event_keys.c.key)).all())


def test_keys_of_events_go_when_their_own_time_is_over_however_many(acme, monkeypatch):
    monkeypatch.setattr(module, "KEYS", 2)
    for ticket in range(5):
        acme.close(str(ticket))
    acme.work()
    acme.clock.advance(days=34)
    acme.close("6")

    run_pass(acme)
    assert keys_kept(acme) == 6

    acme.clock.advance(days=2)
    run_pass(acme)
    assert keys_kept(acme) == 1
