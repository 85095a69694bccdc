"""A box with two lists of different ticket servers, used in turn; one of them is about to be purged."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

from edgebox.clock import Stamp
from edgebox.model import CheckInList, Device, Reason, RedeemRequest, ToldTicket
from edgebox.store.attempts import Sighting
from edgebox.store.notes import Note
from edgebox.store.purger import Gone
from edgebox.store.redeem import Scan
from edgebox.store.staff import Deed
from tests.store.venue import SHIRT, TICKET, Venue, told

GUESTS = 300
A_PAGE = 50
WITHIN_S = 60.0


class Parting(Venue):
    """`leaving` is the list that goes, `staying` the one that does not; so begin the secrets and names of each."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir)
        self.store.purger.rewriting.quiet_s = 0.0
        if len(self.store.lists.all()) == 1:
            self.add_list(event="othercon")
            self.add_device("Gate of the others")
        self.leaving, self.staying = self.store.lists.all()
        self.scanners = {device.list_ids[0]: device for device in self.store.devices.all()}
        self.guests = {"leaving": _guests("leaving"), "staying": _guests("staying")}

    def fill(self) -> None:
        """Tickets and check-ins of both lists, whose rows lie among each other, with all that happens beside them."""
        for start in range(0, GUESTS, A_PAGE):
            for list_, guests in ((self.leaving, "leaving"), (self.staying, "staying")):
                snapshot = self.store.snapshots.begin(list_, self.request())
                snapshot.add(self.guests[guests][start : start + A_PAGE])
        for number in range(0, GUESTS, 2):
            assert self.let_in(self.leaving, self.secret("leaving", number)) is None
            assert self.let_in(self.staying, self.secret("staying", number)) is None
        assert self.let_in(self.leaving, self.secret("leaving", 0)) is Reason.ALREADY_REDEEMED
        assert self.let_in(self.staying, self.secret("staying", 0)) is Reason.ALREADY_REDEEMED
        assert self.let_in(self.leaving, "leaving-nobody-knows-this-code") is Reason.UNKNOWN_TICKET
        self.settle_all()
        self.gossip()

    def gossip(self) -> None:
        """What staff say of guests, what the sync says, and what phones say of themselves."""
        ticket_id = self.ticket_id("leaving", 3)
        self.store.notes.add(ticket_id, Note(self.now, "Lena", "leaving guest 3 limps"))
        self.store.staff.did(
            Deed(self.now, "Lena", "lead", "forced a check-in", f"{ticket_id} leaving guest 3 is known")
        )
        self.store.staff.did(Deed(self.now, "Lena", "lead", "undid a check-in", "1: leaving guest 0 was mistaken"))
        self.store.staff.did(Deed(self.now, "Lena", "lead", "undid a check-in", "2: staying guest 0 was mistaken"))
        self.store.runs.add(self.leaving.id, "push", self.now, 0.1, is_ok=False, text="it chokes on leaving guest 3")
        self.store.attempts.saw(Sighting(self.scanners[self.leaving.id].id, self.now, "leaving phone"))

    def let_in(self, list_: CheckInList, secret: str, device: Device | None = None) -> Reason | None:
        self.now += timedelta(seconds=1)
        stamp = Stamp(self.now, "this-boot", self.now.timestamp(), is_trusted=True)
        scanner = device or self.scanners[list_.id]
        scan = Scan(list_.id, scanner, RedeemRequest(secret), stamp, is_offline=False)
        return self.store.redeemer.redeem(scan).verdict.reason

    def settle_all(self) -> None:
        for list_ in (self.leaving, self.staying):
            for checkin in self.store.journal.pending(list_.id, after_id=0, limit=10_000, choked=False):
                self.store.journal.settle(checkin, self.now)

    def secret(self, guests: str, number: int) -> str:
        return self.guests[guests][number].data.secret

    def ticket_id(self, guests: str, number: int) -> int:
        list_ = self.leaving if guests == "leaving" else self.staying
        found = self.store.tickets.find(list_, self.secret(guests, number))
        assert found is not None
        return found.ticket.id

    def purge(self) -> Gone:
        """The rows alone; `store.purger.rewrite` is for the files."""
        self.store.purger.begin(self.leaving.id, self.now)
        return self.store.purger.run(self.leaving.id, self.now)

    def purge_and_rewrite(self) -> Gone:
        gone = self.purge()
        assert self.store.purger.rewrite(within_s=WITHIN_S)
        return gone


def _guests(who: str) -> list[ToldTicket]:
    """Tickets that nothing else is called like, in no order."""
    dice = random.Random(who)
    return [
        told(
            f"{who}{dice.getrandbits(64):016x}secret",
            attendee_name=f"{who.title()} Guest{number:04d}",
            order_code=f"{who[0].upper()}{dice.getrandbits(32):08X}",
            item_id=SHIRT if number % 3 == 0 else TICKET,
        )
        for number in range(GUESTS)
    ]


def traces(folder: Path, *texts: str) -> dict[str, list[str]]:
    """Which files below a folder hold the texts, in whatever case: the bytes of the files, whatever they mean."""
    wanted = [text.lower().encode() for text in texts]
    found: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            content = path.read_bytes().lower()
            if here := [text.decode() for text in wanted if text in content]:
                found[str(path.relative_to(folder))] = here
    return found


def codes(tickets: Iterable[ToldTicket]) -> list[str]:
    return [ticket.data.order_code for ticket in tickets]
