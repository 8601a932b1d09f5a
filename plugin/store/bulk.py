"""Inserting many rows with few statements.

A driver's `executemany` steps through the rows one by one, and Python's global lock changes hands at each step, which
costs a busy process more than the insert itself. Here one statement takes up to as many rows as _SIZES says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Connection, Dialect, Table

#: Rows in one statement. A few sizes, so that drivers keep what they have made of the few texts.
_SIZES: Final = (32, 16, 8, 4, 2, 1)

_Process = Callable[[Any], Any]


def insert_rows(db: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows that all give the same columns, by their names."""
    if not rows:
        return
    columns = tuple(rows[0])
    processes = _processes(table, columns, db.dialect)
    start = 0
    for size in _SIZES:
        while len(rows) - start >= size:
            values = tuple(
                value if process is None else process(value)
                for row in rows[start : start + size]
                for value, process in zip(map(row.__getitem__, columns), processes, strict=True)
            )
            db.exec_driver_sql(_text(table, columns, size, db.dialect.paramstyle), values)
            start += size


@lru_cache(maxsize=256)
def _processes(table: Table, columns: tuple[str, ...], dialect: Dialect) -> tuple[_Process | None, ...]:
    """What turns the values of each column into what the driver takes; None where it takes them as they are."""
    return tuple(table.c[name].type.dialect_impl(dialect).bind_processor(dialect) for name in columns)


@lru_cache(maxsize=256)
def _text(table: Table, columns: tuple[str, ...], size: int, paramstyle: str) -> str:
    mark = "?" if paramstyle == "qmark" else "%s"
    row = f"({', '.join([mark] * len(columns))})"
    quoted = ", ".join(f'"{name}"' for name in columns)
    return f'INSERT INTO "{table.name}" ({quoted}) VALUES {", ".join([row] * size)}'  # noqa: S608  # our own names
