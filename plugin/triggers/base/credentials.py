"""Forms of shared secrets that more than one source asks for; `proof` checks them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from marshmallow import ValidationError, validates_schema

from plugin.domain.fields import SecretText, StrictSchema, Text

HEADER_NAME: Final = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+\Z"
HEADER_NAME_MESSAGE: Final = "must be a header's name: letters, digits and dashes."


class OneProof(StrictSchema):
    """Of several ways to prove the sender, exactly one is given. beside: fields that are none of them."""

    beside: ClassVar[frozenset[str]] = frozenset()

    @validates_schema
    def check_one(self, data: Mapping[str, Any], **_: object) -> None:
        given = [name for name, value in data.items() if value is not False and name not in self.beside]
        if len(given) != 1:
            proofs = [name for name in self.fields if name not in self.beside]
            raise ValidationError(f"give exactly one of: {', '.join(proofs)}.")


class BasicCredentials(StrictSchema):
    user = Text(
        label="User", example="survey", required=True, pattern=r"[^:]+\Z", pattern_message="must hold no colon."
    )
    password = SecretText(label="Password", required=True)


class HeaderCredentials(StrictSchema):
    name = Text(
        label="Header", example="X-Api-Key", required=True, pattern=HEADER_NAME, pattern_message=HEADER_NAME_MESSAGE
    )
    value = SecretText(label="Value", required=True)
