"""Whether a closing is a new episode of its ticket or chat, or the same one reported once more."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Episode:
    """One closing of one ticket or chat. ended: whether it was re-opened since."""

    id: str
    number: int
    mark: str | None = None
    status: str | None = None
    ended: bool = False


def same_episode(
    latest: Episode | None, marked: Episode | None, *, mark: str | None, status: str | None
) -> Episode | None:
    """The episode that a closing repeats, or None when it begins a new one.

    latest: the last episode of the subject. marked: the one that carries the closing's own mark, whichever it is.
    """
    if mark is not None and marked is not None:
        return marked
    # Helpdesks close a solved ticket by themselves some days later: nobody closed it a second time.
    if latest is not None and not latest.ended and latest.status == "solved" and status == "closed":
        return latest
    return None
