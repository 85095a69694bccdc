"""A real box behind its server on loopback, and phones with pretixSCAN that speak to it over HTTP."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import requests

from edgebox.box import Box
from edgebox.clock import Clock
from edgebox.config import Config
from edgebox.devices.configuring import configuration_of
from edgebox.model import CheckIn, CheckInList, Device
from edgebox.store.journal import ExportedCheckIn, export
from edgebox.store.log import LogEntry, entries
from edgebox.store.tickets import Count
from tests.api.conftest import served
from tests.support.event import StubEvent
from tests.support.pretix import EVENT, PretixStub, order, position
from tests.support.pretixscan import App
from tests.support.pretixscan.schemas import validate_whole
from tests.support.upstream import StubUpstream

NOW = datetime(2026, 11, 24, 18, 30, 15, 250000, tzinfo=UTC)
QUICK: dict[str, Any] = {"threads": 6, "connect_timeout_s": 5.0, "read_timeout_s": 5.0, "backoff_max_s": 0.1}


class Gate:
    """One box, without any list at first, behind its server until `close`. `now` is its time, which stands still.

    With `is_synchronised` its clock can be believed. Its own sync is not started: `sync` pushes and pulls. Each answer
    that a phone of `phone` gets is held against what the box promises: all keys, with their types.
    """

    def __init__(self, data_dir: Path, *, is_synchronised: bool = True, **settings: Any) -> None:
        self.data_dir = data_dir
        self.now = NOW
        clock = Clock(
            wall=lambda: self.now.timestamp(),
            boottime=lambda: (self.now - NOW).total_seconds() + 1000.0,
            system_synchronised=lambda: is_synchronised,
        )
        data_dir.mkdir(exist_ok=True)
        self.box = Box(Config(data_dir=data_dir, host="127.0.0.1", port=0, **{**QUICK, **settings}), clock)
        self._open = ExitStack()
        self._open.callback(self.box.close)
        self.url = self._open.enter_context(served(self.box))
        host, _, port = self.url.removeprefix("http://").partition(":")
        self.box.listens_on = (host, int(port))  # what QR codes carry

    def close(self) -> None:
        self._open.close()

    def let_pass(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    # --- lists --------------------------------------------------------------------------------------------------------

    def add_saved(self, event: StubEvent, subevent: int | None = None) -> CheckInList:
        """The list of a saved event: it has no upstream."""
        status = event.status()
        if subevent is not None:
            status["event"]["subevent"] = subevent
        return self.box.add_saved({"status": status, "download": event.download()}, "the test's event")

    def add_old(self, stub: StubUpstream) -> CheckInList:
        """The list of a server that speaks the old dialect."""
        list_ = self.box.add_list(stub.url, stub.key)
        self.sync()
        return self.list_(list_.id)

    def add_current(self, pretix: PretixStub, *numbers: int) -> list[CheckInList]:
        """Lists of today's pretix, by its own ids of them."""
        if not self.box.connections():
            self.box.connect(pretix.url, pretix.init_token)
        added = [self.box.add_offered(EVENT, number) for number in numbers or (1,)]
        self.sync()
        return [self.list_(list_.id) for list_ in added]

    def list_(self, list_id: int) -> CheckInList:
        return self.box.get_list(list_id)

    def sync(self) -> None:
        """Push and pull all lists."""
        for synced in self.box.sync_now():
            assert synced.problem is None, synced.problem

    # --- phones -------------------------------------------------------------------------------------------------------

    def add_device(self, name: str, *lists: CheckInList, **limits: Any) -> str:
        """A device for a phone with pretixSCAN; what its QR code says."""
        device = self.box.scanners.add_pretixscan(name, [list_.id for list_ in lists], **limits)
        return self.qr(device)

    def qr(self, device: Device) -> str:
        text = configuration_of(self.box, device)
        assert text is not None, "there is nothing to set up"
        return text

    def device(self, name: str = "Gate 1") -> Device:
        return next(each for each in self.box.store.devices.all() if each.name == name)

    def phone(self, *lists: CheckInList, name: str = "Gate 1", date: int | None = None, **limits: Any) -> App:
        """A phone that has gone all the way from the QR code to the scan screen of these lists.

        `date`: that of a series for which it scans; the lists' own, where they have one.
        """
        dates = {list_.event: date or subevent_of(list_) for list_ in lists}
        return App.ready(
            self.add_device(name, *lists, **limits),
            {list_.event: list_.id for list_ in lists},
            {slug: number for slug, number in dates.items() if number is not None},
            hook=validate_whole,
        )

    def ask(
        self, method: str, path: str, *, key: str | None = None, body: object = None, **options: Any
    ) -> requests.Response:
        """One request exactly as given, with a device's key if there is one; `body` is sent as JSON."""
        headers = {**({} if key is None else {"Authorization": f"Device {key}"}), **options.pop("headers", {})}
        sent: dict[str, Any] = {} if body is None else {"json": body}
        with requests.Session() as session:
            session.trust_env = False
            return session.request(
                method, f"{self.url}/{path}", headers=headers, timeout=30, allow_redirects=False, **sent, **options
            )

    # --- what the box holds -------------------------------------------------------------------------------------------

    @property
    def journal(self) -> list[ExportedCheckIn]:
        return list(export(self.box.store.reading()))

    def checkins(self, secret: str | None = None) -> list[CheckIn]:
        return [row.checkin for row in self.journal if secret in (None, row.checkin.secret)]

    def log(self) -> list[LogEntry]:
        """Every attempt, oldest first; refusals may wait a moment in memory."""
        return list(entries(self.box.store.reading()))

    def count(self, list_: CheckInList) -> Count:
        return self.box.counts(list_).all


def subevent_of(list_: CheckInList) -> int | None:
    return list_.terms.subevent if list_.terms is not None else list_.subevent


_numbers = count(101)


def a_ticket(secret: str, **told: Any) -> dict[str, Any]:
    """A position with an id of its own."""
    return position(next(_numbers), secret=secret, **told)


def sell(pretix: PretixStub, code: str, *positions: dict[str, Any], **told: Any) -> None:
    """An order, made a day ago; without positions it has one ticket, whose secret is the code in small letters."""
    pretix.orders.append(
        order(code, *(positions or (a_ticket(code.lower()),)), made=pretix.now - timedelta(days=1), **told)
    )


def change(pretix: PretixStub, code: str, **told: object) -> None:
    """An organizer changes an order now."""
    [found] = [each for each in pretix.orders if each["code"] == code]
    found.update(told)
    found["last_modified"] = pretix.now.isoformat()
