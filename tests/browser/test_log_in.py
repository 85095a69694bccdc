"""The first visit, logging in, and who may do what."""

from __future__ import annotations

import re

import requests
from playwright.sync_api import Page, expect

from edgebox.store.staff import Role
from tests.browser.conftest import People, log_in
from tests.browser.venue import PASSWORDS, Venue
from tests.support.box import BoxProcess, wait_until


def set_first_password(page: Page, code: str, password: str, again: str | None = None) -> None:
    page.fill("#code", code)
    page.fill("#name", "Maria")
    page.fill("#password", password)
    page.fill("#again", again or password)
    page.get_by_role("button", name="Set the password").click()


def test_the_first_visitor_sets_the_password_with_the_code_of_the_box(people: People, box: BoxProcess) -> None:
    box.start()
    page = people.visitor(box.url)
    page.goto(box.url)
    expect(page).to_have_url(f"{box.url}/first")
    expect(page.locator("main")).to_contain_text("This page is plain http")

    set_first_password(page, "WRONGCODE2", "a good password")
    expect(page.get_by_role("alert")).to_contain_text("The code is wrong")

    code = box.run("staff", "code").stdout.strip()
    set_first_password(page, code, "a good password", "another password")
    expect(page.get_by_role("alert")).to_contain_text("not the same")

    set_first_password(page, code.lower(), "a good password")
    expect(page).to_have_url(f"{box.url}/")
    expect(page.locator("#part-banners")).to_contain_text("No check-in list yet")
    assert code not in box.run("staff", "code").stdout

    # Its time is over: neither the code nor the page sets another one. The gate gets its password from the lead.
    page.goto(f"{box.url}/first")
    expect(page).to_have_url(f"{box.url}/login")
    page.goto(f"{box.url}/box")
    expect(page.locator("main")).to_contain_text("nobody can log in as gate")
    page.select_option("#role", "gate")
    page.fill("#password", PASSWORDS[Role.GATE])
    page.fill("#again", PASSWORDS[Role.GATE])
    page.get_by_role("button", name="Set the password").click()
    expect(page.get_by_role("status").first).to_contain_text("The password is set")
    gate = people.visitor(box.url)
    log_in(gate, box.url, Role.GATE, name="Noor")
    expect(gate.locator("nav")).to_contain_text("Noor (gate)")


def test_guessing_passwords_is_slowed_down_but_nobody_is_locked_out(people: People, own_venue: Venue) -> None:
    page = people.visitor(own_venue.box.url)
    page.goto(f"{own_venue.box.url}/login")

    def enter(password: str) -> None:
        page.fill("#name", "Mallory")
        page.check("#role-lead")
        page.fill("#password", password)
        page.get_by_role("button", name="Log in").click()

    wrong = page.get_by_role("alert").filter(has_text="The password is wrong")
    slowed = page.get_by_role("alert").filter(has_text=re.compile(r"Please wait \d+ seconds"))
    for _guess in range(3):
        enter("a guess")
        expect(wrong).to_be_visible()
    long_enough = page.get_by_role("alert").filter(has_text=re.compile(r"Please wait (?:[6-9]|\d\d+) seconds"))
    for _guess in range(40):
        enter("a guess")
        expect(wrong.or_(slowed)).to_be_visible()
        if long_enough.count():
            break
    enter(PASSWORDS[Role.LEAD])
    expect(slowed).to_be_visible()

    def is_in() -> bool:
        enter(PASSWORDS[Role.LEAD])
        return page.url == f"{own_venue.box.url}/"

    # The wait is short, and then the right password is as good as ever.
    wait_until(is_in, 30, "the right password lets in")
    expect(page.locator("nav")).to_contain_text("Mallory (lead)")


def test_whoever_is_not_logged_in_is_sent_to_the_login_and_then_where_they_wanted(people: People, venue: Venue) -> None:
    page = people.visitor(venue.box.url)
    page.goto(f"{venue.box.url}/find?query=muller")
    expect(page).to_have_url(re.compile("/login"))
    page.fill("#name", "Maria")
    page.fill("#password", PASSWORDS[Role.GATE])
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(f"{venue.box.url}/find?query=muller")


def test_a_reset_ends_the_sessions_of_a_role_and_a_new_code_sets_the_password(people: People, own_venue: Venue) -> None:
    lead, gate = people.staff(own_venue, Role.LEAD), people.staff(own_venue, Role.GATE)
    told = own_venue.box.run("staff", "reset", "lead").stdout
    lead.goto(f"{own_venue.box.url}/box")
    expect(lead).to_have_url(f"{own_venue.box.url}/first")
    match = re.search(r"\b[A-Z2-9]{10}\b", told)
    assert match, told
    set_first_password(lead, match[0], "quite another one")
    expect(lead.locator("#part-banners")).to_be_visible()
    gate.reload()
    expect(gate).to_have_url(f"{own_venue.box.url}/")


def test_logging_out_ends_it(people: People, venue: Venue) -> None:
    page = people.visitor(venue.box.url)
    log_in(page, venue.box.url, Role.LEAD)
    page.get_by_role("button", name="More pages").click()
    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_url(f"{venue.box.url}/login")
    page.goto(f"{venue.box.url}/devices")
    expect(page).to_have_url(re.compile("/login"))


def test_the_gate_sees_finds_and_scans_and_nothing_else(gate: Page, venue: Venue) -> None:
    assert [text.strip() for text in gate.locator("nav .nav-link").all_inner_texts()] == ["Now", "Find", "Scan"]
    for path in ("attention", "devices", "lists", "log", "box", "log.csv", "journal.csv", "devices/Gate%20A/qr"):
        answer = gate.request.get(f"{venue.box.url}/{path}")
        assert answer.status == 403, path
        assert "Only the lead may do this" in answer.text(), path


def test_what_only_the_lead_may_do_is_refused_to_the_gate_and_not_done(gate: Page, venue: Venue) -> None:
    token = gate.locator("main input[name=csrf_token]").first.input_value()

    def post(path: str, **form: str) -> int:
        return gate.request.post(f"{venue.box.url}/{path}", form={"csrf_token": token, **form}).status

    assert post("devices/add", name="Intruder", list=str(venue.list_id)) == 403
    assert post("devices/revoke", name="Gate A") == 403
    assert post(f"lists/{venue.list_id}/pause") == 403
    assert post(f"lists/{venue.list_id}/remove") == 403
    assert post("password", role="gate", password="12345678", again="12345678") == 403
    assert post("box/backup") == 403
    assert venue.state()["upstream"] != "paused"
    assert venue.box.get(venue.keys["Gate A"], "status/").status_code == 200
    assert "Intruder" not in [device["name"] for device in venue.call("devices")["devices"]]


def test_a_change_without_the_pages_own_token_is_refused_and_not_done(lead: Page, venue: Venue) -> None:
    """Another site's form comes with the cookies, but without the token."""
    forms: list[tuple[str, dict[str, str | float | bool]]] = [
        ("devices/add", {"name": "Intruder", "list": str(venue.list_id)}),
        (f"lists/{venue.list_id}/pause", {}),
        ("logout", {}),
        ("devices/revoke", {"name": "Gate A", "csrf_token": "made-up"}),
    ]
    for path, form in forms:
        answer = lead.request.post(f"{venue.box.url}/{path}", form=form)
        assert answer.status == 400, path
        assert "Nothing was done" in answer.text()
    scan = lead.request.post(f"{venue.box.url}/scan/redeem", data={"secret": "x", "nonce": "y"})
    assert scan.status == 400
    lead.goto(f"{venue.box.url}/devices")
    expect(lead.locator("main")).not_to_contain_text("Intruder")
    expect(lead.get_by_role("row").filter(has_text="Gate A").first).to_contain_text("Revoke")


def test_the_session_is_a_cookie_that_no_script_and_no_other_site_gets(lead: Page, venue: Venue) -> None:
    cookies = lead.context.cookies()
    assert [cookie["name"] for cookie in cookies] == ["edgebox"]
    assert cookies[0]["httpOnly"]
    assert cookies[0]["sameSite"] == "Lax"


def test_scanners_get_no_cookie_and_need_no_token(venue: Venue) -> None:
    answer = requests.post(
        venue.box.api("redeem/"), params={"key": venue.keys["Gate A"]}, data={"secret": "nobody"}, timeout=15
    )
    assert answer.json()["reason"] == "unknown_ticket"
    assert not answer.cookies
