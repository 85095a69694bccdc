"""Which of several lists a scan is for: the ticket decides, and where it cannot, that is said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from edgebox.clock import Stamp
from edgebox.model import CheckInList, ListTerms, Reason, Redeemed, RedeemRequest, SourceKind, TicketData
from edgebox.store.choosing import SEVERAL_EVENTS, choose
from edgebox.store.lists import NewList
from edgebox.store.redeem import Scan
from tests.store.fair import Fair, a_ticket, an_order
from tests.store.venue import a_catalog, told

OLD, GALA, TOUR = range(3)
KEYS = {"gala": ("KEY OF THE GALA",), "tour": ("KEY OF THE TOUR",)}


class Door(Fair):
    """Lists of three events: one of an old upstream, two of today's pretix. `lists` are as a phone has chosen them."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir)
        self.signed_for: set[str] = set()
        gala, tour = (self.event_list(number, event) for number, event in ((11, "gala"), (12, "tour")))
        self.lists: Sequence[CheckInList] = (self.old_list(), gala, tour)

    def event_list(self, number: int, event: str) -> CheckInList:
        added = self.add_list(number, ListTerms(), event)
        self.store.lists.learn(
            added, replace(a_catalog(), signature_keys=KEYS[event]), subevent=None, terms=added.terms
        )
        return self.list_(number)

    def old_list(self) -> CheckInList:
        """Of an upstream that tells no terms."""
        return self.store.lists.add(
            NewList(
                kind=SourceKind.PRETIXDROID, url="http://old.example/pretixdroid/api/demoorga/old/", credential="KEY",
                organizer="demoorga", event="old", subevent=None, name="Old", catalog=a_catalog(),
            ),
            self.now,
        )  # fmt: skip

    def tells(self, which: int, *secrets: str, **data: bool) -> None:
        list_ = self.lists[which]
        if which == OLD:
            snapshot = self.store.snapshots.begin(list_, self.request())
            snapshot.add([told(secret) for secret in secrets])
            snapshot.finish(self.now, 0.1)
            return
        tickets = [a_ticket(number, secret=secret, **data) for number, secret in enumerate(secrets, start=1)]
        self.store.orders.take(
            list_.source.id, [an_order("A", *tickets)], number=self.request(), state=None, at=self.now
        )

    def verify(self, secret: str, keys: tuple[str, ...]) -> TicketData | None:
        """A signature that fits the keys of the events in `signed_for`."""
        is_good = any(keys == KEYS[event] for event in self.signed_for)
        return replace(a_ticket(9).data, secret=secret, position_id=None) if is_good else None

    def chosen(self, secret: str, *which: int) -> tuple[str, str | None]:
        lists = [self.lists[each] for each in which or (OLD, GALA, TOUR)]
        list_, ambiguity = choose(self.store.reading(), lists, secret, self.verify)
        return list_.event, ambiguity


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    opened = Door(tmp_path)
    try:
        yield opened
    finally:
        opened.close()


@pytest.mark.parametrize(("which", "event"), [(OLD, "old"), (GALA, "gala"), (TOUR, "tour")])
def test_it_is_the_list_whose_event_has_the_ticket(door: Door, which: int, event: str) -> None:
    door.tells(which, "mine")
    assert door.chosen("mine") == (event, None)


def test_one_list_is_asked_whatever_the_others_have(door: Door) -> None:
    door.tells(TOUR, "mine")
    assert door.chosen("mine", GALA) == ("gala", None)


def test_lists_that_the_phone_has_not_chosen_do_not_count(door: Door) -> None:
    door.tells(TOUR, "mine")
    assert door.chosen("mine", GALA, OLD) == ("gala", None)


def test_what_nobody_knows_goes_to_the_first_list(door: Door) -> None:
    assert door.chosen("nobody", TOUR, OLD) == ("tour", None)
    assert door.chosen("", OLD, TOUR) == ("old", None)


def test_a_secret_is_compared_exactly(door: Door) -> None:
    door.tells(TOUR, "Mine")
    assert door.chosen("mine") == ("old", None)


def test_a_code_of_several_events_is_ambiguous_and_the_first_chosen_says_so(door: Door) -> None:
    for which in (GALA, TOUR):
        door.tells(which, "both")
    assert door.chosen("both") == ("gala", SEVERAL_EVENTS)
    assert door.chosen("both", TOUR, GALA) == ("tour", SEVERAL_EVENTS)
    assert door.chosen("both", OLD, TOUR) == ("tour", None)


def test_a_cancelled_ticket_gives_way_to_one_that_is_not(door: Door) -> None:
    door.tells(GALA, "both", is_cancelled=True)
    door.tells(TOUR, "both")
    assert door.chosen("both") == ("tour", None)


def test_a_withdrawn_ticket_gives_way_too(door: Door) -> None:
    door.tells(OLD, "both", "other")
    door.tells(OLD, "other")
    door.tells(TOUR, "both")
    assert door.chosen("both") == ("tour", None)


def test_where_it_is_gone_everywhere_it_is_still_known(door: Door) -> None:
    door.tells(TOUR, "gone", is_cancelled=True)
    assert door.chosen("gone") == ("tour", None)
    door.tells(GALA, "gone", is_cancelled=True)
    assert door.chosen("gone") == ("gala", SEVERAL_EVENTS)


@pytest.mark.parametrize("kind", ["revoked", "blocked"])
def test_a_secret_that_is_barred_belongs_where_it_is(door: Door, kind: str) -> None:
    door.store.orders.bar(door.lists[TOUR].source.id, {kind: frozenset({"barred"})})
    assert door.chosen("barred") == ("tour", None)
    door.store.orders.bar(door.lists[GALA].source.id, {kind: frozenset({"barred"})})
    assert door.chosen("barred") == ("gala", None), "which event has barred it makes no difference"


def test_a_ticket_comes_before_a_bar(door: Door) -> None:
    door.store.orders.bar(door.lists[GALA].source.id, {"revoked": frozenset({"mine"})})
    door.tells(TOUR, "mine")
    assert door.chosen("mine") == ("tour", None)


def test_a_signed_secret_belongs_to_the_event_that_signed_it(door: Door) -> None:
    door.signed_for = {"tour"}
    assert door.chosen("signed") == ("tour", None)
    door.signed_for = {"gala", "tour"}
    assert door.chosen("signed") == ("gala", None)
    assert door.chosen("signed", OLD, TOUR) == ("tour", None), "a list without keys is not asked"


def test_what_is_known_or_barred_is_not_looked_at_for_signatures(door: Door) -> None:
    door.signed_for = {"gala"}
    door.tells(TOUR, "mine")
    door.store.orders.bar(door.lists[TOUR].source.id, {"revoked": frozenset({"barred"})})
    assert door.chosen("mine") == ("tour", None)
    assert door.chosen("barred") == ("tour", None)


# --- and what the decision makes of it --------------------------------------------------------------------------------


def scan(door: Door, secret: str) -> Redeemed:
    list_, ambiguity = choose(door.store.reading(), door.lists, secret, door.verify)
    device = door.store.devices.all()[0]
    stamp = Stamp(door.now, "this-boot", 1.0, is_trusted=True)
    return door.store.redeemer.redeem(
        Scan(list_.id, device, RedeemRequest(secret), stamp, is_offline=False, ambiguity=ambiguity)
    )


def test_nobody_is_let_in_on_an_ambiguous_code_and_the_door_is_told_what_to_do(door: Door) -> None:
    for which in (OLD, TOUR):
        door.tells(which, "both")
    verdict = scan(door, "both").verdict
    assert (verdict.reason, verdict.explanation) == (Reason.AMBIGUOUS, SEVERAL_EVENTS)
    assert "choose one event on the phone" in SEVERAL_EVENTS
    assert scan(door, "both").verdict.reason is Reason.AMBIGUOUS


def test_once_one_of_them_is_gone_the_other_lets_in(door: Door) -> None:
    for which in (GALA, TOUR):
        door.tells(which, "both")
    door.tells(GALA, "both", is_cancelled=True)
    redeemed = scan(door, "both")
    assert redeemed.verdict.is_ok
    assert redeemed.ticket is not None
    assert redeemed.ticket.source_id == door.lists[TOUR].source.id
