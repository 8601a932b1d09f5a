"""The closed list of reasons, each with a sentence for people."""

from __future__ import annotations

import pytest

from plugin.domain.outcome import PAUSING_REASONS, REASON_SENTENCES, Accepted, NextRequest, Reason


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_sentence_of_its_own(reason):
    sentence = REASON_SENTENCES[reason]
    assert sentence[0].isupper()
    assert sentence.endswith(".")
    assert list(REASON_SENTENCES.values()).count(sentence) == 1


@pytest.mark.parametrize("reason", [Reason.CREDENTIALS, Reason.QUOTA])
def test_a_reason_that_pauses_the_connection_says_so(reason):
    assert reason in PAUSING_REASONS
    assert "paused" in REASON_SENTENCES[reason]


def test_an_accepted_call_is_done_unless_the_vendor_confirms_less():
    assert Accepted().reason is Reason.DONE


def test_what_the_next_step_remembers_is_not_shown():
    assert "t0ken" not in repr(NextRequest("send", {"session": "t0ken"}))
