"""What a pretend vendor reads and answers, and the troubles that any vendor can have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol


@dataclass(frozen=True)
class SandboxRequest:
    """One call, decoded. segments: of the path, in order; query and form: by name, the last one counts.

    headers: by name in lower case. json: the body as JSON; None when it is something else.
    """

    method: str
    segments: tuple[str, ...]
    query: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = None


@dataclass(frozen=True)
class SandboxAnswer:
    """slow: the caller is kept waiting, longer than it should put up with, before it gets this."""

    status: int = 200
    body: str = ""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    slow: bool = False


@dataclass(frozen=True)
class Trick:
    """What a magic word makes the sandbox answer. meaning: the same in a few words, for the page."""

    answer: SandboxAnswer
    meaning: str


class SandboxModule(Protocol):
    """The shape of plugin/sandbox/<name>.py, the pretended side of plugin/surveys/<name>.py.

    HINT: where the magic words of TRICKS are put, and what else changes the answer.
    answer gives None for a path that the vendor does not have.
    """

    HINT: str
    TRICKS: Mapping[str, Trick]

    @staticmethod
    def answer(request: SandboxRequest) -> SandboxAnswer | None: ...


def local_part(email: str) -> str:
    """The magic word in an address: what stands before the @, folded."""
    return email.partition("@")[0].casefold()


_PAGE: Final = "<!doctype html><title>Maintenance</title><p>We will be back soon."

#: Troubles that no vendor describes but every one can have.
TROUBLES: Final[Mapping[str, Trick]] = {
    "slow": Trick(SandboxAnswer(slow=True), "no answer for a long time"),
    "empty": Trick(SandboxAnswer(), "200 without a body"),
    "broken": Trick(SandboxAnswer(body=_PAGE, content_type="text/html"), "200 with a page instead of an answer"),
    "down": Trick(SandboxAnswer(503, _PAGE, "text/html"), "503, away for maintenance"),
    "gateway": Trick(SandboxAnswer(502, _PAGE, "text/html"), "502, failed somewhere on the way"),
}
