"""`forget` erases one person from all that a tenant keeps; `keys` sees to the keys that secrets are sealed with."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC

import click

from plugin import __version__
from plugin.app import Parts
from plugin.cli.progress import progress_bar
from plugin.cli.session import parts
from plugin.errors import SurveyPluginError
from plugin.pipeline.forget import Found, find_person, forget_person
from plugin.pipeline.reencrypt import Reencrypted, keys_in_use
from plugin.pipeline.reencrypt import reencrypt as seal_anew
from plugin.redaction import mask_addresses
from plugin.store import tenants


@click.command()
@click.argument("tenant")
@click.argument("address")
@click.option("--yes", is_flag=True, help="Erase without asking.")
@click.option("--search", "--search-only", "search_only", is_flag=True, help="Only show where the person is found.")
def forget(tenant: str, address: str, yes: bool, search_only: bool) -> None:
    """Erase one person, by e-mail ADDRESS or phone number, from all that TENANT keeps.

    Searches first and shows what was found; what is printed can be kept as a proof. Verdicts, states and counts stay.
    What is still to be sent to the person is cancelled. Stopped half-way, run it again.
    """
    opened = parts()
    with opened.database.read() as db:
        owner = tenants.tenant_by_slug(db, tenant)
    shown = mask_addresses(address) if "@" in address else f"•••{address.strip()[-3:]}"
    click.echo(f"{_now(opened)}, survey-plugin {__version__}, tenant {tenant}, person {shown}")
    found = _search(opened, owner.id, address)
    if found.is_empty or search_only:
        return
    if not yes:
        click.confirm("Erase all of it?", abort=True)
    with progress_bar("Erasing") as show:
        erased = forget_person(opened.database, opened.mint, owner.id, address, show)
    click.echo(
        f"{_now(opened)}: erased in {erased.receipts} receipt{'' if erased.receipts == 1 else 's'}; cancelled "
        f"deliveries that were waiting: {erased.cancelled}."
    )
    left = _search(opened, owner.id, address)
    if erased.under_way or not left.is_empty:
        raise SurveyPluginError(
            "Calls to this person were under way meanwhile, or more came in; run the same again in a minute."
        )
    click.echo("A wish to be sent no more invitations is kept, as a fingerprint: see survey-plugin suppression.")
    click.echo("Backups that were made before still hold the person, and so may the survey vendor.")


def _search(opened: Parts, tenant_id: str, address: str) -> Found:
    with progress_bar("Searching") as show:
        found = find_person(opened.database, tenant_id, address, show)
    for line in found.lines():
        click.echo(line)
    return found


def _now(opened: Parts) -> str:
    return f"{opened.mint.now().astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


@click.group()
def keys() -> None:
    """See to the keys in DATA_KEYS, which stored secrets are sealed with."""


@keys.command()
def reencrypt() -> None:
    """Seal every stored secret with the newest key of DATA_KEYS, while everything runs.

    First have every process know the new key: put it in front of the old ones and restart. Says which keys are needed
    no more. Stopped half-way, run it again.
    """
    opened = parts()
    with progress_bar("Sealed texts") as show:
        done = seal_anew(opened.database, opened.vault, show)
    click.echo(f"Looked at {done.seen:,} sealed texts and changed {done.changed:,}.")
    for sentence in _about_older_keys(opened):
        click.echo(sentence)
    _complain(done)


def _about_older_keys(opened: Parts) -> list[str]:
    in_use = keys_in_use(opened.database, opened.vault)
    newest, *older = opened.vault.key_ids
    told = [f"Key 1 of DATA_KEYS (id {newest}) is the newest."]
    for position, key_id in enumerate(older, start=2):
        if in_use.get(key_id):
            told.append(f"Key {position} of DATA_KEYS (id {key_id}) has still sealed {in_use[key_id]:,} texts.")
        else:
            told.append(
                f"Key {position} of DATA_KEYS (id {key_id}) is needed no more and can be removed; backups that were "
                "made before now need it still."
            )
    return told


def _complain(done: Reencrypted) -> None:
    if done.overtaken:
        raise SurveyPluginError(f"{done.overtaken} texts were changed by somebody else meanwhile; run the same again.")
    if done.problems:
        first = dict.fromkeys(done.problems)
        raise SurveyPluginError(f"{len(done.problems)} texts cannot be read. {' '.join(list(first)[:3])}")


COMMANDS: Sequence[click.Command] = (forget, keys)
