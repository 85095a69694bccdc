"""All orders of an event, from the first to the last.

A page far behind costs pretix several times what the first one does: it has to count its way there. So each request
asks for the first fifty after the last order that is known. Two stretches of time are gone through at once: one half of
the orders each. An order that is deleted or put in meanwhile moves none of the others out of sight.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from edgebox.upstream.pretix.connection import Line
from edgebox.upstream.pretix.paging import PAGE_SIZE, Rows, needed_page
from edgebox.upstream.pretix.reading import FIELDS

AT_ONCE = 2
"""Requests under way at the same time: on a server with two cores that halves the time, more do not help; and with a
distant one it keeps up the rate that its limit allows, although each answer takes a while."""

WORTH_SPLITTING = 4 * PAGE_SIZE

BY_AGE = ("ordering", "datetime")


@dataclass(slots=True)
class Stretch:
    """Orders made from `since` on (None: the first one) and before `before`, as far as they are not told yet."""

    since: str | None
    before: str
    number: int = 1
    """Page after `since`; beyond 1 only where more orders than fit on a page were made at the same moment."""
    is_through: bool = False
    _at_since: frozenset[str] = field(default=frozenset(), repr=False)

    def params(self) -> list[tuple[str, str]]:
        """What to ask for next."""
        since = [("created_since", self.since)] if self.since else []
        return [*FIELDS, BY_AGE, ("created_before", self.before), *since]

    def take(self, page: Rows) -> list[Any]:
        """Go on behind this page. Those of its orders that were not on the page before."""
        rows = [row for row in page.rows if _text(row, "code") not in self._at_since]
        self.is_through = page.is_last
        last = _text(page.rows[-1], "datetime") if page.rows else None
        if last is None or last == self.since:
            self.number += 1
        else:
            self.since, self.number, self._at_since = last, 1, frozenset()
        here = (_text(row, "code") for row in page.rows if _text(row, "datetime") == self.since)
        self._at_since |= {code for code in here if code is not None}
        return rows


def stretches(line: Line, path: str, before: str, total: int) -> list[Stretch]:
    """All orders made before that moment, in two halves where that is worth it."""
    if total >= WORTH_SPLITTING:
        middle = [BY_AGE, ("created_before", before), ("include", "datetime"), ("page_size", "1")]
        told = line.get(path, [*middle, ("page", str(total // 2))], expects="results")
        rows = told.body["results"] if told else None
        at = _text(rows[0], "datetime") if isinstance(rows, list) and rows else None
        if at is not None:
            return [Stretch(None, at), Stretch(at, before)]
    return [Stretch(None, before)]


def download(line: Line, path: str, left: list[Stretch]) -> Iterator[list[Any]]:
    """The rows of each page. When one is told, `left` says where to go on after it."""
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="pretix-orders") as pool:
        under_way: dict[Future[Rows], Stretch] = {}

        def ask(stretch: Stretch) -> None:
            under_way[pool.submit(needed_page, line, path, stretch.params(), stretch.number)] = stretch

        try:
            for stretch in left:
                ask(stretch)
            while under_way:
                for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                    stretch = under_way.pop(future)
                    rows = stretch.take(future.result())
                    if not stretch.is_through:
                        ask(stretch)  # it comes while these are looked at
                    yield rows
        finally:
            for future in under_way:
                future.cancel()


def _text(row: object, key: str) -> str | None:
    value = row.get(key) if isinstance(row, dict) else None
    return value if isinstance(value, str) else None
