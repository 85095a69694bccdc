"""A store with two lists of one event of today's pretix, whose orders the test tells."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from edgebox.clock import Stamp
from edgebox.model import (
    CheckInList,
    Direction,
    ListTerms,
    Reason,
    Redeemed,
    RedeemRequest,
    SourceKind,
    TicketData,
    ToldCheckIn,
    ToldOrder,
    ToldTicket,
)
from edgebox.store import Store
from edgebox.store.connections import NewConnection
from edgebox.store.devices import NewDevice
from edgebox.store.lists import NewList
from edgebox.store.redeem import Scan
from edgebox.store.seen import Seen
from edgebox.store.snapshots import Taken
from tests.store.venue import EIGHT, TICKET, a_catalog

MAIN, SIDE = 1, 2
"""Upstream's ids of the lists."""

NEW = NewConnection(
    url="https://pretix.example/", credential="DEVICETOKEN", organizer="demoorga", device_name="box",
    device_serial="SERIAL", security_profile="pretixscan", gate_id=None,
)  # fmt: skip


def a_ticket(number: int, *checkins: ToldCheckIn, **data: object) -> ToldTicket:
    """A position: its id, and (unless said otherwise) a secret and a name that go by it."""
    usual = TicketData(
        secret=f"s{number:04d}", order_code="ABCDE", item_id=TICKET, variation_id=None,
        attendee_name=f"Guest {number:04d}", attention=False, is_paid=True, checkin_allowed=False, addons_text="",
        position_id=number,
    )  # fmt: skip
    return ToldTicket(replace(usual, **data), checkins)  # type: ignore[arg-type]


def an_order(code: str, *tickets: ToldTicket) -> ToldOrder:
    return ToldOrder(code, tuple(replace(each, data=replace(each.data, order_code=code)) for each in tickets))


def orders_of_one(numbers: Iterable[int]) -> list[ToldOrder]:
    """An order for each of these positions."""
    return [an_order(f"C{number:04d}", a_ticket(number)) for number in numbers]


def entry(at: datetime, upstream_list: int = MAIN) -> ToldCheckIn:
    return ToldCheckIn(upstream_list, at)


def leaving(at: datetime, upstream_list: int = MAIN) -> ToldCheckIn:
    return ToldCheckIn(upstream_list, at, Direction.EXIT)


class Fair:
    """Opens a store on `data_dir` and fills it with a connection and its lists. `now` goes on with each scan."""

    def __init__(self, data_dir: Path, *terms: ListTerms) -> None:
        self.now = EIGHT
        self.store = Store(data_dir, now=lambda: self.now)
        if not self.store.lists.all():
            self.connection_id = self.store.connections.add(NEW, EIGHT).id
            for number, each in enumerate(terms or (ListTerms(), ListTerms()), start=1):
                self.add_list(number, each)
        self.path = data_dir / "edgebox.sqlite3"

    def close(self) -> None:
        self.store.close()

    def add_list(self, number: int, terms: ListTerms, event: str = "democon") -> CheckInList:
        new = NewList(
            kind=SourceKind.PRETIX, url="", credential="", organizer="demoorga", event=event, subevent=terms.subevent,
            name=f"List {number}", catalog=a_catalog(), connection_id=self.connection_id, upstream_list=number,
            terms=terms,
        )  # fmt: skip
        list_ = self.store.lists.add(new, EIGHT)
        self.store.devices.add(NewDevice(f"door {list_.id}", f"KEY{list_.id}xx", (list_.id,), None, True, True), EIGHT)
        return list_

    def list_(self, number: int = MAIN) -> CheckInList:
        return next(each for each in self.store.lists.all() if each.upstream_list == number)

    @property
    def source_id(self) -> int:
        return self.list_().source.id

    # --- what upstream does -------------------------------------------------------------------------------------------

    def request(self) -> int:
        return self.store.numbers.next()

    def tell(
        self, *orders: ToldOrder, number: int | None = None, state: str | None = None, seen: Seen | None = None
    ) -> int:
        """A page; how many tickets were written."""
        number = self.request() if number is None else number
        return self.store.orders.take(self.source_id, orders, number=number, state=state, at=self.now, seen=seen)

    def reconcile(self, *orders: ToldOrder, number: int | None = None) -> Taken:
        """All orders that there are."""
        number, seen = self.request() if number is None else number, Seen()
        self.tell(*orders, number=number, seen=seen)
        return self.store.orders.withdraw_unseen(self.source_id, seen, number, self.now, 0.1)

    def settle(self) -> None:
        """Upstream acknowledges everything that is pending."""
        for list_ in self.store.lists.all():
            for checkin in self.store.journal.pending(list_.id, after_id=0, limit=1000, choked=False):
                self.store.journal.settle(checkin, self.now)

    # --- what scanners do, and what shows -----------------------------------------------------------------------------

    def redeem(self, secret: str, number: int = MAIN, *, at: datetime | None = None, **asked: object) -> Redeemed:
        """One redeem; the box's clock goes on by a second, unless `at` says what it shows."""
        self.now = at or self.now + timedelta(seconds=1)
        stamp = Stamp(self.now, "this-boot", self.now.timestamp(), is_trusted=True)
        list_ = self.list_(number)
        device = next(each for each in self.store.devices.all() if list_.id in each.list_ids)
        request = RedeemRequest(secret, **asked)  # type: ignore[arg-type]
        return self.store.redeemer.redeem(Scan(list_.id, device, request, stamp, is_offline=False))

    def scan(self, secret: str, number: int = MAIN, **asked: object) -> Reason | None:
        """The reason of the refusal; None: let in."""
        return self.redeem(secret, number, **asked).verdict.reason  # type: ignore[arg-type]

    def found(self, query: str, number: int = MAIN) -> list[str]:
        """The secrets that a search finds."""
        tickets = self.store.tickets.search(self.list_(number), query, item_ids=None, by_name=True, limit=50)
        return [each.ticket.data.secret for each in tickets]

    def is_withdrawn(self, secret: str) -> bool:
        found = self.store.tickets.find(self.list_(), secret)
        assert found is not None
        return found.ticket.is_withdrawn

    def ticket_id(self, secret: str) -> int:
        found = self.store.tickets.find(self.list_(), secret)
        assert found is not None
        return found.ticket.id

    def rows_written(self) -> int:
        """How many rows the writer's connection has written since it was opened."""
        changes = self.store._writer.write(lambda connection: connection.total_changes)
        assert isinstance(changes, int)
        return changes

    def is_sound(self) -> bool:
        """The database is whole, and so is the index of names."""
        database = sqlite3.connect(self.path, isolation_level=None)
        try:
            database.execute("INSERT INTO ticket_name (ticket_name, rank) VALUES ('integrity-check', 1)")
            return bool(database.execute("PRAGMA integrity_check").fetchone()[0] == "ok")
        finally:
            database.close()
