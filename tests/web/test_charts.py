"""The chart of check-ins a minute: what is drawn is what was counted, and it can be read."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from edgebox.store.rates import MinuteCount
from edgebox.web.charts import BOTTOM, LEFT, NARROW, RIGHT, TOP, WALL, WIDE, Chart, Paper, draw

NOW = datetime(2026, 11, 24, 20, 0, 30, tzinfo=UTC)
PAPERS = pytest.mark.parametrize("paper", [WIDE, NARROW, WALL])


def counted(minutes_ago: int, checkins: int, device: str = "Gate A") -> MinuteCount:
    minute = NOW.replace(second=0) - timedelta(minutes=minutes_ago)
    return MinuteCount(minute, device, checkins)


def drawn(counts: list[MinuteCount], paper: Paper = WIDE) -> Chart:
    chart = draw(counts, NOW, paper)
    assert chart is not None
    return chart


def test_before_the_first_check_in_there_is_nothing_to_draw() -> None:
    assert draw([], NOW, WIDE) is None


@PAPERS
@pytest.mark.parametrize("minutes", [0, 1, 29, 31, 119, 121, 480])
def test_every_check_in_is_in_exactly_one_bar_and_every_bar_on_the_paper(paper: Paper, minutes: int) -> None:
    counts = [counted(ago, 1 + ago % 7, f"Gate {ago % 3}") for ago in range(minutes + 1)]
    chart = drawn(counts, paper)
    assert sum(bar.count for bar in chart.bars) == sum(count.checkins for count in counts)
    for bar in chart.bars:
        assert sum(count for _, count in bar.by_device) == bar.count
        assert bar.x >= LEFT
        assert bar.x + bar.width <= paper.width - RIGHT + 0.5
        assert bar.y >= TOP - 0.5
        assert bar.y + bar.height == pytest.approx(paper.height - BOTTOM, abs=0.2)
    assert len(chart.bars) <= paper.max_bars
    assert [bar.x for bar in chart.bars] == sorted(bar.x for bar in chart.bars)


def test_a_bar_is_as_high_as_its_check_ins_a_minute() -> None:
    chart = drawn([counted(300, 10), counted(10, 20)])
    first, second = chart.bars
    assert chart.step_min == 5
    assert second.height == pytest.approx(2 * first.height, abs=0.2)
    lines = dict((value, y) for y, value in chart.lines)
    assert second.y == pytest.approx(lines[4], abs=0.2)  # 20 check-ins in 5 minutes


@pytest.mark.parametrize(
    ("highest", "values"), [(1, [0, 1]), (4, [0, 1, 2, 3, 4]), (9, [0, 5, 10]), (37, [0, 10, 20, 30, 40])]
)
def test_the_lines_are_at_round_numbers_up_to_the_highest(highest: int, values: list[int]) -> None:
    assert [value for _, value in drawn([counted(1, highest)]).lines] == values


def test_the_labels_are_round_times_that_do_not_touch() -> None:
    for paper in (WIDE, NARROW, WALL):
        for minutes in (5, 45, 200, 480):
            labels = drawn([counted(minutes, 1)], paper).labels
            assert labels, (paper, minutes)
            assert all(at.minute % 5 == 0 and at.second == 0 for _, at in labels)
            assert all(b[0] - a[0] >= 30 for a, b in itertools.pairwise(labels)), (paper, minutes)


def test_the_bar_of_this_moment_is_marked_as_not_over() -> None:
    chart = drawn([counted(0, 3), counted(90, 1)])
    assert [bar.is_filling for bar in chart.bars] == [False, True]


def test_devices_are_told_busiest_first() -> None:
    chart = drawn([counted(1, 2, "Gate B"), counted(1, 5, "Gate A"), counted(1, 2, "Annex")])
    assert chart.bars[0].by_device == (("Gate A", 5), ("Annex", 2), ("Gate B", 2))


def test_a_clock_that_was_set_back_breaks_nothing() -> None:
    chart = drawn([counted(-90, 2), counted(30, 1)])
    assert sum(bar.count for bar in chart.bars) == 3
