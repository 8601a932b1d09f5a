"""Forms of shared secrets that more than one source asks for; `proof` checks them."""

from __future__ import annotations

from typing import Final

from plugin.domain.fields import SecretText, StrictSchema, Text

HEADER_NAME: Final = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+\Z"
HEADER_NAME_MESSAGE: Final = "must be a header's name: letters, digits and dashes."


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
