"""What a tenant enters for Zendesk: proofs of the three ways, access to its APIs, and whose messages are taken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from marshmallow import ValidationError, validate, validates_schema

from plugin.domain.fields import Group, Origin, SecretText, StrictSchema, Text
from plugin.triggers.base.rsa_proof import rsa_public_key

_FILLED: Final = validate.Length(min=1, error="must not be empty.")

#: What we need to ask each API, in pairs.
_API_PAIRS: Final = (("api_email", "api_token"), ("conversations_key_id", "conversations_key_secret"))


def _check_key(pem: str) -> None:
    try:
        rsa_public_key(pem)
    except ValueError as error:
        raise ValidationError(str(error)) from None


class ZendeskApp(StrictSchema):
    subdomain = Text(
        label="Subdomain",
        help="The first part of your Zendesk's address.",
        example="acme",
        required=True,
        pattern=r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z",
        pattern_message="must be the part before .zendesk.com, in small letters.",
    )
    public_key = Text(
        label="Public key",
        help="Of the app, as /api/v2/apps/<id of the app>/public_key.pem of your Zendesk gives it to an admin.",
        example="-----BEGIN PUBLIC KEY-----…",
        required=True,
        multiline=True,
        max_length=4000,
        checks=[_check_key],
    )


class ZendeskCredentials(StrictSchema):
    signing_secret = SecretText(
        label="Signing secret",
        help="Admin Center > Apps and integrations > Webhooks > your webhook > Signing secret > Reveal secret. "
        "Required, unless the source is for messaging.",
        example="dGhpc19pc19hbl9leGFtcGxlX29mX2Ffc2VjcmV0",
        checks=[_FILLED],
    )
    conversations_secret = SecretText(
        label="Shared secret of messaging",
        help="Only for messaging, instead of the signing secret: Admin Center > Apps and integrations > Integrations > "
        "Conversations integrations shows it once, when the integration is saved.",
        example="8564b3e6a8b20a4bdb68b05ce9bc5936",
        checks=[_FILLED],
    )
    api_origin = Origin(
        ("https://acme.zendesk.com", "https://api.smooch.io"),
        label="Address of Zendesk",
        help="Zendesk events and messaging say only by an id who the customer is; there we ask for the rest. For "
        "messaging with a key of api.smooch.io, that host.",
        example="https://acme.zendesk.com",
    )
    api_email = Text(
        label="E-mail address for the API",
        help="For Zendesk events: of an agent or administrator whose name the API token is used in.",
        example="surveys@acme.example",
        pattern=r"[^:\s]+@[^:\s]+\Z",
        pattern_message="must be an e-mail address.",
    )
    api_token = SecretText(
        label="API token",
        help="For Zendesk events: Admin Center > Apps and integrations > APIs > API tokens.",
        checks=[_FILLED],
    )
    conversations_key_id = Text(
        label="Key ID of messaging",
        help="For messaging: Admin Center > Apps and integrations > APIs > Conversations API.",
        example="app_5deac3a7b8ffd80010d6ea05",
        pattern=r"[^:\s]+\Z",
        pattern_message="must hold no colon.",
    )
    conversations_key_secret = SecretText(
        label="Secret key of messaging", help="It belongs to the key ID and is shown once.", checks=[_FILLED]
    )
    app = Group(
        ZendeskApp,
        label="Zendesk app",
        help="Only for the page that our app shows inside Zendesk: what proves that it is opened there.",
    )

    @validates_schema
    def check_proof(self, data: Mapping[str, Any], **_: object) -> None:
        if "signing_secret" not in data and "conversations_secret" not in data:
            raise ValidationError("is required. (For messaging, give conversations_secret instead.)", "signing_secret")
        if "signing_secret" in data and "conversations_secret" in data:
            raise ValidationError("is for messaging; a source has this or signing_secret.", "conversations_secret")

    @validates_schema
    def check_api(self, data: Mapping[str, Any], **_: object) -> None:
        for pair in _API_PAIRS:
            missing = [name for name in pair if name not in data]
            if len(missing) == 1:
                [other] = set(pair) - set(missing)
                raise ValidationError(f"is required with {other}.", missing[0])
            if not missing and not data.get("api_origin"):
                raise ValidationError(f"is required with {pair[1]}.", "api_origin")


class ZendeskSettings(StrictSchema):
    account = Text(
        label="Account or app",
        help="For Zendesk events the number of your account (account_id), for messaging the id of your app. What is "
        "about another one is then dropped and counted.",
        example="9001",
        pattern=r"[A-Za-z0-9]{1,40}\Z",
        pattern_message="must be letters and digits.",
    )
