"""The pages in English and German."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from edgebox.demo.event import NAMED_TICKETS
from edgebox.store.staff import Role
from tests.browser.conftest import People
from tests.browser.venue import GATE_A, Venue


def test_the_browsers_language_is_spoken_and_another_one_can_be_chosen(people: People, venue: Venue) -> None:
    page = people.staff(venue, Role.LEAD, locale="de-DE")
    expect(page.locator("html")).to_have_attribute("lang", "de")
    expect(page.locator("#part-banners")).to_contain_text("Ticketserver")
    expect(page.get_by_role("button", name="Jetzt abgleichen")).to_be_visible()
    page.goto(f"{venue.box.url}/find?query=higgs")
    page.get_by_role("button", name="English").click()
    expect(page).to_have_url(re.compile(r"/find\?query=higgs$"))
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.goto(venue.box.url)
    expect(page.get_by_role("button", name="Sync now")).to_be_visible()
    page.get_by_role("button", name="Deutsch").click()
    expect(page.get_by_role("button", name="Jetzt abgleichen")).to_be_visible()


def test_a_language_that_is_not_there_is_english(people: People, venue: Venue) -> None:
    page = people.staff(venue, Role.LEAD, locale="fr-FR")
    expect(page.locator("html")).to_have_attribute("lang", "en")


def test_verdicts_and_stories_are_told_in_german(people: People, venue: Venue) -> None:
    secret = next(venue.fresh_tickets())
    venue.scan(secret)
    page = people.staff(venue, Role.GATE, locale="de-DE")
    page.goto(f"{venue.box.url}/scan")
    page.fill("#key", venue.keys[GATE_A])
    page.locator("main .btn-primary").click()
    expect(page.locator("#verdict")).to_contain_text("Bereit")
    for code, word in ((secret, "Zuerst"), (NAMED_TICKETS["fresh"], "Fiona"), ("no-such-ticket", "unbekannt")):
        page.fill("#code", code)
        page.press("#code", "Enter")
        expect(page.locator("#verdict")).to_contain_text(word)
