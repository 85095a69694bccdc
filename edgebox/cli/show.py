"""Showing things on a terminal."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import click
import segno


def as_json(value: Any) -> None:
    """One JSON document."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Columns as wide as they need to be."""
    lines = [list(headings), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def moment(text: str | None) -> str:
    """An instant in this machine's zone, to the second; `-` for none."""
    if text is None:
        return "-"
    return datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def age(text: str | None) -> str:
    """How long ago; `-` for never."""
    if text is None:
        return "-"
    seconds = max(0, int((datetime.now(UTC) - datetime.fromisoformat(text)).total_seconds()))
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit} ago"
    return f"{seconds} s ago"


def masked(secret: str) -> str:
    """Enough of a secret to recognise it, too little to use it."""
    return printable(secret if len(secret) <= 4 else f"{secret[:4]}...")


def printable(text: str) -> str:
    """Text of unknown origin without control characters: what somebody scanned must not steer a terminal."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def qr(text: str) -> None:
    """A QR code that a phone can scan from the terminal; only the text where it cannot be drawn."""
    drawing = io.StringIO()
    segno.make(text, error="m", micro=False).terminal(out=drawing, compact=True, border=2)
    try:
        drawing.getvalue().encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return
    click.echo(drawing.getvalue())


def _cell(value: object) -> str:
    return "-" if value is None else printable(str(value))
