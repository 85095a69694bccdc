"""Whatever upstream, a device or a guest calls things: the pages show it as text, and nothing of it does anything."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

from edgebox.export import FORMULA_STARTS
from edgebox.store.staff import Role
from tests.support import hostile
from tests.support.box import wait_until
from tests.support.event import StubItem
from tests.support.upstream import StubUpstream
from tests.web.conftest import DEVICE_KEY, Browser, House

PAGES = [
    "/", "/now/live", "/find?query=ticket", "/scan", "/attention", "/devices", "/lists", "/lists/live",
    "/lists/1/sheet", "/log", "/log?show=syncs", "/log?show=deeds", "/lists/1/remove",
    "/attention/held/1/accept", "/box",
]  # fmt: skip


def call_everything(house: House, text: str) -> None:
    """Give every name that comes from elsewhere this text."""
    stub = house.stub
    stub.list_name = stub.timezone = text
    stub.items = [StubItem(1, text, True, {1: text}), StubItem(2, text)]
    stub.add_question(1, "S", [1])
    stub.questions[0]["question"] = text
    stub.add_ticket("ticket-1", attendee_name=text, order=text[:60], addons_text=text)
    stub.add_ticket("ticket-2", attendee_name=text, item_id=1, variation_id=1)
    house.pull()
    house.scan("ticket-1")
    house.scan("ticket-1", is_forced=True, nonce=text[:100])
    house.scan("ticket-2", answers={1: text}, questions_supported=True)
    house.scan(text)
    house.scan(f"ticket {text}", is_forced=True)
    app = house.browser()
    app.client.get(
        f"/pretixdroid/api/demoorga/democon/status/?key={DEVICE_KEY}",
        headers={"User-Agent": text.encode("ascii", "replace").decode().translate({10: 32, 13: 32, 0: 32})},
    )


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, Browser]]:
    """A house for all texts, one after the other; and its lead."""
    stub = StubUpstream().start()
    data_dir = tmp_path_factory.mktemp("named")
    house = House(data_dir, stub)
    try:
        yield house, house.person(Role.LEAD)
    finally:
        house.close()
        stub.stop()


@pytest.mark.parametrize("family", hostile.FAMILIES)
def test_no_page_takes_it_for_anything_but_text(named: tuple[House, Browser], family: str) -> None:
    house, lead = named
    text = " ".join(hostile.FAMILIES[family])
    call_everything(house, text)
    ticket = house.ticket_id("ticket-1")
    lead.post(f"/tickets/{ticket}/note", text=text)
    lead.post(f"/tickets/{ticket}/checkin", force="1", reason=text, nonce=text[:50])
    lead.post("/scan/device", key=text)
    lead.post("/lists/add", url=text, key=text)
    lead.post("/connections/add", text=text, token=text)
    for path in [*PAGES, f"/tickets/{ticket}"]:
        page = lead.get(path)
        assert not hostile.RAW.search(page.text), path
        assert "Traceback" not in page.text
    assert house.box.store.tickets.find(house.list_, "ticket-2") is not None, "the tables are there"


def test_no_cell_of_a_csv_is_a_formula_or_steers_a_terminal(named: tuple[House, Browser]) -> None:
    house, lead = named
    for number, text in enumerate(hostile.ALL):
        house.stub.add_ticket(f"{text[:50]}{number}", attendee_name=text, order=text[:60])
        house.box.did(text, "lead", text, text)
    house.stub.list_name = hostile.FORMULAS[0]
    house.pull()
    for number, text in enumerate(hostile.ALL):
        house.scan(f"{text[:50]}{number}", nonce=text[:100])
        house.scan(text, is_forced=True)
    for path in ("/log.csv", "/journal.csv", "/syncs.csv", "/staff.csv"):
        body = lead.get(path).get_data()
        assert lead.get(path).mimetype == "text/csv"
        rows = list(csv.reader(io.StringIO(body.decode("utf-8-sig"), newline="")))
        assert len(rows) > (len(hostile.ALL) if path != "/syncs.csv" else 1)
        for cell in (cell for row in rows for cell in row):
            assert not cell.startswith(FORMULA_STARTS), (path, cell)
            assert not set(cell) & {chr(code) for code in (*range(9), 11, 12, *range(14, 32), *range(127, 160))}


def test_the_scan_page_answers_it_as_json(named: tuple[House, Browser]) -> None:
    _, lead = named
    lead.post("/scan/device", key=DEVICE_KEY)
    headers = {"X-CSRFToken": lead.token()}
    bodies: list[dict[str, Any]] = []
    for text in hostile.ALL:
        bodies += [{"secret": text}, {"nonce": text}, {"answers": {text: text}}]
    for body in bodies:
        told = json.dumps({"secret": "nobody", "nonce": "n", **body})
        response = lead.client.post("/scan/redeem", data=told, content_type="application/json", headers=headers)
        assert response.status_code in (200, 400), response.text
        assert response.is_json
        assert response.get_json()["text"]


@pytest.mark.parametrize(
    "body",
    [
        "", "null", "[]", "1", '"x"', "{", "{}", "NaN", "\x00", "1" * 5000, "[" * 99_000, '{"secret": ' + "[" * 99_000,
        '{"secret": "a", "nonce": 1}', '{"secret": "a", "nonce": ""}', '{"secret": "a", "nonce": "n", "answers": []}',
        '{"secret": "\\ud800", "nonce": "n"}', '{"secret": "a", "nonce": "\\udfff"}',
    ],
)  # fmt: skip
def test_what_is_no_scan_is_refused_in_json(named: tuple[House, Browser], body: str) -> None:
    _, lead = named
    lead.post("/scan/device", key=DEVICE_KEY)
    response = lead.client.post(
        "/scan/redeem", data=body, content_type="application/json", headers={"X-CSRFToken": lead.token()}
    )
    assert response.status_code == 400
    assert response.get_json()["verdict"] == "bad_request"


def test_numbers_of_questions_and_answers_that_are_none_are_left_out(named: tuple[House, Browser]) -> None:
    house, lead = named
    house.stub.add_ticket("asks", item_id=1, variation_id=1)
    house.pull()
    lead.post("/scan/device", key=DEVICE_KEY)
    odd = {"9" * 5000: "x", "-1": "x", "1.5": "x", "\u0661": "x", "": "x", "2": ["x"], "3": "\ud800", "4": "x" * 20_000,
           "5": None, "6": 1}  # fmt: skip
    response = lead.client.post(
        "/scan/redeem",
        data=json.dumps({"secret": "asks", "nonce": "n", "answers": {**odd, "1": "fine"}}),
        content_type="application/json",
        headers={"X-CSRFToken": lead.token()},
    )
    assert response.status_code == 200, response.text
    kept = [checkin.answers for checkin in house.checkins() if checkin.secret == "asks"]
    assert kept == [{1: "fine"}]


def test_a_part_of_a_form_without_a_name_is_no_fault(
    house: House, lead: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    part = b"--edge\r\nContent-Disposition: form-data\r\n\r\nabc\r\n--edge--\r\n"
    for browser in (lead, house.browser()):
        for path in ("/logout", "/sync", "/lists/add"):
            response = browser.client.post(path, data=part, content_type="multipart/form-data; boundary=edge")
            assert response.status_code in (302, 400)
    assert "Traceback" not in caplog.text


def test_too_many_fields_are_refused(lead: Browser) -> None:
    token = lead.token()
    body = f"csrf_token={token}" + "&x=1" * 2000
    response = lead.client.post("/sync", data=body, content_type="application/x-www-form-urlencoded")
    assert response.status_code == 413
    lead.send("/sync", 302, {"csrf_token": token})


@pytest.mark.parametrize(
    "qr", ["{" * 20_000, '{"url": ' + "[" * 20_000, '{"url": "https://x/pretixdroid/api/o/\\ud800/", "key": "k"}']
)
def test_the_text_of_a_qr_code_that_is_none_is_refused_in_words(
    house: House, lead: Browser, caplog: pytest.LogCaptureFixture, qr: str
) -> None:
    lead.post("/lists/add", url=qr, key="k")
    wait_until(lambda: "alert-danger" in lead.get("/lists").text, 30, "the page says no")
    lead.post("/connections/add", text=qr.replace('"key"', '"handshake_version": 1, "token"'))
    wait_until(lambda: "alert-danger" in lead.get("/lists").text, 30, "the page says no")
    assert "Traceback" not in caplog.text
    assert len(house.box.store.lists.all()) == 1
