"""Purges as commands see them: JSON."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from edgebox.control import Report
from edgebox.purging import Outlook, Purged


def outlook(each: Outlook) -> dict[str, Any]:
    """What there is of a list, and when it goes."""
    personal = each.personal
    return {
        "id": each.list.id,
        "name": each.list.name,
        "path": each.list.path,
        "removed": each.is_removed,
        "event_ends": _text(each.ends_at),
        "due": _text(each.due_at),
        "hindrance": each.hindrance,
        "tickets": personal.tickets,
        "checkins": personal.checkins,
        "unsettled": personal.unsettled,
        "attempts": personal.attempts,
        "notes": personal.notes,
        "begun": personal.is_begun,
        "purged": _text(personal.ended_at),
        "rewritten": personal.is_rewritten,
    }


def told(purged: Purged) -> dict[str, Any]:
    """What a purge came to."""
    return {
        "purged": [
            {
                "id": list_.id,
                "name": list_.name,
                "tickets": gone.tickets,
                "checkins": gone.checkins,
                "attempts": gone.attempts,
                "devices": list(gone.devices),
            }
            for list_, gone in purged.lists
        ],
        "problems": list(purged.problems),
        "rewritten": purged.is_rewritten,
        "copies": [str(path) for path in purged.copies.done],
        "unreached": [{"path": str(path), "why": why} for path, why in purged.copies.left],
        "taken_along": list(purged.by_hand),
    }


def progress(report: Report) -> Callable[[str, int], None]:
    """How far a purge is, as a command is told."""
    return lambda what, rows: report({"what": what, "rows": rows})


def _text(instant: datetime | None) -> str | None:
    return instant.isoformat() if instant else None
