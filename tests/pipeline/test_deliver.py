from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import update

import plugin.surveys
from plugin import registry
from plugin.app import open_parts
from plugin.domain.outcome import Reason
from plugin.errors import OutboundFailed
from plugin.outbound import Outbound
from plugin.pipeline.deliver import Claim, Deliverer, outcome_of_failure
from plugin.redaction import Secret
from plugin.store import connections, lanes, tenants
from plugin.store.tables import deliveries as delivery_rows
from plugin.store.tables import delivery_calls
from tests.acme import ACME, Acme


class Sender:
    """One sender: claims, calls and settles, step by step."""

    def __init__(self, acme: Acme, outbound):
        self.acme = acme
        self.seconds = 0.0
        parts = acme.parts
        self.deliverer = Deliverer(
            outbound, parts.vault, parts.mint, monotonic=lambda: self.seconds, chance=lambda: 0.0
        )

    def claim(self) -> list[Claim]:
        return self.settle()

    def settle(self, *finished, free: int = 8) -> list[Claim]:
        with self.acme.parts.database.write() as db:
            return self.deliverer.claim_and_settle(db, finished, worker="w1", free=free, free_for_hanging=2)

    def deliver(self) -> None:
        """Make what is due now, each once."""
        self.settle(*map(self.deliverer.call, self.claim()), free=0)


@pytest.fixture
def sender(acme) -> Iterator[Sender]:
    with acme.parts.outbound() as outbound:
        yield Sender(acme, outbound)


def connection(acme, name="lab"):
    with acme.parts.database.read() as db:
        return connections.connection_by_name(db, acme.tenant.id, name)


# --- answers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "state", "reason"),
    [
        ("ada", "accepted", "done"),
        ("failed", "rejected", "refused"),
        ("invalid", "rejected", "invalid_call"),
        ("unknown", "rejected", "not_found"),
        ("wrong-token", "rejected", "credentials"),
        ("busy", "scheduled", "rate_limited"),
        ("error", "scheduled", "vendor_unavailable"),
        ("down", "scheduled", "vendor_unavailable"),
        ("gateway", "uncertain", "vendor_error"),
        ("empty", "uncertain", "unrecognised"),
    ],
)
def test_each_answer_of_a_vendor_settles_the_delivery(acme, sender, word, state, reason):
    acme.close(email=f"{word}@example.com")

    sender.deliver()

    delivery = acme.delivery()
    assert (delivery.state, delivery.reason) == (state, reason)
    assert len(acme.vendor.received) == 1


def test_the_receipt_shows_the_call_without_its_secrets(acme, sender):
    acme.close()

    sender.deliver()

    [attempt] = acme.delivery().attempts
    assert (attempt.method, attempt.status, attempt.outcome) == ("GET", 200, "accepted")
    assert ["email", "ada@example.com"] in attempt.parameters
    assert attempt.url.startswith(f"{acme.vendor.origin}/api.php?apiToken=")
    assert "lab-token" not in f"{attempt.url}{attempt.parameters}"
    assert acme.vendor.asked[0]["apiToken"] == "lab-token"


def test_the_vendor_gets_every_character_of_the_ticket(acme, sender):
    acme.apply(ACME.replace('custom1: "{{ ticket.id }}"', 'custom1: "{{ ticket.title }}"'))
    title = "Zażółć & 50% + „#7”/?=;\nпривіт 😀 "
    acme.close(title=title)

    sender.deliver()

    assert acme.vendor.asked[0]["custom1"] == title


def test_a_retry_waits_and_keeps_its_reference(acme, sender):
    acme.close(email="down@example.com")
    sender.deliver()
    waited = acme.delivery().due - acme.clock()
    assert waited.total_seconds() == 5

    acme.clock.advance(seconds=5)
    sender.deliver()

    assert acme.vendor.asked[0]["crk"] == acme.vendor.asked[1]["crk"]
    assert (acme.delivery().attempts_made, len(acme.delivery().attempts)) == (2, 2)
    assert (acme.delivery().due - acme.clock()).total_seconds() == 30


def test_a_vendor_that_asks_for_time_gets_it_and_no_attempt_is_burnt(acme, sender):
    acme.close(email="busy@example.com")

    sender.deliver()

    assert (acme.delivery().due - acme.clock()).total_seconds() == 2
    assert acme.delivery().attempts_made == 0


# --- no answer --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["dns", "refused", "tls", "timeout", "reset", "proxy"])
def test_a_call_that_certainly_sent_nothing_is_made_again(kind):
    outcome = outcome_of_failure(OutboundFailed(kind, "vendor.example: words", sent=False))

    assert (type(outcome).__name__, outcome.reason, outcome.words) == (
        "RetryLater",
        Reason.NOT_REACHED,
        "vendor.example: words",
    )


@pytest.mark.parametrize("kind", ["tls", "timeout", "reset", "protocol", "proxy"])
def test_a_call_that_may_have_been_sent_is_uncertain(kind):
    outcome = outcome_of_failure(OutboundFailed(kind, "words", sent=True))

    assert (type(outcome).__name__, outcome.reason) == ("Uncertain", Reason.NO_ANSWER)


@pytest.mark.parametrize(
    ("kind", "reason"), [("forbidden", Reason.FORBIDDEN_ADDRESS), ("protocol", Reason.INVALID_CALL)]
)
def test_a_call_that_can_never_be_made_is_given_up(kind, reason):
    outcome = outcome_of_failure(OutboundFailed(kind, "words", sent=False))

    assert (type(outcome).__name__, outcome.reason) == ("Rejected", reason)


def test_a_vendor_that_is_not_there_is_tried_again_later(acme):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        origin = f"http://127.0.0.1:{taken.getsockname()[1]}"
    acme.apply(origin=origin)
    acme.close()

    with Outbound(user_agent="test", extra_origins=[origin]) as outbound:
        Sender(acme, outbound).deliver()

    delivery = acme.delivery()
    assert (delivery.state, delivery.reason) == ("scheduled", "not_reached")
    assert delivery.attempts[0].status is None
    assert "lab-token" not in delivery.attempts[0].words


def test_an_address_that_is_allowed_no_more_pauses_the_connection(acme):
    acme.close()
    with Outbound(user_agent="test") as outbound:
        Sender(acme, outbound).deliver()

    assert (acme.delivery().state, acme.delivery().reason) == ("rejected", "forbidden_address")
    assert connection(acme).paused_reason == "forbidden_address"
    assert acme.vendor.received == []


def test_a_call_that_timed_out_marks_its_lane_as_hanging_until_one_is_answered(acme, sender):
    acme.close("1")
    acme.close("2")
    first, second = sender.claim()
    sender.settle(replace(sender.deliverer.call(first), hanging=True), free=0)
    sender.settle(sender.deliverer.broken(second, RuntimeError()), free=0)
    acme.close("3")
    [third] = sender.claim()
    assert third.row.hanging is True

    sender.settle(sender.deliverer.call(third), free=0)
    acme.close("4")
    assert sender.claim()[0].row.hanging is False


# --- never called -----------------------------------------------------------------------------------------------------


def test_a_sender_that_comes_late_to_a_claim_gives_it_back(acme, sender):
    acme.close()
    [claim] = sender.claim()
    sender.seconds += 20.1

    finished = sender.deliverer.call(claim)
    [again] = sender.settle(finished)

    assert acme.vendor.received == []
    assert (again.row.id, again.row.epoch, again.row.attempts) == (claim.row.id, 2, 0)
    assert acme.delivery().attempts[0].outcome == "given back"


def test_giving_back_does_not_clear_a_hanging_lane(acme, sender):
    acme.close()
    with acme.parts.database.write() as db:
        lanes.mark(db, {connection(acme).id: True})
    [claim] = sender.claim()
    sender.seconds += 21

    [again] = sender.settle(sender.deliverer.call(claim))

    assert again.row.hanging is True


def test_settings_that_cannot_be_opened_park_the_delivery_and_lose_nothing(acme, sender):
    acme.close()
    other = replace(acme.parts.config, data_keys=(Secret("eHh4" * 10 + "eHg"),))
    parts = open_parts(other, acme.parts.mint)
    with parts.outbound() as outbound:
        Sender(Acme(parts, acme.vendor, acme.clock), outbound).deliver()
    parts.close()

    assert (acme.delivery().state, acme.delivery().parked) == ("scheduled", True)
    assert "DATA_KEYS" in connection(acme).paused_words

    with acme.parts.database.write() as db:
        connections.resume_connection(db, acme.tenant.id, connection(acme).id)
    sender.deliver()
    assert acme.delivery().state == "accepted"


def test_a_connector_that_is_gone_loses_no_delivery(acme, sender):
    acme.close()
    [claim] = sender.claim()

    sender.settle(sender.deliverer.call(replace(claim, row=replace(claim.row, vendor="gone"))), free=0)

    delivery = acme.delivery()
    assert (delivery.state, delivery.reason) == ("scheduled", "not_reached")
    assert "NotFound" in delivery.attempts[0].words


# --- pauses -----------------------------------------------------------------------------------------------------------


def test_refused_credentials_pause_the_connection_with_the_vendors_words(acme, sender):
    acme.close(email="wrong-token@example.com")

    sender.deliver()

    paused = connection(acme)
    assert (paused.paused_at, paused.paused_reason, paused.paused_words) == (
        acme.clock(),
        "credentials",
        "Action failed",
    )


def refuse(acme, sender, *people):
    for person in people:
        acme.close(email=f"{person}@example.com")
        sender.deliver()


def test_three_refusals_in_a_row_for_different_people_pause_the_connection(acme, sender):
    acme.apply(ACME.replace('"{{ person.email }}"', '"{{ ticket.title }}"'))
    for person in ("ada", "ben", "cyd"):
        assert connection(acme).paused_at is None
        acme.close(email=f"{person}@example.com", title="invalid@example.com")
        sender.deliver()

    assert connection(acme).paused_reason == "invalid_call"


def test_one_person_refused_three_times_pauses_nothing(acme, sender):
    refuse(acme, sender, "invalid", "invalid", "invalid")

    assert connection(acme).paused_at is None


def test_a_success_between_refusals_starts_the_count_anew(acme, sender):
    acme.apply(ACME.replace('"{{ person.email }}"', '"{{ ticket.title }}"'))
    for person, answer in (
        ("ada", "invalid"),
        ("ben", "invalid"),
        ("cyd", "fine"),
        ("dan", "unknown"),
        ("eve", "invalid"),
    ):
        acme.close(email=f"{person}@example.com", title=f"{answer}@example.com")
        sender.deliver()

    assert connection(acme).paused_at is None
    assert connection(acme).last_success_at is not None


def test_a_refusal_of_one_person_counts_not_against_the_connection(acme, sender):
    acme.apply(ACME.replace('"{{ person.email }}"', '"{{ ticket.title }}"'))
    for person in ("ada", "ben", "cyd", "dan"):
        acme.close(email=f"{person}@example.com", title="failed@example.com")
        sender.deliver()

    assert connection(acme).paused_at is None


def test_what_waits_behind_a_pause_goes_out_when_it_is_resumed(acme, sender):
    refuse(acme, sender, "wrong-token")
    acme.close(email="ada@example.com")
    sender.deliver()
    assert acme.deliveries()[1].parked

    with acme.parts.database.write() as db:
        connections.resume_connection(db, acme.tenant.id, connection(acme).id)
    sender.deliver()

    assert acme.deliveries()[1].state == "accepted"
    assert connection(acme).paused_reason is None


def test_a_refusal_after_its_tenant_was_removed_harms_nobody(acme, sender):
    acme.close(email="invalid@example.com")
    finished = [sender.deliverer.call(claim) for claim in sender.claim()]
    with acme.parts.database.write() as db:
        tenants.remove_tenant(db, acme.tenant.id)

    assert sender.settle(*finished) == []


# --- trying a paused connection ---------------------------------------------------------------------------------------


def probe(sender, *, free=8):
    """What a worker lets through the pauses now, made and settled."""
    with sender.acme.parts.database.write() as db:
        claimed = sender.deliverer.claim_and_settle(db, [], worker="w1", free=free, free_for_hanging=2, probing=True)
    sender.settle(*map(sender.deliverer.call, claimed), free=0)
    return claimed


@pytest.fixture
def paused(acme, sender):
    """A connection that its vendor's answer has paused, with three deliveries behind it."""
    acme.apply(ACME.replace('"{{ person.email }}"', '"{{ ticket.title }}"'))
    acme.close(title="wrong-token@example.com")
    sender.deliver()
    for number in range(3):
        acme.close(str(number), title="ada@example.com")
    return sender


def test_one_delivery_tries_a_paused_connection_and_its_success_resumes_it(acme, paused):
    assert connection(acme).probe_at == acme.clock() - timedelta(seconds=3) + timedelta(minutes=15)
    assert probe(paused) == []
    acme.clock.advance(minutes=15)

    [tried] = probe(paused)

    assert tried.row.probe
    assert (connection(acme).paused_at, connection(acme).probe_at) == (None, None)
    assert len(paused.claim()) == 2


def test_while_a_connection_is_tried_no_other_delivery_goes_out(acme, paused):
    acme.clock.advance(minutes=15)
    with acme.parts.database.write() as db:
        [_] = paused.deliverer.claim_and_settle(db, [], worker="w1", free=8, free_for_hanging=2, probing=True)

    assert probe(paused) == []
    assert paused.claim() == []


def test_a_try_that_is_refused_loses_no_delivery_and_the_next_waits_twice_as_long(acme, paused):
    with acme.parts.database.write() as db:
        changed = {"cId": "1", "email": "wrong-token@example.com", "crk": "x"}
        db.execute(update(delivery_calls).values(parameters=changed))
    waits = []
    for _ in range(7):
        acme.clock.now = connection(acme).probe_at
        assert len(probe(paused)) == 1
        waits.append((connection(acme).probe_at - acme.clock()) / timedelta(minutes=1))

    assert waits == [30, 60, 120, 240, 360, 360, 360]
    assert connection(acme).paused_reason == "credentials"
    assert [one.state for one in acme.deliveries()] == ["rejected", "scheduled", "scheduled", "scheduled"]
    assert all(one.attempts_made == 0 for one in acme.deliveries()[1:])
    # Each time another one, so that a single bad one cannot keep the connection paused.
    assert {len(one.attempts) for one in acme.deliveries()[1:]} == {2, 3}


def test_a_try_without_an_answer_leaves_the_connection_paused(acme, paused):
    with acme.parts.database.write() as db:
        db.execute(update(delivery_calls).values(parameters={"cId": "1", "email": "down@example.com", "crk": "x"}))
    acme.clock.advance(minutes=15)

    probe(paused)

    assert connection(acme).paused_reason == "credentials"
    assert connection(acme).probe_at == acme.clock() + timedelta(minutes=30)


def test_a_pause_by_a_persons_hand_is_tried_by_nobody(acme, paused):
    with acme.parts.database.write() as db:
        found = connection(acme)
        connections.pause_connection(
            db, found.tenant_id, found.id, reason="by_hand", words="moving house", now=acme.clock()
        )
    acme.clock.advance(hours=12)

    assert probe(paused) == []
    assert (connection(acme).paused_reason, connection(acme).probe_at) == ("by_hand", None)


def test_an_answer_that_refuses_does_not_overwrite_a_pause_by_a_persons_hand(acme, sender):
    acme.close(email="wrong-token@example.com")
    claimed = sender.claim()
    with acme.parts.database.write() as db:
        found = connection(acme)
        connections.pause_connection(
            db, found.tenant_id, found.id, reason="by_hand", words="moving house", now=acme.clock()
        )

    sender.settle(*map(sender.deliverer.call, claimed), free=0)

    paused = connection(acme)
    assert (paused.paused_reason, paused.paused_words, paused.probe_at) == ("by_hand", "moving house", None)


def test_a_success_that_was_under_way_before_the_pause_does_not_resume(acme, sender):
    acme.close(email="ada@example.com")
    under_way = sender.claim()
    acme.close(email="wrong-token@example.com")
    sender.deliver()

    sender.settle(*map(sender.deliverer.call, under_way), free=0)

    assert connection(acme).paused_reason == "credentials"


# --- a vendor of several steps, and one that is broken ----------------------------------------------------------------

STUB = """
from plugin.domain.fields import SecretText, StrictSchema, Text
from plugin.domain.outcome import Accepted, NextRequest, Rejected, Reason
from plugin.domain.survey_call import OutboundRequest
from plugin.surveys.base import Call, Step, Vendor, ANY_PUBLIC_HTTPS


class Connection(StrictSchema):
    origin = Text(label="Origin", required=True)
    token = SecretText(label="Token", required=True)


class Parameters(StrictSchema):
    email = Text(label="E-mail", required=True)


VENDOR = Vendor(
    title="Stub",
    connection=Connection,
    origins=ANY_PUBLIC_HTTPS,
    calls={"invite": Call("Invite", Parameters, [Step("add", repeat_safe=True), Step("send")])},
)


def build_request(call, connection, step, memory):
    if call.parameters["email"].startswith("unbuildable"):
        raise ZeroDivisionError(connection["token"].reveal())
    query = (("step", step), ("memory", memory.get("id", "")), ("token", connection["token"]))
    return OutboundRequest("GET", connection["origin"], ("nowhere",), query)


def read_response(call, response, step, memory):
    email = call.parameters["email"]
    if email.startswith("unreadable"):
        raise ZeroDivisionError(email)
    if email.startswith("telltale"):
        return Rejected(Reason.CREDENTIALS, "token stub-token is wrong for " + email)
    if step == "add":
        return NextRequest("send", {"id": "c-7"}, after=60, words="added")
    return Accepted("\\ud800v\\x00-" + memory["id"])
"""

STUB_ACME = ACME.replace(
    'vendor: surveylab, settings: {origin: "$sandbox", api_token: lab-token}',
    'vendor: stubvendor, settings: {origin: "$sandbox", token: stub-token}',
).replace(
    """    call: add_respondent
    parameters:
      cId: "837"
      email: "{{ person.email }}"
      language: "{{ person.language }}"
      custom1: "{{ ticket.id }}"
""",
    """    call: invite
    parameters: {email: "{{ person.email }}"}
""",
)


@pytest.fixture
def stub(acme, tmp_path, monkeypatch, sender) -> Sender:
    """The tenant's connection leads to a vendor with two steps, made for this test."""
    (tmp_path / "surveys").mkdir()
    (tmp_path / "surveys" / "stubvendor.py").write_text(STUB)
    monkeypatch.setattr(plugin.surveys, "__path__", [*plugin.surveys.__path__, str(tmp_path / "surveys")])
    registry.vendor_names.cache_clear()
    acme.apply(STUB_ACME)
    yield sender
    monkeypatch.undo()
    registry.vendor_names.cache_clear()


def test_a_second_step_gets_what_the_first_one_learnt_and_nobody_can_read_it_meanwhile(acme, stub):
    acme.close()
    stub.deliver()
    assert (acme.delivery().state, acme.delivery().step) == ("scheduled", "send")
    assert (acme.delivery().due - acme.clock()).total_seconds() == 60
    with acme.parts.database.read() as db:
        kept = db.exec_driver_sql("SELECT memory FROM delivery_calls").scalar()
    assert "c-7" not in kept

    acme.clock.advance(seconds=60)
    stub.deliver()

    assert [(call["step"], call["memory"]) for call in acme.vendor.asked] == [("add", ""), ("send", "c-7")]
    delivery = acme.delivery()
    assert (delivery.state, delivery.attempts_made) == ("accepted", 1)
    assert [attempt.outcome for attempt in delivery.attempts] == ["next step", "accepted"]


def test_a_vendors_reference_is_made_fit_for_the_database(acme, stub):
    acme.close()
    stub.deliver()
    acme.clock.advance(seconds=60)

    stub.deliver()

    assert acme.delivery().vendor_reference == "?v-c-7"


REPEATS = """
tenant: acme
name: Acme
timezone: Europe/Warsaw
language: pl
sources:
  - {name: desk, kind: zendesk, credentials: {signing_secret: zendesk-secret}}
connections:
  - name: own
    vendor: custom
    settings:
      origin: $sandbox
      path: /custom/invite
      headers: {Authorization: "Bearer {secret:token}"}
      form: {email: "{email}"}
      # What the sandbox answers as its own id of an invitation.
      secrets: {token: inv-7001}
      parameters: {email: {kind: email, required: true}}
      answers:
        - {look: [{at: state, is: queued}], means: accepted, reference: invitation.id}
rules:
  - name: csat
    when: {events: [ticket.closed]}
    connection: own
    call: send
    parameters: {email: "{{ person.email }}"}
"""


def test_a_secret_that_a_vendor_repeats_as_its_reference_is_not_kept(acme):
    acme.apply(REPEATS)
    acme.close()
    acme.work()
    assert (acme.delivery().state, acme.delivery().vendor_reference) == ("accepted", "•••")


@pytest.mark.parametrize(("step", "state"), [("add", "scheduled"), ("send", "uncertain")])
def test_a_lost_claim_is_repeated_only_where_the_vendor_says_that_it_may_be(acme, stub, step, state):
    acme.close()
    with acme.parts.database.write() as db:
        db.execute(update(delivery_rows).values(step=step))
    stub.claim()
    acme.clock.advance(seconds=46)

    with acme.parts.database.write() as db:
        assert stub.deliverer.recover_lost(db) == 1

    assert acme.delivery().state == state


def test_secrets_and_addresses_in_a_vendors_words_are_masked(acme, stub):
    acme.close(email="telltale@example.com")

    stub.deliver()

    [attempt] = acme.delivery().attempts
    assert attempt.words == "token ••• is wrong for telltale@example.com"
    assert connection(acme).paused_words == "token ••• is wrong for t•••@example.com"


def test_a_request_that_cannot_be_built_is_tried_again_and_says_whose_fault_it_is(acme, stub):
    acme.close(email="unbuildable@example.com")

    stub.deliver()

    delivery = acme.delivery()
    assert (delivery.state, acme.vendor.received) == ("scheduled", [])
    assert delivery.attempts[0].words == (
        "A fault in survey-plugin itself (ZeroDivisionError); please report it. Nothing was sent."
    )


def test_an_answer_that_the_connector_fails_on_leaves_the_delivery_uncertain(acme, stub):
    acme.close(email="unreadable@example.com")
    acme.close(email="ada@example.com")

    with acme.parts.outbound() as outbound:
        assert acme.parts.worker(outbound).run_until_idle(20)

    broken, fine = acme.deliveries()
    assert (broken.state, fine.step) == ("uncertain", "send")
    assert "ZeroDivisionError" in broken.attempts[0].words
    assert "unreadable@" not in broken.attempts[0].words


def test_a_lost_claim_of_a_connector_that_is_gone_is_uncertain(acme, stub, monkeypatch):
    acme.close()
    stub.claim()
    acme.clock.advance(seconds=46)
    monkeypatch.undo()
    registry.vendor_names.cache_clear()

    with acme.parts.database.write() as db:
        stub.deliverer.recover_lost(db)

    assert acme.delivery().state == "uncertain"


def test_a_delivery_keeps_its_step_over_another_claim(acme, stub):
    acme.close()
    stub.deliver()
    acme.clock.advance(seconds=60)
    [claim] = stub.claim()
    stub.seconds += 21

    [again] = stub.settle(stub.deliverer.call(claim))

    assert claim.row.memory is not None
    assert (again.row.step, again.row.memory) == ("send", claim.row.memory)
