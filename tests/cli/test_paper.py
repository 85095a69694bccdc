"""`edgebox paper`: a list to print and tick by hand, complete, in an order in which people find each other."""

from __future__ import annotations

import html
import re

import pytest

from tests.cli.conftest import Desk, HostedBox
from tests.support.box import wait_until
from tests.support.event import PENDING
from tests.support.upstream import StubUpstream

ROW = re.compile(r"<tr>(<td.*?)</tr>")
CELL = re.compile(r"<td[^>]*>(.*?)</td>")


def rows(sheet: str) -> list[list[str]]:
    """The text of the cells: box, number, name, order, ticket, remarks."""
    found = [CELL.findall(row) for row in ROW.findall(sheet)]
    return [[html.unescape(re.sub(r"<[^>]+>", "", cell)) for cell in cells] for cells in found]


@pytest.fixture
def fair(desk: Desk, stub: StubUpstream) -> Desk:
    stub.include_pending = True
    stub.add_ticket("secret-of-zoe", attendee_name="Zoë Adams", order="AAAA9")
    stub.add_ticket("secret-of-lukasz", attendee_name="Łukasz Nowak", order="AAAA2", item_id=1, variation_id=1)
    stub.add_ticket("secret-of-lukas", attendee_name="lukas müller", order="AAAA5", order_status=PENDING)
    stub.add_ticket("secret-of-nobody", attendee_name=None, order="BBBB1")
    stub.add_ticket("secret-of-ben", attendee_name="Ben <b>Bold</b>", order="AAAA3", attention=True)
    stub.add_ticket("secret-of-ben2", attendee_name="Ben <b>Bold</b>", order="AAAA1")
    desk.add_list(stub)
    return desk


def test_it_is_sorted_by_name_order_and_item_as_people_look_for_each_other(fair: Desk) -> None:
    told = rows(fair.run("paper", "--list", "1"))
    assert [(number, name, order) for _, number, name, order, _, _ in told] == [
        ("1", "Ben <b>Bold</b>", "AAAA1"), ("2", "Ben <b>Bold</b>", "AAAA3"), ("3", "lukas müller", "AAAA5"),
        ("4", "Łukasz Nowak", "AAAA2"), ("5", "Zoë Adams", "AAAA9"), ("6", "no name", "BBBB1"),
    ]  # fmt: skip
    assert [row[4] for row in told[2:5]] == ["Ticket", "T-Shirt, Red", "Ticket"]


def test_what_the_door_has_to_know_stands_beside_it(fair: Desk) -> None:
    remarks = {row[3]: row[5] for row in rows(fair.run("paper", "--list", "1"))}
    assert remarks == {"AAAA1": "", "AAAA2": "", "AAAA3": "look closely", "AAAA5": "NOT PAID", "AAAA9": "", "BBBB1": ""}


def test_who_came_already_is_ticked(fair: Desk, hosted: HostedBox) -> None:
    key = fair.add_device()
    hosted.start()
    assert hosted.redeem(key, "secret-of-zoe").json()["status"] == "ok"
    ticked = {row[3] for row in rows(fair.run("paper", "--list", "1")) if row[0]}
    assert ticked == {"AAAA9"}


def test_it_stands_alone_and_says_what_to_do_with_it(fair: Desk) -> None:
    """It is kept for the moment in which nothing else works."""
    sheet = fair.run("paper", "--list", "1")
    assert "@page { size: A4" in sheet
    assert not re.search(r"""(?:src|href)\s*=|@import|url\(""", sheet)
    assert "check in everybody who was ticked by hand" in sheet
    assert re.search(r"As of \d{4}-\d\d-\d\d \d\d:\d\d UTC", sheet)


def test_no_code_stands_on_it(fair: Desk) -> None:
    """Paper gets lost: nobody can make a ticket of it."""
    assert "secret-of" not in fair.run("paper", "--list", "1")


def test_an_unknown_list_is_refused(fair: Desk) -> None:
    assert "there is no list 7" in fair.refused("paper", "--list", "7")
    fair.run("lists", "remove", "1")
    assert "there is no list 1" in fair.refused("paper", "--list", "1")


def test_a_large_list_streams(fair: Desk, stub: StubUpstream) -> None:
    stub.add_tickets(3000)
    fair.run("sync")
    wait_until(lambda: fair.lists()[0]["tickets"] == 3006, 20, "all are there")
    assert len(rows(fair.run("paper", "--list", "1"))) == 3006
