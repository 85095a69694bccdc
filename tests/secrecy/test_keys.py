"""Keys cannot be guessed, are compared without telling anything, and end at once."""

from __future__ import annotations

import http.client
import json
import math
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from edgebox import scanners
from edgebox.model import Phone
from edgebox.store import staff
from tests.api.conftest import KEY, NOW, Venue, served

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
MAKERS = {
    "a scanner's key, a setup token": (lambda: scanners._random(scanners.KEY_LENGTH), 128),
    "a phone's key": (lambda: scanners._random(scanners.SESSION_KEY_LENGTH), 128),
    # Typed by hand, works once, and may be tried a few times a minute.
    "the code for a password": (staff._new_code, 48),
}


@pytest.mark.parametrize("what", MAKERS)
def test_what_the_box_makes_up_cannot_be_guessed(what: str) -> None:
    make, bits = MAKERS[what]
    made = [make() for _ in range(2000)]
    assert len(set(made)) == len(made)
    assert len({len(each) for each in made}) == 1
    characters = set("".join(made))
    for place in zip(*made, strict=True):
        assert set(place) == characters, "every character comes at every place"
        assert max(map(place.count, characters)) < 4 * len(made) / len(characters)
    assert len(made[0]) * math.log2(len(characters)) >= bits


def test_it_is_made_up_by_the_systems_own_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """A seed that is known tells nothing."""
    import random

    made = []
    for _ in range(2):
        random.seed(1)
        made.append((scanners._random(32), staff._new_code()))
    assert made[0] != made[1]


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[Venue]:
    venue = Venue(tmp_path)
    try:
        yield venue
    finally:
        venue.box.close()


class Untold(str):
    """A text that must not be compared: how far two are the same can be measured."""

    def __eq__(self, other: object) -> bool:
        raise AssertionError("a key was compared as it stands")

    def __ne__(self, other: object) -> bool:
        raise AssertionError("a key was compared as it stands")

    __hash__ = str.__hash__


def test_no_key_is_compared_as_it_stands(venue: Venue) -> None:
    venue.event.add_ticket("abc")
    list_ = venue.open()
    device = venue.box.scanners.add_pretixscan("Gate 2", [list_.id])
    begun = venue.box.scanners.set_up(str(device.setup_token), Phone("", "", "", "", NOW))
    assert begun is not None
    devices, roles = venue.box.store.devices, venue.box.store.staff
    code = roles.code(staff.Role.LEAD)
    assert code is not None
    assert devices.by_key(Untold(KEY)) is not None
    assert devices.by_session(Untold(begun[1])) is not None
    assert roles.is_code(staff.Role.LEAD, Untold(code))
    for wrong in (KEY[:-1] + "x", KEY + "x", "", "\u00ff"):
        assert devices.by_key(Untold(wrong)) is None
        assert devices.by_session(Untold(wrong)) is None
        assert devices.begin_session(Untold(wrong), "", Phone("", "", "", "", NOW)) is None
        assert not roles.is_code(staff.Role.LEAD, Untold(wrong))


class Gate:
    """A phone of each dialect with a connection that it keeps."""

    def __init__(self, data_dir: Path, stack: ExitStack) -> None:
        self.venue = Venue(data_dir)
        stack.callback(self.venue.box.close)
        self.venue.event.add_tickets(3, "t")
        self.list = self.venue.open()
        self.venue.box.scanners.add_pretixscan("Gate 2", [self.list.id])
        self.session = self.set_up()
        address = urlsplit(stack.enter_context(served(self.venue.box)))
        self.old, self.new = (
            http.client.HTTPConnection(str(address.hostname), int(address.port or 0), timeout=30) for _ in range(2)
        )
        stack.callback(self.old.close)
        stack.callback(self.new.close)

    def set_up(self) -> str:
        device = self.venue.box.store.devices.named("Gate 2")
        begun = self.venue.box.scanners.set_up(str(device.setup_token), Phone("", "", "", "", NOW))
        assert begun is not None
        return begun[1]

    def scan_old(self, secret: str) -> tuple[int, Any]:
        self.old.request("POST", f"/pretixdroid/api/demoorga/democon/redeem/?key={KEY}", f"secret={secret}", FORM)
        answer = self.old.getresponse()
        return answer.status, json.loads(answer.read())

    def scan_new(self, secret: str, session: str | None = None) -> tuple[int, Any]:
        body = json.dumps({"events_and_checkin_lists": {"democon": self.list.id}, "ticketid": secret})
        headers = {"Authorization": f"Device {session or self.session}"}
        self.new.request("POST", "/proxyapi/v1/rpc/check/", body, headers)
        answer = self.new.getresponse()
        return answer.status, json.loads(answer.read())


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    with ExitStack() as stack:
        yield Gate(tmp_path, stack)


def test_a_revoked_key_ends_in_the_middle_of_a_connection(gate: Gate) -> None:
    assert gate.scan_old("t000000")[1]["status"] == "ok"
    assert gate.scan_new("t000001")[1]["type"] == "VALID"
    kept = gate.old.sock, gate.new.sock
    gate.venue.box.scanners.revoke("Gate 1")
    gate.venue.box.scanners.revoke("Gate 2")
    assert gate.scan_old("t000002")[0] == 403
    assert gate.scan_new("t000002")[0] == 401
    assert (gate.old.sock, gate.new.sock) == kept, "on the same connections"
    assert len(gate.venue.journal) == 2


def test_a_renewed_phones_earlier_key_ends_when_the_new_one_begins(gate: Gate) -> None:
    gate.venue.box.scanners.renew("Gate 2")
    assert gate.scan_new("t000000")[1]["type"] == "VALID"
    session = gate.set_up()
    assert gate.scan_new("t000001")[0] == 401
    assert gate.scan_new("t000001", session)[1]["type"] == "VALID"


def test_the_list_that_a_key_opens_is_gone_at_once(gate: Gate) -> None:
    assert gate.scan_old("t000000")[1]["status"] == "ok"
    gate.venue.box.remove_list(gate.list.id)
    assert gate.scan_old("t000001")[0] == 404
    assert gate.scan_new("t000001")[1]["type"] == "ERROR"
