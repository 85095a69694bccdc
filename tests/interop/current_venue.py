"""A box that is a device of a real pretix 2026.8.0, with the scanners and phones at its doors."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from edgebox.box import Box
from edgebox.clock import Clock
from edgebox.config import Config
from edgebox.devices.configuring import configuration_of
from edgebox.model import CheckIn, CheckInList, Device, Direction, RedeemRequest, Verdict
from edgebox.store.journal import export
from tests.api.conftest import served
from tests.pretix.current import HTTP_TIMEOUT_S, CurrentPretix
from tests.support.pretixscan import App
from tests.support.pretixscan.schemas import validate_whole

ENTRY, EXIT = Direction.ENTRY, Direction.EXIT


class Venue:
    """A box that is a device of the server; it syncs when the test says so, and is offline else."""

    def __init__(self, server: CurrentPretix, directory: Path, name: str, **settings: Any) -> None:
        directory.mkdir()
        self.server = server
        config = Config(data_dir=directory, host="127.0.0.1", port=0, **settings)
        self.box = Box(config, Clock(system_synchronised=lambda: True))
        self.connection, forbidden = self.box.connect(server.url, server.new_token(name))
        assert forbidden is None
        self.devices: dict[int, Device] = {}
        self.http = requests.Session()
        self.http.trust_env = False
        self.http.headers["Authorization"] = f"Device {self.connection.credential}"
        self._open = ExitStack()

    def close(self) -> None:
        self._open.close()
        self.box.close()
        self.http.close()

    def register(self, *wanted: tuple[str, int]) -> list[CheckInList]:
        """These lists of the server, or all that it offers."""
        chosen = wanted or [(each.offered.event, each.offered.list_id) for each in self.box.offers()]
        for event, number in chosen:
            list_ = self.box.add_offered(event, number)
            self.devices[list_.id] = self.box.scanners.add(f"door {list_.id}", list_.id)
        return self.lists

    @property
    def lists(self) -> list[CheckInList]:
        return list(self.box.store.lists.all())

    def list_of(self, event: str, number: int) -> CheckInList:
        return next(each for each in self.lists if (each.event, each.upstream_list) == (event, number))

    def list_named(self, name: str, event: str = "democon") -> CheckInList:
        """The list that the server's fixtures call so."""
        return self.list_of(event, self.server.fixtures["checkinlists"][event][name])

    def sync(self, *lists: CheckInList) -> None:
        """These lists, or all."""
        runs = [run for list_ in lists for run in self.box.sync_now(list_.id)] if lists else self.box.sync_now()
        for synced in runs:
            assert synced.problem is None, synced

    def checkins(self) -> list[CheckIn]:
        return [row.checkin for row in export(self.box.store.reading())]

    # A scan at each list's own scanner

    def scan(self, list_: CheckInList, secret: str, direction: Direction = ENTRY, **asked: Any) -> Verdict:
        request = RedeemRequest(secret, questions_supported=True, direction=direction, **asked)
        return self.box.redeem(self.devices[list_.id], list_, request).verdict

    def said(self, list_: CheckInList, secret: str, direction: Direction = ENTRY) -> str:
        """The box's verdict in a word."""
        verdict = self.scan(list_, secret, direction)
        return verdict.reason.value if verdict.reason else "ok"

    # What the server would say

    def simulate(self, list_: CheckInList, secret: str, direction: Direction) -> dict[str, Any]:
        """The server's whole answer to such a scan, of which it records nothing."""
        body = {
            "lists": [list_.upstream_list], "secret": secret, "simulate": True, "type": direction.value, "answers": {},
            "questions_supported": True, "force": False, "datetime": datetime.now(UTC).isoformat(),
        }  # fmt: skip
        headers = dict(self.http.headers)
        url = f"{self.server.url}api/v1/organizers/demoorga/checkinrpc/redeem/"
        told: dict[str, Any] = requests.post(url, json=body, headers=headers, timeout=HTTP_TIMEOUT_S).json()
        return told

    def simulated(self, list_: CheckInList, secret: str, direction: Direction) -> str:
        """The same in a word, which is the box's."""
        return word_of(self.simulate(list_, secret, direction))

    # Phones with the pretixSCAN app

    def serve(self) -> None:
        """Let phones in, from now on."""
        address = urlsplit(self._open.enter_context(served(self.box)))
        assert address.hostname is not None
        assert address.port is not None
        self.box.listens_on = (address.hostname, address.port)

    def phone(self, name: str, *lists: CheckInList, date: int | None = None) -> App:
        """A phone from the QR code on, with these lists; of each event it scans for the first one.

        `date`: that of a series for which it scans; else the list's own.
        """
        device = self.box.scanners.add_pretixscan(name, [list_.id for list_ in lists])
        text = configuration_of(self.box, device)
        assert text is not None
        firsts = {list_.event: list_ for list_ in reversed(lists)}
        app = App.ready(
            text,
            {event: list_.id for event, list_ in firsts.items()},
            {event: found for event, list_ in firsts.items() if (found := date_of(list_) or date) is not None},
            hook=validate_whole,
        )
        self._open.callback(app.close)
        return app


def date_of(list_: CheckInList) -> int | None:
    """The date of a series that the list is for."""
    return list_.terms.subevent if list_.terms else None


def word_of(told: Mapping[str, Any]) -> str:
    """The verdict in an answer of the server, in the box's words."""
    word = str(told.get("reason") or told["status"])
    return "unknown_ticket" if word == "invalid" else word


def assert_counts_agree(venue: Venue) -> None:
    for list_ in venue.lists:
        told = status_of(venue, list_)
        counts = venue.box.counts(list_).all
        ours = (counts.total, counts.checkins, counts.inside)
        assert ours == (told["position_count"], told["checkin_count"], told["inside_count"]), list_.name


def status_of(venue: Venue, list_: CheckInList) -> dict[str, Any]:
    """The server's statistics of a list."""
    path = f"events/{list_.event}/checkinlists/{list_.upstream_list}/status/"
    told: dict[str, Any] = venue.server.ask("GET", path)
    return told
