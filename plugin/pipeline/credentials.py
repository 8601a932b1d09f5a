"""Opening what the vault keeps for a source or a connection, through the schema that its module declares."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from plugin import registry
from plugin.store.connections import StoredConnection
from plugin.store.sources import StoredSource
from plugin.vault import Vault, credentials_place, memory_place, old_credentials_place, settings_place


def load_credentials(vault: Vault, source: StoredSource) -> registry.Credentials:
    """What proves the sender of this source. Raises VaultError."""
    return open_credentials(
        vault, tenant_id=source.tenant_id, source_id=source.id, kind=source.kind, sealed=source.credentials
    )


def open_credentials(vault: Vault, *, tenant_id: str, source_id: str, kind: str, sealed: str) -> registry.Credentials:
    """The same for what a source's row holds. Raises VaultError."""
    opened = json.loads(vault.open(sealed, credentials_place(tenant_id, source_id)))
    loaded: dict[str, Any] = registry.schema(registry.source(kind).SOURCE.credentials).load(opened)
    return loaded


def load_old_credentials(vault: Vault, source: StoredSource) -> registry.Credentials | None:
    """What may prove its sender besides, while it is changed over; None without such. Raises VaultError."""
    if source.old_credentials is None:
        return None
    opened = json.loads(vault.open(source.old_credentials, old_credentials_place(source.tenant_id, source.id)))
    loaded: dict[str, Any] = registry.schema(registry.source(source.kind).SOURCE.credentials).load(opened)
    return loaded


def load_reading(kind: str, stored: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """How messages of a source of this kind are to be read, as its schema loads what is stored."""
    declared = registry.source(kind).SOURCE.settings
    if declared is None:
        return {}
    loaded: dict[str, Any] = registry.schema(declared).load(stored or {})
    return loaded


def load_settings(vault: Vault, *, tenant_id: str, connection_id: str, vendor: str, sealed: str) -> registry.Settings:
    """Settings and secrets of a connection. Raises VaultError."""
    opened = json.loads(vault.open(sealed, settings_place(tenant_id, connection_id)))
    loaded: dict[str, Any] = registry.schema(registry.vendor(vendor).VENDOR.connection).load(opened)
    return loaded


def connection_settings(vault: Vault, connection: StoredConnection) -> registry.Settings:
    """The same for a connection's row. Raises VaultError."""
    return load_settings(
        vault,
        tenant_id=connection.tenant_id,
        connection_id=connection.id,
        vendor=connection.vendor,
        sealed=connection.settings,
    )


def load_memory(vault: Vault, tenant_id: str, delivery_id: str, sealed: str | None) -> Mapping[str, str]:
    """What an earlier step of a delivery left for the next. Raises VaultError."""
    if sealed is None:
        return {}
    opened: dict[str, str] = json.loads(vault.open(sealed, memory_place(tenant_id, delivery_id)))
    return opened
