"""What every trigger source declares, and the request it reads.

Beside it stand the tools a source is made of: `proof` (who sent this), `message` (a body in our own names), `json_body`
(checked JSON), `templated_json` and `mended_json` (JSON with slips whose meaning is certain), `times` and `recording`
(requests kept in files), `jwt` (signed tokens).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from marshmallow import Schema

from plugin.domain.event import Event, EventKind
from plugin.domain.survey_call import OutboundRequest, OutboundResponse

#: What proves the sender, as the source's schema loaded it; secrets are `Secret`.
Credentials = Mapping[str, Any]


@dataclass(frozen=True)
class InboundRequest:
    """One HTTP request as it arrived. Header names are in lower case; query is the raw query string, undecoded.

    url: as the sender called it, by our public address, query included; only while it is being verified.
    settings: how the tenant wants it read, as `Source.settings` loaded it.
    """

    method: str
    query: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    url: str = field(default="", repr=False)
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)


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
    settings: a schema class of how messages are to be read; it holds no secrets. account: the credential that says
    whose messages are taken, where one app-level secret serves many accounts: see `Event.account`.
    placeholders: names it usually fills, for the pages. test_credentials: what else may sign a request while the
    source is in state test, where no vendor is ever called. remembers: the sender's own words (`Event.vendor_kind`) for
    the messages that name the customer where its closings do not: a closing without an e-mail address takes over what
    the newest of them, of the last days and about the same subject, has said.
    """

    title: str
    credentials: type[Schema]
    events: frozenset[EventKind]
    placeholders: Sequence[str] = ()
    help: str = ""
    test_credentials: Credentials | None = None
    settings: type[Schema] | None = None
    account: str = ""
    remembers: frozenset[str] = frozenset()


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
    """The shape of plugin/triggers/<name>.py. What stands here in words is optional; see also LookupModule and
    FrameModule.

    `leaves_of(request) -> list[tuple[str, str]]` is there where messages can be of any shape: each value of one with
    the path that leads to it, for a person who says what is what. Such a source may be in state capture. Raises
    Unreadable.

    `belongs_to(event: Event, credentials: Credentials) -> Belonging | None` is there where the source sends reports;
    None where the event does not say.

    verify raises SignatureInvalid. parse raises Unreadable; it gives no events for a handshake.
    `replay_mark(request, credentials) -> str | None` names what in a verified request can never honestly come twice
    (a signature over a time), as 64 hexadecimal digits; None where the proof covers no time.
    `answer(request, events) -> InboundAnswer` is there where the sender wants another answer than our own JSON.
    `without_secrets(body: bytes) -> bytes` is there where the proof stands in the body: it gives the body as it is read
    and kept, whatever it holds. verify sees the whole one. What is kept is read again for replays.
    """

    SOURCE: Source

    @staticmethod
    def verify(request: InboundRequest, credentials: Credentials, now: datetime) -> None: ...

    @staticmethod
    def parse(request: InboundRequest) -> list[Event]: ...


class LookupModule(SourceModule, Protocol):
    """A source whose messages may say too little: its own API is then asked for the rest before the rules decide.

    lookup gives the request that an event needs, None where it says enough. It is asked again of what complete has
    made of the event, so one answer can lead to the next request, a few at most. It decides by kind, subject and
    values, which is all that is kept of a completed event. The sender does not wait: the requests are made by a worker,
    may be repeated, and are tried again for a day.
    lookup_origins gives the places that may be asked, by the credentials alone: a message must never be able to name
    them, since the requests carry the credentials.
    complete puts an answer with a status from 200 to 299 into the event; others never reach it. Raises Unreadable where
    it does not hold what was asked for; the rules then decide about what the message says.
    """

    @staticmethod
    def lookup(event: Event, credentials: Credentials) -> OutboundRequest | None: ...

    @staticmethod
    def lookup_origins(credentials: Credentials) -> Collection[str]: ...

    @staticmethod
    def complete(event: Event, response: OutboundResponse) -> Event: ...


class FrameModule(SourceModule, Protocol):
    """A source that can show a page of ours in a frame of its own, and proves by a signed token who has opened it.

    verify_frame gives the origin of the page around the frame. Raises SignatureInvalid.
    """

    @staticmethod
    def verify_frame(token: str, credentials: Credentials, now: datetime) -> str: ...
