"""A lost answer: the app sends no nonce, so that the door scans again. What it then shows, with and without a grace."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from edgebox.model import CheckInList
from tests.pretixscan.conftest import OpenGate
from tests.pretixscan.gate import NOW, Gate, sell
from tests.support.box import wait_until
from tests.support.event import StubEvent
from tests.support.pretix import PretixStub, check_in_list
from tests.support.pretixscan import App
from tests.support.upstream import StubUpstream

GRACE_S = 30.0


def a_list(gate: Gate) -> CheckInList:
    event = StubEvent()
    for secret in ("abc", "def"):
        event.add_ticket(secret)
    return gate.add_saved(event)


def hang_up_after_asking(gate: Gate, app: App, list_: CheckInList, secret: str) -> None:
    """A check whose answer nobody waits for."""
    line = http.client.HTTPConnection(gate.url.removeprefix("http://"), timeout=30)
    body = json.dumps({"events_and_checkin_lists": {list_.event: list_.id}, "ticketid": secret, "nonce": None})
    headers = {"Authorization": f"Device {app.device.api_token}", "Content-Type": "application/json"}
    line.request("POST", "/proxyapi/v1/rpc/check/", body, headers)
    line.close()


def after(gate: Gate, seconds: float, app: App, secret: str = "abc", way: str = "ENTRY") -> str:
    gate.let_pass(seconds)
    return app.check(secret, way).type


# --- as it is set up --------------------------------------------------------------------------------------------------


def test_the_door_sees_that_it_was_this_device_a_moment_ago(gate: Gate) -> None:
    list_ = a_list(gate)
    app = gate.phone(list_)
    hang_up_after_asking(gate, app, list_, "abc")
    wait_until(lambda: len(gate.checkins()) == 1, 20, "the scan whose answer was lost is recorded")
    gate.let_pass(35)
    again = app.check("abc")
    assert (again.type, again.first_scanned) == ("USED", NOW)
    assert again.reason_explanation == "First used 35 s ago at this device."
    assert len(gate.checkins()) == 1


def test_without_a_grace_not_even_the_same_instant_is_the_same_scan(gate: Gate) -> None:
    app = gate.phone(a_list(gate))
    assert [app.check("abc").type, app.check("abc").type] == ["VALID", "USED"]
    assert [app.check("abc", "EXIT").type for _ in range(2)] == ["VALID", "VALID"]
    assert len(gate.checkins()) == 3


# --- with a grace -----------------------------------------------------------------------------------------------------


@pytest.fixture
def kind(open_gate: OpenGate) -> Gate:
    """A box that lets a scan in again for half a minute."""
    return open_gate(rescan_grace_s=GRACE_S)


def test_a_lost_answer_comes_again_and_nothing_new_is_recorded(kind: Gate) -> None:
    list_ = a_list(kind)
    app = kind.phone(list_)
    hang_up_after_asking(kind, app, list_, "abc")
    wait_until(lambda: len(kind.checkins()) == 1, 20, "the scan whose answer was lost is recorded")
    assert [after(kind, 15, app), after(kind, 15, app)] == ["VALID", "VALID"]
    assert after(kind, 0.001, app) == "USED", "the grace is over, however often it was scanned meanwhile"
    assert [(each.secret, each.datetime) for each in kind.checkins()] == [("abc", NOW)]
    assert kind.count(list_).checkins == 1
    assert after(kind, 0, app, "def") == "VALID", "a commit, which takes along what else is to be in the log"
    repeats = [entry for entry in kind.log() if entry.is_repeat]
    assert {(entry.verdict, entry.secret) for entry in repeats} == {("ok", "abc")}
    assert sum(entry.count for entry in repeats) == 2


def test_another_device_is_another_scan(kind: Gate) -> None:
    list_ = a_list(kind)
    here, there = kind.phone(list_), kind.phone(list_, name="Gate 2")
    assert here.check("abc").type == "VALID"
    refused = there.check("abc")
    assert (refused.type, refused.reason_explanation) == ("USED", "First used 0 s ago at Gate 1.")
    assert here.check("abc").type == "VALID"
    assert len(kind.checkins()) == 1


def test_the_other_direction_is_another_scan(kind: Gate) -> None:
    app = kind.phone(a_list(kind))
    told = [after(kind, 1, app, "abc", way) for way in ("ENTRY", "EXIT", "EXIT", "ENTRY")]
    assert told == ["VALID", "VALID", "VALID", "USED"], "the second exit is the first one again; then the guest was out"
    assert [each.direction.value for each in kind.checkins()] == ["entry", "exit"]


def test_where_guests_may_come_in_again_each_way_is_one_scan(kind: Gate, pretix: PretixStub) -> None:
    pretix.lists = [check_in_list(1, "Often", allow_multiple_entries=True)]
    sell(pretix, "ABC")
    app = kind.phone(*kind.add_current(pretix))
    assert [after(kind, 1, app, "abc", way) for way in ("ENTRY", "ENTRY", "EXIT", "ENTRY")] == ["VALID"] * 4
    assert after(kind, GRACE_S + 1, app) == "VALID"
    assert [each.direction.value for each in kind.checkins()] == ["entry", "exit", "entry", "entry"]


def test_a_clock_that_was_put_back_is_no_reason_to_let_in(kind: Gate) -> None:
    app = kind.phone(a_list(kind))
    assert [app.check("abc").type, after(kind, -1, app)] == ["VALID", "USED"]


def an_old_list(gate: Gate, request: pytest.FixtureRequest) -> CheckInList:
    stub: StubUpstream = request.getfixturevalue("stub")
    stub.add_ticket("abc")
    return gate.add_old(stub)


def a_current_list(gate: Gate, request: pytest.FixtureRequest) -> CheckInList:
    pretix: PretixStub = request.getfixturevalue("pretix")
    sell(pretix, "ABC")
    return gate.add_current(pretix)[0]


@pytest.mark.parametrize("new_list", [an_old_list, a_current_list])
def test_it_is_the_same_scan_also_when_upstream_has_it_meanwhile(
    kind: Gate, request: pytest.FixtureRequest, new_list: Callable[[Gate, pytest.FixtureRequest], CheckInList]
) -> None:
    app = kind.phone(new_list(kind, request))
    assert app.check("abc").type == "VALID"
    for _ in range(3):
        if new_list is a_current_list:
            pretix: PretixStub = request.getfixturevalue("pretix")
            pretix.now += timedelta(minutes=1)
            pretix.orders[0]["last_modified"] = pretix.now.isoformat()
        kind.sync()
        assert after(kind, 5, app) == "VALID"
    assert [each.state.value for each in kind.checkins()] == ["settled"]
    assert after(kind, GRACE_S, app) == "USED"


def test_one_whom_somebody_let_in_by_hand_or_upstream_is_used(kind: Gate, stub: StubUpstream) -> None:
    for secret in ("abc", "def"):
        stub.add_ticket(secret)
    stub.redeem({"secret": "def"})
    app = kind.phone(kind.add_old(stub))
    [hit] = [each for each in kind.box.desk.find("Lovelace", 10) if each.ticket.data.secret == "abc"]
    kind.box.desk.check_in(hit.ticket.id, "Lena", None, is_forced=False)
    assert [app.check("abc").type, app.check("def").type] == ["USED", "USED"]
