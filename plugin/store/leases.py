"""Claims that have lost their worker, and what becomes of them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, and_, bindparam, exists, or_, select, update

from plugin.domain.delivery import DeliveryState
from plugin.domain.evidence import LOST
from plugin.domain.outcome import Reason
from plugin.store import counters, lanes
from plugin.store.deliveries import forget_steps
from plugin.store.tables import attempts, connections, deliveries, delivery_calls, rules


@dataclass(frozen=True)
class LostClaim:
    """A claim whose worker went silent. orphaned: its rule, connection or person's values were removed meanwhile."""

    id: str
    tenant_id: str
    connection_id: str
    vendor: str
    call: str
    step: str
    epoch: int
    resend: bool
    orphaned: bool


_KEPT: Final = exists().where(delivery_calls.c.delivery_id == deliveries.c.id)
_CLAIMS: Final = (
    select(
        deliveries.c.id,
        deliveries.c.tenant_id,
        deliveries.c.connection_id,
        connections.c.vendor,
        deliveries.c.call,
        deliveries.c.step,
        deliveries.c.lease_epoch.label("epoch"),
        deliveries.c.resend,
        or_(rules.c.removed_at.is_not(None), connections.c.removed_at.is_not(None), ~_KEPT).label("orphaned"),
    )
    .join(connections, connections.c.id == deliveries.c.connection_id)
    .join(rules, rules.c.id == deliveries.c.rule_id)
    .where(deliveries.c.state == "claimed")
)
_LOST: Final = _CLAIMS.where(deliveries.c.leased_until <= bindparam("now")).limit(bindparam("limit"))


def lost_claims(db: Connection, now: datetime, limit: int = 100) -> list[LostClaim]:
    """Claims whose lease has run out; no other worker decides them while this transaction lasts."""
    query = _LOST.with_for_update(of=deliveries, skip_locked=True)
    return [LostClaim(*row) for row in db.execute(query, {"now": now, "limit": limit})]


def has_lost_claims(db: Connection, now: datetime) -> bool:
    return db.execute(_LOST, {"now": now, "limit": 1}).first() is not None


_OWN: Final = _CLAIMS.join(
    attempts, and_(attempts.c.delivery_id == deliveries.c.id, attempts.c.epoch == deliveries.c.lease_epoch)
).where(attempts.c.worker == bindparam("worker"))


def claims_of(db: Connection, worker: str, *, besides: Collection[tuple[str, int]]) -> list[LostClaim]:
    """What the database has as claimed by a worker, other than `besides`: id and epoch of what it knows of."""
    found = [LostClaim(*row) for row in db.execute(_OWN, {"worker": worker})]
    return [claim for claim in found if (claim.id, claim.epoch) not in besides]


def recover(db: Connection, lost: LostClaim, now: datetime, *, repeat: bool) -> None:
    """Decide a lost claim: again when repeating is safe, else uncertain.

    The epoch stays, so that a late answer to an uncertain one applies; to a scheduled one none does, and a new claim
    raises the epoch.
    """
    if not repeat:
        values: dict[str, Any] = {"state": DeliveryState.UNCERTAIN, "reason": Reason.LEASE_LOST, "settled_at": now}
    elif lost.orphaned:
        values = {"state": DeliveryState.CANCELLED, "reason": Reason.CANCELLED, "settled_at": now}
    else:
        values = {"state": DeliveryState.SCHEDULED, "reason": Reason.LEASE_LOST, "due": now}
    if _end_claim(db, lost, values, now, outcome=LOST, reason=Reason.LEASE_LOST) and repeat and not lost.orphaned:
        lanes.lower(db, {lost.connection_id: now})


def give_back(db: Connection, claim: LostClaim, now: datetime) -> None:
    """Undo a claim of which nobody heard, so that nothing can have been sent for it."""
    values = {"state": DeliveryState.SCHEDULED, "reason": Reason.GIVEN_BACK, "due": now}
    if _end_claim(db, claim, values, now, outcome="given back", reason=Reason.GIVEN_BACK):
        lanes.lower(db, {claim.connection_id: now})


def _end_claim(
    db: Connection, claim: LostClaim, values: dict[str, Any], now: datetime, *, outcome: str, reason: Reason
) -> bool:
    changed = db.execute(
        update(deliveries)
        .where(deliveries.c.id == claim.id, deliveries.c.lease_epoch == claim.epoch, deliveries.c.state == "claimed")
        .values(leased_until=None, **values)
    )
    if not changed.rowcount:
        return False
    db.execute(
        update(attempts)
        .where(attempts.c.delivery_id == claim.id, attempts.c.epoch == claim.epoch)
        .values(finished_at=now, outcome=outcome, reason=reason)
    )
    if values["state"] == DeliveryState.CANCELLED:
        forget_steps(db, [claim.id])
    counters.note(db, counters.SETTLED, claim.vendor, values["state"], values["reason"])
    counters.note(db, counters.ATTEMPTS, claim.vendor, outcome.replace(" ", "_"))
    counters.note(db, counters.CANCELLED, by=int(values["state"] == DeliveryState.CANCELLED))
    return True
