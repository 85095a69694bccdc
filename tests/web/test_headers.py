"""What each answer says to the browser: run nothing foreign, be framed by nobody, keep nothing that is secret."""

from __future__ import annotations

import pytest

from edgebox.store.staff import Role
from tests.web.conftest import DEVICE_KEY, Browser, House

PAGES = [
    "/", "/now/live", "/find", "/find?query=Ada", "/tickets/1", "/scan", "/attention", "/devices", "/devices/Gate 1/qr",
    "/lists", "/lists/1/sheet", "/log", "/log.csv", "/journal.csv", "/syncs.csv", "/staff.csv", "/box",
]  # fmt: skip
API = "/pretixdroid/api/demoorga/democon"


def assert_hardened(headers: object) -> None:
    get = dict(headers).get  # type: ignore[call-overload]
    policy = dict(part.strip().split(" ", 1) for part in get("Content-Security-Policy").split(";"))
    assert policy["default-src"] == "'self'"
    assert "script-src" not in policy, "scripts are those of default-src: the box's own, and none in the page"
    assert policy["frame-ancestors"] == policy["object-src"] == policy["base-uri"] == "'none'"
    assert policy["form-action"] == "'self'"
    assert get("X-Frame-Options") == "DENY"
    assert get("X-Content-Type-Options") == "nosniff"
    assert get("Referrer-Policy") == "same-origin"
    assert get("Server") is None


def test_every_page_is_hardened_and_kept_by_no_browser(house: House, lead: Browser) -> None:
    house.scan("secret-of-ada")
    for path in PAGES:
        response = lead.get(path)
        assert_hardened(response.headers)
        kept = response.headers["Cache-Control"]
        assert kept == ("no-cache" if path == "/now/live" else "no-store"), path


def test_so_are_the_pages_before_the_log_in_and_all_that_goes_wrong(house: House, lead: Browser, gate: Browser) -> None:
    stranger = house.browser()
    for response in (
        stranger.get("/login"),
        stranger.get("/", 302),
        stranger.get("/nowhere", 404),
        gate.get("/devices", 403),
        lead.get("/tickets/99", 404),
        lead.send("/sync", 400),
        lead.send("/sync", 413, {"csrf_token": "x" * 300_000}),
    ):
        assert_hardened(response.headers)
        assert response.headers["Cache-Control"] == "no-store"


def test_what_is_the_same_for_all_may_be_kept(house: House) -> None:
    browser = house.browser()
    for path in ("/static/web/edgebox.css", "/bootstrap/static/css/bootstrap.min.css"):
        response = browser.get(path)
        assert "no-store" not in response.headers["Cache-Control"]
        assert "ETag" in response.headers
        assert "Set-Cookie" not in response.headers
        assert "Cookie" not in response.headers.get("Vary", "")
        browser.get(path, 304, headers={"If-None-Match": response.headers["ETag"]})


def test_no_page_asks_another_machine_for_anything(house: House, lead: Browser) -> None:
    for path in PAGES:
        page = lead.get(path).text
        for attribute in ("src=", "href=", "action="):
            for place in page.split(attribute)[1:]:
                quote, address = place[0], place[1:]
                if quote in "\"'":
                    assert address.split(quote)[0][:1] in ("/", "#", "?", ""), (path, place[:60])
        assert "@import" not in page


def test_devices_are_not_touched_by_any_of_it(house: House) -> None:
    browser = house.browser()
    for path, check in (
        (f"{API}/status/?key={DEVICE_KEY}", 200),
        (f"{API}/status/?key=x", 403),
        ("/pretixdroid/x", 404),
        ("/healthz", 200),
    ):
        response = browser.get(path, check)
        assert response.is_json
        for name in ("Content-Security-Policy", "X-Frame-Options", "Referrer-Policy", "Set-Cookie"):
            assert name not in response.headers
        assert "Cookie" not in response.headers.get("Vary", "")


def test_a_device_needs_no_proof_and_no_session(house: House) -> None:
    browser = house.browser()
    form = {"secret": "secret-of-ada"}
    assert browser.send(f"{API}/redeem/?key={DEVICE_KEY}", 200, form).get_json()["status"] == "ok"


@pytest.mark.parametrize("role", list(Role))
def test_what_a_guest_calls_himself_stays_text(house: House, role: Role) -> None:
    name = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7000*7 }}"
    house.stub.add_ticket("secret-of-mallory", attendee_name=name, order="<b>1</b>", addons_text="<i>x</i>")
    house.pull()
    house.scan("secret-of-mallory")
    house.scan("secret-of-mallory", is_forced=True)
    browser = house.person(role)
    ticket = house.ticket_id("secret-of-mallory")
    browser.post(f"/tickets/{ticket}/note", text=name)
    pages = ["/", "/find?query=script", f"/tickets/{ticket}"]
    pages += ["/attention", "/log", "/log?show=deeds"] if role is Role.LEAD else []
    for path in pages:
        page = browser.get(path).text
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "<b>1</b>" not in page
        assert "<i>x</i>" not in page
        assert "49000" not in page
    assert "&lt;script&gt;alert(1)" in browser.get(f"/tickets/{ticket}").text
