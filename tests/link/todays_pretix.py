"""An evening with today's pretix, of which the box is a device."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from edgebox.box import Box
from edgebox.config import Config
from edgebox.model import Direction
from edgebox.upstream.transport import Http
from tests.link.road import HOST, Answered, Asked
from tests.link.venue import BEGIN, PATIENT_S, Evening, Put, Times
from tests.support.pretix import EVENT, START, PretixStub, Request, order, position

SOLD = 120
"""Orders, so that the first download has more than two pages."""


class NewServer:
    """The scripted pretix, as a function of a request."""

    def __init__(self) -> None:
        self.stub = PretixStub(is_served=False)
        self.now: Callable[[], datetime] = lambda: BEGIN

    def __call__(self, asked: Asked) -> Answered:
        address = urlsplit(asked.target)
        self.stub.now = self.now()
        said = self.stub.answer(
            Request(
                method=asked.method,
                path=unquote(address.path.removeprefix("/api/v1/")),
                query=parse_qsl(address.query, keep_blank_values=True),
                json=json.loads(asked.body) if asked.body else None,
                headers=asked.headers,
            )
        )
        date = format_datetime(self.stub.now.astimezone(UTC), usegmt=True)
        headers = {"Content-Type": said.content_type, "Date": date, **said.headers}
        return Answered(said.status, said.body.encode(), headers)


def prepare(directory: Path, scheme: str, server: NewServer) -> None:
    """A box that is registered as a device, knows a list and has a scanner, but no ticket yet."""
    times = Times()
    box = Box(Config(data_dir=directory), times.clock, Http(times.clock, PATIENT_S, PATIENT_S))
    try:
        box.connect(f"{scheme}://{HOST}/", server.stub.init_token)
        list_ = box.add_offered(EVENT, 1)
        box.scanners.add("door", list_.id)
    finally:
        box.close()


class NewEvening(Evening):
    """As the other one; with exits, and with attempts that are reported."""

    new_server = NewServer

    def __init__(self, prepared: Path, directory: Path, **options: Any) -> None:
        super().__init__(prepared, directory, **options)
        self.server = self.new_server()
        self.stub = self.server.stub
        for number in range(1, SOLD + 1):
            self._sell(number, START - timedelta(days=1) + timedelta(minutes=number))
        self.server.now = lambda: self.times.now
        self.spare = ["secret9", "secret8", "secret7"]

    def pull_until_known(self, *secrets: str) -> None:
        """An answer with other types in it is none, though no error says so: it is asked for again."""
        self.pull()
        while not all(map(self.knows, secrets)):
            self.times.let_pass(10)
            self.pull()

    def act(self) -> None:
        self.pull_until_known("secret1", "secret60", f"secret{SOLD}")
        assert self.scan("secret1")
        assert self.scan("secret2")
        assert not self.scan("secret1")
        assert not self.scan("nobody's secret")
        self._let_in_elsewhere(3)
        assert self.scan("secret3")
        assert self.scan("secret4", is_forced=True)
        assert self.scan("secret2", direction=Direction.EXIT)
        self.push()
        self._change(5, canceled=True)
        self._change(6, secret="secret6-new")
        self._sell(SOLD + 1, self.times.now)
        self.times.let_pass(10)
        self.pull_until_known("secret6-new")
        assert self.scan(f"secret{SOLD + 1}")
        assert self.scan("secret6-new")
        assert not self.scan("secret5")

    def put(self) -> list[Put]:
        return [Put(body["secret"], body["nonce"]) for body in self.stub.redeemed]

    def told(self) -> dict[str, bool]:
        found = (each for told in self.stub.orders for each in told["positions"] if not each["canceled"])
        return {each["secret"]: [c["type"] for c in each["checkins"]][:1] == ["entry"] for each in found}

    # --- what happens in pretix ---------------------------------------------------------------------------------------

    def _sell(self, number: int, made: datetime) -> None:
        self.stub.orders.append(order(f"C{number:04d}", position(number), made=made))

    def _change(self, number: int, **told: object) -> None:
        for each in self.stub.orders:
            for found in each["positions"]:
                if found["id"] == number:
                    found.update(told)
                    each["last_modified"] = self.times.now.isoformat()

    def _let_in_elsewhere(self, number: int) -> None:
        at = self.times.now - timedelta(seconds=1)
        self._change(number, checkins=[{"list": 1, "datetime": at.isoformat(), "type": "entry"}])
