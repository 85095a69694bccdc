"""Orders become tickets as pretix means them at the door."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from edgebox.model import Catalog, Direction, Event, Item, TicketData, ToldCheckIn, ToldTicket, Variation
from edgebox.upstream.pretix.reading import read_order
from tests.support.pretix import order, position

CATALOG = Catalog(
    3,
    Event("Demo"),
    (
        Item(1, "Ticket", True),
        Item(5, "T-Shirt", False, (Variation(1, "Red"), Variation(2, "Blue"))),
        Item(6, "Workshop", True),
    ),
)
ADDRESS = {"name": "Ina Voice"}


def read(*positions: dict[str, Any], **told: Any) -> list[ToldTicket]:
    return list(read_order(order("AAAAA", *positions, **told), CATALOG).tickets)


def the_one(**told: Any) -> TicketData:
    """The ticket of an order with one position."""
    (ticket,) = read(position(1), **told)
    return ticket.data


def test_everything_about_a_ticket_is_read() -> None:
    (ticket,) = read(
        position(
            481, item=5, variation=2, attendee_name="Jürgen Müller", secret="n9xq/+=", subevent=4,
            valid_from="2026-11-24T10:00:00+01:00", valid_until="2026-11-25T10:00:00Z",
            seat={"id": 1, "name": "Row 1, Seat 2", "seat_guid": "1-2"}, blocked=["admin"],
            answers=[
                {"question": 4, "answer": "M, L", "options": [6, 5]},
                {"question": 2, "answer": "vegan", "options": []},
            ],
            checkins=[
                {"list": 3, "datetime": "2026-11-24T09:00:00+01:00", "type": "exit"},
                {"list": 1, "datetime": "2026-11-24T08:30:00.123456Z", "type": "entry"},
            ],
        ),
        checkin_attention=True, checkin_text="Ask for a card", testmode=True,
    )  # fmt: skip
    assert ticket == ToldTicket(
        TicketData(
            secret="n9xq/+=", order_code="AAAAA", item_id=5, variation_id=2, attendee_name="Jürgen Müller",
            attention=True, is_paid=True, checkin_allowed=True, addons_text="", position_id=481, number=1,
            subevent=4, is_blocked=True, valid_from=datetime(2026, 11, 24, 9, tzinfo=UTC),
            valid_until=datetime(2026, 11, 25, 10, tzinfo=UTC), is_test=True, seat="Row 1, Seat 2",
            checkin_text="Ask for a card", answers=((2, "vegan"), (4, "5,6")),
        ),
        (
            ToldCheckIn(1, datetime(2026, 11, 24, 8, 30, 0, 123456, tzinfo=UTC), Direction.ENTRY),
            ToldCheckIn(3, datetime(2026, 11, 24, 8, tzinfo=UTC), Direction.EXIT),
        ),
    )  # fmt: skip


def test_an_order_that_tells_the_same_is_the_same() -> None:
    one, other = (
        read(position(1, checkins=checkins))
        for checkins in (
            [{"list": 1, "datetime": "2026-11-24T08:00:00Z", "type": "entry"},
             {"list": 1, "datetime": "2026-11-24T09:00:00Z", "type": "exit"}],
            [{"list": 1, "datetime": "2026-11-24T10:00:00+01:00", "type": "exit"},
             {"list": 1, "datetime": "2026-11-24T09:00:00+01:00", "type": "entry"}],
        )
    )  # fmt: skip
    assert one == other


@pytest.mark.parametrize(
    ("status", "is_paid", "may_be_let_in", "is_closed"),
    [("p", True, True, False), ("n", False, False, False), ("e", False, False, True), ("c", False, False, True)],
)
def test_what_an_orders_status_means(status: str, is_paid: bool, may_be_let_in: bool, is_closed: bool) -> None:
    ticket = the_one(status=status)
    assert (ticket.is_paid, ticket.checkin_allowed, ticket.is_closed) == (is_paid, may_be_let_in, is_closed)


def test_only_a_pending_order_awaits_approval() -> None:
    assert the_one(status="n", require_approval=True).awaits_approval
    assert not the_one(status="p", require_approval=True).awaits_approval
    assert not the_one(status="n").awaits_approval


def test_a_pending_order_may_let_in_all_the_same() -> None:
    ticket = the_one(status="n", valid_if_pending=True)
    assert ticket.valid_if_pending
    assert not ticket.is_paid


def test_a_cancelled_position_is_told_as_such() -> None:
    first, second = read(position(1), position(2, canceled=True))
    assert (first.data.is_cancelled, second.data.is_cancelled) == (False, True)


def test_nobodys_ticket_is_named_like_pretix_names_it() -> None:
    named, addon, own, other = read(
        position(1, attendee_name="Ada"),
        position(2, attendee_name=None, addon_to=1),
        position(3, attendee_name="Bo", addon_to=1),
        position(4, attendee_name=""),
        invoice_address=ADDRESS,
    )
    names = [ticket.data.attendee_name for ticket in (named, addon, own, other)]
    assert names == ["Ada", "Ada", "Bo", "Ina Voice"]


def test_a_ticket_may_have_no_name_at_all() -> None:
    assert [t.data.attendee_name for t in read(position(1, attendee_name=None))] == [None]
    assert [t.data.attendee_name for t in read(position(1, attendee_name=None), invoice_address={"name": ""})] == [None]


def test_add_ons_stand_beside_the_ticket_that_they_belong_to() -> None:
    parent, *addons = read(
        position(1),
        position(2, item=6, addon_to=1),
        position(3, item=5, variation=1, addon_to=1),
        position(4, item=5, variation=2, addon_to=1, canceled=True),
        position(5, item=99, addon_to=1),
    )
    assert parent.data.addons_text == "Workshop, T-Shirt - Red, ?"
    assert {addon.data.addons_text for addon in addons} == {""}
    assert {addon.data.addon_to for addon in addons} == {1}


def test_the_fields_that_a_later_pretix_adds_do_not_matter() -> None:
    assert read(position(1, hologram=True), hologram={"a": 1}) == read(position(1))
