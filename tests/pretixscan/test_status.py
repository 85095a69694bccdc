"""Statistics: the numbers of the other dialect, and who is inside."""

from __future__ import annotations

from typing import Any

from edgebox.model import CheckInList
from tests.pretixscan.gate import Gate, a_ticket, sell
from tests.support.event import PENDING
from tests.support.pretix import PretixStub, check_in_list
from tests.support.pretixscan import App, ItemStatus, Status
from tests.support.upstream import StubUpstream


def told_by_the_other(gate: Gate, list_: CheckInList) -> Any:
    """What a scanner with the pretixdroid app is told of the same list."""
    device = gate.box.scanners.add(f"Old app {list_.id}", list_.id)
    path = f"pretixdroid/api/{list_.organizer}/{list_.event}/status/"
    return gate.ask("GET", f"{path}?key={device.key}").json()


def numbers_of(item: ItemStatus) -> Any:
    variations = [
        {"id": each.id, "name": each.name, "total": each.total, "checkins": each.checkins} for each in item.variations
    ]
    head = {"id": item.id, "name": item.name, "total": item.total, "checkins": item.checkins}
    return {**head, "admission": item.is_admission, "variations": variations}


def assert_same(status: Status, other: Any) -> None:
    """All numbers are equal. The app is spared what there are no tickets of."""
    assert (status.total_tickets, status.already_scanned) == (other["total"], other["checkins"])
    expected = [
        {**item, "variations": [each for each in item["variations"] if each["total"]]}
        for item in other["items"]
        if item["total"]
    ]
    assert [numbers_of(item) for item in status.items] == expected
    assert len(expected) > 1


def of(app: App, slug: str = "democon") -> Status:
    return app.status()[slug]


def test_the_old_dialects_lists_have_the_numbers_of_its_own_status(gate: Gate, stub: StubUpstream) -> None:
    stub.include_pending = True
    stub.add_tickets(3, "t")
    stub.add_ticket("pending", order_status=PENDING)
    for variation in (1, 1, 2):
        stub.add_ticket(f"shirt{len(stub.tickets)}", item_id=1, variation_id=variation)
    stub.redeem({"secret": "t000000"})
    list_ = gate.add_old(stub)
    app = gate.phone(list_)
    for secret in ("t000001", "shirt4", "t000001"):
        app.check(secret)
    gate.sync()
    status = of(app)
    assert (status.event_name, status.total_tickets, status.already_scanned) == ("Demo Conference - Default", 7, 3)
    assert_same(status, told_by_the_other(gate, list_))
    assert_same(status, stub.status())


def test_todays_lists_have_the_same_numbers_in_both_dialects(gate: Gate, pretix: PretixStub) -> None:
    pretix.items[0]["variations"] = [{"id": 11, "value": {"en": "Red"}}, {"id": 12, "value": {"en": "Blue"}}]
    pretix.items.append({**pretix.items[0], "id": 2, "admission": False, "variations": []})
    pretix.lists = [check_in_list(1, "Main"), check_in_list(2, "Red", all_products=False, limit_products=[2])]
    for code, told in (("ADA", {"variation": 11}), ("BOB", {"variation": 12}), ("CEM", {"item": 2})):
        sell(pretix, code, a_ticket(code.lower(), **told))
    sell(pretix, "DAN", status="n")
    main, other = gate.add_current(pretix, 1, 2)
    app = gate.phone(main)
    for secret in ("ada", "cem"):
        assert app.check(secret).type == "VALID"
    assert_same(of(app), told_by_the_other(gate, main))
    assert (of(app).total_tickets, of(app).already_scanned) == (3, 2)
    assert [(item.id, item.is_admission) for item in of(app).items] == [(1, True), (2, False)]
    side = of(gate.phone(other, name="Gate 2"))
    assert (side.total_tickets, side.already_scanned) == (1, 0), "each list counts by itself"


def test_an_old_server_that_tells_no_ids_is_counted_by_names(gate: Gate, stub: StubUpstream) -> None:
    stub.version = 2
    stub.add_ticket("t1")
    stub.add_ticket("t2", item_id=1, variation_id=1)
    list_ = gate.add_old(stub)
    assert_same(of(gate.phone(list_)), told_by_the_other(gate, list_))


def test_inside_are_those_who_entered_and_did_not_leave(gate: Gate, pretix: PretixStub) -> None:
    for code in ("ADA", "BOB", "CEM"):
        sell(pretix, code)
    app = gate.phone(*gate.add_current(pretix))
    seen = []
    for secret, way in (("ada", "ENTRY"), ("bob", "ENTRY"), ("ada", "EXIT"), ("cem", "EXIT"), ("ada", "ENTRY")):
        gate.let_pass(1)
        assert app.check(secret, way).type == "VALID"
        status = of(app)
        seen.append((status.already_scanned, status.currently_inside))
    assert seen == [(1, 1), (2, 2), (2, 1), (2, 1), (2, 2)]


def test_each_event_of_a_phone_has_its_own(gate: Gate, pretix: PretixStub, stub: StubUpstream) -> None:
    stub.event, stub.list_name = "sidecon", "Side door"
    stub.add_tickets(3, "t")
    sell(pretix, "ADA")
    app = gate.phone(*gate.add_current(pretix), gate.add_old(stub))
    app.check("t000000")
    told = {slug: (each.event_name, each.already_scanned, each.total_tickets) for slug, each in app.status().items()}
    assert told == {"democon": ("DemoCon - Default", 0, 1), "sidecon": ("Demo Conference - Side door", 1, 3)}


def test_a_phone_with_limits_gets_the_whole_lists_numbers(gate: Gate, stub: StubUpstream) -> None:
    stub.add_ticket("shirt", item_id=1)
    stub.add_ticket("ticket")
    list_ = gate.add_old(stub)
    limited = gate.phone(list_, item_ids=frozenset({1}), allow_search=False)
    assert of(limited) == of(gate.phone(list_, name="Gate 2"))
    assert of(limited).total_tickets == 2
