"""What a tenant's admin installs in the helpdesk, as one file: the platform's app, or the guide with its bodies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlsplit

from sqlalchemy import Connection

from plugin import __version__
from plugin.errors import NotAllowed
from plugin.manifest import load_manifest, load_package, marks_of, zipped
from plugin.pipeline.credentials import load_credentials, load_reading
from plugin.redaction import Secret
from plugin.store import sources
from plugin.store.sources import StoredSource
from plugin.store.tenants import Tenant
from plugin.vault import Vault, key_place


@dataclass(frozen=True)
class BuiltPackage:
    """A zip for one source. Its content is a secret: it holds the source's address at least.

    is_app: whether the platform installs it. secrets: names of the credentials that stand in it.
    """

    file_name: str
    content: bytes = field(repr=False)
    is_app: bool
    secrets: tuple[str, ...]


def build_package(
    db: Connection, vault: Vault, tenant: Tenant, source: StoredSource, *, base_url: str, now: datetime
) -> BuiltPackage:
    """The package of one source, with its address and secrets in it. Raises NotFound, NotAllowed, VaultError."""
    keys = sources.keys_of(db, tenant.id, now).get(source.id)
    if not keys:
        raise NotAllowed(f"{source.name} has no address. Save the configuration once more to give it one.")
    credentials = dict(_texts(load_credentials(vault, source)))
    values = {
        **dict(_texts(load_reading(source.kind, source.settings))),
        **credentials,
        **_places(base_url, tenant, source, vault.open(keys[0].key, key_place(tenant.id, source.id))),
        "source": source.name,
        "tenant": tenant.name,
        "version": __version__,
    }
    marks = marks_of(source.kind)
    missing = sorted(marks - values.keys() - load_manifest(source.kind, values).bodies.keys())
    if missing:
        raise NotAllowed(
            f"The package of a {source.kind} source holds {', '.join(missing)}, which {source.name} does not have: "
            "enter it in the tenant's configuration first."
        )
    package = load_package(source.kind, values)
    return BuiltPackage(
        f"{source.kind}-{tenant.slug}-{_plain(source.name)}.zip",
        zipped(package.files),
        package.is_app,
        tuple(sorted(marks & credentials.keys())),
    )


def _places(base_url: str, tenant: Tenant, source: StoredSource, key: str) -> dict[str, str]:
    """Our addresses, whole and in the pieces that some platforms want them in."""
    url = f"{base_url}/triggers/{key}"
    return {
        "url": url,
        "host": urlsplit(url).netloc,
        "domain": urlsplit(url).hostname or "",
        "path": urlsplit(url).path,
        "key": key,
        "origin": base_url,
        "frame_url": f"{base_url}/frames/{tenant.slug}/{quote(source.name, safe='')}",
    }


def _texts(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The settings that are a text and not empty."""
    for name, value in settings.items():
        text = value.reveal() if isinstance(value, Secret) else value
        if isinstance(text, str) and text:
            yield name, text


def _plain(name: str) -> str:
    """A source's name as a file may be called everywhere."""
    return "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in name)
