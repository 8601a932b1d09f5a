"""Bulk replays: what was chosen, at which pace it is made, and how far it has come. Each item is handled once.

Items are numbered in the order they were chosen and handled in that order, so the numbers of those made and refused say
which is next. Whoever handles one holds the replay's row meanwhile: two programs at one replay take turns.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Select, bindparam, func, insert, select, update

from plugin.errors import NotFound
from plugin.store.candidates import Page, Selection
from plugin.store.tables import replay_items, replays

CHOOSING: Final = "choosing"
MAKING: Final = "making"
DONE: Final = "done"

WAITING: Final = "waiting"
MADE: Final = "made"
REFUSED: Final = "refused"


@dataclass(frozen=True)
class Replay:
    """state: `choosing`, `making` or `done`. per_minute: new deliveries that may be made in a minute.

    chosen_to: how far the choosing has come. chosen, made, refused: numbers of items.
    """

    id: str
    tenant_id: str
    state: str
    selection: Selection
    per_minute: int
    chosen_to: str | None
    chosen: int
    made: int
    refused: int
    created_at: datetime
    finished_at: datetime | None

    @property
    def handled(self) -> int:
        return self.made + self.refused


@dataclass(frozen=True)
class Item:
    """delivery_id: None where an event is planned anew. refusal, detail: why it was refused."""

    position: int
    delivery_id: str | None
    event_id: str
    rule: str
    state: str
    new_delivery_id: str | None
    refusal: str | None
    detail: str


def add_replay(
    db: Connection, tenant_id: str, replay_id: str, selection: Selection, *, per_minute: int, now: datetime
) -> None:
    """Begin a replay of which nothing is chosen yet."""
    db.execute(
        insert(replays),
        {
            "id": replay_id,
            "tenant_id": tenant_id,
            "state": CHOOSING,
            "selection": selection.as_json(),
            "per_minute": per_minute,
            "created_at": now,
        },
    )


# --- reading ----------------------------------------------------------------------------------------------------------

_REPLAYS: Final = select(
    replays.c.id,
    replays.c.tenant_id,
    replays.c.state,
    replays.c.selection,
    replays.c.per_minute,
    replays.c.chosen_to,
    replays.c.chosen,
    replays.c.made,
    replays.c.refused,
    replays.c.created_at,
    replays.c.finished_at,
)
_BY_ID: Final = _REPLAYS.where(replays.c.id == bindparam("replay"))
_HELD: Final = _BY_ID.with_for_update()


def replay_by_id(db: Connection, replay_id: str) -> Replay:
    """A replay of whichever tenant: for the operator, who sees all. Raises NotFound."""
    return _found(db, _BY_ID, replay_id)


def hold_replay(db: Connection, replay_id: str) -> Replay:
    """The same, and nobody else handles an item of it before this transaction ends."""
    return _found(db, _HELD, replay_id)


def replays_of(db: Connection, tenant_id: str) -> list[Replay]:
    """The newest first."""
    query = _REPLAYS.where(replays.c.tenant_id == tenant_id).order_by(replays.c.id.desc())
    return [_replay(row) for row in db.execute(query)]


def _found(db: Connection, query: Select[Any], replay_id: str) -> Replay:
    row = db.execute(query, {"replay": replay_id}).one_or_none()
    if row is None:
        raise NotFound(f"There is no replay {replay_id}.")
    return _replay(row)


def _replay(row: Any) -> Replay:
    return Replay(**{**row._mapping, "selection": Selection.from_json(row.selection)})  # noqa: SLF001  # its public name


_ITEMS: Final = select(
    replay_items.c.position,
    replay_items.c.delivery_id,
    replay_items.c.event_id,
    replay_items.c.rule,
    replay_items.c.state,
    replay_items.c.new_delivery_id,
    replay_items.c.refusal,
    replay_items.c.detail,
).where(replay_items.c.replay_id == bindparam("replay"))
_ITEM: Final = _ITEMS.where(replay_items.c.position == bindparam("at"))
_ITEMS_FROM: Final = (
    _ITEMS.where(replay_items.c.position >= bindparam("at"))
    .order_by(replay_items.c.position)
    .limit(bindparam("at_most"))
)


def next_item(db: Connection, replay: Replay) -> Item:
    """The first item that is not handled yet; there must be one."""
    return Item(*db.execute(_ITEM, {"replay": replay.id, "at": replay.handled}).one())


def items_from(db: Connection, replay_id: str, position: int, limit: int) -> list[Item]:
    return [Item(*row) for row in db.execute(_ITEMS_FROM, {"replay": replay_id, "at": position, "at_most": limit})]


def refusal_counts(db: Connection, replay_id: str) -> dict[str, int]:
    """How many items were refused for what, the most frequent first."""
    times = func.count().label("times")
    query = (
        select(replay_items.c.refusal, times)
        .where(replay_items.c.replay_id == replay_id, replay_items.c.state == REFUSED)
        .group_by(replay_items.c.refusal)
        .order_by(times.desc(), replay_items.c.refusal)
    )
    return {row.refusal: row.times for row in db.execute(query)}


# --- going on ---------------------------------------------------------------------------------------------------------


def add_items(db: Connection, replay: Replay, page: Page, now: datetime) -> None:
    """Add a page of what was chosen to a replay that is held; after the last page, making begins."""
    rows = [
        {
            "replay_id": replay.id,
            "position": position,
            "tenant_id": replay.tenant_id,
            "delivery_id": candidate.delivery_id,
            "event_id": candidate.event_id,
            "rule": candidate.rule,
            "state": WAITING,
        }
        for position, candidate in enumerate(page.candidates, start=replay.chosen)
    ]
    if rows:
        db.execute(insert(replay_items), rows)
    values: dict[str, Any] = {"chosen": replay.chosen + len(rows), "chosen_to": page.to}
    if page.to is None:
        values |= {"state": MAKING} if values["chosen"] else {"state": DONE, "finished_at": now}
    db.execute(update(replays).where(replays.c.id == replay.id).values(**values))


_MARK: Final = update(replay_items).where(
    replay_items.c.replay_id == bindparam("replay"), replay_items.c.position == bindparam("at")
)


def mark_made(db: Connection, replay: Replay, item: Item, new_delivery_id: str, now: datetime) -> None:
    """Note what was made of the next item, in the transaction that makes it. The replay is held."""
    _mark(db, replay, item, {"state": MADE, "new_delivery_id": new_delivery_id})
    _count(db, replay, {"made": replay.made + 1}, now)


def mark_refused(db: Connection, replay: Replay, item: Item, refusal: str, detail: str, now: datetime) -> None:
    """Note why nothing was made of the next item. The replay is held."""
    _mark(db, replay, item, {"state": REFUSED, "refusal": refusal, "detail": detail})
    _count(db, replay, {"refused": replay.refused + 1}, now)


def _mark(db: Connection, replay: Replay, item: Item, values: dict[str, Any]) -> None:
    db.execute(_MARK, {"replay": replay.id, "at": item.position} | values)


def _count(db: Connection, replay: Replay, values: dict[str, Any], now: datetime) -> None:
    if replay.handled + 1 == replay.chosen:
        values |= {"state": DONE, "finished_at": now}
    db.execute(update(replays).where(replays.c.id == replay.id).values(**values))
