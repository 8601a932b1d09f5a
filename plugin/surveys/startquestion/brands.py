"""The brands of the platform, where they are called, and how far their pages differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from plugin.domain.fields import Choice, Origin, SecretText, StrictSchema, Text
from plugin.domain.survey_call import OutboundRequest
from plugin.surveys.base import Settings


@dataclass(frozen=True)
class Brand:
    """One name under which the platform is sold, with accounts and pages of its own.

    labels: how many contact labels (l1, l2, ...) its calls take.
    lacks: parameters that the brand's own page on a call does not list, by call.
    token_by_get: its page on tokens shows GET alone, so the connection's method does not apply there.
    """

    title: str
    origin: str
    labels: int
    lacks: Mapping[str, frozenset[str]]
    token_by_get: bool = False


BRANDS: Final[Mapping[str, Brand]] = {
    "webankieta": Brand("Webankieta (Poland)", "https://www.webankieta.pl", 10, {}, token_by_get=True),
    "startquestion": Brand("Startquestion", "https://www.startquestion.com", 10, {}, token_by_get=True),
    # Fifteen labels are documented for adding, updating and shortening; no Czech page on send-invitation was found.
    "netquest_cz": Brand(
        "Netquest (Czechia)", "https://www.netquest.cz", 15, {"send_invitation_to_token": frozenset({"reminder"})}
    ),
    "netquest_sk": Brand(
        "Netquest (Slovakia)",
        "https://www.netquest.sk",
        10,
        {"send_invitation": frozenset({"reminder_delay", "template_reminder_id"})},
    ),
}

ORIGINS: Final = tuple(brand.origin for brand in BRANDS.values())

# Key and authorisation are parts of the path, where a lone dot or two means something else.
_PATH_PART: Final = r"(?!\.{1,2}\Z)"
_PATH_PART_MESSAGE: Final = "must be more than dots."


class Connection(StrictSchema):
    brand = Choice(
        {name: brand.title for name, brand in BRANDS.items()},
        label="Brand",
        help="Where your account lives; keys of one brand are not known to another.",
        example="webankieta",
        required=True,
    )
    id_account = Text(
        label="Account id",
        help="The number after /webhooks/ in an address of yours; the vendor's support tells it too.",
        example="171257",
        required=True,
        pattern=r"[0-9]+\Z",
        pattern_message="must be a number.",
    )
    webhook_key = SecretText(
        label="Webhook key",
        help="Made in your account under Settings, Integrations.",
        required=True,
        pattern=_PATH_PART,
        pattern_message=_PATH_PART_MESSAGE,
    )
    webhook_auth = SecretText(
        label="Webhook authorisation",
        help="Made together with the webhook key.",
        required=True,
        pattern=_PATH_PART,
        pattern_message=_PATH_PART_MESSAGE,
    )
    method = Choice(
        {"post": "POST", "get": "GET"},
        label="Method",
        help="POST keeps the customer's address out of the URL. What is documented for GET alone is called by GET.",
        example="post",
        load_default="post",
    )
    origin = Origin(
        ORIGINS,
        label="Address",
        help="Leave it out to use the brand's own.",
        example="https://www.webankieta.pl",
    )


def webhook_request(
    connection: Settings, webhook: str, pairs: tuple[tuple[str, str], ...], *, by_get: bool
) -> OutboundRequest:
    """The call of one webhook, with its parameters in the query or in a form."""
    origin = connection.get("origin") or BRANDS[connection["brand"]].origin
    path = ("webhooks", connection["id_account"], connection["webhook_key"], connection["webhook_auth"], webhook)
    if by_get:
        return OutboundRequest("GET", origin, path, query=pairs)
    return OutboundRequest("POST", origin, path, form=pairs)
