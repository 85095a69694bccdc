"""The rules of a list, operator by operator, and what staff read where they say no."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebox.model import Direction, PastCheckIn
from edgebox.rules.circumstances import VARIABLES, Circumstances
from edgebox.rules.logic import MAX_DEPTH, NOT_UNDERSTOOD, objection

# A Tuesday, 20:00 in Berlin.
NOW = datetime(2026, 11, 24, 19, 0, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
DOOR = Circumstances(
    product=10,
    variation=3,
    gate=1,
    at=NOW,
    zone=BERLIN,
    dates=("2026-11-24T10:00:00+01:00", "2026-11-26T18:00:00+01:00", "2026-11-24T09:00:00+01:00"),
)
YES: dict[str, Any] = {"==": [1, 1]}
NO: dict[str, Any] = {"==": [1, 2]}
STRANGE: dict[str, Any] = {"moonPhase": ["full"]}
BROKEN: dict[str, Any] = {"inList": [{"var": "product"}, None]}


def entry(minutes_ago: float) -> PastCheckIn:
    return PastCheckIn(NOW - timedelta(minutes=minutes_ago))


def leave(minutes_ago: float) -> PastCheckIn:
    return PastCheckIn(NOW - timedelta(minutes=minutes_ago), direction=Direction.EXIT)


def lets_in(rules: dict[str, Any], *history: PastCheckIn, **door: Any) -> bool:
    return objection(rules, replace(DOOR, history=history, **door)) is None


def listed(kind: str, *ids: object) -> dict[str, Any]:
    return {"inList": [{"var": kind}, {"objectList": [{"lookup": [kind, str(each), "Name"]} for each in ids]}]}


def at(*named: object) -> dict[str, Any]:
    return {"buildTime": list(named)}


# --- together and alone -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({"and": []}, True),
        ({"or": []}, False),
        ({"and": [YES, YES]}, True),
        ({"and": [YES, NO]}, False),
        ({"or": [NO, YES]}, True),
        ({"or": [NO, NO]}, False),
        ({"and": [{"or": [NO, YES]}, {"or": [YES, NO]}]}, True),
        ({"or": [{"and": [NO, YES]}, {"and": [YES, NO]}]}, False),
        ({"and": YES}, True),
        ({"and": [1, "x", True]}, True),
        ({"and": [0]}, False),
        ({"or": [None, False, "", 0]}, False),
        ({"__note": "a remark", "and": [NO]}, False),
    ],
)
def test_and_and_or(rules: dict[str, Any], expected: bool) -> None:
    assert lets_in(rules) is expected


@pytest.mark.parametrize(
    ("rules", "is_let_in", "explanation"),
    [
        (STRANGE, False, NOT_UNDERSTOOD),
        ({"or": [YES, STRANGE]}, True, None),
        ({"or": [NO, STRANGE]}, False, NOT_UNDERSTOOD),
        ({"and": [YES, STRANGE]}, False, NOT_UNDERSTOOD),
        ({"and": [listed("product", 11), STRANGE]}, False, "Ticket type not allowed"),
        ({"or": [YES, {"==": [{"var": "shoe_size"}, 44]}]}, True, None),
        ({"==": [{"var": "shoe_size"}, 44]}, False, NOT_UNDERSTOOD),
        ({"isAfter": [{"var": "now"}, at("full_moon")]}, False, NOT_UNDERSTOOD),
        ({"isAfter": [{"var": "now"}, at("custom", "next Friday")]}, False, NOT_UNDERSTOOD),
        # What is malformed lets nobody in, as on the server.
        ({"or": [YES, BROKEN]}, False, NOT_UNDERSTOOD),
        ({"and": [YES, {}]}, False, NOT_UNDERSTOOD),
        ({"and": [YES], "or": [YES]}, False, NOT_UNDERSTOOD),
        ({"<": [1]}, False, NOT_UNDERSTOOD),
        ({"isAfter": [{"var": "now"}, None]}, False, NOT_UNDERSTOOD),
        ({"isAfter": [{"var": "now"}, at("custom", "2026-11-24T10:00:00")]}, False, NOT_UNDERSTOOD),
        ({"isAfter": [{"var": "now"}, at("custom", "2026-11-24T10:00:00Z"), "soon"]}, False, NOT_UNDERSTOOD),
        ({"isAfter": [{"var": "now"}, at("custom", "2026-11-24T10:00:00Z"), 1e30]}, False, NOT_UNDERSTOOD),
        ({"isAfter": [{"var": "now"}, at("custom", "9999-12-31T23:00:00Z"), -999]}, False, NOT_UNDERSTOOD),
        ({"==": [{"lookup": ["product", float("inf"), "x"]}, 1]}, False, NOT_UNDERSTOOD),
    ],
)
def test_what_is_not_understood_decides_only_where_the_rest_does_not(
    rules: dict[str, Any], is_let_in: bool, explanation: str | None
) -> None:
    assert lets_in(rules) is is_let_in
    assert objection(rules, DOOR) == explanation


def test_rules_are_read_as_deep_as_anybody_writes_them_and_no_deeper() -> None:
    def nested(depth: int) -> dict[str, Any]:
        rules = YES
        for _ in range(depth):
            rules = {"and": [rules]}
        return rules

    assert lets_in(nested(MAX_DEPTH))
    assert objection(nested(MAX_DEPTH + 1), DOOR) == NOT_UNDERSTOOD
    assert objection(nested(900), DOOR) == NOT_UNDERSTOOD


# --- comparisons ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({"==": [1, 1.0]}, True),
        ({"==": ["1", 1]}, True),
        ({"==": [True, 1]}, True),
        ({"==": [True, 2]}, True),
        ({"==": [None, False]}, True),
        ({"==": [None, 0]}, False),
        ({"!=": [1, 2]}, True),
        ({"!=": [1, "1"]}, False),
        ({"<": [1, 2]}, True),
        ({"<": [2, 2]}, False),
        ({"<": [1, 2, 3]}, True),
        ({"<": [1, 3, 2]}, False),
        ({"<": ["2", 10]}, True),
        ({"<": ["2", "10"]}, False),
        ({"<": ["x", 1]}, False),
        ({"<=": [2, 2]}, True),
        ({"<=": [3, 2]}, False),
        ({"<=": [1, 2, 2]}, True),
        ({">": [2, 1]}, True),
        ({">": [2, 2]}, False),
        ({">=": [2, 2]}, True),
        ({">=": [1, 2]}, False),
        ({"inList": [1, [1, 2]]}, True),
        ({"inList": ["1", [1, 2]]}, False),
        ({"inList": [1, []]}, False),
        ({"inList": [1, [[1], {"a": 1}]]}, False),
    ],
)
def test_comparisons_are_those_of_javascript(rules: dict[str, Any], expected: bool) -> None:
    assert lets_in(rules) is expected


# --- variables --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (listed("product", 10, 11), True),
        (listed("product", 11), False),
        (listed("variation", 3), True),
        (listed("variation", 4), False),
        (listed("gate", 1), True),
        (listed("gate", 2), False),
        ({"==": [{"var": "product"}, 10]}, True),
        ({"==": [{"var": ["product"]}, 10]}, True),
        ({"==": [{"var": "now_isoweekday"}, 2]}, True),
        ({"==": [{"var": "now_isoweekday"}, 3]}, False),
    ],
)
def test_ticket_gate_and_day_of_the_week(rules: dict[str, Any], expected: bool) -> None:
    assert lets_in(rules) is expected


def test_a_ticket_without_variation_and_a_box_without_gate_are_in_no_list() -> None:
    assert not lets_in(listed("variation", 3), variation=None)
    assert not lets_in(listed("gate", 1), gate=None)


def test_the_day_of_the_week_is_the_one_in_the_events_zone() -> None:
    tuesday = {"==": [{"var": "now_isoweekday"}, 2]}
    late = datetime(2026, 11, 24, 23, 30, tzinfo=UTC)
    assert not lets_in(tuesday, at=late)
    assert lets_in(tuesday, at=late, zone=UTC)


def equals(name: str | dict[str, Any], value: object) -> dict[str, Any]:
    return {"==": [{"var": name} if isinstance(name, str) else name, value]}


def test_entries_are_counted_in_all_today_and_by_days() -> None:
    # At 20:00: today at 19:00 and 00:30, yesterday at 23:30 and 20:00; exits do not count.
    history = (entry(60), entry(19.5 * 60), entry(20.5 * 60), entry(24 * 60), leave(30))
    for name, value in (("entries_number", 4), ("entries_today", 2), ("entries_days", 2)):
        assert lets_in(equals(name, value), *history), name
        assert lets_in(equals(name, 0)), name
        assert not lets_in(equals(name, 9), *history), name


def test_a_day_begins_at_midnight_in_the_events_zone() -> None:
    history = (entry(19.5 * 60), entry(20.5 * 60))  # 23:30 and 22:30 UTC of the day before
    assert lets_in(equals("entries_days", 1), *history, zone=UTC)
    assert lets_in(equals("entries_days", 2), *history)
    assert lets_in(equals("entries_today", 0), *history, zone=UTC)
    assert lets_in(equals("entries_today", 1), *history)


@pytest.mark.parametrize(
    ("operator", "value"),
    [("entries_since", 2), ("entries_before", 3), ("entries_days_since", 1), ("entries_days_before", 2)],
)
def test_entries_since_and_before(operator: str, value: int) -> None:
    """The cutoff is 18:00; who came in at that very time came in since."""
    history = (PastCheckIn(None), entry(60), entry(120), entry(180), entry(240))
    cut = {operator: [at("customtime", "18:00:00")]}
    assert lets_in(equals(cut, value), *history)
    assert not lets_in(equals(cut, value + 1), *history)
    assert lets_in(equals(cut, 0))


@pytest.mark.parametrize(("name", "value"), [("minutes_since_last_entry", 30), ("minutes_since_first_entry", 90)])
def test_minutes_since_an_entry(name: str, value: int) -> None:
    history = (entry(90.5), leave(60), entry(30.9), leave(5))
    assert lets_in(equals(name, value), *history)
    assert lets_in(equals(name, -1))
    assert not lets_in(equals(name, -1), *history)


def test_minutes_since_an_entry_whose_time_nobody_knows_are_not_understood() -> None:
    door = replace(DOOR, history=(PastCheckIn(None),))
    assert objection({"<": [{"var": "minutes_since_last_entry"}, 5]}, door) == NOT_UNDERSTOOD


def test_entry_status() -> None:
    assert lets_in(equals("entry_status", "absent"))
    assert lets_in(equals("entry_status", "present"), entry(5))
    assert lets_in(equals("entry_status", "absent"), entry(5), leave(1))


# --- times ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("named", "is_after", "is_before"),
    [
        (["custom", "2026-11-24T18:59:59Z"], True, False),
        (["custom", "2026-11-24T19:00:01.000Z"], False, True),
        (["custom", "2026-11-24T20:00:00+01:00"], False, False),
        (["customtime", "19:59:59"], True, False),
        (["customtime", "20:01"], False, True),
        (["date_from"], True, False),
        (["date_to"], False, True),
        (["date_admission"], True, False),
    ],
)
def test_before_and_after_a_time(named: list[str], is_after: bool, is_before: bool) -> None:
    assert lets_in({"isAfter": [{"var": "now"}, at(*named)]}) is is_after
    assert lets_in({"isBefore": [{"var": "now"}, at(*named)]}) is is_before
    assert lets_in({"isBefore": [{"var": "now"}, at(*named), None]}) is is_before


@pytest.mark.parametrize(("tolerance", "expected"), [(0, False), (15, False), (16, True), ("16", True), (None, False)])
def test_a_tolerance_widens_both(tolerance: object, expected: bool) -> None:
    assert lets_in({"isAfter": [{"var": "now"}, at("customtime", "20:15:00"), tolerance]}) is expected
    assert lets_in({"isBefore": [{"var": "now"}, at("customtime", "19:45:00"), tolerance]}) is expected


def test_an_end_or_admission_that_was_not_told_is_the_beginning() -> None:
    for kind in ("date_to", "date_admission"):
        for begin, expected in (("2026-11-24T19:59:00+01:00", True), ("2026-11-24T20:01:00+01:00", False)):
            assert lets_in({"isAfter": [{"var": "now"}, at(kind)]}, dates=(begin, None, None)) is expected


@pytest.mark.parametrize("kind", ["date_from", "date_to", "date_admission"])
def test_dates_that_nobody_told_are_not_understood(kind: str) -> None:
    door = replace(DOOR, dates=(None, None, None))
    assert objection({"isAfter": [{"var": "now"}, at(kind)]}, door) == NOT_UNDERSTOOD


# --- words ------------------------------------------------------------------------------------------------------------

SINCE_NOON = {"entries_since": [at("customtime", "12:00:00")]}


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        (listed("product", 11), "Ticket type not allowed"),
        (listed("variation", 4), "Ticket type not allowed"),
        (listed("gate", 2), "Wrong entrance gate"),
        ({"isAfter": [{"var": "now"}, at("customtime", "21:00:00")]}, "Only allowed after 21:00"),
        ({"isAfter": [{"var": "now"}, at("customtime", "21:00:00"), 30]}, "Only allowed after 20:30"),
        ({"isBefore": [{"var": "now"}, at("customtime", "18:00:00"), 30]}, "Only allowed before 18:30"),
        ({"isAfter": [{"var": "now"}, at("date_to")]}, "Only allowed after 2026-11-26 18:00"),
        ({"<": [{"var": "now"}, at("date_from")]}, "Not allowed at this time"),
        (equals("now_isoweekday", 1), "Not allowed on a Tuesday"),
        (equals("entry_status", "absent"), "Already inside"),
        ({"<": [{"var": "entries_today"}, 1]}, "Maximum number of entries today exceeded"),
        ({">": [{"var": "entries_number"}, 1]}, "Minimum number of entries not reached"),
        (equals("entries_days", 3), "Number of days with an entry is 1"),
        ({"<": [SINCE_NOON, 1]}, "Maximum number of entries since 12:00 exceeded"),
        ({">": [{"var": "minutes_since_last_entry"}, 60]}, "Too soon after the last entry"),
        ({"<": [{"var": "minutes_since_first_entry"}, 20]}, "Too long after the first entry"),
        (equals("minutes_since_last_entry", -1), "Only for a first entry"),
        (NO, "Not allowed by the rules of this list"),
        ({"and": [listed("product", 11), listed("gate", 2), YES]}, "Ticket type not allowed, Wrong entrance gate"),
        ({"and": [listed("product", 11), listed("product", 12)]}, "Ticket type not allowed"),
        # Of two ways in, the one that the guest comes closer to.
        (
            {"or": [listed("product", 11), {"isAfter": [{"var": "now"}, at("date_to")]}]},
            "Only allowed after 2026-11-26 18:00",
        ),
        (
            {
                "or": [
                    {"isAfter": [{"var": "now"}, at("customtime", "22:00")]},
                    {"isBefore": [{"var": "now"}, at("customtime", "19:00")]},
                ]
            },
            "Only allowed before 19:00",
        ),
        (
            {"or": [{"and": [listed("product", 11), equals("entry_status", "absent")]}, listed("gate", 2)]},
            "Wrong entrance gate",
        ),
        (
            {"or": [equals("minutes_since_last_entry", -1), {">": [{"var": "minutes_since_last_entry"}, 60]}]},
            "Too soon after the last entry",
        ),
    ],
)
def test_staff_read_which_condition_failed(rules: dict[str, Any], words: str) -> None:
    assert objection(rules, replace(DOOR, history=(entry(30),))) == words


def test_staff_read_that_somebody_is_not_inside_or_never_came() -> None:
    assert objection(equals("entry_status", "present"), DOOR) == "Not inside"
    assert objection({">": [{"var": "minutes_since_last_entry"}, 60]}, DOOR) == "Only after an earlier entry"


# --- nothing upsets it ------------------------------------------------------------------------------------------------

WORDS = [
    *("and", "or", "==", "!=", "<", "<=", ">", ">=", "inList", "isBefore", "isAfter", "var", "buildTime", "objectList"),
    *("lookup", "entries_since", "entries_before", "entries_days_since", "entries_days_before"),
]
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(
        [*VARIABLES, "custom", "customtime", "date_from", "0001-01-01T00:00:00Z", "9999-12-31T23:00Z", "23:59"]
    )
    | st.just(10**400)
)
rules_of_all_kinds = st.recursive(
    leaves | st.sampled_from([{"var": name} for name in VARIABLES]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(WORDS), st.lists(inner, max_size=3) | inner, min_size=1, max_size=1)
        | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=20,
)
instants = st.datetimes(timezones=st.just(UTC))


@given(
    st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=3), rules_of_all_kinds, max_size=2),
    instants,
    st.lists(st.builds(PastCheckIn, st.none() | instants, direction=st.sampled_from(Direction)), max_size=3).map(tuple),
    st.sampled_from(["UTC", "Europe/Berlin", "Pacific/Apia"]),
)
def test_any_json_gives_a_verdict_and_the_same_again(
    rules: dict[str, Any], now: datetime, history: tuple[PastCheckIn, ...], zone: str
) -> None:
    door = replace(DOOR, at=now, history=history, zone=ZoneInfo(zone))
    before = json.dumps(rules)
    verdict = objection(rules, door)
    assert verdict is None or verdict.strip()
    assert objection(rules, door) == verdict
    assert json.dumps(rules) == before, "rules belong to the list"


@given(st.integers(0, 2**32), instants)
def test_comparisons_at_any_time_give_a_verdict(seed: int, now: datetime) -> None:
    """Well-formed comparisons with times from one end of the calendar to the other."""
    chosen = random.Random(seed)
    named = chosen.choice(
        [
            ["custom", "0001-01-01T00:00:00+14:00"],
            ["custom", "9999-12-31T23:59:59-12:00"],
            ["customtime", "00:00"],
            ["date_to"],
        ]
    )
    operator = chosen.choice(["isBefore", "isAfter"])
    tolerance = chosen.choice([None, 0, 60, 10**9, 10**30, -1, 1e308])
    rules = {operator: [{"var": "now"}, {"buildTime": named}, tolerance]}
    verdict = objection(rules, replace(DOOR, at=now))
    assert verdict is None or verdict.strip()
