"""Tenants and the history of their configuration."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from plugin.errors import NotFound
from plugin.store.tables import configurations, metadata, tenants


@dataclass(frozen=True)
class Tenant:
    id: str
    slug: str
    name: str
    timezone: str
    language: str
    version: int
    created_at: datetime


@dataclass(frozen=True)
class StoredConfiguration:
    """One version of a tenant's configuration; `sealed` is the whole document, secrets included."""

    version: int
    sealed: str
    saved_at: datetime
    saved_by: str
    summary: str


_TENANT_COLUMNS = (
    tenants.c.id,
    tenants.c.slug,
    tenants.c.name,
    tenants.c.timezone,
    tenants.c.language,
    tenants.c.version,
    tenants.c.created_at,
)


def add_tenant(db: Connection, tenant: Tenant) -> None:
    db.execute(insert(tenants).values(vars(tenant)))


def find_tenant(db: Connection, slug: str) -> Tenant | None:
    row = db.execute(select(*_TENANT_COLUMNS).where(tenants.c.slug == slug)).one_or_none()
    return Tenant(*row) if row else None


def tenant_by_slug(db: Connection, slug: str) -> Tenant:
    """Raises NotFound."""
    tenant = find_tenant(db, slug)
    if tenant is None:
        raise NotFound(f"There is no tenant named {slug}; see: survey-plugin tenant list")
    return tenant


_TENANT_BY_ID: Final = select(*_TENANT_COLUMNS).where(tenants.c.id == bindparam("tenant"))


def tenant_by_id(db: Connection, tenant_id: str) -> Tenant:
    """Raises NotFound."""
    row = db.execute(_TENANT_BY_ID, {"tenant": tenant_id}).one_or_none()
    if row is None:
        raise NotFound("This tenant does not exist any more.")
    return Tenant(*row)


_VERSIONS: Final = (
    select(tenants.c.id, tenants.c.version)
    .where(tenants.c.id.in_(bindparam("tenants", expanding=True)))
    .order_by(tenants.c.id)
    .with_for_update(read=True)
)


def versions(db: Connection, tenant_ids: Collection[str]) -> dict[str, int]:
    """The version of each tenant's configuration, which nobody changes before this transaction has ended."""
    return {row.id: row.version for row in db.execute(_VERSIONS, {"tenants": list(tenant_ids)})}


def all_tenants(db: Connection) -> list[Tenant]:
    return [Tenant(*row) for row in db.execute(select(*_TENANT_COLUMNS).order_by(tenants.c.slug))]


def update_tenant(db: Connection, tenant_id: str, values: Mapping[str, Any]) -> None:
    db.execute(update(tenants).where(tenants.c.id == tenant_id).values(**values))


def remove_tenant(db: Connection, tenant_id: str) -> None:
    """Remove a tenant and everything of it, rows that refer to others first."""
    for table in reversed(metadata.sorted_tables):
        if "tenant_id" in table.c:
            db.execute(delete(table).where(table.c.tenant_id == tenant_id))
    db.execute(delete(tenants).where(tenants.c.id == tenant_id))


# --- configuration history ------------------------------------------------------------------------------------------

_CONFIGURATION_COLUMNS = (
    configurations.c.version,
    configurations.c.sealed,
    configurations.c.saved_at,
    configurations.c.saved_by,
    configurations.c.summary,
)


def add_configuration(db: Connection, tenant_id: str, configuration: StoredConfiguration) -> None:
    db.execute(insert(configurations).values(tenant_id=tenant_id, **vars(configuration)))


def configuration(db: Connection, tenant_id: str, version: int) -> StoredConfiguration | None:
    row = db.execute(
        select(*_CONFIGURATION_COLUMNS).where(
            configurations.c.tenant_id == tenant_id, configurations.c.version == version
        )
    ).one_or_none()
    return StoredConfiguration(*row) if row else None


def configuration_history(db: Connection, tenant_id: str, limit: int) -> list[StoredConfiguration]:
    """The newest versions first."""
    query = (
        select(*_CONFIGURATION_COLUMNS)
        .where(configurations.c.tenant_id == tenant_id)
        .order_by(configurations.c.version.desc())
        .limit(limit)
    )
    return [StoredConfiguration(*row) for row in db.execute(query)]
