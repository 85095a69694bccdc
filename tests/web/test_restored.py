"""The page Box on the database: its copies, and what came of a damage until the lead has dismissed it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from edgebox.store import copying
from edgebox.store.db import DATABASE_NAME
from edgebox.store.staff import Role
from tests.support.box import wait_until
from tests.support.upstream import StubUpstream
from tests.web.conftest import NOW, Browser, House


def test_the_page_tells_of_the_copies(house: House, lead: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "none yet" in lead.get("/box").text
    house.box.caretaker.look_after()
    assert "1, the last one from 2026-11-24 18:30:15 UTC" in lead.get("/box").text
    house.scan("secret-of-ada")
    house.let_pass(hours=1)
    monkeypatch.setattr(copying, "ROOM_FOR_SCANNING_BYTES", 10**18)
    house.box.caretaker.look_after()
    assert "too little room for a copy" in lead.get("/box").text
    wait_until(lambda: "The database cannot be copied" in lead.get("/").text, 30, "Now looks again")


def test_a_restored_database_is_told_of_until_the_lead_dismisses_it(house: House, stub: StubUpstream) -> None:
    house.scan("secret-of-ada")
    house.box.store.copies.make(NOW, keep=1)
    data_dir = house.box.config.data_dir
    house.box.close()
    (data_dir / DATABASE_NAME).write_bytes(b"")
    again = House(data_dir, stub)
    try:
        again.now = NOW + timedelta(minutes=5)
        lead, gate = again.person(Role.LEAD), again.person(Role.GATE)
        for page in (lead.get("/"), gate.get("/"), lead.get("/box")):
            assert "The database was damaged, and restored at" in page.text
            assert "may be missing" in page.text
        assert "replaced/" in lead.get("/box").text
        gate.post("/box/restored", 403)
        lead.post("/box/restored")
        assert "The database was damaged" not in lead.get("/box").text
        wait_until(lambda: "The database was damaged" not in lead.get("/").text, 30, "Now looks again")
        assert again.deeds()[-1] == ("Lena", "lead", "dismissed the restoration", "")
        lead.post("/box/restored")
        assert "nothing to dismiss" in lead.get("/box").text
    finally:
        again.close()
        house.box = again.box
