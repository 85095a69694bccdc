"""Check-ins a minute over the evening as bars, drawn on the server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from edgebox.store.rates import MinuteCount

LEFT, RIGHT, TOP, BOTTOM = 30, 10, 10, 24
LABEL_WIDTH = 56
GAP = 0.15
"""Of a bar's place, what is left free."""
MIN_MINUTES = 30
STEPS_MIN = (1, 2, 5, 10, 15, 30, 60)
LABEL_STEPS_MIN = (5, 10, 15, 30, 60, 120, 240)
EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


@dataclass(frozen=True, slots=True)
class Paper:
    """What is drawn on: its size in units, and how many bars are legible on it."""

    width: int
    height: int
    max_bars: int


WIDE = Paper(720, 220, 120)
NARROW = Paper(330, 190, 50)
WALL = Paper(1280, 230, 160)
"""Units are about the pixels of what shows it, so that the writing is neither tiny nor huge."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: where it stands in the picture, and what it means."""

    x: float
    y: float
    width: float
    height: float
    begins_at: datetime
    count: int
    by_device: tuple[tuple[str, int], ...]
    is_filling: bool
    """Its time is not over yet."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing. Bars have `step_min` minutes each and are as high as the check-ins a minute within them."""

    paper: Paper
    bars: tuple[Bar, ...]
    step_min: int
    lines: tuple[tuple[float, int], ...]
    """Where a line goes, and how many a minute it means."""
    labels: tuple[tuple[float, datetime], ...]
    slot: float
    """How much of the picture belongs to a bar."""

    @property
    def peak(self) -> Bar:
        return max(self.bars, key=lambda bar: bar.count)

    @property
    def ground(self) -> int:
        """Where the bars stand."""
        return self.paper.height - BOTTOM


def draw(counts: list[MinuteCount], now: datetime, paper: Paper) -> Chart | None:
    """The evening from its first check-in until now; None before the first."""
    if not counts:
        return None
    # Nothing is after now, except when the clock was set back.
    now = max(now, *(count.minute for count in counts))
    first = min(min(count.minute for count in counts), now - timedelta(minutes=MIN_MINUTES))
    minutes = (now - first) / timedelta(minutes=1)
    step_min = next((step for step in STEPS_MIN if minutes / step < paper.max_bars), STEPS_MIN[-1])
    step = timedelta(minutes=step_min)
    begins_at = _floor(first, step)
    slots = int((now - begins_at) / step) + 1
    by_slot: dict[int, dict[str, int]] = {}
    for count in counts:
        devices = by_slot.setdefault(int((count.minute - begins_at) / step), {})
        devices[count.device_name] = devices.get(count.device_name, 0) + count.checkins
    values = _values(max(sum(devices.values()) for devices in by_slot.values()) / step_min)
    room = paper.height - BOTTOM - TOP
    slot = (paper.width - LEFT - RIGHT) / slots
    scale = room / values[-1]
    bars = []
    for index, devices in sorted(by_slot.items()):
        total = sum(devices.values())
        height = max(1.0, scale * total / step_min)
        bars.append(
            Bar(
                x=round(LEFT + (index + GAP / 2) * slot, 1),
                y=round(paper.height - BOTTOM - height, 1),
                width=round(slot * (1 - GAP), 1),
                height=round(height, 1),
                begins_at=begins_at + index * step,
                count=total,
                by_device=tuple(sorted(devices.items(), key=lambda entry: (-entry[1], entry[0]))),
                is_filling=index == slots - 1,
            )
        )
    return Chart(
        paper=paper,
        bars=tuple(bars),
        step_min=step_min,
        lines=tuple((round(paper.height - BOTTOM - scale * value, 1), value) for value in values),
        labels=tuple(_labels(paper, begins_at, slots * step)),
        slot=round(slot, 1),
    )


def _values(highest: float) -> list[int]:
    """Round numbers from 0 up to at least the highest, three or four of them."""
    steps = (factor * 10**power for power in range(10) for factor in (1, 2, 5))
    step = next(step for step in steps if step * 4 >= highest)
    return list(range(0, step * 5, step))[: int(-(-highest // step)) + 1]


def _labels(paper: Paper, begins_at: datetime, length: timedelta) -> Iterator[tuple[float, datetime]]:
    """Round times with room for each."""
    drawn = paper.width - LEFT - RIGHT
    fitting = max(1, drawn // LABEL_WIDTH)
    minutes = length / timedelta(minutes=1)
    every = timedelta(minutes=next((s for s in LABEL_STEPS_MIN if minutes / s <= fitting), LABEL_STEPS_MIN[-1]))
    at = _floor(begins_at, every)
    while at < begins_at + length:
        x = LEFT + drawn * ((at - begins_at) / length)
        if LEFT <= x <= paper.width - LABEL_WIDTH / 2:
            yield round(x, 1), at
        at += every


def _floor(instant: datetime, step: timedelta) -> datetime:
    return instant - (instant - EPOCH) % step
