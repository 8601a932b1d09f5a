"""Everything that is counted or timed: names, sentences, labels, and the closed list of each label's values.

No label names a tenant, a rule or a connection: the numbers are the operator's, and their series stay few.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from plugin.domain.delivery import DeliveryState
from plugin.domain.event import EventKind
from plugin.domain.outcome import Reason
from plugin.domain.verdict import Cause, Decision
from plugin.store import counters, errands

#: For a value that stands in no closed list.
OTHER: Final = "other"
#: Where a request came to no source: the address is unknown, or the body was too large to look.
NO_SOURCE: Final = "none"


@dataclass(frozen=True)
class Counter:
    """Only ever rises. labels: their names, in the order that values are given in."""

    name: str
    help: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Histogram:
    """How values are spread. bounds: upper ends of its buckets, in the unit that the name ends with."""

    name: str
    help: str
    bounds: tuple[float, ...]
    labels: tuple[str, ...] = ()
    #: The bounds as they are stored and shown; the last one holds what lies above them all.
    bound_words: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "bound_words", (*map(str, map(float, self.bounds)), "+Inf"))


TRIGGERS: Final = Counter(
    "survey_plugin_triggers_total",
    "Requests that came to the addresses of sources, by the kind of source and the status they were answered with. "
    "202 was stored; 401 did not prove who sent it; 503 could not be stored and will be sent again.",
    ("source", "status"),
)
DUPLICATES: Final = Counter(
    "survey_plugin_duplicates_total",
    "Events that had come before and were answered with their first receipt, by the kind of source.",
    ("source",),
)
EVENTS: Final = Counter(
    "survey_plugin_events_total",
    "New events that were stored, by what happened.",
    ("kind",),
)
VERDICTS: Final = Counter(
    "survey_plugin_verdicts_total",
    "What rules decided about new events: ask (a survey call is made), no, or problem; and why.",
    ("decision", "cause"),
)
REPORTS: Final = Counter(
    "survey_plugin_reports_total",
    "Reports of what became of invitations, by what happened and whether the delivery that they belong to is known "
    "(matched or unmatched).",
    ("kind", "belonging"),
)
ACCEPT_SECONDS: Final = Histogram(
    "survey_plugin_accept_seconds",
    "Time from a trigger's arrival in the web process to its answer 202, in seconds.",
    (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5),
)
CLAIM_SECONDS: Final = Histogram(
    "survey_plugin_claim_seconds",
    "Time of a worker's transaction that settles finished calls and claims the next ones, in seconds.",
    (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5),
)
CLAIMED: Final = Histogram(
    "survey_plugin_claimed_deliveries",
    "How many deliveries one such transaction claimed; the sum is the number of all claims.",
    (0, 1, 2, 4, 8, 16, 32, 64),
)
DUE_TO_CLAIM_SECONDS: Final = Histogram(
    "survey_plugin_due_to_claim_seconds",
    "How long a delivery that was due waited until a worker claimed it, in seconds: the delay between a trigger "
    "and its survey call, on top of the delay that the rule asks for.",
    (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0),
)
CALL_SECONDS: Final = Histogram(
    "survey_plugin_call_seconds",
    "Time of one HTTP call to a survey vendor, in seconds, with or without an answer. Calls are ended after 20.",
    (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0),
    ("vendor",),
)
ATTEMPTS: Final = Counter(
    counters.ATTEMPTS,
    "Claimed deliveries that were worked on, by vendor and by what the attempt brought. given_back ones made no call; "
    "of lost ones the worker went silent.",
    ("vendor", "outcome"),
)
SETTLED: Final = Counter(
    counters.SETTLED,
    "What became of deliveries after an attempt, by vendor, the state they went to and why. scheduled is tried again; "
    "uncertain waits for a person.",
    ("vendor", "state", "reason"),
)
EXPIRED: Final = Counter(
    counters.EXPIRED,
    "Deliveries that ended because they could not be sent while they were fresh.",
)
CANCELLED: Final = Counter(
    counters.CANCELLED,
    "Deliveries that were cancelled by a person, or because their rule or connection was removed.",
)

ERRANDS: Final = Counter(
    "survey_plugin_errands_total",
    "Requests besides deliveries: follow_up asks a vendor what became of a delivery, lookup asks a source for what a "
    "message did not say. done and refused have ended; again and retry_later are asked once more; given_up ones took "
    "too long; of removed ones the connection, source or person is gone.",
    ("errand", "result"),
)

COUNTERS: Final = (TRIGGERS, DUPLICATES, EVENTS, VERDICTS, REPORTS, ATTEMPTS, SETTLED, EXPIRED, CANCELLED, ERRANDS)
HISTOGRAMS: Final = (ACCEPT_SECONDS, CLAIM_SECONDS, CLAIMED, DUE_TO_CLAIM_SECONDS, CALL_SECONDS)

#: The values that a label may have; those of `source` and `vendor` are the connectors that this program has.
CLOSED: Final[Mapping[str, frozenset[str]]] = {
    "status": frozenset({"200", "202", "400", "401", "404", "413", "429", "500", "503"}),
    "kind": frozenset(EventKind),
    "decision": frozenset(Decision),
    "cause": frozenset(Cause),
    "belonging": frozenset({"matched", "unmatched"}),
    "state": frozenset(DeliveryState),
    "reason": frozenset(Reason),
    "outcome": frozenset({"accepted", "rejected", "retry_later", "uncertain", "next_step", "given_back", "lost"}),
    "errand": frozenset(errands.KINDS),
    "result": frozenset({"done", "again", "retry_later", "refused", "given_up", "removed"}),
}
