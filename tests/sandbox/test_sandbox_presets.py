"""The presets of `custom` against the sandbox, over real HTTP: every answer that their vendors document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from plugin import registry
from plugin.domain.outcome import Accepted, Outcome, Reason, RetryLater
from plugin.domain.survey_call import SurveyCall
from plugin.outbound import Outbound
from plugin.sandbox.server import Sandbox
from plugin.surveys.custom.presets import PRESETS

SECRETS: Mapping[str, Mapping[str, str]] = {
    "alchemer": {"api_token": "alc-token", "api_token_secret": "alc-secret"},
    "surveysparrow": {"access_token": "sparrow-token"},
    "surveysparrow_sms": {"access_token": "sparrow-token"},
}
VALUES: Mapping[str, Mapping[str, str]] = {
    "alchemer": {"survey_id": "123456", "campaign_id": "100000", "email": "lucja@example.com", "first_name": "Łucja"},
    "surveysparrow": {
        "survey_id": "1000", "name": "Ticket 35", "email": "lucja@example.com", "subject": "Jak było?", "body": "…",
    },
    "surveysparrow_sms": {"survey_id": "1000", "name": "Ticket 35", "mobile": "+48 600 100 200", "body": "…"},
}  # fmt: skip


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(slow_seconds=0.2) as running:
        yield running


def ask(sandbox: Sandbox, preset: str, secrets: Mapping[str, str] | None = None, **values: str) -> Outcome:
    module = registry.vendor("custom")
    settings: dict[str, Any] = {"preset": preset, "origin": sandbox.origin, "secrets": secrets or SECRETS[preset]}
    connection = module.VENDOR.connection().load(settings)
    described = registry.described_parameters("custom", "send", connection)
    schema = registry.parameters(module.VENDOR.calls["send"], described)
    call = SurveyCall("custom", "send", schema.load({**VALUES[preset], **values}))
    with Outbound(user_agent="tests", extra_origins=[sandbox.origin]) as door:
        response = door.send(module.build_request(call, connection, "send", {}), allowed_origins=())
    return registry.reader("custom", connection)(call, response, "send", {})


@pytest.mark.parametrize("preset", PRESETS)
def test_an_ordinary_call_is_accepted_with_the_vendor_s_own_id(sandbox: Sandbox, preset: str) -> None:
    outcome = ask(sandbox, preset)
    assert isinstance(outcome, Accepted)
    assert outcome.vendor_reference


@pytest.mark.parametrize(
    ("preset", "word", "reason"),
    [
        ("alchemer", "refused", Reason.REFUSED),
        ("alchemer", "again", Reason.TOO_SOON),
        ("alchemer", "busy", Reason.RATE_LIMITED),
        ("alchemer", "error", Reason.VENDOR_ERROR),
        ("alchemer", "empty", Reason.UNRECOGNISED),
        ("alchemer", "broken", Reason.UNRECOGNISED),
        ("alchemer", "down", Reason.VENDOR_UNAVAILABLE),
        ("surveysparrow", "conflict", Reason.INVALID_CALL),
        ("surveysparrow", "busy", Reason.RATE_LIMITED),
        ("surveysparrow", "error", Reason.VENDOR_ERROR),
        ("surveysparrow", "empty", Reason.UNRECOGNISED),
        ("surveysparrow", "gateway", Reason.VENDOR_ERROR),
    ],
)
def test_a_magic_word_brings_its_answer(sandbox: Sandbox, preset: str, word: str, reason: Reason) -> None:
    assert ask(sandbox, preset, email=f"{word}@example.com").reason is reason  # type: ignore[union-attr]  # each has one


def test_an_identical_call_waits_longer_than_the_minute_in_which_it_is_refused(sandbox: Sandbox) -> None:
    outcome = ask(sandbox, "alchemer", email="again@example.com")
    assert isinstance(outcome, RetryLater)
    assert outcome.after == 61


@pytest.mark.parametrize(
    ("preset", "secrets"),
    [
        ("alchemer", {"api_token": "wrong", "api_token_secret": "alc-secret"}),
        ("surveysparrow", {"access_token": "wrong"}),
        ("surveysparrow_sms", {"access_token": "wrong"}),
    ],
)
def test_wrong_credentials_are_refused(sandbox: Sandbox, preset: str, secrets: dict[str, str]) -> None:
    assert ask(sandbox, preset, secrets).reason is Reason.CREDENTIALS  # type: ignore[union-attr]  # it has one
