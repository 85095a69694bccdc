"""Who left: on Now, on the ticket's page, where staff are needed, and in what is handed out."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable

import pytest

from edgebox.model import CheckInState, Direction, RedeemRequest
from edgebox.web import now as now_module
from tests.support.upstream import StubUpstream
from tests.web.conftest import Browser, House

ADA, BOB = "secret-of-ada", "secret-of-bob"
KEPT = "Recorded here only: the ticket server knows no exits."


@pytest.fixture(autouse=True)
def is_looked_at_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Now shows what was a second ago, for everybody; here it must not."""
    monkeypatch.setattr(now_module, "LOOK_EVERY_S", 0.0)
    monkeypatch.setattr(now_module, "REST_FACTOR", 0)


def leave(house: House, secret: str = ADA, *, is_forced: bool = False) -> None:
    house.let_pass(minutes=1)
    assert house.scan(secret, direction=Direction.EXIT, is_forced=is_forced).verdict.is_ok


def words(html: str) -> str:
    """What is to be read on a page."""
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def ticket_page(house: House, browser: Browser, secret: str = ADA) -> str:
    return words(browser.get(f"/tickets/{house.ticket_id(secret)}").text)


# --- Now --------------------------------------------------------------------------------------------------------------


def test_now_shows_who_is_inside_and_beside_it_who_entered_where_that_differs(house: House, gate: Browser) -> None:
    house.scan(ADA)
    house.scan(BOB)
    page = gate.get("/now/live").text
    assert "2 / 2 inside" in words(page)
    assert "entered" not in words(page)
    leave(house)
    page = gate.get("/now/live").text
    assert "1 / 2 inside 2 entered" in words(page)
    assert '<progress class="inside" value="1" max="2"' in page
    assert 'aria-label="1 of 2 inside"' in page


def test_so_does_the_table_by_item(house: House, gate: Browser) -> None:
    house.scan(ADA)
    leave(house)
    page = gate.get("/now/live").text
    assert re.search(
        r'<td class="text-end text-nowrap">0 / 2</td>\s*<td class="share"><progress value="0" max="2"', page
    )


def test_a_wall_shows_the_same(house: House, gate: Browser) -> None:
    house.scan(ADA)
    leave(house)
    assert "0 / 2 inside 1 entered" in words(gate.get("/now/live?wall").text)


def test_in_german_too(house: House, lead: Browser) -> None:
    lead.post("/language", language="de")
    house.scan(ADA)
    leave(house)
    assert re.search(r"0 / 2 \w+ 1 eingelassen", words(lead.get("/now/live").text))
    assert "ist gegangen" in ticket_page(house, lead)
    assert "Nur hier aufgezeichnet: der Ticketserver kennt keine Ausgänge." in ticket_page(house, lead)


# --- the ticket's page ------------------------------------------------------------------------------------------------


def test_the_story_says_that_nobody_else_knows(house: House, gate: Browser) -> None:
    house.scan(ADA)
    leave(house)
    page = ticket_page(house, gate)
    assert f"Checked out by Gate 1 {KEPT}" in page
    assert "Checked in by Gate 1 Waits for the ticket server." in page


def test_the_badge_says_where_the_guest_is(house: House, gate: Browser) -> None:
    assert "not in yet" in ticket_page(house, gate)
    house.scan(ADA)
    assert "has left" not in ticket_page(house, gate)
    leave(house)
    page = ticket_page(house, gate)
    assert "has left" in page
    assert "not in yet" not in page
    house.let_pass(minutes=1)
    house.scan(ADA, is_forced=True)
    assert "has left" not in ticket_page(house, gate)


def undo_forms(page: str) -> list[int]:
    return [int(number) for number in re.findall(r'action="/tickets/\d+/undo/(\d+)"', page)]


def test_an_exit_can_be_undone_also_when_its_entry_cannot(house: House, gate: Browser) -> None:
    house.scan(ADA)
    house.pull()
    leave(house)
    ticket_id = house.ticket_id(ADA)
    entry, exit_ = house.checkins()
    assert entry.state is CheckInState.SETTLED
    page = gate.get(f"/tickets/{ticket_id}").text
    assert undo_forms(page) == [exit_.id]
    assert page.count("To undo it, delete the check-in there") == 1, "of the entry"
    gate.post(f"/tickets/{ticket_id}/undo/{exit_.id}", reason="only looked out")
    assert [checkin.state for checkin in house.checkins()] == [CheckInState.SETTLED, CheckInState.CANCELLED]
    assert "1 / 2 inside" in words(gate.get("/now/live").text)
    page = gate.get(f"/tickets/{ticket_id}").text
    assert undo_forms(page) == []
    assert "Undone by" in page


# --- where staff are needed, and what is handed out -------------------------------------------------------------------


def test_a_flagged_exit_promises_no_push(house: House, lead: Browser, stub: StubUpstream) -> None:
    del stub.tickets[ADA]
    house.pull()
    leave(house, is_forced=True)
    page = words(lead.get("/attention").text)
    assert "The ticket had been cancelled or refunded." in page
    assert "It is recorded here only. There is nothing to do but to know it." in page
    assert "will be sent" not in page
    lead.post(f"/attention/{house.checkins()[-1].id}/dismiss", reason="so be it")
    assert "Nothing needs attention" in words(lead.get("/attention").text)


@pytest.fixture
def file_ticket(house: House, stub: StubUpstream) -> Callable[[Direction], int]:
    """Ada's ticket on a list from a file: let pass, forced; the id of its page."""
    list_ = house.box.add_saved({"status": stub.status(), "download": stub.download()}, "a file", separate=True)
    device = house.box.scanners.add_pretixscan("Phone", [list_.id])

    def passes(direction: Direction) -> int:
        house.let_pass(minutes=1)
        house.box.redeem(device, list_, RedeemRequest(ADA, direction=direction, is_forced=True))
        found = house.box.store.tickets.find(house.box.get_list(list_.id), ADA)
        assert found is not None
        return found.ticket.id

    return passes


def test_on_a_list_from_a_file_there_is_no_server_to_speak_of(
    house: House, lead: Browser, file_ticket: Callable[[Direction], int]
) -> None:
    for direction in (Direction.ENTRY, Direction.EXIT, Direction.ENTRY):
        ticket_id = file_ticket(direction)
    page = words(lead.get(f"/tickets/{ticket_id}").text)
    assert "Checked out by Phone" in page
    assert "ticket server knows" not in page
    attention = words(lead.get("/attention").text)
    assert "The ticket had been used already." in attention
    assert "It is recorded here only." in attention
    assert "The ticket server knows of it" not in attention
    assert "will be sent" not in attention


def test_the_journal_and_the_log_that_are_handed_out_say_which_way_and_that_it_is_kept(
    house: House, lead: Browser
) -> None:
    house.scan(ADA)
    leave(house)

    def rows(name: str) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(lead.get(name).text.removeprefix("\ufeff"))))

    assert [(row["direction"], row["state"], row["settled"]) for row in rows("/journal.csv")] == [
        ("entry", "pending", "False"), ("exit", "kept", "False"),
    ]  # fmt: skip
    assert [(row["direction"], row["verdict"]) for row in rows("/log.csv")] == [("entry", "ok"), ("exit", "ok")]
