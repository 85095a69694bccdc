"""Phones with the pretixSCAN app at the doors of a box whose upstream is a real pretix 2026.8.0, from the QR code on:
what happened there is what the server's database and its API tell afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from edgebox.model import CheckInList
from tests.interop.current_venue import Venue, date_of, status_of
from tests.pretix.current import CurrentPretix
from tests.support.box import wait_until
from tests.support.pretixscan import App, Result
from tests.support.pretixscan.dialogs import AnswersFor, Value

pytestmark = pytest.mark.interop("current")

# Longer than any pause that the box makes below.
ARRIVAL_TIMEOUT_S = 90.0
BACKOFF_MAX_S = 2.0

Order = dict[str, Any]
Row = tuple[bool, str | None, str]
"""A check-in of the server: whether it was successful, why not, and which way it went."""


@pytest.fixture(scope="module")
def shared_venue(current_server: CurrentPretix, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    server = current_server.as_usual()
    venue = Venue(server, tmp_path_factory.mktemp("phones") / "box", "phones", backoff_max_s=BACKOFF_MAX_S)
    try:
        venue.register()
        venue.sync()
        venue.serve()
        venue.box.sync.start()
        yield venue
    finally:
        venue.close()


@pytest.fixture
def venue(shared_venue: Venue, server: CurrentPretix) -> Venue:
    """A box with all lists of the server, which serves phones and syncs by itself. Each test takes tickets of its own,
    and phones of another name."""
    return shared_venue


@dataclass(frozen=True)
class Scanned:
    """A scan, with the moments between which it happened."""

    secret: str
    way: str
    type: str
    began: datetime
    ended: datetime


@dataclass
class Door:
    """A phone at a list. `diary` has what was scanned there, oldest first."""

    venue: Venue
    app: App
    list_: CheckInList
    diary: list[Scanned] = field(default_factory=list)

    def scan(
        self, order: Order, way: str = "ENTRY", *, answers_for: AnswersFor | None = None, pays: bool = False
    ) -> Result:
        secret, began = secret_of(order), datetime.now(UTC)
        result = self.app.scan(secret, type=way, answers_for=answers_for, pays=pays)
        self.diary.append(Scanned(secret, way.lower(), result.type, began, datetime.now(UTC)))
        assert result.event_slug == self.list_.event
        return result

    def said(self, order: Order, way: str = "ENTRY", **how: Any) -> str:
        return self.scan(order, way, **how).type

    def is_done(self) -> bool:
        """Whether everything was pushed."""
        return not self.venue.box.store.journal.backlog(self.list_.id).pending

    def has_noticed(self) -> bool:
        """Whether the box takes the server for gone."""
        return not self.venue.box.sync.is_online(self.list_.id)

    def arrived(self, order: Order, count: int) -> list[Row]:
        """What the server has of this order's ticket on this list, in order of time, once it is so many.

        Asserts that each happened when the phone scanned it, and each scan that was VALID exactly once.
        """
        number = order["positions"][0]["id"]

        def told() -> list[tuple[Any, ...]]:
            return sorted(self.venue.server.checkins(number, self.list_.upstream_list), key=lambda row: row[5])

        wait_until(self.is_done, ARRIVAL_TIMEOUT_S, "everything pushed")
        wait_until(lambda: len(told()) >= count, ARRIVAL_TIMEOUT_S, f"{count} check-ins of {order['code']}")
        rows, mine = told(), [scanned for scanned in self.diary if scanned.secret == secret_of(order)]
        for scanned in mine:
            within = [row for row in rows if scanned.began <= row[5] <= scanned.ended and row[3] == scanned.way]
            assert sum(row[0] for row in within) == (scanned.type == "VALID"), (scanned, rows)
            rows = [row for row in rows if row not in within]
        assert not rows, f"at a time at which nobody scanned: {rows}"
        assert not any(row[0] and row[2] for row in told()), "none was forced"
        return [(ok, why, way) for ok, why, _, way, _, _ in told()]


def open_door(venue: Venue, name: str, list_name: str, *, beside: Door | None = None) -> Door:
    """A phone at a list of the main event. One `beside` another of the same list writes into its diary."""
    list_ = venue.list_named(list_name)
    return Door(venue, venue.phone(name, list_), list_, beside.diary if beside else [])


def secret_of(order: Order) -> str:
    secret: str = order["positions"][0]["secret"]
    return secret


def assert_statistics_agree(*doors: Door) -> None:
    """What the phones show of their lists is what the server's statistics are, once all is there."""
    for door in doors:
        wait_until(door.is_done, ARRIVAL_TIMEOUT_S, "everything pushed")
        told, shown = status_of(door.venue, door.list_), door.app.status()[door.list_.event]
        assert (shown.total_tickets, shown.already_scanned, shown.currently_inside) == (
            told["position_count"], told["checkin_count"], told["inside_count"],
        ), door.list_.name  # fmt: skip
        assert {(each.id, each.total, each.checkins, each.is_admission) for each in shown.items} == {
            (each["id"], each["position_count"], each["checkin_count"], each["admission"])
            for each in told["items"]
            if each["position_count"]
        }, door.list_.name


# --- entry and exit ---------------------------------------------------------------------------------------------------

IN, OUT = (True, None, "entry"), (True, None, "exit")
AGAIN = (False, "already_redeemed", "entry")


def test_whoever_leaves_comes_in_again(server: CurrentPretix, venue: Venue) -> None:
    door, order = open_door(venue, "re-entry", "Default"), server.take()
    assert door.app.knows_exit
    first = door.scan(order)
    used = door.scan(order)
    assert (first.type, used.type) == ("VALID", "USED")
    assert used.first_scanned is not None
    assert door.diary[0].began.timestamp() - 0.001 < used.first_scanned.timestamp() <= door.diary[0].ended.timestamp()
    assert "at this device" in (used.reason_explanation or "")
    assert [door.said(order, "EXIT"), door.said(order)] == ["VALID", "VALID"]
    assert door.arrived(order, 4) == [IN, AGAIN, OUT, IN]
    assert_statistics_agree(door)


def test_where_a_ticket_lets_in_once_nobody_comes_back(server: CurrentPretix, venue: Venue) -> None:
    door, order, other = open_door(venue, "no re-entry", "No reentry"), server.take(), server.take()
    assert [door.said(order), door.said(order, "EXIT"), door.said(order)] == ["VALID", "VALID", "USED"]
    assert door.said(other) == "VALID"
    assert door.arrived(order, 3) == [IN, OUT, AGAIN]
    assert door.arrived(other, 1) == [IN]
    assert_statistics_agree(door)


def test_a_lounge_lets_in_as_often_as_one_likes(server: CurrentPretix, venue: Venue) -> None:
    door, order = open_door(venue, "lounge", "Lounge"), server.take()
    assert {door.said(order, way) for way in ("ENTRY", "ENTRY", "EXIT", "EXIT", "ENTRY")} == {"VALID"}
    assert door.arrived(order, 5) == [IN, IN, OUT, OUT, IN]
    assert_statistics_agree(door)


def test_an_exit_of_somebody_who_never_came_in_arrives(server: CurrentPretix, venue: Venue) -> None:
    door, order = open_door(venue, "leaving first", "Default"), server.take()
    assert [door.said(order, "EXIT"), door.said(order)] == ["VALID", "VALID"]
    assert door.arrived(order, 2) == [OUT, IN]
    assert_statistics_agree(door)


# --- questions, and unpaid tickets ------------------------------------------------------------------------------------


def stored_answers(server: CurrentPretix, order: Order) -> dict[int, tuple[str, list[int]]]:
    """By question: what the server's API tells, and the options."""
    (position,) = server.order(order["code"])["positions"]
    return {each["question"]: (each["answer"], each["options"]) for each in position["answers"]}


def test_answers_given_at_the_door_arrive(server: CurrentPretix, venue: Venue) -> None:
    order, questions = server.take(item="Student"), server.fixtures["questions"]
    (size_m,) = [number for text, number in server.fixtures["question_options"]["SIZE"].items() if text == "M"]
    door, lounge = open_door(venue, "students", "Default"), open_door(venue, "students' lounge", "Lounge")
    asked = door.scan(order)
    assert asked.type == "ANSWERS_REQUIRED"
    assert [(each.question.server_id, each.question.is_required) for each in asked.required_answers or ()] == [
        (questions["STUDID"], True), (questions["SIZE"], False),
    ]  # fmt: skip
    assert door.said(order, answers_for={questions["STUDID"]: True, questions["SIZE"]: "M"}) == "VALID"
    assert lounge.said(order) == "VALID", "nobody is asked twice"
    assert [door.said(order, "EXIT"), door.said(order)] == ["VALID", "VALID"]
    assert door.arrived(order, 3) == [IN, OUT, IN]
    assert lounge.arrived(order, 1) == [IN]
    assert stored_answers(server, order) == {questions["STUDID"]: ("True", []), questions["SIZE"]: ("M", [size_m])}
    assert_statistics_agree(door, lounge)


def test_answers_of_every_type_arrive(server: CurrentPretix, venue: Venue) -> None:
    questions = server.fixtures["questions"]
    order, door = server.take(item="Press"), open_door(venue, "press", "Default")
    days = list(server.fixtures["question_options"]["PRESSM"].values())
    given: dict[str, tuple[Value, str]] = {
        "PRESSS": ("Ostsee-Anzeiger", "Ostsee-Anzeiger"), "PRESST": ("Two\nlines", "Two\nlines"),
        "PRESSN": ("2", "2"), "PRESSB": (True, "True"), "PRESSD": ("2027-03-31", "2027-03-31"),
        "PRESSH": ("18:45", "18:45:00"), "PRESSW": ("2026-12-27T23:15", "2026-12-27 23:15:00+01:00"),
        "PRESSCC": ("NL", "NL"), "PRESSTEL": ("+493012345678", "+493012345678"),
        "PRESSM": (days, "Day 1, Day 2"),
    }  # fmt: skip
    assert door.said(order, answers_for={questions[name]: value for name, (value, _) in given.items()}) == "VALID"
    assert door.arrived(order, 1) == [IN]
    told = stored_answers(server, order)
    assert {name: told[questions[name]][0] for name in given} == {name: text for name, (_, text) in given.items()}
    assert sorted(told[questions["PRESSM"]][1]) == sorted(days)


def test_an_answer_that_the_door_is_to_see_is_shown(server: CurrentPretix, venue: Venue) -> None:
    order, question = server.take(item="VIP"), server.fixtures["questions"]["DIET"]
    vegan = server.fixtures["question_options"]["DIET"]["Vegan"]
    path = f"events/democon/orderpositions/{order['positions'][0]['id']}/"
    server.ask("PATCH", path, {"answers": [{"question": question, "answer": "Vegan", "options": [vegan]}]})
    door = open_door(venue, "vip", "VIP only")
    venue.sync(door.list_)
    result = door.scan(order)
    assert result.type == "VALID"
    assert [(each.question.server_id, each.current_value) for each in result.shown_answers or ()] == [
        (question, "Vegan")
    ]
    assert (result.checkin_texts, result.is_attention_required) == (("VIP: hand out lanyard",), True)


def test_an_unpaid_ticket_is_let_in_by_the_dialog_where_the_list_allows_it(server: CurrentPretix, venue: Venue) -> None:
    order = server.take("n")
    door, office = open_door(venue, "unpaid", "Default"), open_door(venue, "box office", "Box office")
    refused = door.scan(order, pays=True)
    assert (refused.type, refused.is_checkin_allowed) == ("UNPAID", False)
    offered = office.scan(order)
    assert (offered.type, offered.is_checkin_allowed) == ("UNPAID", True)
    assert office.said(order, pays=True) == "VALID"
    unpaid = (False, "unpaid", "entry")
    assert office.arrived(order, 3) == [unpaid, unpaid, IN]
    assert server.order(order["code"])["status"] == "n", "nobody has paid by that"
    assert_statistics_agree(office)


# --- offline and back -------------------------------------------------------------------------------------------------


def test_what_was_scanned_offline_arrives_once_with_its_own_time(server: CurrentPretix, venue: Venue) -> None:
    door, lounge = open_door(venue, "offline", "Default"), open_door(venue, "offline lounge", "Lounge")
    other = open_door(venue, "offline beside", "Default", beside=door)
    first, *guests = (server.take() for _ in range(6))
    student, studid = server.take(item="Student"), server.fixtures["questions"]["STUDID"]
    with server.gone():
        assert (door.said(first), lounge.said(first)) == ("VALID", "VALID")
        for each in (door, lounge):
            wait_until(each.has_noticed, ARRIVAL_TIMEOUT_S, "the box notices that the server is gone")
        for guest in guests:
            assert (door.said(guest), other.said(guest), lounge.said(guest)) == ("VALID", "USED", "VALID")
        assert {other.said(guest, "EXIT") for guest in guests[:3]} == {"VALID"}
        assert {other.said(guest) for guest in guests[:2]} == {"VALID"}
        assert door.said(student, answers_for={studid: True}) == "VALID"
        secrets = {secret_of(order) for order in (*guests, student)}
        offline = {checkin.secret for checkin in venue.checkins() if checkin.is_offline}
        assert secrets <= offline, "the phones go on, and the box knows why"
    for guest in guests:
        came_back, left = guest in guests[:2], guest in guests[:3]
        story = [IN, AGAIN, *([OUT] if left else []), *([IN] if came_back else [])]
        assert door.arrived(guest, len(story)) == story
        assert lounge.arrived(guest, 1) == [IN]
    assert (door.arrived(first, 1), door.arrived(student, 1)) == ([IN], [IN])
    assert stored_answers(server, student)[studid] == ("True", [])
    assert_statistics_agree(door, lounge)
    assert not [conflict for conflict in venue.box.conflicts() if conflict.checkin.secret in secrets]

    venue.sync(door.list_, lounge.list_)
    assert_statistics_agree(door, lounge)
    assert [other.said(guest) for guest in guests[:3]] == ["USED", "USED", "VALID"]


# --- several events, several dates ------------------------------------------------------------------------------------


def test_the_ticket_decides_which_of_two_events_it_is_for(server: CurrentPretix, venue: Venue) -> None:
    lists = venue.list_named("Default"), venue.list_named("Default", "sidecon")
    app = venue.phone("two events", *lists)
    assert app.knows_several_events
    main, side = (Door(venue, app, list_) for list_ in lists)
    here = server.take()
    # Its secret is signed: nobody need have told the box of it.
    there = server.sell("sidecon", server.fixtures["tickets"]["side01"]["item"])
    assert [main.said(here), side.said(there), main.said(here), side.said(there)] == ["VALID", "VALID", "USED", "USED"]
    assert [side.said(there, "EXIT"), main.said(here, "EXIT"), side.said(there)] == ["VALID", "VALID", "VALID"]
    assert app.check(server.fixtures["tickets"]["show1_1"]["secret"]).type == "INVALID"
    assert main.arrived(here, 3) == [IN, AGAIN, OUT]
    assert side.arrived(there, 4) == [IN, AGAIN, OUT, IN]
    venue.sync(*lists)
    assert_statistics_agree(main, side)
    assert [(found.order_code, found.is_redeemed) for found in app.search(here["code"])] == [(here["code"], False)]
    assert [(found.order_code, found.is_redeemed) for found in app.search(there["code"])] == [(there["code"], True)]


def test_the_dates_of_a_series_are_picked_and_each_has_its_lists(server: CurrentPretix, venue: Venue) -> None:
    one, two, all_dates = (venue.list_named(name, "demoseries") for name in ("Show 1", "Show 2", "All dates"))
    first, second = (date_of(list_) for list_ in (one, two))
    app = venue.phone("series", one, two, all_dates, venue.list_named("Default"))
    offered = {(offer.slug, offer.subevent, offer.name["en"], offer.date_from, offer.date_to) for offer in app.events()}
    told = [("demoseries", each["id"], each) for each in server.all("events/demoseries/subevents/")]
    told.append(("democon", None, server.ask("GET", "events/democon/")))
    assert offered == {
        (slug, date, each["name"]["en"], *map(datetime.fromisoformat, (each["date_from"], each["date_to"])))
        for slug, date, each in told
    }
    for date in (first, second):
        lists = server.all("events/demoseries/checkinlists/", subevent_match=date)
        names = {offer.name for offer in app.check_in_lists("demoseries", date)}
        assert names == {each["name"] for each in lists} == {"All dates", "Show 1" if date == first else "Show 2"}


def test_a_ticket_of_a_series_is_for_its_date(server: CurrentPretix, venue: Venue) -> None:
    one, all_dates = (venue.list_named(name, "demoseries") for name in ("Show 1", "All dates"))
    first, second = date_of(one), date_of(venue.list_named("Show 2", "demoseries"))
    show = Door(venue, venue.phone("show 1", one), one)
    whole = Door(venue, venue.phone("shows", all_dates, date=first), all_dates)
    item = server.fixtures["tickets"]["show1_1"]["item"]
    today, tomorrow = (server.sell("demoseries", item, subevent=date) for date in (first, second))
    venue.sync(one)
    wrong_date = show.scan(tomorrow)
    assert (wrong_date.type, wrong_date.reason_explanation) == ("INVALID", "This ticket is for another date: Show 2.")
    assert [show.said(today), show.said(today, "EXIT"), show.said(today)] == ["VALID", "VALID", "VALID"]
    assert [whole.said(today), whole.said(tomorrow)] == ["VALID", "VALID"]
    assert show.arrived(today, 3) == [IN, OUT, IN]
    assert show.arrived(tomorrow, 1) == [(False, "invalid", "entry")]
    assert (whole.arrived(today, 1), whole.arrived(tomorrow, 1)) == ([IN], [IN])
    assert_statistics_agree(show, whole)
