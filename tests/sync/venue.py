"""A venue in one process: a real box with one list of a scripted ticket server, and the line between the two."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgebox.box import Box
from edgebox.clock import Clock
from edgebox.config import Config
from edgebox.model import Catalog, CheckIn, Redeemed, RedeemRequest
from edgebox.store.journal import export
from edgebox.sync.line import Line
from edgebox.upstream.pretixdroid import PretixdroidUpstream
from edgebox.upstream.transport import Http
from tests.support.upstream import Response, StubUpstream, json_answer
from tests.sync.raw import Serve, raw_server

SOON_S = 20.0
"""What should happen at once has happened by then, also on a busy machine."""

SECRET = "secret000000"
"""The first ticket that `StubUpstream.add_tickets` makes."""

QUICK: dict[str, Any] = {"connect_timeout_s": 5.0, "read_timeout_s": 5.0, "backoff_max_s": 0.1}
"""Times as a test wants them: nobody waits long for a server that comes back."""


class Ticker:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s

    def let_pass(self, seconds: float) -> None:
        self.now_s += seconds


def synchronised() -> Clock:
    """A clock that can be believed (machines that run tests are often never synchronised)."""
    return Clock(system_synchronised=lambda: True)


class Venue:
    """A box that knows the stub's list. Its own sync is not started: `line` is for the test to work with.

    Open until `close()`.
    """

    def __init__(
        self,
        directory: Path,
        stub: StubUpstream,
        *,
        clock: Clock | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        url: str | None = None,
        **settings: Any,
    ) -> None:
        directory.mkdir(exist_ok=True)
        self.stub = stub
        self.config = Config(data_dir=directory, **{**QUICK, **settings})
        self.box = Box(self.config, clock or synchronised())
        lists = self.box.store.lists.all()
        self.list = lists[0] if lists else self.box.add_list(url or stub.url, stub.key)
        devices = self.box.store.devices.all()
        self.device = devices[0] if devices else self.box.scanners.add("door", self.list.id)
        self.line = self.new_line(monotonic)

    def new_line(self, monotonic: Callable[[], float] = time.monotonic) -> Line:
        """A line that remembers nothing, as after a restart of the box."""
        http = Http(self.box.clock, self.config.connect_timeout_s, self.config.read_timeout_s)
        source = self.list.source
        upstream = PretixdroidUpstream(source.url, source.credential, http, self.box.clock)
        return Line(self.list.id, upstream, self.box.store, self.box.clock, self.config, monotonic)

    def close(self) -> None:
        self.line.close()
        self.box.close()

    def scan(self, secret: str, **request: Any) -> Redeemed:
        """A device asks to let this ticket in."""
        list_ = self.box.get_list(self.list.id)
        return self.box.redeem(self.device, list_, RedeemRequest(secret, **request))

    def checkins(self, secret: str | None = None) -> list[CheckIn]:
        """The journal (of one ticket, where given), in its order."""
        rows = (row.checkin for row in export(self.box.store.reading(), self.list.id))
        return [checkin for checkin in rows if secret in (None, checkin.secret)]

    def checkin(self, secret: str) -> CheckIn:
        """The one check-in of this ticket."""
        [checkin] = self.checkins(secret)
        return checkin

    @property
    def state(self) -> str:
        """The list's state in the word that staff read."""
        return self.line.link.report().state.value

    @property
    def detail(self) -> str:
        """What stands beside the state."""
        return self.line.link.report().detail

    @property
    def catalog(self) -> Catalog:
        """What the box knows of the list beside its tickets."""
        catalog = self.box.get_list(self.list.id).catalog
        assert catalog is not None
        return catalog

    def tickets(self) -> dict[str, bool]:
        """Tickets that count on the list: secret to whether it is in."""
        list_ = self.box.get_list(self.list.id)
        return {found.ticket.data.secret: found.is_redeemed for found in self.box.store.tickets.counted(list_, None)}


def download_of(stub: StubUpstream, **changes: object) -> Response:
    """The stub's own download with some keys changed (None: left out)."""
    body = {**stub.download(), **changes}
    return json_answer({key: value for key, value in body.items() if value is not None})


@contextmanager
def upstream_of(serve: Serve) -> Iterator[PretixdroidUpstream]:
    """An upstream that is served below HTTP."""
    clock = synchronised()
    with raw_server(serve) as server:
        upstream = PretixdroidUpstream(server.url, "KEY", Http(clock, 5.0, 5.0), clock)
        yield upstream
        upstream.close()
