"""`sandbox` runs the pretend survey vendors alone, for trials."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import indent
from typing import Final

import click

from plugin import registry
from plugin.cli.ports import wait_until_free
from plugin.cli.supervise import stop_on_signals
from plugin.sandbox.server import Sandbox, sandbox_modules

_EXAMPLE: Final = """\
survey-plugin sandbox &
export EXTRA_VENDOR_ORIGINS=http://127.0.0.1:9000
survey-plugin apply acme.yaml      # settings: {origin: "http://127.0.0.1:9000", ...}
survey-plugin serve
"""


class _WithWords(click.Command):
    """Tells below its options how a connection gets here, and the magic words of every vendor."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Example"):
            formatter.write(indent(_EXAMPLE, " " * formatter.current_indent))
        formatter.write_paragraph()
        formatter.write_text(
            "Magic words choose the answer; everything else is answered with success. The page at the sandbox's "
            "address lists them too, beside what came in."
        )
        for name, module in sandbox_modules().items():
            with formatter.section(registry.vendor(name).VENDOR.title):
                formatter.write_text(module.HINT)
                formatter.write_paragraph()
                formatter.write_dl([(word, trick.meaning) for word, trick in module.TRICKS.items()])


@click.command(cls=_WithWords)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=9000, show_default=True, type=click.IntRange(1, 65535))
def sandbox(host: str, port: int) -> None:
    """Run pretend survey vendors for trials: they answer as the real ones document, and reach nobody.

    A connection points at them when its origin is their address, http://127.0.0.1:9000 unless you choose another one.
    That address must stand in EXTRA_VENDOR_ORIGINS for serve, worker and apply; the example below does all of it.
    """
    wait_until_free(host, port, patience=0)
    with Sandbox(host, port) as running:
        click.echo(f"The sandbox vendors answer at {running.origin} and list there what they received.")
        click.echo(f"Let connections point at it with: EXTRA_VENDOR_ORIGINS={running.origin}")
        click.echo("Magic words for other answers than success: survey-plugin sandbox --help")
        stop_on_signals().wait()


COMMANDS: Sequence[click.Command] = (sandbox,)
