"""A box in this process, and a scanner that speaks to it through the WSGI application or a real waitress."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from werkzeug.test import TestResponse

from edgebox.app import Server, create_app
from edgebox.box import Box
from edgebox.clock import Clock
from edgebox.config import Config
from edgebox.model import CheckInList
from edgebox.store.journal import ExportedCheckIn, export
from edgebox.upstream.wire import Names, read_ticket
from tests.support.box import as_form
from tests.support.event import StubEvent

KEY = "SCANNERKEY"
NOW = datetime(2026, 11, 24, 18, 30, 15, tzinfo=UTC)


class Venue:
    """One box with the list of one saved event, and a scanner there.

    Fill `event`, then `open`. `now` is the box's time. The device "Gate 1" has KEY and may scan everything.
    """

    def __init__(self, data_dir: Path, **settings: Any) -> None:
        self.event = StubEvent()
        self.now = NOW
        clock = Clock(wall=lambda: self.now.timestamp(), system_synchronised=lambda: True)
        self.box = Box(Config(data_dir=data_dir, host="127.0.0.1", port=0, **settings), clock)
        self._client = create_app(self.box).test_client()

    def saved(self) -> dict[str, Any]:
        """The event as a saved list has it; the caller's own."""
        return {"status": self.event.status(), "download": self.event.download()}

    def open(self, saved: dict[str, Any] | None = None) -> CheckInList:
        """Register the list and its first device."""
        list_ = self.box.add_saved(saved or self.saved(), "the test's event")
        self.box.scanners.add("Gate 1", list_.id, key=KEY)
        return list_

    def tell(self, list_: CheckInList) -> None:
        """Take in a snapshot of the event as it is now."""
        assert list_.catalog is not None
        names = Names(list_.catalog)
        snapshot = self.box.store.snapshots.begin(list_, self.box.store.numbers.next())
        snapshot.add(read_ticket(row, names) for row in self.event.download()["results"])
        snapshot.finish(self.now, 0.0)

    @property
    def path(self) -> str:
        return f"/pretixdroid/api/{self.event.organizer}/{self.event.event}"

    def send(self, method: str, address: str, **options: Any) -> TestResponse:
        """One request, its path exactly as it stands: Flask's own client would take `//x/` for a host."""
        path, _, query = address.partition("?")
        options = {"query_string": query, **options}
        raw_path = unquote_to_bytes(path).decode("latin-1")
        return self._client.open(method=method, environ_overrides={"PATH_INFO": raw_path}, **options)

    def request(self, method: str, path: str, check: int = 200, **options: Any) -> TestResponse:
        """One request; asserts its status, and what every answer has: JSON, no redirect, a reason with each no."""
        response = self.send(method, path, **options)
        assert response.status_code == check, (method, path, response.status, response.text)
        assert response.headers.get("Content-Type") == "application/json"
        assert "Location" not in response.headers
        if method == "HEAD":
            assert response.data == b""
        elif check >= 400:
            assert_refuses(response.get_json())
        return response

    def redeem(self, secret: str | None = None, check: int = 200, key: str = KEY, **form: object) -> Any:
        """POST `redeem/`; the answer's JSON. True becomes `true`, None is left out."""
        path = f"{self.path}/redeem/?key={key}"
        return self.request("POST", path, check, data=as_form({"secret": secret, **form})).get_json()

    def get(self, endpoint: str, check: int = 200, key: str = KEY, **query: str) -> Any:
        """GET one of the others; the answer's JSON."""
        path = f"{self.path}/{endpoint}/"
        return self.request("GET", path, check, query_string={"key": key, **query}).get_json()

    @property
    def journal(self) -> list[ExportedCheckIn]:
        return list(export(self.box.store.reading()))


def assert_refuses(body: Any) -> None:
    """An error that an app can show."""
    assert body["status"] == "error"
    assert body["reason"]
    assert body["message"]
    assert body["version"] in (2, 3)


@contextmanager
def served(box: Box) -> Iterator[str]:
    """The box behind a real waitress of its own; the address of both."""
    server = Server(box)
    thread = threading.Thread(target=server.run, name="server")
    thread.start()
    try:
        host, port = server.address
        yield f"http://{host}:{port}"
    finally:
        server.stop()
        thread.join()


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[Venue]:
    """A box without any list yet."""
    venue = Venue(tmp_path)
    try:
        yield venue
    finally:
        venue.box.close()
