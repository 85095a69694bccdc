"""Every result type that the box has a reason for, from each kind of upstream that can tell it."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from edgebox.devices.pretixscan.telling import TYPES
from edgebox.model import Reason
from tests.pretix.test_signatures import KEY, message, signed
from tests.pretixscan.conftest import OpenGate
from tests.pretixscan.gate import Gate, a_ticket, change, sell
from tests.support.event import CANCELED, PENDING, StubEvent
from tests.support.pretix import PretixStub, check_in_list
from tests.support.pretixscan import App, Result
from tests.support.upstream import StubUpstream

OF_THE_BOX = {*TYPES.values(), "ERROR"}
"""No media are given out, so that four types of the app are left."""


def question(number: int = 7, **told: Any) -> dict[str, Any]:
    usual = {
        "id": number, "type": "S", "question": {"en": "Why?"}, "required": True, "position": 0, "items": [1],
        "options": [], "ask_during_checkin": True, "identifier": f"Q{number}",
    }  # fmt: skip
    return {**usual, **told}


def only_item(number: int) -> dict[str, Any]:
    return {"inList": [{"var": "product"}, {"objectList": [{"lookup": ["product", str(number), "Ticket"]}]}]}


def side_event(*secrets: str) -> StubEvent:
    event = StubEvent()
    event.event = "sidecon"
    for secret in secrets:
        event.add_ticket(secret)
    return event


def types_of(app: App, *secrets: str) -> dict[str, str]:
    """What each is told; none of it takes the place of the app's own headline."""
    results = {secret: app.check(secret) for secret in secrets}
    assert {result.message for result in results.values()} == {None}
    assert not [result for result in results.values() if result.is_error_card]
    return {secret: result.type for secret, result in results.items()}


# --- the old dialect --------------------------------------------------------------------------------------------------


def test_all_that_the_old_dialect_can_tell(gate: Gate, stub: StubUpstream) -> None:
    stub.include_pending = True
    for secret in ("valid", "used", "gone", "twice"):
        stub.add_ticket(secret)
    stub.add_ticket("unpaid", order_status=PENDING)
    stub.add_ticket("shirt", item_id=1, variation_id=1)
    stub.add_ticket("asked", item_id=1, variation_id=2)
    stub.add_question(7, "S", [1])
    list_ = gate.add_old(stub)
    side = gate.add_saved(side_event("twice"))
    stub.tickets["gone"].order_status = CANCELED
    stub.redeem({"secret": "used"})
    gate.sync()
    app = gate.phone(list_, side)
    tickets_only = gate.phone(list_, name="Gate 2", item_ids=frozenset({2}))
    told = types_of(app, "valid", "used", "gone", "twice", "unpaid", "asked", "nobody") | types_of(
        tickets_only, "shirt"
    )
    assert told == {
        "valid": "VALID", "used": "USED", "gone": "CANCELED", "twice": "AMBIGUOUS", "unpaid": "UNPAID",
        "asked": "ANSWERS_REQUIRED", "nobody": "INVALID", "shirt": "PRODUCT",
    }  # fmt: skip
    app.select({"sidecon": 999})
    assert types_of(app, "valid") == {"valid": "ERROR"}
    assert [checkin.secret for checkin in gate.checkins()] == ["valid"]


# --- today's pretix ---------------------------------------------------------------------------------------------------


@pytest.fixture
def fair(pretix: PretixStub) -> PretixStub:
    """A ticket for each outcome, on lists for products 1 and 2 (with add-ons 3 and 4), and one with a rule."""
    for number in (2, 3, 4, 5):
        pretix.items.append({**pretix.items[0], "id": number, "name": {"en": f"Item {number}"}})
    pretix.lists = [
        check_in_list(1, "Main", all_products=False, limit_products=[1, 2]),
        check_in_list(2, "Rules", rules=only_item(2)),
        check_in_list(3, "Workshops", all_products=False, limit_products=[3, 4], addon_match=True),
    ]
    pretix.questions.append(question(items=[2]))
    for code in ("VALID", "USED", "BARRED"):
        sell(pretix, code)
    sell(pretix, "UNPAID", status="n")
    sell(pretix, "EXPIRED", status="e")
    sell(pretix, "WAITING", status="n", require_approval=True)
    sell(pretix, "BLOCKED", a_ticket("blocked", blocked=["admin"]))
    sell(pretix, "EARLY", a_ticket("early", valid_from="2026-11-25T00:00:00Z"))
    sell(pretix, "LATE", a_ticket("late", valid_until="2026-11-24T00:00:00Z"))
    sell(pretix, "OTHER", a_ticket("other", item=5))
    sell(pretix, "ASKED", a_ticket("asked", item=2))
    sell(pretix, "DROPPED", a_ticket("dropped", canceled=True))
    for code, items in (("ONE", [3]), ("MANY", [3, 4])):
        whole = a_ticket(code.lower())
        sell(pretix, code, whole, *(a_ticket(f"{code.lower()}{n}", item=n, addon_to=whole["id"]) for n in items))
    pretix.blocked.append({"id": 1, "secret": "barred", "updated": "2026-11-01T00:00:00Z", "blocked": True})
    pretix.revoked.append({"id": 1, "secret": "revoked", "created": "2026-11-01T00:00:00Z"})
    return pretix


def test_every_type_comes_of_todays_pretix(gate: Gate, fair: PretixStub) -> None:
    main, rules, workshops = gate.add_current(fair, 1, 2, 3)
    app = gate.phone(main)
    told = types_of(
        app, "valid", "unpaid", "expired", "waiting", "blocked", "barred", "early", "late", "other", "asked", "dropped",
        "revoked", "nobody",
    )  # fmt: skip
    assert told == {
        "valid": "VALID", "unpaid": "UNPAID", "expired": "CANCELED", "waiting": "UNAPPROVED", "blocked": "BLOCKED",
        "barred": "BLOCKED", "early": "INVALID_TIME", "late": "INVALID_TIME", "other": "PRODUCT",
        "asked": "ANSWERS_REQUIRED", "dropped": "INVALID", "revoked": "REVOKED", "nobody": "INVALID",
    }  # fmt: skip
    assert types_of(app, "valid") == {"valid": "USED"}
    assert types_of(gate.phone(rules, name="Gate 2"), "used") == {"used": "RULES"}
    assert types_of(gate.phone(workshops, name="Gate 3"), "one", "many") == {"one": "VALID", "many": "AMBIGUOUS"}
    app.select({"democon": 999})
    assert types_of(app, "used") == {"used": "ERROR"}
    reached = {*told.values(), "USED", "RULES", "AMBIGUOUS", "ERROR"}
    assert reached == OF_THE_BOX
    assert len(gate.checkins()) == 2


def test_what_there_is_more_to_say_is_said_beside_the_headline(gate: Gate, fair: PretixStub) -> None:
    main, rules, workshops = gate.add_current(fair, 1, 2, 3)
    app = gate.phone(main)
    expected = {
        "early": "valid from", "late": "valid until", "other": "not for this list", "dropped": "was cancelled",
    }  # fmt: skip
    for secret, words in expected.items():
        explanation = app.check(secret).reason_explanation
        assert explanation is not None
        assert words in explanation
    assert gate.phone(rules, name="Gate 2").check("used").reason_explanation
    several = gate.phone(workshops, name="Gate 3").check("many")
    assert "scan their own tickets" in str(several.reason_explanation)


def test_each_reason_has_a_type_of_its_own_or_shares_it_knowingly() -> None:
    assert TYPES.keys() == {None, *Reason}
    shared = [reason for reason in Reason if list(TYPES.values()).count(TYPES[reason]) > 1]
    assert shared == [Reason.UNKNOWN_TICKET, Reason.WITHDRAWN, Reason.CANCELED, Reason.TEST_MODE]


def test_a_ticket_of_a_test_lets_in_unless_a_setting_keeps_those_out(open_gate: OpenGate, pretix: PretixStub) -> None:
    sell(pretix, "TEST", testmode=True)
    gate = open_gate(accept_test_mode=False)
    app = gate.phone(*gate.add_current(pretix))
    refused = app.check("test")
    assert (refused.type, refused.reason_explanation) == ("INVALID", "This ticket is of an order in test mode.")
    gate.box.store.redeemer.accepts_test_mode = True
    assert app.check("test").type == "VALID"


def test_what_is_refused_names_the_ticket_unless_it_is_none_of_the_list(gate: Gate, fair: PretixStub) -> None:
    app = gate.phone(*gate.add_current(fair, 1))
    for secret in ("unpaid", "expired", "waiting", "blocked", "early", "other", "asked"):
        result = app.check(secret)
        assert (result.order_code, result.event_slug) == (secret.upper(), "democon"), secret
        assert result.ticket, secret
        assert result.is_checkin_allowed == (result.type == "ANSWERS_REQUIRED")
    for secret in ("dropped", "revoked", "nobody"):
        result = app.check(secret)
        assert (result.order_code, result.ticket, result.attendee_name) == (None, None, None), secret
        assert not result.is_checkin_allowed


def test_what_an_organizer_changes_shows_after_the_next_pull(gate: Gate, fair: PretixStub) -> None:
    app = gate.phone(*gate.add_current(fair, 1))
    assert types_of(app, "unpaid", "expired") == {"unpaid": "UNPAID", "expired": "CANCELED"}
    change(fair, "UNPAID", status="p")
    change(fair, "EXPIRED", status="p")
    gate.sync()
    assert types_of(app, "unpaid", "expired") == {"unpaid": "VALID", "expired": "VALID"}


# --- several events ---------------------------------------------------------------------------------------------------


def test_the_ticket_says_which_event_it_is_for(gate: Gate, fair: PretixStub, stub: StubUpstream) -> None:
    stub.event = "sidecon"
    stub.add_ticket("side")
    [list_] = gate.add_current(fair, 1)
    app = gate.phone(gate.add_old(stub), list_)
    results = {secret: app.check(secret) for secret in ("side", "valid", "revoked", "barred", "nobody")}
    assert {secret: (each.type, each.event_slug) for secret, each in results.items()} == {
        "side": ("VALID", "sidecon"), "valid": ("VALID", "democon"), "revoked": ("REVOKED", "democon"),
        "barred": ("BLOCKED", "democon"), "nobody": ("INVALID", "sidecon"),
    }  # fmt: skip
    assert {row.checkin.secret: row.checkin.list_id == list_.id for row in gate.journal} == {
        "side": False, "valid": True
    }  # fmt: skip


def test_a_code_of_two_events_is_ambiguous_until_one_is_gone_or_chosen(gate: Gate, fair: PretixStub) -> None:
    side = gate.add_saved(side_event("valid", "dropped"))
    [list_] = gate.add_current(fair, 1)
    app = gate.phone(list_, side)
    both = app.check("valid")
    assert (both.type, both.is_checkin_allowed, both.event_slug) == ("AMBIGUOUS", False, "democon")
    assert "choose one event on the phone" in str(both.reason_explanation)
    assert gate.checkins() == []
    app.select({"sidecon": side.id, "democon": list_.id})
    assert app.check("valid").event_slug == "sidecon", "it is about the first one that was chosen"
    there = app.check("dropped")
    assert (there.type, there.event_slug) == ("VALID", "sidecon"), "a position that was cancelled gives way"
    app.select({"sidecon": side.id})
    assert (app.check("valid").type, app.check("valid").type) == ("VALID", "USED")
    app.select({"democon": list_.id})
    assert app.check("valid").type == "VALID", "each event counts by itself"


def test_a_signed_ticket_that_nobody_has_told_yet_goes_to_the_event_that_signed_it(
    gate: Gate, fair: PretixStub
) -> None:
    fair.event["valid_keys"] = {"pretix_sig1": [base64.b64encode(KEY.encode()).decode()]}
    [list_] = gate.add_current(fair, 1)
    app = gate.phone(gate.add_saved(side_event()), list_)
    new = signed(message(item=1))
    result = app.check(new)
    assert (result.type, result.event_slug, result.ticket, result.order_code) == ("VALID", "democon", "Ticket", "")
    assert app.check(new).type == "USED"
    assert app.check(signed(message(b"another", item=5))).type == "PRODUCT"


# --- the phone's limits -----------------------------------------------------------------------------------------------


def test_a_phone_for_some_products_lets_in_no_others(gate: Gate, fair: PretixStub) -> None:
    app = gate.phone(*gate.add_current(fair, 1), item_ids=frozenset({2}))
    refused: Result = app.check("valid")
    assert (refused.type, refused.ticket, refused.is_checkin_allowed) == ("PRODUCT", "Ticket", False)
    assert app.scan("asked", answers_for={7: "Because"}).type == "VALID"
    nobody = gate.phone(gate.box.store.lists.all()[0], name="Gate 2", item_ids=frozenset())
    assert nobody.check("valid").type == "PRODUCT"
