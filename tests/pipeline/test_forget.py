from __future__ import annotations

import json

import pytest
from sqlalchemy import delete, select, update

from plugin.errors import NotAllowed
from plugin.pipeline.accept import UnreadableKept
from plugin.pipeline.fingerprint import mark_of
from plugin.pipeline.forget import find_person, forget_person
from plugin.registry import InboundRequest
from plugin.store import persons, sources, tenants
from plugin.store.tables import connections, delivery_calls, event_values, metadata, trigger_bodies
from tests.acme import ACME, closing


def unseen(done, total):
    """Progress that nobody watches."""


ADDRESS = "Ada.Lovelace+surveys@Example.com"


def forget(acme, address=ADDRESS):
    return forget_person(acme.parts.database, acme.parts.mint, acme.tenant.id, address, unseen)


def find(acme, address=ADDRESS):
    return find_person(acme.parts.database, acme.tenant.id, address, unseen)


def everything(acme):
    """All that the database holds, as one text; only what the configuration says is left out."""
    with acme.parts.database.read() as db:
        rows = [
            str(tuple(row))
            for table in metadata.sorted_tables
            if table.name not in {"configurations", "rules"}
            for row in db.execute(select(table))
        ]
    return "\n".join(rows).casefold()


def post(acme, body, query="", content_type="application/json"):
    headers = {"authorization": "Bearer bearer-secret", "content-type": content_type}
    return acme.parts.acceptor.accept(acme.source("any"), InboundRequest("POST", query, headers, body))


@pytest.mark.parametrize(
    ("body", "query"),
    [
        (json.dumps(closing("35", email=ADDRESS)), ""),
        (json.dumps(closing("35", email=ADDRESS.upper())), ""),
        (json.dumps(closing("35", email=ADDRESS)).replace("@", "\\u0040"), ""),
        (json.dumps(closing("35", email=ADDRESS)).replace("+", "\\u002B"), ""),
        ("ticket.id=35&ticket.requester.email=Ada.Lovelace%2Bsurveys%40Example.com", ""),
        ("", "ticket.id=35&ticket.requester.email=ada.lovelace%2bsurveys%40example.com"),
        (json.dumps({"ticket": {"id": "35", "note": f"write to\n{ADDRESS}"}}), ""),
        (json.dumps({"ticket": {"id": "35"}, "html": "Ada.Lovelace+surveys&#64;example.com"}), ""),
        (json.dumps({"ticket": {"id": ADDRESS}}), ""),
        ("data=" + "%7B%22chat%22%3A%7B%22id%22%3A%22Ada.Lovelace%2Bsurveys%5Cu0040example.com%22%7D%7D", ""),
    ],
)
def test_a_person_is_found_and_erased_in_every_encoding(acme, body, query):
    post(acme, body.encode(), query)
    assert find(acme).receipts == 1

    forget(acme)

    assert find(acme).is_empty
    left = everything(acme)
    assert "lovelace" not in left


def test_everything_that_followed_from_a_message_is_erased_with_it(acme):
    acme.close(email=ADDRESS, title="Printer of Ada")
    acme.work()
    acme.close("36", email="bob@example.com")
    everywhere = {"stored messages": 1, "events": 1, "survey calls": 1, "attempts": 1}
    assert find(acme).counts == everywhere
    assert "\n".join(find(acme).lines()).startswith("Searched 2 receipts; found in 1 receipt:")

    erased = forget(acme)

    assert (erased.counts, erased.receipts) == (everywhere, 1)
    assert list(find(acme).lines()) == ["Searched 2 receipts: nothing that is kept names this person."]
    assert "printer" not in everything(acme)
    delivery, other = acme.deliveries()
    assert other.parameters["email"] == "bob@example.com"
    assert (delivery.state, delivery.parameters) == ("accepted", {})
    assert (delivery.attempts[0].url, delivery.attempts[0].words, delivery.attempts[0].status) == (None, None, 200)


def test_what_was_decided_is_kept(acme):
    acceptance = acme.close(email=ADDRESS)

    forget(acme)

    receipt = acme.receipt(acceptance)
    assert receipt.body is None
    [record] = receipt.events
    assert [verdict.decision for verdict in record.verdicts] == ["ask"]
    assert record.event.values == {}


def test_what_was_still_to_be_sent_is_cancelled(acme):
    acme.close(email=ADDRESS)

    assert forget(acme).cancelled == 1

    acme.work()
    assert acme.delivery().state == "cancelled"
    assert acme.vendor.received == []


def test_a_call_under_way_leaves_nothing_personal_behind_and_is_not_repeated(acme):
    acme.close(email="down@example.com")
    with acme.parts.outbound() as outbound:
        deliverer = acme.parts.deliverer(outbound)
        with acme.parts.database.write() as db:
            [claim] = deliverer.claim_and_settle(db, [], worker="w1", free=1, free_for_hanging=1)
        finished = deliverer.call(claim)
        assert forget(acme, "down@example.com").under_way == 1
        with acme.parts.database.write() as db:
            deliverer.claim_and_settle(db, [finished], worker="w1", free=0, free_for_hanging=0)

    assert acme.delivery().state == "cancelled"
    assert find(acme, "down@example.com").is_empty
    assert "down@" not in everything(acme)


def test_the_preview_of_a_source_in_state_test_is_erased(acme):
    acme.apply(ACME.replace("kind: zendesk,", "kind: zendesk, state: test,"))
    acme.close(email=ADDRESS)

    forget(acme)

    assert "lovelace" not in everything(acme)


def test_an_unreadable_message_is_erased_too(acme):
    with pytest.raises(UnreadableKept):
        post(acme, b'{"email": "' + ADDRESS.encode() + b'"')

    forget(acme)

    assert "lovelace" not in everything(acme)


def test_a_telephone_number_is_found_as_well(acme):
    post(acme, json.dumps({"ticket": {"id": "35", "requester": {"phone": "+48221234567"}}}).encode())

    assert find(acme, "+48221234567").receipts == 1
    assert find(acme, "48221234567").receipts == 1
    assert find(acme, "221234567").is_empty


def test_a_call_is_known_by_its_person_also_when_the_message_is_gone(acme):
    acme.close(email=ADDRESS)
    with acme.parts.database.write() as db:
        db.execute(delete(trigger_bodies))
        db.execute(update(event_values).values(placeholders={}))
        db.execute(update(delivery_calls).values(parameters={"custom1": "Ada"}))

    assert find(acme).counts == {"survey calls": 1}
    forget(acme)

    assert acme.delivery().parameters == {}


@pytest.mark.parametrize(
    "neighbour",
    [
        "joada.lovelace+surveys@example.com",
        "x.ada.lovelace+surveys@example.com",
        "bob+ada.lovelace+surveys@example.com",
        "ada.lovelace+surveys@example.com.pl",
        "ada.lovelace@example.com",
    ],
)
def test_a_person_whose_address_only_looks_alike_is_left_alone(acme, neighbour):
    acme.close("1", email=neighbour)
    acme.close("2", email=ADDRESS)

    forget(acme)

    assert acme.deliveries()[0].parameters["email"] == neighbour
    assert find(acme, neighbour).receipts == 1


def test_another_tenant_keeps_what_it_has(acme):
    acme.apply(ACME.replace("tenant: acme", "tenant: blue").replace("bearer-secret", "blue-secret"))
    acme.close(email=ADDRESS)
    with acme.parts.database.read() as db:
        blue = tenants.tenant_by_slug(db, "blue")
        source = sources.source_by_name(db, blue.id, "any")
    headers = {"authorization": "Bearer blue-secret"}
    body = json.dumps(closing("1", email=ADDRESS)).encode()
    acme.parts.acceptor.accept(source, InboundRequest("POST", "", headers, body))

    forget(acme)

    assert find_person(acme.parts.database, blue.id, ADDRESS, unseen).receipts == 1


@pytest.mark.parametrize("address", ["", "  ", "a@b"])
def test_a_text_that_is_no_whole_address_erases_nothing(acme, address):
    acme.close()

    with pytest.raises(NotAllowed):
        forget(acme, address)


def test_in_a_message_about_several_only_the_persons_own_event_is_emptied(acme):
    tickets = [closing("1", email=ADDRESS), closing("2", email="bob@example.com")]
    body = json.dumps([{"event": {"kind": "ticket.closed", "id": one["ticket"]["id"]}, **one} for one in tickets])
    post(acme, body.encode())

    assert forget(acme).cancelled == 1

    adas, bobs = acme.deliveries()
    assert (adas.state, adas.parameters) == ("cancelled", {})
    assert (bobs.state, bobs.parameters["email"]) == ("scheduled", "bob@example.com")
    assert "lovelace" not in everything(acme)


def test_the_receipt_says_that_somebody_was_forgotten(acme):
    acceptance = acme.close(email=ADDRESS)

    forget(acme)

    assert acme.receipt(acceptance).emptied.startswith("The person was forgotten on 2026-11-03: ")


def test_it_goes_through_all_receipts_a_page_at_a_time(acme, monkeypatch):
    monkeypatch.setattr(persons, "_FIRST_PAGE", persons._FIRST_PAGE.limit(2))
    monkeypatch.setattr(persons, "_NEXT_PAGE", persons._NEXT_PAGE.limit(2))
    for ticket in range(5):
        acme.send(closing(str(ticket), email=ADDRESS))  # all at the same moment
    acme.close("6", email="bob@example.com")
    steps = []

    forget_person(acme.parts.database, acme.parts.mint, acme.tenant.id, ADDRESS, lambda *step: steps.append(step))

    assert steps == [(2, 6), (4, 6), (6, 6)]
    assert find(acme).is_empty


def test_stopped_half_way_it_does_the_rest_when_it_is_run_again(acme, monkeypatch):
    monkeypatch.setattr(persons, "_FIRST_PAGE", persons._FIRST_PAGE.limit(2))
    monkeypatch.setattr(persons, "_NEXT_PAGE", persons._NEXT_PAGE.limit(2))
    for ticket in range(5):
        acme.close(str(ticket), email=ADDRESS)

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        forget_person(acme.parts.database, acme.parts.mint, acme.tenant.id, ADDRESS, stop)
    assert find(acme).receipts == 3

    assert forget(acme).receipts == 3
    assert find(acme).is_empty


def test_the_mark_of_the_person_last_refused_goes_too(acme):
    mark = mark_of(acme.tenant.id, ADDRESS)
    with acme.parts.database.write() as db:
        db.execute(update(connections).values(last_struck=mark))

    forget(acme)

    assert mark not in everything(acme)
