"""`doctor` looks at an installation and names each fault."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

import click

from plugin import __version__
from plugin.app import Config, Parts, read_configuration
from plugin.cli import doctor_store
from plugin.cli.doctor_store import Finding
from plugin.cli.own_pages import ask_own
from plugin.cli.session import open_for_command
from plugin.errors import ConfigInvalid, OutboundFailed, SurveyPluginError

_CLOCK_TOLERANCE: Final = timedelta(seconds=60)
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
#: Failures to reach BASE_URL that are expected while nothing runs there.
_NOT_YET: Final = frozenset({"refused", "timeout", "reset"})


@click.command()
def doctor() -> None:
    """Check configuration, keys, database and server, clock, workers, retention and reachability; name each fault."""
    click.echo(f"survey-plugin {__version__}")
    try:
        config = read_configuration()
    except ConfigInvalid as error:
        for problem in error.problems:
            _tell("fault", problem)
        click.get_current_context().exit(1)
    _tell("fine", "The environment is complete and well formed.")
    faults = 0
    for check in _checks(config):
        try:
            findings = list(check())
        except SurveyPluginError as error:
            findings = [("fault", str(error))]
        for word, sentence in findings:
            _tell(word, sentence)
            faults += word == "fault"
    if faults:
        click.echo(f"{faults} fault{'' if faults == 1 else 's'} found.")
        click.get_current_context().exit(1)
    click.echo("No fault found.")


def _checks(config: Config) -> Iterator[Callable[[], Iterator[Finding]]]:
    """All checks in the order in which they are told; those of what is in the store only where it can be opened."""
    for look in (doctor_store.check_folder, doctor_store.check_filesystem, doctor_store.check_sqlite_version):
        yield partial(look, config)
    opened: list[Parts] = []

    def database() -> Iterator[Finding]:
        parts = open_for_command(config)
        findings = list(doctor_store.check_database(parts))
        if all(word != "fault" for word, _ in findings):
            opened.append(parts)
        yield from findings

    yield database
    for parts in opened:
        yield from (partial(look, parts) for look in _IN_THE_STORE)
    yield lambda: _base_url(config, opened)
    yield lambda: _metrics(config)


_IN_THE_STORE: Final = (
    doctor_store.check_server,
    doctor_store.check_copy,
    doctor_store.check_keys,
    doctor_store.check_older_keys,
    doctor_store.check_workers,
    doctor_store.check_retention,
)


def _base_url(config: Config, opened: list[Parts]) -> Iterator[Finding]:
    """Whether helpdesks would reach us at BASE_URL, and whether our clock agrees with what answers there."""
    if urlsplit(config.base_url).hostname in _LOOPBACK:
        yield "note", f"BASE_URL is {config.base_url}: only programs on this machine can call it."
    elif not config.is_https:
        yield "note", f"BASE_URL {config.base_url} is not https: whoever is on the way can read what helpdesks send."
    try:
        answer = ask_own(config, "healthz")
    except OutboundFailed as error:
        # Before the first start nothing can answer yet; a wrong name or certificate is wrong then too.
        is_awaited = error.kind in _NOT_YET and not (opened and doctor_store.workers_alive(opened[0]))
        after = " Nothing may be running yet." if is_awaited else ""
        yield "note" if is_awaited else "fault", f"BASE_URL, where helpdesks call, does not answer: {error}{after}"
        return
    if answer.status != HTTPStatus.OK or answer.json_object.get("status") != "up":
        yield "fault", f"BASE_URL {config.base_url} answers {answer.status}, but it is not survey-plugin there."
        return
    yield "fine", f"BASE_URL {config.base_url} is reached."
    yield from _clock(answer.headers.get("date"))


def _clock(date: str | None) -> Iterator[Finding]:
    if date is None:
        return
    away = abs(datetime.now(UTC) - parsedate_to_datetime(date))
    if away > _CLOCK_TOLERANCE:
        yield "fault", f"This machine's clock and the one behind BASE_URL are {away.total_seconds():.0f} s apart."
    else:
        yield "fine", "The clock agrees with the one behind BASE_URL."


def _metrics(config: Config) -> Iterator[Finding]:
    if config.operator_token is None:
        yield "note", "OPERATOR_TOKEN is not set: /metrics shows nothing to anybody."
    else:
        yield "fine", "/metrics is shown for the OPERATOR_TOKEN."


def _tell(word: str, sentence: str) -> None:
    click.echo(f"{word:<5}  {sentence}")


COMMANDS: Sequence[click.Command] = (doctor,)
