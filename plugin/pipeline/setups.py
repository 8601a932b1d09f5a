"""What addresses open, kept for a moment: a rush of triggers does not read the same few rows again and again.

Nothing kept here has the last word: the transaction that stores a message compares the version of the configuration,
and has everything read anew when it has changed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from plugin.errors import NotFound, SourceGone
from plugin.pipeline.credentials import load_credentials, load_old_credentials, load_reading
from plugin.pipeline.draft import Setup
from plugin.store import rules, sources, tenants
from plugin.store.database import Database
from plugin.store.sources import StoredSource
from plugin.vault import Vault

#: How long an address may go on to open what it opened, seconds.
_KEPT: Final = 1.0
#: Addresses and sources remembered at most; then all are forgotten, which costs one reading each.
_MOST: Final = 10_000

Kept = TypeVar("Kept")


@dataclass(frozen=True)
class _Opened:
    source: StoredSource
    ends_at: datetime | None
    read_at: float


class Setups:
    """One for a process, shared by its threads."""

    def __init__(self, database: Database, vault: Vault, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._vault = vault
        self._monotonic = monotonic
        self._opened: dict[str, _Opened] = {}
        self._setups: dict[str, Setup] = {}

    def source_of(self, key: str, now: datetime, *, fresh: bool) -> StoredSource | None:
        """The source whose address ends in `key`. fresh: as it is now, not as it was a moment ago."""
        opened = self._opened.get(key)
        if opened is None or fresh or self._monotonic() - opened.read_at > _KEPT:
            opened = self._read(key, now)
        if opened is None or (opened.ends_at is not None and opened.ends_at <= now):
            return None
        return opened.source

    def setup_of(self, source: StoredSource) -> Setup:
        """What decides about a message of this source, perhaps as it was just before. Raises SourceGone, VaultError."""
        setup = self._setups.get(source.id)
        return setup if setup is not None and setup.source.is_set_up_like(source) else self.reread(source)

    def reread(self, source: StoredSource) -> Setup:
        """The same as it is now. Raises SourceGone, VaultError."""
        setup = read_setup(self._database, self._vault, source.tenant_id, source.id)
        _put(self._setups, source.id, setup)
        return setup

    def _read(self, key: str, now: datetime) -> _Opened | None:
        self._opened.pop(key, None)
        with self._database.read() as db:
            found = sources.source_by_key(db, key, now)
        if found is None:
            # Not remembered: strangers may try as many keys as they like.
            return None
        opened = _Opened(*found, self._monotonic())
        _put(self._opened, key, opened)
        return opened


def read_setup(database: Database, vault: Vault, tenant_id: str, source_id: str) -> Setup:
    """What decides about a message of this source, as it is now. Raises SourceGone, VaultError."""
    try:
        with database.read() as db:
            source = sources.source_by_id(db, tenant_id, source_id)
            tenant = tenants.tenant_by_id(db, tenant_id)
            bound = rules.rules_of(db, tenant_id)
    except NotFound as error:
        raise SourceGone(str(error)) from None
    return Setup(
        source,
        load_credentials(vault, source),
        tenant.language,
        bound,
        tenant.version,
        load_old_credentials(vault, source),
        load_reading(source.kind, source.settings),
    )


def _put(kept: dict[str, Kept], key: str, value: Kept) -> None:
    if len(kept) >= _MOST:
        kept.clear()
    kept[key] = value
