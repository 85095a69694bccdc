"""The box that is fuzzed: lists of both kinds of event, a device of each dialect, staff, and its description."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flask import Flask

from edgebox.app import create_app
from edgebox.box import Box
from edgebox.clock import Clock
from edgebox.config import Config
from edgebox.devices.pretixscan.qr import PROXY
from edgebox.model import CheckInList, Phone
from edgebox.openapi import description
from edgebox.store.staff import Role
from tests.support.event import EXPIRED, PENDING, StubEvent
from tests.web.conftest import PASSWORDS, Browser, hashed

NOW = datetime(2026, 11, 24, 18, 30, 15, tzinfo=UTC)
DROID_KEY = "SCANNERKEY"
SECRETS = ("abc", "used", "unpaid", "expired", "asks", "shirt")
WRONG_KEYS = ("", "WRONG", DROID_KEY.lower(), "\u00ff", "x" * 5000)
KNOWN: dict[str, list[Any]] = {
    "secret": list(SECRETS), "ticketid": list(SECRETS), "name": ["Gate 1", "Gate 2"], "list": ["1"],
    "force": ["true", "false", "x"], "datetime": ["2026-11-24T08:15Z", "2026-11-24T08:15:30.5+02:00"],
    "events_and_checkin_lists": [{"democon": 1}, {"tour": 3}, {"democon": 1, "othercon": 2, "tour": 3}],
    "nonce": ["n1", "n2"], "reason": ["because"], "text": ["a note"], "answers": [[], [
        {"question": {"server_id": 1}, "value": "2", "options": None},
    ]],
}  # fmt: skip
"""Values of fields with which the box gets somewhere."""
NEEDED = {"secret", "ticketid", "events_and_checkin_lists", "name", "reason", "list"}
PLACES: dict[str, Any] = {
    "organizer": "demoorga", "event": "tour", "subevent": "7", "number": 3, "position": 1, "name": "Gate 1",
    "filename": "edgebox.css",
}  # fmt: skip
"""What stands in addresses that there are; any other number is 1."""


class Target:
    """A box of one process, spoken to through its WSGI application. Nothing of it goes out to any network."""

    def __init__(self, data_dir: Path) -> None:
        clock = Clock(wall=lambda: NOW.timestamp(), boottime=lambda: 1000.0, system_synchronised=lambda: True)
        self.box = Box(Config(data_dir=data_dir, host="127.0.0.1", port=0), clock)
        self.lists = (self._list("democon"), self._list("othercon"), self._list("tour", subevent=7))
        self.box.scanners.add("Gate 1", self.lists[0].id, key=DROID_KEY)
        self.tour_key = self.box.scanners.add("Gate of the tour", self.lists[2].id).key
        numbers = [list_.id for list_ in self.lists]
        self.box.scanners.add_pretixscan("Gate 2", numbers)
        self.box.scanners.add_pretixscan("Not set up", numbers)
        for role, password in PASSWORDS.items():
            self.box.store.staff.set_password(role, hashed(password), code=None)
        self.app: Flask = create_app(self.box)
        self.scan_key = self.new_session()

    def close(self) -> None:
        self.box.close()

    def _list(self, slug: str, subevent: int | None = None) -> CheckInList:
        event = StubEvent()
        event.event = slug
        event.include_pending = slug == "othercon"
        for secret in SECRETS:
            event.add_ticket(secret, order=secret.upper())
        event.tickets["unpaid"].order_status = PENDING
        event.tickets["expired"].order_status = EXPIRED
        event.tickets["asks"].item_id = event.tickets["shirt"].item_id = 1
        event.tickets["shirt"].variation_id = 1
        event.add_question(1, "C", [1], options={1: "S", 2: "M"})
        event.add_question(2, "W", [1], required=False)
        status = event.status()
        status["event"]["subevent"] = subevent
        list_ = self.box.add_saved({"status": status, "download": event.download()}, "the test's event")
        return list_

    def new_session(self) -> str:
        """The key of a fresh session of the pretixSCAN device; the one before has ended."""
        token = self.box.scanners.renew("Gate 2").setup_token
        assert token is not None
        begun = self.box.scanners.set_up(token, Phone("", "", "", "", NOW))
        assert begun is not None
        return begun[1]

    def setup_token(self) -> str:
        """What stands in the QR code of a device that is not set up; a fresh one where it was used meanwhile."""
        device = self.box.store.devices.named("Not set up")
        return f"{PROXY}{device.setup_token or self.box.scanners.renew(device.name).setup_token}"

    def browser(self, role: Role | None = None) -> tuple[Browser, str]:
        """A browser, of somebody who has logged in if there is a role; and the token of its forms."""
        browser = Browser(self.app)
        if role is not None:
            browser.log_in(role)
        return browser, browser.token()

    def configuration(self) -> Any:
        """Everything that staff have set up, and nothing that changes by scanning and syncing."""
        store = self.box.store
        told = {"user_agent", "last_seen_at", "phone", "setup_token"}
        devices = [{k: v for k, v in asdict(device).items() if k not in told} for device in store.devices.all()]
        for device in devices:
            if device["app"] == "pretixscan":  # a session that begins or ends is no setting
                del device["key"]
        return copy.deepcopy((
            [(replace(list_, last_push=None), list_.is_paused) for list_ in store.lists.all()],
            devices,
            store.connections.all(),
            [store.staff.credential(role) for role in Role],
            store.staff.session_secret(),
            self.box.config,
            sorted(file.name for file in self.box.config.data_dir.iterdir() if file.suffix == ".toml"),
        ))  # fmt: skip

    # --- its description ----------------------------------------------------------------------------------------------

    def described(self, *, finds_something: bool) -> dict[str, Any]:
        """The description as the fuzzing needs it: keys are the test's business, and an answer must not have what it
        does not name. `finds_something`: with values of fields that the box knows."""
        told: dict[str, Any] = json.loads(json.dumps(description()))  # what stands in several places is several things
        if finds_something:
            for schema in _objects(told):
                for name in KNOWN.keys() & schema["properties"].keys():
                    schema["properties"][name] = {"enum": KNOWN[name]}
                schema["required"] = sorted(NEEDED & schema["properties"].keys())
        for item in told["paths"].values():
            for operation in item.values():
                operation.pop("security", None)
        for schema in told["components"]["schemas"].values():
            _close(schema)
        return told


def operations() -> Iterator[tuple[str, str, str]]:
    """Method, path and tag of everything that is described."""
    for path, item in description()["paths"].items():
        for method, operation in item.items():
            yield method, path, operation["tags"][0]


def _objects(told: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The bodies that have fields."""
    for item in told["paths"].values():
        for operation in item.values():
            for content in operation.get("requestBody", {}).get("content", {}).values():
                if "properties" in content["schema"]:
                    yield content["schema"]


def _close(schema: Any) -> None:
    """Let objects have nothing but what they name; of `if` and `then` nothing is closed."""
    if not isinstance(schema, dict):
        return
    if "properties" in schema:
        schema.setdefault("additionalProperties", False)
    for key, part in schema.items():
        if key == "properties":
            for each in part.values():
                _close(each)
        elif key == "items":
            _close(part)
        elif key in ("anyOf", "oneOf"):
            for each in part:
                _close(each)
