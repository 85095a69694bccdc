"""`search/`: what a scanner finds, and what it must not be shown."""

from __future__ import annotations

import pytest

from tests.api.conftest import Venue
from tests.api.test_redeem import DATA_TYPES
from tests.support.event import PENDING


def found(venue: Venue, query: str, key: str = "SCANNERKEY") -> list[str]:
    """The secrets that a query finds, sorted."""
    return sorted(row["secret"] for row in venue.get("search", key=key, query=query)["results"])


def test_a_result_has_every_field_in_its_type(venue: Venue) -> None:
    venue.event.add_ticket("abc123")
    venue.open()
    answer = venue.get("search", query="Lovelace")
    assert answer["version"] == 3
    [row] = answer["results"]
    assert row.keys() == DATA_TYPES.keys()
    for field, types in DATA_TYPES.items():
        assert type(row[field]) in types, field


def test_start_of_secret_start_of_order_and_any_part_of_the_name_are_found(venue: Venue) -> None:
    venue.event.add_ticket("secret99", order="ORDER", attendee_name="Ada Lovelace")
    venue.open()
    for query in ("secret99", "secr", "ORDER", "ORDE", "Ada Lovelace", "a Lo", "lace"):
        assert found(venue, query) == ["secret99"], query
    for query in ("ecret99", "RDER", "Ada  Lovelace", "secret999", "nobody"):
        assert found(venue, query) == [], query


@pytest.mark.parametrize("query", ["", "a", "ab", "abc", "äöü", "李雷李"])
def test_fewer_than_four_characters_find_nothing(venue: Venue, query: str) -> None:
    venue.event.add_ticket("abcdef", order="ABCDE", attendee_name="abc äöü 李雷李")
    venue.open()
    assert found(venue, query) == []


def test_no_query_finds_nothing(venue: Venue) -> None:
    venue.event.add_ticket("abcdef")
    venue.open()
    assert venue.get("search")["results"] == []


def test_case_and_accents_make_no_difference(venue: Venue) -> None:
    sought = [
        ("Łukasz", "lukasz"),
        ("Łukasz", "ŁUKASZ"),
        ("Ελένη", "ΕΛΈΝΗ"),
        ("Дмитрий", "дМИТРИЙ"),
        ("Straße", "STRASSE"),
        ("Bjo\u0308rk Nunez", "björk n"),
        ("Zoë Nunez", "zoe\u0308 n"),
        ("Zoë Nunez", "ZOE N"),
        ("Nguyễn", "nguyen"),
        ("李雷 韩梅梅", "李雷 韩"),
        ("Conan O'Brien", "o'bri"),
        ("100% Real_Name", "0% r"),
        ("100% Real_Name", "al_n"),
    ]
    for name, _ in sought:
        venue.event.add_ticket(name, attendee_name=name)
    venue.open()
    for name, query in sought:
        assert found(venue, query) == [name], query


def test_nothing_in_a_query_is_a_wildcard_or_a_command(venue: Venue) -> None:
    venue.event.add_ticket("abc", attendee_name="Ada Lovelace")
    venue.open()
    odd = (
        "%%%%",
        "____",
        "****",
        "abc*",
        '""""',
        'x" OR "1',
        "NEAR(a b)",
        "a AND b",
        "col:umn",
        "\\\\\\\\",
        "';--",
        "^abc",
    )
    for query in (*odd, "    ", "abcd" * 300, "é" * 5000, "a b " * 1000):
        assert found(venue, query) == [], query


def test_at_most_25_are_shown(venue: Venue) -> None:
    venue.event.add_tickets(30, "guest")
    venue.open()
    assert len(found(venue, "guest")) == 25


def test_only_what_the_device_may_scan_is_shown(venue: Venue) -> None:
    """`product` after a tap on a result crashes the app."""
    venue.event.add_ticket("shirt", item_id=1)
    venue.event.add_ticket("ticket", item_id=2)
    list_ = venue.open()
    venue.box.scanners.add("Shirts", list_.id, key="SHIRTSONLY", item_ids=frozenset({1}))
    venue.box.scanners.add("Nothing", list_.id, key="NOTHINGATALL", item_ids=frozenset())
    assert found(venue, "Lovelace") == ["shirt", "ticket"]
    assert found(venue, "Lovelace", key="SHIRTSONLY") == ["shirt"]
    assert found(venue, "ticket", key="SHIRTSONLY") == []
    assert found(venue, "Lovelace", key="NOTHINGATALL") == []


def test_a_limited_device_gets_25_of_its_own(venue: Venue) -> None:
    venue.event.add_tickets(30, "a-first")
    venue.event.add_ticket("shirt", item_id=1, attendee_name="Zoe Lovelace")
    list_ = venue.open()
    venue.box.scanners.add("Shirts", list_.id, key="SHIRTSONLY", item_ids=frozenset({1}))
    assert found(venue, "Lovelace", key="SHIRTSONLY") == ["shirt"]


def test_a_device_without_search_finds_by_the_start_of_the_secret_alone(venue: Venue) -> None:
    venue.event.add_ticket("secret99", order="ORDER", attendee_name="Ada Lovelace")
    list_ = venue.open()
    venue.box.scanners.add("No search", list_.id, key="NOSEARCH", allow_search=False)
    assert found(venue, "secr", key="NOSEARCH") == ["secret99"]
    for query in ("ORDER", "Lovelace", "ecret99"):
        assert found(venue, query, key="NOSEARCH") == []


def test_unpaid_tickets_are_shown_and_withdrawn_ones_are_not(venue: Venue) -> None:
    venue.event.include_pending = True
    venue.event.add_ticket("pending", order_status=PENDING)
    venue.event.add_ticket("gone")
    list_ = venue.open()
    assert found(venue, "Lovelace") == ["gone", "pending"]
    del venue.event.tickets["gone"]
    venue.tell(list_)
    [row] = venue.get("search", query="Lovelace")["results"]
    assert (row["secret"], row["paid"], row["checkin_allowed"]) == ("pending", False, True)


def test_redeemed_is_true_from_the_check_in_on(venue: Venue) -> None:
    venue.event.add_ticket("abcdef")
    venue.open()
    before = venue.get("search", query="abcdef")["results"]
    venue.redeem("abcdef")
    after = venue.get("search", query="abcdef")["results"]
    assert [before[0]["redeemed"], after[0]["redeemed"]] == [False, True]


def test_another_lists_tickets_are_not_found(venue: Venue) -> None:
    venue.event.add_ticket("first", attendee_name="Ada Lovelace")
    venue.open()
    venue.event.list_name, venue.event.tickets = "Backstage", {}
    venue.event.add_ticket("second", attendee_name="Ada Lovelace")
    other = venue.box.add_saved(venue.saved(), "another list")
    venue.box.scanners.add("Backstage", other.id, key="BACKSTAGE")
    assert found(venue, "Lovelace") == ["first"]
    assert found(venue, "Lovelace", key="BACKSTAGE") == ["second"]


def test_control_characters_in_a_query_are_bad_input(venue: Venue) -> None:
    venue.event.add_ticket("abcd")
    venue.open()
    for query in ("abcd\u0000", "\u0000\u0000\u0000\u0000", "ab\u001bcd", "abc\u007f"):
        assert venue.get("search", check=400, query=query)["reason"] == "bad_request"


def test_bytes_that_are_no_text_find_nothing(venue: Venue) -> None:
    venue.event.add_ticket("abcd")
    venue.open()
    for raw in ("%FF%FE%FD%FC", "abcd%FF", "%ED%A0%80abc"):
        assert venue.request("GET", f"{venue.path}/search/?key=SCANNERKEY&query={raw}").get_json()["results"] == []


def test_a_line_end_behind_a_query_is_no_control_character(venue: Venue) -> None:
    """A hand scanner that acts as a keyboard sends one behind each code."""
    venue.event.add_ticket("abcd")
    venue.open()
    assert found(venue, "abcd\r\n") == []
