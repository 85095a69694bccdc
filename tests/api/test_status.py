"""`status/`: the event, and how many are in."""

from __future__ import annotations

from typing import Any

from tests.api.conftest import Venue
from tests.support.event import PENDING


def counts(row: dict[str, Any]) -> tuple[int, int]:
    return row["checkins"], row["total"]


def item(answer: dict[str, Any], item_id: int) -> dict[str, Any]:
    return next(row for row in answer["items"] if row["id"] == item_id)


def test_everything_that_an_app_reads_is_there(venue: Venue) -> None:
    venue.event.add_ticket("abc", item_id=1, variation_id=1)
    venue.open()
    assert venue.get("status") == {
        "checkins": 0,
        "total": 1,
        "version": 3,
        "event": {
            "name": "Demo Conference",
            "list": "Default",
            "slug": "democon",
            "subevent": "Demo Conference",
            "date_from": "2016-12-27T17:00:00Z",
            "date_to": "2016-12-30T18:00:00Z",
            "timezone": "UTC",
            "url": "https://tickets.example/demoorga/democon/",
            "organizer": {"name": "Demo Organizer", "slug": "demoorga"},
        },
        "items": [
            {
                "id": 1,
                "name": "T-Shirt",
                "admission": False,
                "checkins": 0,
                "total": 1,
                "variations": [
                    {"id": 1, "name": "Red", "checkins": 0, "total": 1},
                    {"id": 2, "name": "Blue", "checkins": 0, "total": 0},
                ],
            },
            {"id": 2, "name": "Ticket", "admission": True, "checkins": 0, "total": 0, "variations": []},
        ],
    }


def test_a_check_in_counts_at_once_in_its_item_and_variation(venue: Venue) -> None:
    venue.event.add_ticket("red", item_id=1, variation_id=1)
    venue.event.add_ticket("blue", item_id=1, variation_id=2)
    venue.event.add_ticket("ticket")
    venue.open()
    assert counts(venue.get("status")) == (0, 3)
    venue.redeem("blue")
    answer = venue.get("status")
    assert counts(answer) == (1, 3)
    assert [counts(variation) for variation in item(answer, 1)["variations"]] == [(0, 1), (1, 1)]
    assert [counts(row) for row in answer["items"]] == [(1, 2), (0, 1)]


def test_a_ticket_counts_once_however_often_it_was_forced(venue: Venue) -> None:
    venue.event.add_ticket("abc")
    venue.open()
    for _ in range(3):
        assert venue.redeem("abc", force=True)["status"] == "ok"
    assert counts(venue.get("status")) == (1, 1)


def test_what_upstream_told_and_what_was_scanned_here_count_together(venue: Venue) -> None:
    venue.event.add_tickets(3, "t")
    venue.event.redeem({"secret": "t000000"})
    venue.open()
    venue.redeem("t000001")
    venue.redeem("t000000", force=True)
    assert counts(venue.get("status")) == (2, 3)


def test_withdrawn_tickets_do_not_count(venue: Venue) -> None:
    venue.event.add_tickets(3, "t")
    list_ = venue.open()
    venue.redeem("t000000")
    del venue.event.tickets["t000000"]
    venue.tell(list_)
    assert counts(venue.get("status")) == (0, 2)


def test_a_ticket_neither_paid_nor_allowed_in_does_not_count(venue: Venue) -> None:
    venue.event.include_pending = True
    venue.event.add_ticket("paid")
    venue.event.add_ticket("pending", order_status=PENDING)
    venue.event.add_ticket("forbidden", order_status=PENDING)
    saved = venue.saved()
    saved["download"]["results"][2]["checkin_allowed"] = False
    venue.open(saved)
    assert counts(venue.get("status")) == (0, 2)
    for secret in ("paid", "pending", "forbidden"):
        assert venue.redeem(secret, force=True)["status"] == "ok"
    assert counts(venue.get("status")) == (2, 2)


def test_a_limited_device_gets_the_whole_lists_counts(venue: Venue) -> None:
    venue.event.add_ticket("shirt", item_id=1)
    venue.event.add_ticket("ticket")
    list_ = venue.open()
    venue.box.scanners.add("Shirts", list_.id, key="SHIRTSONLY", item_ids=frozenset({1}), show_info=False)
    assert venue.get("status", key="SHIRTSONLY") == venue.get("status")


def test_an_item_that_only_a_ticket_names_is_listed(venue: Venue) -> None:
    """A server that lists too little must not make the sums differ."""
    venue.event.add_ticket("abc")
    saved = venue.saved()
    saved["status"]["items"] = saved["status"]["items"][:1]
    venue.open(saved)
    answer = venue.get("status")
    assert sum(row["total"] for row in answer["items"]) == answer["total"] == 1
    assert item(answer, 2)["name"] == "Ticket"


def test_each_list_has_its_own_numbers_and_version(venue: Venue) -> None:
    venue.event.add_tickets(2, "t")
    venue.open()
    venue.event.list_name, venue.event.version = "Backstage", 2
    del venue.event.tickets["t000001"]
    other = venue.box.add_saved(venue.saved(), "another list")
    venue.box.scanners.add("Backstage", other.id, key="BACKSTAGE")
    venue.redeem("t000000")
    first, second = venue.get("status"), venue.get("status", key="BACKSTAGE")
    assert (counts(first), first["version"], first["event"]["list"]) == ((1, 2), 3, "Default")
    assert (counts(second), second["version"]) == ((0, 1), 2)


def test_a_list_whose_upstream_was_never_reached_speaks_version_2(venue: Venue) -> None:
    list_ = venue.box.add_list("http://127.0.0.1:9/pretixdroid/api/demoorga/democon/", "UPSTREAMKEY")
    venue.box.scanners.add("Gate 1", list_.id, key="SCANNERKEY")
    answer = venue.get("status")
    assert (answer["version"], counts(answer), answer["items"]) == (2, (0, 0), [])
    assert answer["event"]["slug"] == "democon"
    assert answer["event"]["organizer"] == {"name": "demoorga", "slug": "demoorga"}
    assert venue.redeem("abc") == {
        "version": 2,
        "status": "error",
        "reason": "unknown_ticket",
        "message": "No ticket with this code is known here.",
    }
    assert venue.get("search", query="Lovelace") == {"results": [], "version": 2}
    assert venue.get("download") == {"version": 2, "questions": [], "results": []}
