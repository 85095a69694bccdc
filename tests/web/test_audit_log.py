"""Every change that somebody makes at a page is on record with the name, once, and only if it was made."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence

import pytest

from edgebox.store import NotWritable
from edgebox.store.staff import Role, Staff
from tests.support.box import wait_until
from tests.web.conftest import Browser, House


@pytest.fixture
def parked(house: House, stub_ticket: str) -> int:
    """A check-in that upstream refuses for good."""
    house.scan(stub_ticket)
    del house.stub.tickets[stub_ticket]
    house.box.sync.now(house.list_.id)
    return house.checkins()[-1].id


@pytest.fixture
def stub_ticket(house: House) -> str:
    house.stub.add_ticket("secret-of-cleo", attendee_name="Cleo", order="AAAA3")
    house.pull()
    return "secret-of-cleo"


def after(house: House) -> Iterator[Sequence[tuple[str, str, str, str]]]:
    """What is done from here on, each time it is asked for."""
    known = len(house.deeds())
    while True:
        deeds = house.deeds()
        yield deeds[known:]
        known = len(deeds)


def test_what_the_gate_does(house: House, gate: Browser) -> None:
    new = after(house)
    next(new)
    ada, bob = house.ticket_id("secret-of-ada"), house.ticket_id("secret-of-bob")
    gate.post("/sync")
    assert next(new) == [("Gus", "gate", "synced", "")]
    gate.post(f"/tickets/{ada}/checkin")
    assert next(new) == [("Gus", "gate", "checked in", f"{ada}")]
    gate.post(f"/tickets/{ada}/checkin", force="1", reason="the band is with her")
    assert next(new) == [("Gus", "gate", "forced a check-in", f"{ada} the band is with her")]
    gate.post(f"/tickets/{ada}/note", text="waits at the bar")
    assert next(new) == [("Gus", "gate", "added a note", f"{ada}")]
    gate.post(f"/tickets/{bob}/checkin")
    next(new)
    checkin = house.checkins()[-1].id
    gate.post(f"/tickets/{bob}/undo/{checkin}", reason="another Bob")
    assert next(new) == [("Gus", "gate", "undid a check-in", f"{checkin}: another Bob")]


def test_what_the_lead_does(house: House, lead: Browser, parked: int) -> None:
    new = after(house)
    next(new)
    lead.post("/devices/add", name="Gate 2", list="1")
    assert next(new) == [("Lena", "lead", "added a device", "Gate 2")]
    lead.post("/devices/revoke", name="Gate 2")
    assert next(new) == [("Lena", "lead", "revoked a device", "Gate 2")]
    lead.post(f"/attention/{parked}/retry")
    assert next(new) == [("Lena", "lead", "retried a check-in", f"{parked}")]
    house.box.sync.now(house.list_.id)
    lead.post(f"/attention/{parked}/dismiss", reason="she is in")
    assert next(new) == [("Lena", "lead", "dismissed a conflict", f"{parked}: she is in")]
    lead.post("/lists/1/pause")
    lead.post("/lists/1/resume")
    assert next(new) == [("Lena", "lead", "paused a list", "1"), ("Lena", "lead", "resumed a list", "1")]
    lead.post("/password", role="gate", password="another-password", again="another-password")
    assert next(new) == [("Lena", "lead", "set the password", "gate")]
    lead.post("/box/backup", 200)
    assert next(new) == [("Lena", "lead", "downloaded a backup", "")]
    lead.post("/lists/1/remove")
    assert next(new) == [("Lena", "lead", "removed a list", "Default")]
    lead.post("/lists/add", url=house.stub.url, key=house.stub.key)
    wait_until(lambda: "data-busy" not in lead.get("/lists/live").text, 60, "the list is added")
    assert next(new) == [("Lena", "lead", "added a list", "demoorga/democon")]


def test_what_was_refused_is_not_on_record(house: House, lead: Browser) -> None:
    new = after(house)
    next(new)
    ada = house.ticket_id("secret-of-ada")
    house.scan("secret-of-ada")
    for path, form in (
        (f"/tickets/{ada}/checkin", {}),
        (f"/tickets/{ada}/checkin", {"force": "1"}),
        (f"/tickets/{ada}/note", {"text": " "}),
        (f"/tickets/{ada}/undo/1", {}),
        (f"/tickets/{ada}/undo/99", {"reason": "x"}),
        ("/devices/add", {"name": "Gate 1", "list": "1"}),
        ("/devices/add", {"name": "", "list": "1"}),
        ("/devices/add", {"name": "Gate 9", "list": "9"}),
        ("/devices/revoke", {"name": "Gate 9"}),
        ("/attention/1/retry", {}),
        ("/attention/1/dismiss", {"reason": "x"}),
        ("/attention/held/1/accept", {}),
        ("/lists/9/pause", {}),
        ("/lists/1/remove", {}),
        ("/lists/add", {"url": house.stub.url, "key": house.stub.key}),
        ("/lists/add", {"url": "nonsense", "key": "x"}),
    ):
        lead.post(path, form=form)
        assert next(new) == [], path


def test_names_are_shown_as_text_and_the_newest_first(house: House, lead: Browser) -> None:
    house.browser().log_in(Role.GATE, name="<i>Gus</i>")
    page = lead.get("/log?show=deeds").text
    assert "&lt;i&gt;Gus&lt;/i&gt;" in page
    assert page.index("&lt;i&gt;Gus") < page.rindex("Lena")


def test_what_was_done_is_done_though_the_disk_has_no_room_for_the_record(
    house: House, lead: Browser, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(self: Staff, deed: object) -> None:
        raise NotWritable("the disk is full; nothing was recorded")

    monkeypatch.setattr(Staff, "did", full)
    ada = house.ticket_id("secret-of-ada")
    lead.post(f"/tickets/{ada}/checkin")
    page = lead.get(f"/tickets/{ada}").text
    assert "Checked in." in page
    assert "nothing was recorded" not in page
    assert "lacks: checked in (lead)" in caplog.text
    assert caplog.records[-1].levelno == logging.ERROR


def test_who_presses_force_twice_lets_one_in_once(house: House, gate: Browser) -> None:
    ada = house.ticket_id("secret-of-ada")
    nonce = re.search(r'name="nonce" value="([^"]+)"', gate.get(f"/tickets/{ada}").text)
    assert nonce
    for _press in range(2):
        gate.post(f"/tickets/{ada}/checkin", force="1", reason="the band is with her", nonce=nonce[1])
        assert "Checked in" in gate.get(f"/tickets/{ada}").text
    assert [checkin.nonce for checkin in house.checkins()] == [nonce[1]]
    assert [deed[2] for deed in house.deeds()].count("forced a check-in") == 1
    again = re.search(r'name="nonce" value="([^"]+)"', gate.get(f"/tickets/{ada}").text)
    assert again is not None
    assert again[1] != nonce[1]  # whoever comes back to the page means another one
