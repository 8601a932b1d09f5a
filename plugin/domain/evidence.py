"""How far one call got, in a sentence: what a person goes by who has to decide what became of it."""

from __future__ import annotations

from typing import Final

#: What an attempt's outcome is called when its worker fell silent.
LOST: Final = "lost"


def evidence(
    *, outcome: str | None, status: int | None, bytes_sent: int | None, duration: float | None, called: bool
) -> str:
    """What is known of one attempt; empty where there is nothing to tell.

    outcome: None while it is under way. status: of the answer, None without one. bytes_sent: how much of the request
    was handed to the network at most, None where it was not counted. duration: of the call, seconds. called: whether
    a request was made at all.
    """
    if outcome is None:
        return ""
    if outcome == LOST:
        return "Its worker fell silent during the call: the request may have been sent in whole, in part or not at all."
    if not called or duration is None:
        return ""
    if status is not None:
        how_much = f" ({bytes_sent} bytes)" if bytes_sent else ""
        return f"The whole request was sent{how_much}, and HTTP {status} came back after {duration:.2f} s."
    if bytes_sent == 0:
        return f"Nothing of the request was sent; the call ended after {duration:.2f} s."
    how_much = f"Up to {bytes_sent} bytes of the request were sent" if bytes_sent else "The request was made"
    return f"{how_much}; the call ended after {duration:.2f} s without a complete answer."
