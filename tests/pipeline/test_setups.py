"""What is kept for a moment about sources never decides against what is stored."""

from __future__ import annotations

import json

import pytest

from plugin.errors import SignatureInvalid, SourceGone
from plugin.pipeline.setups import Setups
from plugin.registry import InboundRequest
from plugin.store import tenants
from tests.acme import ACME, closing, sign_zendesk, verdicts

DESK = "  - {name: desk, kind: zendesk, key: 0123456789abcdef, credentials: {signing_secret: zendesk-secret}}\n"
KEYED = ACME.replace("kind: zendesk,", "kind: zendesk, key: 0123456789abcdef,")
KEY = "0123456789abcdef"


def send(acme, secret="zendesk-secret", ticket="35"):
    """A message by the source's address, to the same acceptor each time."""
    acceptor = acme.parts.acceptor
    body = json.dumps(closing(ticket, updated_at=acme.clock().isoformat())).encode()
    source = acceptor.source_for(KEY)
    return acceptor.accept(source, InboundRequest("POST", "", sign_zendesk(body, acme.clock(), secret), body), key=KEY)


def test_a_new_secret_is_good_at_once_and_the_old_one_is_not(acme):
    acme.apply(KEYED)
    send(acme)
    acme.apply(KEYED.replace("zendesk-secret", "another-secret"))

    assert verdicts(send(acme, "another-secret", "36")) == [("ask", "matched")]
    with pytest.raises(SignatureInvalid):
        send(acme, "zendesk-secret", "37")


def test_an_old_secret_does_not_get_through_by_what_is_remembered(acme):
    acme.apply(KEYED)
    send(acme)
    acme.apply(KEYED.replace("zendesk-secret", "another-secret"))
    before = acme.counts()["triggers"]

    with pytest.raises(SignatureInvalid):
        send(acme, "zendesk-secret", "36")

    assert acme.counts()["triggers"] == before


def test_a_source_that_was_removed_a_moment_ago_takes_nothing(acme):
    acme.apply(KEYED)
    send(acme)
    acme.apply(
        KEYED.replace(
            "  - {name: desk, kind: zendesk, key: 0123456789abcdef, credentials: {signing_secret: zendesk-secret}}\n",
            "",
        )
    )
    before = acme.counts()["triggers"]

    with pytest.raises(SourceGone):
        send(acme, ticket="36")

    assert acme.counts()["triggers"] == before


def test_a_tenant_that_was_removed_a_moment_ago_takes_nothing_not_even_what_is_unreadable(acme):
    acme.apply(KEYED)
    send(acme)
    source = acme.parts.acceptor.source_for(KEY)
    with acme.parts.database.write() as db:
        tenants.remove_tenant(db, acme.tenant.id)

    for body in (json.dumps(closing("36")).encode(), b"{"):
        request = InboundRequest("POST", "", sign_zendesk(body, acme.clock()), body)
        with pytest.raises(SourceGone):
            acme.parts.acceptor.accept(source, request, key=KEY)


def test_an_address_is_read_again_after_a_second(acme):
    acme.apply(KEYED)
    now = [0.0]
    setups = Setups(acme.parts.database, acme.parts.vault, monotonic=lambda: now[0])
    assert setups.source_of(KEY, acme.clock(), fresh=False).name == "desk"
    acme.apply(KEYED.replace("{name: desk,", "{name: window,"))

    assert setups.source_of(KEY, acme.clock(), fresh=False).name == "desk"
    assert setups.source_of(KEY, acme.clock(), fresh=True).name == "window"
    acme.apply(KEYED)
    now[0] += 1.1
    assert setups.source_of(KEY, acme.clock(), fresh=False).name == "desk"


def test_the_overview_shows_a_call_within_seconds_however_many_there_are(acme):
    acme.apply(KEYED)
    first = acme.clock()
    send(acme, ticket="1")
    acme.clock.advance(seconds=4)
    send(acme, ticket="2")
    assert acme.source().last_request_at == first

    acme.clock.advance(seconds=1)
    send(acme, ticket="3")

    assert (acme.source().last_request_at, acme.source().last_answer) == (acme.clock(), 202)
