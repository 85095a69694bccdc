"""An evening at a box of its own process, with everything that goes well and wrong; and the secrets that it has met."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import requests

from tests.support.box import BoxProcess, wait_until
from tests.support.pretix import BUSY, INVALID_TOKEN, PretixStub, order, page_of_html, position
from tests.support.upstream import PORTAL_PAGE, SERVER_ERROR, StubUpstream, always

NAME, OTHER_NAME = "Zenobia Quillfeather", "Ottokar Xylander"
TICKET, PRETIX_TICKET, UNKNOWN = "ticketofzenobia77", "ticketofottokar88", "unknowncodeofnobody99"
PASSWORD, WRONG_PASSWORD = "the-leads-own-password", "a-wrong-password-typed"
WRONG_KEY = "aWrongKeyThatSomebodyTried"
_TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')


class Evening:
    """`secrets` by what they are: none of them may be found where others look. `answers` is all that went wrong."""

    def __init__(self, box: BoxProcess, stub: StubUpstream, pretix: PretixStub) -> None:
        self.box, self.stub, self.pretix = box, stub, pretix
        self.secrets: dict[str, str] = {
            "a guest's name": NAME, "another guest's name": OTHER_NAME, "a ticket": TICKET,
            "a ticket of pretix": PRETIX_TICKET, "an unknown code": UNKNOWN, "the upstream's key": stub.key,
            "pretix's token": pretix.init_token, "pretix's key": pretix.api_token, "a password": PASSWORD,
            "a wrong password": WRONG_PASSWORD, "a wrong key": WRONG_KEY,
        }  # fmt: skip
        self.answers: list[str] = []
        self.staff = requests.Session()
        self.staff.trust_env = False
        stub.add_ticket(TICKET, attendee_name=NAME)
        pretix.orders.append(order("ABC12", position(1, secret=PRETIX_TICKET, attendee_name=OTHER_NAME)))

    def begin(self) -> None:
        """Set up: two lists, a scanner of each kind, staff."""
        box = self.box
        box.env["EDGEBOX_LOG_LEVEL"] = "debug"
        box.start()
        box.run("lists", "add", self.stub.url, "-", input=f"{self.stub.key}\n")
        box.run("connect", self.pretix.url, "-", input=f"{self.pretix.init_token}\n")
        box.run("lists", "add", "democon/1")
        self.key = box.add_device("Gate 1", "1")
        box.run("devices", "add", "Gate 2", "--app", "pretixscan", "--list", "2")
        self.setup_token = json.loads(box.json("devices", "show", "Gate 2", "--json")["qr"])["token"]
        self.secrets |= {"a scanner's key": self.key, "a setup token": self.setup_token.removeprefix("proxy=")}
        self.session_key = self._set_up().json()["api_token"]
        self.secrets["a phone's key"] = self.session_key
        code = box.run("staff", "code").stdout.strip()
        self.secrets["the code"] = code
        self.page("/first", code="WRONGCODE2", name="Lena", password=PASSWORD, again=PASSWORD)
        self.page("/first", code=code, name="Lena", password=PASSWORD, again=PASSWORD)
        cookie = self.staff.cookies.get("edgebox")
        assert cookie
        self.secrets["a session"] = cookie
        wait_until(lambda: [row["tickets"] for row in box.lists()] == [1, 1], 30, "both have pulled")

    def _set_up(self) -> requests.Response:
        phone = {"token": self.setup_token, "hardware_brand": "Zebra", "software_brand": "pretixSCAN Android"}
        return self.keep(requests.post(f"{self.box.url}/api/v1/device/initialize", json=phone, timeout=15))

    def keep(self, answer: requests.Response) -> requests.Response:
        """An answer; one that says no is looked into at the end."""
        if answer.status_code >= 400:
            self.answers.append(f"{answer.status_code} {answer.headers} {answer.text}")
        return answer

    def page(self, path: str, **form: str) -> requests.Response:
        """A form of the pages."""
        page = self.staff.get(f"{self.box.url}/", timeout=15).text
        token = _TOKEN.search(page)
        assert token
        return self.keep(
            self.staff.post(
                f"{self.box.url}{path}", data={"csrf_token": token[1], **form}, timeout=30, allow_redirects=False
            )
        )

    def scan(self) -> None:
        """Scans of both dialects: right, wrong, forced, unknown, malformed, and with keys that are none."""
        box = self.box
        for form in ({}, {"force": True}, {"datetime": "nonsense"}, {"nonce": "x" * 200}):
            self.keep(box.redeem(self.key, TICKET, **form))
        self.keep(box.redeem(self.key, UNKNOWN))
        self.keep(box.redeem(WRONG_KEY, TICKET))
        for endpoint in ("search/", "download/", "status/"):
            self.keep(box.get(self.key, endpoint, query=NAME))
            self.keep(box.get(WRONG_KEY, endpoint, query=NAME))
        self.keep(box.session.put(box.api("redeem/"), params={"key": self.key}))
        self.keep(box.session.get(f"{box.url}/nowhere/{TICKET}", params={"key": self.key}))
        self.keep(box.session.post(box.api("redeem/"), params={"key": self.key}, data=TICKET * 40_000))
        chosen = {"events_and_checkin_lists": {"democon": 2}}
        for key in (self.session_key, WRONG_KEY):
            for body in ({"ticketid": PRETIX_TICKET}, {"ticketid": UNKNOWN}, {"ticketid": PRETIX_TICKET, "type": NAME}):
                self.ask("check/", key, {**chosen, **body})
            self.ask("search/", key, {**chosen, "query": OTHER_NAME})
            self.ask("search/", key, {"events_and_checkin_lists": {NAME: 1}, "query": OTHER_NAME})
        self.keep(requests.get(f"{box.url}/api/v1/device/info?key={self.key}", timeout=15))
        self._set_up()  # which works once

    def ask(self, call: str, key: str, body: dict[str, Any]) -> requests.Response:
        headers = {"Authorization": f"Device {key}"}
        return self.keep(
            requests.post(f"{self.box.url}/proxyapi/v1/rpc/{call}", json=body, headers=headers, timeout=15)
        )

    def work_at_the_pages(self) -> None:
        """What staff do, right and wrong."""
        self.staff.get(f"{self.box.url}/find", params={"query": NAME}, timeout=15)
        self.staff.get(f"{self.box.url}/log", params={"secret": TICKET}, timeout=15)
        self.page("/scan/device", key=self.key)
        self.page("/scan/device", key=WRONG_KEY)
        self.page("/lists/add", url=self.stub.url, key=WRONG_KEY)
        self.page("/connections/add", text=self.pretix.url, token=self.pretix.init_token)
        self.page("/box/backup")
        for path in ("/tickets/1/checkin", "/tickets/1/note", "/tickets/1/undo/1"):
            self.page(path, text=f"{NAME} called", reason=f"{NAME} is here", force="1")
        self.page("/login", role="lead", name="Lena", password=WRONG_PASSWORD)
        for path in ("/log.csv", "/journal.csv", "/syncs.csv", "/staff.csv", "/devices/Gate 1/qr"):
            self.staff.get(f"{self.box.url}{path}", timeout=15)

    def lose_the_upstreams(self) -> None:
        """Each answers as it should not, and then not at all; the box is told to try each time."""
        for old, current in (
            (PORTAL_PAGE, page_of_html(200)),
            (SERVER_ERROR, BUSY),
            (SERVER_ERROR, INVALID_TOKEN),
            (SERVER_ERROR, page_of_html(404)),
        ):
            for verb in ("redeem", "status", "download", "search"):
                self.stub.on(verb, always(old))
            self.pretix.on("", current)
            self.box.redeem(self.key, TICKET, force=True)
            self.box.run("sync", check=False)
        self.stub.stop()
        self.pretix.stop()
        self.box.run("sync", check=False)
        self.box.run("lists", "add", "http://127.0.0.1:9/pretixdroid/api/o/e/", "-", input=f"{WRONG_KEY}\n")

    def break_the_box(self) -> None:
        """A fault that nobody foresees: somebody was at the database."""
        with closing(sqlite3.connect(self.box.data_dir / "edgebox.sqlite3", timeout=15)) as connection:
            connection.execute("DROP TABLE ticket_name")
        assert self.keep(self.box.get(self.key, "search/", query=NAME)).status_code == 500
        chosen = {"events_and_checkin_lists": {"democon": 2}, "query": OTHER_NAME}
        assert self.ask("search/", self.session_key, chosen).status_code == 500
        self.keep(self.staff.get(f"{self.box.url}/find", params={"query": NAME}, timeout=15))

    def end_access(self) -> None:
        """Revoke both scanners; what they ask for then is refused."""
        self.box.run("devices", "revoke", "Gate 1")
        self.box.run("devices", "revoke", "Gate 2", "--wipe")
        assert self.keep(self.box.redeem(self.key, TICKET)).status_code == 403
        assert self.ask("check/", self.session_key, {"ticketid": PRETIX_TICKET}).status_code == 401

    def found_in(self, text: str) -> set[str]:
        """Which secrets stand there."""
        return {what for what, secret in self.secrets.items() if secret in text}


def seen_by_others(pid: int) -> Iterator[tuple[str, str]]:
    """What /proc tells others of a process and its threads: where, and what stands there."""
    process = Path(f"/proc/{pid}")
    for each in (process / "cmdline", process / "environ", process / "comm", *process.glob("task/*/comm")):
        yield str(each), each.read_bytes().replace(b"\x00", b" ").decode("utf-8", "replace")
