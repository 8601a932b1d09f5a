"""Accepting a trigger: prove, read, plan, then store everything in one transaction. A receipt means it is durable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from plugin import registry
from plugin.domain.event import Event
from plugin.domain.identity import Mint
from plugin.errors import SignatureInvalid, StoreUnavailable, TooMany, Unreadable
from plugin.pipeline.credentials import load_credentials
from plugin.pipeline.draft import Draft, digest, draft_events
from plugin.pipeline.gate import Gate
from plugin.pipeline.record import Acceptance, Outdated, record
from plugin.redaction import Secret, mask_secrets, mask_unknown_secrets
from plugin.registry import InboundRequest
from plugin.store import events, sources
from plugin.store.database import Database
from plugin.store.sources import StoredSource
from plugin.vault import Vault

#: Plans made against a state that changed meanwhile are made anew, this often.
_PLANNING_ROUNDS: Final = 3

#: Parts of header names whose values are never stored, and the one name that only looks like it.
_SECRET_HEADERS: Final = ("auth", "signature", "secret", "token", "key", "cookie", "password", "hmac")
_EVENT_ID_HEADER: Final = "idempotency-key"


class UnreadableKept(Unreadable):
    """An authenticated body that cannot be read, after its receipt was kept."""

    def __init__(self, message: str, receipt: str) -> None:
        super().__init__(message)
        self.receipt = receipt


class Acceptor:
    """Accepts triggers. One for a process, shared by its threads."""

    def __init__(self, database: Database, vault: Vault, mint: Mint) -> None:
        self._database = database
        self._vault = vault
        self._mint = mint
        self._gate = Gate()

    def source_for(self, key: str) -> StoredSource | None:
        """The source whose address ends in `key`, or None. Raises StoreUnavailable."""
        with self._database.read() as db:
            return sources.source_by_key(db, key, self._mint.now())

    def accept(
        self, source: StoredSource, request: InboundRequest, *, key: str | None = None, verified: bool = False
    ) -> Acceptance:
        """Take one request: verify it, read it, plan its events and store all of it.

        key: the one it came by, remembered as in use. verified: the sender needs no proof (a recorded message that
        the operator feeds in). Raises TooMany and SignatureInvalid (nothing is stored), UnreadableKept (a receipt is),
        StoreUnavailable (nothing is), NotFound when the tenant was removed meanwhile, VaultError.
        """
        now = self._mint.now()
        # A source that has sent its limit is refused before any work is done for it. But only what has proven itself
        # counts against the limit: somebody who knows no more than the address cannot use it up for the real sender.
        if not verified and not self._gate.has_room(source, now):
            raise self._too_many(source, now)
        credentials = load_credentials(self._vault, source)
        if not verified:
            _verify(source, request, credentials, now)
            if not self._gate.take(source, now):
                raise self._too_many(source, now)
        trigger = self._new_trigger(source, request, credentials, now)
        try:
            parsed = registry.source(source.kind).parse(request)
        except Unreadable as error:
            self._keep_unreadable(source, trigger, key, str(error))
            raise UnreadableKept(str(error), trigger.id) from None
        acceptance = self._plan_and_store(source, trigger, parsed, key) if parsed else Acceptance(None, ())
        self._write_refused(source, now)
        answer = getattr(registry.source(source.kind), "answer", None)
        return replace(acceptance, answer=answer(request, parsed)) if answer is not None else acceptance

    def _too_many(self, source: StoredSource, now: datetime) -> TooMany:
        self._gate.refuse(source, now)
        return TooMany("This source has sent more than it may in a minute; send it again.")

    def _plan_and_store(
        self, source: StoredSource, trigger: events.NewTrigger, parsed: Sequence[Event], key: str | None
    ) -> Acceptance:
        now = trigger.received_at
        for _ in range(_PLANNING_ROUNDS):
            with self._database.read() as db:
                drafted = draft_events(db, source, trigger, parsed, self._mint)
            try:
                with self._database.write() as db:
                    sources.note_request(db, source.tenant_id, source.id, key=key, now=now, answer=202)
                    return record(db, source, trigger, drafted, self._mint)
            except Outdated:
                continue
        raise StoreUnavailable("The configuration or the ticket kept changing while this was planned.")

    def dry_run(self, source: StoredSource, request: InboundRequest) -> list[Draft]:
        """What would be decided about a message; stores nothing. Raises Unreadable."""
        parsed = registry.source(source.kind).parse(request)
        trigger = self._new_trigger(source, request, {}, self._mint.now())
        with self._database.read() as db:
            return list(draft_events(db, source, trigger, parsed, self._mint).drafts)

    def note_refusal(self, source: StoredSource, status: int) -> None:
        """Show on the overview that a request was refused; at most every ten seconds, and never worth an error."""
        now = self._mint.now()
        self._write_refused(source, now)
        recent = source.last_request_at is not None and now - source.last_request_at < timedelta(seconds=10)
        if recent and source.last_answer == status:
            return
        try:
            with self._database.write() as db:
                sources.note_request(db, source.tenant_id, source.id, key=None, now=now, answer=status)
        except StoreUnavailable:
            return

    def _write_refused(self, source: StoredSource, now: datetime) -> None:
        """Write down how many requests were too many, if some were and it is time to; never worth an error."""
        times = self._gate.refused(source, now)
        if not times:
            return
        try:
            with self._database.write() as db:
                sources.note_too_many(db, source.tenant_id, source.id, times, now)
        except StoreUnavailable:
            self._gate.refuse(source, now, times)

    def _new_trigger(
        self, source: StoredSource, request: InboundRequest, credentials: registry.Credentials, now: datetime
    ) -> events.NewTrigger:
        module = registry.source(source.kind)
        find_mark = getattr(module, "replay_mark", None)
        mark = find_mark(request, credentials) if find_mark is not None and credentials else None
        return events.NewTrigger(
            id=self._mint.id(),
            source_id=source.id,
            received_at=now,
            method=request.method,
            replay_mark=digest(source.state, "mark", mark) if mark else None,
            query=request.query,
            headers=_kept_headers(request.headers, credentials),
            body=request.body,
        )

    def _keep_unreadable(self, source: StoredSource, trigger: events.NewTrigger, key: str | None, detail: str) -> None:
        kept = {**vars(trigger), "replay_mark": None, "cause": "unreadable", "cause_detail": detail}
        with self._database.write() as db:
            events.add_trigger(db, source.tenant_id, events.NewTrigger(**kept))
            sources.note_request(db, source.tenant_id, source.id, key=key, now=trigger.received_at, answer=400)


def _verify(source: StoredSource, request: InboundRequest, credentials: registry.Credentials, now: datetime) -> None:
    module = registry.source(source.kind)
    try:
        module.verify(request, credentials, now)
    except SignatureInvalid:
        if source.state != "test" or module.SOURCE.test_credentials is None:
            raise
        module.verify(request, module.SOURCE.test_credentials, now)


def _kept_headers(headers: Mapping[str, str], credentials: registry.Credentials) -> dict[str, str]:
    secrets = list(_secrets_in(credentials))
    return {
        # Proxies repeat the address that was called, and with it the source's key.
        name: mask_unknown_secrets(mask_secrets(value, secrets))
        for name, value in headers.items()
        if name == _EVENT_ID_HEADER or not any(part in name for part in _SECRET_HEADERS)
    }


def _secrets_in(value: object) -> Iterator[Secret]:
    if isinstance(value, Secret):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _secrets_in(inner)
