"""The page Scan: a laptop with a scanner that types like a keyboard. No scan is ever lost, and none counts twice."""

from __future__ import annotations

import json
import re
from itertools import islice

import pytest
from playwright.sync_api import Page, expect

from edgebox.demo.event import NAMED_TICKETS
from tests.browser.scanner import type_codes
from tests.browser.venue import GATE_A, GATE_B, Venue
from tests.support.box import wait_until

WITHIN_MS = 30_000


def begin(page: Page, venue: Venue, device: str = GATE_A) -> None:
    """Make the page a device."""
    page.goto(f"{venue.box.url}/scan")
    page.fill("#key", venue.keys[device])
    page.get_by_role("button", name="Begin").click()
    expect(page.locator("#verdict")).to_contain_text("Ready")


def expect_verdict(page: Page, kind: str, *texts: str) -> None:
    verdict = page.locator("#verdict")
    expect(verdict).to_have_attribute("data-kind", kind, timeout=WITHIN_MS)
    for text in texts:
        expect(verdict).to_contain_text(text)


def recorded(venue: Venue) -> list[str]:
    """The journal's tickets, in order."""
    return [entry["secret"] for entry in venue.journal()]


@pytest.fixture
def scanning(gate: Page, venue: Venue) -> Page:
    """The page as a device, at the gate."""
    begin(gate, venue)
    return gate


def test_the_key_of_no_device_is_refused(gate: Page, venue: Venue) -> None:
    gate.goto(f"{venue.box.url}/scan")
    gate.fill("#key", "nobodys-key")
    gate.get_by_role("button", name="Begin").click()
    expect(gate.get_by_role("alert")).to_contain_text("No device has this key")


def test_the_page_becomes_a_device_by_its_printed_qr_code_too(gate: Page, venue: Venue) -> None:
    gate.goto(f"{venue.box.url}/scan")
    gate.fill("#key", json.dumps({"version": 3, "url": "http://192.0.2.1/", "key": venue.keys[GATE_B]}))
    gate.get_by_role("button", name="Begin").click()
    expect(gate.locator("main")).to_contain_text(GATE_B)


def test_twenty_codes_at_scanner_speed_are_each_recorded_once(scanning: Page, venue: Venue) -> None:
    secrets = list(islice(venue.fresh_tickets(), 20))
    before = len(recorded(venue))
    type_codes(scanning, *secrets)
    expect(scanning.locator("#waiting")).to_have_text(re.compile(r"\d+ waiting"))
    wait_until(lambda: scanning.evaluate("localStorage.length") == 0, 60, "all have been answered")
    assert recorded(venue)[before:] == secrets
    expect_verdict(scanning, "ok", "let in")
    expect(scanning.locator("#waiting")).to_be_empty()


def test_scans_while_the_box_is_away_are_kept_even_over_a_reload(scanning: Page, venue: Venue) -> None:
    secrets = list(islice(venue.fresh_tickets(), 6))
    type_codes(scanning, secrets[0])
    expect_verdict(scanning, "ok")
    venue.box.stop()
    type_codes(scanning, *secrets[1:4])
    expect_verdict(scanning, "away", "The box does not answer", "The scan is kept")
    type_codes(scanning, *secrets[4:])
    venue.box.start()
    scanning.reload()
    wait_until(lambda: scanning.evaluate("localStorage.length") == 0, 60, "all have been answered")
    assert recorded(venue)[-len(secrets) :] == secrets


def test_an_answer_that_was_lost_is_asked_for_again_and_counts_once(scanning: Page, venue: Venue) -> None:
    """The box has recorded the scan, and then the Wi-Fi is gone: asking again brings the same answer."""
    lost = 0

    def lose_the_first(route: object) -> None:
        nonlocal lost
        lost += 1
        if lost == 1:
            route.fetch()  # type: ignore[attr-defined]
            route.abort()  # type: ignore[attr-defined]
        else:
            route.continue_()  # type: ignore[attr-defined]

    scanning.route("**/scan/redeem", lose_the_first)
    secret = next(venue.fresh_tickets())
    type_codes(scanning, secret)
    expect_verdict(scanning, "ok", "let in")
    assert lost == 2
    assert recorded(venue).count(secret) == 1


def test_a_used_ticket_shows_when_and_where_it_was_used_first(scanning: Page, venue: Venue) -> None:
    secret = next(venue.fresh_tickets())
    venue.scan(secret, GATE_B)
    type_codes(scanning, secret)
    expect_verdict(scanning, "used", "used already", GATE_B)
    expect(scanning.locator("#verdict")).to_contain_text(
        re.compile(r"First used: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d CES?T")
    )
    type_codes(scanning, "no-such-ticket")
    expect_verdict(scanning, "no", "unknown ticket")
    expect(scanning.locator("#recent li").first).to_contain_text("unknown ticket")
    expect(scanning.locator("#recent li").nth(1)).to_contain_text("used already")


def test_name_item_and_attention_are_shown_and_a_name_stays_text(scanning: Page, venue: Venue) -> None:
    type_codes(scanning, NAMED_TICKETS["attention"])
    expect_verdict(scanning, "ok", "Ada Attention", "Ticket", "ATTENTION")
    type_codes(scanning, NAMED_TICKETS["html"])
    expect(scanning.locator("#verdict")).to_contain_text("<script>alert('Eve')</script> & <b>Mallory</b>")
    expect(scanning.locator("#verdict :is(script, b)")).to_have_count(0)


def test_questions_are_asked_in_the_page_and_their_answers_recorded(scanning: Page, venue: Venue) -> None:
    type_codes(scanning, NAMED_TICKETS["vip"])
    expect_verdict(scanning, "ask", "questions open", "Victoria Important")
    scanning.get_by_role("button", name="Check in").click()
    expect_verdict(scanning, "ask")  # the lunch is required
    scanning.get_by_label("Vegetarian").check()
    scanning.get_by_label("What shall stand on your badge?").fill("Vicky")
    scanning.get_by_role("button", name="Check in").click()
    expect_verdict(scanning, "ok", "Victoria Important")
    (entry,) = (entry for entry in venue.journal() if entry["secret"] == NAMED_TICKETS["vip"])
    assert entry["answers"] == {"1": "12", "2": "Vicky"}


def test_a_scan_in_the_middle_of_a_question_is_neither_its_answer_nor_lost(scanning: Page, venue: Venue) -> None:
    next_guests = list(islice(venue.fresh_tickets(), 3))
    type_codes(scanning, NAMED_TICKETS["questions"], *next_guests[:2])  # while these are typed, the question comes up
    expect_verdict(scanning, "ask", "Quentin Question")
    expect(scanning.locator("#waiting")).to_have_text("2 waiting")
    trainer = scanning.get_by_label("What should the trainer know?")
    expect(trainer).to_be_empty()
    trainer.fill("Left-handed")
    type_codes(scanning, next_guests[2])
    expect(scanning.locator("#waiting")).to_have_text("3 waiting")
    expect_verdict(scanning, "ask", "Quentin Question")
    expect(trainer).to_have_value("Left-handed")
    expect(scanning.locator("#code")).to_be_empty()
    scanning.get_by_label("With fish").check()
    scanning.get_by_role("button", name="Check in").click()
    wait_until(lambda: scanning.evaluate("localStorage.length") == 0, 30, "both have been answered")
    assert recorded(venue)[-4:] == [NAMED_TICKETS["questions"], *next_guests]


def test_an_unpaid_ticket_is_let_in_only_by_somebody_who_says_so(scanning: Page, venue: Venue) -> None:
    secret = NAMED_TICKETS["unpaid"]
    type_codes(scanning, secret)
    expect_verdict(scanning, "warn", "not paid", "Penny Pending")
    next_guest = next(venue.fresh_tickets())
    type_codes(scanning, next_guest)  # whose Enter presses nothing
    expect_verdict(scanning, "warn", "Penny Pending")
    scanning.keyboard.press("Enter")  # whoever does not look lets nobody in
    expect(scanning.locator("#recent li").last).to_contain_text("not let in · Penny Pending")
    wait_until(lambda: scanning.evaluate("localStorage.length") == 0, 30, "both have been answered")
    assert secret not in recorded(venue)
    assert next_guest in recorded(venue)

    type_codes(scanning, secret)
    scanning.get_by_role("button", name="Let in although not paid").click()
    expect_verdict(scanning, "ok", "Penny Pending")
    assert recorded(venue).count(secret) == 1


def test_a_revoked_device_is_told_so_and_lets_nobody_in(gate: Page, venue: Venue) -> None:
    venue.add_device("Stolen laptop")
    begin(gate, venue, "Stolen laptop")
    type_codes(gate, next(venue.fresh_tickets()))
    expect_verdict(gate, "ok")
    venue.call("devices.revoke", name="Stolen laptop")
    secret = next(venue.fresh_tickets())
    type_codes(gate, secret)
    expect_verdict(gate, "no", "Not a device any more")
    assert secret not in recorded(venue)
    gate.reload()
    expect(gate.get_by_label("Key of the device")).to_be_visible()


def test_who_was_logged_out_logs_in_again_and_the_scan_is_still_there(scanning: Page, venue: Venue) -> None:
    cookies = scanning.context.cookies()
    scanning.context.clear_cookies()
    secret = next(venue.fresh_tickets())
    type_codes(scanning, secret)
    expect_verdict(scanning, "away")
    scanning.context.add_cookies(cookies)  # type: ignore[arg-type]
    expect_verdict(scanning, "ok", "let in")
    assert recorded(venue)[-1:] == [secret]


def test_stopping_gives_the_key_back(scanning: Page, venue: Venue) -> None:
    scanning.get_by_role("button", name="Stop").click()
    expect(scanning.get_by_label("Key of the device")).to_be_visible()
