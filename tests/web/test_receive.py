"""The address of a source, within one process: what is stored when, and what no answer may tell."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from werkzeug.test import TestResponse

from plugin.registry import InboundRequest
from plugin.store import sources
from plugin.store.tenants import Tenant
from plugin.web.receive import LARGEST_BODY
from tests.web.installation import CONFIGURATION, Installation, words

TICKET = {"ticket": {"id": "1", "requester": {"email": "ada@example.com"}}}
PROVEN = {"Authorization": "Bearer desk-token"}


@pytest.fixture
def address(installation: Installation, acme: Tenant) -> str:
    return f"/triggers/{installation.keys(acme, 'desk')[0]}"


@pytest.fixture
def sender(installation: Installation) -> FlaskClient:
    return installation.app.test_client()


def stored(installation: Installation) -> int:
    with installation.parts.database.read() as db:
        return int(db.execute(text("SELECT count(*) FROM triggers")).scalar_one())


def last_answer(installation: Installation, tenant: Tenant) -> int | None:
    with installation.parts.database.read() as db:
        return sources.source_by_name(db, tenant.id, "desk").last_answer


@pytest.mark.parametrize(("length", "status"), [(LARGEST_BODY, 202), (LARGEST_BODY + 1, 413)])
@pytest.mark.parametrize("declared", [True, False], ids=["declared", "in chunks"])
def test_a_body_may_be_exactly_one_mebibyte(
    sender: FlaskClient, address: str, length: int, status: int, declared: bool
) -> None:
    body = json.dumps(TICKET).encode().ljust(length)
    chunked = {"environ_overrides": {"wsgi.input_terminated": True, "CONTENT_LENGTH": ""}}

    answer = sender.post(address, data=body, headers=PROVEN, **({} if declared else chunked))

    assert answer.status_code == status


def test_a_body_that_is_shorter_than_declared_is_not_taken(
    installation: Installation, sender: FlaskClient, address: str
) -> None:
    torn = {"wsgi.input_terminated": True, "CONTENT_LENGTH": "100"}

    answer = sender.post(address, data=b"ticket.id=1", headers=PROVEN, environ_overrides=torn)

    assert answer.status_code == 400
    assert stored(installation) == 0


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        pytest.param({}, b"x" * (LARGEST_BODY + 1), 413, id="too large comes before unproven"),
        pytest.param({}, b"{", 401, id="unproven comes before unreadable"),
        pytest.param(PROVEN, b"{", 400, id="unreadable"),
        pytest.param(PROVEN, b"[]", 202, id="nothing in it"),
    ],
)
def test_faults_are_told_in_one_order(
    sender: FlaskClient, address: str, headers: dict[str, str], body: bytes, status: int
) -> None:
    assert sender.post(address, data=body, headers=headers).status_code == status


def test_an_unknown_address_is_told_before_its_sender_is_asked_for_a_proof(sender: FlaskClient, acme: Tenant) -> None:
    assert sender.post("/triggers/nobody-knows-this-key", data=b"{").status_code == 404


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_trying_an_address_needs_no_proof_and_stores_nothing(
    installation: Installation, sender: FlaskClient, address: str, method: str
) -> None:
    assert sender.open(address, method=method).status_code == 200
    assert stored(installation) == 0


def test_an_unproven_request_stores_nothing_and_is_shown_on_the_overview(
    installation: Installation, sender: FlaskClient, address: str, acme: Tenant
) -> None:
    answers = [sender.post(address, json=TICKET), sender.get(f"{address}?ticket.id=1")]

    assert {(answer.status_code, answer.text) for answer in answers} == {
        (401, '{"error":"The request does not prove who sent it."}\n')
    }
    assert stored(installation) == 0
    assert last_answer(installation, acme) == 401


def test_an_unreadable_body_is_kept_under_its_receipt(
    installation: Installation, sender: FlaskClient, address: str, acme: Tenant
) -> None:
    answer = sender.post(address, data=b'{"ticket": {"id": "1",\n "a "quote""}}', headers=PROVEN)

    assert answer.status_code == 400
    assert answer.json is not None
    assert "line 2, column " in answer.json["error"]
    assert stored(installation) == 1
    assert last_answer(installation, acme) == 400


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        pytest.param({"ticket": {"id": "2", "tags": "no_survey"}}, "condition", id="no rule applies"),
        pytest.param({"ticket": {"id": "3"}}, "missing", id="the mapping lacks a value"),
        pytest.param({"event": "ticket.exploded", "ticket": {"id": "4"}}, "other_event", id="unsupported kind"),
    ],
)
def test_what_leads_to_no_call_is_202_with_its_cause(
    installation: Installation, acme: Tenant, body: dict[str, object], cause: str
) -> None:
    answer = installation.send(acme, "desk", body)

    assert answer.status_code == 202
    assert answer.json is not None
    [event] = answer.json["events"]
    assert cause in {verdict["cause"] for verdict in event["verdicts"]}
    assert {verdict["delivery"] for verdict in event["verdicts"]} == {None}


def test_a_repetition_is_answered_with_the_first_receipt(installation: Installation, acme: Tenant) -> None:
    first, again = (installation.send(acme, "desk", {"event": {"id": "e1"}, **TICKET}).json for _ in range(2))

    assert first is not None
    assert again is not None
    assert again["receipt"] == first["receipt"]
    assert [event["duplicate"] for event in (*first["events"], *again["events"])] == [False, True]
    assert again["events"][0]["id"] == first["events"][0]["id"]


@pytest.mark.parametrize(
    "break_it",
    [
        pytest.param("UPDATE sources SET credentials = 'v1.00000000.AAAA'", id="its key is gone"),
        pytest.param("UPDATE sources SET credentials = 'nonsense'", id="it was never sealed"),
        pytest.param("UPDATE sources SET kind = 'of a newer version'", id="nobody here speaks its language"),
    ],
)
def test_a_fault_of_the_installation_is_503_so_that_the_sender_comes_again(
    installation: Installation, sender: FlaskClient, address: str, break_it: str
) -> None:
    with installation.parts.database.write() as db:
        db.execute(text(break_it))

    answer = sender.post(address, json=TICKET, headers=PROVEN)

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
    assert answer.json == {"error": "Nothing could be stored just now; send it again."}
    assert stored(installation) == 0


# --- too many ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def limited(installation: Installation, acme: Tenant) -> Tenant:
    """A tenant whose source may send three requests in a minute, and as many at once."""
    return installation.apply(CONFIGURATION.replace("{name: desk,", "{name: desk, limit_per_minute: 3,"))


def answers(installation: Installation, tenant: Tenant, times: int, **more: str) -> list[int]:
    bodies = [{"event": {"id": installation.parts.mint.id()}, **TICKET} for _ in range(times)]
    return [installation.send(tenant, "desk", body, **more).status_code for body in bodies]


def flood(installation: Installation, tenant: Tenant) -> tuple[int, datetime | None, datetime | None]:
    with installation.parts.database.read() as db:
        source = sources.source_by_name(db, tenant.id, "desk")
    return source.too_many, source.too_many_since, source.too_many_at


def test_a_source_that_sends_too_many_is_told_to_come_again(installation: Installation, limited: Tenant) -> None:
    assert answers(installation, limited, 4) == [202, 202, 202, 429]

    answer = installation.send(limited, "desk", TICKET)

    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "30")
    assert answer.json == {"error": "This source has sent more than it may in a minute; send it again."}
    assert stored(installation) == 3


def test_who_comes_again_when_told_to_is_let_in(installation: Installation, limited: Tenant) -> None:
    assert answers(installation, limited, 4)[-1] == 429

    installation.clock.advance(seconds=30)

    assert answers(installation, limited, 2) == [202, 429]


def test_a_flood_from_one_source_leaves_the_others_alone(installation: Installation, limited: Tenant) -> None:
    assert answers(installation, limited, 5)[-1] == 429

    assert installation.send(limited, "trial", TICKET, token="trial-token").status_code == 202


def test_somebody_who_knows_only_the_address_cannot_use_up_what_the_source_may_send(
    installation: Installation, limited: Tenant
) -> None:
    assert answers(installation, limited, 10, token="wrong") == [401] * 10

    assert answers(installation, limited, 3) == [202] * 3


def test_trying_the_address_counts_for_nothing(installation: Installation, limited: Tenant) -> None:
    address = f"/triggers/{installation.keys(limited, 'desk')[0]}"
    sender = installation.app.test_client()
    assert {sender.head(address).status_code for _ in range(10)} == {200}
    assert {sender.get(address).status_code for _ in range(10)} == {200}

    assert answers(installation, limited, 4) == [202, 202, 202, 429]
    assert (sender.head(address).status_code, sender.get(address).status_code) == (200, 200)


def test_refusals_are_counted_in_few_writes_and_shown(installation: Installation, limited: Tenant) -> None:
    began = installation.clock()
    assert answers(installation, limited, 8)[3:] == [429] * 5
    assert flood(installation, limited) == (1, began, began)

    installation.clock.advance(seconds=30)
    assert answers(installation, limited, 1) == [202]
    assert flood(installation, limited) == (5, began, installation.clock())
    assert last_answer(installation, limited) == 202

    visitor = installation.visitor(installation.add_link(limited))
    assert "Refused because too many 5 since" in words(visitor.get("/settings/"))
    installation.clock.advance(days=7)
    visitor = installation.visitor(installation.add_link(limited))
    assert "Refused because too many" not in words(visitor.get("/settings/"))


def test_a_flood_long_after_another_is_counted_anew(installation: Installation, limited: Tenant) -> None:
    assert answers(installation, limited, 4)[-1] == 429
    installation.clock.advance(days=2)

    assert answers(installation, limited, 4)[-1] == 429

    assert flood(installation, limited) == (1, installation.clock(), installation.clock())


def test_what_the_operator_feeds_in_is_not_limited(installation: Installation, limited: Tenant) -> None:
    with installation.parts.database.read() as db:
        source = sources.source_by_name(db, limited.id, "desk")
    body = json.dumps(TICKET).encode()

    for _ in range(5):
        installation.parts.acceptor.accept(source, InboundRequest("POST", "", {}, body), verified=True)


# --- anything at all --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FlaskClient, str]]:
    """One installation for a great many messages."""
    installation = Installation(tmp_path_factory.mktemp("standing"))
    tenant = installation.apply(CONFIGURATION)
    yield installation.app.test_client(), f"/triggers/{installation.keys(tenant, 'desk')[0]}"
    installation.close()


CONTENT_TYPES = st.sampled_from(
    ["application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "text/plain", ";", ""]
)
NEARLY_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["ticket", "id", "event", "kind", "x"]), inner),
).map(lambda value: json.dumps({"ticket": value}).encode())


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=200) | NEARLY_JSON, content_type=CONTENT_TYPES, query=st.text(max_size=30))
def test_no_message_is_a_fault_of_ours(
    standing: tuple[FlaskClient, str], body: bytes, content_type: str, query: str
) -> None:
    sender, address = standing

    answer: TestResponse = sender.post(
        address, data=body, query_string={"q": query}, headers={**PROVEN, "Content-Type": content_type}
    )

    assert answer.status_code in {202, 400}
    assert answer.is_json
