"""How far a call got whose fate is unknown, in a sentence: what a person goes by who has to decide about it."""

from __future__ import annotations

from typing import Final

#: Outcomes of attempts that leave open whether the vendor took the call: of an answer or none, and of a silent worker.
UNCERTAIN: Final = "uncertain"
LOST: Final = "lost"


def evidence(*, outcome: str | None, status: int | None, bytes_sent: int | None, duration: float | None) -> str:
    """What is known of one attempt; empty where its fate is known, or nothing more can be told of it.

    outcome: None while it is under way. status: of the answer, None without one. bytes_sent: how much of the request
    was handed to the network at most, None where it was not counted. duration: of the call, seconds.
    """
    if outcome == LOST:
        return "Its worker fell silent during the call: the request may have been sent in whole, in part or not at all."
    if outcome != UNCERTAIN or duration is None:
        return ""
    if status is not None:
        how_much = f" ({bytes_sent} bytes)" if bytes_sent else ""
        return f"The whole request was sent{how_much}, and HTTP {status} came back after {duration:.2f} s."
    how_much = f"Up to {bytes_sent} bytes of the request were sent" if bytes_sent else "The request was made"
    return f"{how_much}; the call ended after {duration:.2f} s without a complete answer."
