"""Trigger sources and the keys in their addresses."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, and_, bindparam, case, delete, insert, or_, select, update

from plugin.errors import NotFound
from plugin.store import errands
from plugin.store.database import put_row
from plugin.store.tables import source_keys, sources


@dataclass(frozen=True)
class StoredSource:
    """A source's row; `credentials` is sealed.

    old_credentials: sealed too, and taken besides; old_used_at: when they were last needed. settings: how its messages
    are read. language: of customers whose message tells none. strangers: events of other accounts that were dropped.
    limit_per_minute: requests that it may send; None for the usual number. too_many: requests refused for that since
    too_many_since, the last of them at too_many_at.
    """

    id: str
    tenant_id: str
    name: str
    kind: str
    state: str
    credentials: str
    last_request_at: datetime | None
    last_answer: int | None
    limit_per_minute: int | None
    too_many: int
    too_many_since: datetime | None
    too_many_at: datetime | None
    old_credentials: str | None = None
    old_used_at: datetime | None = None
    settings: Mapping[str, Any] | None = None
    language: str | None = None
    strangers: int = 0
    strangers_at: datetime | None = None

    @property
    def is_live(self) -> bool:
        """Whether anything is sent for what comes in."""
        return self.state == "live"

    def is_set_up_like(self, other: StoredSource) -> bool:
        """Whether both take the same messages for the same; when they were called does not matter."""
        return self._setup() == other._setup()

    def _setup(self) -> tuple[Any, ...]:
        return (
            self.id,
            self.name,
            self.kind,
            self.state,
            self.credentials,
            self.old_credentials,
            self.settings,
            self.language,
            self.limit_per_minute,
        )


@dataclass(frozen=True)
class StoredKey:
    """The address of a source; `key` is sealed. ends_at: set when a newer key took over."""

    source_id: str
    key_hash: str
    key: str
    created_at: datetime
    ends_at: datetime | None
    last_used_at: datetime | None


def key_hash(key: str) -> str:
    """What a source's key is found by, so that reading the database does not give the addresses away."""
    return hashlib.sha256(f"source key|{key}".encode()).hexdigest()


_SOURCE_COLUMNS = (
    sources.c.id,
    sources.c.tenant_id,
    sources.c.name,
    sources.c.kind,
    sources.c.state,
    sources.c.credentials,
    sources.c.last_request_at,
    sources.c.last_answer,
    sources.c.limit_per_minute,
    sources.c.too_many,
    sources.c.too_many_since,
    sources.c.too_many_at,
    sources.c.old_credentials,
    sources.c.old_used_at,
    sources.c.settings,
    sources.c.language,
    sources.c.strangers,
    sources.c.strangers_at,
)
_KEY_COLUMNS = (
    source_keys.c.source_id,
    source_keys.c.key_hash,
    source_keys.c.key,
    source_keys.c.created_at,
    source_keys.c.ends_at,
    source_keys.c.last_used_at,
)


def sources_of(db: Connection, tenant_id: str) -> list[StoredSource]:
    query = (
        select(*_SOURCE_COLUMNS)
        .where(sources.c.tenant_id == tenant_id, sources.c.removed_at.is_(None))
        .order_by(sources.c.position)
    )
    return [StoredSource(**row) for row in db.execute(query).mappings()]


def source_by_name(db: Connection, tenant_id: str, name: str) -> StoredSource:
    """Raises NotFound."""
    for source in sources_of(db, tenant_id):
        if source.name == name:
            return source
    raise NotFound(f"This tenant has no source named {name}.")


_SOURCE_BY_KEY: Final = (
    select(*_SOURCE_COLUMNS, source_keys.c.ends_at)
    .join(source_keys, source_keys.c.source_id == sources.c.id)
    .where(
        source_keys.c.key_hash == bindparam("key"),
        or_(source_keys.c.ends_at.is_(None), source_keys.c.ends_at > bindparam("now")),
        sources.c.removed_at.is_(None),
    )
)


def source_by_key(db: Connection, key: str, now: datetime) -> tuple[StoredSource, datetime | None] | None:
    """The source that this key opens, and when the key ends. The key is a secret that names its tenant."""
    row = db.execute(_SOURCE_BY_KEY, {"key": key_hash(key), "now": now}).mappings().one_or_none()
    if row is None:
        return None
    columns = dict(row)
    ends_at = columns.pop("ends_at")
    return StoredSource(**columns), ends_at


_SOURCE_BY_ID: Final = select(*_SOURCE_COLUMNS).where(
    sources.c.tenant_id == bindparam("tenant"), sources.c.id == bindparam("source"), sources.c.removed_at.is_(None)
)


def source_by_id(db: Connection, tenant_id: str, source_id: str) -> StoredSource:
    """Raises NotFound."""
    row = db.execute(_SOURCE_BY_ID, {"tenant": tenant_id, "source": source_id}).mappings().one_or_none()
    if row is None:
        raise NotFound("This source does not exist any more.")
    return StoredSource(**row)


def put_source(db: Connection, tenant_id: str, values: Mapping[str, Any]) -> None:
    """Insert or change a source by its id."""
    put_row(db, sources, tenant_id, values)


def remove_source(db: Connection, tenant_id: str, source_id: str, now: datetime) -> None:
    """Close a source: its keys open nothing from now on. Its receipts stay."""
    db.execute(
        update(sources).where(sources.c.tenant_id == tenant_id, sources.c.id == source_id).values(removed_at=now)
    )
    db.execute(delete(source_keys).where(source_keys.c.tenant_id == tenant_id, source_keys.c.source_id == source_id))
    errands.remove_of_lane(db, tenant_id, source_id)


_NOTE_REQUEST: Final = (
    update(sources)
    .where(sources.c.tenant_id == bindparam("tenant"), sources.c.id == bindparam("source"))
    .values(last_request_at=bindparam("now"), last_answer=bindparam("answer"))
)
_NOTE_KEY: Final = (
    update(source_keys)
    .where(source_keys.c.tenant_id == bindparam("tenant"), source_keys.c.key_hash == bindparam("hash"))
    .values(last_used_at=bindparam("now"))
)


def note_request(
    db: Connection, tenant_id: str, source_id: str, *, key: str | None, now: datetime, answer: int
) -> None:
    """Remember when a source was last called and what it was answered, for the overview."""
    db.execute(_NOTE_REQUEST, {"tenant": tenant_id, "source": source_id, "now": now, "answer": answer})
    if key is not None:
        db.execute(_NOTE_KEY, {"tenant": tenant_id, "hash": key_hash(key), "now": now})


_NOTE_OLD: Final = (
    update(sources)
    .where(sources.c.tenant_id == bindparam("tenant"), sources.c.id == bindparam("source"))
    .values(old_used_at=bindparam("now"))
)
_NOTE_STRANGERS: Final = (
    update(sources)
    .where(sources.c.tenant_id == bindparam("tenant"), sources.c.id == bindparam("source"))
    .values(strangers=sources.c.strangers + bindparam("times"), strangers_at=bindparam("now"))
)


def note_old_credentials(db: Connection, tenant_id: str, source_id: str, now: datetime) -> None:
    """Remember that a source still proves itself by its old credentials."""
    db.execute(_NOTE_OLD, {"tenant": tenant_id, "source": source_id, "now": now})


def note_strangers(db: Connection, tenant_id: str, source_id: str, times: int, now: datetime) -> None:
    """Count events that were dropped since they are about another account than the source's own."""
    db.execute(_NOTE_STRANGERS, {"tenant": tenant_id, "source": source_id, "times": times, "now": now})


#: Refusals that lie further apart than this are counted as two floods, of which the second is shown.
_ONE_FLOOD: Final = timedelta(days=1)

_IS_NEW_FLOOD: Final = or_(sources.c.too_many_at.is_(None), sources.c.too_many_at < bindparam("recent"))
_NOTE_TOO_MANY: Final = (
    update(sources)
    .where(sources.c.tenant_id == bindparam("tenant"), sources.c.id == bindparam("source"))
    .values(
        too_many=case((_IS_NEW_FLOOD, bindparam("times")), else_=sources.c.too_many + bindparam("times")),
        too_many_since=case((_IS_NEW_FLOOD, bindparam("now")), else_=sources.c.too_many_since),
        too_many_at=bindparam("now"),
    )
)


def note_too_many(db: Connection, tenant_id: str, source_id: str, times: int, now: datetime) -> None:
    """Add requests that were refused because there were too many, for the overview."""
    values = {"tenant": tenant_id, "source": source_id, "times": times, "now": now, "recent": now - _ONE_FLOOD}
    db.execute(_NOTE_TOO_MANY, values)


def keys_of(db: Connection, tenant_id: str, now: datetime) -> dict[str, list[StoredKey]]:
    """The live keys of each source by its id, newest first."""
    query = (
        select(*_KEY_COLUMNS)
        .where(
            source_keys.c.tenant_id == tenant_id,
            or_(source_keys.c.ends_at.is_(None), source_keys.c.ends_at > now),
        )
        .order_by(source_keys.c.ends_at.is_not(None), source_keys.c.created_at.desc())
    )
    keys: dict[str, list[StoredKey]] = {}
    for row in db.execute(query):
        stored = StoredKey(*row)
        keys.setdefault(stored.source_id, []).append(stored)
    return keys


def key_owner(db: Connection, key: str) -> str | None:
    """The id of the source that has this key, of whichever tenant: keys are unique over the whole installation."""
    return db.execute(select(source_keys.c.source_id).where(source_keys.c.key_hash == key_hash(key))).scalar()


def add_key(db: Connection, tenant_id: str, stored: StoredKey) -> None:
    db.execute(insert(source_keys).values(tenant_id=tenant_id, **vars(stored)))


def end_keys(db: Connection, tenant_id: str, source_id: str, *, but: str, ends_at: datetime) -> None:
    """Let every key of a source but the one with hash `but` end at `ends_at`, and that one not at all."""
    mine = and_(source_keys.c.tenant_id == tenant_id, source_keys.c.source_id == source_id)
    db.execute(
        update(source_keys)
        .where(mine, source_keys.c.key_hash != but, source_keys.c.ends_at.is_(None))
        .values(ends_at=ends_at)
    )
    db.execute(update(source_keys).where(mine, source_keys.c.key_hash == but).values(ends_at=None))
