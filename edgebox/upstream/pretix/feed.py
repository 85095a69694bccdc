"""The orders of one event as they change (edgebox.upstream.Feed).

Pretix tells with each answer when it began to look for it. That, and never the box's clock, is the cursor from which
the next request asks for changes; a little earlier, since what was changed before may be committed after.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from edgebox.instants import parse_client_datetime
from edgebox.model import Catalog, ToldOrder
from edgebox.upstream import Master, NotUpstream, Page
from edgebox.upstream.pretix.connection import PretixConnection
from edgebox.upstream.pretix.download import Stretch, download, stretches
from edgebox.upstream.pretix.master import MasterData
from edgebox.upstream.pretix.paging import pages
from edgebox.upstream.pretix.reading import FIELDS, item_ids, read_order
from edgebox.upstream.transport import LOGIN_PAGE_HINT
from edgebox.upstream.wire import BadShape

log = logging.getLogger(__name__)

INTERVAL_S, LIMITED_INTERVAL_S = 5.0, 15.0

OVERLAP_S = 5.0
WIDE_OVERLAP_S, WIDE_EVERY_S = 120.0, 60.0
"""Most of pretix's transactions are over within seconds; an order that a slow one changes is found a minute later."""

AT_REST_S = 2.0
"""An order is told again until it has been unchanged for so long: its positions may be saved a moment after it."""

STATE_VERSION = 1


@dataclass(frozen=True, slots=True)
class _State:
    """Where a pass stands: what to ask for changes from; and while the first download is under way, what is left."""

    cursor: str
    left: tuple[tuple[str | None, str], ...] = ()
    """Stretches of time (since, before)."""
    done: int = 0
    total: int = 0

    def to_text(self) -> str:
        told: dict[str, Any] = {"v": STATE_VERSION, "cursor": self.cursor}
        first = {"left": self.left, "done": self.done, "total": self.total} if self.left else {}
        return json.dumps({**told, **first}, separators=(",", ":"))

    @staticmethod
    def from_text(text: str | None) -> _State | None:
        """None where there is nothing to go on from."""
        try:
            told = json.loads(text or "")
            if told["v"] != STATE_VERSION:
                return None
            _instant(told["cursor"])
            left = tuple((since, before) for since, before in told.get("left", ()))
            return _State(told["cursor"], left, int(told.get("done", 0)), int(told.get("total", 0)))
        except (ValueError, TypeError, KeyError):
            return None


class PretixFeed:
    """One event of a connection, for all of its lists. Open until `close()`."""

    def __init__(
        self, connection: PretixConnection, event: str, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.event = event
        self.unreadable = 0
        """How many orders of the last pass could not be read, and are as they were before."""
        self._connection = connection
        self._line = connection.line()
        self._path = self._line.of_event(event, "orders/")
        self._master = MasterData(self._line, event, monotonic)
        self._monotonic = monotonic
        self._known: dict[str, str] = {}
        """Orders that were told and taken in, with their `last_modified`, as long as they may be told again."""
        self._handed_out: str | None = None
        self._wide_at_s = float("-inf")

    @property
    def interval_s(self) -> float:
        """How often upstream may be asked for what has changed."""
        return LIMITED_INTERVAL_S if self._connection.is_limited else INTERVAL_S

    def close(self) -> None:
        """Give up what is under way: that, and every later verb, raises Unreachable at once."""
        self._line.close()

    def master(self) -> Master:
        """What there is beside the orders; asks only for what may have changed."""
        return self._master.ask()

    def catalog(self) -> Catalog:
        """What was last told of the event itself; asked for when nothing was."""
        return self._master.catalog()

    def count(self) -> int:
        """How many orders there are."""
        return self._now()[1]

    def follow(self, state: str | None) -> Iterator[Page]:
        """From where `state` left off until now: all orders (None), the rest of them, or what has changed since.

        A page counts as taken in once the next one is asked for. Where nothing has changed, so has not `state`.
        """
        at = _State.from_text(state)
        if at is None:
            cursor, total = self._now()
            left = stretches(self._line, self._path, cursor, total)
            at = _State(cursor, tuple((each.since, each.before) for each in left), 0, total)
        yield from self._first(at) if at.left else self._changes(at)

    def all_orders(self) -> Iterator[Page]:
        """Every order there is, to find out which are gone; the `state` of its pages means nothing.

        Orders that were made meanwhile are not among them. Raises NotUpstream at the end when some could not be read.
        """
        cursor, total = self._now()
        reader = _Reader(self._master)
        done = 0
        for rows in download(self._line, self._path, stretches(self._line, self._path, cursor, total)):
            done += len(rows)
            yield Page(reader.read(rows), "", min(done, total), total)
        self._note(reader)
        if reader.unreadable:
            raise NotUpstream(f"{reader.unreadable} orders are not as pretix has them", "nothing was taken away for it")

    # --- the first download -------------------------------------------------------------------------------------------

    def _first(self, state: _State) -> Iterator[Page]:
        reader = _Reader(self._master)
        left = [Stretch(since, before) for since, before in state.left]
        done = state.done
        for rows in download(self._line, self._path, left):
            done = min(done + len(rows), state.total)
            still = tuple((each.since, each.before) for each in left if not each.is_through)
            text = _State(state.cursor, still, done, state.total).to_text()
            yield Page(reader.read(rows), text, done, state.total)
        self._note(reader)

    def _now(self) -> tuple[str, int]:
        """Pretix's own time, and how many orders there are."""
        told = self._line.get(self._path, [("page_size", "1"), ("include", "code")], expects="results")
        assert told is not None
        count = told.body.get("count")
        if not isinstance(count, int):
            raise NotUpstream("orders: the answer lacks what pretix always sends", LOGIN_PAGE_HINT)
        return _cursor(told.generated), count

    # --- what has changed since ---------------------------------------------------------------------------------------

    def _changes(self, state: _State) -> Iterator[Page]:
        text = state.to_text()
        if text != self._handed_out:
            # After a start, or when a page was not taken in: nobody knows what was.
            self._known, self._wide_at_s = {}, float("-inf")
        now_s = self._monotonic()
        is_wide = now_s - self._wide_at_s >= WIDE_EVERY_S
        overlap_s = WIDE_OVERLAP_S if is_wide else OVERLAP_S
        since = (_instant(state.cursor) - dt.timedelta(seconds=overlap_s)).isoformat()
        params = [*FIELDS, ("ordering", "-last_modified"), ("modified_since", since)]
        reader = _Reader(self._master)
        cursor: str | None = None
        told = count = 0
        for page in pages(self._line, self._path, params):
            if cursor is None:
                cursor, count = _cursor(page.generated), page.count
            if page.count < count:
                break  # an order was deleted and others moved up: the next poll asks for all of this again
            news = [row for row in page.rows if not self._is_known(row)]
            orders = reader.read(news)
            told += len(news)
            if page.is_last:
                text = _State(cursor).to_text() if told else text
            if orders or page.is_last:
                yield Page(orders, text, told, count)
            self._remember([row for row in news if row not in reader.unread], cursor)
            if page.is_last:
                self._handed_out = text
                self._wide_at_s = now_s if is_wide else self._wide_at_s
                if reader.unreadable:  # was it the order, or only this answer? Ask for it again
                    self._wide_at_s = float("-inf")
                self._forget(text)
        self._note(reader)

    def _is_known(self, row: object) -> bool:
        return isinstance(row, dict) and self._known.get(str(row.get("code"))) == row.get("last_modified", "")

    def _remember(self, rows: list[Any], generated: str) -> None:
        until = _instant(generated) - dt.timedelta(seconds=AT_REST_S)
        for row in rows:
            if isinstance(row, dict) and isinstance(row.get("code"), str) and isinstance(row.get("last_modified"), str):
                try:
                    is_at_rest = _instant(row["last_modified"]) <= until
                except ValueError:
                    continue
                if is_at_rest:
                    self._known[row["code"]] = row["last_modified"]

    def _forget(self, state: str) -> None:
        """What no later request will ask for again."""
        at = _State.from_text(state)
        assert at is not None
        since = _instant(at.cursor) - dt.timedelta(seconds=WIDE_OVERLAP_S)
        self._known = {code: stamp for code, stamp in self._known.items() if _instant(stamp) >= since}

    def _note(self, reader: _Reader) -> None:
        if reader.unreadable and reader.unreadable != self.unreadable:
            log.warning("%s: %d orders are not as pretix has them: left as they were", self.event, reader.unreadable)
        self.unreadable = reader.unreadable


class _Reader:
    """Reads the orders of one pass, and counts those that it cannot."""

    def __init__(self, master: MasterData) -> None:
        self._master = master
        self.unread: list[Any] = []
        """Of the last page."""
        self.unreadable = 0

    def read(self, rows: list[Any]) -> tuple[ToldOrder, ...]:
        catalog = self._master.catalog_with(item_ids(rows))
        orders = []
        self.unread = []
        for row in rows:
            try:
                orders.append(read_order(row, catalog))
            except BadShape:
                self.unread.append(row)
        self.unreadable += len(self.unread)
        return tuple(orders)


def _cursor(generated: str | None) -> str:
    try:
        _instant(generated or "")
    except ValueError:
        raise NotUpstream("orders: pretix does not say when it looked", LOGIN_PAGE_HINT) from None
    assert generated is not None
    return generated


def _instant(text: str) -> dt.datetime:
    return parse_client_datetime(text)
