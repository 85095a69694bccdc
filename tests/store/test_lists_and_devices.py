"""Lists and devices: in memory as of the last commit, and refused in words where something stands against it."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from edgebox.instants import to_text
from edgebox.model import Catalog, ConflictReason, Event, Item, Option, Question, Reason, Variation
from edgebox.store import NotWritable, Refused
from edgebox.store.db import Connection
from edgebox.store.lists import catalog_from_json, catalog_to_json
from tests.store.venue import EIGHT, LET_IN, HeldWriter, Venue, a_catalog, full_disk, many, told

FULL_CATALOG = Catalog(
    version=3,
    event=Event(
        "Größe",
        "Liste",
        7,
        "2026-11-24T20:00:00Z",
        None,
        "Europe/Berlin",
        "https://x.example/",
        "Ö",
        locale="de",
        has_subevents=True,
        is_live=False,
        is_test=True,
        currency="EUR",
    ),
    items=(Item(1, "Ticket", True, (Variation(4, "Rot"), Variation(5, "Blau"))), Item(2, "Shirt", False)),
    questions=(
        Question(3, "M", "Was?", True, 1, frozenset({2, 1}), (Option(8, "Ja", "JA"), Option(9, "Nein", "NEIN")), "WAS"),
        Question(4, "S", "Wer?", False, 0, frozenset({2})),
        Question(
            5,
            "TEL",
            "Wo?",
            False,
            2,
            frozenset({1}),
            (),
            "WO",
            is_asked=False,
            is_shown=True,
            depends_on=3,
            depends_values=("JA", "NEIN"),
        ),
    ),
)
ASKED = FULL_CATALOG.questions[0]


# --- lists ------------------------------------------------------------------------------------------------------------


def test_a_list_is_there_at_once_and_after_a_restart(tmp_path: Path) -> None:
    venue = Venue(tmp_path)
    second = venue.add_list(event="another", catalog=FULL_CATALOG)
    assert venue.store.lists.all() == (venue.list_, second)
    assert second.catalog == FULL_CATALOG
    venue.close()
    venue = Venue(tmp_path)
    assert venue.store.lists.get(second.id) == second
    venue.close()


def test_a_catalog_survives_the_disk() -> None:
    assert catalog_from_json(catalog_to_json(FULL_CATALOG)) == FULL_CATALOG
    assert catalog_from_json(catalog_to_json(replace(FULL_CATALOG, questions=(ASKED,)))).questions == (ASKED,)
    slugged = replace(FULL_CATALOG, event=replace(FULL_CATALOG.event, subevent="a name"))
    assert catalog_from_json(catalog_to_json(slugged)) == slugged


def test_a_catalog_that_an_earlier_version_kept_is_read_as_it_was_meant() -> None:
    """What that one did not know is not there: each question that it kept is asked, and depends on none."""
    raw = json.loads(catalog_to_json(FULL_CATALOG))
    for key in ("locale", "has_subevents", "is_live", "is_test", "currency", "date_admission"):
        del raw["event"][key]
    for question in raw["questions"]:
        for key in ("identifier", "is_asked", "is_shown", "depends_on", "depends_values"):
            del question[key]
        for option in question["options"]:
            del option["identifier"]
    for key in ("subevents", "signature_keys"):
        del raw[key]
    old = catalog_from_json(json.dumps(raw))
    assert (old.event.locale, old.event.is_live, old.event.currency) == ("en", True, "")
    assert old.items == FULL_CATALOG.items
    assert [each.id for each in old.questions] == [3, 4, 5]
    for each in old.questions:
        assert (each.is_asked, each.is_shown, each.depends_on, each.depends_values) == (True, False, None, ())
    assert old.questions[0].options == (Option(8, "Ja"), Option(9, "Nein"))


def test_what_upstream_tells_beside_the_tickets_is_learnt_and_told_to_caches(venue: Venue) -> None:
    version = venue.store.lists.version_of(venue.list_id)
    venue.store.lists.learn(venue.list_, FULL_CATALOG, name="Hall", subevent=7)
    assert (venue.list_.catalog, venue.list_.name, venue.list_.subevent) == (FULL_CATALOG, "Hall", 7)
    learnt = venue.store.lists.version_of(venue.list_id)
    assert learnt > version
    venue.store.lists.learn(venue.list_, FULL_CATALOG, subevent=7)
    assert venue.store.lists.version_of(venue.list_id) == learnt
    assert venue.list_.name == "Hall"


def test_who_sees_the_new_version_finds_the_new_catalog(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    lists, seen = venue.store.lists, []
    reload = lists.reload

    def noted(connection: Connection) -> None:
        seen.append(lists.version_of(venue.list_id))
        reload(connection)

    monkeypatch.setattr(lists, "reload", noted)
    version = lists.version_of(venue.list_id)
    lists.learn(venue.list_, FULL_CATALOG, subevent=None)
    assert seen == [version]
    assert lists.version_of(venue.list_id) > version


def test_each_change_that_a_scanner_can_see_raises_the_version(venue: Venue) -> None:
    seen = [venue.store.lists.version_of(venue.list_id)]

    def rises() -> bool:
        seen.append(venue.store.lists.version_of(venue.list_id))
        return seen[-1] > seen[-2]

    venue.pull(told("t1"), told("t2"))
    assert rises()
    venue.scan("t1")
    assert rises()
    venue.scan("t1")
    assert not rises()
    venue.settle()
    assert not rises()
    venue.pull(told("t1", redeemed=True), told("t2"))
    rises()
    venue.pull(told("t1"), told("t2"))
    assert rises(), "an undo"
    venue.pull(told("t1"))
    assert rises(), "a withdrawal"
    venue.look_up(told("t3"))
    assert rises()


def test_a_removed_list_is_gone_with_its_tickets_and_its_key(venue: Venue) -> None:
    venue.take_in(many(450))
    venue.scan("s0001")
    venue.settle()
    venue.store.lists.remove(venue.list_id, venue.now)
    assert venue.store.lists.all() == ()
    reader = venue.store.reading()
    assert [row[0] for row in reader.execute("SELECT secret FROM ticket")] == ["s0001"], "the journal names it"
    assert reader.execute("SELECT count(*) FROM source WHERE credential <> ''").fetchone()[0] == 0
    assert [row.checkin.secret for row in venue.journal] == ["s0001"]
    with pytest.raises(Refused, match="no list"):
        venue.store.lists.remove(venue.list_id, venue.now)


def test_a_list_that_is_added_again_starts_anew(venue: Venue) -> None:
    venue.pull(told())
    venue.scan()
    venue.settle()
    first = venue.list_id
    venue.store.lists.remove(first, venue.now)
    venue.list_id = venue.add_list().id
    assert venue.list_id != first
    assert venue.scan() is Reason.UNKNOWN_TICKET
    venue.pull(told())
    assert venue.scan() is LET_IN


def test_a_list_with_checkins_that_upstream_does_not_have_stays(venue: Venue) -> None:
    venue.pull(told())
    venue.scan()
    with pytest.raises(Refused, match="1 check-ins that upstream does not have yet; nothing was removed"):
        venue.store.lists.remove(venue.list_id, venue.now)
    venue.store.journal.park(venue.checkin, ConflictReason.REFUSED, "no", venue.now)
    with pytest.raises(Refused):
        venue.store.lists.remove(venue.list_id, venue.now)
    assert venue.scan() is Reason.ALREADY_REDEEMED
    venue.store.journal.dismiss(venue.checkin.id, None, venue.now)
    venue.store.lists.remove(venue.list_id, venue.now)


def test_two_who_remove_one_list_at_once_do_so_once(venue: Venue) -> None:
    outcomes: list[str] = []

    def remove() -> None:
        try:
            venue.store.lists.remove(venue.list_id, venue.now)
            outcomes.append("removed")
        except Refused:
            outcomes.append("refused")

    held = HeldWriter(venue.store._writer)
    threads = [threading.Thread(target=remove) for _ in range(2)]
    for thread in threads:
        thread.start()
    held.wait_for(jobs=2)
    held.release()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["refused", "removed"]


def test_what_an_interrupted_removal_left_goes_with_the_next(venue: Venue) -> None:
    venue.take_in(many(300))
    write_slice = venue.store._writer.write_slice

    def full(job: object) -> None:
        raise NotWritable("the disk is full")

    venue.store._writer.write_slice = full  # type: ignore[assignment]
    with pytest.raises(NotWritable):
        venue.store.lists.remove(venue.list_id, venue.now)
    venue.store._writer.write_slice = write_slice  # type: ignore[method-assign]
    assert venue.store.lists.all() == ()
    venue.store.lists.remove(venue.add_list().id, venue.now)
    assert venue.store.reading().execute("SELECT count(*) FROM ticket").fetchone()[0] == 0


def test_removing_one_list_leaves_the_others_alone(venue: Venue) -> None:
    venue.pull(told(redeemed=True), told("t2"))
    first = venue.list_id
    venue.list_id = venue.add_list().id
    venue.pull(told(redeemed=True), told("t2"))
    venue.store.lists.remove(first, venue.now)
    assert venue.scan() is Reason.ALREADY_REDEEMED
    assert venue.scan("t2") is LET_IN


# --- devices ----------------------------------------------------------------------------------------------------------


def test_a_device_is_found_by_its_key_at_once_and_after_a_restart(tmp_path: Path) -> None:
    venue = Venue(tmp_path)
    device = venue.add_device("Gate 2", key="ABCDEF", item_ids=frozenset({3, 1}))
    assert venue.store.devices.by_key("ABCDEF") == device
    assert device.item_ids == {1, 3}
    assert (device.allow_search, device.show_info, device.added_at) == (True, True, venue.now)
    assert device.list_ids == (venue.list_id,)
    venue.close()
    venue = Venue(tmp_path)
    assert venue.store.devices.by_key("ABCDEF") == device
    venue.close()


@pytest.mark.parametrize("key", ["", "abcdef", "ABCDE", "ABCDEFG", "ABCDEF ", "ÄBCDEF", "\ud800", "UPSTREAMKEY"])
def test_no_other_key_opens(venue: Venue, key: str) -> None:
    venue.add_device("Gate 2", key="ABCDEF")
    assert venue.store.devices.by_key(key) is None


def test_names_and_keys_are_unique_among_the_devices_in_use(venue: Venue) -> None:
    venue.add_device("Gate 2", key="ABCDEF")
    with pytest.raises(Refused, match="this name is in use"):
        venue.add_device("Gate 2", key="another")
    with pytest.raises(Refused, match="this key is in use"):
        venue.add_device("Gate 3", key="ABCDEF")
    assert [device.name for device in venue.store.devices.all()] == ["Gate 1", "Gate 2"]


def test_a_revoked_device_opens_nothing_and_frees_its_name_and_key(venue: Venue) -> None:
    old = venue.add_device("Gate 2", key="ABCDEF")
    venue.store.devices.revoke(old.id, EIGHT + timedelta(hours=1))
    assert venue.store.devices.by_key("ABCDEF") is None
    with pytest.raises(Refused, match="no device named 'Gate 2'"):
        venue.store.devices.named("Gate 2")
    new = venue.add_device("Gate 2", key="ABCDEF")
    assert new.id != old.id
    assert venue.store.devices.by_key("ABCDEF") == venue.store.devices.named("Gate 2") == new
    assert [device.revoked_at for device in venue.store.devices.all()] == [None, EIGHT + timedelta(hours=1), None]


def test_a_device_of_a_list_that_is_gone_is_not_added(venue: Venue) -> None:
    last = venue.list_
    venue.store.lists.remove(last.id, venue.now)
    venue.store.lists.all = lambda: (last,)  # type: ignore[method-assign]
    with pytest.raises(Refused, match="no list"):
        venue.add_device("Gate 2")


def test_keys_are_shown_to_nobody_by_accident(venue: Venue) -> None:
    device = venue.add_device("Gate 2", key="SECRETKEY")
    assert "SECRETKEY" not in repr(device)
    assert "UPSTREAMKEY" not in repr(venue.list_)


# --- what was not committed is not there ------------------------------------------------------------------------------


def test_nothing_in_memory_remembers_what_could_not_be_written(venue: Venue) -> None:
    before = venue.store.lists.all(), venue.store.devices.all()
    with full_disk():
        with pytest.raises(NotWritable):
            venue.add_list(event="another")
        with pytest.raises(NotWritable):
            venue.add_device("Gate 2")
        with pytest.raises(NotWritable):
            venue.store.devices.revoke(venue.device.id, EIGHT)
        with pytest.raises(NotWritable):
            venue.store.lists.learn(venue.list_, a_catalog(), name="Other", subevent=None)
        with pytest.raises(NotWritable):
            venue.store.lists.remove(venue.list_id, EIGHT)
        assert (venue.store.lists.all(), venue.store.devices.all()) == before
    venue.pull(told())
    assert venue.store.devices.all() == before[1]
    assert venue.list_.name == "Main list"
    assert venue.scan() is LET_IN


def test_the_last_push_is_known_at_once_and_written_once_a_minute(venue: Venue, tmp_path: Path) -> None:
    """Each settlement would write a page more for it."""
    venue.pull(*many(4))

    def settle(number: int, at: datetime) -> None:
        venue.scan(f"s{number:04d}")
        (checkin,) = venue.pending()
        venue.store.journal.settle(checkin, at)

    def on_disk() -> str:
        row = venue.store.reading().execute("SELECT last_push FROM list WHERE id = ?", (venue.list_id,)).fetchone()
        return str(row[0])

    for second in (0, 59):
        settle(second // 59, EIGHT + timedelta(seconds=second))
        assert venue.list_.last_push == EIGHT + timedelta(seconds=second)
        assert on_disk() == to_text(EIGHT)
    venue.store.lists.pause(venue.list_id, True)  # which reads the list from the disk
    assert venue.list_.last_push == EIGHT + timedelta(seconds=59)
    settle(2, EIGHT + timedelta(seconds=60))
    assert on_disk() == to_text(EIGHT + timedelta(seconds=60))
    settle(3, EIGHT - timedelta(days=1))
    assert on_disk() == to_text(EIGHT - timedelta(days=1)), "a clock that was set back is believed"
