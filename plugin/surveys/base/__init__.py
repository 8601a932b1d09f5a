"""What every survey vendor declares, and the two pure functions that speak its language.

Beside it stand the tools a vendor is made of: `fields` (parameters and settings), `answers` (what a reply means) and
`pasted` (URLs as people copy them).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from marshmallow import Schema

from plugin.domain.outcome import Outcome
from plugin.domain.survey_call import OutboundRequest, OutboundResponse, SurveyCall
from plugin.surveys.base.described import Described
from plugin.surveys.base.pasted import PastedUrl

#: A vendor whose address the tenant chooses freely, among public https addresses.
ANY_PUBLIC_HTTPS: Final = "any public https address"

#: Settings and secrets of one connection, as its schema loaded them; secrets are `Secret`.
Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Step:
    """One HTTP call of a survey call. repeat_safe: the vendor documents that repeating it does no harm.

    source: the page that describes the call, and that documents the repeating when repeat_safe.
    follow_up: made after the delivery has ended, to learn more or to tidy up; it never changes how that ended, and it
    must be repeat-safe.
    label: what it does, in a few words for receipts and docs; needed where a delivery may take several steps.
    seldom: whether an ordinary call ends without it; it is made only where an answer asks for it.
    """

    name: str
    repeat_safe: bool = False
    source: str = ""
    follow_up: bool = False
    label: str = ""
    seldom: bool = False


@dataclass(frozen=True)
class Call:
    """One thing a vendor can be asked for.

    parameters: a marshmallow schema class of the filled values. It loads text and gives text: what it loaded is what
    is sent, so a call's parameters are loaded once, when it is planned.
    label, help: for pages and docs. defaults: templates used for parameters that a rule does not map.
    confirms: False when the vendor's answer says no more than that the address was opened.
    invites: whether it may reach the person; False for what only keeps records. Only calls that invite are withheld
    from people who have opted out.
    opts_out: whether its success means that this person wants no more invitations.
    tracked: the parameter that comes back in reports about the call, by which they are matched with it.
    success_note: what success does not prove, one sentence for the receipts of accepted deliveries.
    """

    label: str
    parameters: type[Schema]
    steps: Sequence[Step]
    help: str = ""
    defaults: Mapping[str, str] = field(default_factory=dict)
    confirms: bool = True
    invites: bool = True
    opts_out: bool = False
    tracked: str | None = None
    success_note: str = ""


@dataclass(frozen=True)
class Vendor:
    """A survey system: title, the connection's settings, the origins it may be called at, and its calls by name."""

    title: str
    connection: type[Schema]
    origins: Sequence[str] | str
    calls: Mapping[str, Call]
    help: str = ""


@dataclass(frozen=True)
class Choices:
    """One page of what a parameter can be. items: value and label for people. more: whether a further page exists."""

    items: Sequence[tuple[str, str]]
    more: bool = False


@dataclass(frozen=True)
class ChoiceList:
    """Something that the vendor's own API can list, so that nobody has to look up an id.

    parameters: the calls' parameters whose values these are. source: the page that describes it.
    build_request gives the request of one page, counted from 1. read_choices gives what is in the answer, or why
    there is nothing; any HTTP status and any body may come.
    """

    label: str
    parameters: Sequence[str]
    source: str
    build_request: Callable[[Settings, int], OutboundRequest]
    read_choices: Callable[[OutboundResponse], Choices | Outcome]


@dataclass(frozen=True)
class Recognised:
    """What a pasted URL of the vendor holds: a connection's settings and a rule's call with its mapping.

    call: empty where the URL makes a connection only. settings: texts by name, secrets as `Secret`; what the URL does
    not tell is left out, or None where it is one of the secrets in a group. parameters: templates by name.
    warnings: sentences about what was mended, left out or should be looked at.
    """

    call: str
    settings: Mapping[str, Any] = field(repr=False)
    parameters: Mapping[str, str]
    warnings: Sequence[str] = ()


#: Reads the answer to one step, as `VendorModule.read_response` does.
Reader = Callable[[SurveyCall, OutboundResponse, str, Mapping[str, str]], Outcome]


class VendorModule(Protocol):
    """The shape of plugin/surveys/<name>.py. Its functions do no I/O and read no clock.

    build_request gives the HTTP request of one step. It sends declared parameters only, and leaves out empty ones.
    read_response gives the meaning of the answer: first by its body, then by `outcome_for_status`. Of a follow-up
    step, Accepted ends the asking and its words are the report; NextRequest asks again, and its words are one too.

    Optional: `check(call_name: str, parameters: Mapping[str, str], connection: Mapping[str, Any]) -> list[Problem]`
    finds, when a rule is saved, what the schemas cannot see, such as a parameter that one brand does not have.
    `parameters` holds the rule's templates, and each problem's place is a parameter's name. `connection` is as the
    person wrote it: it may be wrong or incomplete, which is told elsewhere.

    Optional, for a vendor that the connection itself describes: `parameters_of(call_name: str, connection: Settings) ->
    Described` gives a call's parameters, instead of the schema that the call declares. They are kept with each rule, so
    they hold no secret. `reader_for(connection: Settings) -> Reader` gives what reads answers instead of
    `read_response`. And build_request raises CannotBeSent where a planned call does not fit the connection any more.

    Optional: `recognise_url(url: PastedUrl) -> Recognised | None`; None for a URL that is not this vendor's.
    Optional: `LISTS: Mapping[str, ChoiceList]`, by name.
    """

    VENDOR: Vendor

    @staticmethod
    def build_request(
        call: SurveyCall, connection: Settings, step: str, memory: Mapping[str, str]
    ) -> OutboundRequest: ...

    @staticmethod
    def read_response(
        call: SurveyCall, response: OutboundResponse, step: str, memory: Mapping[str, str]
    ) -> Outcome: ...


__all__ = [
    "ANY_PUBLIC_HTTPS",
    "Call",
    "ChoiceList",
    "Choices",
    "Described",
    "PastedUrl",
    "Reader",
    "Recognised",
    "Settings",
    "Step",
    "Vendor",
    "VendorModule",
]
