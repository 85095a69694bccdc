"""The page Needs attention: conflicts, parked check-ins, and pulls that wait."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from playwright.sync_api import Locator, Page, expect

from edgebox.demo.event import NAMED_TICKETS
from tests.browser.venue import GATE_A, GATE_B, Venue, new_venue
from tests.support.box import wait_until
from tests.support.event import StubTicket
from tests.support.upstream import always, json_answer


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    """This file's own."""
    with new_venue(tmp_path_factory.mktemp("venue")) as venue:
        yield venue


def case_of(page: Page, venue: Venue, guest: str) -> Locator:
    """The guest's card, once there is one."""
    card = page.locator("section.card").filter(has_text=guest)

    def is_there() -> bool:
        page.goto(f"{venue.box.url}/attention")
        return card.count() > 0

    wait_until(is_there, 20, f"{guest} needs attention")
    return card


def test_a_double_entry_is_told_in_plain_words_and_dismissed_with_a_reason(lead: Page, venue: Venue) -> None:
    secret = NAMED_TICKETS["peter_higgs"]
    venue.scan(secret)
    late = (datetime.now(UTC) - timedelta(minutes=20)).isoformat()
    assert venue.scan(secret, GATE_B, force=True, nonce="late", datetime=late)["status"] == "ok"
    card = case_of(lead, venue, "Peter Higgs")
    expect(card).to_contain_text("The ticket had been used already.")
    expect(card).to_contain_text("Gate B")
    expect(card).to_contain_text("First used:")
    expect(card).to_contain_text("Gate A")
    expect(lead.locator("nav .badge").first).to_have_text("1")

    card.get_by_role("button", name="Dismiss").click()
    expect(card).to_be_visible()  # a reason is asked for
    card.get_by_label("Why it needs no attention").fill("Twins, both have tickets")
    card.get_by_role("button", name="Dismiss").click()
    expect(card).to_have_count(0)
    expect(lead.locator("main")).to_contain_text("Nothing needs attention")
    (entry,) = (entry for entry in venue.journal() if entry["nonce"] == "late")
    assert entry["closed_reason"] == "Maria: Twins, both have tickets"


def test_a_parked_check_in_is_retried_and_another_one_dismissed(lead: Page, venue: Venue) -> None:
    refused = json_answer({"version": 3, "status": "error", "reason": "product"})
    first, second = NAMED_TICKETS["buyer_name"], NAMED_TICKETS["fresh"]
    venue.stub.on("redeem", always(refused, first))
    venue.stub.on("redeem", always(refused, second))
    venue.scan(first)
    venue.scan(second)
    card = case_of(lead, venue, "Beate Buyer")
    expect(card).to_contain_text("The ticket server refuses this check-in")
    expect(card).to_contain_text("this kind of ticket is not on this list")
    expect(card).to_contain_text("The guest counts as inside")

    venue.stub.off()
    card.get_by_role("button", name="Retry").click()
    expect(lead.get_by_role("status").first).to_contain_text("It will be sent again")
    wait_until(lambda: venue.stub.accepted(first), 20, "the retried one arrives")

    card = case_of(lead, venue, "Fiona Fresh")
    card.get_by_label("Why it needs no attention").fill("Not ours")
    card.get_by_role("button", name="Dismiss").click()
    expect(card).to_have_count(0)
    lead.goto(f"{venue.box.url}/find?query=fiona")
    lead.locator("#found a").click()
    expect(lead.locator(".story")).to_contain_text("Not sent: staff dismissed it")
    assert not venue.stub.accepted(second)


def forget_tickets(venue: Venue) -> list[StubTicket]:
    """The ticket server loses so many of them that the box does not believe it."""
    gone = [venue.stub.tickets[secret] for secret in islice(venue.fresh_tickets(), 60)]
    for ticket in gone:
        del venue.stub.tickets[ticket.secret]
    venue.sync()
    return gone


def test_what_a_pull_would_take_away_is_looked_at_and_accepted(lead: Page, venue: Venue) -> None:
    gone = forget_tickets(venue)
    expect(lead.locator("#part-banners")).to_contain_text("A pull waits for staff")
    expect(lead.locator("#part-banners")).to_contain_text(f"It would take away {len(gone)} tickets")
    lead.goto(f"{venue.box.url}/attention")
    lead.get_by_text("Show them").click()
    expect(lead.locator(".held li")).to_have_count(len(gone))
    expect(lead.locator(".held")).to_contain_text(gone[0].order)

    lead.get_by_role("link", name="Accept: the ticket server is right").click()
    expect(lead.locator("main")).to_contain_text(f"{len(gone)} tickets will be refused at the doors")
    assert venue.box.search(venue.keys[GATE_A], gone[0].secret)  # nothing was taken away yet
    lead.get_by_role("button", name="Accept").click()
    expect(lead.get_by_role("status").first).to_contain_text(f"Taken away: {len(gone)} tickets")
    expect(lead.locator("main")).to_contain_text("Nothing needs attention")
    assert "cancelled or refunded" in venue.scan(gone[0].secret)["message"]


def test_what_a_pull_would_take_away_is_rejected_and_stays(lead: Page, venue: Venue) -> None:
    gone = forget_tickets(venue)
    lead.goto(f"{venue.box.url}/attention")
    lead.get_by_role("button", name="Reject: keep them").click()
    expect(lead.get_by_role("status").first).to_contain_text("Kept: 60 tickets")
    assert venue.scan(gone[0].secret)["status"] == "ok"
