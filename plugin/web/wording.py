"""Stored words as people read them: states, decisions, outcomes and answers, each with a sentence or a title."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Final

from plugin import registry
from plugin.domain import standing
from plugin.domain.delivery import RESOLUTION_SENTENCES, DeliveryState, Resolution
from plugin.domain.event import EventKind
from plugin.domain.outcome import REASON_SENTENCES, Reason
from plugin.domain.verdict import Cause
from plugin.errors import NotFound
from plugin.store.receipts import NOTHING_SENT, PARKED, PROBLEM, UNMATCHED, DeliveryRecord

STATE_SENTENCES: Final[Mapping[str, str]] = {
    DeliveryState.SCHEDULED: "It waits for its turn.",
    PARKED: "It waits, because its connection is paused.",
    DeliveryState.CLAIMED: "It is on its way right now.",
    DeliveryState.ACCEPTED: "The survey vendor took it.",
    DeliveryState.REJECTED: "It was refused; no invitation was sent.",
    DeliveryState.UNCERTAIN: "It may or may not have been sent. It is not sent again unless a person decides so.",
    DeliveryState.EXPIRED: "It grew too old before it could be sent; no invitation was sent.",
    DeliveryState.CANCELLED: "It was cancelled; nothing more is sent.",
}

#: What the list of receipts can be narrowed to, in the order of the form.
FILTERS: Final[Mapping[str, str]] = {
    DeliveryState.SCHEDULED: "Scheduled: waits for its turn",
    PARKED: "Parked: waits for a paused connection",
    DeliveryState.CLAIMED: "On its way",
    DeliveryState.ACCEPTED: "Accepted by the vendor",
    DeliveryState.REJECTED: "Rejected",
    DeliveryState.UNCERTAIN: "Uncertain: may have been sent",
    DeliveryState.EXPIRED: "Expired",
    DeliveryState.CANCELLED: "Cancelled",
    PROBLEM: "A problem with the message or a rule",
    NOTHING_SENT: "Nothing to send",
    UNMATCHED: "Reports that belong to no delivery we know",
}

#: What a person may say of an uncertain delivery: the button, and what follows from it.
RESOLUTIONS: Final[Mapping[str, tuple[str, str]]] = {
    Resolution.SENT: (
        "It was sent",
        "The delivery counts as accepted. Nothing more is sent.",
    ),
    Resolution.NOT_SENT: (
        "It was not sent",
        "The call is made again at once. If the vendor did get the first one, the person gets a second invitation.",
    ),
    Resolution.CANCEL: ("Cancel it", "Nothing more is sent, whatever became of the first call."),
}

DECISION_WORDS: Final[Mapping[str, str]] = {"ask": "asked", "no": "not asked", "problem": "problem"}

_STATE_WORDS: Final[Mapping[str, str]] = {DeliveryState.CLAIMED: "on its way"}

_ANSWER_WORDS: Final[Mapping[int, str]] = {
    HTTPStatus.OK: "answered",
    HTTPStatus.ACCEPTED: "taken",
    HTTPStatus.BAD_REQUEST: "refused: it could not be read",
    HTTPStatus.UNAUTHORIZED: "refused: it did not prove who sent it; compare the secret on both sides",
    HTTPStatus.TOO_MANY_REQUESTS: "refused: too many in a minute; the sender was told to come again",
}


def state_word(state: str) -> str:
    return _STATE_WORDS.get(state, state)


def reason_sentence(reason: str | None) -> str:
    """The sentence of a stored reason; empty for one that has none, such as a pause by hand."""
    return REASON_SENTENCES[Reason(reason)] if reason in set(Reason) else ""


def success_note(record: DeliveryRecord) -> str:
    return registry.success_note(record.vendor, record.call, record.reason)


def follow_up_label(record: DeliveryRecord, step: str) -> str:
    return registry.follow_up_label(record.vendor, record.call, step)


def step_label(record: DeliveryRecord, step: str) -> str:
    """What one step of a delivery does; empty where there is but one."""
    return registry.step_label(record.vendor, record.call, step)


def resolution_sentence(resolution: str) -> str:
    return RESOLUTION_SENTENCES[Resolution(resolution)]


def cause_sentence(cause: str) -> str:
    return Cause(cause).sentence


def kind_label(kind: str) -> str:
    return EventKind(kind).label


def report_label(kind: str) -> str:
    return standing.report_label(kind)


def standing_sentence(furthest: Iterable[EventKind]) -> str:
    return standing.standing_sentence(furthest)


def answer_words(status: int) -> str:
    """What a source was answered, such as `taken (202)`."""
    return f"{_ANSWER_WORDS.get(status, 'answered')} ({status})"


def source_title(kind: str) -> str:
    """The title of a kind of source; its name when this version has no such connector."""
    try:
        return registry.source(kind).SOURCE.title
    except NotFound:
        return kind


def vendor_title(vendor: str) -> str:
    """The title of a vendor; its name when this version has no such connector."""
    try:
        return registry.vendor(vendor).VENDOR.title
    except NotFound:
        return vendor


def call_label(vendor: str, call: str) -> str:
    """What a survey call is named for people; its own name when this version does not know it."""
    try:
        known = registry.vendor(vendor).VENDOR.calls.get(call)
    except NotFound:
        known = None
    return known.label if known is not None else call
