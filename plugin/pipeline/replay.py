"""Planning anew from the kept message, by the rules as they are now: a delivery once more, or an event for one rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection

from plugin.domain.delivery import DeliveryState
from plugin.domain.episode import Episode
from plugin.domain.event import Event
from plugin.domain.identity import Mint
from plugin.domain.schedule import window_of_replay
from plugin.domain.verdict import Decision
from plugin.errors import NotAllowed, NotFound, Unreadable
from plugin.pipeline.plan import Circumstances, PlannedCall, PlannedVerdict, plan_call, plan_event
from plugin.pipeline.record import marks_of, stored_verdict
from plugin.pipeline.rereading import MessageGone, ancestors, read_again, with_inherited
from plugin.pipeline.suppression import wish_of_person
from plugin.store import deliveries, rules, tenants
from plugin.store.deliveries import NewDelivery
from plugin.store.events import StoredVerdict, add_later_verdict, hold_event
from plugin.store.origins import (
    MadeDelivery,
    Origin,
    deliveries_of_unit,
    first_replay_of,
    made_delivery,
    origin_of,
    parent_of,
)
from plugin.store.rules import BoundRule

#: States after which the person certainly got nothing.
_NOTHING_SENT: Final = frozenset({DeliveryState.REJECTED, DeliveryState.EXPIRED, DeliveryState.CANCELLED})
#: States after which the person may have an invitation already.
MAYBE_SENT: Final = frozenset({DeliveryState.ACCEPTED, DeliveryState.UNCERTAIN})


class Refusal(StrEnum):
    """Why something is not replayed: the closed list."""

    GONE = "gone"
    WAITING = "waiting"
    MAYBE_SENT = "maybe_sent"
    REPLAYED = "replayed"
    ASKED = "asked"
    RULE_REMOVED = "rule_removed"
    FORGOTTEN = "forgotten"
    EMPTIED = "emptied"
    UNREADABLE = "unreadable"
    TEST_STATE = "test_state"
    NOT_ASKED = "not_asked"
    PROBLEM = "problem"

    @property
    def sentence(self) -> str:
        return _SENTENCES[self]


_SENTENCES: Final[Mapping[Refusal, str]] = {
    Refusal.GONE: "It, or something it needs, is not there any more.",
    Refusal.WAITING: "It is still to be sent, so there is nothing to replay.",
    Refusal.MAYBE_SENT: (
        "The person may have got an invitation already. Replay it with --again if a second one does no harm."
    ),
    Refusal.REPLAYED: "It was replayed already.",
    Refusal.ASKED: "The person has been asked already because of this event.",
    Refusal.RULE_REMOVED: "Its rule has been removed; put it back to replay this.",
    Refusal.FORGOTTEN: "The message has been removed because its person was forgotten.",
    Refusal.EMPTIED: "The message has been removed, so nothing can be filled in anew.",
    Refusal.UNREADABLE: "The kept message cannot be read any more.",
    Refusal.TEST_STATE: "Its source is in state test, or was when the message came; what is tried is never sent.",
    Refusal.NOT_ASKED: "By the rules as they are now, nobody is asked because of this event.",
    Refusal.PROBLEM: "It cannot be planned anew, because the mapping fails.",
}


class ReplayRefused(NotAllowed):
    """Something that is not replayed. detail: the particulars of this one, after the refusal's own sentence."""

    def __init__(self, refusal: Refusal, detail: str = "") -> None:
        super().__init__(f"{refusal.sentence} {detail}".rstrip())
        self.refusal = refusal
        self.detail = detail


def replay_delivery(db: Connection, mint: Mint, tenant_id: str, delivery_id: str, *, again: bool = False) -> str:
    """Plan a delivery anew and schedule it at once; gives the id of the new delivery.

    again: also when the person may have got an invitation, or it was replayed before. Raises NotFound, and
    ReplayRefused with what stands against it.
    """
    made = made_delivery(db, tenant_id, delivery_id)
    if made is None:
        raise NotFound(f"There is no delivery {delivery_id}.")
    hold_event(db, tenant_id, made.event_id)
    new = plan_replay(db, mint, tenant_id, delivery_id, again=again, once_more=again)
    deliveries.add_delivery(db, tenant_id, new)
    return new.id


def plan_replay(
    db: Connection, mint: Mint, tenant_id: str, delivery_id: str, *, again: bool, once_more: bool = False
) -> NewDelivery:
    """The delivery that a replay would make; stores nothing.

    again: also when the person may have got an invitation. once_more: also when it was replayed before.
    Raises ReplayRefused.
    """
    made = made_delivery(db, tenant_id, delivery_id)
    if made is None:
        raise ReplayRefused(Refusal.GONE)
    _refuse_unfit(made, again=again)
    if not once_more:
        _refuse_replayed(db, made)
    origin = _origin(db, tenant_id, made.event_id)
    bound = _bound(rules.rules_of(db, tenant_id), made.rule)
    event = _read_again(db, tenant_id, origin)
    planned = plan_call(bound, event, _around(db, tenant_id, origin, event), mint.reference())
    return _new_delivery(mint, tenant_id, origin, event, _call_of(planned), replay_of=made.id)


@dataclass(frozen=True)
class PlannedAnew:
    """What planning an event anew for one rule has come to."""

    new: NewDelivery
    verdict: StoredVerdict


def replay_event(db: Connection, mint: Mint, tenant_id: str, event_id: str, rule: str) -> str:
    """Plan an event anew for one rule that made no delivery of it, and schedule that at once; gives the delivery's id.

    The verdicts from before stay, and a new one is added. Raises ReplayRefused.
    """
    hold_event(db, tenant_id, event_id)
    anew = plan_event_anew(db, mint, tenant_id, event_id, rule)
    deliveries.add_delivery(db, tenant_id, anew.new)
    add_later_verdict(db, tenant_id, event_id, anew.verdict)
    return anew.new.id


def plan_event_anew(db: Connection, mint: Mint, tenant_id: str, event_id: str, rule: str) -> PlannedAnew:
    """The delivery that planning an event anew for the rule of this name would make; stores nothing.

    All rules are asked again, so that one that stops keeps the later ones out. Raises ReplayRefused.
    """
    origin = _origin(db, tenant_id, event_id)
    all_bound = rules.rules_of(db, tenant_id)
    bound = _bound(all_bound, rule)
    _refuse_asked(deliveries_of_unit(db, tenant_id, origin.event.unit_id), bound, all_bound)
    event = _read_again(db, tenant_id, origin)
    planned = next(
        one
        for one in plan_event(event, all_bound, _around(db, tenant_id, origin, event), mint.reference)
        if one.rule_id == bound.rule.id
    )
    new = _new_delivery(mint, tenant_id, origin, event, _call_of(planned))
    return PlannedAnew(new, stored_verdict(planned, new.id, planned_again_at=new.created_at))


# --- what stands against it -------------------------------------------------------------------------------------------


def _refuse_unfit(made: MadeDelivery, *, again: bool) -> None:
    state = DeliveryState(made.state)
    if state in MAYBE_SENT and not again:
        raise ReplayRefused(Refusal.MAYBE_SENT, f"It is {state}.")
    if state not in _NOTHING_SENT | MAYBE_SENT:
        raise ReplayRefused(Refusal.WAITING, f"It is {state}.")


def _refuse_replayed(db: Connection, made: MadeDelivery) -> None:
    """A second replay of one delivery is as likely a second click as a wish, and would be a second invitation."""
    replay = first_replay_of(db, made)
    if replay is not None:
        raise ReplayRefused(Refusal.REPLAYED, f"The new delivery is {replay}.")


def _refuse_asked(made: list[MadeDelivery], bound: BoundRule, all_bound: list[BoundRule]) -> None:
    """Neither twice by one rule nor, where the earlier of two rules lets no later one act, by both of them."""
    stops = {one.rule.name: one.rule.stop for one in all_bound}
    order = list(stops)
    for one in made:
        earlier = min((name for name in (one.rule, bound.rule.name) if name in stops), key=order.index)
        if one.rule == bound.rule.name or (one.rule in stops and stops[earlier]):
            raise ReplayRefused(Refusal.ASKED, f"Rule {one.rule} did, by delivery {one.id}.")


def _origin(db: Connection, tenant_id: str, event_id: str) -> Origin:
    origin = origin_of(db, tenant_id, event_id)
    if origin is None:
        raise ReplayRefused(Refusal.GONE)
    if origin.event.test or origin.source_state != "live":
        raise ReplayRefused(Refusal.TEST_STATE)
    return origin


def _bound(all_bound: list[BoundRule], name: str) -> BoundRule:
    bound = next((one for one in all_bound if one.rule.name == name), None)
    if bound is None:
        raise ReplayRefused(Refusal.RULE_REMOVED, f"It was named {name}.")
    return bound


def _read_again(db: Connection, tenant_id: str, origin: Origin) -> Event:
    try:
        event = read_again(db, tenant_id, origin)
    except MessageGone as gone:
        raise ReplayRefused(Refusal.FORGOTTEN if gone.emptied_for == "forgotten" else Refusal.EMPTIED) from None
    except Unreadable as error:
        raise ReplayRefused(Refusal.UNREADABLE, str(error)) from None
    return with_inherited(db, tenant_id, event, ancestors(db, tenant_id, parent_of(db, tenant_id, origin.event)))


def _call_of(planned: PlannedVerdict) -> PlannedCall:
    if planned.call is None:
        verdict = planned.verdict
        refusal = Refusal.PROBLEM if verdict.decision is Decision.PROBLEM else Refusal.NOT_ASKED
        raise ReplayRefused(refusal, verdict.detail or verdict.cause.sentence)
    return planned.call


# --- what comes of it -------------------------------------------------------------------------------------------------


def _around(db: Connection, tenant_id: str, origin: Origin, read: Event) -> Circumstances:
    event, wish = origin.event, wish_of_person(db, tenant_id, read)
    return Circumstances(
        source=origin.source,
        test=False,
        episode=Episode(event.episode_id, event.episode_number) if event.episode_id and event.episode_number else None,
        repeated=False,
        language=origin.source_language or tenants.tenant_by_id(db, tenant_id).language,
        wish=wish.sentence if wish is not None else None,
    )


def _new_delivery(
    mint: Mint, tenant_id: str, origin: Origin, event: Event, call: PlannedCall, *, replay_of: str | None = None
) -> NewDelivery:
    now = mint.now()
    window = window_of_replay(call.bound.rule.ask, now)
    return NewDelivery(
        id=mint.id(),
        connection_id=call.bound.connection_id,
        rule_id=call.bound.rule.id,
        event_id=origin.event.id,
        unit_id=origin.event.unit_id,
        reference=call.reference,
        call=call.bound.rule.call,
        step=call.step,
        parameters=call.parameters,
        marks=marks_of(tenant_id, event, call),
        due=window.due,
        expires_at=window.expires_at,
        created_at=now,
        resend=call.bound.rule.resend,
        replay_of=replay_of,
    )
