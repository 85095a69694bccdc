"""A purged list: nothing personal of it is left in any file; counts remain, and other lists know nothing of it."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from edgebox.model import App, Reason, SourceKind
from edgebox.store import Refused, Store, StoreError
from edgebox.store.db import DATABASE_NAME, connect
from edgebox.store.devices import NewDevice
from edgebox.store.lists import NewList
from edgebox.store.purge import FATES, PARTS
from edgebox.store.purger import remains
from tests.store.parting import GUESTS, WITHIN_S, Parting, codes, traces
from tests.store.venue import EIGHT, HeldWriter, a_catalog, commits_in_wal, full_disk

IN = GUESTS // 2


@pytest.fixture
def parting(tmp_path: Path, filled: Path) -> Iterator[Parting]:
    opened = Parting(shutil.copytree(filled, tmp_path / "data"))
    opened.now += timedelta(hours=1)
    try:
        yield opened
    finally:
        opened.close()


def everything(parting: Parting) -> list[str]:
    """All by which the guests of the list that goes can be known."""
    return ["leaving", *codes(parting.guests["leaving"])]


# --- what goes --------------------------------------------------------------------------------------------------------


def test_nothing_of_it_is_found_in_any_file(parting: Parting) -> None:
    assert traces(parting.data_dir, "leaving")
    parting.purge_and_rewrite()
    assert traces(parting.data_dir, *everything(parting)) == {}
    parting.close()
    assert traces(parting.data_dir, *everything(parting)) == {}
    assert traces(parting.data_dir, "staying"), "the search finds what is there"


def test_nor_are_parts_of_the_names_in_the_search_index(parting: Parting) -> None:
    def parts() -> set[str]:
        with closing(connect(parting.data_dir / DATABASE_NAME)) as connection:
            connection.execute("CREATE VIRTUAL TABLE temp.parts USING fts5vocab ('main', 'ticket_name', 'row')")
            return {row[0] for row in connection.execute("SELECT term FROM parts")}

    assert {"lea", "sta"} <= parts()
    parting.purge_and_rewrite()
    assert "lea" not in parts()
    assert "sta" in parts()


def test_it_tells_how_much_has_gone(parting: Parting) -> None:
    before = parting.store.purger.look(parting.leaving.id)
    assert (before.checkins, before.tickets, before.notes, before.unsettled) == (IN, GUESTS, 1, 0)
    assert (before.is_begun, before.ended_at, before.is_rewritten) == (False, None, False)
    reported: list[int] = []
    parting.store.purger.begin(parting.leaving.id, parting.now)
    gone = parting.store.purger.run(parting.leaving.id, parting.now, reported.append)
    assert (gone.checkins, gone.attempts, gone.tickets, gone.devices) == (IN, 2, GUESTS, ("Gate 1",))
    assert reported == sorted(reported)
    assert reported[-1] >= IN + 2 + GUESTS
    after = parting.store.purger.look(parting.leaving.id)
    assert (after.checkins, after.attempts, after.tickets, after.notes) == (0, 0, 0, 0)
    assert (after.ended_at, after.is_rewritten) == (parting.now, False)
    assert parting.store.purger.needs_rewriting()
    assert parting.store.purger.rewrite(within_s=WITHIN_S)
    assert not parting.store.purger.needs_rewriting()


def test_refusals_that_wait_in_memory_go_too(parting: Parting) -> None:
    parting.let_in(parting.leaving, "leaving-code-of-a-moment-ago")
    parting.purge_and_rewrite()
    parting.store.write_failure()
    parting.close()
    assert traces(parting.data_dir, "leaving") == {}
    with closing(connect(parting.data_dir / DATABASE_NAME)) as connection:
        refused = [each.verdict for each in remains(connection) for _ in range(each.count) if each.verdict != "ok"]
    assert sorted(refused) == ["already_redeemed", "unknown_ticket", "unknown_ticket"]


def test_its_scanners_are_revoked_and_nobody_knows_whose_they_were(parting: Parting) -> None:
    parting.purge()
    gone, other = parting.store.devices.all()
    assert (gone.name, gone.key, gone.user_agent, gone.phone) == ("scanner 1", "", None, None)
    assert gone.revoked_at == parting.now
    assert (other.name, other.revoked_at) == ("Gate of the others", None)
    assert parting.store.devices.by_key("KEYOFGate 1") is None


def test_a_scanner_that_has_another_list_stays_as_it_is(parting: Parting) -> None:
    both = (parting.leaving.id, parting.staying.id)
    new = NewDevice("Both", "d" * 64, both, None, allow_search=True, show_info=True, app=App.PRETIXSCAN)
    alone = replace(new, name="Leaving alone", key="e" * 64, list_ids=(parting.leaving.id,))
    for each in (new, alone):
        parting.store.devices.add(each, parting.now)
    parting.purge()
    stays, wiped = parting.store.devices.all()[2:]
    assert (stays.name, stays.revoked_at) == ("Both", None)
    assert wiped.is_to_wipe, "its phone holds orders"
    assert wiped.key == "e" * 64, "by which the phone is known when it comes"


def test_deeds_about_its_guests_go_and_all_of_them_with_the_last_list(parting: Parting) -> None:
    parting.purge()
    assert [deed.about for deed in parting.store.staff.deeds(10)] == ["2: staying guest 0 was mistaken"]
    parting.store.purger.begin(parting.staying.id, parting.now)
    parting.store.purger.run(parting.staying.id, parting.now)
    assert parting.store.staff.deeds(10) == []


def test_each_table_has_a_fate(parting: Parting) -> None:
    """Whoever adds a table has to say what a purge does with it."""
    with closing(connect(parting.data_dir / DATABASE_NAME)) as connection:
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    own = {name for name in tables if not name.startswith(("sqlite_", "ticket_name_"))}
    assert set(FATES) == own


# --- what stays -------------------------------------------------------------------------------------------------------


def test_counts_remain_by_item_and_minute(parting: Parting) -> None:
    before = [entry.checkin for entry in parting.journal if entry.checkin.list_id == parting.leaving.id]
    parting.purge()
    left = list(remains(parting.store.reading()))
    checkins = [each for each in left if each.verdict == "ok"]
    assert sum(each.count for each in checkins) == len(before) == IN
    assert {each.minute for each in checkins} == {each.datetime.replace(second=0, microsecond=0) for each in before}
    by_item = {item: sum(each.count for each in checkins if each.item_id == item) for item in (10, 20)}
    assert by_item == {10: IN * 2 // 3, 20: IN // 3}
    assert {each.direction for each in left} == {"entry"}
    assert {each.list_id for each in left} == {parting.leaving.id}
    assert list(remains(parting.store.reading(), parting.staying.id)) == []


def test_the_other_list_goes_on_as_before(parting: Parting) -> None:
    counts = parting.store.tickets.counts(parting.staying)
    parting.purge_and_rewrite()
    assert parting.store.tickets.counts(parting.staying) == counts
    assert parting.let_in(parting.staying, parting.secret("staying", 0)) is Reason.ALREADY_REDEEMED
    assert parting.let_in(parting.staying, parting.secret("staying", 1)) is None
    name = parting.guests["staying"][5].data.attendee_name
    assert name is not None
    found = parting.store.tickets.search(parting.staying, name, item_ids=None, by_name=True, limit=5)
    assert [each.ticket.data.attendee_name for each in found] == [name]
    with pytest.raises(Refused):
        parting.let_in(parting.leaving, parting.secret("leaving", 1))


def test_tickets_stay_as_long_as_another_list_of_the_event_needs_them(tmp_path: Path) -> None:
    parting = Parting(tmp_path)
    pretix = {"kind": SourceKind.PRETIX, "organizer": "demoorga", "event": "shared", "subevent": None}
    new = NewList(
        url="https://pretix.example/", credential="C", name="Hall", catalog=a_catalog(), connection_id=1,
        upstream_list=1, **pretix,  # type: ignore[arg-type]
    )  # fmt: skip
    with closing(connect(tmp_path / DATABASE_NAME)) as connection:
        connection.execute(
            "INSERT INTO connection (id, url, credential, organizer, device_name, device_serial, security_profile,"
            " server_version, paired_at) VALUES (1, 'https://pretix.example/', 'C', 'o', 'd', 's', 'p', 'v', ?)",
            ("2026-11-24T20:00:00.000000+00:00",),
        )
    hall = parting.store.lists.add(new, EIGHT)
    vip = parting.store.lists.add(replace(new, name="VIP", upstream_list=2), EIGHT)
    parting.leaving = hall
    parting.scanners[hall.id] = parting.scanners[vip.id] = parting.device
    parting.fill()
    assert parting.store.purger.look(hall.id).tickets == 0
    assert parting.purge().tickets == 0
    assert parting.let_in(vip, parting.secret("leaving", 1)) is None
    parting.settle_all()
    for checkin in parting.store.journal.pending(vip.id, after_id=0, limit=10, choked=False):
        parting.store.journal.settle(checkin, parting.now)
    parting.leaving = vip
    assert parting.store.purger.look(vip.id).tickets == GUESTS
    assert parting.purge_and_rewrite().tickets == GUESTS
    parting.close()
    assert traces(tmp_path, "leaving guest", *codes(parting.guests["leaving"])) == {}


# --- when not, and when it is interrupted ----------------------------------------------------------------------------


def test_nothing_goes_while_check_ins_are_not_at_the_ticket_server(parting: Parting) -> None:
    assert parting.let_in(parting.leaving, parting.secret("leaving", 1)) is None
    with pytest.raises(Refused, match=r"1 check-ins of list 1 are not at the ticket server; nothing was purged: sync"):
        parting.purge()
    assert parting.store.lists.get(parting.leaving.id) is not None
    assert parting.store.purger.look(parting.leaving.id).checkins == IN + 1
    parting.store.purger.begin(parting.leaving.id, parting.now, abandons=True)
    assert parting.store.purger.run(parting.leaving.id, parting.now).checkins == IN + 1


def test_an_interrupted_purge_goes_on_and_counts_each_once(parting: Parting) -> None:
    parting.store.purger.begin(parting.leaving.id, parting.now)
    with pytest.raises(RuntimeError, match="the power"):
        parting.store.purger.run(parting.leaving.id, parting.now, CutAfter(IN // 2))
    data_dir = parting.data_dir
    parting.close()
    again = Store(data_dir)
    try:
        again.purger.rewriting.quiet_s = 0.0
        assert again.purger.unfinished() == [parting.leaving.id]
        again.purger.run(parting.leaving.id, parting.now)
        assert again.purger.unfinished() == []
        assert again.purger.rewrite(within_s=WITHIN_S)
        assert sum(each.count for each in remains(again.reading()) if each.verdict == "ok") == IN
    finally:
        again.close()
    assert traces(data_dir, "leaving") == {}


class CutAfter:
    """A report that ends the purge once so many rows have gone."""

    def __init__(self, rows: int) -> None:
        self._rows = rows

    def __call__(self, rows: int) -> None:
        if rows >= self._rows:
            raise RuntimeError("the power was cut")


def test_a_removed_list_can_be_purged(parting: Parting) -> None:
    parting.store.lists.remove(parting.leaving.id, parting.now)
    assert [list_.id for list_ in parting.store.lists.removed()] == [parting.leaving.id]
    assert parting.purge_and_rewrite().checkins == IN
    assert traces(parting.data_dir, *everything(parting)) == {}


def test_an_unknown_list_is_refused(parting: Parting) -> None:
    with pytest.raises(Refused, match="there is no list 99"):
        parting.store.purger.look(99)


# --- while others are scanned -----------------------------------------------------------------------------------------


def test_scans_of_other_lists_go_before_its_slices(parting: Parting) -> None:
    """With the writer held, a slice and a scan wait together: one transaction takes the scan and one slice of it."""
    parting.store.purger.rewriting.quiet_s = 3600.0
    parting.let_in(parting.staying, parting.secret("staying", 1))
    parting.store.purger.begin(parting.leaving.id, parting.now)
    writer = parting.store.purger._writer
    held = HeldWriter(writer)
    purge = threading.Thread(target=parting.store.purger.run, args=(parting.leaving.id, parting.now))
    purge.start()
    held.wait_for(slices=1)
    scan = threading.Thread(target=parting.let_in, args=(parting.staying, parting.secret("staying", 3)))
    scan.start()
    held.wait_for(redeems=1, slices=1)
    held.release()
    scan.join(WITHIN_S)
    assert parting.store.purger.look(parting.staying.id).checkins == IN + 2
    purge.join(WITHIN_S)


def test_while_nobody_scans_much_goes_at_once(parting: Parting) -> None:
    commits = commits_in_wal(parting.data_dir)
    parting.purge()
    at_once = commits_in_wal(parting.data_dir) - commits
    assert at_once <= len(PARTS) + 4, "one for each part, and a few beside them"


def test_what_goes_at_once_gives_way_to_a_scan_and_goes_on_in_slices(
    parting: Parting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parting.store.purger._writer, "is_waiting", lambda: True)
    monkeypatch.setattr("edgebox.store.rewriting.LOOK_EVERY_STEPS", 1)
    assert parting.purge().tickets == GUESTS
    assert sum(each.count for each in remains(parting.store.reading()) if each.verdict == "ok") == IN


def test_a_full_disk_ends_a_purge_that_goes_on_later(parting: Parting) -> None:
    parting.store.purger.begin(parting.leaving.id, parting.now)
    with full_disk(), pytest.raises(StoreError, match="cannot write its database"):
        parting.store.purger.run(parting.leaving.id, parting.now)
    assert parting.store.purger.unfinished() == [parting.leaving.id]
    assert parting.store.purger.run(parting.leaving.id, parting.now).checkins == IN


def test_rewriting_waits_until_nobody_scans(parting: Parting) -> None:
    parting.purge()
    parting.store.purger.rewriting.quiet_s = 3600.0
    parting.let_in(parting.staying, parting.secret("staying", 1))
    assert not parting.store.purger.rewrite(within_s=0.0)
    assert parting.store.purger.needs_rewriting()


def test_rewriting_gives_way_to_a_scan(parting: Parting, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a scan that waits which ends it, not its time; and nothing is half done."""
    parting.purge()
    asked: list[float] = []

    def somebody_waits() -> bool:
        asked.append(time.monotonic())
        return True

    monkeypatch.setattr(parting.store.purger._writer, "is_waiting", somebody_waits)
    monkeypatch.setattr("edgebox.store.rewriting.LOOK_EVERY_STEPS", 1)
    assert not parting.store.purger.rewrite(within_s=0.0)
    assert len(asked) == 1, "the first time that it asks"
    assert parting.store.purger.needs_rewriting()
    assert parting.let_in(parting.staying, parting.secret("staying", 1)) is None
    monkeypatch.undo()
    assert parting.store.purger.rewrite(within_s=WITHIN_S)


def test_a_reader_holds_the_log_back_and_is_waited_for(parting: Parting) -> None:
    parting.purge()
    with closing(connect(parting.data_dir / DATABASE_NAME, read_only=True)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM ticket").fetchone()
        assert not parting.store.purger.rewrite(within_s=0.0)
        reader.execute("ROLLBACK")
    assert parting.store.purger.needs_rewriting(), "it was not done to the end, whatever was written"
    assert parting.store.purger.rewrite(within_s=WITHIN_S)
    assert traces(parting.data_dir, *everything(parting)) == {}


def test_a_full_disk_is_told_and_nothing_is_lost(parting: Parting) -> None:
    parting.purge()
    with full_disk(), pytest.raises(StoreError, match=r"could not be rewritten|cannot write"):
        parting.store.purger.rewrite(within_s=0.0)
    assert parting.store.purger.needs_rewriting()
    assert parting.store.purger.rewrite(within_s=WITHIN_S)
    assert parting.store.purger.look(parting.staying.id).checkins == IN
