"""A box at the end of the road, and an evening of it: pull, scan, push, pull, whatever lies on the road."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from edgebox.box import Box
from edgebox.clock import Clock
from edgebox.config import Config
from edgebox.model import CheckIn, CheckInState, RedeemRequest
from edgebox.store.journal import export
from edgebox.sync.line import Line
from edgebox.upstream import UpstreamError
from edgebox.upstream.transport import Http
from tests.link.road import Obstacle, Road
from tests.pretix.side import Seconds

BEGIN = datetime(2026, 11, 24, 11, 0, tzinfo=UTC)
PATIENT_S, HASTY_S = 10.0, 0.15
"""How long the box waits for a server: as good as for ever, and where a fault lasts as long as that."""
MAX_TRIES = 25
LONGEST_WAIT_S = 3600.0
"""Nothing but a Retry-After of an hour lets the box wait for so long."""


class Times:
    """All clocks of an evening; they stand until somebody waits."""

    def __init__(self) -> None:
        self.seconds = Seconds()
        self.began_s = self.seconds.now_s
        self.clock = Clock(
            wall=lambda: self.now.timestamp(), boottime=lambda: self.seconds.now_s, system_synchronised=lambda: True
        )

    @property
    def now(self) -> datetime:
        return BEGIN + timedelta(seconds=self.seconds.now_s - self.began_s)

    def let_pass(self, seconds: float) -> None:
        self.seconds.now_s += seconds


@dataclass(frozen=True)
class Put:
    """A check-in as upstream has it."""

    secret: str
    nonce: str


class Evening(ABC):
    """One box on a copy of `prepared`, which has the list already. What a dialect does otherwise, its subclass does."""

    def __init__(self, prepared: Path, directory: Path, *, patience_s: float = PATIENT_S) -> None:
        shutil.copytree(prepared, directory)
        self.times = Times()
        self.http = Http(
            self.times.clock, patience_s, patience_s, monotonic=self.times.seconds, sleep=self.times.seconds.rest
        )
        self.box = Box(Config(data_dir=directory, backoff_max_s=60.0), self.times.clock, self.http)
        self.list = self.box.store.lists.all()[0]
        self.device = self.box.store.devices.all()[0]
        self.line: Line = self.box.sync._lines[self.list.id]
        self.let_in: list[Put] = []
        self.sent_away: list[Put] = []
        self.spare: list[str] = []
        """Guests that come while upstream cannot be reached."""

    def close(self) -> None:
        self.box.close()

    # --- what a dialect knows -----------------------------------------------------------------------------------------

    @abstractmethod
    def act(self) -> None:
        """The evening: pulls, scans and pushes."""

    @abstractmethod
    def put(self) -> list[Put]:
        """What upstream has of the box's check-ins, in its order, as often as it has it."""

    @abstractmethod
    def told(self) -> dict[str, bool]:
        """Upstream's tickets: secret to whether it is in."""

    # --- the box's part -----------------------------------------------------------------------------------------------

    def scan(self, secret: str, **asked: Any) -> bool:
        """Whether the ticket was let in; each scan has a nonce of its own."""
        nonce = f"nonce {len(self.let_in) + len(self.sent_away)} of {secret}"
        list_ = self.box.get_list(self.list.id)
        verdict = self.box.redeem(self.device, list_, RedeemRequest(secret, nonce=nonce, **asked)).verdict
        (self.let_in if verdict.is_ok else self.sent_away).append(Put(secret, nonce))
        return verdict.is_ok

    def knows(self, secret: str) -> bool:
        return self.box.store.tickets.find(self.box.get_list(self.list.id), secret) is not None

    def pull(self) -> None:
        """Until it succeeds, as the schedule does it: not before it may be tried again."""
        self._again_and_again(self._pull_once, self.line.pull_in_s)

    def push(self) -> None:
        """Until nothing waits. While it does not work, guests come all the same."""
        self._again_and_again(self._push_once, self._push_in_s)

    def _pull_once(self) -> bool:
        self.line.pull()
        return True

    def _push_once(self) -> bool:
        try:
            self.line.push()
        except UpstreamError:
            if self.spare:
                assert self.scan(self.spare.pop())
            raise
        return self.box.store.journal.waiting(self.list.id) == 0

    def _push_in_s(self) -> float:
        return max(self.line.push_in_s(), self.line.next_retry_in_s() or 0.0)

    def _again_and_again(self, once: Callable[[], bool], wait_s: Callable[[], float]) -> None:
        trouble: UpstreamError | None = None
        for _ in range(MAX_TRIES):
            try:
                if once():
                    return
            except UpstreamError as error:
                trouble = error
            assert wait_s() <= LONGEST_WAIT_S
            self.times.let_pass(wait_s() + 0.1)
        raise AssertionError(f"upstream is there, and it does not get through: {trouble}")

    # --- what must hold -----------------------------------------------------------------------------------------------

    def checkins(self) -> list[CheckIn]:
        return [row.checkin for row in export(self.box.store.reading(), self.list.id)]

    def tickets(self) -> dict[str, bool]:
        """What counts on the box: secret to whether it is in."""
        list_ = self.box.get_list(self.list.id)
        return {found.ticket.data.secret: found.is_redeemed for found in self.box.store.tickets.counted(list_, None)}

    def check(self, flagged: dict[str, str]) -> None:
        """Nothing lost, nothing twice, nobody in who should not be. `flagged`: the one conflict of each such ticket."""
        assert Counter(self.put()) == Counter(self.let_in)
        checkins = self.checkins()
        assert [Put(each.secret, each.nonce) for each in checkins] == self.let_in
        assert {each.state for each in checkins} == {CheckInState.SETTLED}
        assert {each.secret: str(each.conflict) for each in checkins if each.conflict is not None} == flagged
        assert self.tickets() == self.told()
        assert not self.box.store.held.of(self.box.get_list(self.list.id))
        report = self.line.link.report()
        assert (report.state.value, report.detail) == ("online", "")


def run(evening: Evening, road: Road, obstacle: Obstacle | None, hits: frozenset[int]) -> int:
    """An evening with this on the road; how many requests it took."""
    road.lay(obstacle, hits)
    evening.act()
    asked = road.requests
    road.clear()
    # Back again, with all of its time; a check-in that came last is told, and what upstream made of it comes back.
    evening.push()
    evening.times.let_pass(400)
    evening.pull()
    return asked
