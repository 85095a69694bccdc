"""`download/`: the whole list for a phone's own offline mode, made once for all of them."""

from __future__ import annotations

import gzip
import io
import json
import threading
from dataclasses import replace
from typing import Any

import pytest

from edgebox.app import create_app
from edgebox.devices.pretixdroid import download
from edgebox.devices.pretixdroid.download import MAX_AGE_S, REST, Downloads
from edgebox.model import CheckInList, Item
from edgebox.store import Busy
from tests.api.conftest import KEY, Venue
from tests.api.test_redeem import DATA_TYPES
from tests.support.event import PENDING


def secrets_of(venue: Venue, key: str = KEY) -> list[str]:
    return [row["secret"] for row in venue.get("download", key=key)["results"]]


def test_a_ticket_has_every_field_in_its_type(venue: Venue) -> None:
    venue.event.add_ticket("shirt", item_id=1, variation_id=2, attendee_name=None)
    venue.event.add_ticket("Łukasz", attendee_name="李雷 \"'\\ \u2028 😀")
    venue.open()
    answer = venue.get("download")
    assert answer.keys() == {"version", "questions", "results"}
    for row in answer["results"]:
        assert row.keys() == DATA_TYPES.keys()
        for field, types in DATA_TYPES.items():
            assert type(row[field]) in types, field
    assert answer["results"][0]["variation"] == "Blue"
    assert answer["results"][1]["attendee_name"] == "李雷 \"'\\ \u2028 😀"


@pytest.mark.parametrize(
    "odd", ["李雷 \"'\\ \u2028 😀", "tab\t, line\n, null\0, escape\x1b, delete\x7f", "</script>", "", None]
)
def test_a_ticket_is_told_as_search_tells_it(venue: Venue, odd: str | None) -> None:
    """Two hands write it: SQLite writes the download."""
    venue.event.add_ticket("first", attendee_name=odd, addons_text=odd or "")
    venue.event.add_ticket("second", item_id=1, variation_id=2, attendee_name=odd)
    list_ = venue.open()
    assert list_.catalog is not None
    named = tuple(replace(item, name=odd or item.name) for item in list_.catalog.items)
    venue.box.store.lists.learn(list_, replace(list_.catalog, items=named), subevent=None)
    venue.redeem("first")
    told = {row["secret"]: row for row in venue.get("download")["results"]}
    assert told.keys() == {"first", "second"}
    for secret, row in told.items():
        assert venue.get("search", query=secret)["results"] == [row]


def test_it_is_what_a_server_of_version_3_tells(venue: Venue) -> None:
    venue.event.add_tickets(450, "t")
    venue.event.add_question(1, "C", [2, 1], options={11: "Fish"})
    venue.open()
    told = venue.event.download()
    told["questions"][0]["items"] = [1, 2]
    assert venue.get("download") == told


def test_only_tickets_that_may_come_in_are_told(venue: Venue) -> None:
    venue.event.include_pending = True
    venue.event.add_ticket("paid")
    venue.event.add_ticket("pending", order_status=PENDING)
    venue.event.add_ticket("forbidden", order_status=PENDING)
    venue.event.add_ticket("gone")
    saved = venue.saved()
    saved["download"]["results"][2]["checkin_allowed"] = False
    list_ = venue.open(saved)
    assert secrets_of(venue) == ["paid", "pending", "gone"]
    del venue.event.tickets["gone"]
    venue.tell(list_)
    del venue.event.tickets["forbidden"]
    assert secrets_of(venue)[:2] == ["paid", "pending"]


def test_a_limited_device_gets_its_items_only(venue: Venue) -> None:
    venue.event.add_ticket("shirt", item_id=1)
    venue.event.add_ticket("ticket")
    list_ = venue.open()
    venue.box.scanners.add("Shirts", list_.id, key="SHIRTSONLY", item_ids=frozenset({1}))
    assert secrets_of(venue, "SHIRTSONLY") == ["shirt"]
    assert secrets_of(venue) == ["shirt", "ticket"]


def test_questions_say_their_items_and_leave_out_what_the_app_cannot_ask(venue: Venue) -> None:
    for number, kind in enumerate(("F", "TEL", "T"), start=1):
        venue.event.add_question(number, kind, [2, 1])
    venue.open()
    [question] = venue.get("download")["questions"]
    assert (question["id"], question["items"], question["options"]) == (3, [1, 2], [])


def test_item_ids_are_real_even_where_upstream_told_none(venue: Venue) -> None:
    venue.event.version = 2
    venue.event.add_ticket("abc")
    venue.open()
    [row] = venue.get("download")["results"]
    assert row["item_id"] == 2


# --- compression ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("accepted", ["gzip", "gzip, deflate", "deflate, gzip;q=0.5", "*", "GZIP"])
def test_who_takes_gzip_gets_gzip(venue: Venue, accepted: str) -> None:
    venue.event.add_tickets(50)
    venue.open()
    path = f"{venue.path}/download/?key={KEY}"
    packed = venue.request("GET", path, headers={"Accept-Encoding": accepted})
    plain = venue.request("GET", path)
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain.data
    assert len(packed.data) * 3 < len(plain.data)
    assert packed.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"
    assert [int(answer.headers["Content-Length"]) for answer in (packed, plain)] == [len(packed.data), len(plain.data)]


@pytest.mark.parametrize("accepted", [None, "", "identity", "deflate", "gzip;q=0", "br, *;q=0"])
def test_who_does_not_gets_it_as_it_is(venue: Venue, accepted: str | None) -> None:
    venue.event.add_tickets(3)
    venue.open()
    headers = {} if accepted is None else {"Accept-Encoding": accepted}
    answer = venue.request("GET", f"{venue.path}/download/?key={KEY}", headers=headers)
    assert "Content-Encoding" not in answer.headers
    assert len(answer.get_json()["results"]) == 3


def test_head_tells_the_same_headers(venue: Venue) -> None:
    venue.event.add_tickets(3)
    venue.open()
    path = f"{venue.path}/download/?key={KEY}"
    for accepted in ("gzip", "identity"):
        got, head = (venue.request(method, path, headers={"Accept-Encoding": accepted}) for method in ("GET", "HEAD"))
        assert dict(head.headers) == dict(got.headers)


def test_the_kept_body_is_handed_to_the_server_as_a_file(venue: Venue) -> None:
    """waitress sends a file by itself, so a slow phone holds no thread, and no copy of the body."""
    venue.event.add_tickets(3)
    venue.open()

    class FileWrapper:
        def __init__(self, file: io.BytesIO, block_size: int = 0) -> None:
            self.file = file

    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": f"{venue.path}/download/",
        "QUERY_STRING": f"key={KEY}",
        "HTTP_ACCEPT_ENCODING": "gzip",
        "SERVER_NAME": "box",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.file_wrapper": FileWrapper,
    }
    start_response: Any = lambda status, headers, error=None: None  # noqa: E731
    answer: Any = create_app(venue.box)(environ, start_response)
    assert isinstance(answer, FileWrapper)
    assert len(json.loads(gzip.decompress(answer.file.getvalue()))["results"]) == 3


# --- age --------------------------------------------------------------------------------------------------------------


class Kept:
    """Downloads with a clock of the test's own: `now_s`, which each look moves on by `look_takes_s`."""

    def __init__(self, venue: Venue, list_: CheckInList) -> None:
        self.now_s = 1000.0
        self.look_takes_s = 0.0
        self._list = list_
        self._downloads = Downloads(venue.box.store, 1, self._look)

    def _look(self) -> float:
        self.now_s += self.look_takes_s
        return self.now_s

    def body(self) -> Any:
        return json.loads(gzip.decompress(self._downloads.get(self._list, None)[0].compressed))

    def get(self) -> tuple[int, int]:
        """(how many are in according to the body, its age)."""
        body, age_s = self._downloads.get(self._list, None)
        return sum(row["redeemed"] for row in json.loads(gzip.decompress(body.compressed))["results"]), age_s


@pytest.fixture
def kept(venue: Venue) -> Kept:
    venue.event.add_tickets(5, "t")
    return Kept(venue, venue.open())


def test_while_nothing_changes_a_body_stays_new(venue: Venue, kept: Kept) -> None:
    assert kept.get() == (0, 0)
    kept.now_s += 3600
    assert kept.get() == (0, 0)


def test_after_a_change_it_is_served_for_a_while_and_says_how_old_it_is(venue: Venue, kept: Kept) -> None:
    kept.get()
    kept.now_s += 1
    venue.redeem("t000000")
    assert kept.get() == (0, 1)
    kept.now_s += 0.5
    assert kept.get() == (0, 2)
    kept.now_s += MAX_AGE_S - 1.5
    assert kept.get() == (1, 0)


def test_a_change_after_a_quiet_hour_is_told_at_once(venue: Venue, kept: Kept) -> None:
    kept.get()
    kept.now_s += 3600
    venue.redeem("t000000")
    assert kept.get() == (1, 0)


def test_age_counts_from_when_the_body_was_last_known_to_be_all(venue: Venue, kept: Kept) -> None:
    kept.get()
    kept.now_s += 8
    kept.get()
    venue.redeem("t000000")
    kept.now_s += 1
    assert kept.get() == (0, 1)


def test_a_change_within_the_same_instant_is_no_age_of_zero(venue: Venue, kept: Kept) -> None:
    kept.get()
    venue.redeem("t000000")
    assert kept.get() == (0, 1)


def test_it_is_made_in_time_for_none_to_be_older_than_that(venue: Venue, kept: Kept) -> None:
    kept.look_takes_s = 0.5
    kept.get()
    venue.redeem("t000000")
    kept.look_takes_s = 0.0
    kept.now_s += MAX_AGE_S - 1.5
    assert kept.get() == (1, 0)


def test_a_body_that_takes_long_to_make_is_made_less_often(venue: Venue, kept: Kept) -> None:
    kept.look_takes_s = 30.0
    kept.get()
    kept.look_takes_s = 0.0
    venue.redeem("t000000")
    kept.now_s += REST * 30 - 120
    checkins, age_s = kept.get()
    assert checkins == 0
    assert age_s > 0
    kept.now_s += 120
    assert kept.get() == (1, 0)


def test_a_pull_makes_it_old_too(venue: Venue) -> None:
    venue.event.add_tickets(2, "t")
    list_ = venue.open()
    kept = Kept(venue, list_)
    kept.get()
    venue.event.redeem({"secret": "t000001"})
    venue.tell(list_)
    kept.now_s += MAX_AGE_S
    assert kept.get() == (1, 0)


def test_new_names_of_items_make_it_old_too(venue: Venue, kept: Kept) -> None:
    """Also for a thread that had looked up its list before them."""
    kept.get()
    list_ = venue.box.store.lists.all()[0]
    assert list_.catalog is not None
    venue.box.store.lists.learn(list_, replace(list_.catalog, items=(Item(2, "Day ticket", True),)), subevent=None)
    kept.now_s += MAX_AGE_S
    assert kept.body()["results"][0]["item"] == "Day ticket"


def test_the_age_is_a_header_and_missing_at_zero(venue: Venue) -> None:
    venue.event.add_tickets(2, "t")
    venue.open()
    path = f"{venue.path}/download/?key={KEY}"
    assert "Age" not in venue.request("GET", path).headers
    venue.redeem("t000000")
    stale = venue.request("GET", path)
    assert int(stale.headers["Age"]) >= 1
    assert not any(row["redeemed"] for row in stale.get_json()["results"])


class Slow:
    """Holds the making of bodies until `go`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.started, self._go = threading.Event(), threading.Event()
        self.made = 0
        make = download._body

        def slow(*arguments: Any) -> download.Body:
            self.started.set()
            assert self._go.wait(20)
            self.made += 1
            return make(*arguments)

        monkeypatch.setattr(download, "_body", slow)

    def go(self) -> None:
        self._go.set()


def test_while_one_thread_makes_it_anew_the_others_get_the_old_one(
    venue: Venue, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.get()
    kept.now_s += MAX_AGE_S
    venue.redeem("t000000")
    slow = Slow(monkeypatch)
    results: list[tuple[int, int]] = []
    maker = threading.Thread(target=lambda: results.append(kept.get()))
    maker.start()
    assert slow.started.wait(20)
    kept.now_s += 2
    assert kept.get() == (0, 2 + int(MAX_AGE_S))
    slow.go()
    maker.join()
    assert (results, slow.made) == ([(1, 0)], 1)


def test_the_first_one_is_made_once_for_all_who_wait(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    venue.event.add_tickets(2, "t")
    list_ = venue.open()
    downloads = Downloads(venue.box.store, 3)
    slow = Slow(monkeypatch)
    bodies: list[download.Body] = []
    threads = [threading.Thread(target=lambda: bodies.append(downloads.get(list_, None)[0])) for _ in range(3)]
    for thread in threads:
        thread.start()
    slow.go()
    for thread in threads:
        thread.join()
    assert (len(bodies), slow.made) == (3, 1)
    assert len({id(body) for body in bodies}) == 1


def test_few_threads_wait_for_the_first_one(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    """All phones ask when a box comes back, and its threads are for scans."""
    venue.event.add_tickets(2, "t")
    list_ = venue.open()
    downloads = Downloads(venue.box.store, 1)
    monkeypatch.setattr(download, "BRIEFLY_S", 0.01)
    slow = Slow(monkeypatch)
    maker = threading.Thread(target=lambda: downloads.get(list_, None))
    maker.start()
    try:
        assert slow.started.wait(20)
        with pytest.raises(Busy):
            downloads.get(list_, None)
    finally:
        slow.go()
        maker.join()
    assert downloads.get(list_, None)[1] == 0
