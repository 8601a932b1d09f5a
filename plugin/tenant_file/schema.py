"""The shape of a tenant's configuration. What depends on a connector is checked in check.py."""

from __future__ import annotations

import re
from datetime import timedelta
from difflib import get_close_matches
from typing import Any, Final
from zoneinfo import ZoneInfo

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from plugin.domain.delivery import FRESHNESS
from plugin.domain.event import CATALOGUE, EventKind, is_known
from plugin.domain.fields import Number
from plugin.domain.limits import MOST_CALLS_PER_MINUTE, MOST_IN_FLIGHT, MOST_REQUESTS_PER_MINUTE
from plugin.domain.rule import LISTED, OPERATORS, VALUELESS
from plugin.domain.schedule import LONGEST_DELAY_MINUTES, LONGEST_FRESHNESS_HOURS

SLUG_PATTERN: Final = r"^[a-z0-9][a-z0-9_-]{0,62}$"
NAME_PATTERN: Final = r"^\w([\w .:&+()-]{0,61}[\w)])?$"
#: What becomes of a source's messages: sent on, only shown, or kept unread for somebody to say what is what in them.
STATES: Final = ("live", "test", "capture")
KEY_PATTERN: Final = r"^[A-Za-z0-9_-]{16,128}$"

_MESSAGES: Final[dict[str, Any]] = {
    "required": "is required.",
    "null": "must not be empty.",
    "invalid": "must be text.",
}


class _Strict(Schema):
    error_messages = {"unknown": "is not known here.", "type": "must be a list of keys."}  # noqa: RUF012


def _text(**kwargs: Any) -> fields.String:
    return fields.String(error_messages=_MESSAGES, **kwargs)


def _slug() -> fields.String:
    message = "may hold a-z, 0-9, - and _, at most 63 characters, and starts with a letter or digit."
    return _text(required=True, validate=validate.Regexp(SLUG_PATTERN, error=message))


def _name() -> fields.String:
    message = "may hold letters, digits, spaces and . : & + ( ) - _, at most 63 characters, and starts with a letter."
    return _text(required=True, validate=validate.Regexp(NAME_PATTERN, error=message))


def _flag(default: bool) -> fields.Boolean:
    return fields.Boolean(load_default=default, error_messages={"invalid": "must be true or false."})


def _number(minimum: int, maximum: int) -> Number:
    return Number(label="", minimum=minimum, maximum=maximum)


def _list(inner: fields.Field[Any], **kwargs: Any) -> fields.List[Any]:
    return fields.List(inner, error_messages={"invalid": "must be a list."} | _only_required(), **kwargs)


def _not_empty(message: str) -> validate.Length:
    return validate.Length(min=1, error=message)


def _only_required() -> dict[str, Any]:
    return {"required": _MESSAGES["required"], "null": _MESSAGES["null"]}


class _Mapping(fields.Dict):
    """Names and values. A faulty value is told under its name, not one level below as marshmallow does."""

    default_error_messages = {"invalid": "must be a list of keys."} | _only_required()

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        try:
            return super()._deserialize(value, attr, data, **kwargs)  # type: ignore[no-untyped-call]  # so in marshmallow
        except ValidationError as error:
            if not isinstance(error.messages, dict):
                raise
            flat = {name: [*found.get("key", ()), *found.get("value", ())] for name, found in error.messages.items()}
            raise ValidationError(flat, valid_data=error.valid_data) from None


def _language(**kwargs: Any) -> fields.String:
    message = "must be a language tag such as pl or en-GB."
    return _text(validate=validate.Regexp(r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$", error=message), **kwargs)


def _short_word() -> validate.Length:
    return validate.Length(min=1, max=60, error="must have 1 to 60 characters.")


def _mapping(**kwargs: Any) -> _Mapping:
    return _Mapping(keys=fields.String(), **kwargs)


def _check_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValidationError("is not a time zone name such as Europe/Warsaw.") from None


class SourceSchema(_Strict):
    name = _name()
    kind = _text(required=True)
    state = _text(load_default="live", validate=validate.OneOf(STATES, error="must be live, test or capture."))
    credentials = _mapping(load_default=dict)
    old_credentials = _mapping()
    settings = _mapping()
    language = _language()
    key = fields.Raw()
    limit_per_minute = _number(1, MOST_REQUESTS_PER_MINUTE)


class LimitsSchema(_Strict):
    in_flight = _number(1, MOST_IN_FLIGHT)
    calls_per_minute = _number(1, MOST_CALLS_PER_MINUTE)


class ConnectionSchema(_Strict):
    name = _name()
    vendor = _text(required=True)
    settings = _mapping(load_default=dict)
    languages = _mapping(values=_text(validate=_short_word()))
    limits = fields.Nested(LimitsSchema, error_messages=_only_required())


class ConditionSchema(_Strict):
    field = _text()
    op = _text(validate=validate.OneOf(OPERATORS, error="must be one of: {choices}."))
    value = fields.Raw()
    any = _list(fields.Nested("ConditionSchema"), validate=_not_empty("must hold at least one condition."))

    @validates_schema
    def is_whole(self, data: dict[str, Any], **_kwargs: Any) -> None:
        """Either `any` alone, or field and op with the value that the operator wants."""
        if "any" in data:
            if len(data) > 1:
                raise ValidationError("`any` stands alone; put other conditions beside it as items of the list.")
            return
        for key in ("field", "op"):
            if key not in data:
                raise ValidationError(_MESSAGES["required"], key)
        if not is_known(data["field"]):
            raise ValidationError(unknown_placeholder(data["field"]), "field")
        self._check_value(data["op"], data.get("value"))

    @staticmethod
    def _check_value(op: str, value: object) -> None:
        if op in VALUELESS:
            if value is not None:
                raise ValidationError(f"`{op}` takes no value; leave it out.", "value")
        elif op in LISTED:
            if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
                raise ValidationError(f"`{op}` takes a list of texts.", "value")
        elif not isinstance(value, str):
            raise ValidationError(f"`{op}` takes one text.", "value")


class WhenSchema(_Strict):
    events = _list(
        _text(
            validate=validate.OneOf(
                [kind.value for kind in EventKind if kind is not EventKind.UNSUPPORTED],
                error="must be one of: {choices}.",
            )
        ),
        required=True,
        validate=_not_empty("must name at least one kind of event."),
    )
    conditions = _list(fields.Nested(ConditionSchema), load_default=list)


class AskSchema(_Strict):
    delay_minutes = _number(0, LONGEST_DELAY_MINUTES)
    expires_hours = _number(1, LONGEST_FRESHNESS_HOURS)

    @validates_schema
    def ends_in_time(self, data: dict[str, Any], **_kwargs: Any) -> None:
        """Both count from the same moment, so a delay that is not shorter would never ask anybody."""
        delay = data.get("delay_minutes", 0)
        hours = data.get("expires_hours", FRESHNESS // timedelta(hours=1))
        if timedelta(minutes=delay) >= timedelta(hours=hours):
            raise ValidationError(
                f"{delay} minutes must be less than {hours} h, after which nothing is sent any more; shorten it "
                "or raise expires_hours.",
                "delay_minutes",
            )


class RuleSchema(_Strict):
    name = _name()
    enabled = _flag(default=True)
    stop = _flag(default=False)
    sources = _list(_text(), validate=_not_empty("must name at least one source; leave it out for all."))
    when = fields.Nested(WhenSchema, required=True, error_messages=_only_required())
    connection = _text(required=True)
    call = _text(required=True)
    parameters = _mapping(values=_text(), load_default=dict)
    ask = fields.Nested(AskSchema, error_messages=_only_required())
    when_uncertain = _text(validate=validate.OneOf(["hold", "resend"], error="must be hold or resend."))


class TenantSchema(_Strict):
    tenant = _slug()
    name = _text(required=True, validate=validate.Length(min=1, max=200, error="must have 1 to 200 characters."))
    timezone = _text(load_default="UTC", validate=_check_zone)
    language = _language(load_default="en")
    sources = _list(fields.Nested(SourceSchema), load_default=list)
    connections = _list(fields.Nested(ConnectionSchema), load_default=list)
    rules = _list(fields.Nested(RuleSchema), load_default=list)


def unknown_placeholder(name: str) -> str:
    """The sentence for a placeholder that does not exist, with the nearest ones that do."""
    near = get_close_matches(name, CATALOGUE, n=2, cutoff=0.6)
    hint = f" Did you mean {' or '.join(near)}?" if near else " See the list of placeholders."
    shown = re.sub(r"[^\w.-]", "?", name)[:80]
    return f"there is no placeholder {shown}.{hint}"
