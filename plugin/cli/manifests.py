"""`manifest build` writes what is installed in the helpdesk, with a source's address and secrets in it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click
from sqlalchemy import Connection

from plugin import registry
from plugin.cli.session import parts
from plugin.errors import NotAllowed, NotFound
from plugin.packages import build_package
from plugin.store import sources, tenants
from plugin.store.sources import StoredSource
from plugin.store.tenants import Tenant


@click.group()
def manifest() -> None:
    """Build what is installed on the helpdesk's side."""


@manifest.command()
@click.argument("source")
@click.option("--tenant", required=True, help="Whose source it is for.")
@click.option("--source", "name", metavar="NAME", help="Which source, where the tenant has several of this kind.")
@click.option(
    "--output", type=click.Path(dir_okay=False), help="The file to write; named after the source if left out."
)
def build(source: str, tenant: str, name: str | None, output: str | None) -> None:
    """Write a zip for a source of the kind SOURCE, such as zendesk, with the source's URL and secrets filled in.

    It is the platform's own app or project where there is one, else the set-up guide with its bodies.
    """
    opened = parts()
    with opened.database.read() as db:
        owner = tenants.tenant_by_slug(db, tenant)
        chosen = _choose_source(db, owner, source, name)
        built = build_package(db, opened.vault, owner, chosen, base_url=opened.config.base_url, now=opened.mint.now())
    file = Path(output or built.file_name)
    _write_secret(file, built.content)
    click.echo(str(file))
    held = ", ".join(("its address", *built.secrets))
    click.echo(f"The file holds secrets of {chosen.name} ({held}): keep it as you keep them.", err=True)
    if not built.is_app:
        click.echo(
            f"There is no app for {source}: the file holds the set-up guide (guide.md) and its bodies.", err=True
        )
    if not opened.config.base_url.startswith("https://"):
        click.echo(f"Warning: BASE_URL is {opened.config.base_url}; helpdesks call nothing but https.", err=True)


def _choose_source(db: Connection, tenant: Tenant, kind: str, name: str | None) -> StoredSource:
    """The tenant's one source of this kind, or the one of this name. Raises NotFound, NotAllowed."""
    registry.source(kind)
    found = [one for one in sources.sources_of(db, tenant.id) if one.kind == kind and name in (None, one.name)]
    if not found:
        called = f" named {name}" if name is not None else ""
        raise NotFound(f"{tenant.slug} has no source of kind {kind}{called}. Add one to its configuration first.")
    if len(found) > 1:
        names = ", ".join(one.name for one in found)
        raise NotAllowed(f"{tenant.slug} has several sources of kind {kind}: {names}. Say which with --source NAME.")
    return found[0]


def _write_secret(file: Path, content: bytes) -> None:
    """Write a file that only its owner can read; it appears under its name when it is complete."""
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")  # with mode 0600
    try:
        with os.fdopen(descriptor, "wb") as held:
            held.write(content)
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


COMMANDS: Sequence[click.Command] = (manifest,)
