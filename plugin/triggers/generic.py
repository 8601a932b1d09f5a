"""Anything that can call a URL with values of the customer's choice, proved in one of six ways."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from marshmallow import ValidationError, validate, validates_schema

from plugin.domain.event import Event, EventKind
from plugin.domain.fields import Choice, Flag, Group, Number, SecretText, StrictSchema, Text
from plugin.errors import SignatureInvalid
from plugin.redaction import Secret
from plugin.triggers.base import Credentials, InboundRequest, Source
from plugin.triggers.base.credentials import (
    HEADER_NAME,
    HEADER_NAME_MESSAGE,
    BasicCredentials,
    HeaderCredentials,
    OneProof,
)
from plugin.triggers.base.message import read_message
from plugin.triggers.base.proof import (
    TOLERANCE,
    HmacRecipe,
    base64_key,
    hmac_replay_mark,
    require_basic,
    require_bearer,
    require_header,
    require_hmac,
    require_standard_webhook,
    standard_replay_mark,
    text_key,
)

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
            _key(data)
        except ValueError:
            raise ValidationError(_NOT_BASE64, "secret") from None


class GenericCredentials(OneProof):
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


SOURCE: Final = Source(
    title="Any other system",
    credentials=GenericCredentials,
    events=frozenset({EventKind.TICKET_CLOSED, EventKind.TICKET_REOPENED, EventKind.CHAT_ENDED, EventKind.CRM_CHANGED}),
    placeholders=(
        "ticket.id",
        "ticket.requester.email",
        "chat.id",
        "chat.visitor.email",
        "crm.object",
        "crm.id",
        "person.email",
        "person.phone",
        "person.name",
        "person.language",
    ),
    help="Any helpdesk, chat or CRM that can call a URL with JSON, a form or a query string written by you.",
)


def verify(request: InboundRequest, credentials: Credentials, now: datetime) -> None:
    match credentials:
        case {"bearer": token}:
            require_bearer(request, token)
        case {"basic": basic}:
            require_basic(request, basic["user"], basic["password"])
        case {"header": header}:
            require_header(request, header["name"], header["value"])
        case {"standard_webhooks": secret}:
            require_standard_webhook(request, base64_key(secret), now)
        case {"hmac": dials}:
            require_hmac(request, _key(dials), _recipe(dials), now)
        case {"url_only": True}:
            return
        case _:
            raise SignatureInvalid("The source has no credentials to check against.")


def replay_mark(request: InboundRequest, credentials: Credentials) -> str | None:
    match credentials:
        case {"standard_webhooks": _}:
            return standard_replay_mark(request)
        case {"hmac": dials}:
            return hmac_replay_mark(request, _recipe(dials))
        case _:
            return None


def parse(request: InboundRequest) -> list[Event]:
    return read_message(request, kinds=SOURCE.events)


def _key(dials: Mapping[str, Any]) -> bytes:
    return _KEY_OF[dials["secret_form"]](dials["secret"])


def _recipe(dials: Mapping[str, Any]) -> HmacRecipe:
    return HmacRecipe(**{name: value for name, value in dials.items() if name not in {"secret", "secret_form"}})
