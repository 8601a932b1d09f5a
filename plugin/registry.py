"""Finds sources and vendors by module name. No list names them: a new file is a new connector."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from functools import cache
from typing import cast

from marshmallow import Schema

import plugin.surveys
import plugin.triggers
from plugin.domain.outcome import CONFIRMED
from plugin.errors import NotFound
from plugin.surveys.base import (
    ANY_PUBLIC_HTTPS,
    Call,
    ChoiceList,
    Choices,
    Described,
    PastedUrl,
    Reader,
    Recognised,
    Settings,
    Step,
    Vendor,
    VendorModule,
)
from plugin.surveys.base.answers import outcome_for_status
from plugin.surveys.base.described import schema_of
from plugin.surveys.base.pasted import read_pasted_url
from plugin.triggers.base import (
    Belonging,
    Credentials,
    FrameModule,
    InboundAnswer,
    InboundRequest,
    LookupModule,
    MatchBy,
    Source,
    SourceModule,
)
from plugin.triggers.base.recording import read_recording

__all__ = [
    "ANY_PUBLIC_HTTPS",
    "Belonging",
    "Call",
    "ChoiceList",
    "Choices",
    "Credentials",
    "Described",
    "FrameModule",
    "InboundAnswer",
    "InboundRequest",
    "LookupModule",
    "MatchBy",
    "PastedUrl",
    "Reader",
    "Recognised",
    "Settings",
    "Source",
    "SourceModule",
    "Step",
    "Vendor",
    "VendorModule",
    "described_parameters",
    "follow_up_label",
    "frame_module",
    "lookup_module",
    "outcome_for_status",
    "parameters",
    "read_pasted_url",
    "read_recording",
    "reader",
    "schema",
    "source",
    "source_names",
    "step_label",
    "success_note",
    "vendor",
    "vendor_names",
]


@cache
def source_names() -> tuple[str, ...]:
    """Names of all trigger sources, sorted."""
    return _module_names(plugin.triggers.__path__)


@cache
def vendor_names() -> tuple[str, ...]:
    """Names of all survey vendors, sorted."""
    return _module_names(plugin.surveys.__path__)


def source(name: str) -> SourceModule:
    """The trigger source of that name. Raises NotFound."""
    if name not in source_names():
        raise NotFound(f"There is no trigger source named {name}; there are: {', '.join(source_names())}.")
    return cast("SourceModule", importlib.import_module(f"plugin.triggers.{name}"))


def lookup_module(name: str) -> LookupModule | None:
    """The trigger source of that name, if it may have to be asked for more than its messages say. Raises NotFound."""
    module = source(name)
    return cast("LookupModule", module) if hasattr(module, "lookup") else None


def frame_module(name: str) -> FrameModule | None:
    """The trigger source of that name, if it can show a page of ours in a frame of its own. Raises NotFound."""
    module = source(name)
    return cast("FrameModule", module) if hasattr(module, "verify_frame") else None


def vendor(name: str) -> VendorModule:
    """The survey vendor of that name. Raises NotFound."""
    if name not in vendor_names():
        raise NotFound(f"There is no survey vendor named {name}; there are: {', '.join(vendor_names())}.")
    return cast("VendorModule", importlib.import_module(f"plugin.surveys.{name}"))


def success_note(vendor_name: str, call_name: str, reason: str | None) -> str:
    """What a call does not prove that was accepted for this reason; empty when there is nothing to say.

    Old receipts may name vendors and calls that are known no more.
    """
    if reason not in CONFIRMED or vendor_name not in vendor_names():
        return ""
    call = vendor(vendor_name).VENDOR.calls.get(call_name)
    return call.success_note if call is not None else ""


def described_parameters(name: str, call: str, connection: Settings) -> Described | None:
    """A call's parameters as the connection declares them; None for a vendor that has the same for everybody."""
    describe = getattr(vendor(name), "parameters_of", None)
    described: Described | None = describe(call, connection) if describe is not None else None
    return described


def parameters(call: Call, described: Described | None) -> Schema:
    """The schema of a call's parameters: of the described ones, or where there are none of those that it declares."""
    return schema(call.parameters) if described is None else schema_of(described)


def reader(name: str, connection: Settings) -> Reader:
    """What reads the answers that come through this connection."""
    module = vendor(name)
    make: Callable[[Settings], Reader] | None = getattr(module, "reader_for", None)
    return make(connection) if make is not None else module.read_response


def follow_up_label(vendor_name: str, call_name: str, step_name: str) -> str:
    """What is done after a delivery has ended; unless its step says otherwise, the vendor is asked about it."""
    call = vendor(vendor_name).VENDOR.calls.get(call_name) if vendor_name in vendor_names() else None
    labels = [step.label for step in call.steps if step.name == step_name and step.label] if call is not None else []
    return f"Still to come: “{labels[0]}”" if labels else "The vendor is asked what became of it"


def step_label(vendor_name: str, call_name: str, step_name: str) -> str:
    """What one step of a call does, in a few words; empty where the call is a single step, or is known no more."""
    if vendor_name not in vendor_names():
        return ""
    call = vendor(vendor_name).VENDOR.calls.get(call_name)
    deciding = [step for step in call.steps if not step.follow_up] if call is not None else []
    return next((step.label for step in deciding if step.name == step_name), step_name) if len(deciding) > 1 else ""


@cache
def schema(declared: type[Schema]) -> Schema:
    """The one instance of a declared schema: making one costs far more than loading with it, and may be shared."""
    return declared()


def _module_names(path: list[str]) -> tuple[str, ...]:
    return tuple(sorted(module.name for module in pkgutil.iter_modules(path) if module.name != "base"))
