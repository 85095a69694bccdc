"""An evening with a bad clock, for both kinds of ticket servers: order and times upstream come out right.

The Pi's clock is wrong, jumps, or is set right, while check-ins wait; what really was the time the test knows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edgebox.box import Box
from edgebox.clock import Clock
from edgebox.config import Config
from edgebox.model import CheckInState, Direction, RedeemRequest
from edgebox.store.journal import export
from tests.support.pretix import EVENT, NEVER_ARRIVED, PretixStub
from tests.support.upstream import StubUpstream
from tests.sync.fair import sell

EVENING = datetime(2026, 11, 24, 18, 30, tzinfo=UTC)
SLACK = timedelta(seconds=2)
"""An HTTP date has whole seconds."""
HOUR_S = 3600.0


class Pi:
    """The clocks of a machine without a battery, and what time it really is."""

    def __init__(self) -> None:
        self.now = EVENING
        self.boottime_s = 20.0
        self.error_s = 0.0
        self.is_synchronised = True

    def clock(self) -> Clock:
        return Clock(
            wall=lambda: self.now.timestamp() + self.error_s,
            boottime=lambda: self.boottime_s,
            boot_id="this boot",
            system_synchronised=lambda: self.is_synchronised,
        )

    def let_pass(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.boottime_s += seconds

    def boot_in_1970(self) -> None:
        self.is_synchronised = False
        self.error_s = 20.0 - self.now.timestamp()

    def jump(self, seconds: float) -> None:
        self.error_s += seconds

    def synchronise(self) -> None:
        self.error_s, self.is_synchronised = 0.0, True


class Venue(ABC):
    """A box whose upstream is there or is not. `told` has what upstream got: secret, time and direction, in order."""

    def __init__(self, directory: Path, pi: Pi) -> None:
        self.pi = pi
        self.directory = directory
        self.box = self._open()
        self.scanned: list[tuple[str, datetime, str]] = []

    def _open(self) -> Box:
        config = Config(data_dir=self.directory, connect_timeout_s=5.0, read_timeout_s=5.0, backoff_max_s=0.1)
        return Box(config, self.pi.clock())

    def restart(self) -> None:
        """The process alone."""
        self.box.close()
        self.box = self._open()

    def close(self) -> None:
        self.box.close()

    def scan(self, secret: str, direction: Direction = Direction.ENTRY) -> None:
        list_ = self.box.store.lists.all()[0]
        device = self.box.store.devices.all()[0]
        assert self.box.redeem(device, list_, RedeemRequest(secret, direction=direction)).verdict.is_ok
        self.scanned.append((secret, self.pi.now, direction.value))

    def sync(self) -> None:
        [synced] = self.box.sync_now()
        assert synced.problem is None

    @abstractmethod
    def gone(self, is_gone: bool) -> None: ...

    @abstractmethod
    def told(self) -> list[tuple[str, datetime, str]]: ...

    def check(self) -> None:
        told = self.told()
        assert [(secret, way) for secret, _, way in told] == [(secret, way) for secret, _, way in self.scanned]
        apart = [abs(at - really) for (_, at, _), (_, really, _) in zip(told, self.scanned, strict=True)]
        assert max(apart) <= SLACK, told
        assert [at for _, at, _ in told] == sorted(at for _, at, _ in told)
        checkins = [row.checkin for row in export(self.box.store.reading())]
        assert {each.state for each in checkins} == {CheckInState.SETTLED}
        assert {each.conflict for each in checkins} == {None}


class OldVenue(Venue):
    def __init__(self, directory: Path, pi: Pi, stub: StubUpstream) -> None:
        super().__init__(directory, pi)
        self.stub = stub
        stub.date = lambda: pi.now
        for number in range(1, 10):
            stub.add_ticket(f"secret{number}")
        list_ = self.box.add_list(stub.url, stub.key)
        self.box.scanners.add("door", list_.id)

    def gone(self, is_gone: bool) -> None:
        if is_gone:
            self.stub.stop()
        else:
            self.stub.start()

    def told(self) -> list[tuple[str, datetime, str]]:
        return [(each.secret, each.datetime, "entry") for each in self.stub.log]


class NewVenue(Venue):
    """Of four that are told at the same time, pretix goes by the time that each has."""

    def __init__(self, directory: Path, pi: Pi, pretix: PretixStub) -> None:
        super().__init__(directory, pi)
        self.pretix = pretix
        sell(pretix, 9)
        pretix.on("", self._date)
        self.box.connect(pretix.url, pretix.init_token)
        list_ = self.box.add_offered(EVENT, 1)
        self.box.scanners.add("door", list_.id)

    def _date(self, request: object) -> None:
        self.pretix.now = self.pi.now

    def gone(self, is_gone: bool) -> None:
        if is_gone:
            self.pretix.on("", NEVER_ARRIVED)
        else:
            self.pretix.off()
            self.pretix.on("", self._date)

    def told(self) -> list[tuple[str, datetime, str]]:
        told = [
            (body["secret"], datetime.fromisoformat(body["datetime"]), body["type"]) for body in self.pretix.redeemed
        ]
        return sorted(told, key=lambda each: each[1])


Step = Callable[[Pi, Venue], None]


def nothing(pi: Pi, venue: Venue) -> None:
    """All stays as it is."""


def boots_in_1970(pi: Pi, venue: Venue) -> None:
    pi.boot_in_1970()
    venue.restart()


def is_told_by_upstream(pi: Pi, venue: Venue) -> None:
    """It boots in 1970, and hears upstream once before that is gone."""
    boots_in_1970(pi, venue)
    venue.gone(False)
    venue.sync()
    venue.gone(True)


def is_synchronised(pi: Pi, venue: Venue) -> None:
    pi.synchronise()


def jumps_forward(pi: Pi, venue: Venue) -> None:
    pi.jump(HOUR_S)


def jumps_back(pi: Pi, venue: Venue) -> None:
    pi.jump(-HOUR_S)


def restarts(pi: Pi, venue: Venue) -> None:
    venue.restart()


TROUBLES: dict[str, tuple[Step, Step, Step, Step]] = {
    # before the first scan, after the second, after the fourth, and when upstream is back
    "nothing": (nothing, nothing, nothing, nothing),
    "boots in 1970": (boots_in_1970, nothing, nothing, nothing),
    "synchronises while check-ins are pending": (boots_in_1970, nothing, nothing, is_synchronised),
    "synchronises between two scans": (boots_in_1970, is_synchronised, nothing, nothing),
    "jumps forward an hour": (boots_in_1970, jumps_forward, nothing, nothing),
    "jumps back": (boots_in_1970, jumps_back, nothing, nothing),
    "jumps there and back": (boots_in_1970, jumps_forward, jumps_back, nothing),
    "jumps forward an hour after upstream told the time": (is_told_by_upstream, jumps_forward, nothing, nothing),
    "jumps back after upstream told the time": (is_told_by_upstream, jumps_back, nothing, nothing),
    "jumps, and is synchronised": (boots_in_1970, jumps_forward, is_synchronised, nothing),
    "is told, jumps, and is synchronised": (is_told_by_upstream, jumps_back, is_synchronised, nothing),
    "restarts the process meanwhile": (boots_in_1970, restarts, jumps_forward, restarts),
}


@pytest.fixture(params=["old pretix", "today's pretix"])
def venue(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Venue]:
    (tmp_path / "data").mkdir()
    pi = Pi()
    with ExitStack() as opened:
        opened_venue: Venue
        if request.param == "old pretix":
            opened_venue = OldVenue(tmp_path / "data", pi, request.getfixturevalue("stub"))
        else:
            opened_venue = NewVenue(tmp_path / "data", pi, request.getfixturevalue("pretix"))
        opened.callback(opened_venue.close)
        opened_venue.sync()
        yield opened_venue


@pytest.mark.parametrize("trouble", TROUBLES)
def test_order_and_times_upstream_come_out_right(venue: Venue, trouble: str) -> None:
    at_first, then, later, at_last = TROUBLES[trouble]
    pi = venue.pi
    venue.gone(True)
    at_first(pi, venue)
    for number, step in enumerate((nothing, then, nothing, later), start=1):
        venue.scan(f"secret{number}")
        pi.let_pass(40)
        step(pi, venue)
    if isinstance(venue, NewVenue):  # the old one knows no exits
        venue.scan("secret1", Direction.EXIT)
        pi.let_pass(40)
        venue.scan("secret5")
    pi.let_pass(600)
    at_last(pi, venue)
    venue.gone(False)
    venue.sync()
    venue.check()
