"""The first password: set once, with a code that nobody on the Wi-Fi has."""

from __future__ import annotations

import logging
import threading

import pytest

from edgebox.store.staff import Role
from edgebox.web import login as login_module
from tests.web.conftest import Browser, House

PASSWORD = "a-good-password"


def first(browser: Browser, code: str, *, check: int, page: str = "/first", **changes: str) -> str:
    form = {"code": code, "name": "Lena", "password": PASSWORD, "again": PASSWORD, **changes}
    return browser.post(page, check, form).text


@pytest.fixture
def code(new_house: House) -> str:
    code = new_house.box.store.staff.code(Role.LEAD)
    assert code is not None
    return code


def test_at_the_first_visit_a_password_is_set_and_one_is_in(new_house: House, code: str) -> None:
    browser = new_house.browser()
    assert browser.get("/", 302).headers["Location"] == "/login"
    assert browser.get("/login", 302).headers["Location"] == "/first"
    first(browser, code, check=302)
    assert browser.is_in()
    assert new_house.deeds() == [
        ("Lena", "lead", "set the password", "lead"), ("Lena", "lead", "logged in", ""),
    ]  # fmt: skip
    other = new_house.browser()
    other.log_in(Role.LEAD, password=PASSWORD)
    assert other.is_in()


@pytest.mark.parametrize("change", [str.lower, lambda code: f" {code[:5]}-{code[5:]} ", lambda code: " ".join(code)])
def test_the_code_is_taken_as_people_type_it(new_house: House, code: str, change: object) -> None:
    assert callable(change)
    first(new_house.browser(), change(code), check=302)


def test_nobody_gets_in_without_the_code(new_house: House, code: str) -> None:
    browser = new_house.browser()
    for wrong in ("", "-", "None"):
        assert "The code is wrong." in first(browser, wrong, check=401)
    assert not browser.is_in()
    assert new_house.box.store.staff.credential(Role.LEAD).password_hash is None


def test_while_no_code_was_asked_for_none_is_right(new_house: House) -> None:
    first(new_house.browser(), "", check=401)
    first(new_house.browser("192.0.2.8"), "NONE", check=401)
    assert new_house.box.store.staff.credential(Role.LEAD).code is None, "nor does a visit make one"


def test_the_code_works_once(new_house: House, code: str) -> None:
    first(new_house.browser(), code, check=302)
    later = new_house.browser()
    assert later.get("/first", 302).headers["Location"] == "/login"
    first(later, code, check=302)  # to the log-in, whatever was typed
    assert not later.is_in()
    later.log_in(Role.LEAD, password=PASSWORD)


def test_of_two_at_once_one_sets_it(new_house: House, code: str) -> None:
    browsers = [new_house.browser(f"192.0.2.{number}") for number in range(1, 5)]
    tokens = [browser.token() for browser in browsers]
    together = threading.Barrier(len(browsers))
    statuses = []

    def one(browser: Browser, token: str, number: int) -> None:
        password = f"password number {number}"
        form = {"csrf_token": token, "code": code, "name": "Lena", "password": password, "again": password}
        together.wait()
        response = browser.client.post("/first", data=form, environ_base={"REMOTE_ADDR": browser.address})
        statuses.append((response.status_code, response.headers.get("Location")))

    threads = [
        threading.Thread(target=one, args=(browser, token, number))
        for number, (browser, token) in enumerate(zip(browsers, tokens, strict=True))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses.count((302, "/")) == 1
    assert sum(browser.is_in() for browser in browsers) == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"password": "short", "again": "short"}, "at least 8"),
        ({"again": "another-password"}, "not the same"),
        ({"name": ""}, "say who you are"),
    ],
)
def test_what_cannot_be_set_leaves_the_code_as_it_is(
    new_house: House, code: str, changes: dict[str, str], said: str
) -> None:
    page = first(new_house.browser(), code, check=401, **changes)
    assert said in page
    assert PASSWORD not in page
    first(new_house.browser(), code, check=302)


def test_guessing_codes_is_slow_and_costs_the_box_nothing(
    new_house: House, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashes: list[str] = []

    def counted(password: str) -> str:
        hashes.append(password)
        return "hash"

    monkeypatch.setattr(login_module, "generate_password_hash", counted)
    browser = new_house.browser()
    for _ in range(3):
        first(browser, "AAAAAAAAAA", check=401)
    assert "wait" in first(browser, code, check=401), "though it would be right"
    assert hashes == [], "a password is hashed for who has the code alone"
    first(new_house.browser("192.0.2.8"), code, check=302)
    assert len(hashes) == 1


def test_after_a_reset_it_begins_anew(house: House, lead: Browser, gate: Browser) -> None:
    code = house.box.reset_password(Role.LEAD)
    assert not lead.is_in()
    assert gate.is_in(), "the other role goes on"
    assert lead.get("/login", 302).headers["Location"] == "/first"
    first(lead, code, check=302)
    assert lead.is_in()


def test_the_gate_s_password_is_set_with_a_code_too(house: House, gate: Browser) -> None:
    code = house.box.reset_password(Role.GATE)
    assert "The code is wrong." in first(gate, "AAAAAAAAAA", check=401, page="/first/gate")
    first(gate, code, check=302, page="/first/gate", name="Gus")
    assert gate.is_in()
    gate.get("/devices", 403)
    assert house.deeds()[-2:] == [("Gus", "gate", "set the password", "gate"), ("Gus", "gate", "logged in", "")]
    assert gate.get("/first/gate", 302).headers["Location"] == "/login"


def test_a_code_of_the_gate_makes_nobody_the_lead(new_house: House) -> None:
    code = new_house.box.reset_password(Role.GATE)
    browser = new_house.browser()
    first(browser, code, check=401)
    assert not browser.is_in()
    browser.get("/first/lead", 404)
    browser.get("/first/boss", 404)


def test_no_code_or_password_is_in_any_log(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    code = house.box.reset_password(Role.LEAD)
    browser = house.browser()
    first(browser, f"{code}X", check=401)
    first(browser, code, check=302)
    browser.log_in(Role.LEAD, password="a-wrong-password", check=401)
    said = caplog.text + repr(house.deeds())
    for secret in (code, PASSWORD, "a-wrong-password"):
        assert secret not in said
    assert house.deeds()[:1] == [("-", "command line", "reset the password", "lead")]
