"""What Now says first, in every state of things."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_babel import Babel

from edgebox.activity import Activity, Silent
from edgebox.box import ListStatus
from edgebox.model import CheckInList, Source, SourceKind
from edgebox.ops.caretaker import Care
from edgebox.ops.health import Health
from edgebox.purging import Hindrance
from edgebox.store.copies import Copy
from edgebox.store.held import HeldBack
from edgebox.store.restorations import Restoration
from edgebox.sync import LinkReport, UpstreamState
from edgebox.web.banners import DANGER, OK, WARNING, Banner, Situation, banners

NOW = datetime(2026, 11, 24, 20, 0, tzinfo=UTC)
SINCE = datetime(2026, 11, 24, 14, 3, tzinfo=UTC)
WELL = Health(
    disk_free_bytes=50_000_000_000, disk_total_bytes=60_000_000_000, memory_available_bytes=2, memory_total_bytes=4,
    own_memory_bytes=1, load_1min=0.1, temperature_c=40.0, under_voltage_now=False, under_voltage_since_boot=False,
    uptime_s=60.0,
)  # fmt: skip
UNHURT = Care(newest=None, copies=0, failure=None, problem=None, restored=())


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    app = Flask("test")
    Babel(app)
    with app.test_request_context():
        yield


def status(
    state: UpstreamState = UpstreamState.ONLINE,
    *,
    name: str = "Main",
    pending: int = 0,
    detail: str = "",
    since: datetime | None = None,
    held: HeldBack | None = None,
) -> ListStatus:
    kind = SourceKind.FILE if state is UpstreamState.FILE else SourceKind.PRETIXDROID
    return ListStatus(
        list=CheckInList(1, Source(1, kind, "", ""), "orga", "event", None, name),
        link=LinkReport(state, since, detail),
        tickets=10,
        checkins=5,
        inside=5,
        pending=pending,
        oldest_pending_at=None,
        conflicts=0,
        held=held or HeldBack.none(),
        items=(),
        upstream_total=None,
        drain_s=None,
    )


def said(*statuses: ListStatus, **changes: Any) -> list[Banner]:
    situation: dict[str, Any] = {
        "now": NOW,
        "statuses": list(statuses),
        "per_minute": [],
        "activity": Activity((), False, 3.0),
        "health": WELL,
        "care": UNHURT,
        "write_failure": None,
        "is_clock_trusted": True,
    }
    return banners(Situation(**(situation | changes)))


def test_when_all_is_well_that_is_said() -> None:
    (banner,) = said(status())
    assert (banner.level, banner.text) == (OK, "Online")
    assert "every check-in" in banner.detail
    (banner,) = said(status(pending=1))
    assert "1 check-in on the way" in banner.detail


@pytest.mark.parametrize(
    ("state", "level", "text"),
    [
        (UpstreamState.UNREACHABLE, WARNING, "Offline since 14:03"),
        (UpstreamState.NOT_UPSTREAM, WARNING, "Not online: a login page or a proxy answers"),
        (UpstreamState.REFUSED, DANGER, "The ticket server refuses the box"),
        (UpstreamState.PAUSED, WARNING, "Sync is paused"),
        (UpstreamState.NEVER, WARNING, "The ticket server was not reached yet"),
    ],
)
def test_each_state_has_its_words_and_scanning_goes_on(state: UpstreamState, level: str, text: str) -> None:
    (banner,) = said(status(state, since=SINCE, pending=212, detail="no route"))
    assert (banner.level, banner.text) == (level, text)
    assert banner.detail == "Scanning goes on, 212 check-ins waiting."
    assert banner.why == ("" if state is UpstreamState.PAUSED else "no route")


def test_every_state_is_told() -> None:
    assert all(said(status(state)) for state in UpstreamState)


def test_a_box_without_a_ticket_server_is_not_offline() -> None:
    (banner,) = said(status(UpstreamState.FILE))
    assert (banner.level, banner.text) == (OK, "Scanning goes on")


def test_lists_that_share_a_trouble_are_one_banner_and_named_only_where_others_are_well() -> None:
    lost = [status(UpstreamState.UNREACHABLE, name=name, pending=2, since=SINCE) for name in ("A", "B", "C", "D")]
    (banner,) = said(*lost)
    assert banner.text == "Offline since 14:03"
    assert "8 check-ins waiting" in banner.detail
    (banner,) = said(*lost, status(name="E"))
    assert banner.text == "A, B, C and 1 more: Offline since 14:03"
    (banner,) = said(lost[0], status(UpstreamState.FILE))
    assert banner.text == "Offline since 14:03"


def test_trouble_of_a_ticket_server_that_answers_is_not_hidden() -> None:
    (banner,) = said(status(detail="push: the server chokes"))
    assert (banner.level, banner.why) == (WARNING, "push: the server chokes")


def test_a_box_that_cannot_write_is_the_first_thing_said() -> None:
    found = said(status(UpstreamState.UNREACHABLE), write_failure="no space left on device")
    assert found[0].level == DANGER
    assert "Scans are refused" in found[0].text
    assert found[0].why == "no space left on device"


COPY = Copy(Path("copies/000003-20261124T195000Z.sqlite3"), 3, NOW - timedelta(minutes=10))
RESTORED = Restoration(
    at=NOW, problem="it is empty", kept_in="replaced/x", copy_made_at=COPY.made_at, salvaged=3, brought_up_to_date=1,
    known_missing=0, missing_from=NOW - timedelta(minutes=9), missing_to=NOW - timedelta(minutes=1),
)  # fmt: skip


def test_a_damaged_database_is_said_with_what_to_do() -> None:
    found = said(status(), care=replace(UNHURT, newest=COPY, problem="malformed", failure="not copied either"))
    assert [(banner.level, banner.text, banner.why) for banner in found] == [
        (DANGER, "The database is damaged", "malformed")
    ]
    assert "Start the box again" in found[0].detail
    found = said(status(), care=replace(UNHURT, problem="malformed"))
    assert "export the journal" in found[0].detail


def test_what_a_restored_database_may_lack_is_said_until_it_is_dismissed() -> None:
    (banner,) = said(status(), care=replace(UNHURT, newest=COPY, restored=(RESTORED,)))
    assert (banner.level, banner.why) == (WARNING, "it is empty")
    assert banner.text == "The database was damaged, and restored at 20:00"
    assert "Entries between 19:51 and 19:59 may be missing" in banner.detail
    assert "let in again" in banner.detail
    assert "known" not in banner.detail
    restored = (replace(RESTORED, missing_from=None, known_missing=2),)
    (banner,) = said(status(), care=replace(UNHURT, restored=restored))
    assert "Entries before 19:59 may be missing" in banner.detail
    assert "2 check-ins are known to be missing." in banner.detail


def test_copies_that_cannot_be_made_are_said() -> None:
    (banner,) = said(status(), care=replace(UNHURT, newest=COPY, failure="too little room"))
    assert (banner.level, banner.text) == (WARNING, "The database cannot be copied")
    assert (banner.detail, banner.why) == ("The last copy is from 19:50.", "too little room")
    (banner,) = said(status(), care=replace(UNHURT, failure="too little room"))
    assert banner.detail == "There is no copy yet."


def test_no_list_yet_is_said_whatever_else_there_is() -> None:
    assert [banner.text for banner in said(is_clock_trusted=False)] == [
        "The clock is not trusted",
        "No check-in list yet",
    ]


def test_the_machine_is_told_of() -> None:
    full = Health(**{field: getattr(WELL, field) for field in Health.__slots__} | {"disk_free_bytes": 100_000_000})
    weak = Health(**{field: getattr(WELL, field) for field in Health.__slots__} | {"under_voltage_now": True})
    hot = Health(**{field: getattr(WELL, field) for field in Health.__slots__} | {"temperature_c": 85.0})
    assert ["disk" in said(status(), health=health)[0].text for health in (full, weak, hot)] == [True, False, False]
    assert "power supply" in said(status(), health=weak)[0].text
    assert "too hot" in said(status(), health=hot)[0].text


def test_a_silent_device_and_a_drop_of_the_rate_are_told() -> None:
    activity = Activity((Silent("Gate A", 400.0),), True, 1.0)
    texts = [banner.text for banner in said(status(), activity=activity)]
    assert texts == ["Gate A has fallen silent", "Far fewer scans than a few minutes ago"]


@pytest.mark.parametrize(
    ("held", "what"),
    [
        (HeldBack(68, 0), "68 tickets"),
        (HeldBack(0, 1), "1 check-in"),
        (HeldBack(1, 30), "1 ticket and 30 check-ins"),
    ],
)
def test_a_pull_that_waits_is_told_with_what_it_would_take_away(held: HeldBack, what: str) -> None:
    (banner,) = said(status(held=held))
    assert banner.text == "A pull waits for staff: Main"
    assert f"It would take away {what}." in banner.detail


def test_phones_that_look_for_the_box_where_it_is_not_are_named() -> None:
    lost = {"http://192.168.1.20:8000": ["Gate A", "Gate B", "Gate C", "Gate D"], "http://10.9.8.7": []}
    silent, useless = said(status(), lost_addresses=lost)
    assert (silent.level, silent.text) == (DANGER, "Phones cannot find the box at http://192.168.1.20:8000")
    assert "QR codes of Gate A, Gate B, Gate C and 1 more carry it" in silent.detail
    assert (useless.level, useless.text) == (WARNING, "New QR codes would not work")
    assert "http://10.9.8.7, which this box does not have" in useless.detail


@pytest.mark.parametrize(
    ("hindrance", "detail"), [(Hindrance.UNSETTLED, "not at the ticket server"), (Hindrance.ONLY_HERE, "export them")]
)
def test_names_that_should_be_gone_are_told_with_what_keeps_them(hindrance: Hindrance, detail: str) -> None:
    (banner,) = said(replace(status(), purge_due_at=SINCE, purge_hindrance=hindrance))
    assert (banner.level, banner.text) == (WARNING, "The names of Main should be gone by now")
    assert detail in banner.detail


def test_names_that_are_to_go_are_no_news() -> None:
    (banner,) = said(replace(status(), purge_due_at=SINCE))
    assert banner.level == OK
