"""Pretix tells everything in pages of at most fifty.

Its `next` names pretix as pretix believes to be reached, which behind a proxy is not where the box reaches it: pages
are asked for by number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from edgebox.upstream import NotUpstream, Unreachable
from edgebox.upstream.pretix.connection import Line, NotThere, Told
from edgebox.upstream.transport import LOGIN_PAGE_HINT

PAGE_SIZE = 50
"""Pretix's own limit; it takes a larger number for this one."""

PATIENCE_S = 120.0
"""A pause that pretix asks for is waited out in the middle of a download when it is no longer than this."""
MAX_PAUSES = 10

Pairs = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Rows:
    """One page: its rows, and what pretix says around them."""

    rows: list[Any] = field(repr=False)
    count: int
    """How many rows all pages have together, when this one was told; 0 for a page beyond the last one."""
    is_last: bool
    generated: str | None = None
    last_modified: str | None = None


def one_page(line: Line, path: str, params: Pairs, number: int = 1, since: str | None = None) -> Rows | None:
    """The page with this number; None when nothing has changed `since`."""
    paged = [*params, ("page_size", str(PAGE_SIZE)), *([("page", str(number))] if number > 1 else [])]
    try:
        told = line.get(path, paged, expects="results", since=since)
    except NotThere:
        if number == 1:
            raise
        return Rows([], 0, is_last=True)  # there were more rows before
    return None if told is None else _rows(told)


def everything(line: Line, path: str, params: Pairs, since: str | None = None) -> Rows | None:
    """All pages as if they were one, for what is small; None when nothing has changed `since`."""
    first = page = one_page(line, path, params, since=since)
    if first is None or page is None:
        return None
    rows, number = list(first.rows), 1
    while not page.is_last:
        number += 1
        page = needed_page(line, path, params, number)
        rows += page.rows
    return Rows(rows, first.count, True, first.generated, first.last_modified)


def needed_page(line: Line, path: str, params: Pairs, number: int = 1) -> Rows:
    """The page with this number. A pause that pretix asks for is waited out."""
    for _ in range(MAX_PAUSES):
        try:
            page = one_page(line, path, params, number)
        except Unreachable as error:
            if error.retry_after_s is None or error.retry_after_s > PATIENCE_S or line.is_closed:
                raise
            line.connection.limits.rest(error.retry_after_s)
        else:
            assert page is not None
            return page
    raise Unreachable("pretix is busy for too long", retry_after_s=PATIENCE_S)


def pages(line: Line, path: str, params: Pairs) -> Iterator[Rows]:
    """All pages, one after the other."""
    number = 1
    while True:
        page = needed_page(line, path, params, number)
        yield page
        if page.is_last:
            return
        number += 1


def _rows(told: Told) -> Rows:
    rows, count = told.body["results"], told.body.get("count")
    if not isinstance(rows, list) or not isinstance(count, int) or isinstance(count, bool) or count < len(rows):
        raise NotUpstream("the answer is no page of pretix's", LOGIN_PAGE_HINT)
    return Rows(rows, count, told.body.get("next") is None, told.generated, told.last_modified)
