"""Who is let in: event first, then key, then date, then method; and no key ever stands in a log."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from itertools import product
from typing import Any

import pytest

from edgebox.model import Redeemed
from edgebox.store.db import DATABASE_NAME
from edgebox.store.redeem import Scan
from tests.api.conftest import KEY, Venue
from tests.support.box import BoxProcess, wait_until
from tests.support.upstream import StubUpstream

VERBS = ("redeem", "search", "download", "status")
METHOD = {"redeem": "POST", "search": "GET", "download": "GET", "status": "GET"}
EVERY_METHOD = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "MADEUP")


@pytest.fixture
def opened(venue: Venue) -> Venue:
    venue.event.add_ticket("abc")
    venue.open()
    return venue


def series(venue: Venue, subevent: int, key: str) -> None:
    """A list for one date of a series, and a device of it."""
    venue.event.list_name = f"Date {subevent}"
    saved = venue.saved()
    saved["status"]["event"]["subevent"] = subevent
    list_ = venue.box.add_saved(saved, "a date")
    venue.box.scanners.add(f"Gate of {subevent}", list_.id, key=key)


def ask(venue: Venue, verb: str, path: str, check: int, **options: Any) -> dict[str, Any]:
    body: dict[str, Any] = venue.request(METHOD[verb], f"{path}/{verb}/", check, **options).get_json()
    return body


@pytest.mark.parametrize("verb", VERBS)
def test_an_unknown_event_is_404_whatever_the_key(opened: Venue, verb: str) -> None:
    for path in ("demoorga/othercon", "otherorga/democon", "DEMOORGA/democon", "demoorga/democon2", "%20/%00"):
        for key in ("", KEY, "WRONG"):
            body = ask(opened, verb, f"/pretixdroid/api/{path}", 404, query_string={"key": key})
            assert (body["reason"], body["message"]) == ("unknown_event", "Unknown event")


@pytest.mark.parametrize("verb", VERBS)
def test_a_wrong_key_is_403(opened: Venue, verb: str) -> None:
    for key in (
        "",
        "WRONG",
        KEY.lower(),
        KEY + "X",
        KEY[:-1],
        KEY + " ",
        "\u0000",
        "k\u00e9y",
        "x" * 10_000,
        "%ED%A0%80",
    ):
        body = ask(opened, verb, opened.path, 403, query_string={"key": key})
        assert (body["reason"], body["message"]) == ("invalid_key", "Invalid key")
    assert ask(opened, verb, opened.path, 403)["reason"] == "invalid_key"
    raw = ask(opened, verb, opened.path, 403, query_string="key=%FF%FE&key=%ED%A0%80")
    assert raw["reason"] == "invalid_key"


@pytest.mark.parametrize("verb", VERBS)
def test_event_and_key_come_before_the_method(opened: Venue, verb: str) -> None:
    api = "/pretixdroid/api/demoorga"
    for method in EVERY_METHOD:
        opened.request(method, f"{api}/othercon/{verb}/?key={KEY}", 404)
        opened.request(method, f"{api}/democon/{verb}/?key=WRONG", 403)
        opened.request(method, f"{api}/democon/7/{verb}/?key={KEY}", 403)


@pytest.mark.parametrize("verb", VERBS)
def test_a_wrong_method_is_405_and_names_the_right_one(opened: Venue, verb: str) -> None:
    right = ["POST"] if verb == "redeem" else ["GET", "HEAD"]
    for method in EVERY_METHOD:
        path = f"{opened.path}/{verb}/?key={KEY}"
        if method in right:
            opened.request(method, path)
        else:
            answer = opened.request(method, path, 405, data={"secret": "abc"})
            assert answer.headers["Allow"].split(", ") == right
    assert opened.journal == []


def test_the_key_counts_in_the_query_only(opened: Venue) -> None:
    path = f"{opened.path}/redeem/"
    opened.request("POST", path, 403, data={"secret": "abc", "key": KEY})
    opened.request("POST", path, 403, data={"secret": "abc"}, headers={"Authorization": f"Bearer {KEY}", "key": KEY})
    opened.request("POST", path, 403, data={"secret": "abc"}, headers={"Cookie": f"key={KEY}"})
    opened.request("POST", f"{path}?KEY={KEY}", 403, data={"secret": "abc"})
    assert opened.journal == []


def test_a_valid_key_opens_no_other_event_of_the_box(opened: Venue) -> None:
    opened.event.event = "othercon"
    other = opened.box.add_saved(opened.saved(), "another event")
    opened.box.scanners.add("Elsewhere", other.id, key="OTHERKEY")
    for verb in VERBS:
        assert ask(opened, verb, opened.path, 403, query_string={"key": KEY})["reason"] == "invalid_key"
    assert opened.get("status", key="OTHERKEY")["event"]["slug"] == "othercon"


def test_two_lists_of_one_event_are_told_apart_by_the_key(opened: Venue) -> None:
    opened.event.list_name, opened.event.tickets = "Backstage", {}
    opened.event.add_ticket("crew")
    other = opened.box.add_saved(opened.saved(), "another list")
    opened.box.scanners.add("Backstage", other.id, key="BACKSTAGE")
    assert opened.redeem("abc", key="BACKSTAGE")["reason"] == "unknown_ticket"
    assert opened.redeem("crew")["reason"] == "unknown_ticket"
    assert opened.redeem("crew", key="BACKSTAGE")["status"] == "ok"


def test_a_date_of_a_series_is_reached_with_and_without_its_number(venue: Venue) -> None:
    venue.event.add_ticket("abc")
    series(venue, 7, "KEYOFSEVEN")
    series(venue, 8, "KEYOFEIGHT")
    for verb in VERBS:
        for path in (venue.path, f"{venue.path}/7"):
            ask(venue, verb, path, 200, query_string={"key": "KEYOFSEVEN"})
    answer = ask(venue, "redeem", f"{venue.path}/7", 200, query_string={"key": "KEYOFSEVEN"}, data={"secret": "abc"})
    assert answer["status"] == "ok"
    assert venue.redeem("abc", key="KEYOFSEVEN")["reason"] == "already_redeemed"
    assert venue.redeem("abc", key="KEYOFEIGHT")["status"] == "ok"


def test_another_date_is_403(venue: Venue) -> None:
    venue.event.add_ticket("abc")
    series(venue, 7, "KEYOFSEVEN")
    series(venue, 8, "KEYOFEIGHT")
    dates = ("8", "9", "07", "7.0", "seven", "%20", "-7", "redeem", "%C3%BF", "%D9%A7", "%00")
    for date, verb in product(dates, VERBS):
        body = ask(venue, verb, f"{venue.path}/{date}", 403, query_string={"key": "KEYOFSEVEN"})
        assert body["reason"] == "invalid_subevent"
        assert ask(venue, verb, f"{venue.path}/{date}", 403)["reason"] == "invalid_key"
    assert venue.journal == []


def test_a_date_for_an_event_without_dates_is_403(opened: Venue) -> None:
    for verb in VERBS:
        body = ask(opened, verb, f"{opened.path}/7", 403, query_string={"key": KEY})
        assert body["reason"] == "invalid_subevent"


@pytest.mark.parametrize("verb", VERBS)
def test_slashes_are_taken_as_they_come_and_nothing_redirects(opened: Venue, verb: str) -> None:
    """A redirect would turn a POST into a GET."""
    method, path = METHOD[verb], f"{opened.path}/{verb}"
    answers = [opened.request(method, f"{each}?key={KEY}").get_json() for each in (path, f"{path}/", f"/{path}/")]
    assert answers[0] == answers[1] == answers[2]
    for odd in (f"{opened.path}//{verb}/", path.replace("/api/", "/api//"), f"{path}/x/", path[:-1]):
        opened.request(method, f"{odd}?key={KEY}", 404)


def test_a_revoked_device_is_out_at_once(opened: Venue) -> None:
    opened.box.scanners.revoke("Gate 1")
    for verb in VERBS:
        assert ask(opened, verb, opened.path, 403, query_string={"key": KEY})["reason"] == "invalid_key"


def test_a_removed_lists_device_is_out_at_once(opened: Venue) -> None:
    opened.event.list_name = "Backstage"
    other = opened.box.add_saved(opened.saved(), "another list")
    opened.box.remove_list(opened.box.store.lists.all()[0].id)
    assert ask(opened, "status", opened.path, 403, query_string={"key": KEY})["reason"] == "invalid_key"
    opened.box.remove_list(other.id)
    assert ask(opened, "status", opened.path, 404, query_string={"key": KEY})["reason"] == "unknown_event"


def test_a_list_that_goes_while_a_scan_is_under_way_is_unknown(opened: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    redeem = opened.box.store.redeemer.redeem

    def too_late(scan: Scan) -> Redeemed:
        opened.box.remove_list(scan.list_id)
        return redeem(scan)

    monkeypatch.setattr(opened.box.store.redeemer, "redeem", too_late)
    assert opened.redeem("abc", check=404)["reason"] == "unknown_event"
    assert opened.journal == []


def test_a_lists_upstream_key_opens_nothing(venue: Venue) -> None:
    list_ = venue.box.add_list("http://127.0.0.1:9/pretixdroid/api/demoorga/democon/", "UPSTREAMKEY")
    venue.box.scanners.add("Gate 1", list_.id, key=KEY)
    for verb in VERBS:
        assert ask(venue, verb, venue.path, 403, query_string={"key": "UPSTREAMKEY"})["reason"] == "invalid_key"


def test_asking_for_anything_is_a_sign_of_life(opened: Venue) -> None:
    assert opened.box.store.devices.named("Gate 1").last_seen_at is None
    opened.request("GET", f"{opened.path}/status/?key={KEY}", headers={"User-Agent": "okhttp/3.8.1"})
    device = opened.box.store.devices.named("Gate 1")
    assert (device.last_seen_at, device.user_agent) == (opened.now, "okhttp/3.8.1")


# --- keys in logs -----------------------------------------------------------------------------------------------------


def test_a_fault_is_logged_without_the_key(opened: Venue, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    # A fault that no handler foresees: somebody was at the database.
    with closing(sqlite3.connect(opened.box.config.data_dir / DATABASE_NAME)) as connection:
        connection.execute("DROP TABLE ticket_name")
    body = opened.get("search", check=500, query="Lovelace")
    assert body["reason"] == "server_error"
    assert "/search/' failed" in caplog.text
    assert "ticket_name" in caplog.text
    assert KEY not in caplog.text
    assert "Lovelace" not in caplog.text


def test_a_whole_day_of_requests_leaves_no_key_in_the_log(box: BoxProcess, stub: StubUpstream) -> None:
    box.env["EDGEBOX_LOG_LEVEL"] = "debug"
    stub.add_ticket("abc")
    list_id = box.add_list(stub.url, "-", input=stub.key + "\n")
    key = box.add_device("Gate 1", list_id)
    box.start()
    wait_until(lambda: box.get(key, "status/").json()["total"] == 1, 30, "the box has pulled")
    assert box.redeem(key, "abc").json()["status"] == "ok"
    assert box.redeem(key, "abc", datetime="nonsense").status_code == 400
    assert box.redeem(key, "unknown-ticket-of-an-earlier-event").status_code == 200
    for endpoint in VERBS[1:]:
        assert box.get(key, f"{endpoint}/", query="Lovelace").status_code == 200
    assert box.session.put(box.api("redeem/"), params={"key": key}).status_code == 405
    assert box.session.get(f"{box.url}/nowhere/", params={"key": key}).status_code == 404
    assert box.redeem(key + "Z", "abc").status_code == 403
    wait_until(lambda: stub.accepted("abc"), 30, "the check-in has arrived upstream")
    stub.stop()
    assert box.redeem(key, "abc", force=True).json()["status"] == "ok"
    wait_until(lambda: "WARNING" in box.output, 30, "the box says that upstream is gone")
    assert box.stop() == 0
    for secret in (key, stub.key):
        assert secret not in box.output
