"""How a source's messages are read: languages, two sets of credentials, and events of other accounts."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from plugin import registry
from plugin.domain.event import Event, EventKind
from plugin.domain.fields import StrictSchema, Text
from plugin.errors import SignatureInvalid, TenantFileInvalid
from plugin.pipeline.reading import read_events
from plugin.registry import InboundRequest
from plugin.store import sources
from tests.acme import ACME, closing, sign_zendesk


def in_language(acme, language):
    """What a ticket whose requester has this language is asked in, and the receipt's note of it."""
    accepted = acme.close("35", requester={"email": "ada@example.com", "language": language})
    acme.work()
    [event] = acme.receipt(accepted).events
    return event.deliveries[0].parameters["language"], event.event.notes


@pytest.mark.parametrize(
    ("told", "asked", "note"),
    [
        ("uk-UA", "uk-UA", "Language uk-UA, from the message."),
        ("Čeština", "cs", "Language cs, from the message “Čeština”."),
        ("", "pl", "Language pl, the tenant's default, since the message names none."),
        (
            "Klingon",
            "pl",
            "Language pl, the tenant's default, since the message's “Klingon” is no language that we know.",
        ),
        (
            "{{ticket.requester.language}}",
            "pl",
            "Language pl, the tenant's default, since its placeholder was not filled in.",
        ),
    ],
)
def test_a_person_is_asked_in_a_language_that_the_receipt_explains(acme, told, asked, note):
    acme.apply()
    assert in_language(acme, told) == (asked, [note])


def test_a_source_s_own_default_comes_before_the_tenant_s(acme):
    acme.apply(ACME.replace("kind: zendesk,", "kind: zendesk, language: sk,"))
    assert in_language(acme, "")[0] == "sk"


def test_a_connection_may_call_languages_otherwise_and_the_verdict_says_so(acme):
    named = ACME.replace("vendor: surveylab,", 'vendor: surveylab, languages: {cs: Czech, "*": English},')
    acme.apply(named)
    accepted = acme.close("35", requester={"email": "ada@example.com", "language": "cs-CZ"})
    [event] = acme.receipt(accepted).events
    assert event.deliveries[0].parameters["language"] == "Czech"
    assert event.verdicts[0].warnings == ["lab is told Czech for cs-CZ."]
    assert in_language(acme, "de")[0] == "English"


def test_a_replay_asks_in_the_same_language(acme):
    acme.apply(ACME.replace("kind: zendesk,", "kind: zendesk, language: sk,"))
    acme.close("35", requester={"email": "ada@example.com", "language": "Polski"})
    assert acme.delivery().parameters["language"] == "pl"


# --- two sets of credentials ------------------------------------------------------------------------------------------

ROTATED = ACME.replace(
    "credentials: {signing_secret: zendesk-secret}}",
    "credentials: {signing_secret: new-secret}, old_credentials: {signing_secret: {secret: set}}}",
)


def signed_by(acme, secret):
    body = b'{"ticket": {"id": "1", "requester": {"email": "ada@example.com"}}}'
    acme.clock.advance(minutes=2)
    request = InboundRequest("POST", "", sign_zendesk(body, acme.clock(), secret), body)
    return acme.parts.acceptor.accept(acme.source(), request)


def old_used_at(acme):
    with acme.parts.database.read() as db:
        return sources.source_by_name(db, acme.tenant.id, "desk").old_used_at


def test_old_and_new_secret_both_prove_the_sender_until_the_old_one_is_taken_out(acme):
    acme.apply()
    acme.apply(ROTATED)
    assert signed_by(acme, "new-secret").receipt
    assert old_used_at(acme) is None
    assert signed_by(acme, "zendesk-secret").receipt
    assert old_used_at(acme) == acme.clock()

    acme.apply(ROTATED.replace(", old_credentials: {signing_secret: {secret: set}}", ""))
    assert old_used_at(acme) is None
    with pytest.raises(SignatureInvalid):
        signed_by(acme, "zendesk-secret")


def test_a_third_secret_proves_nothing(acme):
    acme.apply()
    acme.apply(ROTATED)
    with pytest.raises(SignatureInvalid):
        signed_by(acme, "third-secret")


def test_applying_the_same_old_secret_again_remembers_when_it_was_needed(acme):
    acme.apply()
    acme.apply(ROTATED)
    signed_by(acme, "zendesk-secret")
    used_at = old_used_at(acme)
    acme.apply(ROTATED.replace("name: Acme", "name: Acme Shop"))
    assert old_used_at(acme) == used_at is not None


# --- other accounts ---------------------------------------------------------------------------------------------------


class AccountSettings(StrictSchema):
    account_id = Text(label="Account")


@pytest.fixture
def shared_app(monkeypatch):
    """Zendesk as if one secret served many accounts."""
    real, zendesk = registry.source, registry.source("zendesk")

    def parse(request):
        numbers = request.body.decode().split()
        return [Event(EventKind.TICKET_CLOSED, subject=f"ticket:{one}", account=one[0]) for one in numbers]

    source = replace(zendesk.SOURCE, settings=AccountSettings, account="account_id")
    fake = SimpleNamespace(SOURCE=source, verify=zendesk.verify, parse=parse)
    monkeypatch.setattr(registry, "source", lambda name: fake if name == "zendesk" else real(name))
    return fake


@pytest.mark.parametrize(
    ("settings", "subjects", "strangers"),
    [({"account_id": "7"}, ["ticket:71", "ticket:73"], 1), ({}, ["ticket:71", "ticket:82", "ticket:73"], 0)],
)
def test_events_of_other_accounts_are_left_out_and_counted(shared_app, settings, subjects, strangers):
    reading = read_events("zendesk", InboundRequest("POST", "", {}, b"71 82 73"), settings)
    assert [event.subject for event in reading.events] == subjects
    assert reading.strangers == strangers


def test_a_message_about_other_accounts_alone_leaves_no_receipt_but_is_counted(acme, shared_app):
    acme.apply(ACME.replace("kind: zendesk,", "kind: zendesk, settings: {account_id: '7'},"))
    request = InboundRequest("POST", "", sign_zendesk(b"81 82", acme.clock()), b"81 82")
    assert acme.parts.acceptor.accept(acme.source(), request).receipt is None
    assert (acme.source().strangers, acme.source().strangers_at) == (2, acme.clock())
    assert acme.counts()["triggers"] == 0


def test_the_settings_page_s_words_for_settings_that_a_source_does_not_have(acme):
    freshdesk = "{basic: {user: desk, password: secret}}, settings: {nothing: here}}"
    with pytest.raises(TenantFileInvalid, match="a source of kind freshdesk has none; leave it out"):
        acme.apply(
            ACME.replace(
                "kind: generic, credentials: {bearer: bearer-secret}}", f"kind: freshdesk, credentials: {freshdesk}"
            )
        )


def test_a_message_without_a_person_says_nothing_wrong_about_its_language(acme):
    acme.apply()
    accepted = acme.send({"event": "ticket.flew", **closing("1")})
    assert not [note for note in acme.receipt(accepted).events[0].event.notes if "Language" in note]
