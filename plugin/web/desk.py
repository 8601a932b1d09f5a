"""What the web pages work with. The app puts one on itself; views ask for it here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

from flask import current_app

from plugin.domain.identity import Mint
from plugin.metrics import Meter, Scrape
from plugin.pipeline.accept import Acceptor
from plugin.pipeline.choices import Chooser
from plugin.redaction import Secret
from plugin.signing import LinkSigner
from plugin.store.database import Database
from plugin.vault import Vault

EXTENSION: Final = "survey-plugin"


@dataclass(frozen=True)
class Desk:
    """base_url: where this installation is reached from outside, without a slash at the end.

    operator_token: what a scrape has to show; None where nobody may scrape.
    """

    database: Database
    vault: Vault
    mint: Mint
    signer: LinkSigner
    acceptor: Acceptor
    chooser: Chooser
    base_url: str
    extra_origins: Sequence[str]
    meter: Meter
    scrape: Scrape
    operator_token: Secret | None = None

    def trigger_url(self, key: str) -> str:
        """The address that a source is called at. It is a secret."""
        return f"{self.base_url}/triggers/{key}"


def desk() -> Desk:
    """The desk of the app that serves this request."""
    return cast("Desk", current_app.extensions[EXTENSION])
