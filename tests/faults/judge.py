"""What an outsider can say after a round: from what was acknowledged, what the vendor got, and what is stored."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

_LIVE: Final = ("scheduled", "claimed")
#: States that fit a vendor that has sent the invitation.
_SENT: Final = ("accepted", "uncertain")


@dataclass(frozen=True)
class StoredDelivery:
    """claims: how often it was claimed, by the attempts on record."""

    state: str
    claims: int


@dataclass(frozen=True)
class Judgement:
    """Tickets by what became of them. A ticket may stand in more than one list.

    lost: acknowledged, no invitation, and nothing shows that one may still come or may have been sent.
    doubled: more than one invitation. unsettled: still to be sent. uncertain: held, with a claim on record.
    contradicted: what is stored cannot be true, or one ticket was promised several deliveries.
    """

    acknowledged: int
    lost: Sequence[str]
    doubled: Sequence[str]
    unsettled: Sequence[str]
    uncertain: Sequence[str]
    contradicted: Sequence[str]


def judge(
    acknowledgements: Iterable[Mapping[str, Any]],
    requests: Iterable[Mapping[str, Any]],
    stored: Mapping[str, StoredDelivery],
) -> Judgement:
    """acknowledgements: {ticket, deliveries} for each 2xx. requests: {ticket, invites} for each that the vendor read.

    stored: the program's own deliveries, by id.
    """
    promised: dict[str, set[str]] = defaultdict(set)
    for acknowledgement in acknowledgements:
        promised[acknowledgement["ticket"]].update(acknowledgement["deliveries"])
    invitations = Counter(request["ticket"] for request in requests if request["invites"])
    found: dict[str, list[str]] = defaultdict(list)
    for ticket, ids in promised.items():
        deliveries = [stored[i] for i in ids if i in stored]
        for what in _findings(deliveries, len(ids), invitations[ticket]):
            found[what].append(ticket)
    # Also where nobody was told of an acknowledgement.
    found["doubled"] = [ticket for ticket, count in invitations.items() if count > 1]
    return Judgement(
        len(promised),
        found["lost"],
        found["doubled"],
        found["unsettled"],
        found["uncertain"],
        found["contradicted"],
    )


def _findings(deliveries: Sequence[StoredDelivery], promised: int, invitations: int) -> Iterable[str]:
    states = [delivery.state for delivery in deliveries]
    if promised != 1:
        yield "contradicted"
    if any(state in _LIVE for state in states):
        yield "unsettled"
    if "uncertain" in states:
        yield "uncertain"
    if invitations == 0:
        if not any(_may_come(delivery) for delivery in deliveries):
            yield "lost"
    elif not any(state in (*_SENT, *_LIVE) for state in states):
        yield "contradicted"


def _may_come(delivery: StoredDelivery) -> bool:
    """Whether the invitation is still to be sent, or a claim shows that it may have been."""
    return delivery.state in _LIVE or (delivery.state == "uncertain" and delivery.claims > 0)
