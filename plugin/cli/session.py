"""What every command starts with: the configuration, the parts, and a store whose tables are there."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from plugin.app import Config, Parts, configure_logging, open_parts, read_configuration
from plugin.errors import ConfigInvalid, Problem, StoreBroken, SurveyPluginError, TenantFileInvalid
from plugin.store.schema import migrate, schema_problem


def configuration() -> Config:
    """The environment's configuration, with logging set up by it. Raises ConfigInvalid."""
    config = read_configuration()
    configure_logging(config.log_format)
    return config


def parts(*, create: bool = False) -> Parts:
    """Everything a command needs. create: bring the tables up to date first, as `apply` and `serve` do.

    Raises ConfigInvalid, StoreBroken, StoreUnavailable.
    """
    opened = open_for_command(configuration())
    if create or not opened.database.is_there:
        migrate(opened.database)
    problem = schema_problem(opened.database)
    if problem is not None:
        raise StoreBroken(problem)
    return opened


def open_for_command(config: Config) -> Parts:
    """The parts as they are, whatever the state of the database; closed when the command ends."""
    opened = open_parts(config)
    click.get_current_context().call_on_close(opened.close)
    return opened


def print_json(value: Mapping[str, Any]) -> None:
    """One object on one line of standard output; times as ISO 8601 has them."""
    click.echo(json.dumps(value, ensure_ascii=False, default=_plain))


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def read_text(path: str) -> str:
    """The text of a file, or of standard input for `-`. Raises TenantFileInvalid when it is no text."""
    try:
        return sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise TenantFileInvalid([Problem(path, f"is not UTF-8 text (byte {error.start}).")]) from None


def complain(error: SurveyPluginError) -> None:
    """Tell a problem on standard error, one line for each fault."""
    if isinstance(error, ConfigInvalid):
        lines = list(error.problems)
    elif isinstance(error, TenantFileInvalid):
        lines = [str(problem) for problem in error.problems]
    else:
        lines = [str(error)]
    for line in lines:
        click.echo(line, err=True)
