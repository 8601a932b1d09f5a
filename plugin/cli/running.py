"""Commands that run or prepare the installation: serve, worker, migrate."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

import click

from plugin.app import create_app
from plugin.cli.ports import url_of, wait_until_free
from plugin.cli.session import configuration, open_for_command, parts
from plugin.cli.supervise import Supervisor, stop_on_signals, watch_lifeline
from plugin.store.restored import refuse_undecided_copy
from plugin.store.schema import migrate as migrate_schema
from plugin.web.server import run_web


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535))
def serve(host: str, port: int) -> None:
    """Run web and worker on this machine; brings the database up to date first.

    Dead children are restarted, and they end with this process however it ends.
    """
    opened = parts(create=True)
    with opened.database.read() as db:
        refuse_undecided_copy(db)
    opened.database.close()
    wait_until_free(host, port)
    click.echo(f"survey-plugin serves {url_of(host, port)} (Ctrl-C stops it)", err=True)
    Supervisor([["web", "--host", host, "--port", str(port)], ["worker"]]).run()


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535))
def web(host: str, port: int) -> None:
    """Run the web part only (gunicorn on the application)."""
    config = configuration()
    run_web(lambda: create_app(config), host, port, workers=config.web_concurrency, on_start=_end_with_parent)


def _end_with_parent(arbiter: int) -> None:
    """In a gunicorn worker: stop the arbiter when the parent of both is gone. A worker alone would be replaced."""

    def stop_arbiter() -> None:
        # A dead arbiter's number may belong to somebody else by now; its workers end by themselves.
        if os.getppid() == arbiter:
            os.kill(arbiter, signal.SIGTERM)

    watch_lifeline(stop_arbiter)


@click.command()
def worker() -> None:
    """Run a worker only: it makes the survey calls that are due."""
    opened = parts()
    with opened.database.read() as db:
        refuse_undecided_copy(db)
    stop = stop_on_signals()
    watch_lifeline(stop.set)
    with opened.outbound() as outbound:
        opened.worker(outbound).run(stop)


@click.command()
def migrate() -> None:
    """Bring the database's tables to the newest version."""
    before, after = migrate_schema(open_for_command(configuration()).database)
    if before == after:
        click.echo(f"The database is up to date (schema {after}).")
    else:
        click.echo(f"The database is now at schema {after} (it was {'empty' if before is None else f'at {before}'}).")


COMMANDS: Sequence[click.Command] = (serve, web, worker, migrate)
