"""What one rule decided about one event, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Decision(StrEnum):
    ASK = "ask"
    NO = "no"
    PROBLEM = "problem"


class Cause(StrEnum):
    """The closed list of causes."""

    MATCHED = "matched"
    DISABLED = "disabled"
    OTHER_SOURCE = "other_source"
    OTHER_EVENT = "other_event"
    CONDITION = "condition"
    STOPPED = "stopped"
    SAME_EPISODE = "same_episode"
    NO_RULE = "no_rule"
    MISSING = "missing"
    UNRENDERED = "unrendered"
    TEMPLATE = "template"
    TOO_LONG = "too_long"
    TEST_STATE = "test_state"
    UNREADABLE = "unreadable"
    OPTED_OUT = "opted_out"
    UNMATCHED = "unmatched"
    OVERTAKEN = "overtaken"
    CHAIN_ENDED = "chain_ended"
    SOURCE_GONE = "source_gone"

    @property
    def sentence(self) -> str:
        return _SENTENCES[self]


_SENTENCES: Final[Mapping[Cause, str]] = {
    Cause.MATCHED: "The rule applies, so the survey call is made.",
    Cause.DISABLED: "The rule is switched off.",
    Cause.OTHER_SOURCE: "The rule does not listen to this source.",
    Cause.OTHER_EVENT: "The rule does not act on this kind of event.",
    Cause.CONDITION: "A condition of the rule does not hold.",
    Cause.STOPPED: "An earlier rule took this event and lets no later one act on it.",
    Cause.SAME_EPISODE: "This closing has been handled already; it was reported once more.",
    Cause.NO_RULE: "There is no rule yet, so nothing is sent.",
    Cause.MISSING: "A value that the survey call needs is missing from the event.",
    Cause.UNRENDERED: "The sender did not fill in one of its own placeholders.",
    Cause.TEMPLATE: "A template of the mapping failed on this event.",
    Cause.TOO_LONG: "A value is longer than the survey vendor takes.",
    Cause.TEST_STATE: "The source is in state test: this is what would have been sent, and no vendor was called.",
    Cause.UNREADABLE: "The message could not be read.",
    Cause.OPTED_OUT: "This person wants no more invitations.",
    Cause.UNMATCHED: "It belongs to no delivery that we know, so no rule is asked.",
    Cause.OVERTAKEN: "More than this is known of the delivery already, so no rule is asked.",
    Cause.SOURCE_GONE: "Its source was removed before it could be planned, so no rule is asked.",
    Cause.CHAIN_ENDED: "It is the last of three events that followed from one another, so no rule is asked.",
}


@dataclass(frozen=True)
class Verdict:
    """rule: its name, None when the tenant has no rule. detail: one sentence with the particulars of this event.

    warnings: what was left out or is doubtful although the call is made.
    """

    rule: str | None
    decision: Decision
    cause: Cause
    detail: str = ""
    warnings: tuple[str, ...] = ()
