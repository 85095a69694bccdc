"""On a list with `addon_match` a ticket's secret stands for its add-on."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from edgebox.model import ListTerms, Ticket, TicketData
from edgebox.rules import ticket_meant

NOW = datetime(2026, 11, 24, 20, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
WORKSHOPS = ListTerms(item_ids=frozenset({6, 7}), addon_match=True)


def a_ticket(number: int, item_id: int, *, is_withdrawn: bool = False, **told: Any) -> Ticket:
    data = TicketData(f"s{number}", "CODE", item_id, None, None, False, True, False, "", position_id=number)
    return Ticket(number, 1, replace(data, **told), is_withdrawn, told=1)


BASE = a_ticket(1, 1)
ONE = a_ticket(2, 6, addon_to=1)
OTHER = a_ticket(3, 7, addon_to=1)


def test_the_one_addon_on_the_list_is_meant() -> None:
    assert ticket_meant([BASE, ONE], WORKSHOPS, NOW) == (ONE, False)
    assert ticket_meant([BASE, ONE, a_ticket(4, 5, addon_to=1)], WORKSHOPS, NOW) == (ONE, False)


def test_of_several_on_the_list_it_is_ambiguous_which() -> None:
    assert ticket_meant([BASE, ONE, OTHER], WORKSHOPS, NOW) == (BASE, True)
    assert ticket_meant([BASE, ONE], ListTerms(addon_match=True), NOW) == (BASE, True)


def test_who_has_no_addon_means_the_ticket_itself() -> None:
    assert ticket_meant([BASE], WORKSHOPS, NOW) == (BASE, False)
    assert ticket_meant([ONE], WORKSHOPS, NOW) == (ONE, False)


def test_none_on_the_list_means_the_ticket_itself() -> None:
    assert ticket_meant([BASE, ONE], replace(WORKSHOPS, item_ids=frozenset({9})), NOW) == (BASE, False)


def test_cancelled_addons_those_of_other_dates_and_those_that_are_gone_do_not_count() -> None:
    for gone in (
        a_ticket(3, 7, addon_to=1, is_cancelled=True),
        a_ticket(3, 7, addon_to=1, is_withdrawn=True),
        a_ticket(3, 7, addon_to=1, subevent=2),
    ):
        terms = replace(WORKSHOPS, subevent=1)
        base, one = a_ticket(1, 1, subevent=1), a_ticket(2, 6, addon_to=1, subevent=1)
        gone = gone if gone.data.subevent else replace(gone, data=replace(gone.data, subevent=1))
        assert ticket_meant([base, one, gone], terms, NOW) == (one, False)


def test_a_ticket_that_is_gone_with_all_of_its_addons_is_still_the_one_that_was_scanned() -> None:
    gone = a_ticket(1, 1, is_withdrawn=True)
    assert ticket_meant([gone, a_ticket(2, 6, is_withdrawn=True)], WORKSHOPS, NOW) == (gone, False)


def test_validity_tells_them_apart() -> None:
    over = replace(ONE, data=replace(ONE.data, valid_until=NOW))
    begun = replace(OTHER, data=replace(OTHER.data, valid_from=NOW))
    assert ticket_meant([BASE, over, begun], WORKSHOPS, NOW) == (begun, False)


def test_where_none_is_valid_it_is_the_next_or_else_the_last_that_was() -> None:
    def valid(ticket: Ticket, begin: int, end: int) -> Ticket:
        return replace(ticket, data=replace(ticket.data, valid_from=NOW + begin * HOUR, valid_until=NOW + end * HOUR))

    assert ticket_meant([BASE, valid(ONE, 5, 6), valid(OTHER, 2, 9)], WORKSHOPS, NOW)[0].id == 3
    assert ticket_meant([BASE, valid(ONE, -5, -4), valid(OTHER, 2, 9)], WORKSHOPS, NOW)[0].id == 3
    assert ticket_meant([BASE, valid(ONE, -5, -1), valid(OTHER, -9, -2)], WORKSHOPS, NOW)[0].id == 2
