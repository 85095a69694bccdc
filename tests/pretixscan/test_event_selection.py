"""`device/eventselection`: the event that a phone should scan for."""

from __future__ import annotations

from datetime import timedelta

import pytest

from edgebox.model import CheckInList
from tests.pretixscan.gate import Gate, sell
from tests.support.event import StubEvent
from tests.support.pretix import PretixStub
from tests.support.pretixscan import App, Switch


@pytest.fixture
def side(gate: Gate) -> CheckInList:
    """A list of an event that was years ago."""
    event = StubEvent()
    event.event = "sidecon"
    return gate.add_saved(event)


def at(app: App, slug: str, list_id: int) -> Switch | None:
    app.select({slug: list_id})
    return app.event_selection()


def test_a_phone_that_scans_for_a_list_of_its_own_stays(gate: Gate, side: CheckInList, pretix: PretixStub) -> None:
    pretix.event |= {"date_from": (gate.now - timedelta(hours=1)).isoformat(), "date_to": None}
    [list_] = gate.add_current(pretix)
    app = gate.phone(side, list_)
    assert at(app, "sidecon", side.id) is None
    assert app.wire.history[-1].status == 304
    assert at(app, "democon", list_.id) is None
    answer = gate.ask("GET", "api/v1/device/eventselection?current_event=sidecon", key=app.device.api_token)
    assert (answer.status_code, answer.content) == (304, b"")


def test_any_other_is_sent_to_the_event_that_is_on(gate: Gate, side: CheckInList, pretix: PretixStub) -> None:
    pretix.event |= {
        "date_from": (gate.now + timedelta(hours=1)).isoformat(),
        "date_admission": (gate.now - timedelta(minutes=1)).isoformat(),
        "date_to": (gate.now + timedelta(hours=2)).isoformat(),
    }
    [list_] = gate.add_current(pretix)
    app = gate.phone(side, list_)
    here = Switch("democon", "DemoCon", None, list_.id)
    assert at(app, "elsewhere", 1) == here
    assert at(app, "democon", 999) == here
    assert at(app, "democon", side.id) == here, "that is the other event's list"
    gate.let_pass(3 * 3600)
    assert at(app, "elsewhere", 1) == Switch("sidecon", "Demo Conference", None, side.id), "none is on: the first"


def test_a_date_of_a_series_that_is_on(gate: Gate, pretix: PretixStub) -> None:
    sell(pretix, "ABCDE")
    pretix.event["has_subevents"] = True
    for number, days in ((31, -1), (32, 0)):
        begin = (gate.now + timedelta(days=days, minutes=-5)).isoformat()
        end = (gate.now + timedelta(days=days, hours=5)).isoformat()
        date = {"id": number, "name": {"en": f"Day {number}"}, "date_from": begin, "date_to": end}
        pretix.subevents.append({**date, "date_admission": None, "event": "democon"})
    pretix.lists[0]["subevent"] = 31
    pretix.lists.append({**pretix.lists[0], "id": 2, "name": "Second day", "subevent": 32})
    first, second = gate.add_current(pretix, 1, 2)
    app = App.from_qr(gate.add_device("Gate 1", first, second))
    app.first_start()
    assert at(app, "elsewhere", 1) == Switch("democon", "DemoCon", 32, second.id)


def test_a_phone_whose_lists_are_gone_is_told_in_plain_words(gate: Gate, side: CheckInList) -> None:
    app = gate.phone(side)
    gate.box.remove_list(side.id)
    assert at(app, "sidecon", side.id) is None
    answer = gate.ask("GET", "api/v1/device/eventselection?current_event=sidecon", key=app.device.api_token)
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "text/plain; charset=utf-8")
    assert not answer.text.startswith("{")
