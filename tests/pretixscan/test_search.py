"""`search/`: one request a keystroke, and what a phone finds."""

from __future__ import annotations

from typing import Any

import pytest

from edgebox.store.tickets import Tickets
from tests.pretixscan.gate import Gate, a_ticket, change, sell
from tests.pretixscan.test_result_types import side_event
from tests.support.event import CANCELED, PENDING, StubEvent
from tests.support.pretix import PretixStub, check_in_list
from tests.support.pretixscan import App
from tests.support.pretixscan.schemas import validate_whole
from tests.support.upstream import StubUpstream


def guests(*names: str) -> StubEvent:
    event = StubEvent()
    for number, name in enumerate(names):
        event.add_ticket(f"secret{number}", order=f"CODE{number}", attendee_name=name)
    return event


def names(app: App, query: str) -> list[str | None]:
    return [each.attendee_name for each in app.search(query)]


def states(app: App, query: str) -> dict[str, str]:
    return {each.secret: each.status for each in app.search(query)}


# --- typing -----------------------------------------------------------------------------------------------------------


def test_typing_asks_the_store_from_the_fourth_letter_on(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    app = gate.phone(gate.add_saved(guests("Ada Lovelace", "Adele")))
    asked: list[str] = []
    search = Tickets.search

    def noted(self: Tickets, list_: Any, query: str, **options: Any) -> Any:
        asked.append(query)
        return search(self, list_, query, **options)

    monkeypatch.setattr(Tickets, "search", noted)
    app.wire.history.clear()
    found = [[each.attendee_name for each in some] for some in app.type_search("Ada Lo")]
    assert found == [[], [], [], ["Ada Lovelace"], ["Ada Lovelace"], ["Ada Lovelace"]]
    assert asked == ["Ada ", "Ada L", "Ada Lo"]
    assert [each.status for each in app.wire.history] == [200] * 6


def test_an_empty_an_endless_or_a_second_page_finds_nothing(gate: Gate) -> None:
    list_ = gate.add_saved(guests("Ada Lovelace"))
    app = gate.phone(list_)
    for query in ("", "    ", "x" * 1001, "Ada " + "x" * 100_000):
        assert app.search(query) == []
    chosen = {"events_and_checkin_lists": {"democon": list_.id}}
    for more, count in (({"page": 1}, 1), ({"page": None}, 1), ({}, 1), ({"page": 2}, 0), ({"page": "1"}, 0)):
        body = {**chosen, "query": "Lovelace", **more}
        answer = gate.ask("POST", "proxyapi/v1/rpc/search/", key=app.device.api_token, body=body)
        validate_whole("search", answer.json())
        assert (answer.status_code, len(answer.json())) == (200, count), more
    answer = gate.ask("POST", "proxyapi/v1/rpc/search/", key=app.device.api_token, body=chosen)
    assert (answer.status_code, answer.json()) == (200, [])


def test_the_form_of_one_list_finds_the_same(gate: Gate) -> None:
    list_ = gate.add_saved(guests("Ada Lovelace"))
    app = gate.phone(list_)
    assert app.search_single("democon", list_.id, "Lovelace") == app.search("Lovelace") != []
    assert app.search_single("democon", list_.id, "Lov") == []


# --- what is found ----------------------------------------------------------------------------------------------------


def test_secret_and_order_are_found_by_their_start_and_names_by_any_part(gate: Gate) -> None:
    app = gate.phone(gate.add_saved(guests("Ada Lovelace")))
    for query in ("secr", "secret0", "SECRET0", "CODE", "code0", "Ada Lovelace", "a Lo", "LACE"):
        assert names(app, query) == ["Ada Lovelace"], query
    for query in ("ecret0", "ODE0", "Ada  Lovelace", "%%%%", "____", "nobody"):
        assert names(app, query) == [], query


def test_umlauts_and_accents_are_found_however_they_are_typed(gate: Gate) -> None:
    sought = {
        "Müller": ("müller", "MÜLLER", "mulle", "Mu\u0308ller"), "Łukasz": ("łukas", "lukasz", "ŁUKASZ"),
        "Straße": ("strasse", "STRASSE", "straße"), "Ελένη": ("ΕΛΈΝΗ", "ελενη"), "Nguyễn": ("nguyen",),
        "李雷 韩梅梅": ("李雷 韩",),
    }  # fmt: skip
    app = gate.phone(gate.add_saved(guests(*sought)))
    for name, queries in sought.items():
        for query in queries:
            assert names(app, query) == [name], query


def test_a_result_has_what_the_app_shows_and_its_tap_checks_it(gate: Gate, pretix: PretixStub) -> None:
    pretix.items[0] |= {"checkin_attention": True, "variations": [{"id": 11, "value": {"en": "Red"}}]}
    whole = a_ticket("abcdef", variation=11, seat={"name": "Row 3"}, attendee_name="Ada Lovelace")
    sell(pretix, "WHOLE", whole, a_ticket("extra1", addon_to=whole["id"]))
    app = gate.phone(*gate.add_current(pretix))
    [found] = app.search("abcdef")
    assert (found.ticket, found.variation, found.attendee_name) == ("Ticket", "Red", "Ada Lovelace")
    assert (found.seat, found.order_code, found.addon_text) == ("Row 3", "WHOLE", "Ticket")
    assert (found.status, found.is_redeemed, found.is_attention_required) == ("PAID", False, True)
    result = app.check(found.secret)
    assert (result.type, result.position_id) == ("VALID", found.position_id) == ("VALID", 1)
    assert [each.is_redeemed for each in app.search("abcdef")] == [True]


def test_whether_it_is_redeemed_is_told_as_a_check_would_have_it(gate: Gate, pretix: PretixStub) -> None:
    pretix.lists = [check_in_list(1, "Again"), check_in_list(2, "Once", allow_entry_after_exit=False)]
    sell(pretix, "SECRET")
    again, once = gate.add_current(pretix, 1, 2)
    for app, after_exit in ((gate.phone(again), False), (gate.phone(once, name="Gate 2"), True)):
        told = []
        for way in ("ENTRY", "EXIT"):
            assert app.check("secret", way).type == "VALID"
            told += [each.is_redeemed for each in app.search("secret")]
        assert told == [True, after_exit]


def test_at_most_fifty_are_told_over_all_events_of_the_phone(gate: Gate) -> None:
    first, second = guests(*["Ada Lovelace"] * 40), side_event(*(f"side{number:02}" for number in range(40)))
    app = gate.phone(gate.add_saved(first), gate.add_saved(second))
    found = app.search("Lovelace")
    assert len(found) == len({each.secret for each in found}) == 50
    assert sum(each.secret.startswith("secret") for each in found) == 40
    assert len(app.search("side")) == 40


# --- in which state ---------------------------------------------------------------------------------------------------


def test_what_lets_nobody_in_is_found_with_its_state(gate: Gate, pretix: PretixStub) -> None:
    for code, status in (("PAID", "p"), ("PENDING", "n"), ("CANCEL", "c"), ("EXPIRED", "e")):
        sell(pretix, code, a_ticket(f"{code.lower()}1", attendee_name="Ada Lovelace"), status=status)
    sell(pretix, "DROPPED", a_ticket("dropped1", attendee_name="Ada Lovelace", canceled=True))
    app = gate.phone(*gate.add_current(pretix))
    expected = {"paid1": "PAID", "pending1": "PENDING", "cancel1": "CANCELED", "expired1": "CANCELED"}
    assert states(app, "Lovelace") == expected
    change(pretix, "PENDING", status="p")
    change(pretix, "PAID", status="c")
    gate.sync()
    assert states(app, "Lovelace") == expected | {"pending1": "PAID", "paid1": "CANCELED"}


def test_the_old_dialect_tells_of_states_what_it_can(gate: Gate, stub: StubUpstream) -> None:
    stub.include_pending = True
    for secret in ("paid", "gone"):
        stub.add_ticket(f"{secret}1")
    stub.add_ticket("pending1", order_status=PENDING)
    app = gate.phone(gate.add_old(stub))
    stub.tickets["gone1"].order_status = CANCELED
    gate.sync()
    assert states(app, "Lovelace") == {"paid1": "PAID", "pending1": "PENDING", "gone1": "CANCELED"}


# --- and what is not shown --------------------------------------------------------------------------------------------


def test_what_is_not_for_the_list_is_not_found(gate: Gate, pretix: PretixStub) -> None:
    pretix.event["has_subevents"] = True
    for number in (31, 32):
        date = {"id": number, "name": {"en": "Day"}, "date_from": "2026-11-24T19:00:00Z", "date_to": None}
        pretix.subevents.append({**date, "date_admission": None})
    pretix.items.append({**pretix.items[0], "id": 2})
    pretix.lists = [check_in_list(1, "Main", all_products=False, limit_products=[1], subevent=31)]
    sell(pretix, "MINE", a_ticket("mine", subevent=31, attendee_name="Ada Lovelace"))
    sell(pretix, "DATE", a_ticket("date", subevent=32, attendee_name="Ada Lovelace"))
    sell(pretix, "ITEM", a_ticket("item", subevent=31, item=2, attendee_name="Ada Lovelace"), status="c")
    app = gate.phone(*gate.add_current(pretix))
    assert states(app, "Lovelace") == {"mine": "PAID"}


def test_a_phone_for_some_products_finds_those_only(gate: Gate) -> None:
    event = StubEvent()
    event.add_ticket("shirt", item_id=1)
    event.add_ticket("ticket")
    list_ = gate.add_saved(event)
    assert list(states(gate.phone(list_, item_ids=frozenset({1})), "Lovelace")) == ["shirt"]
    nobody = gate.phone(list_, name="Gate 2", item_ids=frozenset())
    assert (nobody.search("Lovelace"), nobody.search("ticket")) == ([], [])


def test_a_phone_without_search_finds_by_the_start_of_the_secret_alone(gate: Gate) -> None:
    list_ = gate.add_saved(guests("Ada Lovelace"))
    app = gate.phone(list_, allow_search=False)
    assert not app.may_search
    assert [each.secret for each in app.search_single("democon", list_.id, "secr")] == ["secret0"]
    for query in ("CODE0", "Lovelace", "ecret0"):
        assert app.search_single("democon", list_.id, query) == []
