"""The page Log: attempts, syncs and what staff did; looked at, filtered, and taken along as CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Page, expect

from edgebox.demo.event import NAMED_TICKETS
from edgebox.store import open_for_reading
from edgebox.store.log import entries
from tests.browser.venue import GATE_A, GATE_B, Venue, new_venue
from tests.support.box import wait_until


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    """This file's own."""
    with new_venue(tmp_path_factory.mktemp("venue")) as venue:
        yield venue


@pytest.fixture(scope="module", autouse=True)
def an_hour_at_the_gates(venue: Venue) -> None:
    """Guests that come in, come again, and one whom nobody knows."""
    for number, secret in enumerate(venue.fresh_tickets()):
        if number == 60:
            break
        venue.scan(secret, (GATE_A, GATE_B)[number % 2])
    for _again in range(2):
        venue.scan(NAMED_TICKETS["peter_higgs"])
    venue.scan("nobody-knows-this", GATE_B)
    # Refusals wait in memory for the next commit, two seconds at most.
    wait_until(lambda: "nobody-knows-this" in attempts(venue), 20, "the refusals are in the log")


def attempts(venue: Venue) -> list[str]:
    connection = open_for_reading(venue.box.data_dir)
    try:
        return [entry.secret for entry in entries(connection)]
    finally:
        connection.close()


def rows(page: Page) -> list[str]:
    return page.locator("#entries tbody tr").all_inner_texts()


def read_csv(page: Page, link: str) -> list[dict[str, str]]:
    """What the link downloads."""
    with page.expect_download() as download:
        page.get_by_role("link", name=link).click()
    path = download.value.path()
    return list(csv.DictReader(Path(path).read_text("utf-8-sig").splitlines()))


def test_the_newest_come_first_and_older_ones_on_the_next_page(lead: Page, venue: Venue) -> None:
    lead.goto(f"{venue.box.url}/log")
    first = rows(lead)
    assert len(first) == 50
    assert any("unknown ticket" in row for row in first[:3])
    lead.get_by_role("link", name="Older").click()
    expect(lead.get_by_role("link", name="Newer")).to_be_visible()
    second = rows(lead)
    assert 13 <= len(second) <= 20
    assert not set(first) & set(second)


def test_the_filters_and_their_csv_show_the_same(lead: Page, venue: Venue) -> None:
    lead.goto(f"{venue.box.url}/log")
    lead.get_by_label("Name").fill("HIGGS")
    lead.get_by_role("button", name="Show").click()
    expect(lead.locator("#entries tbody tr")).to_have_count(2)
    assert "used already" in rows(lead)[0]
    assert "let in" in rows(lead)[1]
    told = read_csv(lead, "These attempts as CSV")
    assert [row["verdict"] for row in told] == ["ok", "already_redeemed"]
    assert {row["name"] for row in told} == {"Peter Higgs"}

    lead.goto(f"{venue.box.url}/log")
    lead.get_by_label("Device").select_option(GATE_B)
    lead.get_by_role("button", name="Show").click()
    expect(lead.get_by_label("Device")).to_have_value(GATE_B)
    assert rows(lead)
    assert all(GATE_B in row for row in rows(lead))

    lead.goto(f"{venue.box.url}/log")
    lead.get_by_label("Code").fill("nobody-knows-this")
    lead.get_by_role("button", name="Show").click()
    expect(lead.locator("#entries tbody tr")).to_have_count(1)
    expect(lead.locator("#entries")).not_to_contain_text("nobody-knows-this")  # a code is not for eyes at the desk


def test_since_is_in_the_events_time_zone(lead: Page, venue: Venue) -> None:
    here = datetime.now(UTC).astimezone(ZoneInfo("Europe/Berlin"))
    for since, expected in ((here - timedelta(minutes=30), 50), (here + timedelta(minutes=30), 1)):
        lead.goto(f"{venue.box.url}/log")
        lead.get_by_label("Since").fill(f"{since:%Y-%m-%dT%H:%M}")
        lead.get_by_role("button", name="Show").click()
        expect(lead.locator("#entries tbody tr")).to_have_count(expected)
    expect(lead.locator("#entries")).to_contain_text("Nothing fits")


def test_the_journal_is_taken_along_whole(lead: Page, venue: Venue) -> None:
    lead.goto(f"{venue.box.url}/log")
    told = read_csv(lead, "All check-ins as CSV")
    assert len(told) == 61
    assert {row["device"] for row in told} == {GATE_A, GATE_B}


def test_syncs_and_what_staff_did_are_told(lead: Page, venue: Venue) -> None:
    lead.get_by_role("button", name="Sync now").click()
    lead.goto(f"{venue.box.url}/log")
    lead.get_by_role("link", name="What staff did").click()
    expect(lead.locator("#entries")).to_contain_text("Maria (lead)")
    expect(lead.locator("#entries")).to_contain_text("synced")
    lead.get_by_role("link", name="Syncs").click()
    expect(lead.locator("#entries")).to_contain_text("410 tickets")


@pytest.mark.parametrize(
    "query", ["list=99999999999999999999", "page=-3", "page=999999999", "since=0001-01-01T00:00", "show=nothing"]
)
def test_an_odd_address_is_no_fault(lead: Page, venue: Venue, query: str) -> None:
    assert lead.request.get(f"{venue.box.url}/log?{query}").status == 200
