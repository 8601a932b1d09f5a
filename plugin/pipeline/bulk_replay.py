"""Replaying in bulk: choose first, then make one item after the other, each in one transaction with its mark.

What is chosen is written down before the first item is made, so what happens meanwhile adds nothing; and a stop at any
point, also a kill, leaves a replay that goes on where it stood.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection

from plugin.domain.identity import Mint
from plugin.errors import NotFound
from plugin.pipeline.replay import Refusal, ReplayRefused, plan_event_anew, plan_replay, replay_event
from plugin.store import deliveries, replays
from plugin.store.candidates import Candidate, Page, Selection, candidates_after
from plugin.store.database import Database
from plugin.store.events import hold_event
from plugin.store.replays import Item, Replay

#: Rows that are looked at in one transaction.
PAGE: Final = 200


def begin_replay(database: Database, mint: Mint, tenant_id: str, selection: Selection, per_minute: int) -> Replay:
    """A new replay, of which nothing is chosen yet."""
    replay_id = mint.id()
    with database.write() as db:
        replays.add_replay(db, tenant_id, replay_id, selection, per_minute=per_minute, now=mint.now())
        return replays.replay_by_id(db, replay_id)


def choose(database: Database, mint: Mint, replay_id: str, *, page: int = PAGE) -> Iterator[Replay]:
    """Choose the items, from where the choosing stood; gives the replay after each page, the last time as it is made.

    page: rows that are looked at in one transaction.
    """
    while True:
        with database.write() as db:
            held = replays.hold_replay(db, replay_id)
            if held.state == replays.CHOOSING:
                found = candidates_after(db, held.tenant_id, held.selection, held.chosen_to, page)
                replays.add_items(db, held, found, mint.now())
                held = replays.replay_by_id(db, replay_id)
        yield held
        if held.state != replays.CHOOSING:
            return


def make_next(database: Database, mint: Mint, replay_id: str) -> tuple[Replay, Item | None]:
    """Make the next item, or note why not; gives the replay as it is then, and the item, None when all are handled."""
    with database.write() as db:
        held = replays.hold_replay(db, replay_id)
        if held.state != replays.MAKING:
            return held, None
        item = replays.next_item(db, held)
        try:
            new_delivery_id = _make(db, mint, held, item)
        except ReplayRefused as refused:
            replays.mark_refused(db, held, item, refused.refusal, refused.detail, mint.now())
        except NotFound as missing:
            # Such as a connector that this version has not; it must not keep the others waiting.
            replays.mark_refused(db, held, item, Refusal.GONE, str(missing), mint.now())
        else:
            replays.mark_made(db, held, item, new_delivery_id, mint.now())
        [handled] = replays.items_from(db, replay_id, item.position, 1)
        return replays.replay_by_id(db, replay_id), handled


def _make(db: Connection, mint: Mint, replay: Replay, item: Item) -> str:
    if item.delivery_id is None:
        return replay_event(db, mint, replay.tenant_id, item.event_id, item.rule)
    hold_event(db, replay.tenant_id, item.event_id)
    # Not a second time, whatever `again` says: it is about invitations that may have arrived, not about this replay
    # being begun twice.
    new = plan_replay(db, mint, replay.tenant_id, item.delivery_id, again=replay.selection.again)
    deliveries.add_delivery(db, replay.tenant_id, new)
    return new.id


@dataclass
class Prospect:
    """What a replay would do. would: how often what is made, by (state or decision, rule, reason or cause)."""

    would: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    refused: Counter[Refusal] = field(default_factory=Counter)


def look_ahead(database: Database, mint: Mint, tenant_id: str, selection: Selection) -> Iterator[Prospect]:
    """Plan everything that would be chosen and store nothing; gives what was found so far, after each page."""
    prospect = Prospect()
    page = Page((), None)
    while True:
        with database.read() as db:
            page = candidates_after(db, tenant_id, selection, page.to, PAGE)
            for candidate in page.candidates:
                _try(db, mint, tenant_id, selection, candidate, prospect)
        yield prospect
        if page.to is None:
            return


def _try(
    db: Connection, mint: Mint, tenant_id: str, selection: Selection, candidate: Candidate, prospect: Prospect
) -> None:
    try:
        if candidate.delivery_id is None:
            plan_event_anew(db, mint, tenant_id, candidate.event_id, candidate.rule)
        else:
            plan_replay(db, mint, tenant_id, candidate.delivery_id, again=selection.again)
    except ReplayRefused as refused:
        prospect.refused[refused.refusal] += 1
    except NotFound:
        prospect.refused[Refusal.GONE] += 1
    else:
        prospect.would[candidate.was, candidate.rule, candidate.why or "-"] += 1
