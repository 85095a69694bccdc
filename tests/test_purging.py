"""When names and codes of a list have to go, and what stands against it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edgebox.box import ActionError, Box
from edgebox.clock import Clock
from edgebox.config import Config
from edgebox.model import Catalog, CheckInList, Event, ListTerms, RedeemRequest, Source, SourceKind, Subevent
from edgebox.purging import KEPT_BY_UPDATE, Hindrance, Purged, event_ends_at
from edgebox.store.journal import export
from tests.support.box import REPOSITORY
from tests.support.event import StubEvent
from tests.support.upstream import StubUpstream, always, json_answer

THEN = datetime(2026, 11, 24, 18, 0, tzinfo=UTC)
ENDS = datetime(2026, 11, 25, 2, 0, tzinfo=UTC)
A_DAY = timedelta(days=1)
REFUSED = json_answer({"version": 3, "status": "error", "reason": "product"})


def a_list(catalog: Catalog | None, terms: ListTerms | None = None) -> CheckInList:
    return CheckInList(1, Source(1, SourceKind.PRETIX, "", ""), "o", "e", None, "Main", catalog, terms=terms)


def an_event(**about: object) -> Catalog:
    return Catalog(3, Event("Con", timezone="Europe/Berlin", **about))  # type: ignore[arg-type]


# --- when it ends -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("catalog", "ends"),
    [
        (an_event(date_from="2026-11-24T18:00:00Z", date_to="2026-11-25T02:00:00Z"), ENDS),
        (an_event(date_from="2026-11-24T02:00:00+00:00"), ENDS),
        (an_event(date_to="2026-11-25T03:00:00"), ENDS),
        (an_event(date_to="soon", date_from="2026-11-24T02:00:00Z"), ENDS),
        (an_event(), None),
        (None, None),
    ],
    ids=["date_to", "a day from date_from", "in the event's zone", "no date at all", "nobody tells", "never reached"],
)
def test_when_an_event_is_over(catalog: Catalog | None, ends: datetime | None) -> None:
    assert event_ends_at(a_list(catalog)) == ends


def test_of_a_series_the_list_s_date_counts_or_the_last_one() -> None:
    dates = tuple(
        Subevent(number, "Show", f"2026-11-{23 + number}T18:00:00Z", f"2026-11-{24 + number}T02:00:00Z")
        for number in (1, 2, 3)
    )
    series = replace(an_event(date_to="2026-01-01T00:00:00Z"), subevents=dates)
    assert event_ends_at(a_list(series, ListTerms(subevent=1))) == ENDS
    assert event_ends_at(a_list(series, ListTerms())) == ENDS + 2 * A_DAY


# --- a box whose event is over ----------------------------------------------------------------------------------------


class House:
    """A box with a list of a scripted ticket server; its time is what the test says."""

    def __init__(self, data_dir: Path, stub: StubUpstream, **settings: float) -> None:
        data_dir.mkdir()
        stub.date_from, stub.date_to = "2026-11-24T17:00:00Z", "2026-11-25T02:00:00Z"
        self.stub = stub
        self.now, self.is_trusted = THEN, True
        clock = Clock(
            wall=lambda: self.now.timestamp(), boottime=lambda: 1000.0, system_synchronised=lambda: self.is_trusted
        )
        config = Config(data_dir=data_dir, **settings)  # type: ignore[arg-type]
        self.box = Box(config, clock)
        self.box.store.purger.rewriting.quiet_s = 0.0
        stub.add_tickets(3)
        self.list_id = self.box.add_list(stub.url, stub.key).id
        self.box.sync_now()
        self.device = self.box.scanners.add("Gate 1", self.list_id)

    def scan(self, secret: str = "secret000000") -> None:
        redeemed = self.box.redeem(self.device, self.box.get_list(self.list_id), RedeemRequest(secret))
        assert redeemed.verdict.is_ok

    def at(self, now: datetime) -> House:
        self.now = now
        return self

    @property
    def due_at(self) -> datetime | None:
        return self.box.status()[0].purge_due_at

    @property
    def hindrance(self) -> Hindrance | None:
        return self.box.status()[0].purge_hindrance

    def purge_due(self) -> Purged:
        return self.box.purging.purge_due(within_s=60.0)


@pytest.fixture
def house(tmp_path: Path, stub: StubUpstream) -> Iterator[House]:
    opened = House(tmp_path / "data", stub)
    try:
        yield opened
    finally:
        opened.box.close()


def names_of(purged: Purged) -> list[str]:
    return [list_.name for list_, _ in purged.lists]


def test_it_goes_30_days_after_the_end_and_not_before(house: House) -> None:
    assert house.due_at == ENDS + 30 * A_DAY
    house.scan()
    house.box.sync_now()
    assert house.at(ENDS + 30 * A_DAY - timedelta(seconds=1)).purge_due().lists == ()
    assert len(house.box.status()) == 1
    assert names_of(house.at(ENDS + 30 * A_DAY).purge_due()) == ["Default"]
    assert house.box.status() == []
    assert list(export(house.box.store.reading())) == []
    assert house.purge_due().lists == (), "once"


def test_a_list_that_was_used_later_is_due_later(house: House) -> None:
    house.at(ENDS + 20 * A_DAY).scan()
    house.box.sync_now()
    house.at(ENDS + 31 * A_DAY)
    assert house.due_at == ENDS + 50 * A_DAY
    assert house.purge_due().lists == ()


def test_a_list_that_was_registered_for_an_old_event_is_due_later(tmp_path: Path, stub: StubUpstream) -> None:
    house = House(tmp_path / "data", stub)
    house.at(ENDS + 100 * A_DAY)
    again = house.box.add_list(stub.url, stub.key, separate=True, name="Again")
    assert house.box.purging.due_at(again) == ENDS + 130 * A_DAY
    house.box.close()


def test_zero_days_is_never(tmp_path: Path, stub: StubUpstream) -> None:
    house = House(tmp_path / "data", stub, purge_after_days=0)
    house.at(ENDS + 1000 * A_DAY)
    assert (house.due_at, house.hindrance, house.purge_due().lists) == (None, None, ())
    house.box.close()


def test_what_is_not_at_the_ticket_server_is_an_alarm_instead(house: House) -> None:
    house.scan()
    assert house.hindrance is None
    house.at(ENDS + 30 * A_DAY)
    assert house.hindrance is Hindrance.UNSETTLED
    purged = house.purge_due()
    assert purged.lists == ()
    assert "1 check-ins are not at the ticket server; nothing was purged" in purged.problems[0]
    house.box.sync_now()
    assert house.hindrance is None
    assert house.due_at == THEN + 30 * A_DAY + (ENDS - THEN)
    assert names_of(house.purge_due()) == ["Default"]


def test_so_is_a_parked_check_in(house: House) -> None:
    house.stub.on("redeem", always(REFUSED))
    house.scan()
    house.box.sync_now()
    (conflict,) = house.box.conflicts()
    assert house.at(ENDS + 40 * A_DAY).hindrance is Hindrance.UNSETTLED
    house.box.dismiss(conflict.checkin.id, "she was there")
    assert house.hindrance is None
    assert names_of(house.purge_due()) == ["Default"]


def test_a_list_from_a_file_goes_only_by_hand(house: House) -> None:
    """Its check-ins are nowhere else."""
    saved = StubEvent()
    saved.date_to = "2026-11-25T02:00:00Z"
    saved.add_tickets(2)
    file_list = house.box.add_saved(
        {"status": saved.status(), "download": saved.download()}, "saved.json", name="From a file"
    )
    house.at(ENDS + 31 * A_DAY)
    statuses = {status.list.id: status for status in house.box.status()}
    assert statuses[file_list.id].purge_hindrance is Hindrance.ONLY_HERE
    purged = house.purge_due()
    assert names_of(purged) == ["Default"]
    assert "only this box has its check-ins" in purged.problems[0]
    assert [list_.name for list_, _ in house.box.purging.purge(file_list.id).lists] == ["From a file"]


def test_a_clock_that_cannot_be_trusted_purges_nothing(house: House) -> None:
    house.is_trusted = False
    house.at(datetime(2037, 1, 1, tzinfo=UTC))
    purged = house.purge_due()
    assert purged.lists == ()
    assert "the clock cannot be trusted" in purged.problems[0]
    assert len(house.box.status()) == 1


def test_a_removed_list_is_due_as_well(house: House) -> None:
    house.scan()
    house.box.sync_now()
    house.box.remove_list(house.list_id)
    (outlook,) = house.box.purging.outlooks()
    assert (outlook.is_removed, outlook.due_at) == (True, ENDS + 30 * A_DAY)
    assert house.purge_due().lists == ()
    assert names_of(house.at(ENDS + 30 * A_DAY).purge_due()) == ["Default"]


def test_an_interrupted_purge_goes_on_whenever_it_is_due(house: House) -> None:
    house.box.store.purger.begin(house.list_id, house.now)
    assert names_of(house.purge_due()) == ["Default"]
    assert house.box.store.purger.unfinished() == []


def test_an_unknown_list_is_an_error(house: House) -> None:
    with pytest.raises(ActionError, match="there is no list 7"):
        house.box.purging.purge(7)


def test_two_at_once_are_refused(house: House) -> None:
    def again(what: str, rows: int) -> None:
        with pytest.raises(ActionError, match="under way already"):
            house.box.purging.purge_due()

    assert house.box.purging.purge(house.list_id, report=again).is_rewritten


def test_copies_are_reached_where_they_are_and_named_where_not(house: House, tmp_path: Path) -> None:
    """In the data directory, in folders that are named, and where backups are made; those that somebody took along are
    told of."""
    house.scan()
    house.box.sync_now()
    folders = {name: tmp_path / name for name in ("stick", "made")}
    for folder in folders.values():
        folder.mkdir()
        house.box.store.copy_to(folder / "copy.sqlite3")
    (house.box.config.data_dir / "left").mkdir()
    house.box.store.copy_to(house.box.config.data_dir / "left" / "copy.sqlite3")
    house.box.did("Lena", "lead", "downloaded a backup", "")
    house.box.purging.folders = lambda: [folders["made"]]
    purged = house.box.purging.purge(house.list_id, folders=[folders["stick"], tmp_path / "away"])
    assert {path.parent.name for path in purged.copies.done} == {"left", "made", "stick"}
    assert purged.copies.left == ((tmp_path / "away", "it is not there now"),)
    assert purged.by_hand == ("downloaded on 2026-11-24 18:00 UTC by Lena",)
    holding = [path for path in tmp_path.rglob("*") if path.is_file() and b"secret000000" in path.read_bytes()]
    assert holding == []


def test_a_stick_that_was_away_is_purged_when_it_is_back(house: House, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    house.box.store.copy_to(stick / "copy.sqlite3")
    house.box.purging.purge(house.list_id)
    assert b"secret000000" in (stick / "copy.sqlite3").read_bytes()
    assert house.box.purging.purge_due(folders=[stick]).copies.done == (stick / "copy.sqlite3",)
    assert b"secret000000" not in (stick / "copy.sqlite3").read_bytes()


def test_the_way_back_of_an_update_has_no_names_either(house: House, tmp_path: Path) -> None:
    """An older version made the copy: lists cannot be taken out of it, so it goes; nobody has to delete it by hand."""
    house.scan()
    house.box.sync_now()
    kept = house.box.config.data_dir / KEPT_BY_UPDATE / "0.1.0-cafebabe"
    kept.mkdir(parents=True)
    house.box.store.copy_to(kept / "of-this-version.sqlite3")
    house.box.store.copy_to(kept / "of-the-one-before.sqlite3")
    with closing(sqlite3.connect(kept / "of-the-one-before.sqlite3")) as connection:
        connection.execute("PRAGMA user_version = 1")
    purged = house.box.purging.purge(house.list_id)
    assert purged.copies.left == ()
    assert [path.name for path in kept.iterdir()] == ["of-this-version.sqlite3"]
    assert b"secret000000" not in (kept / "of-this-version.sqlite3").read_bytes()


def test_the_script_keeps_it_there() -> None:
    assert f"\nWORK=$DATA/{KEPT_BY_UPDATE}\n" in (REPOSITORY / "scripts" / "update").read_text()
