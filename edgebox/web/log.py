"""The log: attempts, syncs, and what staff did; to look at and to take along."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from flask import Blueprint, Response, render_template, request

from edgebox.box import Box
from edgebox.export import (
    DEED_COLUMNS,
    JOURNAL_COLUMNS,
    LOG_COLUMNS,
    SYNC_COLUMNS,
    deed_row,
    journal_row,
    log_row,
    sync_row,
    write_csv,
)
from edgebox.store.journal import export
from edgebox.store.log import LogEntry, entries
from edgebox.web.fields import asked_id
from edgebox.web.files import as_file
from edgebox.web.people import for_lead
from edgebox.web.words import zone_of

A_PAGE = 50
MAX_PAGE = 10_000
IN_MEMORY_BYTES = 8_000_000
EXPORTED = 100_000
"""More syncs and deeds than are kept."""
FILTERS = ("list", "device", "name", "secret", "since")
ATTEMPTS, SYNCS, DEEDS = "attempts", "syncs", "deeds"


def register(web: Blueprint, box: Box) -> None:
    """The page, and its exports."""

    @web.get("/log")
    @for_lead
    def log() -> str:
        show = request.args.get("show", ATTEMPTS)
        page = min(max(request.args.get("page", 1, type=int), 1), MAX_PAGE)
        # One more than is shown: whether there is a next page.
        start, stop = (page - 1) * A_PAGE, page * A_PAGE + 1
        rows: list[Any]
        if show == SYNCS:
            rows = box.store.runs.newest(stop, asked_id("list"))[start:]
        elif show == DEEDS:
            rows = box.store.staff.deeds(stop)[start:]
        else:
            show, rows = ATTEMPTS, list(islice(_wanted(box, is_newest_first=True), start, stop))
        lists = {list_.id: list_ for list_ in box.store.lists.all()}
        return render_template(
            "log.html",
            show=show,
            page=page,
            rows=rows[:A_PAGE],
            has_more=len(rows) > A_PAGE,
            asked={name: request.args[name] for name in FILTERS if request.args.get(name)},
            lists=lists,
            since_list=lists.get(asked_id("list") or 0) or next(iter(lists.values()), None),
            devices=box.store.devices.all(),
        )

    @web.get("/log.csv")
    @for_lead
    def log_csv() -> Response:
        return _csv("log.csv", LOG_COLUMNS, map(log_row, _wanted(box, is_newest_first=False)))

    @web.get("/syncs.csv")
    @for_lead
    def syncs_csv() -> Response:
        return _csv("syncs.csv", SYNC_COLUMNS, map(sync_row, box.store.runs.newest(EXPORTED, asked_id("list"))[::-1]))

    @web.get("/staff.csv")
    @for_lead
    def deeds_csv() -> Response:
        return _csv("staff.csv", DEED_COLUMNS, map(deed_row, box.store.staff.deeds(EXPORTED)[::-1]))

    @web.get("/journal.csv")
    @for_lead
    def journal_csv() -> Response:
        return _csv("journal.csv", JOURNAL_COLUMNS, map(journal_row, export(box.store.reading())))


def _wanted(box: Box, *, is_newest_first: bool) -> Iterator[LogEntry]:
    """What the filters in the address let through."""
    asked = request.args
    return entries(
        box.store.reading(),
        list_id=asked_id("list"),
        device=asked.get("device") or None,
        secret=asked.get("secret", "").strip() or None,
        name=asked.get("name", "").strip() or None,
        since=_since(box),
        is_newest_first=is_newest_first,
    )


def _since(box: Box) -> datetime | None:
    """In the time zone of the list that is asked for, else of the first one, as the page says."""
    list_ = box.store.lists.get(asked_id("list") or 0) or next(iter(box.store.lists.all()), None)
    try:
        return datetime.fromisoformat(request.args.get("since", "")).replace(tzinfo=zone_of(list_)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _csv(name: str, columns: tuple[str, ...], rows: Iterable[dict[str, Any]]) -> Response:
    """A finished file, so that a slow reader holds no thread of the scanners."""
    # In memory, unless it is large: temporary files wear the card. (Closed when it was sent.)
    file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES)  # noqa: SIM115
    text = io.TextIOWrapper(file, "utf-8-sig", newline="", write_through=True)
    write_csv(text, columns, rows)
    text.flush()
    text.detach()
    return as_file(file, name, "text/csv")
