"""A box in this process that is a device of a scripted pretix, and the follower of its event on a clock of its own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from edgebox.box import Box
from edgebox.clock import Clock
from edgebox.config import Config
from edgebox.model import CheckIn, CheckInList, Redeemed, RedeemRequest
from edgebox.store.journal import export
from edgebox.store.snapshots import Taken
from edgebox.sync.following import Follower
from edgebox.upstream.pretix import PretixFeed
from tests.pretix.side import Seconds
from tests.support.pretix import EVENT, START, PretixStub, order, position

NOON = datetime(2026, 11, 24, 11, 0, tzinfo=UTC)


def sell(pretix: PretixStub, count: int, first: int = 1) -> None:
    """Orders of one ticket each, made a minute after each other, long ago."""
    for number in range(first, first + count):
        made = START - timedelta(days=7) + timedelta(minutes=number)
        pretix.orders.append(order(f"C{number:04d}", position(number), made=made))


def change(pretix: PretixStub, number: int, **told: object) -> None:
    """An organizer changes a ticket now."""
    for each in pretix.orders:
        for found in each["positions"]:
            if found["id"] == number:
                found.update(told)
                each["last_modified"] = pretix.now.isoformat()


class Fair:
    """Open until `close()`. `numbers` are pretix's ids of the lists that are registered."""

    def __init__(self, directory: Path, pretix: PretixStub, *numbers: int) -> None:
        self.pretix = pretix
        self.now = NOON
        self.seconds = Seconds()
        self.clock = Clock(wall=lambda: self.now.timestamp(), boottime=lambda: 1000.0, system_synchronised=lambda: True)
        directory.mkdir(exist_ok=True)
        config = Config(data_dir=directory, connect_timeout_s=5.0, read_timeout_s=5.0, backoff_max_s=0.1)
        self.box = Box(config, self.clock)
        self.connection, _ = self.box.connect(pretix.url, pretix.init_token)
        for number in numbers or (1,):
            self.box.add_offered(EVENT, number)
        for list_ in self.lists:
            self.box.scanners.add(f"door {list_.id}", list_.id)
        self.follower = self.new_follower()
        self.progress: list[tuple[int, int | None]] = []

    def close(self) -> None:
        self.box.close()

    def new_follower(self) -> Follower:
        """One that remembers nothing, as after a restart of the box."""
        pretix = self.box._connector.pretix(self.connection)
        self.feed = PretixFeed(pretix, EVENT, monotonic=self.seconds)
        return Follower(self.list_.source.id, self.feed, self.box.store, self.clock, self.seconds)

    def pull(self) -> Taken:
        return self.follower.pull(lambda done, total: self.progress.append((done, total)))

    def let_pass(self, seconds: float) -> None:
        """On every clock."""
        self.seconds.now_s += seconds
        self.now += timedelta(seconds=seconds)
        self.pretix.now += timedelta(seconds=seconds)

    def orders_asked(self) -> int:
        return len(self.pretix.seen(f"events/{EVENT}/orders/"))

    @property
    def lists(self) -> list[CheckInList]:
        return list(self.box.store.lists.all())

    @property
    def list_(self) -> CheckInList:
        return self.lists[0]

    def scan(self, secret: str, list_id: int = 1, **asked: object) -> Redeemed:
        device = next(each for each in self.box.store.devices.all() if list_id in each.list_ids)
        return self.box.redeem(device, self.box.get_list(list_id), RedeemRequest(secret, **asked))  # type: ignore[arg-type]

    def held(self) -> int:
        return self.box.store.orders.orders_held(self.list_.source.id)

    def name(self, secret: str) -> str | None:
        found = self.box.store.tickets.find(self.list_, secret)
        assert found is not None
        return found.ticket.data.attendee_name

    def checkins(self) -> list[CheckIn]:
        return [row.checkin for row in export(self.box.store.reading())]
