"""Lists, as the lead registers, pauses and removes them at a page."""

from __future__ import annotations

import re
import threading

import pytest

from edgebox.box import ActionError
from edgebox.web import now as now_module
from tests.support.box import wait_until
from tests.support.upstream import Hold, held
from tests.web.conftest import Browser, House


def said(lead: Browser) -> str:
    """What came of the errand, once it is done."""
    wait_until(lambda: "data-busy" not in lead.get("/lists/live").text, 60, "the errand is done")
    return lead.get("/lists/live").text


def test_a_list_is_registered_by_itself_and_once_however_often_it_is_pressed(house: House, lead: Browser) -> None:
    house.box.remove_list(house.list_.id)
    hold = Hold()
    house.stub.on("status", lambda request: held(hold))
    lead.post("/lists/add", url=house.stub.url, key=house.stub.key)
    assert hold.reached.wait(60)
    assert "Asking the ticket server" in lead.get("/lists").text  # answered already
    lead.post("/lists/add", url=house.stub.url, key=house.stub.key, back="web.lists")
    assert "nothing else was done" in lead.get("/lists").text
    house.stub.off()
    hold.release()
    assert "was added; its tickets are being fetched" in said(lead)
    assert len(house.box.store.lists.all()) == 1
    assert [deed[2] for deed in house.deeds()].count("added a list") == 1

    lead.post("/lists/add", url=house.stub.url, key=house.stub.key)
    assert "nothing was added" in said(lead)
    assert len(house.box.store.lists.all()) == 1


def test_two_who_register_the_same_list_at_once_register_it_once(house: House) -> None:
    """A command and a page both ask the ticket server before either has registered the list."""
    house.box.remove_list(house.list_.id)
    holds = [Hold(), Hold()]
    left = list(holds)
    house.stub.on("status", lambda request: held(left.pop()) if left else None)
    refused: list[str] = []

    def register() -> None:
        try:
            house.box.add_list(house.stub.url, house.stub.key)
        except ActionError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=register) for _ in holds]
    for thread in threads:
        thread.start()
    for hold in holds:
        assert hold.reached.wait(60)
    for hold in holds:
        hold.release()
    for thread in threads:
        thread.join(60)
    assert len(house.box.store.lists.all()) == 1
    assert len(refused) == 1


def test_a_fault_of_the_box_is_said_and_logged(
    house: House, lead: Browser, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(house.box, "add_list", fail)
    lead.post("/lists/add", url=house.stub.url, key=house.stub.key)
    assert "The box failed over this" in said(lead)
    assert "ZeroDivisionError" in caplog.text


def test_a_configuration_qr_is_taken_as_it_is(house: House, lead: Browser) -> None:
    house.box.remove_list(house.list_.id)
    qr = f'{{"version": 3, "url": "{house.stub.url}", "key": "{house.stub.key}", "allow_search": true}}'
    lead.post("/lists/add", url=qr)
    assert "was added" in said(lead)
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


def test_a_list_with_checkins_that_wait_goes_once_they_are_in_a_file_and_who_asks_is_told_before(
    house: House, lead: Browser
) -> None:
    assert "Not at the ticket server yet" not in lead.get("/lists/1/remove").text
    house.scan("secret-of-ada")
    house.scan("secret-of-bob")
    question = lead.get("/lists/1/remove").text
    folder = house.box.config.data_dir / "exports"
    assert f"Not at the ticket server yet: 2 check-ins. What is not there is written to a file in {folder}" in question
    assert re.search(r'name="force" value="1".*Export and remove it', question, re.DOTALL)

    lead.post("/lists/1/remove", force="1", back="web.lists")

    [path] = folder.iterdir()
    shown = lead.get("/lists").text
    assert f"Not sent, but written to {path}: 2 check-ins." in shown
    assert "No lists yet" in shown
    assert path.read_text("utf-8").count("secret-of-") == 2
    assert house.deeds()[-1][2:] == ("removed a list", f"Default, {path}")
    assert [checkin.state for checkin in house.checkins()] == ["dismissed", "dismissed"]


def test_who_was_not_told_of_checkins_that_wait_does_not_remove_the_list(house: House, lead: Browser) -> None:
    """One was scanned while the question stood there."""
    question = lead.get("/lists/1/remove").text
    assert "force" not in question
    house.scan("secret-of-ada")
    lead.post("/lists/1/remove", back="web.lists")
    assert "nothing was removed" in lead.get("/lists").text
    assert "1 check-in." in lead.get("/lists/1/remove").text


def test_no_page_shows_the_key_of_a_list(house: House, lead: Browser) -> None:
    assert house.stub.key not in lead.get("/lists").text


def test_a_list_can_be_printed_to_be_ticked_by_hand(house: House, lead: Browser) -> None:
    assert f"/lists/{house.list_.id}/paper" in lead.get("/lists").text
    sheet = lead.get(f"/lists/{house.list_.id}/paper")
    assert sheet.mimetype == "text/html"
    assert "Ada" in sheet.text
    assert "secret-of-ada" not in sheet.text
    assert "<style" not in sheet.text, "which the content security policy would not let in"
    style = re.search(r'href="([^"]+paper\.css)"', sheet.text)
    assert style is not None
    assert "@page" in lead.get(style[1]).text
    german = lead.get(f"/lists/{house.list_.id}/paper", headers={"Accept-Language": "de"})
    assert 'lang="de"' in german.text
    assert "Zum Abhaken" in german.text
