"""The commands."""

from edgebox.cli.main import main

__all__ = ["main"]
