"""The page Find: a guest's ticket, its story, and what is done by hand."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from edgebox.demo.event import NAMED_TICKETS
from edgebox.store.staff import Role
from tests.browser.conftest import People
from tests.browser.venue import GATE_A, Venue
from tests.support.box import wait_until

ODD_NAME = "<script>alert('Eve')</script> & <b>Mallory</b>"


def open_ticket(page: Page, venue: Venue, query: str) -> None:
    """Search as staff do, and take the first that is found."""
    page.goto(f"{venue.box.url}/find")
    page.keyboard.type(query)
    page.keyboard.press("Enter")
    page.locator("#found a").first.click()
    expect(page.get_by_role("heading", name="History")).to_be_visible()


def test_accents_and_capitals_do_not_matter(gate: Page, venue: Venue) -> None:
    gate.goto(f"{venue.box.url}/find?query=LUKASZ+eleni")
    expect(gate.locator("#found a")).to_have_count(1)
    expect(gate.locator("#found")).to_contain_text("Łukasz Ελένη Дмитрий 李雷")
    gate.goto(f"{venue.box.url}/find?query=bjork")
    expect(gate.locator("#found")).to_contain_text("Bjo\u0308rk")


def test_orders_and_codes_are_found_and_nobody_is_said_plainly(gate: Page, venue: Venue) -> None:
    gate.goto(f"{venue.box.url}/find?query=abce6")
    expect(gate.locator("#found")).to_contain_text("Peter Higgs")
    gate.goto(f"{venue.box.url}/find?query={NAMED_TICKETS['vip'][:8]}")
    expect(gate.locator("#found")).to_contain_text("Victoria Important")
    gate.goto(f"{venue.box.url}/find?query=nobody-at-all")
    expect(gate.get_by_role("status")).to_contain_text("Nobody fits")
    gate.goto(f"{venue.box.url}/find?query=ab")
    expect(gate.locator("main")).to_contain_text("at least 3 characters")


def test_a_guest_is_checked_in_by_hand_and_the_scanners_know(gate: Page, venue: Venue) -> None:
    secret = NAMED_TICKETS["apostrophe"]
    open_ticket(gate, venue, "o'brien")
    expect(gate.locator("main")).to_contain_text("not in yet")
    gate.get_by_role("button", name="Check in", exact=True).click()
    expect(gate.get_by_role("status").first).to_have_text("Checked in.")
    expect(gate.locator(".story")).to_contain_text("Checked in by Maria")
    expect(gate.get_by_role("button", name="Check in", exact=True)).to_have_count(0)
    answer = venue.scan(secret)
    assert answer["reason"] == "already_redeemed"
    assert "Maria" in answer["message"]
    wait_until(lambda: venue.stub.accepted(secret), 15, "the ticket server is told")


def test_a_check_in_is_forced_with_a_reason_and_is_a_conflict(gate: Page, venue: Venue) -> None:
    secret = NAMED_TICKETS["already_in"]
    open_ticket(gate, venue, "already-inside")
    expect(gate.locator(".story")).to_contain_text("Used, as the ticket server tells; not when or where")
    expect(gate.get_by_role("button", name="Check in", exact=True)).to_have_count(0)
    gate.get_by_text("Force a check-in").click()
    gate.get_by_label("Why the check-in is forced").fill("Was sent out by mistake")
    gate.get_by_role("button", name="Force").click()
    story = gate.locator(".story")
    expect(story).to_contain_text("Checked in by Maria (forced)")
    expect(story).to_contain_text("Reason: Was sent out by mistake")
    expect(story).to_contain_text("The ticket had been used already")
    wait_until(lambda: [entry.forced for entry in venue.stub.accepted(secret)] == [True], 15, "it is told with force")


def test_a_reason_is_not_left_out(gate: Page, venue: Venue) -> None:
    open_ticket(gate, venue, "bluett")
    gate.get_by_text("Force a check-in").click()
    gate.get_by_role("button", name="Force").click()
    assert gate.evaluate("document.activeElement.name") == "reason"
    expect(gate.locator(".story")).to_contain_text("Nothing yet")
    gate.evaluate("document.querySelectorAll('[required]').forEach((each) => { each.required = false; })")
    gate.get_by_role("button", name="Force").click()
    expect(gate.get_by_role("alert")).to_contain_text("needs a reason")
    expect(gate.locator(".story")).to_contain_text("Nothing yet")


def test_a_note_is_kept_and_everybody_sees_it(people: People, gate: Page, venue: Venue) -> None:
    open_ticket(gate, venue, "redmond")
    gate.get_by_label("A note", exact=True).fill("Waits for <b>her</b> sister & mother")
    gate.get_by_role("button", name="Add the note").click()
    expect(gate.locator(".story")).to_contain_text("Note of Maria")
    lead = people.staff(venue, Role.LEAD)
    open_ticket(lead, venue, "redmond")
    expect(lead.locator(".story")).to_contain_text("Waits for <b>her</b> sister & mother")


def test_the_story_has_attempts_devices_times_and_pushes(gate: Page, venue: Venue) -> None:
    secret = next(venue.fresh_tickets())
    venue.scan(secret)
    venue.scan(secret, nonce="again")
    venue.scan(secret, nonce="again")
    wait_until(lambda: venue.stub.accepted(secret), 15, "the ticket server is told")
    story = gate.locator(".story")

    def is_complete() -> bool:
        gate.goto(f"{venue.box.url}/find?query={secret}")
        gate.locator("#found a").click()
        text = story.inner_text()
        return "2 times, last" in text and "Known to the ticket server since" in text

    # Refusals wait in memory for the next commit, two seconds at most.
    wait_until(is_complete, 15, "the refusals and the push are in the story")
    expect(story).to_contain_text("Checked in by Gate A")
    expect(story).to_contain_text("Refused at Gate A: used already")
    expect(story).to_contain_text(re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d CES?T"))
    expect(story).to_contain_text("To undo it, delete the check-in there")
    expect(story.get_by_role("button", name="Undo")).to_have_count(0)


def test_a_check_in_that_was_not_pushed_yet_is_undone_and_never_pushed(lead: Page, venue: Venue) -> None:
    secret = NAMED_TICKETS["fresh"]
    venue.stub.stop()
    venue.sync()
    venue.scan(secret)
    open_ticket(lead, venue, "fiona")
    expect(lead.locator("main")).to_contain_text("Waits for the ticket server")
    lead.get_by_label("Why the check-in is undone").fill("Wrong person")
    lead.get_by_role("button", name="Undo").click()
    expect(lead.get_by_role("status").first).to_contain_text("The check-in is undone")
    expect(lead.locator(".story")).to_contain_text("Undone by Maria")
    expect(lead.locator(".story")).to_contain_text("Reason: Wrong person")
    expect(lead.locator(".badge", has_text="not in yet")).to_be_visible()

    venue.stub.start()
    other = next(venue.fresh_tickets())
    venue.scan(other)
    venue.sync()
    assert venue.stub.accepted(other)
    assert not venue.stub.accepted(secret)
    assert venue.scan(secret, GATE_A)["status"] == "ok"


def test_a_check_in_of_a_paused_list_can_be_undone(lead: Page, venue: Venue) -> None:
    lead.goto(f"{venue.box.url}/lists")
    lead.get_by_role("button", name="Pause the sync").click()
    expect(lead.get_by_role("button", name="Sync again")).to_be_visible()
    open_ticket(lead, venue, "beate")
    lead.get_by_role("button", name="Check in", exact=True).click()
    lead.get_by_label("Why the check-in is undone").fill("Wrong person")
    lead.get_by_role("button", name="Undo").click()
    expect(lead.locator(".story")).to_contain_text("Undone by Maria")
    lead.goto(f"{venue.box.url}/lists")
    lead.get_by_role("button", name="Sync again").click()
    expect(lead.get_by_role("button", name="Pause the sync")).to_be_visible()


def test_a_name_with_html_in_it_stays_text_everywhere(people: People, lead: Page, venue: Venue) -> None:
    """The visitor's watch (see `People`) fails on any script that runs or is refused."""
    open_ticket(lead, venue, "mallory")
    expect(lead.get_by_role("heading", level=1)).to_have_text(ODD_NAME)
    assert ODD_NAME in lead.title()
    lead.get_by_text("Force a check-in").click()
    lead.get_by_label("Why the check-in is forced").fill("<img src=x onerror=alert(1)>")
    lead.get_by_role("button", name="Force").click()
    lead.get_by_text("Force a check-in").click()
    lead.get_by_label("Why the check-in is forced").fill("again")
    lead.get_by_role("button", name="Force").click()
    for path in ("find?query=mallory", "log", "attention", "log?show=deeds", "log?name=mallory"):
        lead.goto(f"{venue.box.url}/{path}")
        expect(lead.locator("main")).to_contain_text("onerror" if "deeds" in path else ODD_NAME)
        expect(lead.locator("main :is(script, img, b)")).to_have_count(0)


def test_names_that_staff_give_stay_text_too(lead: Page, venue: Venue) -> None:
    name = '"><script>alert(1)</script>'
    lead.goto(f"{venue.box.url}/devices")
    lead.fill("#name", name)
    lead.check("#app-pretixdroid")
    lead.get_by_role("button", name="Add").click()
    expect(lead.get_by_role("heading", level=1)).to_have_text(name)
    key = lead.locator("#key").text_content() or ""
    venue.keys[name] = key
    venue.scan(next(venue.fresh_tickets()), name)
    for path in ("devices", "log", "", f"lists/{venue.list_id}/sheet"):
        lead.goto(f"{venue.box.url}/{path}")
        expect(lead.locator("main script")).to_have_count(0)
    lead.goto(venue.box.url)
    lead.locator(".bar:visible").last.focus()
    expect(lead.locator("#chart-caption")).to_contain_text(name)
