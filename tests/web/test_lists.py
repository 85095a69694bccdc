"""Lists, as the lead registers, pauses and removes them at a page."""

from __future__ import annotations

import threading

import pytest

from edgebox.web import now as now_module
from tests.support.upstream import Hold, held
from tests.web.conftest import Browser, House


def test_who_presses_twice_registers_a_list_once(house: House, lead: Browser) -> None:
    """Both ask the ticket server before either has registered it."""
    house.box.remove_list(house.list_.id)
    form = {"csrf_token": lead.token(), "url": house.stub.url, "key": house.stub.key, "back": "web.lists"}
    holds = [Hold(), Hold()]
    left = list(holds)
    house.stub.on("status", lambda request: held(left.pop()) if left else None)
    threads = [threading.Thread(target=lead.send, args=("/lists/add", 302, form)) for _ in holds]
    for thread in threads:
        thread.start()
    for hold in holds:
        assert hold.reached.wait(60)
    for hold in holds:
        hold.release()
    for thread in threads:
        thread.join(60)
    assert len(house.box.store.lists.all()) == 1
    assert [deed[2] for deed in house.deeds()].count("added a list") == 1


def test_a_configuration_qr_is_taken_as_it_is(house: House, lead: Browser) -> None:
    house.box.remove_list(house.list_.id)
    qr = f'{{"version": 3, "url": "{house.stub.url}", "key": "{house.stub.key}", "allow_search": true}}'
    lead.post("/lists/add", url=qr)
    assert house.list_.path == "demoorga/democon"


def test_a_paused_list_says_so_and_goes_on(house: House, lead: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(now_module, "LOOK_EVERY_S", 0.0)
    monkeypatch.setattr(now_module, "REST_FACTOR", 0)
    lead.post("/lists/1/pause")
    assert "paused" in lead.get("/lists").text
    assert "Sync is paused" in lead.get("/").text
    assert house.scan("secret-of-ada").verdict.is_ok
    lead.post("/lists/1/resume")
    assert "Sync is paused" not in lead.get("/lists").text
    assert not house.list_.is_paused


def test_a_list_with_checkins_that_wait_is_not_removed(house: House, lead: Browser) -> None:
    house.scan("secret-of-ada")
    lead.post("/lists/1/remove", back="web.lists")
    assert "that upstream does not have yet" in lead.get("/lists").text
    assert house.list_.id == 1


def test_no_page_shows_the_key_of_a_list(house: House, lead: Browser) -> None:
    assert house.stub.key not in lead.get("/lists").text
