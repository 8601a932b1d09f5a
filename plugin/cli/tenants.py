"""Commands about a tenant: its configuration, its config link."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import timedelta

import click

from plugin.app import Parts
from plugin.cli.session import parts, read_text
from plugin.errors import NotAllowed
from plugin.store import links, sources, tenants
from plugin.store.links import Link
from plugin.store.tenants import Tenant
from plugin.tenant_file import (
    apply_configuration,
    check_document,
    compare_documents,
    dump_document,
    empty_document,
    read_document,
    stored_document,
)
from plugin.vault import key_place


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
def apply(file: str, dry_run: bool) -> None:
    """Make a YAML FILE a tenant's whole configuration; creates the tenant; prints each source's URL.

    What the file leaves out is removed, and what waits for it is cancelled; look first with --dry-run.
    `{secret: set}` keeps a stored secret; `${NAME}` takes one from the environment.
    """
    opened = parts(create=True)
    document = read_document(read_text(file))
    with opened.database.read() as db:
        tenant = tenants.find_tenant(db, str(document.get("tenant", "")))
        stored = stored_document(db, opened.vault, tenant) if tenant is not None else None
    checked = check_document(
        document,
        stored=stored,
        environment=os.environ.get,
        extra_origins=opened.config.extra_vendor_origins,
    )
    for change in compare_documents(stored, checked.document):
        click.echo(str(change))
    for warning in checked.warnings:
        click.echo(f"Warning: {warning}", err=True)
    if dry_run:
        click.echo("Nothing was changed: this was a dry run.")
        return
    with opened.database.write() as db:
        applied = apply_configuration(
            db, opened.vault, opened.mint, checked, saved_by="command", base=tenant.version if tenant else None
        )
    if not applied.changes:
        click.echo(f"{checked.slug} is as the file says already.")
    if applied.cancelled:
        click.echo(f"Cancelled deliveries that were waiting: {applied.cancelled}.")
    print_source_urls(opened, checked.slug)


@click.command()
@click.argument("tenant")
@click.option("--with-secrets", is_flag=True, help="Write the secrets themselves instead of {secret: set}.")
def export(tenant: str, with_secrets: bool) -> None:
    """Print the whole configuration of TENANT as YAML, as `apply` reads it."""
    opened = parts()
    with opened.database.read() as db:
        document = stored_document(db, opened.vault, tenants.tenant_by_slug(db, tenant))
    click.echo(dump_document(document, with_secrets=with_secrets), nl=False)


@click.group()
def tenant() -> None:
    """Create, list, remove tenants; make and withdraw their config links."""


@tenant.command()
@click.argument("slug")
@click.option("--name", help="Name for people; the slug when left out.")
def create(slug: str, name: str | None) -> None:
    """Create an empty tenant. SLUG is its name in addresses and commands."""
    opened = parts(create=True)
    with opened.database.write() as db:
        if tenants.find_tenant(db, slug) is not None:
            raise NotAllowed(f"There is a tenant named {slug} already.")
        checked = check_document(empty_document(slug, name or slug))
        apply_configuration(db, opened.vault, opened.mint, checked, saved_by="command")
    click.echo(f"Created {slug}. Next: survey-plugin tenant link {slug}")


@tenant.command(name="list")
def list_tenants() -> None:
    """List the tenants, one a line."""
    opened = parts()
    with opened.database.read() as db:
        found = tenants.all_tenants(db)
    for one in found:
        click.echo(f"{one.slug}\t{one.name}")
    if not found:
        click.echo("There is no tenant yet. Make one: survey-plugin tenant create SLUG, or apply FILE.", err=True)


@tenant.command()
@click.argument("slug")
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove(slug: str, yes: bool) -> None:
    """Remove a tenant and everything of it: configuration, receipts, deliveries. There is no way back."""
    opened = parts()
    with opened.database.read() as db:
        found = tenants.tenant_by_slug(db, slug)
    if not yes:
        click.confirm(f"Remove {slug} with all its receipts and deliveries?", abort=True)
    with opened.database.write() as db:
        tenants.remove_tenant(db, found.id)
    click.echo(f"Removed {slug}.")


@tenant.command()
@click.argument("slug")
@click.option("--hours", default=72, show_default=True, type=click.IntRange(1, 24 * 366), help="How long it works.")
@click.option("--role", default="admin", show_default=True, type=click.Choice(["admin", "viewer"]))
def link(slug: str, hours: int, role: str) -> None:
    """Print a config link to a tenant's settings. Whoever has it can open them: send it as a secret."""
    opened = parts()
    click.echo(make_link(opened, slug, hours=hours, role=role))


@tenant.command()
@click.argument("slug")
def unlink(slug: str) -> None:
    """Withdraw every config link of a tenant and end the sessions that were opened with one."""
    opened = parts()
    with opened.database.write() as db:
        count = links.revoke_links(db, tenants.tenant_by_slug(db, slug).id, opened.mint.now())
    click.echo(f"Withdrew {count} config link{'' if count == 1 else 's'}; every open session of {slug} has ended.")


def make_link(opened: Parts, slug: str, *, hours: int, role: str) -> str:
    """A new config link's URL. Raises NotFound."""
    now = opened.mint.now()
    with opened.database.write() as db:
        owner = tenants.tenant_by_slug(db, slug)
        new = Link(opened.mint.id(), owner.id, role, now + timedelta(hours=hours), None)
        links.add_link(db, owner.id, new, now)
    return f"{opened.config.base_url}/config/{opened.signer.token(new.id).reveal()}"


def print_source_urls(opened: Parts, slug: str) -> None:
    """Print the address of each source of a tenant, one a line."""
    for name, url in source_urls(opened, slug).items():
        click.echo(f"{name}\t{url}")


def source_urls(opened: Parts, slug: str) -> dict[str, str]:
    """The present address of each source, by its name. Raises NotFound."""
    with opened.database.read() as db:
        owner: Tenant = tenants.tenant_by_slug(db, slug)
        keys = sources.keys_of(db, owner.id, opened.mint.now())
        found = sources.sources_of(db, owner.id)
    desk = opened.desk()
    return {
        source.name: desk.trigger_url(opened.vault.open(keys[source.id][0].key, key_place(owner.id, source.id)))
        for source in found
    }


COMMANDS: Sequence[click.Command] = (apply, export, tenant)
