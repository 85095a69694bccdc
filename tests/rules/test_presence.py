"""Who is inside, whether another entry is one too many, and a list that is emptied daily."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebox.model import Direction, ListTerms, PastCheckIn
from edgebox.rules import emptied_at, first_use, is_inside, is_used_up
from edgebox.rules.presence import in_order

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def entry(hour: float | None, device: str | None = None) -> PastCheckIn:
    return PastCheckIn(None if hour is None else NOON + timedelta(hours=hour), device)


def leave(hour: float) -> PastCheckIn:
    return PastCheckIn(NOON + timedelta(hours=hour), direction=Direction.EXIT)


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ((), False),
        ((entry(0),), True),
        ((entry(None),), True),
        ((leave(0),), False),
        ((entry(0), leave(1)), False),
        ((leave(1), entry(0)), False),
        ((entry(1), leave(0)), True),
        ((entry(None), leave(0)), False),
        ((leave(0), entry(None)), False),
        ((entry(0), leave(1), entry(2)), True),
        # In the same minute the store's order decides: phones that scanned offline send minutes only.
        ((entry(0), leave(0)), False),
        ((leave(0), entry(0)), True),
    ],
)
def test_who_came_in_last_and_has_not_left_is_inside(history: tuple[PastCheckIn, ...], expected: bool) -> None:
    assert is_inside(history) is expected


@pytest.mark.parametrize(
    ("history", "is_in"),
    [
        ((entry(-2),), False),
        ((entry(None),), False),
        ((entry(0),), True),
        ((entry(1),), True),
        ((entry(-2), entry(1)), True),
        ((entry(-2), leave(-1)), False),
        ((leave(-1),), False),
        ((), False),
    ],
)
def test_an_emptied_list_puts_out_who_came_in_before(history: tuple[PastCheckIn, ...], is_in: bool) -> None:
    assert is_inside(history, NOON) is is_in


def test_an_emptied_list_adds_an_exit_only_for_those_who_were_inside() -> None:
    assert in_order((entry(1), entry(-1)), NOON) == (entry(-1), leave(0), entry(1))
    assert in_order((leave(-1), entry(-2)), NOON) == (entry(-2), leave(-1))
    assert in_order((entry(0),), NOON) == (entry(0),)


def test_emptying_permits_another_entry_only_where_an_exit_would() -> None:
    history = (entry(-2),)
    assert is_used_up(history, ListTerms())
    assert not is_used_up(history, ListTerms(), NOON)
    assert is_used_up(history, ListTerms(allow_entry_after_exit=False), NOON)


@given(
    st.lists(st.sampled_from([entry(0), entry(1), entry(None), leave(0), leave(2)])),
    st.booleans(),
    st.booleans(),
    st.none() | st.just(NOON),
)
def test_a_ticket_is_never_used_up_before_its_first_entry(
    history: list[PastCheckIn], multi: bool, reentry: bool, emptied: datetime | None
) -> None:
    terms = ListTerms(allow_multiple_entries=multi, allow_entry_after_exit=reentry)
    entries = sum(past.direction is Direction.ENTRY for past in history)
    assert is_used_up(history, None, emptied) is (entries > 0)
    used_up = is_used_up(history, terms, emptied)
    assert used_up is (entries > 0 and not multi and (not reentry or is_inside(history, emptied)))


def test_the_first_use_is_the_earliest_entry_whose_time_is_known() -> None:
    assert first_use(()) is None
    assert first_use((leave(0),)) is None
    assert first_use((entry(None, "a"), entry(None, "b"))) == entry(None, "a")
    assert first_use((entry(None), leave(-3), entry(2), entry(1))) == entry(1)


@pytest.mark.parametrize(
    ("exit_all_at", "at", "expected"),
    [
        # Before the first time nothing happens, whatever the time of day.
        ("2026-11-24T04:00", "2026-11-24T03:59", None),
        ("2026-11-24T04:00", "2026-11-23T12:00", None),
        ("2026-11-24T04:00", "2026-11-24T04:00", "2026-11-24T04:00"),
        ("2026-11-24T04:00", "2026-11-24T23:00", "2026-11-24T04:00"),
        ("2026-11-24T04:00", "2026-11-25T03:59", "2026-11-24T04:00"),
        ("2026-11-24T04:00", "2026-11-25T04:00", "2026-11-25T04:00"),
        ("2026-11-24T04:00", "2026-12-24T12:00", "2026-12-24T04:00"),
        ("2026-11-24T23:30", "2026-11-26T00:15", "2026-11-25T23:30"),
        # The time of day is that of the wall, on both sides of a change of the clock.
        ("2026-10-24T04:00", "2026-10-26T12:00", "2026-10-26T04:00"),
        ("2027-03-27T04:00", "2027-03-28T12:00", "2027-03-28T04:00"),
        # 02:30 does not exist on this day: an hour later; and exists twice on that one: the second time.
        ("2027-03-27T02:30", "2027-03-28T12:00", "2027-03-28T03:30"),
        ("2026-10-24T02:30", "2026-10-25T12:00", "2026-10-25T01:30+00:00"),
    ],
)
def test_a_list_is_emptied_daily_from_its_first_time_on(exit_all_at: str, at: str, expected: str | None) -> None:
    emptied = emptied_at(ListTerms(exit_all_at=berlin(exit_all_at)), BERLIN, berlin(at).astimezone(UTC))
    wanted = None
    if expected is not None:
        wanted = datetime.fromisoformat(expected) if "+" in expected else berlin(expected)
        wanted = wanted.astimezone(UTC)
    assert emptied == wanted


def test_a_first_time_in_the_hour_that_comes_twice_empties_once() -> None:
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # 02:30 summer time
    assert emptied_at(ListTerms(exit_all_at=first), BERLIN, datetime(2026, 10, 25, 12, tzinfo=UTC)) == first


def test_without_such_a_time_a_list_is_never_emptied() -> None:
    assert emptied_at(None, BERLIN, NOON) is None
    assert emptied_at(ListTerms(), BERLIN, NOON) is None


@given(
    st.datetimes(timezones=st.just(UTC)),
    st.datetimes(timezones=st.just(UTC)),
    st.sampled_from(["UTC", "Europe/Berlin", "Pacific/Apia", "America/St_Johns"]),
)
def test_emptying_is_the_latest_time_that_is_past_and_never_before_the_first(
    first: datetime, at: datetime, zone: str
) -> None:
    emptied = emptied_at(ListTerms(exit_all_at=first), ZoneInfo(zone), at)
    if at < first:
        assert emptied is None
    else:
        assert emptied is not None
        assert first <= emptied <= at
        if first.year > 1 and 1 < at.year < 9999:
            assert at - emptied < timedelta(hours=50)
