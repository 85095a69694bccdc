"""A phone sees and opens the lists of its device alone, and can make the box register nothing."""

from __future__ import annotations

from typing import Any

import pytest

from edgebox.model import CheckInList
from tests.pretixscan.gate import Gate, sell
from tests.support.event import StubEvent
from tests.support.pretix import PretixStub, check_in_list
from tests.support.pretixscan import App, Refused
from tests.support.pretixscan.schemas import validate_whole

RESOURCES = (
    "", "subevents/", "categories/", "items/", "questions/", "badgelayouts/", "badgeitems/", "checkinlists/",
    "revokedsecrets/", "blockedsecrets/", "settings/", "orders/", "reusablemedia/",
)  # fmt: skip


def an_event(slug: str, *secrets: str, organizer: str = "demoorga", **about: Any) -> StubEvent:
    event = StubEvent()
    event.event, event.organizer = slug, organizer
    for name, value in about.items():
        setattr(event, name, value)
    for secret in secrets:
        event.add_ticket(secret)
    return event


@pytest.fixture
def mine(gate: Gate) -> CheckInList:
    return gate.add_saved(an_event("democon", "mine"))


@pytest.fixture
def others(gate: Gate, mine: CheckInList) -> dict[str, CheckInList]:
    """Another list of the same event, one of another event, and one of another organizer."""
    return {
        "list": gate.add_saved(an_event("democon", "backstage", list_name="Backstage")),
        "event": gate.add_saved(an_event("sidecon", "side")),
        "organizer": gate.add_saved(an_event("foreign", "foreign", organizer="elsewhere")),
    }


@pytest.fixture
def app(gate: Gate, mine: CheckInList, others: dict[str, CheckInList]) -> App:
    return gate.phone(mine)


def assert_not_there(gate: Gate, app: App, path: str, method: str = "GET") -> None:
    """404 as the app understands it: not in JSON."""
    answer = gate.ask(method, path, key=app.device.api_token, **({"body": {}} if method == "POST" else {}))
    assert answer.status_code == 404, path
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.text
    assert not answer.text.startswith("{")


def test_the_pickers_offer_its_own_lists_only(gate: Gate, app: App, mine: CheckInList) -> None:
    assert [(each.slug, each.subevent) for each in app.events()] == [("democon", None)]
    assert [each.id for each in app.check_in_lists("democon")] == [mine.id]


def test_everything_of_another_event_or_organizer_is_not_there(gate: Gate, app: App) -> None:
    home = "api/v1/organizers"
    for resource in RESOURCES:
        for where in ("demoorga/events/sidecon", "demoorga/events/no-such-event", "elsewhere/events/foreign"):
            assert_not_there(gate, app, f"{home}/{where}/{resource}")
    for resource in ("events/", "subevents/"):
        for organizer in ("elsewhere", "no-such-organizer"):
            assert_not_there(gate, app, f"{home}/{organizer}/{resource}")
    for where in ("demoorga/events/sidecon", "elsewhere/events/foreign"):
        assert_not_there(gate, app, f"{home}/{where}/orderpositions/501/printlog/", "POST")


def test_a_check_on_a_list_of_others_is_an_error_in_words(
    gate: Gate, app: App, mine: CheckInList, others: dict[str, CheckInList]
) -> None:
    chosen = [
        {"democon": others["list"].id}, {"sidecon": others["event"].id}, {"foreign": others["organizer"].id},
        {"sidecon": mine.id}, {"democon": 999}, {"democon": -1}, {"no-such-event": mine.id}, {},
        {"democon": mine.id, "sidecon": others["event"].id},
    ]  # fmt: skip
    for lists in chosen:
        key = app.device.api_token
        answer = gate.ask(
            "POST", "proxyapi/v1/rpc/check/", key=key, body={"events_and_checkin_lists": lists, "ticketid": "mine"}
        )
        told = answer.json()
        validate_whole("check", told)
        assert (answer.status_code, told["type"], told["ticket"], told["message"]) == (200, "ERROR", None, None), lists
        assert "Choose another one" in told["reasonExplanation"]
        body = {"events_and_checkin_lists": lists, "query": "mine", "page": 1}
        answer = gate.ask("POST", "proxyapi/v1/rpc/search/", key=key, body=body)
        validate_whole("error", answer.json())
        assert answer.status_code == 400
    assert gate.checkins() == gate.log() == []


def test_the_form_of_one_list_says_the_same(gate: Gate, app: App, others: dict[str, CheckInList]) -> None:
    for each in others.values():
        for secret in ("backstage", "side", "foreign"):
            result = app.check_single(each.event, each.id, secret)
            assert (result.type, result.is_error_card, result.ticket) == ("ERROR", False, None)
        with pytest.raises(Refused, match="Choose another one") as refused:
            app.search_single(each.event, each.id, "Lovelace")
        assert refused.value.status == 400
        app.select({each.event: each.id})
        with pytest.raises(Refused, match="Choose another one") as refused:
            app.status()
        assert refused.value.status == 400
    assert gate.checkins() == []


def test_tickets_of_other_lists_are_unknown(gate: Gate, app: App) -> None:
    for secret in ("backstage", "side", "foreign"):
        assert app.check(secret).type == "INVALID"
        assert app.search(secret) == []
    assert app.check("mine").type == "VALID"


def test_a_list_that_was_removed_is_gone_for_its_phones(gate: Gate, mine: CheckInList) -> None:
    side = gate.add_saved(an_event("sidecon", "side"))
    app = gate.phone(mine, side)
    gate.box.remove_list(side.id)
    assert [each.slug for each in app.events()] == ["democon"]
    assert_not_there(gate, app, "api/v1/organizers/demoorga/events/sidecon/")
    result = app.check("mine")
    assert (result.type, result.is_error_card) == ("ERROR", False), "a chosen list is not there any more"
    app.select({"democon": mine.id})
    assert app.check("mine").type == "VALID"
    app.sync()
    gate.box.remove_list(mine.id)
    assert app.check("mine").type == "ERROR"
    for path in ("events/", "subevents/", "events/democon/", "events/democon/checkinlists/"):
        assert_not_there(gate, app, f"api/v1/organizers/demoorga/{path}")
    assert_not_there(gate, app, "api/v1/device/info")


def test_no_phone_makes_the_box_register_anything(gate: Gate, pretix: PretixStub) -> None:
    pretix.lists.append(check_in_list(2, "Backstage"))
    sell(pretix, "ABCDE")
    [list_] = gate.add_current(pretix)
    app = gate.phone(list_)
    lists, asked = gate.box.store.lists.all(), len(pretix.requests)
    for slug in ("democon", "sidecon"):
        for number in (2, 999):
            assert app.check_single(slug, number, "abcde").type == "ERROR"
            gate.ask("GET", f"proxyapi/v1/rpc/{slug}/{number}/status/", key=app.device.api_token)
            path = f"api/v1/device/eventselection?current_event={slug}&current_checkinlist={number}"
            gate.ask("GET", path, key=app.device.api_token)
        for resource in RESOURCES:
            gate.ask("GET", f"api/v1/organizers/demoorga/events/{slug}/{resource}", key=app.device.api_token)
    assert gate.box.store.lists.all() == lists
    assert gate.device().list_ids == (list_.id,)
    assert len(pretix.requests) == asked, "nor to ask for it upstream"


# --- addresses --------------------------------------------------------------------------------------------------------


def test_what_there_is_not_is_told_in_plain_words_and_nothing_redirects(
    gate: Gate, app: App, mine: CheckInList
) -> None:
    for path in (
        "api/v1/", "api/v1/organizers/", "api/v1/organizers/demoorga/", "api/v1/organizers/demoorga/events/democon/x/",
        "api/v1/organizers/demoorga/events/democon/checkinlists/1/", "proxyapi/v1/",
        "proxyapi/v1/rpc/democon/x/status/", f"proxyapi/v1/rpc/democon/{mine.id}/", "api/v1//device/info",
    ):  # fmt: skip
        assert_not_there(gate, app, path)
    for path in ("device/info", "device/info/", "organizers/demoorga/events", "organizers/demoorga/events/democon"):
        answer = gate.ask("GET", f"api/v1/{path}", key=app.device.api_token)
        assert answer.status_code == 200, path


def test_another_method_is_told_which_ones_there_are(gate: Gate, app: App) -> None:
    for method, path, allowed in (
        ("GET", "proxyapi/v1/rpc/check/", "POST"),
        ("DELETE", "api/v1/device/info", "GET, HEAD"),
        ("PUT", "api/v1/device/initialize", "POST"),
        ("OPTIONS", "api/v1/version", "GET, HEAD"),
    ):
        answer = gate.ask(method, path, key=app.device.api_token)
        validate_whole("error", answer.json())
        assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)
