"""Form fields, declared once by connectors: a schema checks input and YAML, draws the form and documents itself.

Each field's metadata carries `label`, `help`, `example` and `secret`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from marshmallow import Schema, ValidationError, fields, validate

from plugin.domain.survey_call import origin_of
from plugin.redaction import Secret


class StrictSchema(Schema):
    """Refuses keys it does not know, so that a misspelt setting is told and not ignored. Does no I/O."""

    error_messages = {  # noqa: RUF012  # marshmallow reads it from the class
        "unknown": "is not known here.",
        "type": "must be an object of names and values.",
    }


class Text(fields.String):
    """Text of one line, without spaces around it; with `multiline`, any text exactly as it came.

    Numbers are taken as they are written, since ids are often typed without quotes.
    """

    default_error_messages = {  # noqa: RUF012
        "required": "is required.",
        "null": "must not be empty.",
        "invalid": "must be text.",
        "empty": "must not be empty.",
        "lines": "must be a single line.",
        "zero": "must not hold a null character.",
    }

    def __init__(
        self,
        *,
        label: str,
        help: str = "",  # noqa: A002  # the word that forms use
        example: str = "",
        max_length: int = 1000,
        pattern: str | None = None,
        pattern_message: str = "has a form that is not accepted.",
        multiline: bool = False,
        **kwargs: Any,
    ) -> None:
        self.multiline = multiline
        checks: list[Any] = [validate.Length(max=max_length, error="is longer than {max} characters.")]
        if pattern is not None:
            checks.append(validate.Regexp(pattern, error=pattern_message))
        super().__init__(
            validate=[*checks, *kwargs.pop("checks", ())],
            metadata={
                "label": label,
                "help": help,
                "example": example,
                "max_length": max_length,
                "secret": False,
                **kwargs.pop("metadata", {}),
            },
            **kwargs,
        )

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        text: str = super()._deserialize(value, attr, data, **kwargs)
        if not self.multiline:
            text = text.strip()
            if "\n" in text or "\r" in text:
                raise self.make_error("lines")
        if not text.strip() and self.required:
            raise self.make_error("empty")
        if "\x00" in text:
            raise self.make_error("zero")
        return text


class Choice(Text):
    """One of a fixed list; `labels` names each for people."""

    def __init__(self, choices: Mapping[str, str], **kwargs: Any) -> None:
        one_of = validate.OneOf(list(choices), error="must be one of: {choices}.")
        super().__init__(checks=[one_of], metadata={"choices": dict(choices)}, **kwargs)


class Origin(Text):
    """Where a vendor or a source's own API is called: scheme, host and optional port. Loads as `origin_of` writes it.

    Only its form is checked here. Whether a vendor may be called there depends on Vendor.origins and on the operator's
    EXTRA_VENDOR_ORIGINS, so that is checked where a tenant's file is saved, for settings named `origin` or
    `<something>_origin`, and once more by the outbound door. suggestions: known origins, for the form.
    """

    default_error_messages = {  # noqa: RUF012  # marshmallow reads it from the class
        "origin": "must be scheme and host alone, such as https://www.example.com.",
    }

    def __init__(self, suggestions: Sequence[str], **kwargs: Any) -> None:
        super().__init__(metadata={"suggestions": tuple(suggestions)}, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        text: str = super()._deserialize(value, attr, data, **kwargs)
        if not text:
            return text
        try:
            origin = origin_of(text)
        except ValueError as error:
            raise self.make_error("origin") from error
        if urlsplit(text)._replace(scheme="", netloc="").geturl() not in {"", "/"}:
            raise self.make_error("origin")
        return origin


class SecretText(Text):
    """Text that is stored encrypted and shown to nobody. Loads as `Secret`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(metadata={"secret": True}, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if isinstance(value, Secret):
            value = value.reveal()
        return super()._deserialize(value, attr, data, **kwargs)

    def deserialize(self, value: Any, attr: str | None = None, data: Any = None, **kwargs: Any) -> Any:
        # Validators run on the text; only what passed them is wrapped.
        loaded = super().deserialize(value, attr, data, **kwargs)
        return Secret(loaded) if isinstance(loaded, str) else loaded


class Number(fields.Integer):
    """A whole number between two bounds, both allowed."""

    default_error_messages = {  # noqa: RUF012
        "required": "is required.",
        "null": "must not be empty.",
        "invalid": "must be a whole number.",
    }

    def __init__(
        self,
        *,
        label: str,
        minimum: int,
        maximum: int,
        help: str = "",  # noqa: A002  # the word that forms use
        example: str = "",
        **kwargs: Any,
    ) -> None:
        bounds = validate.Range(min=minimum, max=maximum, error="must be between {min} and {max}.")
        metadata = {"label": label, "help": help, "example": example, "secret": False}
        super().__init__(validate=bounds, metadata=metadata, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        # Python counts true as 1, and 1.5 would be cut to 1.
        if isinstance(value, bool | float):
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, attr, data, **kwargs)


class Flag(fields.Boolean):
    """Yes or no."""

    default_error_messages = {  # noqa: RUF012
        "required": "is required.",
        "null": "must not be empty.",
        "invalid": "must be true or false.",
    }

    def __init__(self, *, label: str, help: str = "", **kwargs: Any) -> None:  # noqa: A002  # the word that forms use
        super().__init__(metadata={"label": label, "help": help, "example": "true", "secret": False}, **kwargs)


class Group(fields.Nested):
    """Several fields under one name, described by a schema of their own."""

    default_error_messages = {  # noqa: RUF012
        "required": "is required.",
        "null": "must not be empty.",
        "type": "must be an object of names and values.",
    }

    def __init__(self, schema: type[Schema], *, label: str, help: str = "", **kwargs: Any) -> None:  # noqa: A002
        super().__init__(schema, metadata={"label": label, "help": help, "example": "", "secret": False}, **kwargs)


#: What a field of several values says when there are none.
_NEEDED: Final = {"required": "is required.", "null": "must not be empty."}


class Named(fields.Dict):
    """Values of one kind by names that the person chooses.

    values: the field of each value. name_pattern: what a name must look like, name_message: the same in words.
    """

    default_error_messages = {**_NEEDED, "invalid": "must be an object of names and values."}  # noqa: RUF012

    def __init__(
        self,
        values: fields.Field[Any],
        *,
        label: str,
        name_pattern: str,
        name_message: str,
        help: str = "",  # noqa: A002  # the word that forms use
        most: int = 100,
        **kwargs: Any,
    ) -> None:
        names = fields.String(validate=validate.Regexp(name_pattern, error=name_message))
        size = validate.Length(max=most, error="holds more than {max} entries.")
        metadata = {"label": label, "help": help, "example": "", "secret": False}
        super().__init__(keys=names, values=values, validate=size, metadata=metadata, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        try:
            return super()._deserialize(value, attr, data, **kwargs)  # type: ignore[no-untyped-call]  # so in marshmallow
        except ValidationError as error:
            if not isinstance(error.messages, dict):
                raise
            # A fault is told under its name, not one level below as marshmallow does.
            raise ValidationError(
                {name: found.get("value", found.get("key", found)) for name, found in error.messages.items()},
                valid_data=error.valid_data,
            ) from None


class Rows(fields.List[Any]):
    """Several groups in an order that matters, each described by a schema of its own."""

    default_error_messages = {**_NEEDED, "invalid": "must be a list."}  # noqa: RUF012

    def __init__(
        self,
        schema: type[Schema],
        *,
        label: str,
        help: str = "",  # noqa: A002  # the word that forms use
        most: int = 100,
        **kwargs: Any,
    ) -> None:
        size = validate.Length(max=most, error="holds more than {max} entries.")
        metadata = {"label": label, "help": help, "example": "", "secret": False}
        super().__init__(Group(schema, label=label), validate=size, metadata=metadata, **kwargs)
