"""Making a bulk replay at its pace, with its progress shown; a stop at any point leaves it to be resumed."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from plugin.app import Parts
from plugin.cli.chosen import counted
from plugin.errors import StoreUnavailable
from plugin.pipeline.bulk_replay import choose, make_next
from plugin.pipeline.replay import Refusal
from plugin.store import replays
from plugin.store.replays import Item, Replay

#: How commands call the id of a replay.
REPLAY_ID: Final = "REPLAY"

#: Without a terminal: seconds between two lines that tell how far it is.
_TELL_EVERY: Final = 10.0
#: A busy database is asked again after so many seconds, and so many times for one item.
_BUSY_PAUSE: Final = 1.0
_BUSY_TRIES: Final = 30

#: Shows how far a replay has come.
Tell = Callable[[Replay], None]


def run_replay(opened: Parts, replay_id: str) -> None:
    """Choose what is not chosen yet and make what is not made yet. Ctrl-C ends it with how to go on."""
    with opened.database.read() as db:
        replay = replays.replay_by_id(db, replay_id)
    click.echo(f"Replay {replay_id}.")
    try:
        with _progress("Choosing", None) as tell:
            replay = _choose(opened, replay_id, tell)
        _announce(replay)
        with _progress("Replaying", replay.chosen) as tell:
            replay = _make(opened, replay_id, between=60 / replay.per_minute, tell=tell)
    except KeyboardInterrupt:
        click.echo(f"\nStopped. Go on with: survey-plugin replay resume {replay_id}", err=True)
        click.get_current_context().exit(1)
    except StoreUnavailable as error:
        raise StoreUnavailable(f"{error} Go on with: survey-plugin replay resume {replay_id}") from None
    _sum_up(opened, replay)


def counts_line(replay: Replay) -> str:
    waiting = replay.chosen - replay.handled
    return f"chosen {replay.chosen:,}, made {replay.made:,}, refused {replay.refused:,}, waiting {waiting:,}"


def _choose(opened: Parts, replay_id: str, tell: Tell) -> Replay:
    pages = choose(opened.database, opened.mint, replay_id)
    replay = next(pages)
    for replay in pages:
        tell(replay)
    return replay


def _announce(replay: Replay) -> None:
    click.echo(f"{counts_line(replay)[0].upper()}{counts_line(replay)[1:]}.")
    waiting = replay.chosen - replay.handled
    if waiting:
        seconds = waiting * 60 / replay.per_minute
        length = f"{seconds / 60:,.0f} minutes" if seconds >= 120 else f"{seconds:,.0f} seconds"
        click.echo(f"At {replay.per_minute} a minute this takes up to {length}.")


def _make(opened: Parts, replay_id: str, *, between: float, tell: Tell) -> Replay:
    """Make one item after the other, `between` seconds apart.

    The making itself is slowed down, instead of making all at once with later due times: what is not made yet can still
    be stopped, goes by the rules of its own moment, begins to grow stale only when it is made, and burdens no lane.
    """
    next_at = time.monotonic()
    while True:
        replay, item = _patiently(lambda: make_next(opened.database, opened.mint, replay_id))
        tell(replay)
        if item is None or replay.state == replays.DONE:
            return replay
        if item.state == replays.MADE:
            # What was missed while the machine slept is not caught up with: that would be a burst.
            next_at = max(next_at + between, time.monotonic())
            time.sleep(max(0.0, next_at - time.monotonic()))


def _patiently(act: Callable[[], tuple[Replay, Item | None]]) -> tuple[Replay, Item | None]:
    """Do it, also where the database is busy for a while. Raises StoreUnavailable when it stays so."""
    for _ in range(_BUSY_TRIES - 1):
        try:
            return act()
        except StoreUnavailable:
            time.sleep(_BUSY_PAUSE)
    return act()


@contextmanager
def _progress(title: str, total: int | None) -> Iterator[Tell]:
    """A bar on a terminal, else a line now and then. total: of what is handled; None while choosing."""
    if not sys.stderr.isatty():
        yield _telling_lines()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=total)

        def tell(now: Replay) -> None:
            done = now.handled if total is not None else now.chosen
            bar.update(task, completed=done, description=f"{title}, refused {now.refused:,}" if now.refused else title)

        yield tell


def _telling_lines() -> Tell:
    told_at = time.monotonic()

    def tell(now: Replay) -> None:
        nonlocal told_at
        if time.monotonic() - told_at >= _TELL_EVERY:
            told_at = time.monotonic()
            click.echo(f"{counts_line(now)}.")

    return tell


def _sum_up(opened: Parts, replay: Replay) -> None:
    click.echo(f"Done: {counted(replay.made, 'new delivery', 'new deliveries')}, refused {replay.refused:,}.")
    with opened.database.read() as db:
        refused = replays.refusal_counts(db, replay.id)
    for refusal, times in refused.items():
        click.echo(f"  {times}  {Refusal(refusal).sentence}")
    if refused:
        click.echo(f"Each of them: survey-plugin replay show {replay.id}")
