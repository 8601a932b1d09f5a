"""Opening what the vault keeps for a source or a connection, through the schema that its module declares."""

from __future__ import annotations

import json
from typing import Any

from plugin import registry
from plugin.store.connections import StoredConnection
from plugin.store.sources import StoredSource
from plugin.vault import Place, Vault


def credentials_place(tenant_id: str, source_id: str) -> Place:
    return Place(tenant_id, "sources", source_id, "credentials")


def key_place(tenant_id: str, source_id: str) -> Place:
    return Place(tenant_id, "source_keys", source_id, "key")


def settings_place(tenant_id: str, connection_id: str) -> Place:
    return Place(tenant_id, "connections", connection_id, "settings")


def memory_place(tenant_id: str, delivery_id: str) -> Place:
    return Place(tenant_id, "delivery_calls", delivery_id, "memory")


def load_credentials(vault: Vault, source: StoredSource) -> registry.Credentials:
    """What proves the sender of this source. Raises VaultError."""
    opened = json.loads(vault.open(source.credentials, credentials_place(source.tenant_id, source.id)))
    loaded: dict[str, Any] = registry.source(source.kind).SOURCE.credentials().load(opened)
    return loaded


def load_settings(vault: Vault, *, tenant_id: str, connection_id: str, vendor: str, sealed: str) -> registry.Settings:
    """Settings and secrets of a connection. Raises VaultError."""
    opened = json.loads(vault.open(sealed, settings_place(tenant_id, connection_id)))
    loaded: dict[str, Any] = registry.vendor(vendor).VENDOR.connection().load(opened)
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
