"""Delivering: build the vendor's request, send it, read the answer, decide what becomes of the delivery.

`call` runs in a sender's thread and touches no database; `claim_and_settle` is the worker's one transaction.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import structlog
from sqlalchemy import Connection

from plugin import registry
from plugin.domain.delivery import CALL_DEADLINE, GIVE_BACK_AFTER, DeliveryState, Settlement
from plugin.domain.identity import Mint
from plugin.domain.outcome import Accepted, NextRequest, Outcome, Reason, Rejected, RetryLater, Uncertain
from plugin.domain.retry import Chance, decide_next, probe_wait
from plugin.domain.survey_call import OutboundRequest, OutboundResponse, SurveyCall
from plugin.errors import CannotBeSent, OutboundFailed, VaultError
from plugin.outbound import Outbound
from plugin.pipeline.credentials import load_memory, load_settings
from plugin.pipeline.errand_task import follow_up_of
from plugin.pipeline.suppression import honour, invites, says_no_more
from plugin.redaction import Secret, mask_addresses, mask_secrets
from plugin.store import claims, connections, deliveries, lanes, learnt, leases, settling, suppressions
from plugin.store.claims import ClaimedRow
from plugin.store.errands import NewErrand
from plugin.store.learnt import LearntEvent
from plugin.store.settling import Finished, FinishedAttempt
from plugin.vault import Vault, memory_place

#: Refusals in a row, for different people and without a success between, that pause a connection.
STRIKES: Final = 3
_STRIKING_REASONS: Final = frozenset({Reason.INVALID_CALL, Reason.NOT_FOUND, Reason.REDIRECTED})

#: A call that has taken this long counts as hanging, seconds: its lane then shares a part of the senders.
SLOW: Final = CALL_DEADLINE.total_seconds() / 4

#: Connections whose opened settings are kept, so that they are not decrypted for every call.
_OPENED: Final = 1000

#: Failures of a call before its first byte that another try cannot mend: an address that must not be called, and a
#: request that HTTP cannot carry.
_HOPELESS_KINDS: Final = {"forbidden": Reason.FORBIDDEN_ADDRESS, "protocol": Reason.INVALID_CALL}

log = structlog.get_logger()


@dataclass(frozen=True)
class Claim:
    """A claimed delivery, and when this process got it by its own monotonic clock, seconds."""

    row: ClaimedRow
    claimed_at: float


class Deliverer:
    """Makes survey calls. One for a process, shared by its senders' threads."""

    def __init__(
        self, outbound: Outbound, vault: Vault, mint: Mint, *, monotonic: Callable[[], float], chance: Chance
    ) -> None:
        self._outbound = outbound
        self._vault = vault
        self._mint = mint
        self._monotonic = monotonic
        self._chance = chance
        self._opened: dict[tuple[str, str, str], tuple[str, registry.Settings]] = {}

    def call(self, claim: Claim) -> Finished:
        """Make one claimed call. Whatever goes wrong before its first byte is tried again later.

        Raises what a connector raises on an answer; see `broken`.
        """
        row = claim.row
        if self.age(claim) > GIVE_BACK_AFTER.total_seconds():
            return self._given_back(row)
        survey_call = SurveyCall(row.vendor, row.call, row.parameters)
        try:
            settings = self._settings(row)
            memory = load_memory(self._vault, row.tenant_id, row.id, row.memory)
            request = registry.vendor(row.vendor).build_request(survey_call, settings, row.step, memory)
            reader = registry.reader(row.vendor, settings)
        except VaultError as error:
            return self._locked(row, str(error))
        except CannotBeSent as error:
            return self._misfit(row, str(error))
        except Exception as error:  # a fault of ours must not cost the invitation: nothing has been sent
            return self._not_built(row, error)
        return self._made(row, survey_call, request, memory, reader)

    def age(self, claim: Claim) -> float:
        """Seconds since this process got the claim."""
        return self._monotonic() - claim.claimed_at

    def broken(self, claim: Claim, error: Exception) -> Finished:
        """How a call is settled that failed by a fault of this program: nobody knows whether it was sent."""
        settlement = Settlement(DeliveryState.UNCERTAIN, Reason.NO_ANSWER, fault_words(error))
        return Finished(claim.row, settlement, FinishedAttempt(self._mint.now(), outcome="uncertain"))

    def _made(
        self,
        row: ClaimedRow,
        survey_call: SurveyCall,
        request: OutboundRequest,
        memory: Mapping[str, str],
        reader: registry.Reader,
    ) -> Finished:
        origins = registry.vendor(row.vendor).VENDOR.origins
        allowed = None if origins == registry.ANY_PUBLIC_HTTPS else origins
        began = self._monotonic()
        response: OutboundResponse | None = None
        timed_out = False
        outcome: Outcome
        try:
            response = self._outbound.send(request, allowed_origins=allowed, deadline=CALL_DEADLINE.total_seconds())
        except OutboundFailed as failure:
            outcome, timed_out = outcome_of_failure(failure), failure.kind == "timeout"
            bytes_sent = failure.bytes_sent
        else:
            bytes_sent = response.bytes_sent
            outcome = reader(survey_call, response, row.step, memory)
        duration = self._monotonic() - began
        settlement = self._decide(row, outcome)
        attempt = FinishedAttempt(
            finished_at=self._mint.now(),
            duration=duration,
            method=request.method,
            url=request.shown_url(),
            parameters=request.shown_parameters(),
            bytes_sent=bytes_sent,
            status=response.status if response is not None else None,
            outcome=_OUTCOME_WORDS[type(outcome)],
        )
        return Finished(
            row,
            _without_secrets(settlement, request.secrets),
            attempt,
            self._sealed(row, settlement),
            hanging=timed_out or duration > SLOW,
            follow_up=self._follow_up(row, settlement),
        )

    def _decide(self, row: ClaimedRow, outcome: Outcome) -> Settlement:
        now = self._mint.now()
        settlement = decide_next(
            outcome,
            attempts=row.attempts,
            repeat_safe=row.resend or is_repeat_safe(row.vendor, row.call, row.step),
            expires_at=row.expires_at,
            now=now,
            chance=self._chance,
        )
        return after_probe(settlement, row.due, now) if row.probe else settlement

    def _settings(self, row: ClaimedRow) -> registry.Settings:
        """What the connection's settings hold, opened once for as long as they stay as they are."""
        place = (row.tenant_id, row.connection_id, row.vendor)
        sealed, settings = self._opened.get(place, ("", {}))
        if sealed != row.settings:
            settings = load_settings(
                self._vault,
                tenant_id=row.tenant_id,
                connection_id=row.connection_id,
                vendor=row.vendor,
                sealed=row.settings,
            )
            if len(self._opened) >= _OPENED:
                self._opened.clear()
            self._opened[place] = row.settings, settings
        return settings

    def _sealed(self, row: ClaimedRow, settlement: Settlement) -> str | None:
        if settlement.memory is None:
            return None
        return self._vault.seal(json.dumps(dict(settlement.memory)), memory_place(row.tenant_id, row.id))

    def _follow_up(self, row: ClaimedRow, settlement: Settlement) -> NewErrand | None:
        if settlement.follow_up is None:
            return None
        return follow_up_of(row, settlement.follow_up, self._vault, self._mint)

    def _given_back(self, row: ClaimedRow) -> Finished:
        now = self._mint.now()
        settlement = Settlement(DeliveryState.SCHEDULED, Reason.GIVEN_BACK, due=now, counts=False)
        return Finished(row, settlement, FinishedAttempt(now, outcome="given back"))

    def _locked(self, row: ClaimedRow, words: str) -> Finished:
        """The operator has to mend the keys; until then the whole connection waits, and loses nothing."""
        now = self._mint.now()
        settlement = Settlement(DeliveryState.SCHEDULED, Reason.CREDENTIALS, words, due=now, counts=False, pause=True)
        return Finished(row, settlement, FinishedAttempt(now, outcome="given back"))

    def _misfit(self, row: ClaimedRow, words: str) -> Finished:
        """What the call is made of has changed since it was planned; only a person can put that right."""
        settlement = self._decide(row, Rejected(Reason.INVALID_CALL, words))
        return Finished(row, settlement, FinishedAttempt(self._mint.now(), outcome="rejected"))

    def _not_built(self, row: ClaimedRow, error: Exception) -> Finished:
        log.error("call could not be built", delivery=row.id, vendor=row.vendor, error=type(error).__name__)
        settlement = self._decide(row, RetryLater(Reason.NOT_REACHED, f"{fault_words(error)} Nothing was sent."))
        return Finished(row, settlement, FinishedAttempt(self._mint.now(), outcome="retry later"))

    def claim_and_settle(
        self,
        db: Connection,
        finished: Sequence[Finished],
        *,
        worker: str,
        free: int,
        free_for_hanging: int,
        probing: bool = False,
        allowed: Callable[[str], int] | None = None,
    ) -> list[Claim]:
        """Settle what has finished and claim what the free senders can start, in the caller's transaction.

        allowed: how many calls of a lane may begin.
        """
        now = self._mint.now()
        self._settle(db, finished, now)
        if free <= 0:
            return []
        rows = claims.claim(
            db,
            worker=worker,
            now=now,
            free=free,
            free_for_hanging=free_for_hanging,
            probing=probing,
            allowed=allowed,
            invites=invites,
        )
        claimed_at = self._monotonic()
        return [Claim(row, claimed_at) for row in rows]

    def _settle(self, db: Connection, finished: Sequence[Finished], now: datetime) -> None:
        """The one place where what calls brought is written down, with what it tells of their connections."""
        wishes = [item for item in finished if says_no_more(item)]
        if wishes:
            suppressions.hold_tenants(db, {item.row.tenant_id for item in wishes})
        applied = settling.settle(db, finished, now)
        honour(db, wishes, now)
        learnt.add_learnt(db, [event for item in applied if (event := self._learnt(item)) is not None], now)
        for item in finished:
            self._pause_if_refused(db, item, now)
        for item in (item for item in finished if item.row.probe):
            if item.is_success:
                connections.resume_after_probe(db, item.row.tenant_id, item.row.connection_id)
            elif item.settlement.next_step is not None and item.settlement.due is not None:
                lanes.go_on_probing(db, item.row.connection_id, item.settlement.due)
        # What a lane was like when the call was claimed is mostly what it is like still.
        changed = [item for item in finished if item.hanging is not None and item.hanging != item.row.hanging]
        lanes.mark(db, {item.row.connection_id: bool(item.hanging) for item in changed})

    def _learnt(self, item: Finished) -> LearntEvent | None:
        told = item.settlement.learnt
        if told is None:
            return None
        values = {name: storable(value) for name, value in told.values.items()}
        return LearntEvent(self._mint.id(), item.row.id, told.kind, values)

    def _pause_if_refused(self, db: Connection, item: Finished, now: datetime) -> None:
        row, settlement = item.row, item.settlement
        strikes = settlement.state is DeliveryState.REJECTED and settlement.reason in _STRIKING_REASONS
        if settlement.pause or (strikes and settling.strike(db, row) >= STRIKES):
            connections.pause_connection(
                db,
                row.tenant_id,
                row.connection_id,
                reason=settlement.reason,
                # They stay on the overview for long, where a person's address has no place.
                words=mask_addresses(settlement.words),
                now=now,
                probe_at=now + probe_wait(0),
            )

    def recover_lost(self, db: Connection) -> int:
        """Decide the claims of workers that went silent, and end what grew stale behind a pause; gives how many."""
        now = self._mint.now()
        lost = leases.lost_claims(db, now)
        for claim in lost:
            repeat = claim.resend or is_repeat_safe(claim.vendor, claim.call, claim.step)
            leases.recover(db, claim, now, repeat=repeat)
        return len(lost) + deliveries.expire_parked(db, now)

    def give_back_unheard(self, db: Connection, worker: str, known: Collection[tuple[str, int]]) -> int:
        """Give back what a commit claimed of which this worker never heard, so that nothing was sent; gives how many.

        known: id and epoch of the claims that it has.
        """
        now = self._mint.now()
        unheard = leases.claims_of(db, worker, besides=known)
        for claim in unheard:
            leases.give_back(db, claim, now)
        return len(unheard)


def after_probe(settlement: Settlement, was_due: datetime, now: datetime) -> Settlement:
    """What becomes of a delivery that was let through a pause: where the vendor refuses still, it goes on waiting.

    It was only to try the connection, and must not be lost for that. It waits behind the others that are due, so that
    the next try is made with another one. A call of several steps stays at the head of its lane, where it was, until
    its last step is answered: only that one tells whether the vendor takes calls again.
    """
    if settlement.next_step is not None and settlement.due == now:
        return replace(settlement, due=min(was_due, now))
    refused = settlement.state is DeliveryState.REJECTED
    if not refused or not (settlement.pause or settlement.reason in _STRIKING_REASONS):
        return settlement
    return replace(settlement, state=DeliveryState.SCHEDULED, due=now, counts=False, pause=True)


def is_repeat_safe(vendor: str, call: str, step: str) -> bool:
    """Whether the vendor documents that repeating this step does no harm. No, where the connector is gone."""
    if vendor not in registry.vendor_names():
        return False
    declared = registry.vendor(vendor).VENDOR.calls.get(call)
    return declared is not None and any(s.name == step and s.repeat_safe for s in declared.steps)


def outcome_of_failure(failure: OutboundFailed) -> Outcome:
    """What a call without an answer means: certainly nothing was sent, or it may be on its way."""
    if failure.sent:
        return Uncertain(Reason.NO_ANSWER, str(failure))
    if failure.kind in _HOPELESS_KINDS:
        return Rejected(_HOPELESS_KINDS[failure.kind], str(failure))
    return RetryLater(Reason.NOT_REACHED, str(failure))


_OUTCOME_WORDS: Final[Mapping[type[Outcome], str]] = {
    Accepted: "accepted",
    Rejected: "rejected",
    RetryLater: "retry later",
    Uncertain: "uncertain",
    NextRequest: "next step",
}


def fault_words(error: Exception) -> str:
    """What is told of a fault of this program, without its text, which may quote values."""
    return f"A fault in survey-plugin itself ({type(error).__name__}); please report it."


def _without_secrets(settlement: Settlement, secrets: Sequence[Secret]) -> Settlement:
    """What the vendor said as it may be kept and shown: it may repeat what it was sent, also as its own id of it."""
    reference = settlement.vendor_reference
    return replace(
        settlement,
        words=mask_secrets(storable(settlement.words), secrets),
        vendor_reference=mask_secrets(storable(reference), secrets) if reference is not None else None,
    )


def storable(text: str) -> str:
    """A vendor's text as a database takes it: no null character, no half of a surrogate pair."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()
