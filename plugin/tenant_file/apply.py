"""Writing a checked configuration: rows are matched by name, what is left out is removed, all in one transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection

from plugin.domain.identity import Mint
from plugin.domain.limits import IN_FLIGHT
from plugin.domain.outcome import Reason
from plugin.errors import NotAllowed, Problem, TenantFileInvalid
from plugin.redaction import Secret
from plugin.store import connections, deliveries, rules, sources, tenants
from plugin.store.connections import StoredConnection
from plugin.store.sources import StoredKey, StoredSource, key_hash
from plugin.store.tenants import StoredConfiguration, Tenant
from plugin.tenant_file.check import CheckedTenant, as_json, unwrap, wrap_document
from plugin.tenant_file.compare import Change, compare_documents
from plugin.tenant_file.document import Document
from plugin.vault import (
    Place,
    Vault,
    credentials_place,
    document_place,
    key_place,
    old_credentials_place,
    settings_place,
)

#: How long the old address of a source lives on beside a new one.
KEY_OVERLAP: Final = timedelta(days=7)

#: Pauses that new settings may have mended: where the credentials or the address were wrong, or looked so.
_MENDED_BY_SETTINGS: Final = frozenset(
    {Reason.CREDENTIALS, Reason.FORBIDDEN_ADDRESS, Reason.INVALID_CALL, Reason.NOT_FOUND, Reason.REDIRECTED}
)


@dataclass(frozen=True)
class Applied:
    """What applying a configuration did. cancelled: deliveries that waited for something now removed."""

    version: int
    changes: Sequence[Change]
    cancelled: int


def stored_document(db: Connection, vault: Vault, tenant: Tenant, version: int | None = None) -> Document:
    """A tenant's configuration as it is, or as a former version was; secrets as `Secret`. Raises NotAllowed."""
    wanted = tenant.version if version is None else version
    stored = tenants.configuration(db, tenant.id, wanted)
    if stored is None:
        raise NotAllowed(f"Version {wanted} of the configuration is not kept any more.")
    opened: Document = json.loads(vault.open(stored.sealed, document_place(tenant.id, wanted)))
    return wrap_document(opened)


def apply_configuration(
    db: Connection, vault: Vault, mint: Mint, checked: CheckedTenant, *, saved_by: str, base: int | None = None
) -> Applied:
    """Make a checked configuration the present one; creates the tenant when there is none of that name.

    base: the version that the person edited; NotAllowed when somebody else has saved since. Raises TenantFileInvalid
    when a key is in use elsewhere. Nothing is changed in either case, if the caller's transaction ends there.
    """
    now = mint.now()
    tenant = tenants.find_tenant(db, checked.slug)
    before = stored_document(db, vault, tenant) if tenant is not None else None
    if tenant is None:
        tenant = Tenant(mint.id(), checked.slug, checked.document["name"], "UTC", "en", 0, now)
        tenants.add_tenant(db, tenant)
    elif base is not None and base != tenant.version:
        raise NotAllowed(
            "Somebody else has saved this configuration meanwhile; reload the page and make your change again."
        )
    if before == checked.document:
        return Applied(tenant.version, (), 0)
    changes = compare_documents(before, checked.document)
    version = tenant.version + 1
    values = {key: checked.document[key] for key in ("name", "timezone", "language")}
    tenants.update_tenant(db, tenant.id, {**values, "version": version})
    writer = _Writer(db, vault, mint, tenant.id, now)
    writer.sources(checked.document["sources"])
    connection_ids = writer.connections(checked.document["connections"])
    writer.rules(checked, connection_ids)
    tenants.add_configuration(
        db,
        tenant.id,
        StoredConfiguration(
            version=version,
            sealed=vault.seal(as_json(checked.document), document_place(tenant.id, version)),
            saved_at=now,
            saved_by=saved_by,
            summary="\n".join(map(str, changes)),
        ),
    )
    return Applied(version, changes, writer.cancelled)


class _Writer:
    """Brings the rows of one tenant into line with a configuration."""

    def __init__(self, db: Connection, vault: Vault, mint: Mint, tenant_id: str, now: datetime) -> None:
        self._db = db
        self._vault = vault
        self._mint = mint
        self._tenant_id = tenant_id
        self._now = now
        self.cancelled = 0

    def sources(self, items: Sequence[Mapping[str, Any]]) -> None:
        before = {source.name: source for source in sources.sources_of(self._db, self._tenant_id)}
        for name, source in before.items():
            if name not in {item["name"] for item in items}:
                sources.remove_source(self._db, self._tenant_id, source.id, self._now)
        for position, item in enumerate(items):
            known = before.get(item["name"])
            source_id = known.id if known is not None else self._mint.id()
            sources.put_source(
                self._db,
                self._tenant_id,
                {
                    "id": source_id,
                    "name": item["name"],
                    "kind": item["kind"],
                    "state": item["state"],
                    "limit_per_minute": item.get("limit_per_minute"),
                    "credentials": self._seal(item["credentials"], credentials_place(self._tenant_id, source_id)),
                    "settings": item.get("settings"),
                    "language": item.get("language"),
                    "position": position,
                    **self._old_credentials(known, source_id, item.get("old_credentials")),
                },
            )
            self._key(f"sources[{position}].key", source_id, item.get("key"))

    def _old_credentials(
        self, known: StoredSource | None, source_id: str, wanted: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """When they were last needed is remembered for as long as they stay the same."""
        if wanted is None:
            return {"old_credentials": None, "old_used_at": None}
        place = old_credentials_place(self._tenant_id, source_id)
        stored = known.old_credentials if known is not None else None
        if stored is not None and json.loads(self._vault.open(stored, place)) == unwrap(wanted):
            return {}
        return {"old_credentials": self._seal(wanted, place), "old_used_at": None}

    def _key(self, place: str, source_id: str, wanted: Secret | None) -> None:
        live = sources.keys_of(self._db, self._tenant_id, self._now).get(source_id, [])
        if wanted is None and live:
            return
        key = wanted.reveal() if wanted is not None else self._mint.key()
        owner = sources.key_owner(self._db, key)
        if owner is not None and owner != source_id:
            raise TenantFileInvalid([Problem(place, "is in use by another source; choose another one.")])
        if owner is None:
            sealed = self._vault.seal(key, key_place(self._tenant_id, source_id))
            stored = StoredKey(source_id, key_hash(key), sealed, self._now, None, None)
            sources.add_key(self._db, self._tenant_id, stored)
        # Both addresses are alive for a while, so that nothing is lost while the helpdesk is changed over.
        ends_at = self._now + KEY_OVERLAP
        sources.end_keys(self._db, self._tenant_id, source_id, but=key_hash(key), ends_at=ends_at)

    def connections(self, items: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        """Gives the ids by name."""
        # With another vendor it is another connection: what waits was filled in for the former one.
        wanted = {(item["name"], item["vendor"]) for item in items}
        before: dict[str, StoredConnection] = {}
        for stored in connections.connections_of(self._db, self._tenant_id):
            if (stored.name, stored.vendor) in wanted:
                before[stored.name] = stored
            else:
                connections.remove_connection(self._db, self._tenant_id, stored.id, self._now)
                self.cancelled += deliveries.cancel_of_connection(self._db, self._tenant_id, stored.id, self._now)
        ids = {}
        for position, item in enumerate(items):
            known = before.get(item["name"])
            connection_id = known.id if known is not None else self._mint.id()
            ids[item["name"]] = connection_id
            if known is not None:
                self._resume_if_mended(known, item)
            values = {
                "id": connection_id,
                "name": item["name"],
                "vendor": item["vendor"],
                "settings": self._seal(item["settings"], settings_place(self._tenant_id, connection_id)),
                "languages": item.get("languages"),
                "position": position,
            }
            connections.put_connection(self._db, self._tenant_id, values, self._now)
            limits = item.get("limits", {})
            connections.put_limits(
                self._db,
                self._tenant_id,
                connection_id,
                in_flight=limits.get("in_flight", IN_FLIGHT),
                calls_per_minute=limits.get("calls_per_minute"),
            )
        return ids

    def _resume_if_mended(self, known: StoredConnection, item: Mapping[str, Any]) -> None:
        if known.paused_reason not in _MENDED_BY_SETTINGS:
            return
        opened = json.loads(self._vault.open(known.settings, settings_place(self._tenant_id, known.id)))
        if opened != unwrap(item["settings"]):
            connections.resume_connection(self._db, self._tenant_id, known.id)

    def rules(self, checked: CheckedTenant, connection_ids: Mapping[str, str]) -> None:
        before = {bound.rule.name: bound.rule.id for bound in rules.rules_of(self._db, self._tenant_id)}
        for name, rule_id in before.items():
            if name not in {rule.name for rule in checked.rules}:
                rules.remove_rule(self._db, self._tenant_id, rule_id, self._now)
                self.cancelled += deliveries.cancel_of_rule(self._db, self._tenant_id, rule_id, self._now)
        for position, rule in enumerate(checked.rules):
            values = {
                "id": before.get(rule.name) or self._mint.id(),
                "name": rule.name,
                "connection_id": connection_ids[rule.connection],
                "position": position,
                "definition": rules.write_rule(rule),
            }
            rules.put_rule(self._db, self._tenant_id, values)

    def _seal(self, values: Mapping[str, Any], place: Place) -> str:
        return self._vault.seal(json.dumps(unwrap(values), ensure_ascii=False), place)
