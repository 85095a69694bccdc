"""Takes a picture of every staff page, as a phone, a tablet and a wall show it.

`python -m tests.browser.screenshots DIR`. The pages are those of a demo event with an evening behind it, and of a box
that nobody has set up yet.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from edgebox.demo.event import NAMED_TICKETS
from edgebox.store.staff import Role
from tests.browser.chromium import launch
from tests.browser.venue import GATE_A, PASSWORDS, SETTINGS, Evening, Venue, load_demo_event
from tests.support.box import BoxProcess, toml, wait_until
from tests.support.upstream import PORTAL_PAGE, StubUpstream, always

SIZES = ((360, 740), (1024, 768), (1920, 1080))
LOOKS = [(width, height, "light") for width, height in SIZES] + [(360, 740, "dark"), (1024, 768, "dark")]
WITHIN_S = 30.0

Act = Callable[[Page], None]


class Camera:
    """Takes each picture in every size, and a few in the dark; all pages are one person's."""

    def __init__(self, browser: Browser, address: str, directory: Path, locale: str = "en-GB") -> None:
        self._address = address
        self.directory = directory
        self.pages = []
        for width, height, scheme in LOOKS:
            context = browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme="dark" if scheme == "dark" else "light",
                locale=locale,
            )
            self.pages.append((f"{width}{'-dark' if scheme == 'dark' else ''}", context.new_page()))

    def log_in(self, role: Role) -> None:
        for _look, page in self.pages:
            page.goto(self._address + "/login")
            page.fill("#name", "Maria")
            page.check(f"#role-{role}")
            page.fill("#password", PASSWORDS[role])
            page.click("main button")

    def shoot(self, name: str, path: str, act: Act = lambda page: None, *, is_whole: bool = True) -> None:
        """The page at `path`, after `act` on it; `is_whole`: also what one has to scroll to."""
        for look, page in self.pages:
            page.goto(self._address + path)
            act(page)
            page.screenshot(path=self.directory / f"{name}-{look}.png", full_page=is_whole, animations="disabled")
        print(name, flush=True)

    def print_sheet(self, name: str, path: str) -> None:
        """As Chromium prints it."""
        _look, page = self.pages[0]
        page.goto(self._address + path)
        page.pdf(path=self.directory / f"{name}.pdf", prefer_css_page_size=True)
        print(name, flush=True)

    def close(self) -> None:
        for _look, page in self.pages:
            page.context.close()


def take_all(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edgebox-screenshots-")))
        browser = launch(stack.enter_context(sync_playwright()))
        stack.callback(browser.close)
        _first_visit(stack, browser, work / "new", directory)
        _evening(stack, browser, work / "evening", directory)


def _first_visit(stack: ExitStack, browser: Browser, data_dir: Path, directory: Path) -> None:
    box = stack.enter_context(_running(BoxProcess(data_dir)))
    camera = Camera(browser, box.url, directory)
    camera.shoot("first-visit", "/")
    code = box.run("staff", "code").stdout.strip()
    _look, page = camera.pages[0]
    page.goto(box.url + "/first")
    for field, text in (
        ("code", code),
        ("name", "Maria"),
        ("password", PASSWORDS[Role.LEAD]),
        ("again", PASSWORDS[Role.LEAD]),
    ):
        page.fill(f"#{field}", text)
    page.click("main button")
    camera.log_in(Role.LEAD)
    for name in ("attention", "devices", "lists", "log", "find"):
        camera.shoot(f"empty-{name}", f"/{name}")
    camera.shoot("empty-now", "/")
    camera.close()


def _evening(stack: ExitStack, browser: Browser, data_dir: Path, directory: Path) -> None:
    stub = StubUpstream().start()
    stack.callback(stub.stop)
    load_demo_event(stub)
    data_dir.mkdir(mode=0o700)
    (data_dir / "edgebox.toml").write_text(toml(SETTINGS), "utf-8")
    list_, keys = Evening(data_dir, stub).live_through()
    box = stack.enter_context(_running(BoxProcess(data_dir)))
    venue = Venue(box, stub, list_.id, keys)
    _is_told(venue, "online")
    _a_few_scans(venue)
    camera = Camera(browser, box.url, directory)
    camera.shoot("login", "/login")
    camera.log_in(Role.LEAD)
    _online(camera, venue)
    _scanning(camera, venue)
    german = Camera(browser, box.url, directory, locale="de-DE")
    german.log_in(Role.GATE)
    german.shoot("now-gate-german", "/")
    german.close()
    _trouble(camera, venue)
    camera.close()


def _online(camera: Camera, venue: Venue) -> None:
    camera.shoot("now", "/")
    camera.shoot("now-bar", "/", lambda page: page.locator(".bar:visible").nth(4).click())
    camera.shoot("wall", "/?wall")
    camera.shoot("find", "/find?query=mull")
    camera.shoot("find-nobody", "/find?query=nobody+at+all")
    camera.shoot("find-odd-names", "/find?query=maximiliane")
    for name in ("buyer_name", "peter_higgs", "unpaid", "vip", "already_in", "html"):
        camera.shoot(f"ticket-{name.replace('_', '-')}", *_ticket(name))
    camera.shoot("attention", "/attention")
    camera.shoot("devices", "/devices")
    camera.shoot("device-limits", "/devices", lambda page: page.get_by_text("Limits", exact=True).click())
    camera.shoot("device-add-pretixdroid", "/devices", lambda page: page.check("#app-pretixdroid"))
    camera.shoot("device-revoke", "/devices/Gate%20B/revoke")
    camera.shoot("device-revoke-pretixscan", "/devices/Gate%20C/revoke")
    camera.shoot("device-qr", "/devices/Gate%20A/qr")
    camera.shoot("device-qr-pretixscan", "/devices/Gate%20D/qr")
    camera.shoot("device-qr-used", "/devices/Gate%20C/qr")
    camera.shoot("sheet", f"/lists/{venue.list_id}/sheet")
    camera.print_sheet("sheet-printed", f"/lists/{venue.list_id}/sheet")
    camera.shoot("lists", "/lists")
    camera.shoot("list-remove", f"/lists/{venue.list_id}/remove")
    camera.shoot("log", "/log")
    camera.shoot("log-filtered", "/log?name=higgs")
    camera.shoot("log-syncs", "/log?show=syncs")
    camera.shoot("log-staff", "/log?show=deeds")
    camera.shoot("box", "/box")
    camera.shoot("problem", "/nowhere")


def _scanning(camera: Camera, venue: Venue) -> None:
    def scan(secret: str, then: str) -> Act:
        def act(page: Page) -> None:
            page.fill("#code", secret)
            page.press("#code", "Enter")
            page.wait_for_selector(f'#verdict[data-kind="{then}"]')

        return act

    def scan_unused(page: Page) -> None:
        secret = next(venue.fresh_tickets())
        scan(secret, "ok")(page)

    camera.shoot("scan-begin", "/scan")
    for _look, page in camera.pages:
        page.goto(venue.box.url + "/scan")
        page.fill("#key", venue.keys["Desk laptop"])
        page.click("main .btn-primary")
    camera.shoot("scan-ready", "/scan", is_whole=False)
    camera.shoot("scan-ok", "/scan", scan_unused, is_whole=False)
    camera.shoot("scan-used", "/scan", scan(NAMED_TICKETS["peter_higgs"], "used"), is_whole=False)
    camera.shoot("scan-unknown", "/scan", scan("no-such-ticket", "no"), is_whole=False)
    camera.shoot("scan-unpaid", "/scan", scan(_unpaid(venue), "warn"), is_whole=False)
    for _look, page in camera.pages:
        page.click("#questions .btn-outline-danger")
    camera.shoot("scan-questions", "/scan", scan(NAMED_TICKETS["vip"], "ask"), is_whole=False)
    for _look, page in camera.pages:
        page.click("#questions .btn-outline-danger")
    venue.box.stop()
    for _look, page in camera.pages:
        page.fill("#code", "scanned-while-away")
        page.press("#code", "Enter")
        page.wait_for_selector('#verdict[data-kind="away"]')
        page.wait_for_timeout(100)
    for look, page in camera.pages:
        page.screenshot(path=camera.directory / f"scan-box-away-{look}.png", animations="disabled")
    venue.box.start()
    for _look, page in camera.pages:
        page.wait_for_selector('#verdict[data-kind="no"]')


def _trouble(camera: Camera, venue: Venue) -> None:
    """The ticket server goes away, comes back changed, and something else answers in its place."""
    venue.stub.stop()
    venue.sync()
    _a_few_scans(venue)
    venue.scan(NAMED_TICKETS["quotes"])
    _is_told(venue, "unreachable")
    camera.shoot("now-offline", "/")
    camera.shoot("wall-offline", "/?wall")
    camera.shoot("now-sync-failed", "/", _sync_now)
    camera.shoot("ticket-undo", *_ticket("quotes"))
    camera.shoot("lists-offline", "/lists")
    venue.stub.start()
    gone = [t.secret for t in venue.stub.tickets.values() if t.item_id == 3][:70]
    for secret in gone:
        del venue.stub.tickets[secret]
    venue.sync()
    wait_until(lambda: venue.state()["held_tickets"], WITHIN_S, "a pull waits for staff")
    camera.shoot("now-held", "/")
    camera.shoot("now-synced", "/", _sync_now)
    camera.shoot("attention-held", "/attention", lambda page: page.get_by_text("Show them").click())
    camera.shoot("attention-accept", f"/attention/held/{venue.list_id}/accept")
    venue.stub.on("*", always(PORTAL_PAGE))
    venue.sync()
    _is_told(venue, "not upstream")
    camera.shoot("now-captive", "/")


def _sync_now(page: Page) -> None:
    page.get_by_role("button", name="Sync now").click()
    page.wait_for_selector("#sync-run:not([data-busy])")


def _is_told(venue: Venue, state: str) -> None:
    wait_until(lambda: venue.state()["upstream"] == state, WITHIN_S, f"the list is {state}")


def _a_few_scans(venue: Venue) -> None:
    for number, secret in enumerate(itertools.islice(venue.fresh_tickets(), 9)):
        venue.scan(secret, (GATE_A, "Gate A 2", "Gate B")[number % 3])


def _ticket(name: str) -> tuple[str, Act]:
    """A ticket's page, reached as staff reach it."""
    return f"/find?query={NAMED_TICKETS[name]}", lambda page: page.click("#found a")


def _unpaid(venue: Venue) -> str:
    return next(t.secret for t in venue.stub.tickets.values() if t.order_status == "n" and t.attendee_name)


@contextmanager
def _running(box: BoxProcess) -> Iterator[BoxProcess]:
    try:
        yield box.start()
    finally:
        box.kill()


if __name__ == "__main__":
    take_all(Path(sys.argv[1] if len(sys.argv) > 1 else "screenshots"))
