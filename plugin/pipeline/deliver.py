"""Delivering: build the vendor's request, send it, read the answer, decide what becomes of the delivery.

`call` runs in a sender's thread and touches no database; `claim_and_settle` is the worker's one transaction.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from plugin import registry
from plugin.domain.delivery import CALL_DEADLINE, GIVE_BACK_AFTER, DeliveryState, Settlement
from plugin.domain.identity import Mint
from plugin.domain.outcome import Accepted, Outcome, Reason, Rejected, RetryLater, Uncertain
from plugin.domain.retry import Chance, decide_next
from plugin.domain.survey_call import OutboundRequest, OutboundResponse, SurveyCall
from plugin.errors import OutboundFailed, VaultError
from plugin.outbound import Outbound
from plugin.pipeline.credentials import load_memory, load_settings
from plugin.redaction import mask_secrets
from plugin.store import claims, connections, deliveries
from plugin.store.claims import ClaimedRow, FinishedAttempt
from plugin.vault import Vault, memory_place

#: Refusals in a row, for different people and without a success between, that pause a connection.
STRIKES: Final = 3
_STRIKING_REASONS: Final = frozenset({Reason.INVALID_CALL, Reason.NOT_FOUND, Reason.REDIRECTED})

#: Failures of a call before its first byte that another try cannot mend.
_HOPELESS_KINDS: Final = frozenset({"forbidden"})


@dataclass(frozen=True)
class Claim:
    """A claimed delivery, and when this process got it by its own monotonic clock, seconds."""

    row: ClaimedRow
    claimed_at: float


@dataclass(frozen=True)
class Finished:
    """A call that has been made, or handed back, and is to be settled."""

    row: ClaimedRow
    settlement: Settlement
    attempt: FinishedAttempt
    hanging: bool = False


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

    def call(self, claim: Claim) -> Finished:
        """Make one claimed call. Never raises for anything a vendor or a connection's settings can cause."""
        if self._monotonic() - claim.claimed_at > GIVE_BACK_AFTER.total_seconds():
            return self._given_back(claim.row)
        row = claim.row
        survey_call = SurveyCall(row.vendor, row.call, row.parameters)
        try:
            settings = self._settings(row)
            memory = load_memory(self._vault, row.tenant_id, row.id, row.memory)
            request = registry.vendor(row.vendor).build_request(survey_call, settings, row.step, memory)
        except VaultError as error:
            return self._finish(row, Rejected(Reason.CREDENTIALS, str(error)), None, None, 0.0)
        began = self._monotonic()
        response, outcome, hanging = self._send(row, survey_call, request, memory)
        return self._finish(row, outcome, request, response, self._monotonic() - began, hanging=hanging)

    def _send(
        self, row: ClaimedRow, survey_call: SurveyCall, request: OutboundRequest, memory: Mapping[str, str]
    ) -> tuple[OutboundResponse | None, Outcome, bool]:
        module = registry.vendor(row.vendor)
        origins = module.VENDOR.origins
        allowed = None if origins == registry.ANY_PUBLIC_HTTPS else origins
        try:
            response = self._outbound.send(request, allowed_origins=allowed, deadline=CALL_DEADLINE.total_seconds())
        except OutboundFailed as failure:
            return None, outcome_of_failure(failure), failure.kind == "timeout"
        return response, module.read_response(survey_call, response, row.step, memory), False

    def _settings(self, row: ClaimedRow) -> registry.Settings:
        return load_settings(
            self._vault,
            tenant_id=row.tenant_id,
            connection_id=row.connection_id,
            vendor=row.vendor,
            sealed=row.settings,
        )

    def _finish(
        self,
        row: ClaimedRow,
        outcome: Outcome,
        request: OutboundRequest | None,
        response: OutboundResponse | None,
        duration: float,
        *,
        hanging: bool = False,
    ) -> Finished:
        now = self._mint.now()
        settlement = decide_next(
            outcome,
            attempts=row.attempts,
            repeat_safe=row.resend or is_repeat_safe(row.vendor, row.call, row.step),
            expires_at=row.expires_at,
            now=now,
            chance=self._chance,
        )
        secrets = request.secrets if request is not None else ()
        attempt = FinishedAttempt(
            finished_at=now,
            duration=duration,
            method=request.method if request is not None else None,
            url=request.shown_url() if request is not None else None,
            parameters=request.shown_parameters() if request is not None else (),
            status=response.status if response is not None else None,
            outcome=_outcome_word(outcome),
        )
        return Finished(
            row, replace(settlement, words=mask_secrets(settlement.words, secrets)), attempt, hanging=hanging
        )

    def broken(self, claim: Claim, error: Exception) -> Finished:
        """How a call is settled that failed by a fault of this program: nobody knows whether it was sent."""
        words = f"A fault in survey-plugin itself ({type(error).__name__}); please report it."
        return self._finish(claim.row, Uncertain(Reason.NO_ANSWER, words), None, None, 0.0)

    def _given_back(self, row: ClaimedRow) -> Finished:
        now = self._mint.now()
        settlement = Settlement(DeliveryState.SCHEDULED, Reason.GIVEN_BACK, due=now, counts=False)
        return Finished(row, settlement, FinishedAttempt(now, outcome="given back"))

    def claim_and_settle(
        self, db: Connection, finished: Sequence[Finished], *, worker: str, free: int, free_for_hanging: int
    ) -> list[Claim]:
        """Settle what has finished and claim what the free senders can start, in the caller's transaction."""
        now = self._mint.now()
        for item in finished:
            self._settle(db, item, now)
        if free <= 0:
            return []
        rows = claims.claim(db, worker=worker, now=now, free=free, free_for_hanging=free_for_hanging)
        claimed_at = self._monotonic()
        return [Claim(row, claimed_at) for row in rows]

    def _settle(self, db: Connection, item: Finished, now: datetime) -> None:
        row, settlement = item.row, item.settlement
        sealed = None
        if settlement.memory is not None:
            sealed = self._vault.seal(json.dumps(dict(settlement.memory)), memory_place(row.tenant_id, row.id))
        claims.settle(db, row, settlement, item.attempt, sealed_memory=sealed)
        claims.mark_lane(db, row.connection_id, hanging=item.hanging)
        if settlement.state is DeliveryState.ACCEPTED or settlement.next_step is not None:
            claims.note_success(db, row.connection_id, now)
        strikes = settlement.state is DeliveryState.REJECTED and settlement.reason in _STRIKING_REASONS
        if settlement.pause or (strikes and claims.strike(db, row) >= STRIKES):
            connections.pause_connection(
                db,
                row.tenant_id,
                row.connection_id,
                reason=settlement.reason,
                words=settlement.words,
                now=now,
            )

    def recover_lost(self, db: Connection) -> int:
        """Decide the claims of workers that went silent, and end what grew stale behind a pause; gives how many."""
        now = self._mint.now()
        lost = claims.lost_claims(db, now)
        for claim in lost:
            repeat = claim.resend or is_repeat_safe(claim.vendor, claim.call, claim.step)
            claims.recover(db, claim, now, repeat=repeat)
        return len(lost) + deliveries.expire_parked(db, now)


def is_repeat_safe(vendor: str, call: str, step: str) -> bool:
    """Whether the vendor documents that repeating this step does no harm."""
    declared = registry.vendor(vendor).VENDOR.calls.get(call)
    return declared is not None and any(s.name == step and s.repeat_safe for s in declared.steps)


def outcome_of_failure(failure: OutboundFailed) -> Outcome:
    """What a call without an answer means: certainly nothing was sent, or it may be on its way."""
    if failure.sent:
        return Uncertain(Reason.NO_ANSWER, str(failure))
    if failure.kind in _HOPELESS_KINDS:
        return Rejected(Reason.FORBIDDEN_ADDRESS, str(failure))
    return RetryLater(Reason.NOT_REACHED, str(failure))


def _outcome_word(outcome: Outcome) -> str:
    match outcome:
        case Accepted():
            return "accepted"
        case Rejected():
            return "rejected"
        case RetryLater():
            return "retry later"
        case Uncertain():
            return "uncertain"
        case _:
            return "next step"
