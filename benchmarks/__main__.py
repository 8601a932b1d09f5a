"""Run benchmarks: `python -m benchmarks [NAME ...]`; all of them when none is named."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from benchmarks import measure
from benchmarks.installation import STORES, postgresql_version
from benchmarks.profiler import profiling
from benchmarks.profiler import show as show_profile

NAMES = ("accept", "deliver", "both", "backlog", "neighbours", "latency", "memory")


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(NAMES))
@click.option("--store", envvar="STORE", type=click.Choice([*STORES, "both"]), default="both", show_default=True)
@click.option("--quick", envvar="QUICK", is_flag=True, help="Tiny: only to see that it works.")
@click.option("--profile", envvar="PROFILE", is_flag=True, help="Show what the processes spend their time on.")
@click.option("--rounds", envvar="ROUNDS", type=click.IntRange(1), help="Instead of each benchmark's own number.")
def main(names: Sequence[str], store: str, quick: bool, profile: bool, rounds: int | None) -> None:
    """Measure, each figure beside its floor in the same run.

    It is kept in benchmarks/results/, unless it is quick, profiled or of fewer than three rounds: that says too little.
    """
    keep_in = None if quick or profile or (rounds or 3) < 3 else measure.RESULTS
    for name in names or NAMES:
        for one in STORES if store == "both" else (store,):
            run(name, measure.Scope(one, quick, rounds), keep_in=keep_in, profile=profile)


def run(name: str, scope: measure.Scope, *, keep_in: Path | None, profile: bool = False) -> None:
    """Run one benchmark on one store, print what it found and write it to the folder `keep_in`."""
    click.echo(f"\n{name} on {scope.store}, {os.cpu_count()} cores, Python {platform.python_version()}", err=True)
    with TemporaryDirectory() as folder, profiling(Path(folder) if profile else None):
        result = import_module(f"benchmarks.{name}").measure(scope)
        click.echo(measure.show(result, scope.store))
        if profile:
            click.echo(show_profile(Path(folder)))
    if keep_in is not None:
        measure.keep(result, scope.store, _version(scope.store), keep_in)


def _version(store: str) -> dict[str, str]:
    return {"postgresql": postgresql_version()} if store == "postgresql" else {"sqlite": measure.sqlite_version()}


if __name__ == "__main__":
    main()
