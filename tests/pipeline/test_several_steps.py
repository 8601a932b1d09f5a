"""Calls of several steps, by real HTTP against the pretended LimeSurvey: each is made once, whatever happens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import select, update

from plugin.cli.receipt_text import receipt_lines
from plugin.domain.delivery import Resolution
from plugin.outbound import Outbound
from plugin.pipeline.deliver import Claim, Deliverer
from plugin.pipeline.reencrypt import reencrypt
from plugin.pipeline.replay import replay_delivery
from plugin.store import connections, erasure, resolutions
from plugin.store.tables import deliveries as delivery_rows
from plugin.store.tables import delivery_calls, errands
from plugin.vault import Vault
from tests.acme import Acme

LIME = """
tenant: acme
name: Acme
timezone: Europe/Warsaw
language: pl
sources:
  - {name: desk, kind: zendesk, credentials: {signing_secret: zendesk-secret}}
connections:
  - {name: lime, vendor: limesurvey, settings: {origin: "$sandbox", username: admin, password: a-password}}
rules:
  - name: csat
    when: {events: [ticket.closed]}
    connection: lime
    call: invite
    parameters: {survey_id: "282267", email: "{{ person.email }}", attribute_1: "{{ ticket.id }}"}
"""
STEPS = ["login", "add", "invite"]


class Sender:
    """One sender: claims, calls and settles, step by step."""

    def __init__(self, acme: Acme, outbound: Outbound) -> None:
        self.acme = acme
        parts = acme.parts
        self.deliverer = Deliverer(outbound, parts.vault, parts.mint, monotonic=lambda: 0.0, chance=lambda: 0.0)

    def claim(self, *finished: Any, probing: bool = False) -> list[Claim]:
        with self.acme.parts.database.write() as db:
            return self.deliverer.claim_and_settle(
                db, finished, worker="w1", free=8, free_for_hanging=2, probing=probing
            )

    def settle(self, *finished: Any) -> None:
        with self.acme.parts.database.write() as db:
            self.deliverer.claim_and_settle(db, finished, worker="w1", free=0, free_for_hanging=0)

    def step(self, times: int = 1, *, probing: bool = False) -> None:
        """Make what is due, each once; so many times."""
        for _ in range(times):
            self.settle(*map(self.deliverer.call, self.claim(probing=probing)))

    def lose(self) -> None:
        """Claim what is due, and fall silent until the lease has run out."""
        self.claim()
        self.recover()

    def lose_answer(self) -> None:
        """Make what is due, and fall silent before anybody hears of the answer."""
        for claim in self.claim():
            self.deliverer.call(claim)
        self.recover()

    def recover(self) -> None:
        self.acme.clock.advance(seconds=46)
        with self.acme.parts.database.write() as db:
            self.deliverer.recover_lost(db)


@pytest.fixture
def lime(acme: Acme) -> Acme:
    acme.apply(LIME)
    return acme


@pytest.fixture
def sender(lime: Acme) -> Iterator[Sender]:
    with lime.parts.outbound() as outbound:
        yield Sender(lime, outbound)


def methods(acme: Acme) -> list[str]:
    """What LimeSurvey was called for, in order."""
    return [json.loads(call.body)["method"].partition("_")[0] for call in acme.vendor.received]


def kept_memory(acme: Acme) -> str | None:
    with acme.parts.database.read() as db:
        return db.execute(select(delivery_calls.c.memory)).scalar_one()


def resolve(acme: Acme, said: Resolution) -> None:
    with acme.parts.database.write() as db:
        assert resolutions.resolve(db, acme.tenant.id, acme.delivery().id, said, decided_by="Jan", now=acme.clock())


def mailed(acme: Acme) -> list[int]:
    """The participants that were mailed, by LimeSurvey's answers."""
    answers = [json.loads(call.answer.body or "null") for call in acme.vendor.received]
    results = [answer["result"] for answer in answers if isinstance(answer, dict)]
    return [
        int(tid)
        for result in results
        if isinstance(result, dict)
        for tid, row in result.items()
        if isinstance(row, dict) and row["status"] == "OK"
    ]


def text_of(acme: Acme) -> str:
    record = acme.delivery()
    return "\n".join(receipt_lines(acme.receipt(record.trigger_id)))


# --- nothing happens between ------------------------------------------------------------------------------------------


def test_each_step_has_its_own_claim_and_attempt_with_its_name_on_the_receipt(lime, sender):
    lime.close()

    sender.step(3)

    delivery = lime.delivery()
    assert (delivery.state, delivery.reason, len(mailed(lime))) == ("accepted", "done", 1)
    assert [(one.step, one.outcome) for one in delivery.attempts] == [
        ("login", "next step"),
        ("add", "next step"),
        ("invite", "accepted"),
    ]
    text = text_of(lime)
    for label in ("step: Log in", "step: Add the participant", "step: Invite that participant"):
        assert label in text
    assert "a-password" not in text
    # The lines of a body stay below its name.
    assert all(line.startswith("  ") for line in text.splitlines()[1:])


def test_a_worker_makes_all_steps_one_after_the_other(lime):
    lime.close()

    lime.work()

    assert methods(lime)[:3] == ["get", "add", "invite"]
    assert lime.delivery().state == "accepted"


def test_logging_out_follows_when_the_delivery_has_ended(lime, sender):
    lime.close()

    sender.step(3)

    with lime.parts.database.read() as db:
        [left] = db.execute(select(errands.c.step, errands.c.delivery_id, errands.c.memory)).all()
    session = json.loads(lime.vendor.received[0].answer.body)["result"]
    assert (left.step, left.delivery_id) == ("release", lime.delivery().id)
    assert session not in left.memory
    assert "still to come: “Log out” at" in text_of(lime)


def test_between_two_steps_the_receipt_tells_which_one_follows(lime, sender):
    lime.close()

    sender.step(2)

    text = text_of(lime)
    assert "scheduled - The call takes several steps; this one has been answered, and the next one follows." in text
    assert "it has come to this step of the call: Invite that participant" in text


def test_what_a_step_leaves_is_sealed_and_gone_when_the_delivery_has_ended(lime, sender):
    lime.close()
    sender.step(2)
    session = json.loads(lime.vendor.received[0].answer.body)["result"]
    kept = kept_memory(lime)
    assert kept is not None
    assert session not in kept

    sender.step()

    assert kept_memory(lime) is None


# --- falling silent ---------------------------------------------------------------------------------------------------


def test_a_crash_after_the_adding_was_answered_goes_on_at_the_invitation(lime, sender):
    lime.close()
    sender.step(2)

    with lime.parts.outbound() as outbound:
        Sender(lime, outbound).step()

    assert methods(lime) == ["get", "add", "invite"]
    assert lime.delivery().state == "accepted"


def test_a_crash_during_the_login_logs_in_again(lime, sender):
    lime.close()
    sender.lose_answer()

    sender.step(3)

    assert methods(lime) == ["get", "get", "add", "invite"]
    assert lime.delivery().state == "accepted"


@pytest.mark.parametrize("answered", [True, False])
def test_a_crash_while_the_adding_may_be_on_its_way_is_never_repeated(lime, sender, answered):
    lime.close()
    sender.step()
    (sender.lose_answer if answered else sender.lose)()

    sender.step(3)

    assert methods(lime) == ["get", "add"][: 1 + answered]
    assert (lime.delivery().state, lime.delivery().step) == ("uncertain", "add")
    assert "in doubt is this step of the call: Add the participant" in text_of(lime)


def test_an_answer_that_comes_after_its_lease_still_leads_to_the_next_step(lime, sender):
    lime.close()
    sender.step()
    [claim] = sender.claim()
    late = sender.deliverer.call(claim)
    sender.recover()
    assert lime.delivery().state == "uncertain"

    sender.settle(late)
    sender.step()

    assert methods(lime) == ["get", "add", "invite"]
    assert lime.delivery().state == "accepted"


# --- what a person says of a step in doubt ----------------------------------------------------------------------------


def test_not_sent_repeats_the_step_in_doubt_and_not_the_whole_call(lime, sender):
    lime.close()
    sender.step()
    sender.lose()

    resolve(lime, Resolution.NOT_SENT)
    sender.step(2)

    assert methods(lime) == ["get", "add", "invite"]
    assert lime.delivery().state == "accepted"


def test_an_invitation_in_doubt_that_was_mailed_is_found_so_and_not_mailed_twice(lime, sender):
    lime.close()
    sender.step(2)
    sender.lose_answer()

    resolve(lime, Resolution.NOT_SENT)
    sender.step(2)

    assert methods(lime) == ["get", "add", "invite", "invite", "get"]
    assert len(mailed(lime)) == 1
    assert (lime.delivery().state, lime.delivery().attempts[-1].step) == ("accepted", "look")


@pytest.mark.parametrize(("said", "state"), [(Resolution.SENT, "accepted"), (Resolution.CANCEL, "cancelled")])
def test_sent_and_cancel_end_the_whole_call_and_what_it_remembers(lime, sender, said, state):
    lime.close()
    sender.step(2)
    sender.lose()
    assert kept_memory(lime) is not None

    resolve(lime, said)
    sender.step()

    assert (lime.delivery().state, methods(lime)) == (state, ["get", "add"])
    assert kept_memory(lime) is None


@pytest.mark.parametrize("how", ["by hand", "with its rule", "stale", "orphaned under way"])
def test_whatever_ends_a_delivery_between_its_steps_ends_what_it_remembers(lime, sender, how):
    lime.close()
    sender.step(2)
    claims = sender.claim() if how == "orphaned under way" else []
    if how == "by hand":
        with lime.parts.database.write() as db:
            delivery = lime.delivery()
            resolutions.cancel_delivery(db, lime.tenant.id, delivery.id, decided_by="Jan", now=lime.clock())
    elif how == "stale":
        lime.clock.advance(days=4)
    else:
        lime.apply(LIME.partition("rules:")[0] + "rules: []\n")
    sender.settle(*(sender.deliverer.call(claim) for claim in claims))

    sender.step()

    expected = {"stale": "expired", "orphaned under way": "accepted"}.get(how, "cancelled")
    assert (lime.delivery().state, kept_memory(lime)) == (expected, None)
    assert len(mailed(lime)) == (how == "orphaned under way")


def test_a_replay_begins_with_the_first_step(lime, sender):
    lime.close(email="too-late@example.com")
    sender.step(3)
    assert lime.delivery().state == "rejected"

    with lime.parts.database.write() as db:
        replay_delivery(db, lime.parts.mint, lime.tenant.id, lime.delivery().id, again=False)

    assert lime.deliveries()[-1].step == "login"
    sender.step()
    assert methods(lime) == ["get", "add", "invite", "get"]


# --- retries and sessions ---------------------------------------------------------------------------------------------


def test_a_later_step_that_is_tried_again_keeps_its_place_and_what_it_knows(lime, sender):
    lime.close(email="mail-down@example.com")
    sender.step(3)
    delivery = lime.delivery()
    assert (delivery.state, delivery.step, delivery.reason) == ("scheduled", "invite", "vendor_unavailable")

    lime.clock.advance(seconds=5)
    sender.step()

    assert methods(lime) == ["get", "add", "invite", "invite"]
    calls = [json.loads(call.body)["params"] for call in lime.vendor.received]
    assert calls[2] == calls[3]


def test_a_session_that_ends_on_the_way_is_opened_anew_and_nobody_is_added_twice(lime, sender):
    lime.close(email="expired@example.com")

    sender.step(5)

    assert methods(lime) == ["get", "add", "invite", "get", "invite"]
    assert lime.delivery().state == "accepted"


# --- pauses -----------------------------------------------------------------------------------------------------------


def connection(acme: Acme) -> Any:
    with acme.parts.database.read() as db:
        return connections.connection_by_name(db, acme.tenant.id, "lime")


def test_a_wrong_password_pauses_the_connection_in_the_first_step(lime, sender):
    lime.apply(LIME.replace("a-password", "wrong"))
    lime.close()

    sender.step()

    assert (lime.delivery().state, lime.delivery().reason) == ("rejected", "credentials")
    assert connection(lime).paused_words == "Invalid user name or password"


def test_a_login_alone_does_not_end_a_row_of_refusals(lime, sender):
    lime.apply(LIME.replace("282267", "404"))
    for number in range(3):
        lime.close(str(number), email=f"ada{number}@example.com")
        sender.step(2)

    assert connection(lime).paused_reason == "not_found"


def test_a_paused_connection_is_resumed_by_the_last_step_of_one_delivery_and_not_by_its_login(lime, sender):
    lime.close(email="ada@example.com")
    lime.close("36", email="bob@example.com")
    with lime.parts.database.write() as db:
        connections.pause_connection(
            db, lime.tenant.id, connection(lime).id, reason="credentials", words="", now=lime.clock(),
            probe_at=lime.clock(),
        )  # fmt: skip

    for _ in range(2):
        sender.step(probing=True)
        assert connection(lime).paused_at is not None
    sender.step(probing=True)

    assert methods(lime) == ["get", "add", "invite"]
    assert connection(lime).paused_at is None
    assert sorted(one.state for one in lime.deliveries()) == ["accepted", "scheduled"]


def test_a_delivery_that_tries_a_connection_which_still_refuses_is_not_lost_and_tried_ever_more_rarely(lime, sender):
    lime.apply(LIME.replace("282267", "403"))
    lime.close(email="ada@example.com")
    with lime.parts.database.write() as db:
        connections.pause_connection(
            db, lime.tenant.id, connection(lime).id, reason="credentials", words="", now=lime.clock(),
            probe_at=lime.clock(),
        )  # fmt: skip

    sender.step(4, probing=True)

    assert (lime.delivery().state, lime.delivery().step, methods(lime)) == ("scheduled", "add", ["get", "add"])
    lime.clock.advance(minutes=29)
    sender.step(probing=True)
    assert len(methods(lime)) == 2
    lime.clock.advance(minutes=2)
    sender.step(probing=True)
    assert len(methods(lime)) == 3


# --- keys, forgetting, databases put back -----------------------------------------------------------------------------


def test_a_step_goes_on_with_what_was_sealed_anew_with_another_key(lime, sender):
    lime.close()
    sender.step(2)
    ring = Vault((b"n" * 32, b"k" * 32), lambda size: b"0" * size)
    before = kept_memory(lime)

    assert reencrypt(lime.parts.database, ring, lambda done, total: None).problems == []

    assert kept_memory(lime) != before
    with lime.parts.outbound() as outbound:
        other = Sender(lime, outbound)
        other.deliverer = Deliverer(outbound, ring, lime.parts.mint, monotonic=lambda: 0.0, chance=lambda: 0.0)
        other.step()
    assert lime.delivery().state == "accepted"


def test_a_person_who_is_forgotten_between_two_steps_is_not_invited(lime, sender):
    accepted = lime.close()
    sender.step(2)

    with lime.parts.database.write() as db:
        erasure.empty_receipts(db, [str(accepted.receipt)], lime.clock(), "forgotten")
    sender.step(2)

    assert mailed(lime) == []
    with lime.parts.database.read() as db:
        assert db.execute(select(delivery_calls)).all() == []


def test_an_invitation_that_left_after_a_backup_is_not_mailed_once_more(lime, sender):
    lime.close()
    sender.step(2)
    with lime.parts.database.read() as db:
        kept = db.execute(select(delivery_calls.c.memory)).scalar_one()
    sender.step()
    with lime.parts.database.write() as db:
        back = {"state": "uncertain", "reason": "restored", "step": "invite", "settled_at": lime.clock()}
        db.execute(update(delivery_rows).values(**back))
        db.execute(update(delivery_calls).values(memory=kept))

    resolve(lime, Resolution.NOT_SENT)
    sender.step(4)

    assert len(mailed(lime)) == 1
    assert lime.delivery().state == "accepted"


def test_steps_follow_each_other_without_a_wait(lime, sender):
    lime.close()
    for before, after in pairwise([*STEPS, None]):
        assert (lime.delivery().step, lime.delivery().due <= lime.clock()) == (before, True)
        sender.step()
        assert after is None or lime.delivery().step == after
