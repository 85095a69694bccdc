"""The commands: a module each, and what they share."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; the entry point of `edgebox`."""
    try:
        # Here, so that Ctrl-C ends without a traceback while the program still loads.
        from edgebox.cli.main import run
    except KeyboardInterrupt:
        sys.exit(130)
    run()
