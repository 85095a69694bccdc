"""The driver with a real box: a process that is killed and started again, phones and staff over HTTP, upstream served.

The box syncs by itself meanwhile, so nobody knows when a pull was under way; clocks are the machine's own.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests

from edgebox.config import Config
from edgebox.control.client import call
from edgebox.store.db import DATABASE_NAME
from tests.evenings.evening import Evening, Journal
from tests.evenings.faults import FAULTS, Fault
from tests.evenings.phones import DROID, SCAN, NoAnswer, Phone
from tests.evenings.plan import OLD, SYNCS, Plan, Step
from tests.evenings.served import ServedNew, ServedOld
from tests.evenings.setting_up import LISTS, session_key
from tests.evenings.words import CANCELED, OK, UNKNOWN, UNPAID, USED, WITHDRAWN, Ask, CheckIn
from tests.support.box import BoxProcess, wait_until
from tests.support.pretix import EVENT

PASSWORD = "a long password"
DRAINED_WITHIN_S = 60.0
SETTINGS = {"backoff_max_s": 1.0, "probe_interval_s": 1.0, "connect_timeout_s": 5.0, "read_timeout_s": 10.0}

_TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')


def as_served(fault: Fault) -> Fault:
    """As near as a server comes to not being there, and without the pauses that real time would make long."""
    if not fault.connects:
        return FAULTS["reset"]
    if fault.name == "429":
        return FAULTS["500"]
    return replace(fault, headers=fault.headers | ({"Retry-After": "1"} if "Retry-After" in fault.headers else {}))


class Pages:
    """Somebody at the staff pages. Logs in with what the box's terminal shows."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.trust_env = False

    def first_visit(self, code: str) -> None:
        self.post("/first", "/first", name="Lena", code=code, password=PASSWORD, again=PASSWORD)

    def post(self, page: str, path: str, **form: str) -> str:
        """Fill in a form of this page; the page that follows."""
        found = _TOKEN.search(self._session.get(self._url + page, timeout=20).text)
        assert found is not None, page
        return self._session.post(self._url + path, data={"csrf_token": found[1], **form}, timeout=20).text


class RealEvening(Evening):
    """One evening of a real box on a fresh data directory. Open until `close`."""

    is_clock_right = True

    def __init__(self, plan: Plan, data_dir: Path, env: Mapping[str, str] | None = None) -> None:
        super().__init__(plan, is_loose=True)
        self.lock = threading.RLock()
        self._faults: dict[int, str] = {}
        self._requests = 0
        self.server: ServedOld | ServedNew
        if plan.dialect == OLD:
            self.server = ServedOld(plan.terms, self)
            self.server.start()
        else:
            self.server = ServedNew(plan.terms, self)
        self.server.watcher = self
        self.box = BoxProcess(data_dir, SETTINGS, env)
        self.pages = Pages(self.box.url)
        self._config = Config(data_dir=data_dir)
        self._http = requests.Session()
        self._http.trust_env = False
        self._opened = ExitStack()
        self._opened.callback(self.server.stop)
        self._opened.callback(self.box.kill)

    def close(self) -> None:
        self._opened.close()

    def happen(self) -> None:
        self._start()
        self.journal = Journal(self.box.data_dir / DATABASE_NAME)
        self._opened.callback(self.journal.close)
        self.pages.first_visit(self._act("staff.code")["code"])
        self.phones = self._set_up()
        try:
            super().happen()
        finally:
            if self.server.errors:  # what the model said in a thread of the server's
                raise self.server.errors[0]

    # --- the process --------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        self.box.start()
        self.model.boot, self.model.process = "this boot", self.model.process + 1

    def restart(self) -> None:
        self.box.stop()
        self._start()

    def kill(self, *, ticket: int, phone: int) -> None:
        """While this phone asks: if it got no answer, the journal tells what became of that."""
        scanner, name = self.phones[phone], self._name(ticket)
        ask = Ask(name, scanner.list_id, secret=self._prints[name][-1])
        with self.lock, ThreadPoolExecutor(1) as pool:
            earliest = self.now()
            asking = pool.submit(scanner.ask, self, ask)
            self.box.kill()
            answers = {OK} if isinstance(asking.exception(), NoAnswer) else asking.result()
            rows = self.new_rows()
            self.story.append(f"      {ask} -> {asking.exception() or answers}, recorded {len(rows)} times")
            if rows or asking.exception() is None:
                self.model.answered(ask, answers, rows, self.since(earliest, is_known=False))
        self._start()

    def reboot(self, *, off_s: float, clock_error_s: float) -> None:
        """As far as a process can tell."""
        self.box.kill()
        self._start()

    def synchronise(self) -> None:
        """The machine's clock is nobody's to change."""

    def jump(self, *, by_s: float) -> None:
        """Nor is this."""

    def full_disk(self, *, for_s: float) -> None:
        """Nor is its disk."""

    def rest(self, *, for_s: float) -> None:
        """Time passes by itself; staff sync."""
        self._is_all_told()

    # --- what happens -------------------------------------------------------------------------------------------------

    def do(self, step: Step) -> None:
        if step.name not in SYNCS:
            super().do(step)
            return
        with self.lock:
            self._faults, self._requests = dict(step.faults), 0
        self.pages.post("/", "/sync")
        for _, other in sorted(step.meanwhile, key=lambda each: each[0]):
            if other.name not in SYNCS:
                self.story.append(f"      meanwhile: {other}")
                super().do(other)

    def link_is_back(self) -> None:
        super().link_is_back()
        with self.lock:
            self._faults = {}

    def drain(self) -> None:
        wait_until(self._is_all_told, DRAINED_WITHIN_S, "all is told")

    def _is_all_told(self) -> bool:
        """Staff press the button, which does not wait for anything; whether both sides know everything then."""
        with self.lock:
            settled = [row.id for row in self.journal.rows() if row.state == "settled"]
        synced = self._act("sync", list_id=None)["lists"]
        if any(each["problem"] is not None for each in synced):
            return False
        with self.lock:
            self.model.pulled(settled)
            return all(row.state != "pending" for row in self.journal.rows())

    # --- the network --------------------------------------------------------------------------------------------------

    def meets(self) -> Fault | None:
        number, self._requests = self._requests, self._requests + 1
        name = self._faults.pop(number, None)
        fault = FAULTS[name] if name else self._weather
        return fault and as_served(fault)

    def changed(self, ticket: str) -> None:
        super().changed(ticket)
        self.model.looked_up(ticket, self.server.found(ticket))  # the box may look it up whenever it likes

    # --- what the driver does -----------------------------------------------------------------------------------------

    def now(self) -> datetime:
        return datetime.now(UTC)

    def knows_time(self) -> bool:
        return False

    def check_in_by_hand(self, ticket_id: int, *, forced: bool) -> Collection[str]:
        form = {"reason": "we know her", "force": "on"} if forced else {"reason": ""}
        page = f"/tickets/{ticket_id}"
        told = self.pages.post(page, f"{page}/checkin", **form)
        return {OK} if "Checked in." in told else {UNKNOWN, WITHDRAWN, CANCELED, UNPAID, USED}

    def undo_by_hand(self, checkin: CheckIn) -> bool:
        ticket_id = self.journal.ticket_id(self._prints[checkin.ask.ticket])
        page = f"/tickets/{ticket_id}"
        told = self.pages.post(page, f"{page}/undo/{checkin.id}", reason="a mistake")
        return "The check-in is undone" in told

    def retry_by_hand(self, checkin: CheckIn) -> bool:
        return "It will be sent again" in self.pages.post("/", f"/attention/{checkin.id}/retry")

    def dismiss_by_hand(self, checkin: CheckIn) -> bool:
        told = self.pages.post("/", f"/attention/{checkin.id}/dismiss", reason="seen")
        return "It needs no attention any more" in told

    def post(
        self, path: str, *, query: Mapping[str, str], headers: Mapping[str, str], form: Any = None, json: Any = None
    ) -> tuple[int, Any]:
        try:
            answer = self._http.post(
                self.box.url + path, params=query, headers=headers, data=form, json=json, timeout=15
            )
        except requests.ConnectionError:
            raise NoAnswer from None
        if answer.status_code == 503:
            raise NoAnswer
        return answer.status_code, answer.json()

    # --- the box as it is set up --------------------------------------------------------------------------------------

    def _act(self, action: str, **arguments: Any) -> Any:
        return call(self._config, action, arguments)

    def _set_up(self) -> list[Phone]:
        if self.plan.dialect == OLD:
            self._act("lists.add", url=self.server.url, key="UPSTREAMKEY", name=None, separate=False)
        else:
            self._act("connections.add", text=self.server.url, token="abcdefgh12345678", renew=None)
            for number in self.plan.terms:
                self._act("lists.add_offered", event=EVENT, upstream_list=number, connection_id=None, name=None)
        scanners = [(SCAN, min(list_id, len(self.plan.terms))) for list_id in LISTS]
        return [self._phone(*each, number) for number, each in enumerate([(DROID, 1), (DROID, 1), *scanners])]

    def _phone(self, app: str, list_id: int, number: int) -> Phone:
        told = self._act(
            "devices.add", name=f"phone {number}", app=app, list_ids=[list_id], key=None, items=None,
            allow_search=True, show_info=True,
        )  # fmt: skip
        if app == DROID:
            return Phone(DROID, list_id, told["key"])
        return Phone(SCAN, list_id, session_key(self, told["qr"]))
