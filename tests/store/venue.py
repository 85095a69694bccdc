"""A store with one list and one scanner, and an upstream that the test plays."""

from __future__ import annotations

import json
import resource
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from edgebox.clock import Stamp
from edgebox.model import (
    Catalog,
    CheckIn,
    CheckInList,
    Device,
    Event,
    Item,
    Question,
    Reason,
    Redeemed,
    RedeemRequest,
    SourceKind,
    TicketData,
    ToldCheckIn,
    ToldTicket,
)
from edgebox.store import Store, presence
from edgebox.store.devices import NewDevice
from edgebox.store.journal import ExportedCheckIn, export
from edgebox.store.lists import NewList
from edgebox.store.log import LogEntry, entries
from edgebox.store.redeem import Scan
from edgebox.store.snapshots import Snapshot, Taken
from edgebox.store.writer import Writer

EIGHT = datetime(2026, 11, 24, 20, 0, tzinfo=UTC)
DEADLINE_S = 60.0
"""For what must happen at all; on a busy machine it may take its time."""

TICKET = 10
SHIRT = 20

LET_IN = None
"""What `Venue.scan` gives for an accepted redeem."""


def a_catalog(*questions: Question) -> Catalog:
    items = (Item(TICKET, "Ticket", True), Item(SHIRT, "T-Shirt", False))
    return Catalog(3, Event("Demo Con", timezone="Europe/Berlin"), items, questions)


def told(secret: str = "t1", *, redeemed: bool = False, **data: object) -> ToldTicket:
    """One ticket as upstream tells it."""
    ticket = TicketData(
        secret=secret,
        order_code="ABCDE",
        item_id=TICKET,
        variation_id=None,
        attendee_name=None,
        attention=False,
        is_paid=True,
        checkin_allowed=True,
        addons_text="",
    )
    return ToldTicket(replace(ticket, **data), (ToldCheckIn(),) if redeemed else ())  # type: ignore[arg-type]


def many(count: int, *, redeemed: Callable[[int], bool] = lambda number: False, start: int = 0) -> list[ToldTicket]:
    """Tickets s0000, s0001, ..."""
    return [told(f"s{number:04d}", redeemed=redeemed(number)) for number in range(start, start + count)]


class Venue:
    """Opens a store on `data_dir` and fills it with a list and a device, where it is empty."""

    def __init__(self, data_dir: Path, *, kind: SourceKind = SourceKind.PRETIXDROID, **settings: float) -> None:
        self.data_dir = data_dir
        self.store = Store(data_dir, **settings)  # type: ignore[arg-type]
        self.now = EIGHT
        if not self.store.lists.all():
            self.add_list(kind)
            self.add_device("Gate 1")
        self.list_id = self.store.lists.all()[0].id
        self.device = self.store.devices.all()[0]

    def close(self) -> None:
        self.store.close()

    # --- set-up -------------------------------------------------------------------------------------------------------

    def add_list(
        self, kind: SourceKind = SourceKind.PRETIXDROID, *, event: str = "democon", catalog: Catalog | None = None
    ) -> CheckInList:
        new = NewList(
            kind=kind,
            url="" if kind is SourceKind.FILE else "http://upstream.example/pretixdroid/api/demoorga/democon/",
            credential="" if kind is SourceKind.FILE else "UPSTREAMKEY",
            organizer="demoorga",
            event=event,
            subevent=None,
            name="Main list",
            catalog=catalog or a_catalog(),
        )
        return self.store.lists.add(new, self.now)

    def add_device(self, name: str, *, key: str | None = None, item_ids: frozenset[int] | None = None) -> Device:
        list_id = self.store.lists.all()[-1].id
        new = NewDevice(name, key or f"KEYOF{name}", (list_id,), item_ids, allow_search=True, show_info=True)
        return self.store.devices.add(new, self.now)

    @property
    def list_(self) -> CheckInList:
        found = self.store.lists.get(self.list_id)
        assert found is not None
        return found

    # --- what scanners do ---------------------------------------------------------------------------------------------

    def redeem(self, secret: str = "t1", *, at: datetime | None = None, **request: object) -> Redeemed:
        """One redeem; the box's clock goes on by a second, unless `at` says what it shows."""
        self.now = at or self.now + timedelta(seconds=1)
        stamp = Stamp(self.now, "this-boot", self.now.timestamp(), is_trusted=True)
        asked = RedeemRequest(secret, **request)  # type: ignore[arg-type]
        return self.store.redeemer.redeem(Scan(self.list_id, self.device, asked, stamp, is_offline=False))

    def scan(self, secret: str = "t1", **request: object) -> Reason | None:
        """One redeem; the reason of the refusal, or LET_IN."""
        return self.redeem(secret, **request).verdict.reason  # type: ignore[arg-type]

    def is_in(self, secret: str = "t1") -> bool:
        """As search, download and counts show it, which must agree."""
        found = self.store.tickets.find(self.list_, secret)
        assert found is not None
        if not found.ticket.is_withdrawn:
            everyone = self.store.tickets.counted(self.list_, None)
            counted = {each.ticket.data.secret: each.is_redeemed for each in everyone}
            assert counted.get(secret, found.is_redeemed) == found.is_redeemed
            assert self.encoded() == counted
            assert self.store.tickets.counts(self.list_).all.checkins == sum(counted.values())
        return found.is_redeemed

    def inside(self) -> set[str]:
        """The secrets of those who are inside, by the statement over all tickets, which must agree with the counts."""
        connection = self.store.reading()
        rows = connection.execute(
            f"SELECT secret FROM ({presence.SEEN}) JOIN ticket ON ticket.id = ticket_id"
            f" WHERE {presence.is_inside(self.list_)}",
            presence.parameters(connection, self.list_, self.now),
        )
        found = {row["secret"] for row in rows}
        on_list = {each.ticket.data.secret for each in self.store.tickets.counted(self.list_, None)}
        assert self.store.tickets.counts(self.list_).all.inside == len(found & on_list)
        return found

    def encoded(self) -> dict[str, bool]:
        """Whether the tickets of a download are in."""
        keys = {"secret": "secret", "in": "is_in"}
        pieces = self.store.encoded.counted(self.list_, None, keys, lambda item, variation: ("", None))
        return {row["secret"]: row["in"] for row in json.loads(f"[{','.join(pieces)}]")}

    # --- what upstream does -------------------------------------------------------------------------------------------

    def request(self) -> int:
        """A request for tickets goes out; its number."""
        return self.store.numbers.next()

    def begin(self, number: int | None = None) -> Snapshot:
        return self.store.snapshots.begin(self.list_, self.request() if number is None else number)

    def take_in(self, tickets: Iterable[ToldTicket], number: int | None = None) -> Taken:
        """A whole snapshot."""
        snapshot = self.begin(number)
        snapshot.add(tickets)
        return self.finish(snapshot)

    def finish(self, snapshot: Snapshot) -> Taken:
        return snapshot.finish(self.now, 0.5)

    def pull(self, *tickets: ToldTicket, number: int | None = None) -> Taken:
        """A whole snapshot of these tickets."""
        return self.take_in(tickets, number)

    def look_up(self, ticket: ToldTicket, number: int | None = None) -> None:
        self.store.snapshots.take_one(self.list_, ticket, self.request() if number is None else number)

    def pending(self) -> list[CheckIn]:
        waiting: list[CheckIn] = []
        for choked in (False, True):
            waiting += self.store.journal.pending(self.list_id, after_id=0, limit=10_000, choked=choked)
        return waiting

    def settle(self) -> None:
        """Upstream acknowledges everything that is pending."""
        for checkin in self.pending():
            self.store.journal.settle(checkin, self.now)

    # --- what is recorded ---------------------------------------------------------------------------------------------

    @property
    def journal(self) -> list[ExportedCheckIn]:
        return list(export(self.store.reading()))

    @property
    def checkin(self) -> CheckIn:
        """The newest."""
        return self.journal[-1].checkin

    def log(self, **wanted: object) -> list[LogEntry]:
        return list(entries(self.store.reading(), **wanted))  # type: ignore[arg-type]

    def logged(self, count: int) -> list[LogEntry]:
        """The log, once it has `count` entries (refused attempts may wait a moment in memory)."""
        wait_until(lambda: len(self.log()) >= count)
        return self.log()


def wait_until(condition: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline_s, "this never came about"
        time.sleep(0.002)


class HeldWriter:
    """The writer, held inside a job until `release`: what is asked meanwhile waits together."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self._entered, self._released = threading.Event(), threading.Event()

        def job(connection: object) -> None:
            self._entered.set()
            assert self._released.wait(DEADLINE_S)

        self._thread = threading.Thread(target=self.writer.write, args=(job,), daemon=True)
        self._thread.start()
        assert self._entered.wait(DEADLINE_S)

    def wait_for(self, redeems: int = 0, jobs: int = 0, slices: int = 0) -> None:
        """Until so many wait."""
        writer = self.writer
        wait_until(
            lambda: len(writer._redeems) >= redeems and len(writer._jobs) >= jobs and len(writer._slices) >= slices
        )

    def release(self) -> None:
        self._released.set()
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive()


@contextmanager
def full_disk() -> Iterator[None]:
    """Every write to a file fails, in the whole process, as on a disk without room."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def commits_in_wal(data_dir: Path) -> int:
    """Commits that the write-ahead log holds (it is not reset as long as it stays short)."""
    return sum(1 for size_after in _wal_frames(data_dir) if size_after)


def frames_in_wal(data_dir: Path) -> int:
    """Pages that were written."""
    return len(_wal_frames(data_dir))


def _wal_frames(data_dir: Path) -> list[int]:
    """For each page in the log: the database's size in pages after the commit that it ends, else 0."""
    wal = (data_dir / "edgebox.sqlite3-wal").read_bytes()
    frame_size = 24 + int.from_bytes(wal[8:12], "big")
    salts = wal[16:24]
    heads = [wal[start : start + 24] for start in range(32, len(wal) - frame_size + 1, frame_size)]
    return [int.from_bytes(head[4:8], "big") for head in heads if head[8:16] == salts]
