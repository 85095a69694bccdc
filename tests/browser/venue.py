"""A venue to show in a browser: a ticket server, a box with staff and devices, and an evening that has been."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from werkzeug.security import generate_password_hash

from edgebox.box import Box
from edgebox.clock import Clock
from edgebox.config import Config
from edgebox.control import client
from edgebox.demo.event import NAMED_TICKETS, demo_event
from edgebox.export import journal_row
from edgebox.model import App, CheckInList, Device, Phone, RedeemRequest
from edgebox.store import open_for_reading
from edgebox.store.journal import export
from edgebox.store.staff import Role
from tests.support.box import BoxProcess
from tests.support.event import CANCELED, PAID, PENDING, StubCheckIn, StubItem
from tests.support.upstream import StubUpstream, always, json_answer

PASSWORDS = {Role.LEAD: "password of the lead", Role.GATE: "password of the gate"}
GATE_A, GATE_B = "Gate A", "Gate B"

TICKET_ID = 2
"""The demo event's item that asks no questions."""

SETTINGS: Mapping[str, object] = {"backoff_max_s": 1.0, "connect_timeout_s": 1.0, "read_timeout_s": 5.0}
"""A box that notices soon that its ticket server is back."""


def load_demo_event(stub: StubUpstream) -> None:
    """Make the stub the demo event's ticket server."""
    event = demo_event(datetime.now(UTC).date())
    stub.items = [
        StubItem(item["id"], item["name"], item["admission"], {v["id"]: v["name"] for v in item["variations"]})
        for item in event["status"]["items"]
    ]
    stub.questions = list(event["download"]["questions"])
    stub.timezone = "Europe/Berlin"
    stub.list_name = "Main entrance"
    stub.include_pending = True
    for row in event["download"]["results"]:
        status = PAID if row["paid"] else PENDING if row["checkin_allowed"] else CANCELED
        stub.add_ticket(
            row["secret"], order=row["order"], item_id=row["item_id"], variation_id=row["variation_id"],
            attendee_name=row["attendee_name"], attention=row["attention"], order_status=status,
            addons_text=row["addons_text"],
        )  # fmt: skip
        if row["redeemed"]:
            moment = datetime.now(UTC) - timedelta(days=1)
            stub.checkins[row["secret"]] = StubCheckIn(row["secret"], moment, None, forced=False, first=True)


@contextmanager
def new_venue(folder: Path, *devices: str) -> Iterator[Venue]:
    """A running box at the demo event, with its ticket server and (unless others are named) two devices."""
    stub = StubUpstream().start()
    box = BoxProcess(folder / "data", config=SETTINGS)
    try:
        load_demo_event(stub)
        with opened(box.data_dir) as inside:
            list_, keys = set_up(inside, stub, *(devices or (GATE_A, GATE_B)))
        yield Venue(box.start(), stub, list_.id, keys)
    finally:
        box.kill()
        stub.stop()
        print(f"--- output of the box ---\n{box.output}")


@dataclass
class Venue:
    """A running box, its ticket server, and the keys of its devices by name."""

    box: BoxProcess
    stub: StubUpstream
    list_id: int
    keys: dict[str, str] = field(default_factory=dict)
    sessions: dict[Role, Any] = field(default_factory=dict)
    """Who has logged in already, as the browser keeps it."""
    _given: set[str] = field(default_factory=set)

    def scan(self, secret: str, device: str = GATE_A, **form: object) -> dict[str, Any]:
        """A scanner's redeem over HTTP."""
        answer: dict[str, Any] = self.box.redeem(self.keys[device], secret, **form).json()
        return answer

    def call(self, action: str, **arguments: Any) -> Any:
        """An action as the commands ask the running box for it, without starting a process for each."""
        return client.call(Config.load(self.box.data_dir, {}, {}), action, arguments)

    def add_device(self, name: str, app: App = App.PRETIXDROID) -> dict[str, Any]:
        """One more scanner, as `devices show` tells of it."""
        limits = {"items": None, "allow_search": True, "show_info": True}
        added: dict[str, Any] = self.call(
            "devices.add", name=name, app=app, list_ids=[self.list_id], key=None, **limits
        )
        if app is App.PRETIXDROID:
            self.keys[name] = added["key"]
        return added

    def sync(self) -> None:
        """Push and pull now, whatever comes of it."""
        self.call("sync", list_id=None)

    def state(self) -> dict[str, Any]:
        """How the list stands."""
        state: dict[str, Any] = self.call("status")["lists"][0]
        return state

    def journal(self) -> list[dict[str, Any]]:
        """The check-ins, in order, as the export has them."""
        connection = open_for_reading(self.box.data_dir)
        try:
            return [journal_row(row) for row in export(connection)]
        finally:
            connection.close()

    def inside(self) -> int:
        """How many are in, as the scanners are told."""
        return int(self.box.get(self.keys[GATE_A], "status/").json()["checkins"])

    def fresh_tickets(self) -> Iterator[str]:
        """Secrets that may come in, none of those that are there for a purpose; each is given out once."""
        for ticket in list(self.stub.tickets.values()):
            is_plain = ticket.is_paid and ticket.item_id == TICKET_ID and ticket.secret not in NAMED_TICKETS.values()
            if is_plain and ticket.secret not in self.stub.checkins and ticket.secret not in self._given:
                self._given.add(ticket.secret)
                yield ticket.secret


@contextmanager
def opened(data_dir: Path, clock: Clock | None = None) -> Iterator[Box]:
    """The box in this process, to set it up; it must not run elsewhere meanwhile."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    box = Box(Config.load(data_dir, {}, {}), clock)
    try:
        yield box
    finally:
        box.close()


def set_up(box: Box, stub: StubUpstream, *devices: str) -> tuple[CheckInList, dict[str, str]]:
    """The stub's list with its tickets, the passwords of both roles, and devices; their keys by name."""
    list_ = box.add_list(stub.url, stub.key)
    box.sync_now()
    for role in Role:
        box.store.staff.set_password(role, password_hash(role), code=None)
    return list_, {name: box.scanners.add(name, list_.id).key for name in devices}


@cache
def password_hash(role: Role) -> str:
    """Made once: it is slow on purpose."""
    return generate_password_hash(PASSWORDS[role])


class Evening:
    """An evening that has been, written into a data directory by a box with a clock of its own."""

    LENGTH_MIN = 190

    def __init__(self, data_dir: Path, stub: StubUpstream) -> None:
        self._data_dir = data_dir
        self._stub = stub
        self._rng = random.Random(7)
        self._now_s = time.time() - self.LENGTH_MIN * 60

    def live_through(self) -> tuple[CheckInList, dict[str, str]]:
        """Guests arrive at several gates; at the end something is left for staff to look at."""
        clock = Clock(wall=lambda: self._now_s, system_synchronised=lambda: True)
        with opened(self._data_dir, clock) as box:
            list_, keys = set_up(box, self._stub, GATE_A, "Gate A 2", GATE_B, "Old phone")
            box.scanners.add("VIP entrance", list_.id, item_ids=frozenset({4}), allow_search=False)
            keys["Desk laptop"] = box.scanners.add("Desk laptop", list_.id).key
            gates = [box.store.devices.named(name) for name in (GATE_A, "Gate A 2", GATE_B)]
            self._arrivals(box, list_, gates)
            self._oddities(box, list_, gates)
            self._now_s = time.time() - 100
            box.sync_now()
            box.scanners.revoke("Old phone")
            self._now_s = time.time() - 20
            self._desk_work(box)
            crew = {"status": {"event": {"name": "Crew", "slug": "crew", "organizer": {"slug": "demoorga"}}}}
            crew_list = self._crew(box, crew)
            self._pretixscan(box, list_, crew_list)
        return list_, keys

    def _arrivals(self, box: Box, list_: CheckInList, gates: list[Device]) -> None:
        coming = [t.secret for t in self._stub.tickets.values() if t.is_paid and t.secret not in self._stub.checkins]
        coming = [secret for secret in coming if secret not in NAMED_TICKETS.values()]
        self._rng.shuffle(coming)
        agent = "pretixdroid/1.14 (Android 13; {})"
        for minute in range(self.LENGTH_MIN - 2):
            rate = 0.3 + 3.2 * math.exp(-(((minute - 120) / 40) ** 2))
            for _ in range(int(rate + self._rng.random())):
                self._now_s += self._rng.uniform(2, 15)
                device = self._rng.choices(gates, (5, 3, 2))[0]
                box.saw(device, agent.format(device.name))
                if coming and self._rng.random() < 0.93:
                    box.redeem(device, list_, RedeemRequest(coming.pop()))
                else:
                    self._turned_away(box, list_, device)
            self._now_s = max(self._now_s, time.time() - (self.LENGTH_MIN - minute - 1) * 60)
            if minute % 30 == 29:
                box.sync_now()

    def _turned_away(self, box: Box, list_: CheckInList, device: Device) -> None:
        kinds = ("already_in", "unpaid", "not_allowed")
        secret = NAMED_TICKETS[self._rng.choice(kinds)] if self._rng.random() < 0.6 else "4711-of-another-event"
        box.redeem(device, list_, RedeemRequest(secret))

    def _oddities(self, box: Box, list_: CheckInList, gates: list[Device]) -> None:
        """Two phones that were offline, and a check-in that the ticket server does not take."""
        at = datetime.fromtimestamp(self._now_s, UTC) - timedelta(minutes=25)
        for key, device in (("peter_higgs", gates[0]), ("fresh", gates[1])):
            secret = NAMED_TICKETS[key]
            box.redeem(device, list_, RedeemRequest(secret))
            box.redeem(gates[2], list_, RedeemRequest(secret, nonce=f"late-{key}", datetime=at, is_forced=True))
        refused = NAMED_TICKETS["buyer_name"]
        self._stub.on("redeem", always(json_answer({"version": 3, "status": "error", "reason": "product"}), refused))
        box.redeem(gates[0], list_, RedeemRequest(refused))

    def _desk_work(self, box: Box) -> None:
        hit = box.desk.find("Beate Buyer", 1)[0]
        box.desk.note(hit.ticket.id, "Maria", "Came with the wrong printout; passport checked.")
        box.did("Maria", Role.LEAD, "added a note", str(hit.ticket.id))
        unpaid = box.desk.find("Penny Pending", 1)[0]
        box.desk.check_in(unpaid.ticket.id, "Maria", "Paid in cash at the desk", is_forced=True)
        box.did("Maria", Role.LEAD, "forced a check-in", f"{unpaid.ticket.id} Paid in cash at the desk")

    def _crew(self, box: Box, body: dict[str, Any]) -> CheckInList:
        rows = [
            {"secret": f"crew{n:04d}", "order": f"CREW{n % 9}", "item": "Crew", "item_id": 1, "variation": None,
             "variation_id": None, "attendee_name": f"Helper {n}", "attention": False, "redeemed": n % 3 == 0,
             "paid": True, "checkin_allowed": True, "addons_text": ""}
            for n in range(36)
        ]  # fmt: skip
        body["status"]["items"] = [{"id": 1, "name": "Crew", "admission": True, "variations": []}]
        return box.add_saved({**body, "download": {"results": rows, "version": 3}}, "the crew's file", name="Crew")

    def _pretixscan(self, box: Box, *lists: CheckInList) -> None:
        """A phone that is set up, and one whose code nobody has scanned yet."""
        list_ids = [list_.id for list_ in lists]
        token = box.scanners.add_pretixscan("Gate C", list_ids, allow_search=False).setup_token
        phone = Phone("Zebra TC21", "Android 13", "pretixSCAN Android", "3.3.4", box.clock.now())
        assert token is not None
        box.scanners.set_up(token, phone)
        box.scanners.add_pretixscan("Gate D", list_ids[:1])
