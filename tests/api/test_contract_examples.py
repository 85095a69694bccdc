"""The examples of the API's own documentation, sent byte for byte to the bundled demo event."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from edgebox.demo.event import DEMO_KEY, demo_event
from tests.api.conftest import NOW, Venue, served

HEAD = "HTTP/1.1\r\nHost: demo.pretix.eu\r\nAccept: application/json, text/javascript\r\n"
REDEEM = (
    f"POST /pretixdroid/api/demoorga/democon/redeem/?key=ABCDEF {HEAD}"
    "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 38\r\n\r\n"
    "secret=az9u4mymhqktrbupmwkvv6xmgds5dk3"
)
SEARCH = f"GET /pretixdroid/api/demoorga/democon/search/?key=ABCDEF&query=Peter {HEAD}\r\n"
DOWNLOAD = f"GET /pretixdroid/api/demoorga/democon/download/?key=ABCDEF {HEAD}\r\n"
STATUS = f"GET /pretixdroid/api/demoorga/democon/status/?key=ABCDEF {HEAD}\r\n"

PETER_HIGGS = {
    "secret": "az9u4mymhqktrbupmwkvv6xmgds5dk3",
    "order": "ABCE6",
    "item": "Standard ticket",
    "variation": None,
    "attendee_name": "Peter Higgs",
    "redeemed": False,
    "attention": False,
    "paid": True,
}


@pytest.fixture
def address(venue: Venue) -> Iterator[tuple[str, int]]:
    list_ = venue.box.add_saved(demo_event(NOW.date()), "the demo event")
    venue.box.scanners.add("demo scanner", list_.id, key=DEMO_KEY)
    with served(venue.box) as url:
        parts = urlsplit(url)
        yield str(parts.hostname), int(parts.port or 0)


def exchange(address: tuple[str, int], request: str) -> Any:
    """Send the bytes, read one answer to its end: its JSON."""
    with socket.create_connection(address, timeout=20) as connection, connection.makefile("rb") as stream:
        connection.sendall(request.encode())
        assert stream.readline() == b"HTTP/1.1 200 OK\r\n"
        headers = dict(line.decode().strip().lower().split(": ", 1) for line in iter(stream.readline, b"\r\n"))
        assert headers["content-type"] == "application/json"
        return json.loads(stream.read(int(headers["content-length"])))


def contains(body: dict[str, Any], example: dict[str, Any]) -> bool:
    return {**body, **example} == body


def test_redeem_succeeds_and_then_says_already_redeemed(address: tuple[str, int]) -> None:
    assert contains(exchange(address, REDEEM), {"status": "ok", "version": 2})
    assert contains(exchange(address, REDEEM), {"status": "error", "reason": "already_redeemed", "version": 2})


def test_search_finds_peter_higgs(address: tuple[str, int]) -> None:
    answer = exchange(address, SEARCH)
    assert answer["version"] == 2
    [peter] = [row for row in answer["results"] if row["secret"] == PETER_HIGGS["secret"]]
    assert contains(peter, PETER_HIGGS)


def test_a_query_of_three_characters_finds_nothing(address: tuple[str, int]) -> None:
    assert exchange(address, SEARCH.replace("query=Peter", "query=Pet")) == {"results": [], "version": 2}


def test_download_has_peter_higgs(address: tuple[str, int]) -> None:
    answer = exchange(address, DOWNLOAD)
    assert answer["version"] == 2
    [peter] = [row for row in answer["results"] if row["secret"] == PETER_HIGGS["secret"]]
    assert contains(peter, PETER_HIGGS)


def test_status_tells_the_event_and_its_items(address: tuple[str, int]) -> None:
    answer = exchange(address, STATUS)
    assert answer["version"] == 2
    assert contains(
        answer["event"],
        {
            "name": "Demo Converence",
            "slug": "democon",
            "timezone": "UTC",
            "url": "https://demo.pretix.eu/demoorga/democon/",
            "organizer": {"name": "Demo Organizer", "slug": "demoorga"},
        },
    )
    assert answer["event"]["date_from"].endswith("T17:00:00Z")
    assert answer["event"]["date_to"].endswith("T18:00:00Z")
    items = {item["name"]: item for item in answer["items"]}
    shirt, ticket = items["T-Shirt"], items["Ticket"]
    assert (shirt["id"], shirt["admission"], ticket["id"], ticket["admission"]) == (1, False, 2, True)
    assert [(variation["name"], variation["id"]) for variation in shirt["variations"]] == [("Red", 1), ("Blue", 2)]
    assert ticket["variations"] == []
    assert "Standard ticket" in items
    for row in (answer, shirt, ticket, *shirt["variations"]):
        assert 0 < row["checkins"] < row["total"]
    assert sum(item["total"] for item in answer["items"]) == answer["total"]


def test_a_redeem_shows_in_search_download_and_status(address: tuple[str, int]) -> None:
    before = exchange(address, STATUS)["checkins"]
    exchange(address, REDEEM)
    assert exchange(address, STATUS)["checkins"] == before + 1
    for request in (SEARCH, DOWNLOAD):
        answer = exchange(address, request)
        [peter] = [row for row in answer["results"] if row["secret"] == PETER_HIGGS["secret"]]
        assert contains(peter, {**PETER_HIGGS, "redeemed": True})
