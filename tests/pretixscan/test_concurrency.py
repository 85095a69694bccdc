"""Several phones at once: one ticket lets in once, whatever the phones speak, and one QR code sets one phone up."""

from __future__ import annotations

import http.client
import json
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from urllib.parse import urlencode

import pytest

from edgebox.model import CheckInList
from tests.pretixscan.gate import Gate
from tests.support.event import StubEvent
from tests.support.pretixscan import App, Refused

ROUNDS = 40
Scan = Callable[[str], str]
"""Of a secret: the verdict in pretixSCAN's words."""


def at_once(acts: Sequence[Callable[[], str]]) -> Counter[str]:
    """Each in a thread of its own, all at the same moment; what they came to."""
    told: list[str] = []
    start = threading.Barrier(len(acts))

    def run(act: Callable[[], str]) -> None:
        start.wait()
        told.append(act())

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == len(acts), "some got no answer"
    return Counter(told)


@pytest.fixture
def list_(gate: Gate) -> CheckInList:
    event = StubEvent()
    event.add_tickets(ROUNDS, "t")
    return gate.add_saved(event)


def new_app(gate: Gate, list_: CheckInList, name: str) -> Scan:
    app = gate.phone(list_, name=name)
    return lambda secret: app.check(secret).type


def old_app(gate: Gate, list_: CheckInList, name: str) -> Scan:
    """A phone with the pretixdroid app, on a connection that it keeps."""
    device = gate.box.scanners.add(name, list_.id)
    line = http.client.HTTPConnection(gate.url.removeprefix("http://"), timeout=60)

    def scan(secret: str) -> str:
        path = f"/pretixdroid/api/{list_.organizer}/{list_.event}/redeem/?key={device.key}"
        form = urlencode({"secret": secret, "nonce": f"{name} {secret}"})
        line.request("POST", path, form, {"Content-Type": "application/x-www-form-urlencoded"})
        told = json.loads(line.getresponse().read())
        return {"ok": "VALID", "already_redeemed": "USED"}[told.get("reason", told["status"])]

    return scan


@pytest.mark.parametrize("kinds", [(new_app, new_app), (new_app, old_app), (new_app, new_app, old_app, old_app)])
def test_of_phones_at_one_ticket_exactly_one_lets_it_in(
    gate: Gate, list_: CheckInList, kinds: Sequence[Callable[[Gate, CheckInList, str], Scan]]
) -> None:
    phones = [kind(gate, list_, f"Gate {number}") for number, kind in enumerate(kinds)]
    secrets = [f"t{number:06d}" for number in range(ROUNDS)]
    for secret in secrets:
        told = at_once([partial(scan, secret) for scan in phones])
        assert told == {"VALID": 1, "USED": len(kinds) - 1}, secret
    assert [checkin.secret for checkin in gate.checkins()] == secrets
    assert gate.count(list_).checkins == ROUNDS
    winners = {checkin.device_name for checkin in gate.checkins()}
    assert winners <= {f"Gate {number}" for number in range(len(kinds))}


def first_start(app: App) -> str:
    try:
        app.first_start()
    except Refused as error:
        return str(error.status)
    return "set up"


def test_of_phones_at_one_qr_code_exactly_one_is_set_up(gate: Gate, list_: CheckInList) -> None:
    gate.add_device("Gate 1", list_)
    for _ in range(10):
        qr = gate.qr(gate.box.scanners.renew("Gate 1"))
        apps = [App.from_qr(qr) for _ in range(4)]

        told = at_once([partial(first_start, app) for app in apps])
        assert told == {"set up": 1, "400": 3}
        [mine] = [app for app in apps if app.wire.api_token is not None]
        mine.events()


def check(app: App, secret: str, way: str) -> str:
    result = app.check(secret, way)
    return f"{result.scan_type} {result.type}"


def test_entries_and_exits_of_one_ticket_are_recorded_one_after_the_other(gate: Gate, list_: CheckInList) -> None:
    """Whoever comes first: one entry, and each exit is let out."""
    apps = [gate.phone(list_, name=f"Gate {number}") for number in range(4)]
    for number in range(10):
        secret = f"t{number:06d}"
        ways = zip(apps, ("ENTRY", "ENTRY", "EXIT", "EXIT"), strict=True)
        assert at_once([partial(check, app, secret, way) for app, way in ways]) == {
            "ENTRY VALID": 1,
            "ENTRY USED": 1,
            "EXIT VALID": 2,
        }
    assert Counter(checkin.direction.value for checkin in gate.checkins()) == {"entry": 10, "exit": 20}
