"""Showing things on a terminal."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import click

_QUIET_ZONE = 2
"""Light modules around a QR code: half of what the standard wants, which phones can do with."""

_STEERING = re.compile(r"[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""What JSON leaves as it is and a terminal obeys: controls, and marks that turn the direction of text."""


def as_json(value: Any, *, indent: int | None = 2) -> str:
    """JSON in readable characters, but for those that would steer a terminal."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return _STEERING.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def stream_json(key: str, rows: Iterable[dict[str, Any]]) -> None:
    """`{key: [...]}`, a row a line, in bounded memory."""
    click.echo(f'{{"{key}": [', nl=False)
    separator = "\n"
    for row in rows:
        click.echo(separator + as_json(row, indent=None), nl=False)
        separator = ",\n"
    click.echo("\n]}")


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
    """How long ago; `never` for none."""
    if text is None:
        return "never"
    seconds = max(0, int((datetime.now(UTC) - datetime.fromisoformat(text)).total_seconds()))
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit} ago"
    return f"{seconds} s ago"


def count(number: int, noun: str) -> str:
    """`1 ticket`, `2 tickets`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def masked(secret: str) -> str:
    """Enough of a secret to recognise it, too little to use it."""
    return printable(f"{secret[: min(4, len(secret) // 2)]}...")


def printable(text: str) -> str:
    """Text of unknown origin in one line: what somebody scanned must not steer a terminal."""
    return "".join(
        character if character.isprintable() else " " if character.isspace() else "\N{REPLACEMENT CHARACTER}"
        for character in text
    )


def qr(text: str, *, only_drawn: bool = False) -> None:
    """A QR code that a phone can scan from the terminal, and its text; the text alone where it cannot be drawn."""
    drawing, width = _drawn(text)
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else width
    if not _can_be_shown(drawing):
        reason = "This terminal cannot show the QR code"
    elif columns < width:
        reason = f"The terminal is too narrow for the QR code ({columns} of {width} columns)"
    else:
        click.echo(drawing)
        reason = None
    if reason and not only_drawn:
        click.echo(f"{reason}; its text is:")
    if not only_drawn:
        click.echo(text)


def _drawn(text: str) -> tuple[str, int]:
    """Two rows of modules in each line of text, and how many columns that takes."""
    import segno

    rows = [bytes(row) for row in segno.make(text, error="l", micro=False).matrix_iter(border=_QUIET_ZONE)]
    if len(rows) % 2:
        rows.append(bytes(len(rows[0])))
    blocks = {(0, 0): " ", (0, 1): "\N{LOWER HALF BLOCK}", (1, 0): "\N{UPPER HALF BLOCK}", (1, 1): "\N{FULL BLOCK}"}
    lines = (
        "".join(blocks[bool(top), bool(bottom)] for top, bottom in zip(upper, lower, strict=True))
        for upper, lower in zip(rows[::2], rows[1::2], strict=True)
    )
    # Dark on light whatever the terminal's own colours are: some apps read no other codes.
    return "\n".join(click.style(line, fg="black", bg="bright_white") for line in lines), len(rows[0])


def _can_be_shown(drawing: str) -> bool:
    try:
        drawing.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def _cell(value: object) -> str:
    return "-" if value is None else printable(str(value))
