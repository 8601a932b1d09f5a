"""Sealing every stored secret anew with the newest data key, while web and workers go on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from plugin.errors import VaultError
from plugin.store import sealed
from plugin.store.database import Database
from plugin.store.sealed import SealedColumn, SealedText
from plugin.vault import (
    OPENING_LENGTH,
    Place,
    Vault,
    credentials_place,
    document_place,
    errand_place,
    key_place,
    memory_place,
    old_credentials_place,
    settings_place,
)

#: Gets the sealed texts looked at so far, and how many there are.
Progress = Callable[[int, int], None]

_PLACES: Final[Mapping[str, Callable[[str, Any], Place]]] = {
    "configurations.sealed": document_place,
    "sources.credentials": credentials_place,
    "sources.old_credentials": old_credentials_place,
    "source_keys.key": key_place,
    "connections.settings": settings_place,
    "delivery_calls.memory": memory_place,
    "errands.memory": errand_place,
}


@dataclass(frozen=True)
class Reencrypted:
    """seen: sealed texts looked at. changed: those that an older key had sealed.

    overtaken: changed by somebody else at the same moment. problems: a sentence for each text that cannot be read.
    """

    seen: int
    changed: int
    overtaken: int
    problems: Sequence[str]


def reencrypt(database: Database, vault: Vault, progress: Progress) -> Reencrypted:
    """Open every sealed text with the key that sealed it and seal it with the newest.

    A page of rows is a transaction of its own, and a text that changed since it was read is left alone. Stopped
    half-way, it does the rest when it is run again.
    """
    with database.read() as db:
        total = sealed.count_texts(db)
    seen = 0
    tally: Counter[bool] = Counter()
    problems: list[str] = []
    for column in sealed.COLUMNS:
        after: tuple[Any, ...] | None = None
        while True:
            with database.read() as db:
                page = sealed.page_of_texts(db, column, after)
            if not page:
                break
            anew = _sealed_anew(vault, column, page, problems)
            if anew:
                with database.write() as db:
                    tally.update(sealed.replace_text(db, column, old, text) for old, text in anew)
            after = page[-1].key
            seen += len(page)
            progress(seen, max(total, seen))
    return Reencrypted(seen, tally[True], tally[False], problems)


def keys_in_use(database: Database, vault: Vault) -> dict[str, int]:
    """How many sealed texts each key has sealed, by the key's id; keys that are not in the ring among them."""
    with database.read() as db:
        counts = sealed.count_by_opening(db, OPENING_LENGTH)
    return {vault.key_of(opening): count for opening, count in counts.items()}


def _sealed_anew(
    vault: Vault, column: SealedColumn, page: Sequence[SealedText], problems: list[str]
) -> list[tuple[SealedText, str]]:
    anew = []
    for old in page:
        if vault.key_of(old.text) == vault.key_ids[0]:
            continue
        place = _PLACES[column.name](old.tenant, old.row)
        try:
            anew.append((old, vault.seal(vault.open(old.text, place), place)))
        except VaultError as error:
            problems.append(f"{column.name}: {error}")
    return anew
