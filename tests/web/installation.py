"""A whole installation in a folder: its parts, two tenants, their config links, triggers that come in, a visitor."""

from __future__ import annotations

import html
import json
import re
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from plugin.app import Parts, create_app, open_parts
from plugin.config import Config
from plugin.domain.identity import Mint
from plugin.redaction import Secret
from plugin.store import links, receipts, sources, tenants
from plugin.store.links import Link
from plugin.store.schema import migrate
from plugin.store.tenants import Tenant
from plugin.tenant_file import apply_configuration, check_document, read_document
from plugin.vault import key_place

CONFIGURATION = """
tenant: acme
name: Acme
timezone: Europe/Warsaw
language: pl
sources:
- {name: desk, kind: generic, credentials: {bearer: desk-token}}
- {name: trial, kind: generic, state: test, credentials: {bearer: trial-token}}
connections:
- {name: lab, vendor: surveylab, settings: {origin: VENDOR, api_token: lab-token}}
- {name: spare, vendor: surveylab, settings: {origin: VENDOR, api_token: spare-token}}
rules:
- name: solved
  when: {events: [ticket.closed], conditions: [{field: ticket.tags, op: excludes, value: no_survey}]}
  connection: lab
  call: add_respondent
  parameters: {cId: "837", email: "{{ person.email }}", crk: "{{ delivery.reference }}", custom1: "{{ ticket.id }}"}
- name: after a chat
  when: {events: [chat.ended]}
  connection: spare
  call: add_respondent
  parameters: {cId: "838", email: "{{ person.email }}", crk: "{{ delivery.reference }}"}
"""

#: Another tenant, with parts of the same names.
OTHER = CONFIGURATION.replace("tenant: acme", "tenant: blue").replace("name: Acme", "name: Nordic")


@dataclass
class Clock:
    """A clock that a test sets. It starts at the real time, since cookies are dated by the real one."""

    time: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))

    def __call__(self) -> datetime:
        return self.time

    def advance(self, **kwargs: float) -> None:
        self.time += timedelta(**kwargs)


class Installation:
    """The program on a database of its own. vendor: origin of what plays the survey vendor."""

    def __init__(
        self,
        folder: Path,
        vendor: str = "https://www.mysurveylab.com",
        base_url: str = "http://localhost",
        clock: Clock | None = None,
    ) -> None:
        self.clock = clock or Clock()
        self.vendor = vendor
        config = Config(
            database_url=f"sqlite:///{folder / 'plugin.db'}",
            secret_keys=(Secret("a signing key for tests, long enough"),),
            data_keys=(Secret(urlsafe_b64encode(bytes(range(32))).decode()),),
            base_url=base_url,
            extra_vendor_origins=(vendor,),
            worker_threads=2,
        )
        self.parts: Parts = open_parts(config, Mint(self.clock, secrets.token_bytes))
        migrate(self.parts.database)
        self.app = create_app(parts=self.parts)

    def close(self) -> None:
        self.parts.close()

    def apply(self, text: str, saved_by: str = "command") -> Tenant:
        """Save a configuration as the operator does; gives the tenant as it is then."""
        with self.parts.database.write() as db:
            document = read_document(text.replace("VENDOR", self.vendor))
            checked = check_document(document, extra_origins=[self.vendor])
            apply_configuration(db, self.parts.vault, self.parts.mint, checked, saved_by=saved_by)
            return tenants.tenant_by_slug(db, checked.slug)

    def add_link(self, tenant: Tenant, role: str = "admin", **length: float) -> str:
        """The path of a new config link, good for twelve hours unless a length is given."""
        link_id = self.parts.mint.id()
        now = self.clock()
        with self.parts.database.write() as db:
            expires_at = now + timedelta(**(length or {"hours": 12}))
            links.add_link(db, tenant.id, Link(link_id, tenant.id, role, expires_at, None), now)
        return f"/config/{self.parts.signer.token(link_id).reveal()}"

    def revoke_links(self, tenant: Tenant) -> None:
        with self.parts.database.write() as db:
            links.revoke_links(db, tenant.id, self.clock())

    def keys(self, tenant: Tenant, source: str) -> list[str]:
        """The live keys of a source, the newest first."""
        with self.parts.database.read() as db:
            found = sources.source_by_name(db, tenant.id, source)
            stored = sources.keys_of(db, tenant.id, self.clock())[found.id]
        return [self.parts.vault.open(one.key, key_place(tenant.id, found.id)) for one in stored]

    def send(self, tenant: Tenant, source: str, body: Any, *, token: str | None = None) -> TestResponse:
        """Have a source call us. body: bytes as they are, or a value to be sent as JSON."""
        return self.app.test_client().post(
            f"/triggers/{self.keys(tenant, source)[0]}",
            data=body if isinstance(body, bytes) else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {token or f'{source}-token'}", "Content-Type": "application/json"},
        )

    def close_ticket(
        self,
        tenant: Tenant,
        number: str = "35436",
        email: str = "lucja.nowak@example.com",
        source: str = "desk",
        **more: Any,
    ) -> str:
        """Report a closed ticket; gives the id of its receipt."""
        ticket = {"id": number, "requester": {"email": email}, **more}
        answer = self.send(tenant, source, {"ticket": ticket})
        assert answer.status_code == 202, answer.text
        return str(answer.get_json()["receipt"])

    def deliver(self) -> None:
        """Make the survey calls that are due."""
        with self.parts.outbound() as outbound:
            assert self.parts.worker(outbound).run_until_idle(10)

    def delivery(self, tenant: Tenant, receipt_id: str) -> receipts.DeliveryRecord:
        """The first delivery of a receipt."""
        with self.parts.database.read() as db:
            found = receipts.receipt(db, tenant.id, receipt_id)
        assert found is not None
        return found.events[0].deliveries[0]

    def visitor(self, link: str | None = None) -> Visitor:
        """A browser, with a session begun by `link` if one is given."""
        visitor = Visitor(self.app.test_client())
        if link is not None:
            assert visitor.open(link).status_code == 303
        return visitor


class Visitor:
    """A browser that follows no redirects and fills the hidden field of every form."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client

    def open(self, link: str) -> TestResponse:
        """Open a config link and press its button."""
        self.get(link)
        return self.post(link, page=link)

    def get(self, path: str) -> TestResponse:
        return self.client.get(path)

    def post(self, path: str, data: dict[str, str] | None = None, *, page: str = "/settings/receipts") -> TestResponse:
        """Send a form. page: where the hidden field is taken from."""
        found = re.search(r'name="csrf_token" value="([^"]+)"', self.client.get(page).text)
        return self.client.post(path, data={"csrf_token": found[1] if found else "", **(data or {})})


def words(answer: TestResponse) -> str:
    """What a page says: its text without tags, each run of white space as one blank."""
    body = re.sub(r"<(script|style).*?</\1>|<[^>]+>", " ", answer.text, flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(body)).strip()
