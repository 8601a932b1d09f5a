"""`import-url` turns a vendor's URL into a connection and a rule."""

from __future__ import annotations

from collections.abc import Sequence

import click

from plugin.cli.session import read_text
from plugin.tenant_file import dump_document, import_url, with_variables


@click.command(name="import-url")
@click.argument("url")
@click.option("--name", help="Of the connection and the rule; the vendor's name when left out.")
@click.option("--with-secrets", is_flag=True, help="Write the secrets themselves instead of ${NAMES} for them.")
def import_pasted_url(url: str, name: str | None, with_secrets: bool) -> None:
    """Print a vendor's URL as YAML: a connection, and a rule with its mapping, for a tenant's file.

    URL is what the vendor shows or what a helpdesk calls now, with its {{placeholders}}. Give - to have it read from
    standard input: it holds secrets, and what stands in a command line is kept in the shell's history.
    """
    imported = import_url(read_text(url) if url == "-" else url, name=name)
    for warning in imported.warnings:
        click.echo(f"Warning: {warning}", err=True)
    fragment, variables = (imported.fragment, ()) if with_secrets else with_variables(imported.fragment)
    click.echo(dump_document(fragment, with_secrets=True), nl=False)
    lists = "the connection and the rule" if fragment["rules"] else "the connection"
    click.echo(f"Put {lists} into a tenant's file (survey-plugin export TENANT prints the present one).", err=True)
    if variables:
        click.echo(f"Set in the environment, or write in their place: {', '.join(variables)}.", err=True)
    click.echo("Then: survey-plugin apply FILE --dry-run", err=True)


COMMANDS: Sequence[click.Command] = (import_pasted_url,)
