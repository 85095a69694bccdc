"""The journal: rows that move from pending to settled, parked or dismissed, are flagged once, and are never deleted."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from edgebox.clock import Stamp
from edgebox.model import CheckInState, ConflictReason, RedeemRequest, StampKind
from edgebox.store import Refused
from edgebox.store.journal import Backlog
from edgebox.store.redeem import Scan
from tests.store.venue import EIGHT, LET_IN, Venue, many, told


@pytest.fixture(autouse=True)
def ticket(venue: Venue) -> None:
    venue.pull(told("t1", attendee_name="Ada"), told("t2"), told("t3"))


def test_a_checkin_is_recorded_with_all_that_push_and_staff_need(venue: Venue) -> None:
    venue.scan(
        nonce="n1",
        datetime=EIGHT,
        is_forced=True,
        ignores_unpaid=True,
        answers={7: "Größe M", 8: ""},
    )
    checkin = venue.checkin
    assert checkin == venue.pending()[0]
    assert (checkin.list_id, checkin.secret, checkin.nonce) == (venue.list_id, "t1", "n1")
    assert (checkin.datetime, checkin.received_at) == (EIGHT, EIGHT + timedelta(seconds=1))
    assert checkin.stamp is StampKind.CLIENT
    assert (checkin.is_forced, checkin.is_offline, checkin.ignores_unpaid) == (True, False, True)
    assert checkin.answers == {7: "Größe M", 8: ""}
    assert (checkin.state, checkin.tries, checkin.settled_at) == (CheckInState.PENDING, 0, None)
    assert checkin.device_name == "Gate 1"


def test_without_a_time_of_the_client_the_box_stamps(venue: Venue) -> None:
    venue.scan()
    assert (venue.checkin.datetime, venue.checkin.stamp) == (venue.now, StampKind.TRUSTED)
    assert venue.checkin.received_at == venue.now


def test_pending_checkins_come_oldest_first_and_choked_ones_apart(venue: Venue) -> None:
    for secret in ("t1", "t2", "t3"):
        venue.scan(secret)
    first, second, third = venue.pending()
    venue.store.journal.choked(second, "500")
    pending = venue.store.journal.pending
    assert [each.id for each in pending(venue.list_id, after_id=0, limit=10, choked=False)] == [first.id, third.id]
    assert [each.id for each in pending(venue.list_id, after_id=0, limit=10, choked=True)] == [second.id]
    assert [each.id for each in pending(venue.list_id, after_id=first.id, limit=10, choked=False)] == [third.id]
    assert [each.id for each in pending(venue.list_id, after_id=0, limit=1, choked=False)] == [first.id]
    assert pending(venue.list_id + 1, after_id=0, limit=10, choked=False) == []
    assert pending(venue.list_id, after_id=0, limit=10, choked=True)[0].tries == 1


def test_a_settled_checkin_is_pending_no_more_and_its_list_knows_when(venue: Venue) -> None:
    venue.scan()
    assert venue.list_.last_push is None
    venue.settle()
    assert venue.pending() == []
    assert venue.checkin.state is CheckInState.SETTLED
    assert venue.checkin.settled_at == venue.now == venue.list_.last_push


def test_settling_or_parking_twice_changes_nothing(venue: Venue) -> None:
    venue.scan()
    (checkin,) = venue.pending()
    venue.store.journal.settle(checkin, EIGHT)
    settled = venue.checkin
    venue.store.journal.settle(checkin, EIGHT + timedelta(hours=1), conflict=ConflictReason.UNPAID, note="late")
    venue.store.journal.park(checkin, ConflictReason.REFUSED, "late", EIGHT)
    assert venue.checkin == settled


def test_a_backlog_tells_how_much_waits_and_since_when(venue: Venue) -> None:
    assert venue.store.journal.backlog(venue.list_id) == Backlog(0, 0, None)
    for secret in ("t1", "t2", "t3"):
        venue.scan(secret)
    venue.scan("t1", is_forced=True)
    venue.store.journal.park(venue.pending()[0], ConflictReason.REFUSED, "no", EIGHT)
    assert venue.store.journal.backlog(venue.list_id) == Backlog(3, 2, EIGHT + timedelta(seconds=2))


# --- conflicts --------------------------------------------------------------------------------------------------------


def test_a_conflict_of_the_push_is_flagged(venue: Venue) -> None:
    venue.scan()
    venue.store.journal.settle(
        venue.checkin, venue.now, conflict=ConflictReason.ALREADY_REDEEMED, note="sent again with force"
    )
    (conflict,) = venue.store.journal.open_conflicts()
    assert conflict.checkin == venue.checkin
    assert (conflict.attendee_name, conflict.order_code, conflict.list_name) == ("Ada", "ABCDE", "Main list")
    assert (venue.checkin.conflict, venue.checkin.conflict_note) == ("already_redeemed", "sent again with force")
    assert venue.checkin.state is CheckInState.SETTLED


@pytest.mark.parametrize("closes_it", [False, True])
def test_a_conflict_is_flagged_once(venue: Venue, closes_it: bool) -> None:
    venue.scan()
    venue.scan(is_forced=True)
    forced = venue.checkin
    if closes_it:
        venue.store.journal.dismiss(forced.id, "seen", venue.now)
    venue.store.journal.settle(forced, EIGHT, conflict=ConflictReason.UNPAID, note="again")
    assert venue.checkin.conflict == ConflictReason.ALREADY_REDEEMED
    assert venue.checkin.conflict_opened_at == forced.conflict_opened_at
    assert (venue.checkin.conflict_closed_at is not None) is closes_it


def test_a_doubtful_time_gives_way_to_a_double_entry_and_both_are_noted(venue: Venue) -> None:
    venue.scan(datetime=EIGHT - timedelta(days=3))
    assert venue.checkin.conflict == ConflictReason.DATETIME_IMPLAUSIBLE
    venue.store.journal.dismiss(venue.checkin.id, "a phone with a wrong clock", venue.now)
    venue.store.journal.settle(venue.checkin, venue.now, conflict=ConflictReason.ALREADY_REDEEMED, note="by force")
    assert venue.checkin.conflict == ConflictReason.ALREADY_REDEEMED
    assert venue.checkin.conflict_closed_at is None
    assert (venue.checkin.conflict_note or "").startswith("by force; the device says 2026-11-21T20:00:00")
    assert len(venue.store.journal.open_conflicts()) == 1


def test_staff_dismiss_a_conflict(venue: Venue) -> None:
    venue.scan()
    venue.scan(is_forced=True)
    dismissed = venue.store.journal.dismiss(venue.checkin.id, "twins", venue.now)
    assert (dismissed.closed_reason, dismissed.conflict_closed_at) == ("twins", venue.now)
    assert dismissed.state is CheckInState.PENDING, "it is pushed all the same"
    assert venue.store.journal.open_conflicts() == []
    with pytest.raises(Refused, match="no open conflict"):
        venue.store.journal.dismiss(venue.checkin.id, None, venue.now)


def test_conflicts_are_told_by_list(venue: Venue) -> None:
    venue.scan()
    venue.scan(is_forced=True)
    assert len(venue.store.journal.open_conflicts(venue.list_id)) == 1
    assert venue.store.journal.open_conflicts(venue.list_id + 1) == []


# --- parked -----------------------------------------------------------------------------------------------------------


def test_staff_retry_what_was_parked_and_upstream_then_takes(venue: Venue) -> None:
    venue.scan()
    (checkin,) = venue.pending()
    for _ in range(3):
        venue.store.journal.choked(checkin, "500")
    venue.store.journal.park(checkin, ConflictReason.POISONOUS, "chokes", EIGHT)
    assert venue.pending() == []
    assert venue.checkin.state is CheckInState.PARKED
    retried = venue.store.journal.retry(checkin.id)
    assert (retried.state, retried.tries) == (CheckInState.PENDING, 0)
    with pytest.raises(Refused, match="not parked"):
        venue.store.journal.retry(checkin.id)
    venue.settle()
    assert venue.store.journal.open_conflicts() == []
    assert venue.checkin.closed_reason == "upstream took it"


def test_what_is_parked_again_after_staff_closed_it_is_flagged_again(venue: Venue) -> None:
    venue.scan()
    venue.scan(is_forced=True)
    forced = venue.checkin
    venue.store.journal.dismiss(forced.id, "seen", venue.now)
    venue.store.journal.park(forced, ConflictReason.REFUSED, "upstream refuses it", venue.now)
    (conflict,) = venue.store.journal.open_conflicts()
    assert conflict.checkin.conflict == ConflictReason.REFUSED
    dismissed = venue.store.journal.dismiss(forced.id, "so be it", venue.now)
    assert dismissed.state is CheckInState.DISMISSED
    assert venue.pending()[0].id != forced.id


@pytest.mark.parametrize("action", ["retry", "dismiss"])
def test_an_unknown_checkin_is_refused_in_words(venue: Venue, action: str) -> None:
    with pytest.raises(Refused, match="no check-in 99"):
        venue.store.journal.retry(99) if action == "retry" else venue.store.journal.dismiss(99, None, EIGHT)


# --- the clock --------------------------------------------------------------------------------------------------------


def scan_untrusted(venue: Venue, secret: str, *, boot_id: str, boottime_s: float) -> None:
    stamp = Stamp(datetime(2020, 1, 1, tzinfo=UTC), boot_id, boottime_s, is_trusted=False)
    venue.store.redeemer.redeem(Scan(venue.list_id, venue.device, RedeemRequest(secret), stamp, is_offline=True))


def test_what_was_stamped_without_trust_is_corrected_once(venue: Venue) -> None:
    scan_untrusted(venue, "t1", boot_id="now", boottime_s=100.0)
    assert (venue.checkin.stamp, venue.checkin.is_offline) == (StampKind.UNTRUSTED, True)
    stamps = venue.store.stamps
    stamps.correct("now", lambda boottime_s: None, EIGHT)
    assert venue.checkin.stamp is StampKind.UNTRUSTED, "nobody knows the time yet"
    stamps.correct("now", lambda boottime_s: EIGHT + timedelta(seconds=boottime_s), EIGHT)
    assert (venue.checkin.stamp, venue.checkin.datetime) == (StampKind.CORRECTED, EIGHT + timedelta(seconds=100))
    stamps.correct("now", lambda boottime_s: EIGHT, EIGHT)
    assert venue.checkin.datetime == EIGHT + timedelta(seconds=100)
    assert venue.checkin.conflict is None


def test_one_of_an_earlier_boot_cannot_be_corrected_and_is_flagged(venue: Venue) -> None:
    scan_untrusted(venue, "t1", boot_id="before", boottime_s=100.0)
    venue.store.stamps.correct("now", lambda boottime_s: EIGHT, EIGHT)
    assert (venue.checkin.stamp, venue.checkin.datetime.year) == (StampKind.UNCORRECTABLE, 2020)
    assert venue.checkin.conflict == ConflictReason.CLOCK_UNTRUSTED
    assert venue.checkin.state is CheckInState.PENDING


def test_other_checkins_keep_their_time(venue: Venue) -> None:
    venue.scan("t1", datetime=EIGHT)
    venue.scan("t2")
    before = venue.journal
    venue.store.stamps.correct("this-boot", lambda boottime_s: EIGHT + timedelta(days=1), EIGHT)
    assert venue.journal == before


def test_the_last_time_on_record_is_one_that_was_trusted(venue: Venue) -> None:
    assert venue.store.stamps.last_recorded_at() is None
    venue.scan("t1")
    trusted_at = venue.now
    venue.scan("t2", datetime=EIGHT + timedelta(days=400))
    scan_untrusted(venue, "t3", boot_id="now", boottime_s=1.0)
    assert venue.store.stamps.last_recorded_at() == trusted_at


# --- nothing is deleted -----------------------------------------------------------------------------------------------


def test_the_journal_is_handed_out_whole_and_in_order(venue: Venue) -> None:
    first = venue.list_id
    for secret in ("t2", "t1"):
        assert venue.scan(secret) is LET_IN
    venue.list_id = venue.add_list().id
    venue.take_in(many(3))
    venue.scan("s0001")
    assert [row.checkin.secret for row in venue.journal] == ["t2", "t1", "s0001"]
    assert [row.list_name for row in venue.journal] == ["Main list"] * 3
    assert (venue.journal[1].attendee_name, venue.journal[1].item_id) == ("Ada", 10)
    venue.settle()
    venue.list_id = first
    venue.settle()
    for list_ in venue.store.lists.all():
        venue.store.lists.remove(list_.id, venue.now)
    assert [row.checkin.secret for row in venue.journal] == ["t2", "t1", "s0001"]
    assert venue.journal[1].attendee_name == "Ada"


def test_a_revoked_devices_name_stays_in_the_journal(venue: Venue) -> None:
    venue.scan()
    venue.store.devices.revoke(venue.device.id, venue.now)
    assert venue.checkin.device_name == "Gate 1"
    assert replace(venue.checkin) == venue.checkin
