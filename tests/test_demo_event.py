"""The bundled demo event: what it says fits together, and each named ticket is what its name says."""

import datetime as dt
import json
import random
import unicodedata
from collections import Counter
from collections.abc import Callable
from itertools import groupby
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebox.demo.event import DEMO_EVENT, DEMO_KEY, DEMO_ORGANIZER, NAMED_TICKETS, _unused, demo_event

TODAY = dt.date(2026, 11, 25)
SEEDS = (1, 2, 3, 2026)

Row = dict[str, Any]


@pytest.fixture(params=SEEDS)
def event(request: pytest.FixtureRequest) -> dict[str, Any]:
    return demo_event(TODAY, request.param)


@pytest.fixture
def rows(event: dict[str, Any]) -> list[Row]:
    results: list[Row] = event["download"]["results"]
    return results


@pytest.fixture
def by_secret(rows: list[Row]) -> dict[str, Row]:
    return {row["secret"]: row for row in rows}


def asked_at(event: dict[str, Any], row: Row) -> list[dict[str, Any]]:
    return [question for question in event["download"]["questions"] if row["item_id"] in question["items"]]


def is_plain(row: Row) -> bool:
    """Nothing special about its state: paid, not in, no flag, no add-ons."""
    flags = (row["paid"], row["checkin_allowed"], row["redeemed"], row["attention"], row["addons_text"])
    return flags == (True, True, False, False, "")


def has_name_with(*parts: str) -> Callable[[Row], bool]:
    return lambda row: is_plain(row) and all(part in row["attendee_name"] for part in parts)


def scripts(name: str | None) -> set[str]:
    """The first word of each letter's Unicode name: LATIN, GREEK, CJK and so on."""
    return {unicodedata.name(char).split()[0].split("-")[0] for char in name or "" if char.isalpha()}


WHAT_IT_IS: dict[str, Callable[[Row], bool]] = {
    "peter_higgs": lambda row: is_plain(row) and row["attendee_name"] == "Peter Higgs" and row["order"] == "ABCE6",
    "fresh": lambda row: is_plain(row) and row["item"] == "Ticket",
    "unpaid": lambda row: (row["paid"], row["checkin_allowed"], row["redeemed"]) == (False, True, False),
    "not_allowed": lambda row: (row["paid"], row["checkin_allowed"], row["redeemed"]) == (False, False, False),
    "already_in": lambda row: row["redeemed"] and row["paid"],
    "attention": lambda row: row["attention"] and row["item"] == "Ticket" and not row["redeemed"],
    "vip": lambda row: row["attention"] and row["item"] == "VIP" and not row["redeemed"],
    "questions": lambda row: is_plain(row) and row["item"] == "Workshop",
    "parent_with_addons": lambda row: row["addons_text"] == "T-Shirt - Red, Workshop - Afternoon",
    "addon": lambda row: is_plain(row) and (row["item"], row["variation"]) == ("T-Shirt", "Red"),
    "tshirt_red": lambda row: is_plain(row) and (row["item"], row["variation"]) == ("T-Shirt", "Red"),
    "tshirt_blue": lambda row: is_plain(row) and (row["item"], row["variation"]) == ("T-Shirt", "Blue"),
    "buyer_name": lambda row: is_plain(row) and row["attendee_name"] == "Beate Buyer",
    "no_name": lambda row: is_plain(row) and row["attendee_name"] is None,
    "unicode": lambda row: is_plain(row) and scripts(row["attendee_name"]) == {"LATIN", "GREEK", "CYRILLIC", "CJK"},
    "accents": lambda row: is_plain(row) and not unicodedata.is_normalized("NFC", row["attendee_name"]),
    "apostrophe": has_name_with("O'Brien"),
    "quotes": has_name_with('"', "'", ";", "--"),
    "html": has_name_with("<script>", "</script>", "&", "<b>"),
    "emoji": has_name_with("\U0001f469\u200d\U0001f4bb", "😀"),
    "rtl": lambda row: is_plain(row) and unicodedata.bidirectional(row["attendee_name"][0]) in ("R", "AL"),
    "long_name": lambda row: is_plain(row) and 200 <= len(row["attendee_name"]) <= 255,
}


def test_every_named_ticket_has_a_rule_here() -> None:
    assert set(WHAT_IT_IS) == set(NAMED_TICKETS)
    assert len(set(NAMED_TICKETS.values())) == len(NAMED_TICKETS)


@pytest.mark.parametrize("name", sorted(WHAT_IT_IS))
def test_a_named_ticket_is_what_its_name_says(name: str, by_secret: dict[str, Row]) -> None:
    row = by_secret[NAMED_TICKETS[name]]
    assert WHAT_IT_IS[name](row), row


def test_named_tickets_are_the_same_for_every_seed() -> None:
    named = set(NAMED_TICKETS.values())
    told = [[row for row in demo_event(TODAY, seed)["download"]["results"] if row["secret"] in named] for seed in SEEDS]
    assert len(told[0]) == len(named)
    assert all(other == told[0] for other in told)


def test_only_the_tickets_named_for_it_are_asked_something(event: dict[str, Any], by_secret: dict[str, Row]) -> None:
    asked = {name for name, secret in NAMED_TICKETS.items() if asked_at(event, by_secret[secret])}
    assert asked == {"questions", "vip"}
    wanted = [(question["type"], question["required"]) for question in asked_at(event, by_secret[NAMED_TICKETS["vip"]])]
    assert wanted == [("C", True), ("S", False)]
    wanted = [
        (question["type"], question["required"]) for question in asked_at(event, by_secret[NAMED_TICKETS["questions"]])
    ]
    assert wanted == [("C", True), ("T", False)]


def test_the_documented_example_ticket_is_there(event: dict[str, Any]) -> None:
    documented = {
        "secret": "az9u4mymhqktrbupmwkvv6xmgds5dk3",
        "order": "ABCE6",
        "item": "Standard ticket",
        "variation": None,
        "attendee_name": "Peter Higgs",
        "redeemed": False,
        "attention": False,
        "paid": True,
    }
    first = event["download"]["results"][0]
    assert {key: first[key] for key in documented} == documented
    assert first["item_id"] == 3


def test_status_tells_the_documented_event(event: dict[str, Any]) -> None:
    assert event["status"]["event"] == {
        "name": "Demo Converence",
        "list": "Default",
        "slug": "democon",
        "subevent": "Demo Converence",
        "date_from": "2026-11-24T17:00:00Z",
        "date_to": "2026-11-27T18:00:00Z",
        "timezone": "UTC",
        "url": "https://demo.pretix.eu/demoorga/democon/",
        "organizer": {"name": "Demo Organizer", "slug": "demoorga"},
    }
    assert (DEMO_ORGANIZER, DEMO_EVENT, DEMO_KEY) == ("demoorga", "democon", "ABCDEF")


def test_status_tells_the_documented_items_and_some_more(event: dict[str, Any]) -> None:
    told = [
        (item["id"], item["name"], item["admission"], [(each["id"], each["name"]) for each in item["variations"]])
        for item in event["status"]["items"]
    ]
    assert told == [
        (1, "T-Shirt", False, [(1, "Red"), (2, "Blue")]),
        (2, "Ticket", True, []),
        (3, "Standard ticket", True, []),
        (4, "VIP", True, []),
        (5, "Workshop", True, [(3, "Morning"), (4, "Afternoon")]),
    ]


def test_both_answers_say_version_2_and_have_the_keys_of_version_3(event: dict[str, Any], rows: list[Row]) -> None:
    assert event["status"]["version"] == event["download"]["version"] == 2
    assert set(event["status"]) == {"checkins", "total", "version", "event", "items"}
    assert set(event["download"]) == {"results", "questions", "version"}
    types = {
        "secret": str,
        "order": str,
        "item": str,
        "item_id": int,
        "variation": str | None,
        "variation_id": int | None,
        "attendee_name": str | None,
        "redeemed": bool,
        "attention": bool,
        "paid": bool,
        "checkin_allowed": bool,
        "addons_text": str,
    }
    for row in rows:
        assert set(row) == set(types)
        assert all(isinstance(row[key], kind) for key, kind in types.items()), row


def test_counts_agree_with_the_tickets(event: dict[str, Any], rows: list[Row]) -> None:
    counted = [row for row in rows if row["paid"] or row["checkin_allowed"]]
    assert len(counted) < len(rows)
    told = [(event["status"]["total"], event["status"]["checkins"])]
    found = [(len(counted), sum(row["redeemed"] for row in counted))]
    for item in event["status"]["items"]:
        of_item = [row for row in counted if row["item_id"] == item["id"]]
        told.append((item["total"], item["checkins"]))
        found.append((len(of_item), sum(row["redeemed"] for row in of_item)))
        for variation in item["variations"]:
            of_variation = [row for row in of_item if row["variation_id"] == variation["id"]]
            told.append((variation["total"], variation["checkins"]))
            found.append((len(of_variation), sum(row["redeemed"] for row in of_variation)))
    assert told == found
    assert all(total > 0 for total, _ in told)


def test_item_counts_add_up(event: dict[str, Any]) -> None:
    for number in ("total", "checkins"):
        assert sum(item[number] for item in event["status"]["items"]) == event["status"][number]
        for item in event["status"]["items"]:
            if item["variations"]:
                assert sum(variation[number] for variation in item["variations"]) == item[number]


def test_each_ticket_is_of_an_item_and_variation_that_status_lists(event: dict[str, Any], rows: list[Row]) -> None:
    listed: set[tuple[Any, ...]] = set()
    for item in event["status"]["items"]:
        variations = [(each["id"], each["name"]) for each in item["variations"]] or [(None, None)]
        listed.update((item["id"], item["name"], *variation) for variation in variations)
    assert {(row["item_id"], row["item"], row["variation_id"], row["variation"]) for row in rows} == listed


def test_secrets_and_codes_look_like_a_servers(rows: list[Row]) -> None:
    own = [row for row in rows if row["secret"] != NAMED_TICKETS["peter_higgs"]]
    assert len(own) == len(rows) - 1
    for row in own:
        assert len(row["secret"]) == 32
        assert set(row["secret"]) <= set("abcdefghjkmnpqrstuvwxyz23456789")
        assert len(row["order"]) == 5
        assert set(row["order"]) <= set("ABCDEFGHJKLMNPQRSTUVWXYZ3789")


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_secrets_are_unique_and_an_orders_tickets_stand_together(seed: int) -> None:
    rows = demo_event(TODAY, seed)["download"]["results"]
    assert len({row["secret"] for row in rows}) == len(rows)
    runs = [code for code, _ in groupby(row["order"] for row in rows)]
    assert len(set(runs)) == len(runs), "a code was given to two orders"


def test_a_code_or_secret_is_never_given_twice() -> None:
    # Two equal ones by chance are too rare to be met above, so here the choice is small.
    rng, taken = random.Random(0), {"A"}
    given_out = [_unused(rng, taken, 1, "ABCDE") for _ in range(4)]
    assert sorted(given_out) == ["B", "C", "D", "E"]
    assert taken == set("ABCDE")


def test_an_orders_tickets_are_paid_and_allowed_together(rows: list[Row]) -> None:
    states = {(row["order"], row["paid"], row["checkin_allowed"]) for row in rows}
    assert len(states) == len({row["order"] for row in rows})


def test_addons_follow_their_parent_and_take_its_name(rows: list[Row], by_secret: dict[str, Row]) -> None:
    parents = [number for number, row in enumerate(rows) if row["addons_text"]]
    assert len(parents) > 20
    for number in parents:
        parent = rows[number]
        texts = parent["addons_text"].split(", ")
        addons = rows[number + 1 : number + 1 + len(texts)]
        assert [f"{row['item']} - {row['variation']}" for row in addons] == texts
        for addon in addons:
            assert (addon["order"], addon["attendee_name"]) == (parent["order"], parent["attendee_name"])
            assert addon["addons_text"] == ""
            assert parent["redeemed"] or not addon["redeemed"]
    named = rows.index(by_secret[NAMED_TICKETS["parent_with_addons"]])
    assert rows[named + 1]["secret"] == NAMED_TICKETS["addon"]


def test_a_vip_has_the_attention_flag_and_so_have_a_few_others(rows: list[Row]) -> None:
    assert all(row["attention"] for row in rows if row["item"] == "VIP")
    others = [row["attention"] for row in rows if row["item"] != "VIP"]
    assert 0 < sum(others) < len(others) / 10


def test_the_crowd_has_enough_of_every_state(rows: list[Row]) -> None:
    assert 420 <= len(rows) < 450
    states = Counter((row["paid"], row["checkin_allowed"], row["redeemed"]) for row in rows)
    assert set(states) == {
        (True, True, False),
        (True, True, True),
        (False, True, False),
        (False, False, False),
    }, "who has not paid is not in"
    assert states[True, True, False] > len(rows) / 2
    assert states[True, True, True] >= 20
    assert states[False, True, False] >= 15
    assert sum(row["attendee_name"] is None for row in rows) >= 5
    sizes = Counter(row["order"] for row in rows).values()
    assert max(sizes) >= 4
    assert sum(size > 1 for size in sizes) > 50


def test_names_are_of_many_scripts_and_free_of_control_characters(rows: list[Row]) -> None:
    names = [row["attendee_name"] for row in rows if row["attendee_name"] is not None]
    found = set().union(*(scripts(name) for name in names))
    assert found >= {"LATIN", "GREEK", "CYRILLIC", "ARABIC", "HEBREW", "DEVANAGARI", "CJK", "HANGUL"}
    for name in names:
        assert 1 <= len(name) <= 255
        assert name == name.strip()
        assert not any(unicodedata.category(char) in ("Cc", "Cs", "Cn") for char in name)


def test_questions_are_well_formed_and_never_asked_of_documented_items(event: dict[str, Any]) -> None:
    questions = event["download"]["questions"]
    keys = {"id", "type", "question", "required", "position", "items", "options"}
    assert all(set(question) == keys for question in questions)
    assert {question["type"] for question in questions} <= set("NSTBCMDHW"), "a type that a scanner cannot ask"
    assert {question["required"] for question in questions} == {True, False}
    ids = [question["id"] for question in questions]
    assert len(set(ids)) == len(ids)
    own_items = {item["id"] for item in event["status"]["items"]} - {1, 2, 3}
    assert all(question["items"] and set(question["items"]) <= own_items for question in questions)
    option_ids = [option["id"] for question in questions for option in question["options"]]
    assert len(set(option_ids)) == len(option_ids) > 1
    assert all(bool(question["options"]) == (question["type"] in "CM") for question in questions)


@settings(max_examples=40, deadline=None)
@given(today=st.dates(dt.date(1970, 1, 2), dt.date(9999, 12, 29)), seed=st.integers(0, 2**32))
def test_only_the_dates_depend_on_the_day(today: dt.date, seed: int) -> None:
    then, now = demo_event(today, seed), demo_event(TODAY, seed)
    begin = dt.datetime.fromisoformat(then["status"]["event"].pop("date_from"))
    end = dt.datetime.fromisoformat(then["status"]["event"].pop("date_to"))
    assert begin.utcoffset() == end.utcoffset() == dt.timedelta(0)
    assert begin.date() < today < end.date()
    del now["status"]["event"]["date_from"], now["status"]["event"]["date_to"]
    assert then == now


def test_equal_arguments_give_equal_results_and_other_seeds_another_crowd() -> None:
    assert demo_event(TODAY) == demo_event(TODAY, 1)
    crowds = [{row["secret"] for row in demo_event(TODAY, seed)["download"]["results"]} for seed in SEEDS]
    for number, crowd in enumerate(crowds):
        for other in crowds[number + 1 :]:
            assert crowd & other >= set(NAMED_TICKETS.values())
            assert len(crowd & other) < 30


def test_a_result_is_the_callers_own() -> None:
    spoilt = demo_event(TODAY)
    spoilt["status"]["items"][0]["variations"].clear()
    spoilt["download"]["questions"][0]["items"].append(2)
    spoilt["download"]["questions"][0]["options"][0]["answer"] = ""
    spoilt["download"]["results"][0]["redeemed"] = True
    fresh = demo_event(TODAY)
    assert fresh["status"]["items"][0]["variations"]
    assert 2 not in fresh["download"]["questions"][0]["items"]
    assert fresh["download"]["questions"][0]["options"][0]["answer"]
    assert fresh["download"]["results"][0]["redeemed"] is False


def test_the_event_survives_json_unchanged(event: dict[str, Any]) -> None:
    assert json.loads(json.dumps(event, allow_nan=False)) == event
    assert json.loads(json.dumps(event, ensure_ascii=False).encode()) == event
