"""Any interleaving of scans, pulls, look-ups, pushes, undos and withdrawals, held against a model of who is in.

The model knows nothing of the store's numbers. It keeps what really happened, in order, and asks three things of scans:

* nobody gets in twice: a ticket that was let in stays used until upstream undid that very entry;
* nobody gets in whose entry elsewhere was the last thing that a finished download told;
* nobody is kept out any longer once a whole download that began after everything else says that they may come.

Upstream knows no exits: the box keeps them. They let nobody in. Whoever left last is not inside; whoever came in last
is, unless that was undone.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edgebox.model import CheckIn, CheckInState, ConflictReason, Direction, Reason, ToldTicket
from edgebox.store.snapshots import Snapshot
from tests.store.venue import LET_IN, Venue, told

SECRETS = ("t1", "t2", "t3")
secrets = st.sampled_from(SECRETS)


@dataclass
class Entry:
    """One that the box let in."""

    at: int
    acked_at: int | None = None
    settled_at: int | None = None
    is_undone: bool = False


@dataclass
class Truth:
    """What happened to one ticket."""

    exists: bool = True
    is_in_elsewhere: bool = False
    entries: dict[int, Entry] = field(default_factory=dict)
    told_in_at: int = -1
    """When the newest request was sent whose answer told an entry."""
    told_out_at: int = -1
    """When the newest whole download was asked for that told none."""
    told_gone_at: int = -1
    told_there_at: int = -1
    last_way: Direction | None = None
    """Of the last that happened at the box's door."""

    @property
    def is_in_upstream(self) -> bool:
        return self.is_in_elsewhere or any(
            entry.acked_at is not None and not entry.is_undone for entry in self.entries.values()
        )


@dataclass
class Download:
    """A whole snapshot under way: as upstream stood when it was asked for."""

    asked_at: int
    snapshot: Snapshot
    body: list[ToldTicket]
    taken_in: int = 0


class WhoIsIn(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.data_dir = Path(tempfile.mkdtemp(prefix="who-is-in-"))
        self.venue = Venue(self.data_dir)
        self.clock = 0
        self.truth = {secret: Truth() for secret in SECRETS}
        self.download: Download | None = None
        self.looked_up: tuple[int, int, ToldTicket] | None = None

    def teardown(self) -> None:
        self.venue.close()
        shutil.rmtree(self.data_dir)

    def tick(self) -> int:
        self.clock += 1
        return self.clock

    @initialize()
    def first_pull(self) -> None:
        self.ask()
        self.end()

    # --- the gate -----------------------------------------------------------------------------------------------------

    @rule(secret=secrets, is_forced=st.booleans())
    def scan(self, secret: str, is_forced: bool) -> None:
        now, truth = self.tick(), self.truth[secret]
        reason = self.venue.scan(secret, is_forced=is_forced)
        if reason is LET_IN:
            truth.entries[self.venue.checkin.id] = Entry(now)
            truth.last_way = Direction.ENTRY
        if is_forced:
            assert reason is LET_IN or (reason is Reason.UNKNOWN_TICKET and truth.told_there_at < 0)
            return
        before = [entry for number, entry in truth.entries.items() if reason or number != self.venue.checkin.id]
        if any(not entry.is_undone for entry in before):
            assert reason is not LET_IN, "in twice"
        if truth.told_in_at > truth.told_out_at:
            assert reason is not LET_IN, "in although upstream told of an entry"
        is_settled_in_time = all(
            entry.settled_at is not None and entry.settled_at < truth.told_out_at for entry in before
        )
        newest_at = max(truth.told_in_at, truth.told_gone_at)
        if truth.told_there_at > newest_at and truth.told_out_at > newest_at and is_settled_in_time:
            assert reason is LET_IN, f"kept out: {reason}"

    @rule(secret=secrets, is_forced=st.booleans())
    def leave(self, secret: str, is_forced: bool) -> None:
        self.tick()
        reason = self.venue.scan(secret, is_forced=is_forced, direction=Direction.EXIT)
        if reason is LET_IN:
            self.truth[secret].last_way = Direction.EXIT
            assert self.venue.checkin.state is CheckInState.KEPT
        else:
            assert reason in (Reason.UNKNOWN_TICKET, Reason.WITHDRAWN)

    @rule(secret=secrets)
    def staff_undo_the_last(self, secret: str) -> None:
        """An exit, which nobody else was told of; and what came before it is the last again."""
        rows = [row.checkin for row in self.venue.journal if row.checkin.secret == secret]
        rows = [checkin for checkin in rows if checkin.state is not CheckInState.CANCELLED]
        if rows and rows[-1].direction is Direction.EXIT:
            self.venue.store.journal.undo(rows[-1].id, "Bea", "did not leave", self.venue.now)
            self.truth[secret].last_way = rows[-2].direction if len(rows) > 1 else None

    # --- push ---------------------------------------------------------------------------------------------------------

    def waiting(self) -> list[tuple[CheckIn, Truth, Entry]]:
        return [
            (checkin, self.truth[checkin.secret], self.truth[checkin.secret].entries[checkin.id])
            for checkin in self.venue.pending()
        ]

    @rule(data=st.data())
    def upstream_takes_a_checkin(self, data: st.DataObject) -> None:
        """Its answer may be lost, or come much later."""
        unacked = [(truth, entry) for _, truth, entry in self.waiting() if entry.acked_at is None and truth.exists]
        if unacked:
            data.draw(st.sampled_from(unacked))[1].acked_at = self.tick()

    @rule(data=st.data())
    def the_box_hears_of_it(self, data: st.DataObject) -> None:
        acked = [(checkin, entry) for checkin, _, entry in self.waiting() if entry.acked_at is not None]
        if acked:
            checkin, entry = data.draw(st.sampled_from(acked))
            self.venue.store.journal.settle(checkin, self.venue.now)
            entry.settled_at = self.tick()

    @rule(data=st.data())
    def upstream_refuses_a_checkin(self, data: st.DataObject) -> None:
        unacked = [checkin for checkin, _, entry in self.waiting() if entry.acked_at is None]
        if unacked:
            checkin = data.draw(st.sampled_from(unacked))
            self.venue.store.journal.park(checkin, ConflictReason.REFUSED, "no", self.venue.now)

    # --- what others do upstream --------------------------------------------------------------------------------------

    @rule(secret=secrets)
    def undo(self, secret: str) -> None:
        truth = self.truth[secret]
        truth.is_in_elsewhere = False
        for entry in truth.entries.values():
            entry.is_undone = entry.is_undone or entry.acked_at is not None

    @rule(secret=secrets)
    def let_in_elsewhere(self, secret: str) -> None:
        self.truth[secret].is_in_elsewhere = True

    @rule(secret=secrets)
    def cancel_or_restore(self, secret: str) -> None:
        self.truth[secret].exists = not self.truth[secret].exists

    # --- pull ---------------------------------------------------------------------------------------------------------

    def told_now(self, secret: str) -> ToldTicket:
        # The name changes all the time: that a ticket is written must not matter to who is in.
        return told(secret, redeemed=self.truth[secret].is_in_upstream, attendee_name=f"Guest {self.clock // 7}")

    @precondition(lambda self: self.download is None)
    @rule()
    def ask(self) -> None:
        body = [self.told_now(secret) for secret, truth in self.truth.items() if truth.exists]
        self.download = Download(self.tick(), self.venue.begin(), body)

    @precondition(lambda self: self.download is not None)
    @rule()
    def take_in_a_slice(self) -> None:
        assert self.download is not None
        piece = self.download.body[self.download.taken_in :][:1]
        self.download.taken_in += len(piece)
        self.download.snapshot.add(piece)
        for ticket in piece:
            truth = self.truth[ticket.data.secret]
            truth.told_there_at = max(truth.told_there_at, self.download.asked_at)
            if ticket.is_redeemed:
                truth.told_in_at = max(truth.told_in_at, self.download.asked_at)

    @precondition(lambda self: self.download is not None)
    @rule()
    def end(self) -> None:
        assert self.download is not None
        while self.download.taken_in < len(self.download.body):
            self.take_in_a_slice()
        self.venue.finish(self.download.snapshot)
        told_of = {ticket.data.secret: ticket for ticket in self.download.body}
        for secret, truth in self.truth.items():
            if secret not in told_of:
                truth.told_gone_at = max(truth.told_gone_at, self.download.asked_at)
            elif not told_of[secret].is_redeemed:
                truth.told_out_at = max(truth.told_out_at, self.download.asked_at)
        self.download = None

    @precondition(lambda self: self.download is not None)
    @rule()
    def break_off(self) -> None:
        self.download = None

    # --- look-up ------------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.looked_up is None)
    @rule(secret=secrets)
    def look_up(self, secret: str) -> None:
        if self.truth[secret].exists:
            self.looked_up = self.tick(), self.venue.request(), self.told_now(secret)

    @precondition(lambda self: self.looked_up is not None)
    @rule()
    def take_in_the_look_up(self) -> None:
        assert self.looked_up is not None
        asked_at, number, ticket = self.looked_up
        self.looked_up = None
        self.venue.look_up(ticket, number)
        truth = self.truth[ticket.data.secret]
        newest_at = max(truth.told_there_at, truth.told_gone_at, truth.told_out_at)
        if asked_at > newest_at:
            truth.told_there_at = asked_at
            if ticket.is_redeemed:
                truth.told_in_at = max(truth.told_in_at, asked_at)

    # --- always -------------------------------------------------------------------------------------------------------

    @rule()
    def restart(self) -> None:
        """With what was under way lost."""
        now = self.venue.now
        self.venue.close()
        self.venue = Venue(self.data_dir)
        self.venue.now = now
        self.download = self.looked_up = None

    @invariant()
    def what_is_shown_agrees(self) -> None:
        inside = self.venue.inside()
        for secret, truth in self.truth.items():
            if truth.told_there_at < 0:
                continue
            is_in = self.venue.is_in(secret)
            if truth.last_way is Direction.EXIT:
                assert secret not in inside, "inside although they left"
            elif truth.last_way is None or not list(truth.entries.values())[-1].is_undone:
                assert (secret in inside) == is_in


TestWhoIsIn = WhoIsIn.TestCase
TestWhoIsIn.settings = settings(max_examples=25, stateful_step_count=40, deadline=None)
