"""A tenant with its helpdesk, its worker and its pages, for tests; and a clock that a test moves."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from string import Template
from typing import Any

from sqlalchemy import func, select

from plugin.app import Parts
from plugin.pipeline.record import Acceptance
from plugin.registry import InboundRequest
from plugin.sandbox.server import Received, Sandbox
from plugin.store import receipts, sources, tenants
from plugin.store.receipts import DeliveryRecord, Receipt
from plugin.store.sources import StoredSource
from plugin.store.tables import metadata
from plugin.store.tenants import Tenant
from plugin.tenant_file import Applied, apply_configuration, check_document, read_document, stored_document

ACME = """
tenant: acme
name: Acme
timezone: Europe/Warsaw
language: pl
sources:
  - {name: desk, kind: zendesk, credentials: {signing_secret: zendesk-secret}}
  - {name: any, kind: generic, credentials: {bearer: bearer-secret}}
connections:
  - {name: lab, vendor: surveylab, settings: {origin: "$sandbox", api_token: lab-token}}
rules:
  - name: csat
    when: {events: [ticket.closed, chat.ended]}
    connection: lab
    call: add_respondent
    parameters:
      cId: "837"
      email: "{{ person.email }}"
      language: "{{ person.language }}"
      custom1: "{{ ticket.id }}"
"""


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **units: float) -> None:
        self.now += timedelta(**units)


@dataclass(frozen=True)
class Vendor:
    """The sandbox as one test sees it: only what came in since the test began."""

    server: Sandbox
    since: int

    @property
    def origin(self) -> str:
        return self.server.origin

    @property
    def received(self) -> list[Received]:
        return [call for call in self.server.received if call.number > self.since]

    @property
    def asked(self) -> list[dict[str, str]]:
        """The parameters of each call."""
        return [dict(call.parameters) for call in self.received]


@dataclass
class Acme:
    """A tenant, and what its helpdesk, its worker and its pages do."""

    parts: Parts
    vendor: Vendor
    clock: Clock
    invocations: Iterator[int] = field(default_factory=lambda: count(1))

    def apply(
        self, text: str = ACME, *, base: int | None = None, environment: Any = None, origin: str | None = None
    ) -> Applied:
        """Apply a file. `$sandbox` in it stands for origin, which is the sandbox's unless another one is given."""
        origin = origin or self.vendor.origin
        document = read_document(Template(text).safe_substitute(sandbox=origin))
        with self.parts.database.write() as db:
            tenant = tenants.find_tenant(db, document["tenant"])
            stored = self.stored(tenant) if tenant is not None else None
            checked = check_document(document, stored=stored, environment=environment, extra_origins=[origin])
            return apply_configuration(db, self.parts.vault, self.parts.mint, checked, saved_by="test", base=base)

    def stored(self, tenant: Tenant | None = None) -> dict[str, Any]:
        with self.parts.database.read() as db:
            return stored_document(db, self.parts.vault, tenant or self.tenant)

    @property
    def tenant(self) -> Tenant:
        with self.parts.database.read() as db:
            return tenants.tenant_by_slug(db, "acme")

    def source(self, name: str = "desk") -> StoredSource:
        with self.parts.database.read() as db:
            return sources.source_by_name(db, self.tenant.id, name)

    # --- what comes in ---

    def send(self, message: Any, *, source: str = "desk", **headers: str) -> Acceptance:
        """A message as the source's system sends it. headers: `webhook_id` stands for `webhook-id`."""
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        proof = {"authorization": "Bearer bearer-secret"} if source == "any" else sign_zendesk(body, self.clock())
        request = InboundRequest("POST", "", {"content-type": "application/json", **proof, **given}, body)
        return self.parts.acceptor.accept(self.source(source), request)

    def close(self, ticket: str = "35", *, source: str = "desk", **values: Any) -> Acceptance:
        """A ticket is closed: a message of its own, at a moment of its own."""
        self.clock.advance(seconds=1)
        return self.send(
            closing(ticket, **{"updated_at": self.clock().isoformat(), **values}),
            source=source,
            x_zendesk_webhook_invocation_id=f"invocation-{next(self.invocations)}",
        )

    # --- what goes out ---

    def work(self) -> None:
        """Have a worker make everything that is due."""
        with self.parts.outbound() as outbound:
            assert self.parts.worker(outbound).run_until_idle(20)

    # --- what is kept ---

    def receipt(self, of: Acceptance | str) -> Receipt:
        """Of what became of a message, or by its id."""
        receipt_id = of if isinstance(of, str) else str(of.receipt)
        with self.parts.database.read() as db:
            found = receipts.receipt(db, self.tenant.id, receipt_id)
        assert found is not None
        return found

    def deliveries(self) -> list[DeliveryRecord]:
        """The oldest first."""
        with self.parts.database.read() as db:
            found = receipts.deliveries_of_tenant(db, self.tenant.id)
        return found[::-1]

    def delivery(self) -> DeliveryRecord:
        [only] = self.deliveries()
        return only

    def counts(self) -> Mapping[str, int]:
        """How many rows of each table this database holds."""
        with self.parts.database.read() as db:
            return {
                table.name: db.execute(select(func.count()).select_from(table)).scalar_one()
                for table in metadata.sorted_tables
            }


def closing(ticket: str, *, email: str | None = "ada@example.com", **values: Any) -> dict[str, Any]:
    """The body that a helpdesk sends for a closed ticket. values: more of the ticket."""
    return {"ticket": {"id": ticket, "requester": {"email": email}, **values}}


def sign_zendesk(body: bytes, now: datetime, secret: str = "zendesk-secret") -> dict[str, str]:
    """The headers by which Zendesk proves itself."""
    timestamp = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    signature = hmac.digest(secret.encode(), timestamp.encode() + body, hashlib.sha256)
    return {
        "x-zendesk-webhook-signature": base64.b64encode(signature).decode(),
        "x-zendesk-webhook-signature-timestamp": timestamp,
    }


def verdicts(acceptance: Acceptance) -> list[tuple[str | None, str | None]]:
    """Verdict and cause of each rule, over all events."""
    return [(one["verdict"], one["cause"]) for event in acceptance.events for one in event.verdicts]


def states(deliveries: Sequence[DeliveryRecord]) -> list[str]:
    return [delivery.state for delivery in deliveries]
