"""`edgebox export`: read from the database, beside whatever box runs."""

from __future__ import annotations

import csv
import json
import sys
from functools import cache
from typing import TYPE_CHECKING, Any

import click

from edgebox.cli import show
from edgebox.cli.context import NUMBER, Context, pass_context

if TYPE_CHECKING:
    from edgebox.model import Catalog
    from edgebox.store.journal import ExportedCheckIn

COLUMNS = (
    "id", "list", "list_name", "secret", "order", "name", "item", "datetime", "received", "nonce", "forced", "offline",
    "device", "answers", "state", "settled", "settled_at", "conflict", "conflict_note", "conflict_opened",
    "conflict_closed", "closed_reason",
)  # fmt: skip

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""A spreadsheet takes a cell that begins so for a formula; some do so for the wide forms as well."""


@click.command()
@click.option("--list", "list_id", type=NUMBER, help="Only this list.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "json"]),
    default="csv",
    show_default=True,
    help="csv for spreadsheets, json for programs; both in UTF-8.",
)
@pass_context
def export(context: Context, list_id: int | None, form: str) -> None:
    """Write the whole journal of check-ins.

    Those of lists that were removed are in it. In CSV, text that a spreadsheet would take for a formula has an
    apostrophe before it.
    """
    from edgebox.store.journal import export as exported

    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    with context.records() as connection:
        rows = map(_row, exported(connection, list_id))
        if form == "json":
            show.stream_json("checkins", rows)
            return
        writer = csv.DictWriter(sys.stdout, COLUMNS)
        writer.writeheader()
        for row in rows:
            row["answers"] = json.dumps(row["answers"], ensure_ascii=False) if row["answers"] else ""
            writer.writerow({column: _harmless(value) for column, value in row.items()})


def _row(row: ExportedCheckIn) -> dict[str, Any]:
    checkin = row.checkin
    item = _catalog(row.catalog).item(row.item_id) if row.catalog else None
    return {
        "id": checkin.id,
        "list": checkin.list_id,
        "list_name": row.list_name,
        "secret": checkin.secret,
        "order": row.order_code,
        "name": row.attendee_name,
        "item": item.name if item else f"#{row.item_id}",
        "datetime": checkin.datetime.isoformat(),
        "received": checkin.received_at.isoformat(),
        "nonce": checkin.nonce,
        "forced": checkin.is_forced,
        "offline": checkin.is_offline,
        "device": checkin.device_name,
        "answers": {str(question_id): text for question_id, text in checkin.answers.items()},
        "state": checkin.state,
        "settled": checkin.state == "settled",
        "settled_at": checkin.settled_at and checkin.settled_at.isoformat(),
        "conflict": checkin.conflict,
        "conflict_note": checkin.conflict_note,
        "conflict_opened": checkin.conflict_opened_at and checkin.conflict_opened_at.isoformat(),
        "conflict_closed": checkin.conflict_closed_at and checkin.conflict_closed_at.isoformat(),
        "closed_reason": checkin.closed_reason,
    }


@cache
def _catalog(text: str) -> Catalog:
    """Read once, though it comes with every row of a list."""
    from edgebox.store.lists import catalog_from_json

    return catalog_from_json(text)


def _harmless(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value
