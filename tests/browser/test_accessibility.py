"""Everybody can use the pages: on a phone, in the dark, by keyboard, with a screen reader."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Page, expect

from edgebox.demo.event import NAMED_TICKETS
from edgebox.model import App
from edgebox.store.staff import Role
from tests.browser.conftest import People
from tests.browser.venue import GATE_A, GATE_B, PASSWORDS, Venue, new_venue
from tests.support.box import wait_until
from tests.support.pretix import PretixStub, check_in_list
from tests.support.pretixscan import App as Phone
from tests.support.upstream import always, json_answer

WIDTHS = (360, 1024, 1920)
SERIOUS = ("serious", "critical")
WITHIN_MS = 30_000

PAGES = [
    "",
    "?wall",
    "find?query=max",
    "find?query=nobody-at-all",
    "tickets/1",
    "lists/1/sheet",
    "devices",
    "devices/Gate%20A/qr",
    "devices/Gate%20A/revoke",
    "devices/New%20phone/qr",
    "devices/Used%20code/qr",
    "devices/Used%20code/revoke",
    "attention",
    "attention/held/1/accept",
    "lists",
    "log",
    "log?show=syncs",
    "log?show=deeds",
    "box",
    "scan",
    "nowhere",
]


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    """This file's own."""
    with new_venue(tmp_path_factory.mktemp("venue")) as venue:
        yield venue


@pytest.fixture(scope="module", autouse=True)
def something_to_see(venue: Venue) -> None:
    """A conflict, a parked check-in, a pull that waits, refusals, devices of all kinds."""
    for number, secret in zip(range(8), venue.fresh_tickets(), strict=False):
        venue.scan(secret, (GATE_A, GATE_B)[number % 2])
    refused = NAMED_TICKETS["buyer_name"]
    venue.stub.on("redeem", always(json_answer({"version": 3, "status": "error", "reason": "product"}), refused))
    venue.scan(refused)
    venue.scan(NAMED_TICKETS["peter_higgs"])
    venue.scan(NAMED_TICKETS["peter_higgs"])
    venue.scan(NAMED_TICKETS["peter_higgs"], GATE_B, force=True, nonce="late")
    wait_until(lambda: venue.state()["conflicts"] == 2, 20, "a conflict and a parked one")
    for ticket in [ticket for ticket in venue.stub.tickets.values() if ticket.item_id == 3 and ticket.is_paid][:50]:
        del venue.stub.tickets[ticket.secret]
    venue.sync()
    venue.add_device("Old phone")
    venue.call("devices.revoke", name="Old phone")
    venue.add_device("New phone", App.PRETIXSCAN)
    Phone.from_qr(venue.add_device("Used code", App.PRETIXSCAN)["qr"]).first_start()


@pytest.fixture(scope="module")
def looks(browser: Browser, venue: Venue) -> Iterator[dict[str, Page]]:
    """The lead's pages on a phone, light and dark; kept for the whole file."""
    people = People(browser)
    phone: dict[str, Any] = {"viewport": {"width": WIDTHS[0], "height": 740}}
    yield {
        "light": people.staff(venue, Role.LEAD, color_scheme="light", **phone),
        "dark": people.staff(venue, Role.LEAD, color_scheme="dark", **phone),
    }
    people.check_and_leave()


def serious_issues(page: Page, *, only_colours: bool = False) -> list[str]:
    """What axe-core finds that keeps somebody from using the page."""
    rules = {"runOnly": {"type": "rule", "values": ["color-contrast"]}} if only_colours else {}
    found = Axe().run(page, options={"resultTypes": ["violations"], **rules}).response["violations"]
    return [
        f"{issue['id']}: {node['html'][:200]} {node['failureSummary']}"
        for issue in found
        if issue["impact"] in SERIOUS
        for node in issue["nodes"]
    ]


@pytest.mark.parametrize("path", PAGES)
def test_no_page_has_a_serious_issue_or_is_wider_than_the_screen(
    looks: dict[str, Page], venue: Venue, path: str
) -> None:
    for look, page in looks.items():
        page.goto(f"{venue.box.url}/{path}")
        expect(page.locator("html")).to_have_attribute("data-bs-theme", look)
        page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        assert serious_issues(page, only_colours=look == "dark") == [], look
    for width in (*WIDTHS[1:], WIDTHS[0]):
        page.set_viewport_size({"width": width, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_what_a_pretix_offers_has_no_serious_issue(looks: dict[str, Page], venue: Venue) -> None:
    pretix = PretixStub()
    pretix.now = datetime.now(UTC)  # the box may go by its clock, and so do log-ins
    pretix.lists += [check_in_list(number, f"List {number} with quite a name of its own") for number in range(2, 9)]
    try:
        for look, page in looks.items():
            page.goto(f"{venue.box.url}/lists")
            if look == "light":
                page.get_by_label("Address of pretix").fill(pretix.url)
                page.get_by_label("Token").fill(pretix.init_token)
                page.get_by_role("button", name="Connect", exact=True).click()
            expect(page.get_by_role("heading", name="Lists that pretix offers")).to_be_visible(timeout=WITHIN_MS)
            assert serious_issues(page, only_colours=look == "dark") == [], look
            assert page.evaluate("document.documentElement.scrollWidth") <= WIDTHS[0]
        page.get_by_label("List 3 with").check()
        page.get_by_role("button", name="Register the ticked lists").click()
        card = page.locator("section").filter(has=page.get_by_role("heading", name="List 3 with"))
        expect(card).to_be_visible(timeout=WITHIN_MS)
        expect(card).to_contain_text("online", timeout=WITHIN_MS)
    finally:
        pretix.stop()


def test_the_scan_page_has_no_serious_issue_whatever_it_shows(people: People, venue: Venue) -> None:
    page = people.staff(venue, Role.GATE, viewport={"width": WIDTHS[0], "height": 740})
    page.goto(f"{venue.box.url}/scan")
    page.fill("#key", venue.keys[GATE_A])
    page.get_by_role("button", name="Begin").click()
    expect(page.locator("#verdict")).to_contain_text("Ready")
    for secret, kind in (
        (next(venue.fresh_tickets()), "ok"),
        (NAMED_TICKETS["already_in"], "used"),
        (NAMED_TICKETS["long_name"], "ok"),
        (NAMED_TICKETS["vip"], "ask"),
    ):
        page.fill("#code", secret)
        page.press("#code", "Enter")
        expect(page.locator("#verdict")).to_have_attribute("data-kind", kind)
        assert serious_issues(page) == [], kind
        assert page.evaluate("document.documentElement.scrollWidth") <= WIDTHS[0]
    page.emulate_media(color_scheme="dark")
    assert serious_issues(page, only_colours=True) == []


def test_the_pages_before_the_log_in_have_no_serious_issue(people: People, venue: Venue) -> None:
    page = people.visitor(venue.box.url, viewport={"width": WIDTHS[0], "height": 740})
    page.goto(f"{venue.box.url}/login")
    assert serious_issues(page) == []
    page.fill("#name", "Maria")
    page.fill("#password", "a guess")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert serious_issues(page) == []


def focused(page: Page) -> str:
    """What has the focus, as a screen reader calls it."""
    return str(
        page.evaluate(
            "(() => { const each = document.activeElement; return (each.getAttribute('aria-label')"
            " || each.labels?.[0]?.textContent || each.textContent || '').trim(); })()"
        )
    )


def tab_to(page: Page, name: str) -> None:
    """Press Tab until it is there, as somebody without a mouse does; the focus must be seen on the way."""
    for _press in range(60):
        page.keyboard.press("Tab")
        if re.search(name, focused(page)):
            assert page.evaluate("document.activeElement.matches(':focus-visible')")
            return
    raise AssertionError(f"Tab does not lead to {name}")


def test_an_evening_without_a_mouse(people: People, venue: Venue) -> None:
    """Log in, see how it stands, sync, find a guest, check him in, write a note, log out: by keyboard alone."""
    page = people.visitor(venue.box.url)
    page.goto(f"{venue.box.url}/login")
    page.keyboard.type("Maria")  # the field has the focus
    tab_to(page, "Gate: see, find and scan")
    page.keyboard.press("ArrowDown")
    tab_to(page, "Password")
    page.keyboard.type(PASSWORDS[Role.LEAD])
    page.keyboard.press("Enter")
    expect(page.locator("#part-banners")).to_be_visible()

    page.keyboard.press("Tab")
    assert focused(page) == "Skip to the content"
    page.keyboard.press("Enter")
    tab_to(page, "Sync now")
    page.keyboard.press("Enter")
    expect(page.locator("#sync-run")).to_be_visible()

    tab_to(page, r"^\d\d:\d\d–\d\d:\d\d")  # one stop for the whole chart, and the arrows within
    caption = page.locator("#chart-caption")
    expect(caption).to_contain_text(re.compile("check-in"))

    page.goto(page.url)
    tab_to(page, "Find")
    page.keyboard.press("Enter")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("o'brien")
    page.keyboard.press("Enter")
    expect(page.locator("#found")).to_be_visible()
    tab_to(page, "Conan O'Brien")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="History")).to_be_visible()
    tab_to(page, "^Check in$")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").first).to_have_text("Checked in.")
    tab_to(page, "A note")
    page.keyboard.type("Came by keyboard")
    page.keyboard.press("Enter")
    expect(page.locator(".story")).to_contain_text("Came by keyboard")

    tab_to(page, "More pages")
    page.keyboard.press("Enter")
    tab_to(page, "Log out")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{venue.box.url}/login")


def test_nothing_moves_for_whoever_does_not_want_it(people: People, venue: Venue) -> None:
    page = people.staff(venue, Role.GATE, reduced_motion="reduce")
    moving = page.evaluate(
        "[...document.querySelectorAll('*')].filter((each) => { const style = getComputedStyle(each);"
        " return style.animationName !== 'none' || style.transitionProperty !== 'none'"
        " && style.transitionDuration.split(',').some((each) => parseFloat(each) > 0); }).length"
    )
    assert moving == 0
