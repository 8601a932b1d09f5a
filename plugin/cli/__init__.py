"""The commands. Exit 0: done; 1: a problem told in sentences; 2: wrong use."""

from plugin.cli.main import main

__all__ = ["main"]
