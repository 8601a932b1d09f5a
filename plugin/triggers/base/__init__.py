"""What every trigger source declares, and the request it reads.

Beside it stand the tools a source is made of: `proof` (who sent this), `message` (a body in our own names), `json_body`
(checked JSON), `times` and `recording` (requests kept in files).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from marshmallow import Schema

from plugin.domain.event import Event, EventKind

#: What proves the sender, as the source's schema loaded it; secrets are `Secret`.
Credentials = Mapping[str, Any]


@dataclass(frozen=True)
class InboundRequest:
    """One HTTP request as it arrived. Header names are in lower case; query is the raw query string, undecoded."""

    method: str
    query: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class InboundAnswer:
    """What the sender is answered instead of our own JSON."""

    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True)
class Source:
    """A trigger source.

    title, help: for pages and docs. credentials: a marshmallow schema class. events: the kinds it can give.
    placeholders: names it usually fills, for the pages. test_credentials: what else may sign a request while the
    source is in state test, where no vendor is ever called.
    """

    title: str
    credentials: type[Schema]
    events: frozenset[EventKind]
    placeholders: Sequence[str] = ()
    help: str = ""
    test_credentials: Credentials | None = None


class MatchBy(StrEnum):
    """What of a delivery the sender of a report names it by."""

    REFERENCE = "reference"
    PERSON = "person"
    TRACKED = "tracked"


@dataclass(frozen=True)
class Belonging:
    """Which delivery a report belongs to: ours whose reference is `value`, the last one to the person with this
    address or number, or the last one whose tracked parameter (`Call.tracked`, such as crk) is `value`.
    """

    by: MatchBy
    value: str = field(repr=False)


class SourceModule(Protocol):
    """The shape of plugin/triggers/<name>.py. `replay_mark`, `answer`, `lookup` and `complete` are optional.

    `belongs_to(event: Event, credentials: Credentials) -> Belonging | None` is there where the source sends reports;
    None where the event does not say.

    verify raises SignatureInvalid. parse raises Unreadable; it gives no events for a handshake.
    `replay_mark(request, credentials) -> str | None` names what in a verified request can never honestly come twice
    (a signature over a time), as 64 hexadecimal digits; None where the proof covers no time.
    """

    SOURCE: Source

    @staticmethod
    def verify(request: InboundRequest, credentials: Credentials, now: datetime) -> None: ...

    @staticmethod
    def parse(request: InboundRequest) -> list[Event]: ...
