"""What the app fetches about events and lists: all of it at first, and then what has changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from tests.pretixscan.conftest import OpenGate
from tests.pretixscan.gate import Gate, sell
from tests.support.event import StubEvent
from tests.support.pretix import PretixStub, check_in_list
from tests.support.pretixscan import App, ListOffer
from tests.support.pretixscan.downloading import java_date
from tests.support.pretixscan.picking import CEST
from tests.support.pretixscan.schemas import validate_whole
from tests.support.upstream import StubUpstream

CONDITIONAL = ("categories", "items", "questions", "checkinlists")
TABLES = ("badgelayouts", "badgeitems", "revokedsecrets", "blockedsecrets")


def answered(app: App, slug: str = "democon") -> dict[str, int]:
    """The status of each of an event's resources in a sync."""
    app.wire.history.clear()
    app.sync()
    paths = [(each.target.split("?")[0].split("/"), each.status) for each in app.wire.history]
    return {path[-2]: status for path, status in paths if path[-3] == slug}


def row(app: App, resource: str, number: int, slug: str = "democon") -> Any:
    return app.storage.tables[slug, resource][number]


# --- all of it --------------------------------------------------------------------------------------------------------


def test_a_first_sync_has_both_events_each_in_its_own_language(
    gate: Gate, pretix: PretixStub, stub: StubUpstream
) -> None:
    pretix.locale, pretix.event["currency"], pretix.event["testmode"] = "de", "CHF", True
    pretix.event["date_from"] = "2026-11-24T19:00:00+01:00"
    pretix.lists[0] |= {"all_products": False, "limit_products": [1], "include_pending": True}
    stub.event, stub.list_name = "sidecon", "Side door"
    app = gate.phone(*gate.add_current(pretix), gate.add_old(stub))
    assert app.ignored == []
    new, old = app.storage.events["democon"], app.storage.events["sidecon"]
    assert (new["name"], new["currency"], new["testmode"]) == ({"de": "DemoKon"}, "CHF", True)
    assert (new["date_from"], new["timezone"]) == ("2026-11-24T18:00:00+00:00", "Europe/Berlin")
    assert (old["name"], old["date_from"]) == ({"en": "Demo Conference"}, "2016-12-27T17:00:00+00:00")
    assert row(app, "items", 1)["name"] == {"de": "Karte"}
    assert [(item["id"], item["admission"]) for item in app.storage.rows("sidecon", "items")] == [(1, False), (2, True)]
    assert [each["value"] for each in row(app, "items", 1, "sidecon")["variations"]] == [{"en": "Red"}, {"en": "Blue"}]
    [list_] = app.storage.rows("democon", "checkinlists")
    assert (list_["all_products"], list_["limit_products"], list_["include_pending"]) == (False, [1], True)
    assert list_["allow_entry_after_exit"] is True
    [list_] = app.storage.rows("sidecon", "checkinlists")
    assert (list_["name"], list_["all_products"], list_["allow_entry_after_exit"]) == ("Side door", True, False)
    assert {app.storage.settings[slug] == {} for slug in ("democon", "sidecon")} == {True}


def test_a_list_whose_server_was_never_reached_is_offered_and_synced(gate: Gate, stub: StubUpstream) -> None:
    stub.stop()
    list_ = gate.box.add_list(stub.url, stub.key)
    app = gate.phone(list_)
    assert app.storage.events["democon"]["name"] == {"en": "demoorga/democon"}
    assert (app.ignored, app.storage.rows("democon", "items")) == ([], [])
    assert app.check("abc").type == "INVALID"
    assert app.search("abcd") == []
    status = app.status()["democon"]
    assert (status.total_tickets, status.already_scanned, status.items) == (0, 0, ())


def test_secrets_orders_and_media_stay_on_the_box(gate: Gate, pretix: PretixStub) -> None:
    sell(pretix, "ABCDE")
    pretix.revoked.append({"id": 1, "secret": "revoked", "created": "2026-11-01T00:00:00Z"})
    pretix.blocked.append({"id": 1, "secret": "blocked", "updated": "2026-11-01T00:00:00Z", "blocked": True})
    app = gate.phone(*gate.add_current(pretix))
    assert app.check("revoked").type == "REVOKED", "the box itself knows them"
    assert [app.storage.rows("democon", name) for name in TABLES] == [[], [], [], []]
    for name in ("orders", "reusablemedia"):
        answer = gate.ask("GET", f"api/v1/organizers/demoorga/events/democon/{name}/", key=app.device.api_token)
        validate_whole(name, answer.json())
        assert answer.json() == {"count": 0, "next": None, "previous": None, "results": []}


def test_a_printed_badge_is_taken_and_told_to_nobody(gate: Gate, pretix: PretixStub) -> None:
    app = gate.phone(*gate.add_current(pretix))
    before = len(pretix.requests)
    key = app.print_log("democon", 501)
    app.print_log("democon", 501, key)
    assert [each.status for each in app.wire.history][-2:] == [204, 204]
    assert (app.ignored, len(pretix.requests)) == ([], before)


# --- what has changed -------------------------------------------------------------------------------------------------


def test_a_second_sync_is_told_that_nothing_has_changed(gate: Gate, pretix: PretixStub) -> None:
    app = gate.phone(*gate.add_current(pretix))
    assert answered(app) == {**dict.fromkeys(CONDITIONAL, 304), **dict.fromkeys((*TABLES, "settings"), 200)}
    sell(pretix, "ABCDE")
    gate.sync()
    assert app.check("abcde").type == "VALID"
    assert {answered(app)[name] for name in CONDITIONAL} == {304}, "tickets and check-ins change none of it"


QUESTION = {
    "id": 7, "type": "S", "question": {"en": "Why?"}, "required": True, "position": 0, "items": [1], "options": [],
    "ask_during_checkin": True, "identifier": "WHY",
}  # fmt: skip
CHANGES: dict[str, Callable[[PretixStub], object]] = {
    "items": lambda pretix: pretix.items[0].update(name={"en": "Entry"}),
    "questions": lambda pretix: pretix.questions.append(QUESTION),
    "checkinlists": lambda pretix: pretix.lists[0].update(include_pending=True),
}


def test_only_what_was_changed_comes_again(gate: Gate, pretix: PretixStub) -> None:
    app = gate.phone(*gate.add_current(pretix))
    for name, happens in CHANGES.items():
        happens(pretix)
        gate.sync()
        told = answered(app)
        assert {each for each in CONDITIONAL if told[each] == 200} == {name}
        assert {answered(app)[each] for each in CONDITIONAL} == {304}
    assert row(app, "items", 1)["name"] == {"en": "Entry"}
    assert row(app, "questions", 7)["question"] == {"en": "Why?"}
    assert [each["include_pending"] for each in app.storage.rows("democon", "checkinlists")] == [True]


def test_what_was_the_same_before_a_restart_is_so_after_it(open_gate: OpenGate, pretix: PretixStub) -> None:
    gate = open_gate()
    app = gate.phone(*gate.add_current(pretix))
    gate.close()
    app.url = app.wire.url = open_gate(at=gate.data_dir).url
    assert {answered(app)[name] for name in CONDITIONAL} == {304}


def test_a_date_that_is_not_the_one_told_is_no_reason_to_keep_the_rows(gate: Gate) -> None:
    app = gate.phone(gate.add_saved(StubEvent()))
    for name in CONDITIONAL:
        path = f"api/v1/organizers/demoorga/events/democon/{name}/"

        def status(stamp: str, path: str = path) -> int:
            headers = {"If-Modified-Since": stamp}
            return gate.ask("GET", path, key=app.device.api_token, headers=headers).status_code

        told = app.storage.stamps["democon", name].last_modified
        assert datetime.strptime(told, "%a, %d %b %Y %H:%M:%S GMT")
        assert status(told) == 304
        for other in (java_date(datetime.now(CEST)), "Tue, 24 Nov 2099 08:00:00 GMT", "", "x"):
            assert status(other) == 200, (name, other)


# --- a series ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def series(pretix: PretixStub) -> PretixStub:
    """Two dates, with a list each, and one list for both."""
    pretix.event["has_subevents"] = True
    for number in (31, 32):
        pretix.subevents.append(
            {
                "id": number, "event": "democon", "name": {"en": f"Day {number}"}, "date_from": "2026-11-24T19:00:00Z",
                "date_to": None, "date_admission": None,
            }
        )  # fmt: skip
    dates = {1: None, 2: 31, 3: 32}
    pretix.lists = [check_in_list(number, f"List {number}", subevent=date) for number, date in dates.items()]
    return pretix


def offers(app: App) -> list[tuple[str, int | None]]:
    return sorted((each.slug, each.subevent) for each in app.events())


def test_a_series_is_picked_by_its_dates_and_each_has_its_lists(gate: Gate, series: PretixStub) -> None:
    every, first, second = gate.add_current(series, 1, 2, 3)
    app = App.from_qr(gate.add_device("Gate 1", every, first, second), hook=validate_whole)
    app.first_start()
    assert offers(app) == [("democon", 31), ("democon", 32)]
    assert {each.name["en"] for each in app.events()} == {"Day 31", "Day 32"}
    assert app.check_in_lists("democon", 31) == [
        ListOffer(every.id, "List 1", None), ListOffer(first.id, "List 2", 31)
    ]  # fmt: skip
    assert [each.id for each in app.check_in_lists("democon", 32)] == [every.id, second.id]
    assert app.storage.events["democon"]["has_subevents"] is True


def test_another_date_brings_the_lists_of_that_date(gate: Gate, series: PretixStub) -> None:
    _, first, second = gate.add_current(series, 1, 2, 3)
    app = App.ready(gate.add_device("Gate 1", first, second), {"democon": first.id}, {"democon": 31})
    app.select({"democon": second.id}, {"democon": 32})
    told = answered(app)
    assert (told["checkinlists"], told["items"]) == (200, 304)
    assert [each["id"] for each in app.storage.rows("democon", "checkinlists")] == [second.id]
    assert answered(app)["checkinlists"] == 304


def test_a_phone_is_offered_only_the_dates_of_its_lists(gate: Gate, series: PretixStub) -> None:
    sell(series, "ABCDE")
    _, first, _ = gate.add_current(series, 1, 2, 3)
    app = gate.phone(first)
    assert offers(app) == [("democon", 31)]
    assert app.check("abcde").type == "INVALID", "of no date at all"


def test_a_date_that_the_old_dialect_tells_is_a_series_too(gate: Gate) -> None:
    event = StubEvent()
    event.add_ticket("abc")
    first, second = gate.add_saved(event, subevent=31), gate.add_saved(event, subevent=32)
    app = gate.phone(first)
    assert offers(app) == [("democon", 31)]
    assert app.check("abc").type == "VALID"
    app = gate.phone(second, name="Gate 2")
    assert offers(app) == [("democon", 32)]
    assert app.check("abc").type == "VALID", "each date counts by itself"
