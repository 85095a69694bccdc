"""Exits where upstream knows none are kept: never pushed, never settled, there for good, and staff can undo them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edgebox.clock import Stamp
from edgebox.export import journal_row
from edgebox.model import CheckIn, CheckInState, ConflictReason, Direction, Reason, RedeemRequest, SourceKind, StampKind
from edgebox.store import Refused
from edgebox.store.journal import Backlog
from edgebox.store.redeem import Scan
from tests.store.fair import Fair, a_ticket, an_order
from tests.store.venue import EIGHT, LET_IN, Venue, told

EXIT = Direction.EXIT


@pytest.fixture(params=[SourceKind.PRETIXDROID, SourceKind.FILE])
def any_venue(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Venue]:
    """With an upstream that knows no exits, and with none at all."""
    (tmp_path / "any").mkdir()
    opened = Venue(tmp_path / "any", kind=request.param)
    opened.pull(told("t1"), told("t2"))
    try:
        yield opened
    finally:
        opened.close()


@pytest.fixture
def left(venue: Venue) -> Venue:
    """Somebody has come and gone, where upstream knows of entries only."""
    venue.pull(told("t1"), told("t2"))
    venue.scan()
    venue.scan(direction=EXIT)
    return venue


def undo(venue: Venue, checkin: CheckIn | None = None) -> None:
    venue.store.journal.undo((checkin or venue.checkin).id, "Bea", "only looked out", venue.now)


def states(venue: Venue) -> list[tuple[str, str]]:
    return [(row.checkin.direction.value, row.checkin.state.value) for row in venue.journal]


# --- never pushed, there for good -------------------------------------------------------------------------------------


def test_an_exit_is_kept_and_the_journal_says_so(any_venue: Venue) -> None:
    assert any_venue.scan(direction=EXIT) is LET_IN
    checkin = any_venue.checkin
    assert (checkin.state, checkin.direction, checkin.settled_at) == (CheckInState.KEPT, EXIT, None)
    row = journal_row(any_venue.journal[-1])
    assert (row["state"], row["direction"], row["settled"], row["settled_at"]) == ("kept", "exit", False, None)


def test_it_is_never_pending(left: Venue) -> None:
    assert [checkin.direction for checkin in left.pending()] == [Direction.ENTRY]
    assert left.store.journal.backlog(left.list_id).pending == 1
    left.settle()
    assert left.store.journal.backlog(left.list_id) == Backlog(0, 0, None)
    assert states(left) == [("entry", "settled"), ("exit", "kept")]


def test_nothing_that_comes_of_a_push_touches_it(left: Venue) -> None:
    exit_ = left.checkin
    left.store.journal.settle(exit_, left.now)
    left.store.journal.park(exit_, ConflictReason.REFUSED, "no", left.now)
    assert left.checkin == exit_


@pytest.mark.parametrize("redeemed", [False, True])
def test_a_pull_leaves_it_alone(left: Venue, redeemed: bool) -> None:
    left.settle()
    for _ in range(2):
        left.pull(told("t1", redeemed=redeemed), told("t2"))
    assert states(left) == [("entry", "settled"), ("exit", "kept")]
    assert left.inside() == set()
    assert left.scan() is (Reason.ALREADY_REDEEMED if redeemed else LET_IN)


def test_it_is_there_after_a_restart(left: Venue) -> None:
    left.close()
    again = Venue(left.data_dir)
    assert states(again) == [("entry", "pending"), ("exit", "kept")]
    assert again.inside() == set()
    again.close()


def test_it_does_not_keep_a_list_from_being_removed(left: Venue) -> None:
    left.settle()
    left.store.lists.remove(left.list_id, left.now)
    assert states(left) == [("entry", "settled"), ("exit", "kept")]


def test_where_upstream_knows_exits_it_is_pushed_as_ever(tmp_path: Path) -> None:
    fair = Fair(tmp_path)
    fair.tell(an_order("A", a_ticket(1)))
    fair.scan("s0001")
    fair.scan("s0001", direction=EXIT)
    waiting = fair.store.journal.pending(fair.list_().id, after_id=0, limit=9, choked=False)
    assert [checkin.direction for checkin in waiting] == [Direction.ENTRY, EXIT]
    fair.close()


# --- what it means at the door ----------------------------------------------------------------------------------------


def test_it_lets_nobody_in_a_second_time(any_venue: Venue) -> None:
    any_venue.scan()
    first = any_venue.now
    any_venue.scan(direction=EXIT)
    refused = any_venue.redeem()
    assert refused.verdict.reason is Reason.ALREADY_REDEEMED
    assert refused.verdict.first_use is not None
    assert (refused.verdict.first_use.at, refused.verdict.first_use.direction) == (first, Direction.ENTRY)
    assert refused.is_redeemed


def test_who_was_only_seen_to_leave_may_come_in(any_venue: Venue) -> None:
    assert any_venue.scan(direction=EXIT) is LET_IN
    assert not any_venue.is_in()
    assert any_venue.scan() is LET_IN
    assert any_venue.inside() == {"t1"}


def test_the_list_has_changed_for_whoever_caches_its_numbers(any_venue: Venue) -> None:
    before = any_venue.store.lists.version_of(any_venue.list_id)
    any_venue.scan(direction=EXIT)
    assert any_venue.store.lists.version_of(any_venue.list_id) > before


def test_one_that_was_forced_is_flagged_like_any_other(venue: Venue) -> None:
    venue.pull(told("t1"), told("t2"))
    venue.pull(told("t1"))
    assert venue.scan("t2", direction=EXIT) is Reason.WITHDRAWN
    assert venue.scan("t2", direction=EXIT, is_forced=True) is LET_IN
    (conflict,) = venue.store.journal.open_conflicts()
    assert (conflict.checkin.conflict, conflict.checkin.state) == (ConflictReason.WITHDRAWN, CheckInState.KEPT)
    venue.store.journal.dismiss(conflict.checkin.id, "so be it", venue.now)
    assert venue.store.journal.open_conflicts() == []
    assert venue.checkin.state is CheckInState.KEPT
    with pytest.raises(Refused, match="is kept, not parked"):
        venue.store.journal.retry(venue.checkin.id)


def test_a_time_that_cannot_be_is_flagged_and_no_push_is_promised(any_venue: Venue) -> None:
    any_venue.scan(direction=EXIT, datetime=EIGHT + timedelta(days=3))
    assert any_venue.checkin.conflict == ConflictReason.DATETIME_IMPLAUSIBLE
    assert "the device says 2026-11-27" in (any_venue.checkin.conflict_note or "")
    assert "pushed" not in (any_venue.checkin.conflict_note or "")


# --- undone -----------------------------------------------------------------------------------------------------------


def test_it_can_be_undone_and_counts_no_longer(any_venue: Venue) -> None:
    any_venue.scan()
    any_venue.scan(direction=EXIT)
    assert any_venue.store.journal.is_undoable(any_venue.checkin)
    before = any_venue.store.lists.version_of(any_venue.list_id)
    undo(any_venue)
    assert any_venue.checkin.state is CheckInState.CANCELLED
    assert [each.staff_name for each in any_venue.store.journal.cancellations(any_venue.checkin.ticket_id)] == ["Bea"]
    assert any_venue.inside() == {"t1"}
    assert any_venue.store.lists.version_of(any_venue.list_id) > before
    assert not any_venue.store.journal.is_undoable(any_venue.checkin)
    with pytest.raises(Refused, match="is cancelled"):
        undo(any_venue)


def test_also_after_a_restart_for_nobody_else_was_ever_told(left: Venue) -> None:
    left.close()
    again = Venue(left.data_dir)
    entry, exit_ = (row.checkin for row in again.journal)
    assert not again.store.journal.is_undoable(entry)
    with pytest.raises(Refused, match="upstream may know"):
        undo(again, entry)
    assert again.store.journal.is_undoable(exit_)
    undo(again, exit_)
    assert states(again) == [("entry", "pending"), ("exit", "cancelled")]
    again.close()


def test_the_entry_beside_it_keeps_its_own_rules(left: Venue) -> None:
    """An undo of the exit tells no push to leave the entry out."""
    entry = left.pending()[0]
    undo(left)
    assert left.store.journal.claims.claim(entry.id)


def test_not_once_its_list_was_removed(left: Venue) -> None:
    left.settle()
    left.store.lists.remove(left.list_id, left.now)
    assert not left.store.journal.is_undoable(left.checkin)
    with pytest.raises(Refused, match="was removed"):
        undo(left)


# --- the clock --------------------------------------------------------------------------------------------------------


def scan_untrusted(venue: Venue, way: Direction, *, boot_id: str = "now", boottime_s: float) -> None:
    stamp = Stamp(datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=boottime_s), boot_id, boottime_s, False)
    asked = RedeemRequest("t1", direction=way, is_forced=True)
    venue.store.redeemer.redeem(Scan(venue.list_id, venue.device, asked, stamp, is_offline=True))


def correct(venue: Venue, *, is_known: bool = True) -> None:
    venue.store.stamps.correct("now", lambda s: EIGHT + timedelta(seconds=s) if is_known else None, venue.now)


def test_its_time_is_corrected_along_with_the_entries(venue: Venue) -> None:
    """Else whoever came and went before the box knew the time would be inside for the rest of the evening."""
    venue.pull(told("t1"))
    scan_untrusted(venue, Direction.ENTRY, boottime_s=100.0)
    scan_untrusted(venue, EXIT, boottime_s=200.0)
    assert venue.inside() == set()
    correct(venue, is_known=False)
    assert venue.checkin.stamp is StampKind.UNTRUSTED
    assert venue.store.stamps.has_kept(venue.list_id)
    before = venue.store.lists.version_of(venue.list_id)
    correct(venue)
    assert venue.store.lists.version_of(venue.list_id) > before
    assert (venue.checkin.stamp, venue.checkin.datetime) == (StampKind.CORRECTED, EIGHT + timedelta(seconds=200))
    assert venue.checkin.state is CheckInState.KEPT
    assert venue.inside() == set()
    assert not venue.store.stamps.has_kept(venue.list_id)


def test_one_of_an_earlier_boot_is_flagged(venue: Venue) -> None:
    venue.pull(told("t1"))
    scan_untrusted(venue, EXIT, boot_id="before", boottime_s=200.0)
    correct(venue)
    assert (venue.checkin.stamp, venue.checkin.conflict) == (
        StampKind.UNCORRECTABLE, ConflictReason.CLOCK_UNTRUSTED,
    )  # fmt: skip


def test_on_a_list_from_a_file_no_time_is_corrected_so_their_order_stays(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    venue = Venue(tmp_path / "file", kind=SourceKind.FILE)
    venue.pull(told("t1"))
    scan_untrusted(venue, Direction.ENTRY, boottime_s=100.0)
    scan_untrusted(venue, EXIT, boottime_s=200.0)
    scan_untrusted(venue, Direction.ENTRY, boottime_s=300.0)
    correct(venue)
    assert {row.checkin.stamp for row in venue.journal} == {StampKind.UNTRUSTED}
    assert venue.inside() == {"t1"}
    venue.close()


def test_a_correction_that_changes_nothing_is_no_change_to_whoever_caches(venue: Venue) -> None:
    venue.pull(told("t1"))
    scan_untrusted(venue, EXIT, boottime_s=200.0)
    before = venue.store.lists.version_of(venue.list_id)
    correct(venue, is_known=False)
    assert venue.store.lists.version_of(venue.list_id) == before
