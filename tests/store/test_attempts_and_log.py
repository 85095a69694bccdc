"""Every attempt is kept, bounded in age and number, and no scan pays for it; the log is its union with the journal."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from edgebox.model import Reason
from edgebox.store import attempts as attempts_module
from edgebox.store import open_for_reading
from edgebox.store.attempts import Attempt, Sighting
from edgebox.store.devices import foreign_repeats
from edgebox.store.log import entries
from tests.store.venue import EIGHT, LET_IN, Venue, commits_in_wal, full_disk, told


def an_attempt(venue: Venue, **changes: object) -> Attempt:
    plain = Attempt(venue.list_id, venue.device.id, None, "nobody", "", "unknown_ticket", False, venue.now)
    return replace(plain, **changes)  # type: ignore[arg-type]


def flush(venue: Venue) -> None:
    """Write something, which takes along what waits."""
    venue.store._writer.write(lambda connection: connection.execute("UPDATE counter SET probes = probes + 1"))


# --- kept -------------------------------------------------------------------------------------------------------------


def test_every_refusal_and_every_repeat_is_kept_beside_the_checkins(venue: Venue) -> None:
    venue.pull(told(), told("unpaid", is_paid=False))
    venue.scan(nonce="n1")
    venue.scan(nonce="n1")
    venue.scan(is_forced=False)
    venue.scan("unpaid")
    venue.scan("nobody", is_forced=True)
    logged = venue.logged(5)
    assert [(entry.secret, entry.verdict, entry.is_repeat, entry.is_forced) for entry in logged] == [
        ("t1", "ok", False, False),
        ("t1", "ok", True, False),
        ("t1", "already_redeemed", False, False),
        ("unpaid", "unpaid", False, False),
        ("nobody", "unknown_ticket", False, True),
    ]
    assert {entry.device_name for entry in logged} == {"Gate 1"}
    assert {entry.list_name for entry in logged} == {"Main list"}
    assert [entry.at for entry in logged] == [EIGHT + timedelta(seconds=number) for number in range(1, 6)]


def test_a_refusal_is_on_disk_within_two_seconds_without_any_other_scan(venue: Venue) -> None:
    venue.pull(told())
    flush(venue)
    before = commits_in_wal(venue.data_dir)
    venue.scan("nobody")
    assert commits_in_wal(venue.data_dir) == before
    assert [entry.secret for entry in venue.logged(1)] == ["nobody"]


def test_a_refusal_joins_the_next_commit(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts_module, "FLUSH_AFTER_S", 3600.0)
    venue.pull(told())
    venue.scan("nobody")
    assert venue.log() == []
    before = commits_in_wal(venue.data_dir)
    venue.scan()
    assert commits_in_wal(venue.data_dir) - before == 1
    assert [entry.secret for entry in venue.log()] == ["nobody", "t1"]


def test_what_waits_is_written_when_the_store_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts_module, "FLUSH_AFTER_S", 3600.0)
    venue = Venue(tmp_path)
    venue.scan("nobody")
    venue.close()
    venue = Venue(tmp_path)
    assert [entry.secret for entry in venue.log()] == ["nobody"]
    venue.close()


# --- repeats ----------------------------------------------------------------------------------------------------------


def test_the_same_nonce_with_the_same_verdict_only_raises_a_count(venue: Venue) -> None:
    for _ in range(4):
        venue.scan("foreign", nonce="n1", is_forced=True)
    flush(venue)
    for _ in range(3):
        venue.scan("foreign", nonce="n1", is_forced=True)
    flush(venue)
    (entry,) = venue.log()
    assert (entry.count, entry.at, entry.last_at) == (7, EIGHT + timedelta(seconds=1), EIGHT + timedelta(seconds=7))


@pytest.mark.parametrize("other", [{"nonce": "n2"}, {"secret": "another"}, {"nonce": ""}])
def test_other_attempts_are_entries_of_their_own(venue: Venue, other: dict[str, str]) -> None:
    for request in ({"secret": "foreign", "nonce": "n1"}, {"secret": "foreign", "nonce": "n1", **other}):
        venue.scan(**request)
    flush(venue)
    assert [entry.count for entry in venue.log()] == [1, 1]


def test_without_a_nonce_each_attempt_is_an_entry(venue: Venue) -> None:
    for _ in range(3):
        venue.scan("nobody")
    flush(venue)
    assert [entry.count for entry in venue.log()] == [1, 1, 1]


def test_another_verdict_on_the_same_nonce_is_an_entry_of_its_own(venue: Venue) -> None:
    venue.scan("t1", nonce="n1")
    venue.pull(told(is_paid=False, checkin_allowed=False))
    venue.scan("t1", nonce="n1")
    flush(venue)
    assert [entry.verdict for entry in venue.log()] == ["unknown_ticket", "unpaid"]


def test_the_devices_that_resend_foreign_entries_for_ever_are_known(venue: Venue) -> None:
    for nonce, times in (("often", 5), ("also often", 3), ("twice", 2)):
        for _ in range(times):
            venue.scan("foreign", nonce=nonce, is_forced=True)
    for _ in range(5):
        venue.scan("foreign", nonce="not forced")
    flush(venue)
    assert foreign_repeats(venue.store.reading()) == {venue.device.id: 2}


# --- bounded ----------------------------------------------------------------------------------------------------------


def test_the_oldest_go_when_there_are_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts_module, "PRUNE_EVERY", 10)
    venue = Venue(tmp_path, attempts_max_count=50)
    for number in range(200):
        venue.store.attempts.add(an_attempt(venue, secret=f"s{number:04d}"))
        # A phone that re-sends must not push out what others tried.
        venue.store.attempts.add(an_attempt(venue, nonce="again and again"))
        if number % 10 == 9:
            flush(venue)
    kept = sorted(entry.secret for entry in venue.log() if entry.secret != "nobody")
    venue.close()
    assert kept[-1] == "s0199"
    assert 49 <= len(kept) <= 60
    assert kept == [f"s{number:04d}" for number in range(200 - len(kept), 200)]


def test_the_oldest_go_when_they_are_too_old(tmp_path: Path) -> None:
    venue = Venue(tmp_path, attempts_max_age_days=1.0)
    venue.store.attempts.add(an_attempt(venue, secret="old"))
    venue.store.attempts.add(an_attempt(venue, secret="re-sent", nonce="n"))
    flush(venue)
    later = EIGHT + timedelta(days=1, seconds=1)
    for secret, nonce in (("re-sent", "n"), ("new", "")):
        venue.store.attempts.add(an_attempt(venue, secret=secret, nonce=nonce, at=later))
    venue.store.attempts._until_prune = 0
    flush(venue)
    assert [entry.secret for entry in venue.log()] == ["re-sent", "new"]
    venue.close()


@pytest.mark.parametrize(
    ("bound", "left"),
    [({"attempts_max_count": 10}, [201, 102, 10, 10]), ({"attempts_max_age_days": 1.0}, [201, 102, 3, 4])],
)
def test_a_smaller_bound_takes_effect_bit_by_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: dict[str, float], left: list[int]
) -> None:
    """No commit drops so many that a scan would have to wait."""
    venue = Venue(tmp_path)
    for number in range(300):
        venue.store.attempts.add(an_attempt(venue, secret=f"s{number:04d}"))
    flush(venue)
    venue.close()
    monkeypatch.setattr(attempts_module, "PRUNE_EVERY", 1)
    monkeypatch.setattr(attempts_module, "PRUNE_AT_MOST", 100)
    venue = Venue(tmp_path, **bound)  # type: ignore[arg-type]
    found = []
    for _ in left:
        venue.store.attempts.add(an_attempt(venue, at=EIGHT + timedelta(days=2)))
        flush(venue)
        found.append(len(venue.log()))
    venue.close()
    assert found == left


def test_an_endless_secret_does_not_fill_the_card(venue: Venue) -> None:
    assert venue.scan("x" * 200_000) is Reason.UNKNOWN_TICKET
    flush(venue)
    (entry,) = venue.log()
    assert entry.secret == "x" * 500


# --- nobody pays for them ---------------------------------------------------------------------------------------------


def test_attempts_that_cannot_be_written_at_all_fail_no_scan(venue: Venue) -> None:
    venue.pull(told("t1"), told("t2"))
    venue.store.attempts.add(an_attempt(venue, secret="\ud800"))
    assert venue.scan("t1") is LET_IN
    assert venue.scan("nobody") is Reason.UNKNOWN_TICKET
    assert venue.scan("t2") is LET_IN
    assert [entry.secret for entry in venue.logged(3)] == ["t1", "nobody", "t2"]


def test_attempts_wait_for_the_disk_and_the_oldest_go_first(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts_module, "MAX_WAITING", 5)
    monkeypatch.setattr(attempts_module, "FLUSH_AFTER_S", 3600.0)
    venue.pull(told())
    with full_disk():
        for number in range(8):
            assert venue.scan(f"nobody {number}") is Reason.UNKNOWN_TICKET
        with pytest.raises(Exception, match="cannot write"):
            venue.scan()
    for _ in range(2):
        flush(venue)
    assert [entry.secret for entry in venue.log()] == [f"nobody {number}" for number in range(3, 8)]


def test_what_waited_for_a_bad_disk_comes_in_pieces(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts_module, "FLUSH_AT_MOST", 10)
    monkeypatch.setattr(attempts_module, "FLUSH_AFTER_S", 3600.0)
    for number in range(25):
        venue.store.attempts.add(an_attempt(venue, secret=f"s{number:02d}"))
    written = []
    for _ in range(3):
        flush(venue)
        written.append([entry.secret for entry in venue.log()])
    assert [len(secrets) for secrets in written] == [10, 20, 25]
    assert written[-1] == [f"s{number:02d}" for number in range(25)]


def test_when_a_device_was_last_seen_is_known_at_once_and_written_along(tmp_path: Path) -> None:
    venue = Venue(tmp_path)
    before = commits_in_wal(tmp_path)
    for number in range(3):
        venue.store.attempts.saw(Sighting(venue.device.id, EIGHT + timedelta(minutes=number), "okhttp"))
    (device,) = venue.store.devices.all()
    assert (device.last_seen_at, device.user_agent) == (EIGHT + timedelta(minutes=2), "okhttp")
    assert commits_in_wal(tmp_path) == before
    venue.pull(told())
    venue.store.attempts.saw(Sighting(venue.device.id, EIGHT + timedelta(minutes=3), None))
    (device,) = venue.store.devices.all()
    assert (device.last_seen_at, device.user_agent) == (EIGHT + timedelta(minutes=3), "okhttp")
    venue.close()
    venue = Venue(tmp_path)
    (device,) = venue.store.devices.all()
    assert (device.last_seen_at, device.user_agent) == (EIGHT + timedelta(minutes=2), "okhttp")
    venue.close()


def test_a_sighting_waits_for_a_disk_that_fails(venue: Venue) -> None:
    venue.pull(told())
    with full_disk():
        venue.store.attempts.saw(Sighting(venue.device.id, EIGHT, "okhttp"))
        with pytest.raises(Exception, match="cannot write"):
            venue.scan()
    (device,) = venue.store.devices.all()
    assert device.last_seen_at == EIGHT


# --- the log's filters ------------------------------------------------------------------------------------------------


@pytest.fixture
def evening(venue: Venue) -> Venue:
    """Two lists, two devices, three guests."""
    venue.pull(told("t1", attendee_name="Łukasz Żółć", order_code="LUKAS"), told("t2", attendee_name="Ada"))
    venue.scan("t1", at=EIGHT)
    venue.scan("t1", at=EIGHT + timedelta(minutes=1))
    venue.scan("nobody", nonce="n", at=EIGHT + timedelta(minutes=2))
    first = venue.list_id, venue.device
    venue.list_id = venue.add_list().id
    venue.device = venue.add_device("Gate 2")
    venue.pull(told("t3", attendee_name="Łukasz"))
    venue.scan("t3", at=EIGHT + timedelta(minutes=3))
    venue.scan("t1", at=EIGHT + timedelta(minutes=4))
    venue.list_id, venue.device = first
    venue.scan("t2", at=EIGHT + timedelta(minutes=5))
    venue.scan("nobody", nonce="n", at=EIGHT + timedelta(minutes=6))
    flush(venue)
    return venue


@pytest.mark.parametrize(
    ("wanted", "minutes"),
    [
        ({}, [0, 1, 2, 3, 4, 5]),
        ({"list_id": 1}, [0, 1, 2, 5]),
        ({"list_id": 2}, [3, 4]),
        ({"list_id": 3}, []),
        ({"device": "Gate 2"}, [3, 4]),
        ({"device": "Gate"}, []),
        ({"secret": "t1"}, [0, 1, 4]),
        ({"secret": "T1"}, []),
        ({"name": "lukasz"}, [0, 1, 3]),
        ({"name": "ZOLC"}, [0, 1]),
        ({"name": "%"}, []),
        ({"since": EIGHT + timedelta(minutes=4)}, [2, 4, 5]),
        (
            {"list_id": 1, "device": "Gate 1", "secret": "t1", "name": "luk", "since": EIGHT + timedelta(seconds=30)},
            [1],
        ),
    ],
)
def test_the_log_is_filtered_by_list_device_secret_name_and_time(
    evening: Venue, wanted: dict[str, object], minutes: list[int]
) -> None:
    logged = evening.log(**wanted)
    assert [int((entry.at - EIGHT) / timedelta(minutes=1)) for entry in logged] == minutes


def test_the_log_names_the_guest_as_far_as_the_ticket_is_known(evening: Venue) -> None:
    named = [(entry.secret, entry.order_code, entry.attendee_name) for entry in evening.log(list_id=1)]
    assert named == [
        ("t1", "LUKAS", "Łukasz Żółć"),
        ("t1", "LUKAS", "Łukasz Żółć"),
        ("nobody", None, None),
        ("t2", "ABCDE", "Ada"),
    ]


def test_an_attempt_never_gets_the_name_of_another_guest(venue: Venue) -> None:
    venue.pull(told("unpaid", attendee_name="Ada", is_paid=False))
    venue.scan("unpaid")
    flush(venue)
    venue.store.lists.remove(venue.list_id, venue.now)
    venue.list_id = venue.add_list().id
    venue.pull(told("other", attendee_name="Grace"))
    assert [(entry.secret, entry.attendee_name) for entry in venue.log()] == [("unpaid", None)]


def test_the_log_reads_one_state_while_it_is_written_to(venue: Venue) -> None:
    venue.pull(told("t1"), told("t2"))
    venue.scan("t1")
    connection = open_for_reading(venue.data_dir)
    reading = entries(connection)
    next(reading)
    venue.scan("t2")
    assert list(reading) == []
    assert not connection.in_transaction
    assert len(list(entries(connection))) == 2
    connection.close()
