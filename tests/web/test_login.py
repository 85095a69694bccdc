"""Logging in: a role's password and a name; what ends it, and what it is not fooled by."""

from __future__ import annotations

import re
from datetime import timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import quote

import pytest
from werkzeug.security import generate_password_hash

from edgebox.app import create_app
from edgebox.store.staff import Role
from edgebox.web.people import SESSION_LIFETIME, Person
from tests.support.upstream import StubUpstream
from tests.web.conftest import NAMES, PASSWORDS, Browser, House


@pytest.mark.parametrize("role", list(Role))
def test_with_the_password_of_the_role_one_is_in(house: House, role: Role) -> None:
    browser = house.browser()
    assert not browser.is_in()
    browser.log_in(role)
    page = browser.get("/").text
    assert f"{NAMES[role]}" in page
    assert house.deeds()[-1] == (NAMES[role], role, "logged in", "")


def test_with_another_password_one_is_not(house: House) -> None:
    for number, (role, password) in enumerate(
        [
            (Role.LEAD, "wrong-password"),
            (Role.LEAD, PASSWORDS[Role.GATE]),
            (Role.GATE, PASSWORDS[Role.LEAD]),
            (Role.LEAD, "LEAD-PASSWORD"),
            (Role.LEAD, " lead-password"),
            (Role.LEAD, "x" * 100_000),
            (Role.LEAD, "\x00"),
        ]
    ):
        browser = house.browser(f"192.0.2.{number}")
        page = browser.log_in(role, password=password, check=401).text
        assert "The password is wrong." in page
        assert password not in page
        assert not browser.is_in()
    assert house.deeds() == []


def test_there_are_no_other_roles(house: House) -> None:
    browser = house.browser()
    for role in ("", "admin", "LEAD", "lead ", "gate\x00"):
        form = {"role": role, "password": PASSWORDS[Role.LEAD], "name": "Lena"}
        assert "choose a role" in browser.post("/login", 401, form).text
        assert not browser.is_in()


def test_a_name_is_asked_for(house: House) -> None:
    browser = house.browser()
    for name in ("", "   ", "x" * 61, "a\x00b", "\u202eanel", "tab\x07"):
        form = {"role": "lead", "password": PASSWORDS[Role.LEAD], "name": name}
        assert "say who you are" in browser.post("/login", 401, form).text
        assert not browser.is_in()


def test_a_name_may_be_any_that_can_be_shown(house: House) -> None:
    for name in ("Zoë Żak", "a:b:c", "<b>Bob</b>", "x" * 60, "  Lena \n of  Gate 1 "):
        browser = house.browser()
        browser.log_in(Role.LEAD, name=name)
        assert browser.is_in()
        assert house.deeds()[-1][0] == " ".join(name.split())
        assert "<b>Bob</b>" not in browser.get("/").text


def test_a_role_without_a_password_lets_nobody_in(house: House) -> None:
    house.box.store.staff.reset(Role.GATE)
    browser = house.browser()
    for password in ("", "None", PASSWORDS[Role.GATE]):
        form = {"role": "gate", "password": password, "name": "Gus"}
        assert "no password yet" in browser.post("/login", 401, form).text
    assert not browser.is_in()


# --- where it leads ---------------------------------------------------------------------------------------------------


def test_one_comes_to_the_page_that_one_wanted(house: House) -> None:
    browser = house.browser()
    address = browser.get("/find?query=Ada+L%C3%B6we&x=1", 302).headers["Location"]
    assert address.startswith("/login?next=")
    form = {"role": "gate", "password": PASSWORDS[Role.GATE], "name": "Gus"}
    assert browser.post(address, form=form).headers["Location"] == "/find?query=Ada+L%C3%B6we&x=1"


def test_from_the_start_page_there_is_nothing_to_remember(house: House) -> None:
    assert house.browser().get("/", 302).headers["Location"] == "/login"


def test_what_was_posted_is_no_page_to_come_back_to(house: House) -> None:
    browser = house.browser()
    assert browser.post("/sync").headers["Location"] == "/login"


ELSEWHERE = [
    "https://evil.example/",
    "//evil.example/",
    "///evil.example/",
    "/\\evil.example/",
    "\\\\evil.example",
    "/\t/evil.example/",
    "/\n/evil.example/",
    "\t//evil.example/",
    "/%09/evil.example/",
    "javascript:alert(1)",
    "http:evil.example",
    "/nowhere",
    "/sync",
    "/scan/redeem",
    "/pretixdroid/api/demoorga/democon/status/",
    "/healthz",
    "/bootstrap/static/css/bootstrap.min.css",
    "//[",
    "?",
    "/\x00",
    "/find@evil.example",
    "/lists/1/pause",
]


def test_one_comes_to_no_other_place(house: House) -> None:
    browser = house.browser()
    token = browser.token()
    form = {"csrf_token": token, "role": "lead", "password": PASSWORDS[Role.LEAD], "name": "Lena"}
    for wanted in ELSEWHERE:
        response = browser.send("/language", 302, {"csrf_token": token, "language": "en", "next": wanted})
        assert response.headers["Location"] == "/", wanted
        response = browser.send(f"/login?next={quote(wanted)}", 302, form)
        assert response.headers["Location"] == "/", wanted


def test_what_stands_behind_the_page_stays_there(house: House) -> None:
    browser = house.browser()
    for query in ("_external=1&_scheme=javascript", "a=b\r\nSet-Cookie: x=y", "a=%0d%0aX:y", "a" * 5000):
        response = browser.post("/language", language="de", next=f"/find?{query}")
        location = response.headers["Location"]
        assert location.partition("?")[0] == "/find"
        assert "\r" not in location
        assert "\n" not in location
        assert "X" not in response.headers


def test_the_host_that_a_request_names_leads_nowhere(house: House) -> None:
    browser = house.browser()
    for path in ("/", "/login", "/nowhere"):
        response = browser.client.get(path, headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example"})
        assert "evil.example" not in response.text + str(response.headers)


# --- the cookie -------------------------------------------------------------------------------------------------------


def cookie_of(browser: Browser, house: House) -> str:
    form = {"role": "lead", "password": PASSWORDS[Role.LEAD], "name": "Lena"}
    (cookie,) = browser.post("/login", form=form).headers.getlist("Set-Cookie")
    return cookie


def test_the_cookie_is_for_the_pages_alone_and_no_script_reads_it(house: House) -> None:
    attributes = [part.strip() for part in cookie_of(house.browser(), house).split(";")]
    assert attributes[0].startswith("edgebox=")
    assert set(attributes[1:]) == {"HttpOnly", "SameSite=Lax", "Path=/"}


def test_a_browser_keeps_it_though_the_box_has_no_idea_what_day_it_is(house: House) -> None:
    """With a date of last year on it, a browser would drop it at once, and nobody could log in."""
    house.now -= timedelta(days=400)
    assert "expires" not in cookie_of(house.browser(), house).lower()
    assert parsedate_to_datetime("Tue, 24 Nov 2026 18:30:15 GMT") > house.now


def test_it_cannot_be_made_by_anybody_else(house: House, lead: Browser) -> None:
    value = lead.client.get_cookie("edgebox")
    assert value is not None
    stranger = house.browser()
    payload, stamp, signature = value.value.rsplit(".", 2)
    for forged in (f"{payload}.{stamp}.{signature[:-2]}AA", f"{payload}.{stamp}", "nonsense", "a" * 4000, ".", "ä"):
        stranger.client.set_cookie("edgebox", forged)
        assert not stranger.is_in()
    stranger.client.set_cookie("edgebox", value.value)
    assert stranger.is_in(), "the test would see it"


def test_a_cookie_from_before_the_log_in_opens_nothing(house: House) -> None:
    """Nobody gets in by a session that he has put into somebody's browser."""
    browser, planted = house.browser(), house.browser()
    browser.get("/login")
    value = browser.client.get_cookie("edgebox")
    assert value is not None
    browser.log_in(Role.LEAD)
    planted.client.set_cookie("edgebox", value.value)
    assert not planted.is_in()


def test_a_box_with_another_secret_does_not_take_it(
    house: House, lead: Browser, tmp_path: Path, stub: StubUpstream
) -> None:
    (tmp_path / "other").mkdir()
    other = House(tmp_path / "other", stub)
    value = lead.client.get_cookie("edgebox")
    assert value is not None
    browser = other.browser()
    browser.client.set_cookie("edgebox", value.value)
    assert not browser.is_in()
    other.close()


@pytest.mark.parametrize(
    "person_id", ["", "lead", "lead:1", "lead:x:1:Lena", "boss:1:1:Lena", "lead:1:9e99:Lena", "lead:1:99999999999999:L"]
)
def test_what_is_no_person_is_none(person_id: str) -> None:
    assert Person.of_id(person_id) is None


def test_a_person_comes_back_as_written(house: House) -> None:
    person = Person("a:b: Żak", Role.GATE, 7, house.now)
    again = Person.of_id(person.get_id())
    assert again is not None
    assert (again.name, again.role, again.session) == ("a:b: Żak", Role.GATE, 7)
    assert abs(again.since - house.now) < timedelta(seconds=1)
    assert not again.is_lead


def test_devices_get_no_cookie(house: House) -> None:
    browser = house.browser()
    response = browser.get("/pretixdroid/api/demoorga/democon/status/?key=SCANNERKEY")
    assert "Set-Cookie" not in response.headers
    assert "Cookie" not in response.headers.get("Vary", "")


# --- what ends it -----------------------------------------------------------------------------------------------------


def test_logging_out_ends_it(house: House, lead: Browser) -> None:
    assert lead.post("/logout").headers["Location"] == "/login"
    assert not lead.is_in()


def test_it_ends_after_an_evening_whatever_one_does(house: House, lead: Browser) -> None:
    for _ in range(15):
        house.let_pass(hours=1)
        lead.post("/language", language="en")  # which writes the cookie anew
        assert lead.is_in()
    house.let_pass(hours=1)
    assert not lead.is_in()
    assert timedelta(hours=16) == SESSION_LIFETIME


def test_a_clock_that_learns_the_time_ends_no_session_of_the_evening(house: House, lead: Browser) -> None:
    house.now += timedelta(hours=10)
    assert lead.is_in()
    house.now -= timedelta(hours=20)
    assert lead.is_in()


@pytest.mark.parametrize("role", list(Role))
def test_a_reset_ends_the_sessions_of_its_role_at_once(house: House, role: Role) -> None:
    people = {each: [house.person(each), house.person(each)] for each in Role}
    house.box.reset_password(role)
    for each, browsers in people.items():
        assert [browser.is_in() for browser in browsers] == [each is not role] * 2
    house.box.store.staff.set_password(role, generate_password_hash("another-password"), code=None)
    assert not people[role][0].is_in(), "nor do they come back with a new password"


def test_a_new_password_of_the_gate_ends_its_sessions_alone(house: House, lead: Browser, gate: Browser) -> None:
    lead.post("/password", role="gate", password="new-gate-password", again="new-gate-password")
    assert lead.is_in()
    assert not gate.is_in()
    house.browser().log_in(Role.GATE, check=401)
    gate.log_in(Role.GATE, password="new-gate-password")
    assert gate.is_in()


def test_who_sets_the_lead_s_password_stays_in_and_all_others_are_out(house: House, lead: Browser) -> None:
    other = house.person(Role.LEAD)
    lead.post("/password", role="lead", password="new-lead-password", again="new-lead-password")
    assert lead.is_in()
    assert not other.is_in()


def test_a_password_that_cannot_be_set_is_not(house: House, lead: Browser, gate: Browser) -> None:
    for role, password, again, said in (
        ("gate", "short", "short", "at least 8"),
        ("gate", "x" * 201, "x" * 201, "at least 8"),
        ("gate", "long-enough", "long-enough?", "not the same"),
        ("boss", "long-enough", "long-enough", "choose a role"),
        ("", "long-enough", "long-enough", "choose a role"),
    ):
        lead.post("/password", role=role, password=password, again=again)
        assert said in lead.get("/box").text
    assert gate.is_in()
    assert house.person(Role.LEAD).is_in()
    assert house.person(Role.GATE).is_in()


def test_a_restart_logs_nobody_out(house: House, lead: Browser) -> None:
    lead.client.application = create_app(house.box)
    assert lead.is_in()


def test_a_page_that_keeps_asking_does_not_fill_the_cookie_of_who_was_logged_out(house: House, gate: Browser) -> None:
    """The page Scan keeps its scans and asks again and again: each time its cookie must stay as small as it is."""
    house.box.reset_password(Role.GATE)
    token = gate.token()
    for _ in range(5):
        response = gate.send("/scan/redeem", 302, None, json={}, headers={"X-CSRFToken": token})
        assert "Set-Cookie" not in response.headers
        assert "Set-Cookie" not in gate.get("/now/live", 302).headers


def test_a_page_that_lost_its_session_wholly_is_sent_to_the_log_in(house: House, gate: Browser) -> None:
    token = gate.token()
    gate.client.delete_cookie("edgebox")
    response = gate.send("/scan/redeem", 302, None, json={}, headers={"X-CSRFToken": token})
    assert response.headers["Location"] == "/login"


# --- guessing ---------------------------------------------------------------------------------------------------------


def guess(browser: Browser, count: int) -> str:
    page = ""
    for number in range(count):
        page = browser.log_in(Role.LEAD, password=f"guess number {number}", check=401).text
    return page


def test_who_guesses_has_to_wait_and_is_told_how_long(house: House) -> None:
    page = guess(house.browser(), 4)
    assert re.search(r"wait \d+ seconds", page)


def test_others_log_in_meanwhile(house: House) -> None:
    guess(house.browser("192.0.2.66"), 6)
    house.browser("192.0.2.67").log_in(Role.LEAD)


def test_who_was_in_before_is_not_slowed_by_others_of_his_address(house: House, lead: Browser) -> None:
    """Behind one router all have the same address."""
    lead.post("/logout")
    guess(house.browser(), 6)
    house.browser().log_in(Role.LEAD, check=401)
    lead.log_in(Role.LEAD)
    assert lead.is_in()


def test_the_gate_s_wrong_tries_are_counted_with_the_lead_s(house: House) -> None:
    browser = house.browser()
    for role in (Role.GATE, Role.LEAD, Role.GATE):
        browser.log_in(role, password="guess", check=401)
    assert "wait" in browser.log_in(Role.LEAD, check=401).text


# --- what the page says -----------------------------------------------------------------------------------------------


def test_the_page_says_that_it_is_plain_http_where_it_is(house: House) -> None:
    said = re.compile("(?i)without encryption|plain http|not encrypted")
    assert said.search(house.browser().get("/login").text)
    assert not said.search(house.browser().get("/login", base_url="https://box.example").text)


def test_what_was_typed_is_shown_again_but_the_password(house: House) -> None:
    page = house.browser().log_in(Role.LEAD, password="my-secret-password", name='"><b>Lena', check=401).text
    assert "my-secret-password" not in page
    assert "&gt;&lt;b&gt;Lena" in page
    assert "<b>Lena" not in page
