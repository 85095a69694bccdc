"""The power goes while a damaged database is being restored: the next start goes on, and nothing is lost by it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgebox.store import Store
from edgebox.store.db import DATABASE_NAME
from edgebox.store.restorations import REPORT
from tests.store.evening import AFTER, Evening, assert_whole, facts, left_damaged, report_of
from tests.store.venue import Venue

DIED = 9
STEPS = ("rename", "fsync", "mkdir")
"""What a restoration consists of, as the disk sees it."""


def die_before(step: int) -> None:
    """Let this process end right before the disk is told something for the `step`th time."""
    left = step

    def counted(works: Callable[..., Any]) -> Callable[..., Any]:
        def work(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                os._exit(DIED)
            return works(*arguments, **options)

        return work

    for name in STEPS:
        setattr(os, name, counted(getattr(os, name)))


def start_and_die(data_dir: Path, step: int) -> bool:
    """Start a box's store in a process that dies at this step; whether it came so far."""
    child = os.fork()
    if child == 0:
        try:
            die_before(step)
            Store(data_dir)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == DIED


@pytest.mark.parametrize("which", ["moved", "in_log"])
def test_it_goes_on_where_it_was(
    which: str, request: pytest.FixtureRequest, tmp_path: Path, opened: Callable[[Path], Venue]
) -> None:
    evening = request.getfixturevalue(which)
    whole = opened(left_damaged(evening, tmp_path / "whole"))
    step = 0
    while start_and_die(left_damaged(evening, tmp_path / f"left{step}").parent, step):
        database = tmp_path / f"left{step}" / DATABASE_NAME
        venue = opened(database)
        assert facts(venue.journal) == facts(whole.journal), step
        assert_whole(venue)
        report = report_of(venue)
        assert report.salvaged == report_of(whole).salvaged
        kept = {path.name for path in (database.parent / report.kept_in).iterdir()}
        assert kept >= {REPORT, *(path.name for path in (whole.data_dir / report_of(whole).kept_in).iterdir())}
        assert sorted(path.name for path in database.parent.iterdir()) == [
            "copies", "edgebox.reserve", *(f"{DATABASE_NAME}{ending}" for ending in ("", "-shm", "-wal")), "replaced",
        ]  # fmt: skip
        venue.close()
        step += 1
    assert step > 12


@pytest.mark.parametrize("steps", [(5, 0, 3), (9, 1, 1, 1)])
def test_it_may_be_cut_short_again_and_again(
    moved: Evening, tmp_path: Path, opened: Callable[[Path], Venue], steps: tuple[int, ...]
) -> None:
    database = left_damaged(moved, tmp_path / "left")
    for step in steps:
        assert start_and_die(database.parent, step)
    venue = opened(database)
    assert facts(venue.journal) == facts(moved.journal)
    assert report_of(venue).salvaged == AFTER + 6
