"""The journal and the log as they are handed out: rows of plain values, for CSV and JSON."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable
from functools import cache
from typing import IO, Any

from edgebox.model import Catalog
from edgebox.store.journal import ExportedCheckIn
from edgebox.store.lists import catalog_from_json
from edgebox.store.log import LogEntry
from edgebox.store.purger import Remains
from edgebox.store.runs import SyncRun
from edgebox.store.staff import Deed

JOURNAL_COLUMNS = (
    "id", "list", "list_name", "secret", "order", "name", "item", "direction", "datetime", "received", "nonce",
    "forced", "offline", "device", "answers", "state", "settled", "settled_at", "conflict", "conflict_note",
    "conflict_opened", "conflict_closed", "closed_reason", "staff_reason", "undone_at", "undone_by", "undone_reason",
)  # fmt: skip

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""A spreadsheet takes a cell that begins so for a formula; some do so for the wide forms as well."""

_STEERING = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")

LOG_COLUMNS = (
    "at", "last_at", "count", "list", "list_name", "device", "secret", "order", "name", "direction", "verdict",
    "forced", "repeated", "undone",
)  # fmt: skip

SYNC_COLUMNS = ("at", "last_at", "count", "list", "what", "ok", "duration_s", "outcome")

COUNT_COLUMNS = ("list", "list_name", "minute", "item", "variation", "direction", "verdict", "count")

DEED_COLUMNS = ("at", "who", "role", "what", "about")


def journal_row(row: ExportedCheckIn) -> dict[str, Any]:
    """A check-in with JOURNAL_COLUMNS."""
    checkin, undo = row.checkin, row.cancellation
    item = _catalog(row.catalog).item(row.item_id) if row.catalog else None
    return {
        "id": checkin.id,
        "list": checkin.list_id,
        "list_name": row.list_name,
        "secret": checkin.secret,
        "order": row.order_code,
        "name": row.attendee_name,
        "item": item.name if item else f"#{row.item_id}",
        "direction": checkin.direction.value,
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
        "staff_reason": checkin.staff_reason,
        "undone_at": undo and undo.at.isoformat(),
        "undone_by": undo and undo.staff_name,
        "undone_reason": undo and undo.reason,
    }


def log_row(entry: LogEntry) -> dict[str, Any]:
    """An attempt with LOG_COLUMNS."""
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
        "direction": entry.direction.value,
        "verdict": entry.verdict,
        "forced": entry.is_forced,
        "repeated": entry.is_repeat,
        "undone": entry.is_undone,
    }


def sync_row(run: SyncRun) -> dict[str, Any]:
    """A push, pull, probe or look-up with SYNC_COLUMNS."""
    return {
        "at": run.at.isoformat(),
        "last_at": run.last_at.isoformat(),
        "count": run.count,
        "list": run.list_id,
        "what": run.verb,
        "ok": run.is_ok,
        "duration_s": round(run.duration_s, 3),
        "outcome": run.text,
    }


def count_row(row: Remains) -> dict[str, Any]:
    """What remains of a purged list, with COUNT_COLUMNS."""
    item = _catalog(row.catalog).item(row.item_id) if row.catalog else None
    variation = item.variation(row.variation_id) if item else None
    return {
        "list": row.list_id,
        "list_name": row.list_name,
        "minute": row.minute.isoformat(),
        "item": item.name if item else f"#{row.item_id}" if row.item_id else None,
        "variation": variation.name if variation else f"#{row.variation_id}" if row.variation_id else None,
        "direction": row.direction,
        "verdict": row.verdict,
        "count": row.count,
    }


def deed_row(deed: Deed) -> dict[str, Any]:
    """What somebody at a page did, with DEED_COLUMNS."""
    return {
        "at": deed.at.isoformat(),
        "who": deed.staff_name,
        "role": deed.role,
        "what": deed.action,
        "about": deed.about,
    }


def write_csv(
    file: IO[str], columns: tuple[str, ...], rows: Iterable[dict[str, Any]], *, has_head: bool = True
) -> None:
    """Rows as CSV; text that a spreadsheet would take for a formula gets an apostrophe before it. Control characters,
    which a terminal would obey, are replaced."""
    writer = csv.DictWriter(file, columns)
    if has_head:
        writer.writeheader()
    for row in rows:
        writer.writerow({column: _cell(value) for column, value in row.items()})


def _cell(value: object) -> object:
    if isinstance(value, dict):
        value = json.dumps(value, ensure_ascii=False) if value else ""
    if not isinstance(value, str):
        return value
    text = _STEERING.sub("\N{REPLACEMENT CHARACTER}", value)
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


@cache
def _catalog(text: str) -> Catalog:
    """Read once, though it comes with every row of a list."""
    return catalog_from_json(text)
