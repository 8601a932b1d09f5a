"""Follow-ups: asking a vendor what became of a delivery that has ended. Nothing here changes how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from plugin import registry
from plugin.domain.delivery import CALL_DEADLINE
from plugin.domain.identity import Mint
from plugin.domain.outcome import Accepted, NextRequest, Outcome, Reason, RetryLater
from plugin.domain.retry import Chance
from plugin.domain.survey_call import OutboundRequest, OutboundResponse, SurveyCall
from plugin.errors import OutboundFailed, VaultError
from plugin.outbound import Outbound
from plugin.pipeline.credentials import load_settings
from plugin.pipeline.deliver import fault_words, outcome_of_failure, storable
from plugin.pipeline.errand_task import (
    FinishedErrand,
    Result,
    Task,
    asked_later,
    due_of,
    ended,
    opened_memory,
    sealed_memory,
)
from plugin.redaction import mask_secrets
from plugin.store.errands import ErrandRow
from plugin.vault import Vault

log = structlog.get_logger()


@dataclass(frozen=True)
class FollowUps:
    """Makes the requests of follow-ups. One for a process, shared by its threads."""

    outbound: Outbound
    vault: Vault
    mint: Mint
    chance: Chance

    def make(self, task: Task) -> FinishedErrand:
        """Ask once. Whatever goes wrong is asked again later: a follow-up may be repeated."""
        row, call = task.row, task.call
        if call is None:
            return ended(row, Result.REMOVED)
        survey_call = SurveyCall(task.owner.module, call.call, call.parameters)
        try:
            settings = load_settings(
                self.vault,
                tenant_id=row.tenant_id,
                connection_id=row.lane,
                vendor=task.owner.module,
                sealed=task.owner.sealed,
            )
            memory = opened_memory(self.vault, row)
            request = registry.vendor(task.owner.module).build_request(survey_call, settings, row.step, memory)
            outcome, response = self._asked(survey_call, request, row.step, memory)
            return self._decided(row, outcome, response, request)
        except VaultError as error:
            outcome = RetryLater(Reason.NOT_REACHED, str(error))
        except Exception as error:  # a connector's fault is mended with the next version, and then asked again
            log.error("follow-up failed in this program", errand=row.id, error=type(error).__name__)  # noqa: TRY400  # a traceback may quote values
            outcome = RetryLater(Reason.NOT_REACHED, fault_words(error))
        return self._decided(row, outcome, None, None)

    def _asked(
        self, call: SurveyCall, request: OutboundRequest, step: str, memory: Mapping[str, str]
    ) -> tuple[Outcome, OutboundResponse | None]:
        module = registry.vendor(call.vendor)
        origins = module.VENDOR.origins
        allowed = None if origins == registry.ANY_PUBLIC_HTTPS else origins
        try:
            response = self.outbound.send(request, allowed_origins=allowed, deadline=CALL_DEADLINE.total_seconds())
        except OutboundFailed as failure:
            return outcome_of_failure(failure), None
        return module.read_response(call, response, step, memory), response

    def _decided(
        self, row: ErrandRow, outcome: Outcome, response: OutboundResponse | None, request: OutboundRequest | None
    ) -> FinishedErrand:
        now = self.mint.now()
        words = mask_secrets(storable(outcome.words), request.secrets if request is not None else ())
        if isinstance(outcome, NextRequest):
            memory = sealed_memory(self.vault, row.tenant_id, row.id, outcome.memory)
            due = due_of(outcome, now)
            return FinishedErrand(row, Result.AGAIN, due, outcome.step, memory, words=words, told=words)
        if isinstance(outcome, Accepted):
            return ended(row, Result.DONE, words)
        again = asked_later(row, outcome, words, now, self.chance)
        if again is not None:
            return again
        status = f" (HTTP {response.status})" if response is not None else ""
        return ended(
            row, Result.REFUSED, f"What became of it could not be learnt{status}{f': {words}' if words else '.'}"
        )
