"""The group of all commands, and how any of them ends when something is wrong."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from plugin import __version__
from plugin.cli import (
    backup,
    connections,
    connectors,
    deliveries,
    demo,
    doctor,
    manifests,
    pasted,
    replays,
    running,
    sandbox,
    suppressions,
    tenants,
    upkeep,
)
from plugin.cli.session import complain
from plugin.errors import SurveyPluginError


class _Commands(click.Group):
    """Turns this program's own errors into sentences and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SurveyPluginError as error:
            complain(error)
            ctx.exit(1)
        except BrokenPipeError:
            # The reader of our output has gone (`… | head`): nothing is wrong.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(0)
        except OSError as error:
            # A file or folder that a person named, or that the settings name.
            place = f"{error.filename}: " if error.filename else ""
            click.echo(f"{place}{error.strerror or error}", err=True)
            ctx.exit(1)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="survey-plugin")
def main() -> None:
    """Survey invitations when a ticket is closed, a chat has ended or a CRM rule fires.

    Settings come from the environment; see the README. Start with: survey-plugin demo
    """


_MODULES = (
    running,
    backup,
    demo,
    sandbox,
    tenants,
    connections,
    pasted,
    deliveries,
    replays,
    suppressions,
    manifests,
    upkeep,
    doctor,
    connectors,
)

for module in _MODULES:
    for command in module.COMMANDS:
        main.add_command(command)
