"""What a person names by id, or chooses by time: shared by the commands that act on several deliveries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import click
from sqlalchemy import Connection

from plugin.errors import NotFound, SurveyPluginError
from plugin.store import receipts
from plugin.store.receipts import DeliveryRecord


def moment(text: str) -> datetime:
    """The type of options that take a time, as ISO 8601 writes it; `in_zone` puts it where it belongs."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text} is no time; write 2026-11-01 or 2026-11-01T12:00.") from None


def in_zone(found: datetime | None, timezone: str) -> datetime | None:
    """A time that was given, in UTC: by the tenant's clock, as receipts show times, unless it said otherwise."""
    if found is not None and found.tzinfo is None:
        found = found.replace(tzinfo=ZoneInfo(timezone))
    return found.astimezone(UTC) if found is not None else None


def delivery_by_id(db: Connection, delivery_id: str) -> DeliveryRecord:
    """Raises NotFound."""
    record = receipts.delivery_by_id(db, delivery_id)
    if record is None:
        raise NotFound(f"{delivery_id}: there is no such delivery.")
    return record


def for_each(ids: Sequence[str], act: Callable[[str], str]) -> None:
    """Do it for each id; what fails is told and does not keep the others. Exit code 1 when any failed."""
    failed = False
    for item in ids:
        try:
            click.echo(act(item))
        except SurveyPluginError as error:
            click.echo(str(error), err=True)
            failed = True
    if failed:
        click.get_current_context().exit(1)


def counted(number: int, one: str = "delivery", many: str = "deliveries") -> str:
    """`1 delivery`, `1,200 deliveries`."""
    return f"{number:,} {one if number == 1 else many}"
