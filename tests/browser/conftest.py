"""A browser, a venue, and people who look at its pages."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from edgebox.store.staff import Role
from tests.browser.chromium import MISSING, find_chromium, launch
from tests.browser.venue import PASSWORDS, Venue, new_venue

TIMEOUT_MS = 15_000


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests; without one they are skipped, where CI does not forbid it."""
    if find_chromium() is None:
        if os.environ.get("CI"):
            pytest.fail(f"{MISSING}, and CI does not let these tests be skipped", pytrace=False)
        pytest.skip(MISSING)
    with sync_playwright() as playwright:
        browser = launch(playwright)
        try:
            yield browser
        finally:
            browser.close()


@pytest.fixture(scope="session")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    """A box at the demo event, shared by the tests: each takes tickets that no other one touches, and leaves the rest
    as it was. Files of tests that cannot have a venue of the same name."""
    with new_venue(tmp_path_factory.mktemp("venue")) as venue:
        yield venue
    assert not venue.stub.errors, f"the stub itself went wrong: {venue.stub.errors}"


@pytest.fixture
def own_venue(tmp_path: Path) -> Iterator[Venue]:
    """A venue of one's own, for a test that stops or changes what others need."""
    with new_venue(tmp_path) as venue:
        yield venue
    assert not venue.stub.errors, f"the stub itself went wrong: {venue.stub.errors}"


class People:
    """Opens pages of a box. Whatever they do, nothing may leave the box and no script may fail."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._pages: list[tuple[Page, str]] = []
        self._urls: list[tuple[str, str]] = []
        self._mishaps: list[str] = []

    def visitor(self, box_url: str, **looks: Any) -> Page:
        """Somebody who has not logged in."""
        context = self._browser.new_context(
            **{"viewport": {"width": 1024, "height": 768}, "locale": "en-GB", "reduced_motion": "reduce", **looks}
        )
        context.set_default_timeout(TIMEOUT_MS)
        context.on("request", lambda request: self._urls.append((box_url, request.url)))
        context.on("console", lambda message: self._heard(message.type, message.text))
        page = context.new_page()
        page.on("pageerror", lambda error: self._mishaps.append(str(error)))
        self._pages.append((page, box_url))
        return page

    def staff(self, venue: Venue, role: Role, **looks: Any) -> Page:
        """Somebody who has logged in."""
        page = self.visitor(venue.box.url, storage_state=venue.sessions.get(role), **looks)
        if role not in venue.sessions:
            log_in_quickly(page, venue.box.url, role)
            venue.sessions[role] = page.context.storage_state()
        page.goto(venue.box.url)
        return page

    def _heard(self, kind: str, text: str) -> None:
        # A refused connection is what some tests are about; what the policy refuses or a script throws never is.
        if kind == "error" and "Failed to load resource" not in text:
            self._mishaps.append(text)

    def check_and_leave(self) -> None:
        for page, _url in self._pages:
            page.goto("about:blank")  # to close a context while a page is on its way elsewhere can hang for ever
            page.context.close()
        strangers = {url for home, url in self._urls if not url.startswith((f"{home}/", "data:", "blob:"))}
        assert not strangers, f"requests left the box: {strangers}"
        assert not self._mishaps, self._mishaps


def log_in_quickly(page: Page, box_url: str, role: Role) -> None:
    """As the form does, without drawing it."""
    form = page.request.get(f"{box_url}/login").text()
    token = re.search(r'name="csrf_token" value="([^"]+)"', form)
    assert token
    answer = page.request.post(
        f"{box_url}/login",
        form={"csrf_token": token[1], "name": "Maria", "role": role, "password": PASSWORDS[role]},
    )
    assert answer.url == f"{box_url}/", answer.text()


def log_in(page: Page, box_url: str, role: Role, name: str = "Maria") -> None:
    """By the form."""
    page.goto(f"{box_url}/login")
    page.fill("#name", name)
    page.check(f"#role-{role}")
    page.fill("#password", PASSWORDS[role])
    page.click("main form button")
    page.wait_for_selector("#part-banners")


@pytest.fixture
def people(browser: Browser) -> Iterator[People]:
    people = People(browser)
    try:
        yield people
    finally:
        people.check_and_leave()


@pytest.fixture
def lead(people: People, venue: Venue) -> Page:
    """The lead, on Now."""
    return people.staff(venue, Role.LEAD)


@pytest.fixture
def gate(people: People, venue: Venue) -> Page:
    """Somebody at the gate, on Now."""
    return people.staff(venue, Role.GATE)
