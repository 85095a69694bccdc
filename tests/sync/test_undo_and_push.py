"""An undo against a push that is about to tell upstream: either upstream hears of the check-in, or it is undone."""

from __future__ import annotations

import threading

import pytest

from edgebox.model import CheckInState
from edgebox.store import Refused
from edgebox.upstream import UpstreamError
from tests.support.upstream import ANSWER_LOST, SERVER_ERROR, Hold, StubUpstream, always, held, times
from tests.sync.conftest import OpenVenue
from tests.sync.venue import SOON_S, Venue

COUNT = 30


@pytest.fixture
def scanned(venue: Venue, stub: StubUpstream) -> Venue:
    """A box that has pulled, with check-ins that are pending."""
    for secret in stub.add_tickets(COUNT):
        stub.tickets[secret].attendee_name = secret
    venue.line.pull()
    for secret in list(stub.tickets):
        assert venue.scan(secret).verdict.is_ok
    return venue


def undo(venue: Venue, secret: str) -> None:
    venue.box.desk.undo(venue.checkin(secret).id, "Bea", "wrong guest")


def undoable(venue: Venue, secret: str) -> bool:
    checkin = venue.checkin(secret)
    return checkin.id in venue.box.desk.story(checkin.ticket_id).undoable


def test_what_was_undone_never_reaches_upstream(scanned: Venue, stub: StubUpstream) -> None:
    assert undoable(scanned, "secret000003")
    undo(scanned, "secret000003")
    pushed = scanned.line.push()
    assert (pushed.settled, pushed.parked) == (COUNT - 1, 0)
    assert stub.seen("redeem", "secret000003") == []
    scanned.line.pull()
    assert not scanned.tickets()["secret000003"]


def test_what_is_on_its_way_cannot_be_undone(scanned: Venue, stub: StubUpstream) -> None:
    hold = Hold()
    stub.on("redeem", lambda request: held(hold) if request.secret == "secret000000" else None)
    push = threading.Thread(target=scanned.line.push)
    push.start()
    assert hold.reached.wait(SOON_S)
    assert not undoable(scanned, "secret000000")
    with pytest.raises(Refused, match="upstream may know"):
        undo(scanned, "secret000000")
    # One further back in the very batch that is being pushed still can.
    undo(scanned, "secret000009")
    hold.release()
    push.join(SOON_S)
    assert scanned.checkin("secret000000").state is CheckInState.SETTLED
    assert scanned.checkin("secret000009").state is CheckInState.CANCELLED
    assert stub.seen("redeem", "secret000009") == []


def test_what_upstream_may_have_heard_cannot_be_undone_though_its_answer_was_lost(
    scanned: Venue, stub: StubUpstream
) -> None:
    stub.on("redeem", times(1, ANSWER_LOST))
    with pytest.raises(UpstreamError):
        scanned.line.push()
    with pytest.raises(Refused, match="upstream may know"):
        undo(scanned, "secret000000")
    undo(scanned, "secret000001")


def test_what_was_never_sent_because_upstream_is_away_can_be_undone(scanned: Venue, stub: StubUpstream) -> None:
    """All but the first, with which the push found out."""
    stub.stop()
    for _ in range(3):
        with pytest.raises(UpstreamError):
            scanned.line.push()
    assert not undoable(scanned, "secret000000")
    for secret in list(stub.tickets)[1:]:
        assert undoable(scanned, secret)
        undo(scanned, secret)
    stub.start()
    scanned.line.push()
    assert [entry.secret for entry in stub.log] == ["secret000000"]


def test_what_upstream_choked_on_cannot_be_undone(scanned: Venue, stub: StubUpstream) -> None:
    stub.on("redeem", always(SERVER_ERROR, "secret000002"))
    scanned.line.push()
    with pytest.raises(Refused, match="upstream may know"):
        undo(scanned, "secret000002")


def test_what_was_recorded_before_a_restart_cannot_be_undone(
    scanned: Venue, stub: StubUpstream, open_venue: OpenVenue
) -> None:
    scanned.close()
    again = open_venue()
    assert not undoable(again, "secret000000")
    with pytest.raises(Refused, match="upstream may know"):
        undo(again, "secret000000")
    again.line.push()
    assert len(stub.log) == COUNT


def test_while_both_go_on_each_checkin_is_either_told_or_undone(scanned: Venue, stub: StubUpstream) -> None:
    undone: set[str] = set()

    def undo_from_the_end() -> None:
        for secret in reversed(list(stub.tickets)):
            try:
                undo(scanned, secret)
            except Refused:
                continue
            undone.add(secret)

    hand = threading.Thread(target=undo_from_the_end)
    # It begins once the push is under way.
    stub.on("redeem", lambda request: hand.start() if hand.ident is None else None)
    scanned.line.push()
    hand.join(SOON_S)
    told = {entry.secret for entry in stub.log}
    assert undone
    assert told
    assert told | undone == set(stub.tickets)
    assert not told & undone
    assert {checkin.secret for checkin in scanned.checkins() if checkin.state is CheckInState.CANCELLED} == undone
    assert {secret for secret, is_in in scanned.tickets().items() if is_in} == told
