"""A database that was put back from a backup: what waited when the backup was made may have been sent since."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, select, text, update

from plugin.domain.delivery import DeliveryState
from plugin.domain.outcome import Reason
from plugin.errors import NotAllowed
from plugin.store.tables import deliveries, events, tenants

#: The `application_id` of a copy that `backup` made, until somebody says what becomes of what waited in it.
BACKUP_MARK: Final = 0x53565942

#: Deliveries held in one transaction.
_AT_ONCE: Final = 500


def copy_problem(db: Connection) -> str | None:
    """Why no worker may deliver from this database: it is a copy that `backup` made, and nobody has said yet what
    becomes of what waited in it. None for any other; only SQLite copies can be told.
    """
    if db.dialect.name != "sqlite" or db.exec_driver_sql("PRAGMA application_id").scalar_one() != BACKUP_MARK:
        return None
    return (
        "This database was put back from a backup; what waited when it was made may have been sent since. Run "
        "survey-plugin restored --hold to decide on each, or survey-plugin restored --send to send them all."
    )


def refuse_undecided_copy(db: Connection) -> None:
    """Raise NotAllowed where `copy_problem` has something to say."""
    problem = copy_problem(db)
    if problem is not None:
        raise NotAllowed(problem)


def release_copy(db: Connection) -> None:
    """Let workers deliver from this database."""
    if db.dialect.name == "sqlite":
        db.exec_driver_sql("PRAGMA application_id = 0")


def tenant_ids(db: Connection) -> list[str]:
    return list(db.execute(select(tenants.c.id).order_by(tenants.c.id)).scalars())


_WAITING: Final = (
    select(deliveries.c.id)
    .where(
        deliveries.c.tenant_id == bindparam("tenant"),
        deliveries.c.state == DeliveryState.SCHEDULED,
        # Its rule would rather ask twice than never.
        deliveries.c.resend.is_(False),
        deliveries.c.id > bindparam("after"),
    )
    .order_by(deliveries.c.id)
    .limit(_AT_ONCE)
)
_HOLD: Final = (
    update(deliveries)
    .where(deliveries.c.id.in_(bindparam("ids", expanding=True)), deliveries.c.state == DeliveryState.SCHEDULED)
    .values(state=DeliveryState.UNCERTAIN, reason=Reason.RESTORED, settled_at=bindparam("now"))
)


_HOLD_EVENTS: Final = (
    update(events).where(events.c.tenant_id == bindparam("tenant"), text("NOT events.planned")).values(held=True)
)


def hold_unplanned(db: Connection, tenant_id: str) -> int:
    """Have whatever is promised for the events of a tenant that wait to be planned be held; gives how many events."""
    return db.execute(_HOLD_EVENTS, {"tenant": tenant_id}).rowcount


def hold(db: Connection, delivery_ids: Sequence[str], now: datetime) -> None:
    """Hold, as uncertain, deliveries that wait for a call."""
    if delivery_ids:
        db.execute(_HOLD, {"ids": list(delivery_ids), "now": now})


def hold_waiting(db: Connection, tenant_id: str, now: datetime, after: str) -> tuple[int, str | None]:
    """Hold, as uncertain, some deliveries of a tenant that wait for a call, those behind the id `after`.

    Gives how many, and the last id looked at; None when there are no more. What was under way when the backup was
    made becomes uncertain by itself, when its lease runs out.
    """
    ids = list(db.execute(_WAITING, {"tenant": tenant_id, "after": after}).scalars())
    if not ids:
        return 0, None
    return db.execute(_HOLD, {"ids": ids, "now": now}).rowcount, ids[-1]
