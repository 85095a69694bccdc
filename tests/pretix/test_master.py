"""What an event has beside its orders is told whole, and asked for no more than needed."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from edgebox.clock import Clock
from edgebox.model import Item, ListTerms, Option, Question, Subevent, Variation
from edgebox.upstream import Closed, NotUpstream
from edgebox.upstream.pretix import DeviceRefused, Offered, PretixConnection, PretixFeed, offered
from edgebox.upstream.pretix.shapes import in_language
from tests.pretix.side import Seconds, http
from tests.support.pretix import (
    NO_PERMISSION,
    ORGANIZER,
    REVOKED,
    PretixStub,
    check_in_list,
    order,
    page_of_html,
    position,
    said,
)

MONDAY, TUESDAY = "Mon, 23 Nov 2026 08:00:00 GMT", "Tue, 24 Nov 2026 08:00:00 GMT"


def question(number: int, **told: Any) -> dict[str, Any]:
    usual = {
        "id": number, "question": {"en": "Size?", "de": "Größe?"}, "type": "S", "required": False, "items": [1],
        "options": [], "position": number, "ask_during_checkin": True,
    }  # fmt: skip
    return {**usual, **told}


def test_lists_are_told_with_their_terms(pretix: PretixStub, feed: PretixFeed) -> None:
    pretix.lists = [
        check_in_list(1, "Default"),
        check_in_list(
            2, "VIP", all_products=False, limit_products=[2, 3], subevent=7, include_pending=True,
            allow_multiple_entries=True, allow_entry_after_exit=False, addon_match=True,
            exit_all_at="2026-11-25T05:00:00+01:00", rules={"and": [True]},
        ),
        check_in_list(3, "Nobody's", all_products=False),
    ]  # fmt: skip
    assert feed.master().lists == {
        1: ("Default", ListTerms()),
        2: (
            "VIP",
            ListTerms(
                frozenset({2, 3}), 7, True, True, False, datetime(2026, 11, 25, 4, tzinfo=UTC), True, {"and": [True]}
            ),
        ),
        3: ("Nobody's", ListTerms(item_ids=frozenset())),
    }


def test_a_question_is_told_if_it_is_asked_at_the_door_or_shown_there(pretix: PretixStub, feed: PretixFeed) -> None:
    flags = [(False, False), (True, False), (False, True), (True, True)]
    pretix.questions = [
        question(number, ask_during_checkin=is_asked, show_during_checkin=is_shown)
        for number, (is_asked, is_shown) in enumerate(flags, start=1)
    ]
    told = feed.master().catalog.questions
    assert [(each.id, each.is_asked, each.is_shown) for each in told] == [
        (2, True, False), (3, False, True), (4, True, True),
    ]  # fmt: skip


def test_an_older_pretix_shows_no_answers(pretix: PretixStub, feed: PretixFeed) -> None:
    pretix.questions = [question(1)]
    assert "show_during_checkin" not in pretix.questions[0]
    (told,) = feed.master().catalog.questions
    assert (told.is_asked, told.is_shown, told.identifier, told.depends_on, told.depends_values) == (
        True, False, "", None, (),
    )  # fmt: skip


def test_questions_and_options_bear_their_identifiers_and_what_they_depend_on(
    pretix: PretixStub, feed: PretixFeed
) -> None:
    options = [{"id": 9, "position": 1, "identifier": "LARGE", "answer": {"en": "Large"}}]
    pretix.questions = [
        question(1, type="C", identifier="SIZE", options=options, dependency_question=None, dependency_values=[]),
        question(2, identifier="", dependency_question=1, dependency_values=["LARGE", "OTHER"]),
        question(3, dependency_question=4, dependency_values=["True"]),
    ]
    size, colour, third = feed.master().catalog.questions
    assert (size.identifier, size.options[0].identifier, size.depends_on) == ("SIZE", "LARGE", None)
    assert (colour.identifier, colour.depends_on, colour.depends_values) == ("", 1, ("LARGE", "OTHER"))
    assert (third.depends_on, third.depends_values) == (4, ("True",))


@pytest.mark.parametrize(
    ("values", "kept"),
    [(None, ()), ("LARGE", ()), (5, ()), ({"a": 1}, ()), ([True, 5], ("True", "5")), (["\ud800"], ("?",))],
)
def test_odd_values_of_a_dependency_do_no_harm(
    pretix: PretixStub, feed: PretixFeed, values: object, kept: tuple[str, ...]
) -> None:
    pretix.questions = [question(2, dependency_question=1, dependency_values=values)]
    assert feed.master().catalog.questions[0].depends_values == kept


def test_the_event_is_told_with_its_language_and_its_state(pretix: PretixStub, feed: PretixFeed) -> None:
    about = feed.master().catalog.event
    assert (about.locale, about.has_subevents, about.is_live, about.is_test, about.currency) == (
        "en", False, True, False, "",
    )  # fmt: skip
    pretix.locale = "de-informal"
    pretix.event.update(has_subevents=True, live=False, testmode=True, currency="CHF")
    about = PretixFeed(feed._connection, feed.event).master().catalog.event
    assert (about.locale, about.has_subevents, about.is_live, about.is_test, about.currency) == (
        "de-informal", True, False, True, "CHF",
    )  # fmt: skip


def test_names_come_in_the_events_own_language(pretix: PretixStub, feed: PretixFeed) -> None:
    pretix.locale = "de-informal"
    pretix.items.append(
        {
            "id": 5, "name": {"en": "T-Shirt", "de": "Hemd"}, "admission": False, "checkin_attention": True,
            "checkin_text": "At the desk",
            "variations": [
                {"id": 1, "value": {"en": "Red", "de": "Rot"}, "checkin_attention": True, "checkin_text": "Red one"},
            ],
        }
    )  # fmt: skip
    pretix.questions = [
        question(4, type="C", required=True, items=[1, 5], options=[
            {"id": 9, "position": 2, "answer": {"en": "Large", "de": "Groß"}},
            {"id": 8, "position": 1, "answer": {"en": "Small", "de": "Klein"}},
        ]),
        question(5, ask_during_checkin=False),
    ]  # fmt: skip
    catalog = feed.master().catalog
    assert (catalog.event.name, catalog.event.timezone) == ("DemoKon", "Europe/Berlin")
    shirt = Item(5, "Hemd", False, (Variation(1, "Rot", True, "Red one"),), True, "At the desk")
    assert catalog.items == (Item(1, "Karte", True), shirt)
    sizes = (Option(8, "Klein"), Option(9, "Groß"))
    assert catalog.questions == (Question(4, "C", "Größe?", True, 4, frozenset({1, 5}), sizes),)


@pytest.mark.parametrize(
    ("texts", "locale", "chosen"),
    [
        ({"en": "a", "de": "b"}, "de", "b"),
        ({"en": "a", "de": "b"}, "de-informal", "b"),
        ({"en": "a", "de-informal": "b"}, "de", "b"),
        ({"en": "a", "de": "b"}, "fr", "a"),
        ({"es": "a", "de": "b"}, "fr", "a"),
        ({"en": "", "de": "b"}, "en", "b"),
        ({}, "en", ""),
        (None, "en", ""),
        ("plain", "en", "plain"),
    ],
)
def test_a_text_that_is_missing_in_a_language_comes_in_another(texts: object, locale: str, chosen: str) -> None:
    assert in_language(texts, locale) == chosen


def test_products_and_questions_that_have_not_changed_are_not_sent_again(pretix: PretixStub, feed: PretixFeed) -> None:
    pretix.last_modified = {"items": MONDAY, "questions": MONDAY}
    before = feed.master()
    pretix.items[0]["name"] = {"en": "Changed"}
    assert feed.master() == before
    assert pretix.seen("items/")[1].headers["if-modified-since"] == MONDAY
    pretix.last_modified["items"] = TUESDAY
    assert feed.master().catalog.items[0].name == "Changed"


def test_a_pretix_that_does_not_tell_changes_is_asked_for_all(pretix: PretixStub, feed: PretixFeed) -> None:
    feed.master()
    pretix.items[0]["name"] = {"en": "Changed"}
    assert feed.master().catalog.items[0].name == "Changed"


def test_the_event_itself_is_asked_for_every_ten_minutes(
    pretix: PretixStub, feed: PretixFeed, seconds: Seconds
) -> None:
    pretix.last_modified = {"items": MONDAY}
    feed.master()
    pretix.event["name"] = {"en": "Renamed"}
    pretix.items[0]["name"] = {"en": "Changed within the same second"}
    for passed, name in ((590, "DemoCon"), (20, "Renamed")):
        seconds.now_s += passed
        catalog = feed.master().catalog
        assert catalog.event.name == name
    assert catalog.items[0].name == "Changed within the same second"


def test_all_pages_are_read(pretix: PretixStub, feed: PretixFeed) -> None:
    pretix.lists = [check_in_list(number, f"List {number}") for number in range(1, 131)]
    assert len(feed.master().lists) == 130


def test_secrets_that_let_nobody_in_are_asked_for_from_the_newest_on(pretix: PretixStub, feed: PretixFeed) -> None:
    def row(number: int, secret: str, minutes: int, **told: Any) -> dict[str, Any]:
        stamp = (datetime(2026, 11, 24, 9, tzinfo=UTC) + timedelta(minutes=minutes)).isoformat()
        return {"id": number, "secret": secret, "created": stamp, "updated": stamp, **told}

    pretix.revoked = [row(n, f"r{n}", n) for n in range(1, 60)]
    pretix.blocked = [row(1, "b1", 1, blocked=True), row(2, "b2", 2, blocked=True)]
    told = feed.master()
    assert (len(told.revoked), told.blocked) == (59, {"b1", "b2"})
    pretix.revoked.insert(0, row(60, "late", 58))
    pretix.blocked[0].update(blocked=False, updated=row(0, "", 5)["updated"])
    pretix.requests.clear()
    told = feed.master()
    assert "late" in told.revoked
    assert len(told.revoked) == 60
    assert told.blocked == {"b2"}
    assert len(pretix.seen("revokedsecrets/")) == 1, "not all of them come again"


def test_dates_of_a_series_are_told(pretix: PretixStub, feed: PretixFeed) -> None:
    pretix.subevents = [{"id": 1, "name": {"en": "Show 1"}, "date_from": "2026-11-26T07:00:00+01:00"}]
    assert feed.master().catalog.subevents == ()
    assert not pretix.seen("subevents/")
    pretix.event["has_subevents"] = True
    other = PretixFeed(feed._connection, feed.event)
    assert other.master().catalog.subevents == (Subevent(1, "Show 1", "2026-11-26T07:00:00+01:00"),)


def test_keys_of_signed_secrets_are_told_as_pem(pretix: PretixStub, feed: PretixFeed) -> None:
    pem = "-----BEGIN PUBLIC KEY-----\nabc\n-----END PUBLIC KEY-----\n"
    pretix.event["valid_keys"] = {"pretix_sig1": [base64.b64encode(pem.encode()).decode(), "not base64", None]}
    assert feed.master().catalog.signature_keys == (pem,)


def test_a_product_that_is_new_is_asked_for_before_it_is_named(pretix: PretixStub, feed: PretixFeed) -> None:
    feed.master()
    pretix.items.append({**pretix.items[0], "id": 6, "name": {"en": "Workshop"}})
    pretix.orders = [order("AAAAA", position(1), position(2, item=6, addon_to=1))]
    (page, *_) = feed.follow(None)
    assert page.orders[0].tickets[0].data.addons_text == "Workshop"


@pytest.mark.parametrize(
    "broken", [{"all_products": None}, {"id": "1"}, {"limit_products": "x", "all_products": False}]
)
def test_a_list_that_cannot_be_read_is_said_to_be_odd(
    pretix: PretixStub, feed: PretixFeed, broken: dict[str, Any]
) -> None:
    pretix.lists[0].update(broken)
    with pytest.raises(NotUpstream, match="cannot be read"):
        feed.master()


# --- what is offered --------------------------------------------------------------------------------------------------


def test_every_list_of_every_event_is_offered(pretix: PretixStub, connection: PretixConnection) -> None:
    pretix.locale = "de"
    pretix.lists = [check_in_list(2, "Show 2", subevent=2), check_in_list(1, "All")]
    assert offered(connection) == (
        Offered("democon", "DemoKon", None, 1, "All"),
        Offered("democon", "DemoKon", 2, 2, "Show 2"),
    )


def test_an_event_that_is_refused_does_not_hide_the_others(pretix: PretixStub, connection: PretixConnection) -> None:
    both = {"count": 2, "next": None, "results": [{"slug": "closed", "name": {"en": "Closed"}}, pretix.event]}
    pretix.on("events/", lambda request: said(both) if request.path.endswith("/events/") else None)
    pretix.on("events/closed/", NO_PERMISSION)
    assert {each.event for each in offered(connection)} == {"democon"}


def test_a_refused_device_is_offered_nothing(pretix: PretixStub, connection: PretixConnection) -> None:
    pretix.on("", REVOKED)
    with pytest.raises(DeviceRefused):
        offered(connection)


@pytest.mark.parametrize("answer", [page_of_html(200), said({}), said([]), said({"results": 5}), said({"results": []})])
def test_a_page_that_is_none_is_not_pretixs(pretix: PretixStub, connection: PretixConnection, answer: object) -> None:
    pretix.on("events/", answer)  # type: ignore[arg-type]
    with pytest.raises(NotUpstream):
        offered(connection)


def test_what_an_event_may_not_be_asked_for_closes_it(pretix: PretixStub, feed: PretixFeed) -> None:
    pretix.on("items/", NO_PERMISSION)
    with pytest.raises(Closed, match="does not let the box see"):
        feed.master()


# --- the clock --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ahead_s", [-300.0, 0.0, 45.0])
def test_the_boxs_clock_is_compared_with_pretixs(pretix: PretixStub, ahead_s: float) -> None:
    clock = Clock(wall=lambda: pretix.now.timestamp() + ahead_s, system_synchronised=lambda: True)
    connection = PretixConnection(pretix.url, pretix.api_token, ORGANIZER, http(clock))
    assert connection.clock_ahead_s is None
    offered(connection)
    assert connection.clock_ahead_s == pytest.approx(ahead_s, abs=2.0)
    connection.close()


def test_pretix_tells_the_time_to_a_box_that_does_not_know_it(pretix: PretixStub) -> None:
    clock = Clock(wall=lambda: 1_700_000_000.0, system_synchronised=lambda: False)
    connection = PretixConnection(pretix.url, pretix.api_token, ORGANIZER, http(clock))
    offered(connection)
    assert clock.is_trusted()
    assert abs((clock.now() - pretix.now).total_seconds()) < 30
    connection.close()
