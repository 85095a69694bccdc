"""The page Lists, and the page Box."""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from edgebox.store.staff import Role
from tests.browser.conftest import People
from tests.browser.venue import GATE_A, Venue, load_demo_event
from tests.support.upstream import INVALID_KEY, StubUpstream, always

LIVE_MS = 15_000


def card(page: Page, name: str) -> Locator:
    return page.locator("section").filter(has=page.get_by_role("heading", name=name))


def test_a_list_is_registered_by_the_text_of_a_configuration_qr(lead: Page, venue: Venue, stub: StubUpstream) -> None:
    load_demo_event(stub)
    stub.event, stub.list_name = "afterparty", "After party"
    lead.goto(f"{venue.box.url}/lists")
    lead.get_by_label("Address at the ticket server").fill(
        json.dumps({"version": 3, "url": stub.url, "key": stub.key, "allow_search": True, "show_info": True})
    )
    lead.get_by_role("button", name="Register").click()
    expect(lead.locator("#errand")).to_contain_text("After party was added", timeout=LIVE_MS)
    expect(card(lead, "After party")).to_contain_text("online", timeout=LIVE_MS)
    expect(card(lead, "After party").locator(".facts")).to_contain_text("410", timeout=LIVE_MS)
    card(lead, "After party").get_by_role("link", name="Remove").click()
    lead.get_by_role("button", name="Remove it").click()
    expect(card(lead, "After party")).to_have_count(0)


def test_a_wrong_key_and_a_wrong_address_are_said_and_nothing_is_added(lead: Page, venue: Venue) -> None:
    lead.goto(f"{venue.box.url}/lists")
    lead.get_by_label("Address at the ticket server").fill(venue.stub.url)
    lead.get_by_label("Key (not").fill("WRONGKEY")
    lead.get_by_role("button", name="Register").click()
    expect(lead.locator("#errand")).to_contain_text("nothing was added", timeout=LIVE_MS)
    lead.get_by_label("Address at the ticket server").fill("not an address")
    lead.get_by_label("Key (not").fill("KEY")
    lead.get_by_role("button", name="Register").click()
    expect(lead.locator("#errand")).to_contain_text("not an upstream address", timeout=LIVE_MS)
    lead.get_by_label("Address at the ticket server").fill('{"url": "half of it')
    lead.get_by_role("button", name="Register").click()
    expect(lead.get_by_role("alert")).to_contain_text("not the text of a configuration QR code")
    expect(lead.locator("main .card")).to_have_count(1)


def test_the_connection_is_tested_and_the_outcome_shown_without_a_reload(lead: Page, venue: Venue) -> None:
    lead.goto(f"{venue.box.url}/lists")
    lead.get_by_role("button", name="Test the connection").click()
    expect(lead.locator("#sync-run")).to_contain_text("Synced", timeout=LIVE_MS)
    venue.stub.on("*", always(INVALID_KEY))
    lead.get_by_role("button", name="Test the connection").click()
    expect(lead.locator("#sync-run")).to_contain_text("Invalid key", timeout=LIVE_MS)
    expect(card(lead, "Main entrance")).to_contain_text("refused", timeout=LIVE_MS)
    venue.stub.off()
    lead.get_by_role("button", name="Test the connection").click()
    expect(card(lead, "Main entrance")).to_contain_text("online", timeout=LIVE_MS)


def test_a_paused_list_goes_on_scanning_and_is_synced_again_later(people: People, own_venue: Venue) -> None:
    page = people.staff(own_venue, Role.LEAD)
    page.goto(f"{own_venue.box.url}/lists")
    page.get_by_role("button", name="Pause the sync").click()
    expect(card(page, "Main entrance")).to_contain_text("paused")
    secret = next(own_venue.fresh_tickets())
    assert own_venue.scan(secret)["status"] == "ok"
    page.goto(own_venue.box.url)
    expect(page.locator("#part-banners")).to_contain_text("Sync is paused")
    expect(page.locator("#part-banners")).to_contain_text("Scanning goes on, 1 check-in waiting", timeout=LIVE_MS)
    assert not own_venue.stub.accepted(secret)

    page.goto(f"{own_venue.box.url}/lists")
    page.get_by_role("link", name="Remove").click()
    expect(page.locator("main")).to_contain_text("Not at the ticket server yet: 1 check-in.")
    page.get_by_role("link", name="No, go back").click()

    page.get_by_role("button", name="Sync again").click()
    expect(card(page, "Main entrance").locator(".facts")).to_contain_text(re.compile(r"Waiting\s*0"), timeout=LIVE_MS)
    assert own_venue.stub.accepted(secret)

    page.get_by_role("link", name="Remove").click()
    expect(page.locator("main")).to_contain_text("nobody is let in by it")
    page.get_by_role("button", name="Remove it").click()
    expect(page.get_by_role("status").first).to_contain_text("was removed")
    expect(page.locator("main")).to_contain_text("No lists yet")
    assert own_venue.box.get(own_venue.keys[GATE_A], "status/").status_code == 404
    assert len(own_venue.journal()) == 1


def test_a_list_that_cannot_be_synced_any_more_is_removed_and_where_its_check_ins_are_is_told(
    people: People, own_venue: Venue
) -> None:
    own_venue.stub.stop()
    assert own_venue.scan(next(own_venue.fresh_tickets()))["status"] == "ok"
    page = people.staff(own_venue, Role.LEAD)
    page.goto(f"{own_venue.box.url}/lists")
    page.get_by_role("link", name="Remove").click()
    page.get_by_role("button", name="Export and remove it").click()
    told = page.get_by_text(re.compile(r"Not sent, but written to /.*\.csv: 1 check-in\."))
    expect(told).to_be_visible()
    assert [row["state"] for row in own_venue.journal()] == ["dismissed"]


def test_the_box_tells_its_health_and_hands_over_a_backup(lead: Page, venue: Venue, tmp_path: Path) -> None:
    venue.scan(next(venue.fresh_tickets()))
    lead.goto(f"{venue.box.url}/box")
    for text in ("can be written", "GB free", "not told", "Running for", "Version"):
        expect(lead.locator(".health")).to_contain_text(text)
    with lead.expect_download() as download:
        lead.get_by_role("button", name="Download a backup").click()
    assert re.fullmatch(r"edgebox-\d{8}-\d{6}\.sqlite3", download.value.suggested_filename)
    copy = tmp_path / "copy.sqlite3"
    download.value.save_as(copy)
    with sqlite3.connect(copy) as connection:
        assert connection.execute("SELECT count(*) FROM checkin").fetchone()[0] >= 1
        assert connection.execute("SELECT count(*) FROM ticket").fetchone()[0] == 410
