from __future__ import annotations

import json

import pytest
from sqlalchemy import delete, select, update

from plugin.errors import NotAllowed
from plugin.pipeline.accept import UnreadableKept
from plugin.pipeline.forget import find_person, forget_person
from plugin.registry import InboundRequest
from plugin.store import sources, tenants
from plugin.store.tables import delivery_calls, event_values, metadata, trigger_bodies
from tests.acme import ACME, closing

ADDRESS = "Ada.Lovelace+surveys@Example.com"


def forget(acme, address=ADDRESS):
    with acme.parts.database.write() as db:
        return forget_person(db, acme.tenant.id, address, acme.clock())


def find(acme, address=ADDRESS):
    with acme.parts.database.read() as db:
        return find_person(db, acme.tenant.id, address)


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
    assert find(acme).messages == 1

    forget(acme)

    assert find(acme).is_empty
    left = everything(acme)
    assert "lovelace" not in left


def test_everything_that_followed_from_a_message_is_erased_with_it(acme):
    acme.close(email=ADDRESS, title="Printer of Ada")
    acme.work()
    found = find(acme)
    assert (found.messages, found.events, found.deliveries, found.attempts) == (1, 1, 1, 1)

    erased = forget(acme)

    assert (erased.messages, erased.events, erased.deliveries, erased.attempts) == (1, 1, 1, 1)
    assert find(acme).is_empty
    assert find(acme).sentence() == "Nothing that is kept names this person."
    assert "printer" not in everything(acme)
    delivery = acme.delivery()
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
        forget(acme, "down@example.com")
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

    assert find(acme, "+48221234567").messages == 1
    assert find(acme, "48221234567").messages == 1
    assert find(acme, "221234567").is_empty


def test_a_call_is_known_by_its_person_also_when_the_message_is_gone(acme):
    acme.close(email=ADDRESS)
    with acme.parts.database.write() as db:
        db.execute(delete(trigger_bodies))
        db.execute(update(event_values).values(placeholders={}))
        db.execute(update(delivery_calls).values(parameters={"custom1": "Ada"}))

    assert find(acme).deliveries == 1
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
    assert find(acme, neighbour).messages == 1


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

    with acme.parts.database.read() as db:
        assert find_person(db, blue.id, ADDRESS).messages == 1


@pytest.mark.parametrize("address", ["", "  ", "a@b"])
def test_a_text_that_is_no_whole_address_erases_nothing(acme, address):
    acme.close()

    with pytest.raises(NotAllowed):
        forget(acme, address)
