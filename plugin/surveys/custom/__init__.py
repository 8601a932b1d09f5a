"""Any vendor: the connection itself says how the vendor is called and what its answers mean.

So a tenant need not wait for a connector. Some vendors are ready as presets, which are nothing but such settings. The
description stays narrow: one request, whose values come from declared parameters and can never leave their slots.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from plugin.domain.fields import StrictSchema
from plugin.domain.outcome import Outcome
from plugin.domain.survey_call import OutboundRequest, OutboundResponse, SurveyCall, Text
from plugin.errors import CannotBeSent
from plugin.redaction import Secret, reveal
from plugin.surveys.base import ANY_PUBLIC_HTTPS, Call, Settings, Step, Vendor
from plugin.surveys.base.answers import outcome_for_status
from plugin.surveys.base.described import Described
from plugin.surveys.custom.answers import read_answer
from plugin.surveys.custom.pasted import recognise_url
from plugin.surveys.custom.settings import Connection, described_parameters, path_segments
from plugin.surveys.custom.slots import Values, fill_document, fill_pairs, fill_text


class Nothing(StrictSchema):
    """No parameter is the same for every connection; see `parameters_of`."""


VENDOR: Final = Vendor(
    title="Another vendor (described by you)",
    connection=Connection,
    origins=ANY_PUBLIC_HTTPS,
    calls={
        "send": Call(
            label="Make the described call",
            help="Its parameters are those that the connection declares or that its preset has.",
            parameters=Nothing,
            # Nobody knows whether this vendor takes a repeat well, so a call without an answer is held.
            steps=[Step("send", source="https://www.rfc-editor.org/rfc/rfc9110#section-9.2.2")],
        )
    },
    help="For vendors that survey-plugin has no connector for.",
)


def parameters_of(call_name: str, connection: Settings) -> Described:
    """The parameters that a rule can fill in through this connection."""
    del call_name  # there is one call
    return described_parameters(connection)


def reader_for(connection: Settings) -> Any:
    """`read_response` for answers through this connection."""
    return partial(_read_by_table, connection)


def build_request(call: SurveyCall, connection: Settings, step: str, memory: Mapping[str, str]) -> OutboundRequest:
    """The described request. Raises CannotBeSent when a value is missing that the path is made of."""
    del step, memory  # the call is a single step
    declared = connection["parameters"]
    values = Values(
        {name: value for name, value in call.parameters.items() if name in declared},
        connection["secrets"],
        {name: about["kind"] for name, about in declared.items()},
    )
    form, document = connection["form"], connection["json"]
    try:
        return OutboundRequest(
            connection["method"].upper(),
            connection["origin"],
            tuple(_segment(segment, values) for segment in path_segments(connection["path"])),
            query=fill_pairs(connection["query"], values),
            form=None if form is None else fill_pairs(form, values),
            json=None if document is None else fill_document(document, values),
            headers=(*_authorization(connection), *fill_pairs(connection["headers"], values)),
            trailing_slash=connection["path"].endswith("/"),
            disguised=_disguised(connection),
        )
    except ValueError as error:
        raise CannotBeSent(f"The call does not fit its connection: {error}.") from None


def read_response(call: SurveyCall, response: OutboundResponse, step: str, memory: Mapping[str, str]) -> Outcome:
    """By HTTP status alone: the table of answers is the connection's, see `reader_for`."""
    del call, step, memory
    return outcome_for_status(response)


def _read_by_table(
    connection: Settings, call: SurveyCall, response: OutboundResponse, step: str, memory: Mapping[str, str]
) -> Outcome:
    del call, step, memory
    return read_answer(connection["answers"], response)


def _segment(template: str, values: Values) -> Text:
    segment = fill_text(template, values)
    if segment is None or not reveal(segment):
        raise ValueError(f"{template} is a part of the path and has no value")
    return segment


def _authorization(connection: Settings) -> tuple[tuple[str, Secret], ...]:
    basic = connection.get("basic")
    if basic is None:
        return ()
    pair = ":".join(reveal(basic.get(name, "")) for name in ("user", "password"))
    return (("Authorization", Secret(f"Basic {base64.b64encode(pair.encode()).decode('ascii')}")),)


def _disguised(connection: Settings) -> tuple[Secret, ...]:
    """Every secret by itself, since most stand within a longer text: `Bearer <token>`."""
    return (*connection["secrets"].values(), *connection.get("basic", {}).values())


__all__ = ["VENDOR", "build_request", "parameters_of", "read_response", "reader_for", "recognise_url"]
