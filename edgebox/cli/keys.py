"""Reading a key without leaving it in the shell's history."""

from __future__ import annotations

import sys

import click


def read_key(given: str, what: str = "Key") -> str:
    """`-` asks for the key on a terminal, or reads it from standard input; anything else is the key."""
    if given != "-":
        return given
    if sys.stdin.isatty():
        return str(click.prompt(what, hide_input=True, err=True)).strip()
    try:
        return sys.stdin.readline().strip()
    except UnicodeDecodeError:
        raise click.UsageError(f"the {what.lower()} that was read is not text") from None
