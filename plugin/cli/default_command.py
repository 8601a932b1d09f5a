"""A group of commands whose most usual one need not be named."""

from __future__ import annotations

from typing import Any

import click


class GroupWithDefault(click.Group):
    """Where the first word is neither a command of the group nor asks for help, the default command gets all words."""

    def __init__(self, *arguments: Any, default: str, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._default = default

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = [self._default, *args]
        return super().parse_args(ctx, args)
