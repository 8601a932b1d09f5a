"""What proves the sender of any other system: one of six ways."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from marshmallow import ValidationError, validate, validates_schema

from plugin.domain.fields import Choice, Flag, Group, Number, SecretText, StrictSchema, Text
from plugin.redaction import Secret
from plugin.triggers.base.credentials import (
    HEADER_NAME,
    HEADER_NAME_MESSAGE,
    BasicCredentials,
    HeaderCredentials,
    OneProof,
)
from plugin.triggers.base.proof import TOLERANCE, HmacRecipe, base64_key, text_key
from plugin.triggers.generic.pipedrive import PipedriveCredentials

_FILLED: Final = validate.Length(min=1, error="must not be empty.")


_NOT_BASE64: Final = "must be base64, with or without whsec_ before it."
_KEY_OF: Final = {"text": text_key, "base64": base64_key}


def _check_base64(text: str) -> None:
    try:
        base64_key(Secret(text))
    except ValueError:
        raise ValidationError(_NOT_BASE64) from None


class HmacCredentials(StrictSchema):
    secret = SecretText(label="Secret", required=True)
    secret_form = Choice(
        {"text": "Used as it is", "base64": "Decoded from base64 first"},
        label="Form of the secret",
        load_default="text",
    )
    header = Text(
        label="Header of the signature",
        example="X-Hub-Signature",
        required=True,
        pattern=HEADER_NAME,
        pattern_message=HEADER_NAME_MESSAGE,
    )
    algorithm = Choice({"sha256": "SHA-256", "sha1": "SHA-1"}, label="Algorithm", load_default="sha256")
    encoding = Choice({"hex": "Hexadecimal", "base64": "Base64"}, label="Encoding", load_default="hex")
    prefix = Text(label="Before the signature", example="sha256=", max_length=50, load_default="")
    message = Text(
        label="What is signed",
        help="{body} stands for the raw body and {timestamp} for the text of the timestamp's header.",
        example="{timestamp}.{body}",
        max_length=200,
        load_default="{body}",
    )
    timestamp_header = Text(
        label="Header of the timestamp",
        example="X-Request-Timestamp",
        load_default="",
        pattern=f"{HEADER_NAME}|\\Z",
        pattern_message=HEADER_NAME_MESSAGE,
    )
    timestamp_unit = Choice(
        {"s": "Unix seconds", "ms": "Unix milliseconds", "iso": "ISO 8601"},
        label="Unit of the timestamp",
        load_default="s",
    )
    tolerance = Number(
        label="Tolerance in seconds",
        help="How far the timestamp may lie from our clock, both ways.",
        example="300",
        minimum=1,
        maximum=86400,
        load_default=TOLERANCE,
    )

    @validates_schema
    def check_message(self, data: Mapping[str, Any], **_: object) -> None:
        marks = set(re.findall(r"\{[^{}]*\}", data["message"]))
        if "{body}" not in marks:
            raise ValidationError("must hold {body}, or else the signature would not protect it.", "message")
        if unknown := marks - {"{body}", "{timestamp}"}:
            raise ValidationError(f"knows {{body}} and {{timestamp}}, not {min(unknown)}.", "message")
        if "{timestamp}" in marks and not data["timestamp_header"]:
            raise ValidationError("is required when the message holds {timestamp}.", "timestamp_header")
        if data["timestamp_header"] and "{timestamp}" not in marks:
            raise ValidationError("must hold {timestamp}, or else anybody could change the time.", "message")

    @validates_schema
    def check_secret(self, data: Mapping[str, Any], **_: object) -> None:
        try:
            hmac_key(data)
        except ValueError:
            raise ValidationError(_NOT_BASE64, "secret") from None


class GenericCredentials(OneProof):
    beside = frozenset({"pipedrive"})

    bearer = SecretText(
        label="Bearer token", help="Sent to us as Authorization: Bearer followed by this token.", checks=[_FILLED]
    )
    basic = Group(BasicCredentials, label="User and password", help="Sent to us as HTTP Basic.")
    header = Group(HeaderCredentials, label="Secret header", help="A header of your choice that holds a secret.")
    standard_webhooks = SecretText(
        label="Standard Webhooks secret",
        help="Begins with whsec_. Headers webhook-id, webhook-timestamp and webhook-signature are checked.",
        example="whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        checks=[_check_base64],
    )
    hmac = Group(HmacCredentials, label="Signature (HMAC)", help="For senders that sign their requests their own way.")
    url_only = Flag(
        label="The URL alone",
        help="For senders that can prove nothing: the URL is then the only secret. Whoever knows it can have surveys "
        "sent, so show it to nobody and renew it when somebody leaves.",
    )
    pipedrive = Group(
        PipedriveCredentials,
        label="Pipedrive's API",
        help="No proof, and only for Pipedrive: its messages name no customer, so Pipedrive is asked for the person.",
    )


def hmac_key(dials: Mapping[str, Any]) -> bytes:
    """Raises ValueError."""
    return _KEY_OF[dials["secret_form"]](dials["secret"])


def hmac_recipe(dials: Mapping[str, Any]) -> HmacRecipe:
    return HmacRecipe(**{name: value for name, value in dials.items() if name not in {"secret", "secret_form"}})
