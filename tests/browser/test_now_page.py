"""The page Now: what is going on, live, and Sync now."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from edgebox.demo.event import NAMED_TICKETS, demo_event
from edgebox.store.staff import Role
from tests.browser.conftest import People
from tests.browser.venue import GATE_A, GATE_B, SETTINGS, Venue, opened, set_up
from tests.support.box import BoxProcess, wait_until
from tests.support.upstream import PORTAL_PAGE, Hold, StubUpstream, always, held

LIVE_MS = 15_000
"""A change must be seen without a reload; the page looks every two seconds."""


def banner(page: Page) -> Locator:
    """The worst thing that there is to say."""
    return page.locator("#part-banners .banner").first


def sync_now(page: Page) -> Locator:
    """Press the button; what came of it."""
    page.get_by_role("button", name="Sync now").click()
    outcome = page.locator("#sync-run:not([data-busy])")
    expect(outcome).to_be_visible(timeout=LIVE_MS)
    return outcome


@pytest.fixture
def two_boxes(tmp_path: Path) -> Iterator[tuple[Venue, BoxProcess]]:
    """A box whose ticket server is another box in a process of its own."""
    upstream = BoxProcess(tmp_path / "upstream")
    box = BoxProcess(tmp_path / "data", config=SETTINGS)
    try:
        with opened(upstream.data_dir) as inside:
            list_ = inside.add_saved(demo_event(datetime.now(UTC).date()), "the demo event")
            key = inside.scanners.add("the other box", list_.id).key
        upstream.start()
        address = StubUpstream()
        address.port, address.key = upstream.port, key
        with opened(box.data_dir) as inside:
            list_, keys = set_up(inside, address, GATE_A)
        yield Venue(box.start(), address, list_.id, keys), upstream
    finally:
        box.kill()
        upstream.kill()


def test_sync_now_with_a_ticket_server_that_is_up_down_and_up_again(
    people: People, two_boxes: tuple[Venue, BoxProcess]
) -> None:
    venue, upstream = two_boxes
    page = people.staff(venue, Role.GATE)
    expect(banner(page)).to_contain_text("Online", timeout=LIVE_MS)
    expect(sync_now(page)).to_contain_text(re.compile("Synced.*tickets fetched", re.DOTALL))

    upstream.stop()
    venue.scan(NAMED_TICKETS["peter_higgs"])
    outcome = sync_now(page)
    expect(outcome).to_contain_text("The sync did not go through")
    expect(outcome).to_contain_text("Everything recorded is safe")
    expect(banner(page)).to_contain_text(re.compile(r"Offline since \d\d:\d\d"))
    expect(banner(page)).to_contain_text("Scanning goes on, 1 check-in waiting")
    expect(banner(page)).to_have_attribute("data-level", "warning")

    upstream.start()
    expect(sync_now(page)).to_contain_text("Synced")
    expect(banner(page)).to_contain_text("The ticket server has every check-in", timeout=LIVE_MS)
    assert [entry["secret"] for entry in upstream.journal()] == [NAMED_TICKETS["peter_higgs"]]


def test_a_login_page_in_place_of_the_ticket_server_is_called_that(lead: Page, venue: Venue) -> None:
    venue.stub.on("*", always(PORTAL_PAGE))
    expect(sync_now(lead)).to_contain_text("a login page")
    expect(banner(lead)).to_contain_text("Not online: a login page or a proxy answers")
    venue.stub.off()
    expect(sync_now(lead)).to_contain_text("Synced")
    expect(banner(lead)).to_contain_text("Online", timeout=LIVE_MS)


def test_the_progress_of_a_sync_is_seen(lead: Page, venue: Venue) -> None:
    hold = Hold()
    venue.stub.on("download", lambda request: held(hold, after=0.5))
    lead.get_by_role("button", name="Sync now").click()
    expect(lead.locator("#sync-run")).to_contain_text(re.compile("fetching tickets.*[1-9]", re.DOTALL), timeout=LIVE_MS)
    expect(lead.locator("#sync-run progress")).to_be_visible()
    venue.stub.off()
    hold.release()
    expect(lead.locator("#sync-run")).to_contain_text("Synced", timeout=LIVE_MS)


def test_another_clients_scan_is_seen_without_a_reload_and_without_disturbing_whoever_reads(
    lead: Page, venue: Venue
) -> None:
    venue.scan(next(venue.fresh_tickets()))
    lead.reload()
    lead.evaluate("window.isTheSamePage = true")
    lead.get_by_text("By item").click()  # which closes it
    lead.locator(".bar:visible").last.focus()
    count = lead.locator(".count").first
    before = venue.inside()
    venue.scan(next(venue.fresh_tickets()))
    expect(count).to_have_text(str(before + 1), timeout=LIVE_MS)
    venue.scan(next(venue.fresh_tickets()), GATE_B)
    expect(count).to_have_text(str(before + 2), timeout=LIVE_MS)
    expect(lead.locator(".bar:visible").last).to_have_attribute("aria-label", re.compile(r"Gate A \d+.*Gate B \d+"))
    expect(lead.locator(".numbers")).to_be_hidden()
    assert lead.evaluate("document.activeElement.classList.contains('bar')")
    assert lead.evaluate("window.isTheSamePage")


def test_nothing_is_sent_while_nothing_changes(lead: Page, venue: Venue) -> None:
    """The parts are asked for with their ETag, and most answers are empty."""
    statuses: list[int] = []
    lead.on("response", lambda answer: statuses.append(answer.status) if "/now/live" in answer.url else None)

    def has_rested() -> bool:
        lead.wait_for_timeout(100)
        return 304 in statuses

    wait_until(has_rested, 30, "an answer without a body")


def test_a_bar_of_the_chart_is_told_by_device_on_tap_and_by_the_arrow_keys(people: People, venue: Venue) -> None:
    venue.scan(next(venue.fresh_tickets()))
    page = people.staff(venue, Role.LEAD, has_touch=True)
    caption = page.locator("#chart-caption")
    expect(caption).to_contain_text("Point at a bar")
    page.locator(".bar:visible").last.tap()
    expect(caption).to_have_text(re.compile(r"\d\d:\d\d–\d\d:\d\d · \d+ check-ins? · .*Gate A \d+"))


def test_the_wall_view_has_no_navigation_and_fits_the_screen(people: People, venue: Venue) -> None:
    venue.scan(next(venue.fresh_tickets()))
    page = people.staff(venue, Role.GATE, viewport={"width": 1920, "height": 1080})
    page.goto(f"{venue.box.url}/?wall")
    expect(page.locator("#part-banners")).to_be_visible()
    expect(page.locator("nav, footer, button")).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollHeight") <= 1080
    count = page.locator(".count").first
    before = venue.inside()
    venue.scan(next(venue.fresh_tickets()))
    expect(count).to_have_text(str(before + 1), timeout=LIVE_MS)
    expect(page.locator("nav")).to_have_count(0)


def test_a_box_that_does_not_answer_is_noticed_and_one_that_is_back_too(lead: Page, venue: Venue) -> None:
    venue.box.stop()
    expect(lead.get_by_role("alert")).to_contain_text("what you see here is old", timeout=30_000)
    venue.box.start()
    expect(lead.get_by_role("alert")).to_be_hidden(timeout=30_000)


def test_a_log_in_that_ended_is_noticed_by_an_open_page(gate: Page) -> None:
    gate.context.clear_cookies()
    expect(gate).to_have_url(re.compile("/login"), timeout=LIVE_MS)


def test_tickets_on_the_box_are_held_against_what_the_ticket_server_has(lead: Page, venue: Venue) -> None:
    facts = lead.locator(".facts").first
    expect(facts).to_contain_text("as many as at the ticket server", timeout=LIVE_MS)
    venue.stub.on("download", always(PORTAL_PAGE))  # so that the box learns of it, but does not get it
    venue.stub.add_ticket("sold-a-moment-ago")
    sync_now(lead)
    expect(facts).to_contain_text("411 at the ticket server", timeout=LIVE_MS)
    venue.stub.off()
    del venue.stub.tickets["sold-a-moment-ago"]
