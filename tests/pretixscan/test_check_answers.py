"""What the app shows of a ticket: what the door needs to see, when and where it was used, and what is not paid."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from edgebox.model import CheckInList
from tests.pretixscan.gate import NOW, Gate, a_ticket, sell
from tests.support.event import PENDING, StubEvent
from tests.support.pretix import PretixStub, check_in_list
from tests.support.pretixscan import App, Result
from tests.support.pretixscan.schemas import validate_whole
from tests.support.upstream import StubUpstream

# --- what the door is to see ------------------------------------------------------------------------------------------


@pytest.fixture
def dressed(pretix: PretixStub) -> PretixStub:
    """A product that has something to say, with a variation that has, too."""
    red: dict[str, Any] = {"id": 11, "value": {"en": "Red", "de": "Rot"}, "checkin_text": "Red wristband"}
    blue: dict[str, Any] = {"id": 12, "value": {"en": "Blue", "de": "Blau"}, "checkin_attention": True}
    pretix.items[0] |= {"checkin_text": "Look at the ID", "variations": [red, blue]}
    pretix.items.append({**pretix.items[0], "id": 2, "checkin_attention": True, "checkin_text": None, "variations": []})
    return pretix


def test_texts_stand_in_order_from_the_order_to_the_product(gate: Gate, dressed: PretixStub) -> None:
    sell(dressed, "ALL", a_ticket("all", variation=11), checkin_text="VIP")
    sell(dressed, "SOME", a_ticket("some", variation=12))
    sell(dressed, "NONE", a_ticket("none", item=2))
    app = gate.phone(*gate.add_current(dressed))
    assert app.check("all").checkin_texts == ("VIP", "Red wristband", "Look at the ID")
    assert app.check("some").checkin_texts == ("Look at the ID",)
    assert app.check("none").checkin_texts == ()
    assert app.check("all").checkin_texts == ("VIP", "Red wristband", "Look at the ID"), "also when it is refused"


def test_attention_is_asked_for_by_order_product_or_variation(gate: Gate, dressed: PretixStub) -> None:
    sell(dressed, "CALM", a_ticket("calm", variation=11))
    sell(dressed, "ORDER", checkin_attention=True)
    sell(dressed, "PRODUCT", a_ticket("product", item=2))
    sell(dressed, "VARIATION", a_ticket("variation", variation=12))
    app = gate.phone(*gate.add_current(dressed))
    asks = [app.check(each).is_attention_required for each in ("calm", "order", "product", "variation")]
    assert asks == [False, True, True, True]
    assert app.check("order").is_attention_required


def test_names_seat_and_add_ons_come_along_in_the_events_language(gate: Gate, dressed: PretixStub) -> None:
    dressed.locale = "de"
    whole = a_ticket("whole", variation=12, seat={"name": "Row 3, seat 7"}, attendee_name="Łukasz 李雷")
    sell(dressed, "WHOLE", whole, a_ticket("extra", item=2, addon_to=whole["id"], positionid=2))
    app = gate.phone(*gate.add_current(dressed))
    result = app.check("whole")
    assert (result.ticket, result.variation, result.attendee_name) == ("Karte", "Blau", "Łukasz 李雷")
    assert (result.seat, result.addon_text, result.order_code) == ("Row 3, seat 7", "Karte", "WHOLE")
    assert (result.event_slug, result.scan_type, result.is_offline) == ("democon", "ENTRY", False)
    extra = app.check("extra")
    assert (extra.variation, extra.seat, extra.addon_text) == (None, None, None)
    assert (result.position_id, extra.position_id) == (1, 2)


def test_what_the_old_dialect_tells_comes_along_as_well(gate: Gate) -> None:
    event = StubEvent()
    event.add_ticket("full", item_id=1, variation_id=2, attention=True, addons_text="Workshop", order="FULL1")
    event.add_ticket("plain", attendee_name=None)
    app = gate.phone(gate.add_saved(event))
    full, plain = app.check("full"), app.check("plain")
    assert (full.ticket, full.variation, full.attendee_name) == ("T-Shirt", "Blue", "Ada Lovelace")
    assert (full.is_attention_required, full.addon_text, full.order_code) == (True, "Workshop", "FULL1")
    assert (plain.ticket, plain.variation, plain.attendee_name, plain.addon_text) == ("Ticket", None, None, None)
    assert (plain.is_attention_required, plain.checkin_texts, plain.shown_answers) == (False, (), ())


def test_nothing_is_made_up_for_a_badge(gate: Gate) -> None:
    event = StubEvent()
    event.add_ticket("abc")
    list_ = gate.add_saved(event)
    app = App.ready(gate.add_device("Gate 1", list_), {"democon": list_.id}, hook=validate_whole, prints_badges=True)
    assert (app.check("abc").type, app.check("abc").position) == ("VALID", None)


# --- used already -----------------------------------------------------------------------------------------------------


def used(app: App, secret: str = "abc") -> Result:
    result = app.check(secret)
    assert (result.type, result.is_checkin_allowed, result.message) == ("USED", False, None)
    return result


@pytest.fixture
def main(gate: Gate) -> CheckInList:
    event = StubEvent()
    event.timezone = "Europe/Berlin"
    event.add_ticket("abc")
    return gate.add_saved(event)


def test_a_ticket_used_a_moment_ago_says_how_long_ago_and_at_which_device(gate: Gate, main: CheckInList) -> None:
    here, there = gate.phone(main), gate.phone(main, name="Gate 2")
    assert here.check("abc").type == "VALID"
    gate.let_pass(35)
    for phone, words in ((here, "First used 35 s ago at this device."), (there, "First used 35 s ago at Gate 1.")):
        result = used(phone)
        assert (result.first_scanned, result.reason_explanation) == (NOW, words)


def test_later_on_it_says_when_in_the_events_zone(gate: Gate, main: CheckInList) -> None:
    here, there = gate.phone(main), gate.phone(main, name="Gate 2")
    here.check("abc")
    gate.let_pass(121)
    assert used(here).reason_explanation == "First used on 24 Nov, 19:30:15 at this device."
    assert used(there).reason_explanation == "First used on 24 Nov, 19:30:15 at Gate 1."
    gate.let_pass(-3600)
    assert "on 24 Nov" in str(used(here).reason_explanation), "a clock that was put back tells no seconds"


def test_the_first_use_is_told_however_often_it_is_scanned(gate: Gate, main: CheckInList) -> None:
    app = gate.phone(main)
    app.check("abc")
    for _ in range(3):
        gate.let_pass(10)
        assert used(app).first_scanned == NOW
    device = gate.box.scanners.add("Old app", main.id)
    path = f"pretixdroid/api/demoorga/democon/redeem/?key={device.key}"
    assert gate.ask("POST", path, data={"secret": "abc", "force": "true"}).json()["status"] == "ok"
    assert used(app).first_scanned == NOW


def test_who_let_in_by_hand_is_named(gate: Gate, main: CheckInList) -> None:
    app = gate.phone(main)
    [hit] = gate.box.desk.find("Lovelace", 10)
    assert gate.box.desk.check_in(hit.ticket.id, "Lena", None, is_forced=False).verdict.is_ok
    assert used(app).reason_explanation == "First used 0 s ago at Lena."


def test_where_the_old_dialect_tells_no_time_there_is_none(gate: Gate, stub: StubUpstream) -> None:
    stub.add_tickets(2, "t")
    stub.redeem({"secret": "t000000"})
    app = gate.phone(gate.add_old(stub))
    told = used(app, "t000000")
    assert told.first_scanned is None
    assert told.reason_explanation == "First used, says the ticket server, at a time that it does not tell."
    app.check("t000001")
    gate.sync()
    gate.sync()
    gate.let_pass(5)
    mine = used(app, "t000001")
    assert (mine.first_scanned, mine.reason_explanation) == (NOW, "First used 5 s ago at this device.")


def test_todays_pretix_tells_when_and_the_box_knows_its_own(gate: Gate, pretix: PretixStub) -> None:
    at = datetime(2026, 11, 24, 8, 15, 30, tzinfo=UTC)
    sell(pretix, "THERE", a_ticket("there", checkins=[{"list": 1, "datetime": at.isoformat(), "type": "entry"}]))
    sell(pretix, "HERE")
    app = gate.phone(*gate.add_current(pretix))
    told = used(app, "there")
    assert (told.first_scanned, told.reason_explanation) == (at, "First used on 24 Nov, 09:15:30.")
    app.check("here")
    gate.sync()
    pretix.now += timedelta(minutes=1)
    pretix.orders[1]["last_modified"] = pretix.now.isoformat()
    gate.sync()
    assert used(app, "here").reason_explanation == "First used 0 s ago at this device."


# --- not paid ---------------------------------------------------------------------------------------------------------


def test_unpaid_tickets_come_in_where_the_list_allows_it_and_the_door_says_so(gate: Gate, pretix: PretixStub) -> None:
    pretix.lists = [check_in_list(1, "Strict"), check_in_list(2, "Kind", include_pending=True)]
    for code in ("ADA", "BOB"):
        sell(pretix, code, status="n")
    strict, kind = gate.add_current(pretix, 1, 2)
    app, other = gate.phone(strict), gate.phone(kind, name="Gate 2")
    refused = app.scan("ada", pays=True)
    assert (refused.type, refused.is_checkin_allowed) == ("UNPAID", False)
    assert app.check("ada", ignore_unpaid=True).type == "UNPAID"
    asked = other.scan("ada")
    assert (asked.type, asked.is_checkin_allowed) == ("UNPAID", True)
    assert other.scan("ada", pays=True).type == "VALID"
    assert [(each.list_id, each.ignores_unpaid) for each in gate.checkins()] == [(kind.id, True)]
    gate.sync()
    assert (pretix.redeemed[0]["ignore_unpaid"], pretix.redeemed[0]["force"]) == (True, False)


def test_a_ticket_that_is_valid_while_pending_needs_nobodys_word(gate: Gate, pretix: PretixStub) -> None:
    sell(pretix, "ADA", status="n", valid_if_pending=True)
    app = gate.phone(*gate.add_current(pretix))
    assert app.check("ada").type == "VALID"


def test_the_old_dialect_says_of_each_ticket_whether_it_may_come_in_unpaid(gate: Gate) -> None:
    event = StubEvent()
    event.include_pending = True
    for secret in ("may", "may-not"):
        event.add_ticket(secret, order_status=PENDING)
    saved = {"status": event.status(), "download": event.download()}
    saved["download"]["results"][1]["checkin_allowed"] = False
    app = gate.phone(gate.box.add_saved(saved, "the test's event"))
    assert app.scan("may-not", pays=True).is_checkin_allowed is False
    assert app.check("may-not", ignore_unpaid=True).type == "UNPAID"
    assert (app.check("may").is_checkin_allowed, app.scan("may", pays=True).type) == (True, "VALID")


# --- add-ons ----------------------------------------------------------------------------------------------------------


def test_a_ticket_stands_for_its_one_add_on_where_the_list_says_so(gate: Gate, pretix: PretixStub) -> None:
    for number in (2, 3):
        pretix.items.append({**pretix.items[0], "id": number, "name": {"en": f"Workshop {number}"}})
    pretix.lists = [
        check_in_list(1, "Workshops", all_products=False, limit_products=[2, 3], addon_match=True),
        check_in_list(2, "Plain", all_products=False, limit_products=[2, 3]),
    ]
    for code, items in (("ONE", [2]), ("TWO", [2, 3]), ("NONE", [])):
        whole = a_ticket(code.lower())
        sell(pretix, code, whole, *(a_ticket(f"{code.lower()}-{n}", item=n, addon_to=whole["id"]) for n in items))
    workshops, plain = gate.add_current(pretix, 1, 2)
    app = gate.phone(workshops)
    assert (app.check("one").type, gate.checkins()[0].ticket_secret) == ("VALID", "one-2")
    result = used(app, "one-2")
    assert (result.ticket, result.order_code) == ("Workshop 2", "ONE"), "that was this add-on's entry"
    both = app.check("two")
    assert (both.type, both.ticket) == ("AMBIGUOUS", "Ticket")
    assert [app.check(each).type for each in ("two-2", "two-3", "none")] == ["VALID", "VALID", "PRODUCT"]
    other = gate.phone(plain, name="Gate 2")
    assert [other.check(each).type for each in ("one", "two-2")] == ["PRODUCT", "VALID"]
