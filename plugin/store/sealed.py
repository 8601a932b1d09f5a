"""Every column that holds what the vault sealed, and how to walk through them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Column, Connection, and_, func, select, tuple_, update

from plugin.store.tables import configurations, connections, delivery_calls, errands, source_keys, sources

#: Rows read, and changed, in one transaction.
PAGE: Final = 200


@dataclass(frozen=True)
class SealedColumn:
    """key: the columns that tell its rows apart. row: the one that names the row in the vault's place."""

    column: Column[Any]
    key: tuple[Column[Any], ...]
    row: Column[Any]

    @property
    def name(self) -> str:
        return f"{self.column.table.name}.{self.column.name}"


@dataclass(frozen=True)
class SealedText:
    """key: the values of the column's key. tenant, row: whose it is, for the vault's place."""

    key: tuple[Any, ...]
    tenant: str
    row: Any
    text: str


COLUMNS: Final[Sequence[SealedColumn]] = (
    SealedColumn(
        configurations.c.sealed, (configurations.c.tenant_id, configurations.c.version), configurations.c.version
    ),
    SealedColumn(sources.c.credentials, (sources.c.id,), sources.c.id),
    SealedColumn(sources.c.old_credentials, (sources.c.id,), sources.c.id),
    SealedColumn(source_keys.c.key, (source_keys.c.key_hash,), source_keys.c.source_id),
    SealedColumn(connections.c.settings, (connections.c.id,), connections.c.id),
    SealedColumn(delivery_calls.c.memory, (delivery_calls.c.delivery_id,), delivery_calls.c.delivery_id),
    SealedColumn(errands.c.memory, (errands.c.id,), errands.c.id),
)


def count_texts(db: Connection) -> int:
    """How many sealed texts there are."""
    return sum(db.execute(select(func.count()).where(sealed.column.is_not(None))).scalar_one() for sealed in COLUMNS)


def page_of_texts(db: Connection, sealed: SealedColumn, after: tuple[Any, ...] | None) -> list[SealedText]:
    """The sealed texts of a column behind the key `after`, in the order of their keys; at most PAGE."""
    query = (
        select(*sealed.key, sealed.column.table.c.tenant_id, sealed.row, sealed.column)
        .where(sealed.column.is_not(None))
        .order_by(*sealed.key)
        .limit(PAGE)
    )
    if after is not None:
        query = query.where(tuple_(*sealed.key) > tuple_(*after) if len(after) > 1 else sealed.key[0] > after[0])
    return [SealedText(tuple(row[:-3]), *row[-3:]) for row in db.execute(query)]


def replace_text(db: Connection, sealed: SealedColumn, old: SealedText, text: str) -> bool:
    """Put `text` in the place of `old`, unless somebody has changed it meanwhile; whether it was done."""
    is_row = and_(*(column == value for column, value in zip(sealed.key, old.key, strict=True)))
    changed = db.execute(
        update(sealed.column.table).where(is_row, sealed.column == old.text).values({sealed.column.name: text})
    )
    return changed.rowcount == 1


def count_by_opening(db: Connection, length: int) -> Counter[str]:
    """How many sealed texts begin with the same `length` characters."""
    counts: Counter[str] = Counter()
    for sealed in COLUMNS:
        opening = func.substr(sealed.column, 1, length)
        query = select(opening, func.count()).where(sealed.column.is_not(None)).group_by(opening)
        for found, count in db.execute(query):
            counts[found] += count
    return counts
