"""What goes wrong is said on a page, in words, without what is inside of the box; and nothing goes round in circles."""

from __future__ import annotations

import logging

import pytest

from edgebox.box import Box
from edgebox.scanners import Scanners
from edgebox.store import NotWritable, StoreError
from edgebox.store.staff import Staff
from tests.web.conftest import Browser, House

HTML = {"Accept": "text/html"}


def test_an_address_where_nothing_is_is_a_page(house: House, lead: Browser) -> None:
    for browser in (lead, house.browser()):
        response = browser.get("/nowhere", 404, headers=HTML)
        assert response.mimetype == "text/html"
        assert "nothing at this address" in response.text


def test_who_wants_json_gets_json(house: House) -> None:
    response = house.browser().get("/nowhere", 404, headers={"Accept": "application/json"})
    assert response.get_json()["reason"] == "not_found"


def test_also_where_there_are_no_sessions(house: House) -> None:
    browser = house.browser()
    assert "nothing at this address" in browser.get("/static/web/nowhere.css", 404, headers=HTML).text
    response = browser.send("/healthz", 405, headers=HTML)
    assert response.mimetype == "text/html"
    assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD"}
    assert "Set-Cookie" not in response.headers


def test_a_wrong_method_says_which_there_are(house: House, lead: Browser) -> None:
    response = lead.get("/sync", 405)
    assert response.headers["Allow"] == "POST"


def test_numbers_that_no_row_can_have_are_addresses_where_nothing_is(house: House, lead: Browser) -> None:
    huge = "9" * 30
    for path in (f"/tickets/{huge}", f"/lists/{huge}/sheet", "/tickets/-1", "/tickets/0", "/tickets/99"):
        lead.get(path, 404)
    lead.get(f"/log?list={huge}")
    lead.get("/log?list=-5&page=99999999999999999999")
    for path in (f"/tickets/{huge}/checkin", f"/attention/{huge}/retry", f"/lists/{huge}/pause"):
        lead.post(path, 404)


def test_what_an_action_refuses_is_said_on_the_page_that_it_was_asked_from(house: House, lead: Browser) -> None:
    response = lead.post("/devices/add", name="Gate 1", list="1", back="web.devices")
    assert response.headers["Location"] == "/devices"
    assert "in use by a device already" in lead.get("/devices").text


def test_what_is_said_fits_into_a_cookie_whatever_was_typed(house: House, lead: Browser) -> None:
    response = lead.post("/devices/revoke", name="\N{SNOWMAN}" * 20_000, back="web.devices")
    assert len(response.headers["Set-Cookie"]) < 4000
    assert "there is no device named" in lead.get("/devices").text


def test_it_is_said_on_now_where_no_page_of_ours_is_named(house: House, lead: Browser) -> None:
    for back in ("", "web.ticket", "web.nowhere", "pretixdroid.redeem", "https://evil.example", "bootstrap.static"):
        response = lead.post("/devices/add", name="Gate 1", list="1", back=back)
        assert response.headers["Location"] == "/", back


def test_what_cannot_be_read_is_said_and_goes_round_in_no_circle(
    house: House, lead: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Scanners) -> list[object]:
        raise StoreError("the database cannot be read (disk I/O error)")

    monkeypatch.setattr(Scanners, "reports", broken)
    response = lead.get("/devices", 503)
    assert "disk I/O error" in response.text


def test_when_nothing_can_be_read_at_all_there_is_a_page_too(
    house: House, lead: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Staff, role: object) -> object:
        raise StoreError("the database cannot be read (disk I/O error)")

    monkeypatch.setattr(Staff, "credential", broken)
    assert lead.get("/", 302).headers["Location"] == "/login"
    assert "disk I/O error" in lead.get("/login", 503).text


def test_a_full_disk_is_said_where_something_was_to_be_written(
    house: House, lead: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Scanners, *args: object, **more: object) -> None:
        raise NotWritable("the box cannot write its database (disk is full); nothing was recorded")

    monkeypatch.setattr(Scanners, "add", full)
    lead.post("/devices/add", name="Gate 2", list="1", back="web.devices")
    assert "disk is full" in lead.get("/devices").text


def test_a_fault_of_the_box_is_a_page_that_tells_nothing_of_its_inside(
    house: House, lead: Browser, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def bug(self: Box) -> object:
        raise ZeroDivisionError("a secret of the inside")

    monkeypatch.setattr(Box, "health", bug)
    response = lead.get("/box?password=typed", 500)
    assert response.mimetype == "text/html"
    for inside in ("ZeroDivision", "secret of the inside", "Traceback", "edgebox/web"):
        assert inside not in response.text
    assert "GET '/box' failed" in caplog.text
    assert "typed" not in caplog.text
    assert caplog.records[-1].levelno == logging.ERROR


def test_too_much_is_refused(house: House, lead: Browser) -> None:
    response = lead.send("/sync", 413, {"csrf_token": "x" * 300_000})
    assert "too large" in response.text
