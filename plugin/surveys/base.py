"""What every survey vendor declares, and the meaning of an answer whose body says nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from marshmallow import Schema

from plugin.domain.outcome import Outcome
from plugin.domain.survey_call import OutboundRequest, OutboundResponse, SurveyCall

#: A vendor whose address the tenant chooses freely, among public https addresses.
ANY_PUBLIC_HTTPS: Final = "any public https address"

#: Settings and secrets of one connection, as its schema loaded them; secrets are `Secret`.
Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Step:
    """One HTTP call of a survey call. repeat_safe: the vendor documents that repeating it does no harm.

    source: where that is documented; required when repeat_safe.
    """

    name: str
    repeat_safe: bool = False
    source: str = ""


@dataclass(frozen=True)
class Call:
    """One thing a vendor can be asked for. parameters: a marshmallow schema class of the filled values, all text.

    label, help: for pages and docs. defaults: templates used for parameters that a rule does not map.
    """

    label: str
    parameters: type[Schema]
    steps: Sequence[Step]
    help: str = ""
    defaults: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Vendor:
    """A survey system: title, the connection's settings, the origins it may be called at, and its calls by name."""

    title: str
    connection: type[Schema]
    origins: Sequence[str] | str
    calls: Mapping[str, Call]
    help: str = ""


class VendorModule(Protocol):
    """The shape of plugin/surveys/<name>.py."""

    VENDOR: Vendor

    @staticmethod
    def build_request(
        call: SurveyCall, connection: Settings, step: str, memory: Mapping[str, str]
    ) -> OutboundRequest: ...

    @staticmethod
    def read_response(
        call: SurveyCall, response: OutboundResponse, step: str, memory: Mapping[str, str]
    ) -> Outcome: ...
