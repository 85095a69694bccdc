"""`edgebox log` and `edgebox export`: read from the database, beside whatever box runs."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import click

from edgebox.cli import show
from edgebox.cli.context import Context, pass_context
from edgebox.instants import parse_client_datetime
from edgebox.model import CheckInState
from edgebox.store import open_for_reading
from edgebox.store.journal import ExportedCheckIn
from edgebox.store.journal import export as exported
from edgebox.store.lists import catalog_from_json
from edgebox.store.log import LogEntry, entries

COLUMNS = (
    "id", "list", "list_name", "secret", "order", "name", "item", "datetime", "received", "nonce", "forced", "offline",
    "device", "answers", "state", "settled", "settled_at", "conflict", "conflict_note", "conflict_opened",
    "conflict_closed", "closed_reason",
)  # fmt: skip

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet takes a cell that begins so for a formula."""


def _since(context: click.Context, parameter: click.Parameter, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        clock_time = datetime.strptime(text, "%H:%M").time()
    except ValueError:
        pass
    else:
        return datetime.combine(datetime.now().astimezone().date(), clock_time).astimezone(UTC)
    try:
        return parse_client_datetime(text)
    except ValueError:
        raise click.BadParameter(
            "a time of today such as 19:42, or 2026-11-24T19:42:00+01:00 (UTC without offset)"
        ) from None


@click.command()
@click.option("--list", "list_id", type=int, help="Only this list.")
@click.option("--device", help="Only this device.")
@click.option("--secret", help="Only this ticket; its secret is then shown in full.")
@click.option("--name", help="Only guests whose name contains this; case and accents do not matter.")
@click.option("--since", callback=_since, help="Only from this time on: 19:42 (today), or 2026-11-24T19:42:00+01:00.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, with secrets in full.")
@pass_context
def log(
    box: Context,
    list_id: int | None,
    device: str | None,
    secret: str | None,
    name: str | None,
    since: datetime | None,
    as_json: bool,
) -> None:
    """Show every attempt, accepted or refused, newest last: why was this guest turned away at 19:42?"""
    found = entries(
        open_for_reading(box.config().data_dir), list_id=list_id, device=device, secret=secret, name=name, since=since
    )
    if as_json:
        _stream_json("attempts", (_log_row(entry) for entry in found))
        return
    for entry in found:
        shown = show.printable(entry.secret) if secret else show.masked(entry.secret)
        who = ", ".join(show.printable(part) for part in (entry.order_code, entry.attendee_name) if part)
        again = f"  {entry.count} times, last {show.moment(entry.last_at.isoformat())}" if entry.count > 1 else ""
        forced = " (forced)" if entry.is_forced else ""
        repeat = " (repeated)" if entry.is_repeat else ""
        click.echo(
            f"{show.moment(entry.at.isoformat())}  {entry.verdict}{forced}{repeat}  {shown}  {who or '-'}  "
            f"{show.printable(entry.device_name or '-')}, {show.printable(entry.list_name)}{again}"
        )


@click.command()
@click.option("--list", "list_id", type=int, help="Only this list.")
@click.option("--format", "form", type=click.Choice(["csv", "json"]), default="csv", show_default=True)
@pass_context
def export(box: Context, list_id: int | None, form: str) -> None:
    """Write the whole journal of check-ins, those of removed lists included."""
    rows = (_export_row(row) for row in exported(open_for_reading(box.config().data_dir), list_id))
    if form == "json":
        _stream_json("checkins", rows)
        return
    writer = csv.DictWriter(sys.stdout, COLUMNS)
    writer.writeheader()
    for row in rows:
        row["answers"] = json.dumps(row["answers"], ensure_ascii=False) if row["answers"] else ""
        writer.writerow({column: _harmless(value) for column, value in row.items()})


def _stream_json(key: str, rows: Iterator[dict[str, Any]]) -> None:
    """`{key: [...]}`, a row a line, in bounded memory."""
    click.echo(f'{{"{key}": [', nl=False)
    separator = "\n"
    for row in rows:
        click.echo(separator + json.dumps(row, ensure_ascii=False), nl=False)
        separator = ",\n"
    click.echo("\n]}")


def _log_row(entry: LogEntry) -> dict[str, Any]:
    return {
        "at": entry.at.isoformat(),
        "last_at": entry.last_at.isoformat(),
        "count": entry.count,
        "list": entry.list_id,
        "list_name": entry.list_name,
        "device": entry.device_name,
        "secret": entry.secret,
        "order": entry.order_code,
        "name": entry.attendee_name,
        "verdict": entry.verdict,
        "forced": entry.is_forced,
        "repeated": entry.is_repeat,
    }


def _export_row(row: ExportedCheckIn) -> dict[str, Any]:
    checkin = row.checkin
    item = catalog_from_json(row.catalog).item(row.item_id) if row.catalog else None
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
        "settled": checkin.state is CheckInState.SETTLED,
        "settled_at": checkin.settled_at and checkin.settled_at.isoformat(),
        "conflict": checkin.conflict,
        "conflict_note": checkin.conflict_note,
        "conflict_opened": checkin.conflict_opened_at and checkin.conflict_opened_at.isoformat(),
        "conflict_closed": checkin.conflict_closed_at and checkin.conflict_closed_at.isoformat(),
        "closed_reason": checkin.closed_reason,
    }


def _harmless(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value
