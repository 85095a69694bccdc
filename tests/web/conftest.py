"""The staff pages of a real box in this process, and browsers that look at them through the WSGI application."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from jinja2.bccache import Bucket, BytecodeCache
from werkzeug.security import generate_password_hash
from werkzeug.test import TestResponse

from edgebox.app import create_app
from edgebox.box import Box
from edgebox.clock import Clock
from edgebox.config import Config
from edgebox.model import CheckIn, CheckInList, Redeemed, RedeemRequest
from edgebox.store.journal import export
from edgebox.store.staff import Role
from tests.support.upstream import StubUpstream

NOW = datetime(2026, 11, 24, 18, 30, 15, tzinfo=UTC)
DEVICE_KEY = "SCANNERKEY"
PASSWORDS = {Role.LEAD: "lead-password", Role.GATE: "gate-password"}
NAMES = {Role.LEAD: "Lena", Role.GATE: "Gus"}

_TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')


@cache
def hashed(password: str) -> str:
    """As the box has it, but quick to check: the real ones take their time on purpose."""
    return generate_password_hash(password, method="pbkdf2:sha256:1")


class Compiled(BytecodeCache):
    """Templates, compiled once for all boxes of a test run: they are what takes longest."""

    def __init__(self) -> None:
        self._code: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._code:
            bucket.bytecode_from_string(self._code[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._code[bucket.key] = bucket.bytecode_to_string()


COMPILED = Compiled()


class Browser:
    """One browser: it keeps its cookies, and takes the token of its forms from the pages, as people do."""

    def __init__(self, app: Flask, address: str = "192.0.2.7") -> None:
        self.client = app.test_client()
        self.address = address

    def get(self, path: str, check: int = 200, **options: Any) -> TestResponse:
        response = self.client.get(path, environ_base={"REMOTE_ADDR": self.address}, **options)
        assert response.status_code == check, (path, response.status, response.text)
        return response

    def token(self) -> str:
        """What proves that a form is the box's own."""
        for page in ("/", "/login", "/first"):
            if found := _TOKEN.search(self.client.get(page, environ_base={"REMOTE_ADDR": self.address}).text):
                return found[1]
        raise AssertionError("no page has a form")

    def post(self, path: str, check: int = 302, form: dict[str, str] | None = None, **fields: str) -> TestResponse:
        """A form of ours, filled in with `form` and `fields`."""
        return self.send(path, check, {"csrf_token": self.token(), **(form or {}), **fields})

    def send(self, path: str, check: int, form: dict[str, Any] | None = None, **options: Any) -> TestResponse:
        """A POST exactly as given."""
        response = self.client.post(path, data=form, environ_base={"REMOTE_ADDR": self.address}, **options)
        assert response.status_code == check, (path, response.status, response.text)
        return response

    def log_in(
        self, role: Role, *, password: str | None = None, name: str | None = None, check: int = 302
    ) -> TestResponse:
        form = {"role": role, "password": password or PASSWORDS[role], "name": name or NAMES[role]}
        return self.post("/login", check, form)

    def is_in(self) -> bool:
        """Whether it shows the pages behind the log-in."""
        return self.client.get("/", environ_base={"REMOTE_ADDR": self.address}).status_code == 200


class House:
    """A box with one list of a scripted ticket server and one device; both roles have their passwords.

    Its own sync is not started. `now` is the box's time.
    """

    def __init__(self, data_dir: Path, stub: StubUpstream, *, has_passwords: bool = True, **settings: Any) -> None:
        self.stub = stub
        self.now = NOW
        self.boottime_s = 1000.0
        self.clock = Clock(
            wall=lambda: self.now.timestamp(), boottime=lambda: self.boottime_s, system_synchronised=lambda: True
        )
        config = Config(data_dir=data_dir, host="127.0.0.1", port=0, connect_timeout_s=5.0, **settings)
        self.box = Box(config, self.clock)
        if not self.box.store.lists.all():
            list_ = self.box.add_list(stub.url, stub.key)
            self.box.scanners.add("Gate 1", list_.id, key=DEVICE_KEY)
            self.pull()
        if has_passwords:
            for role, password in PASSWORDS.items():
                self.box.store.staff.set_password(role, hashed(password), code=None)
        self.app = create_app(self.box)
        self.app.jinja_env.bytecode_cache = COMPILED

    def close(self) -> None:
        self.box.close()

    @property
    def list_(self) -> CheckInList:
        return self.box.store.lists.all()[0]

    def let_pass(self, **time: float) -> None:
        passed = timedelta(**time)
        self.now += passed
        self.boottime_s += passed.total_seconds()

    def pull(self) -> None:
        synced = self.box.sync.now(self.list_.id)
        assert synced.problem is None, synced

    def browser(self, address: str = "192.0.2.7") -> Browser:
        return Browser(self.app, address)

    def person(self, role: Role) -> Browser:
        """Somebody who has logged in."""
        browser = self.browser()
        browser.log_in(role)
        return browser

    def scan(self, secret: str, **request: Any) -> Redeemed:
        return self.box.redeem(self.box.store.devices.all()[0], self.list_, RedeemRequest(secret, **request))

    def checkins(self) -> list[CheckIn]:
        return [row.checkin for row in export(self.box.store.reading())]

    def ticket_id(self, secret: str) -> int:
        found = self.box.store.tickets.find(self.list_, secret)
        assert found is not None
        return found.ticket.id

    def deeds(self) -> list[tuple[str, str, str, str]]:
        """Who did what, oldest first: name, role, what, about."""
        return [(d.staff_name, d.role, d.action, d.about) for d in reversed(self.box.store.staff.deeds(1000))]


@pytest.fixture
def house(tmp_path: Path, stub: StubUpstream) -> Iterator[House]:
    stub.add_ticket("secret-of-ada", attendee_name="Ada Lovelace", order="AAAA1")
    stub.add_ticket("secret-of-bob", attendee_name="Bob", order="AAAA2")
    (tmp_path / "data").mkdir()
    opened = House(tmp_path / "data", stub)
    try:
        yield opened
    finally:
        opened.close()


@pytest.fixture
def new_house(tmp_path: Path, stub: StubUpstream) -> Iterator[House]:
    """The same, but nobody has set a password yet."""
    stub.add_ticket("secret-of-ada", attendee_name="Ada Lovelace", order="AAAA1")
    (tmp_path / "data").mkdir()
    opened = House(tmp_path / "data", stub, has_passwords=False)
    try:
        yield opened
    finally:
        opened.close()


@pytest.fixture
def lead(house: House) -> Browser:
    """The lead, at a page."""
    return house.person(Role.LEAD)


@pytest.fixture
def gate(house: House) -> Browser:
    """Somebody of the gate, at a page."""
    return house.person(Role.GATE)
