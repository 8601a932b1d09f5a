"""Making a survey call once more: a new delivery, planned from the kept message under the rule as it is now."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection

from plugin import registry
from plugin.domain.delivery import DeliveryState
from plugin.domain.episode import Episode
from plugin.domain.event import Event
from plugin.domain.identity import Mint
from plugin.domain.schedule import window_of_replay
from plugin.errors import NotAllowed, NotFound, Unreadable
from plugin.pipeline.plan import Circumstances, PlannedCall, plan_call
from plugin.pipeline.record import person_mark
from plugin.registry import InboundRequest
from plugin.store import deliveries, receipts, rules, tenants
from plugin.store.events import StoredEvent
from plugin.store.receipts import DeliveryRecord, Receipt

#: States after which the person certainly got nothing.
_NOTHING_SENT: Final = frozenset({DeliveryState.REJECTED, DeliveryState.EXPIRED, DeliveryState.CANCELLED})
#: States after which the person may have an invitation already.
_MAYBE_SENT: Final = frozenset({DeliveryState.ACCEPTED, DeliveryState.UNCERTAIN})


def replay_delivery(db: Connection, mint: Mint, tenant_id: str, delivery_id: str, *, again: bool = False) -> str:
    """Plan a delivery anew and schedule it at once; gives the id of the new delivery.

    again: also when the person may have got an invitation. Raises NotFound, and NotAllowed with what stands against it.
    """
    record = receipts.delivery_by_id(db, delivery_id, tenant_id)
    if record is None:
        raise NotFound(f"There is no delivery {delivery_id}.")
    _refuse_unfit(record, again=again)
    receipt = receipts.receipt(db, tenant_id, record.trigger_id)
    if receipt is None:
        raise NotFound(f"The receipt of delivery {delivery_id} is gone.")
    if not again:
        _refuse_replayed(receipt, record)
    call, event, stored = _planned_anew(db, mint, receipt, record)
    now = mint.now()
    window = window_of_replay(call.bound.rule.ask, now)
    new = deliveries.NewDelivery(
        id=mint.id(),
        connection_id=call.bound.connection_id,
        rule_id=call.bound.rule.id,
        event_id=stored.id,
        unit_id=stored.episode_id or stored.id,
        reference=call.reference,
        call=call.bound.rule.call,
        step=call.step,
        parameters=call.parameters,
        person=person_mark(tenant_id, event),
        due=window.due,
        expires_at=window.expires_at,
        created_at=now,
        resend=call.bound.rule.resend,
        replay_of=record.id,
    )
    deliveries.add_delivery(db, tenant_id, new)
    return new.id


def _refuse_unfit(record: DeliveryRecord, *, again: bool) -> None:
    state = DeliveryState(record.state)
    if state in _MAYBE_SENT and not again:
        raise NotAllowed(
            f"Delivery {record.id} is {state}: the person may have got an invitation already. Replay it with --again "
            "if a second one does no harm."
        )
    if state not in _NOTHING_SENT | _MAYBE_SENT:
        raise NotAllowed(f"Delivery {record.id} is {state}: it is still to be sent, so there is nothing to replay.")


def _refuse_replayed(receipt: Receipt, record: DeliveryRecord) -> None:
    """A second replay of one delivery is as likely a second click as a wish, and would be a second invitation."""
    replay = next((own.id for one in receipt.events for own in one.deliveries if own.replay_of == record.id), None)
    if replay is not None:
        raise NotAllowed(
            f"Delivery {record.id} was replayed already, as {replay}. Replay it with --again if one more does no harm."
        )


def _planned_anew(
    db: Connection, mint: Mint, receipt: Receipt, record: DeliveryRecord
) -> tuple[PlannedCall, Event, StoredEvent]:
    bound = next((one for one in rules.rules_of(db, receipt.tenant_id) if one.rule.name == record.rule), None)
    if bound is None:
        raise NotAllowed(f"The rule {record.rule} has been removed; put it back to replay delivery {record.id}.")
    stored = next(one.event for one in receipt.events if any(own.id == record.id for own in one.deliveries))
    event = _read_again(receipt, stored)
    around = Circumstances(
        source=receipt.source,
        test=receipt.source_state == "test",
        episode=Episode(stored.episode_id, stored.episode_number)
        if stored.episode_id and stored.episode_number
        else None,
        repeated=False,
        language=tenants.tenant_by_id(db, receipt.tenant_id).language,
    )
    planned = plan_call(bound, event, around, mint.reference())
    if planned.call is None:
        detail = planned.verdict.detail or planned.verdict.cause.sentence
        raise NotAllowed(f"Delivery {record.id} cannot be planned anew: {detail}")
    return planned.call, event, stored


def _read_again(receipt: Receipt, stored: StoredEvent) -> Event:
    if receipt.body is None:
        raise NotAllowed(f"{receipt.emptied or 'The message has been removed.'} So nothing can be filled in anew.")
    request = InboundRequest(receipt.method, receipt.body.query, receipt.body.headers, receipt.body.body)
    try:
        parsed = registry.source(receipt.source_kind).parse(request)
    except Unreadable as error:
        raise NotAllowed(f"The kept message cannot be read any more: {error}") from None
    if stored.position >= len(parsed):
        raise NotAllowed("The kept message does not hold this event any more.")
    return parsed[stored.position]
