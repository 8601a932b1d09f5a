"""Accepting a trigger: prove, read, plan, then store everything in one transaction. A receipt means it is durable."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from http import HTTPStatus
from typing import Final

from sqlalchemy import Connection

from plugin import registry
from plugin.domain.event import Event
from plugin.domain.identity import Mint
from plugin.errors import SignatureInvalid, SourceGone, StoreConflict, StoreUnavailable, TooMany, Unreadable
from plugin.pipeline.belonging import outlook
from plugin.pipeline.coalesce import Coalescer
from plugin.pipeline.draft import Draft, Setup, draft_events, question_of
from plugin.pipeline.fingerprint import digest
from plugin.pipeline.gate import Gate
from plugin.pipeline.reading import Reading, capture, read_events, without_secrets
from plugin.pipeline.record import Acceptance, Crowded, Entry, Outdated, record
from plugin.pipeline.setups import Setups
from plugin.pipeline.visits import Visits
from plugin.redaction import Secret, mask_secrets, mask_unknown_secrets
from plugin.registry import InboundRequest
from plugin.store import intake, tenants
from plugin.store.database import WRITE_WAIT, Database
from plugin.store.recall import Memory, Question, recall
from plugin.store.sources import StoredSource
from plugin.vault import Vault

#: How often a plan is made anew when the state that it was made against has changed.
_PLANNED_ANEW: Final = 3
#: Messages stored in one transaction at most.
_MOST_TOGETHER: Final = 32

#: Parts of header names whose values are never stored, and the one name that only looks like it.
_SECRET_HEADERS: Final = ("auth", "signature", "secret", "token", "key", "cookie", "password", "hmac")
_EVENT_ID_HEADER: Final = "idempotency-key"


class UnreadableKept(Unreadable):
    """An authenticated body that cannot be read, after its receipt was kept."""

    def __init__(self, message: str, receipt: str) -> None:
        super().__init__(message)
        self.receipt = receipt


class Acceptor:
    """Accepts triggers. One for a process, shared by its threads.

    on_stored: called after each transaction in which messages were stored.
    """

    def __init__(
        self, database: Database, vault: Vault, mint: Mint, *, on_stored: Callable[[], None] = lambda: None
    ) -> None:
        self._database = database
        self._mint = mint
        self._gate = Gate()
        self._setups = Setups(database, vault)
        self._visits = Visits(database, self._gate)
        self._together = Coalescer(self._store_together, _MOST_TOGETHER)
        self._on_stored = on_stored

    def source_for(self, key: str, *, fresh: bool = False) -> StoredSource | None:
        """The source whose address ends in `key`, or None; as it was a moment ago, or now. Raises StoreUnavailable."""
        return self._setups.source_of(key, self._mint.now(), fresh=fresh)

    def accept(
        self, source: StoredSource, request: InboundRequest, *, key: str | None = None, verified: bool = False
    ) -> Acceptance:
        """Take one request: verify it, read it, plan its events and store all of it.

        key: the one it came by, remembered as in use. verified: the sender needs no proof (a recorded message that
        the operator feeds in). Raises TooMany and SignatureInvalid (nothing is stored), UnreadableKept (a receipt is),
        StoreUnavailable (nothing is), SourceGone, VaultError.
        """
        now = self._mint.now()
        setup = self._setups.setup_of(source) if verified else self._let_in(source, request, now)
        kept = without_secrets(source.kind, request)
        trigger = self._new_trigger(setup.source, kept, setup.credentials, now)
        try:
            reading = _read(setup, kept)
        except Unreadable as error:
            self._keep_unreadable(setup.source, trigger, key, str(error))
            raise UnreadableKept(str(error), trigger.id) from None
        parsed, acceptance = reading.events, Acceptance(None, ())
        if reading.strangers:
            self._visits.note_strangers(setup.source, reading.strangers, now)
        if parsed:
            acceptance = self._plan_and_store(setup, request, trigger, parsed, key=key, verified=verified)
        answer = getattr(registry.source(source.kind), "answer", None)
        return replace(acceptance, answer=answer(kept, parsed)) if answer is not None else acceptance

    def _let_in(self, source: StoredSource, request: InboundRequest, now: datetime) -> Setup:
        """What decides about a request that has proven itself. Raises TooMany, SignatureInvalid.

        A source that has sent its limit is refused before any work is done for it. But only what has proven itself
        counts against the limit: somebody who knows no more than the address cannot use it up for the real sender.
        """
        if not self._gate.has_room(source, now):
            raise self._too_many(source, now)
        setup = self._setups.setup_of(source)
        try:
            by_old = _verify(setup, request, now)
        except SignatureInvalid:
            # It may be a new secret's first use.
            setup = self._setups.reread(source)
            by_old = _verify(setup, request, now)
        if by_old:
            self._visits.note_old_credentials(source, now)
        if not self._gate.take(source, now):
            raise self._too_many(source, now)
        return setup

    def _too_many(self, source: StoredSource, now: datetime) -> TooMany:
        self._gate.refuse(source, now)
        return TooMany("This source has sent more than it may in a minute; send it again.")

    def _plan_and_store(
        self,
        setup: Setup,
        request: InboundRequest,
        trigger: intake.NewTrigger,
        parsed: Sequence[Event],
        *,
        key: str | None,
        verified: bool,
    ) -> Acceptance:
        question = question_of(setup.source, trigger, parsed)
        notes = self._visits.due(setup.source, HTTPStatus.ACCEPTED, trigger.received_at, key=key)
        # Most messages are the first of their kind, so that is what the first plan takes for granted, without looking.
        memory = Memory()
        planned_anew = 0
        while planned_anew <= _PLANNED_ANEW:
            drafts = draft_events(memory, setup, trigger, parsed, self._mint)
            answer = self._store(Entry(setup, trigger, question, drafts, notes))
            if not isinstance(answer, Outdated):
                return answer
            # In a crowd one of them is stored each time, so this comes to an end.
            planned_anew += not isinstance(answer, Crowded)
            before, setup = setup, self._as_it_is_now(setup, request, trigger.received_at, verified=verified)
            if not setup.source.is_set_up_like(before.source):
                # Its messages may be read otherwise from now on.
                parsed = _read(setup, without_secrets(setup.source.kind, request)).events
                question = question_of(setup.source, trigger, parsed)
            if not parsed:
                return Acceptance(None, ())
            memory = self._recall(question)
        raise StoreUnavailable("The configuration or the ticket kept changing while this was planned.")

    def _as_it_is_now(self, setup: Setup, request: InboundRequest, now: datetime, *, verified: bool) -> Setup:
        """What a message is to be planned against. Raises SignatureInvalid when its proof does not hold any more."""
        current = self._setups.reread(setup.source)
        if not current.source.is_set_up_like(setup.source) and not verified:
            _verify(current, request, now)
        return current

    def _recall(self, question: Question) -> Memory:
        with self._database.read() as db:
            return recall(db, [question])

    def _store(self, entry: Entry) -> Acceptance | Outdated:
        """Store one message, in one transaction with those that other threads store at this moment."""
        try:
            answer = self._together.do(entry, WRITE_WAIT)
        except TimeoutError:
            raise StoreUnavailable("The database is busy: the turn to write did not come in time.") from None
        if isinstance(answer, Exception) and not isinstance(answer, Outdated):
            raise answer
        return answer

    def _store_together(self, entries: Sequence[Entry]) -> Sequence[Acceptance | Exception]:
        """What became of each. One that cannot be stored keeps none of the others from it."""
        try:
            answers = self._stored(entries)
        except Exception as error:  # whatever it is, it is told to whom it concerns
            if len(entries) > 1 and (isinstance(error, StoreConflict) or not isinstance(error, StoreUnavailable)):
                return [answer for entry in entries for answer in self._store_together([entry])]
            return [Outdated() if isinstance(error, StoreConflict) else error] * len(entries)
        self._on_stored()
        return answers

    def _stored(self, entries: Sequence[Entry]) -> Sequence[Acceptance | Outdated]:
        with self._database.write() as db:
            return record(db, entries, self._mint)

    def dry_run(self, source: StoredSource, request: InboundRequest) -> list[Draft]:
        """What would be decided about a message; stores nothing. Raises Unreadable."""
        setup, request = self._setups.reread(source), without_secrets(source.kind, request)
        parsed = _read(setup, request).events
        trigger = self._new_trigger(setup.source, request, {}, self._mint.now())
        with self._database.read() as db:
            memory = recall(db, [question_of(setup.source, trigger, parsed)])
            drafts = draft_events(memory, setup, trigger, parsed, self._mint)
            return [replace(draft, outlook=_outlook(db, setup, draft)) for draft in drafts]

    def note_refusal(self, source: StoredSource, status: int) -> None:
        """Show on the overview that a request was refused; at most every ten seconds, and never worth an error."""
        self._visits.note_refusal(source, status, self._mint.now())

    def _new_trigger(
        self, source: StoredSource, request: InboundRequest, credentials: registry.Credentials, now: datetime
    ) -> intake.NewTrigger:
        module = registry.source(source.kind)
        find_mark = getattr(module, "replay_mark", None)
        mark = find_mark(request, credentials) if find_mark is not None and credentials else None
        return intake.NewTrigger(
            id=self._mint.id(),
            source_id=source.id,
            received_at=now,
            method=request.method,
            replay_mark=digest(source.state, "mark", mark) if mark else None,
            query=request.query,
            headers=_kept_headers(request.headers, credentials),
            body=request.body,
        )

    def _keep_unreadable(self, source: StoredSource, trigger: intake.NewTrigger, key: str | None, detail: str) -> None:
        kept = replace(trigger, replay_mark=None, cause="unreadable", cause_detail=detail)
        notes = self._visits.due(source, HTTPStatus.BAD_REQUEST, trigger.received_at, key=key)
        with self._database.write() as db:
            # Nobody removes the tenant meanwhile.
            if not tenants.versions(db, [source.tenant_id]):
                raise SourceGone("This tenant does not exist any more.")
            intake.add_triggers(db, [(source.tenant_id, kept)])
            for note in notes:
                note(db)


def _read(setup: Setup, request: InboundRequest) -> Reading:
    """What a message holds, as its source is set up now. Raises Unreadable."""
    reading = read_events(setup.source.kind, request, setup.reading)
    return capture(reading) if setup.source.state == "capture" else reading


def _outlook(db: Connection, setup: Setup, draft: Draft) -> str:
    """What a worker would do about an event, for a dry run; empty where it is planned as it comes in."""
    if draft.event.kind.is_report:
        return outlook(db, setup, draft.event)
    if draft.pending and not draft.thin:
        return "It does not name the customer; what its source said before would be looked for before the rules decide."
    return ""


def _verify(setup: Setup, request: InboundRequest, now: datetime) -> bool:
    """Whether the request has proven itself by the source's old credentials. Raises SignatureInvalid."""
    module = registry.source(setup.source.kind)
    others = [setup.old_credentials, None if setup.source.is_live else module.SOURCE.test_credentials]
    try:
        module.verify(request, setup.credentials, now)
    except SignatureInvalid:
        for credentials in others:
            if credentials is not None and _proves(module, request, credentials, now):
                return credentials is setup.old_credentials
        raise
    return False


def _proves(
    module: registry.SourceModule, request: InboundRequest, credentials: registry.Credentials, now: datetime
) -> bool:
    try:
        module.verify(request, credentials, now)
    except SignatureInvalid:
        return False
    return True


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
