"""Personal data out of what is about to be shown to somebody who may see a case but not the person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar, cast

from plugin.redaction import mask_addresses

_Shown = TypeVar("_Shown")


def without_addresses(value: _Shown) -> _Shown:
    """A copy of `value` (a dataclass, mapping, list or text) with every e-mail address in it masked, however deep."""
    return cast("_Shown", _masked(value))


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        # An enum of texts is a text too, and has no address in it.
        return mask_addresses(value) if type(value) is str else value
    if isinstance(value, bytes):
        return mask_addresses(value.decode("utf-8", "replace")).encode()
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{field.name: _masked(getattr(value, field.name)) for field in fields(value)})
    if isinstance(value, Mapping):
        return {_masked(name): _masked(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_masked(inner) for inner in value)
    return value
