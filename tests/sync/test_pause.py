"""A paused list: its sync stops, scanning goes on, and what waited is pushed when it goes on."""

from __future__ import annotations

import threading

import pytest

from edgebox.box import ActionError
from edgebox.model import CheckInState
from edgebox.sync import UpstreamState
from tests.support.box import wait_until
from tests.support.upstream import Hold, StubUpstream, held
from tests.sync.conftest import OpenVenue
from tests.sync.venue import SOON_S, Venue


@pytest.fixture
def syncing(venue: Venue, stub: StubUpstream) -> Venue:
    """A box that syncs by itself and has pulled."""
    stub.add_tickets(10)
    venue.box.sync.start()
    wait_until(lambda: len(venue.tickets()) == 10, SOON_S, "the list is pulled")
    return venue


def state(venue: Venue) -> UpstreamState:
    (status,) = venue.box.status()
    return status.link.state


def test_scanning_goes_on_and_nothing_reaches_upstream(syncing: Venue, stub: StubUpstream) -> None:
    syncing.box.pause_list(syncing.list.id, True)
    requests = len(stub.requests)
    for number in range(5):
        assert syncing.scan(f"secret{number:06d}").verdict.is_ok
    assert state(syncing) is UpstreamState.PAUSED
    assert all(checkin.is_offline for checkin in syncing.checkins()), "it is decided without upstream"
    assert syncing.scan("unknown here").verdict.reason is not None
    assert syncing.box.sync.now(syncing.list.id).problem == "its sync is paused"
    assert len(stub.requests) == requests
    (status,) = syncing.box.status()
    assert (status.pending, status.drain_s, status.upstream_total) == (5, None, None)


def test_what_waited_is_pushed_when_it_goes_on(syncing: Venue, stub: StubUpstream) -> None:
    syncing.box.pause_list(syncing.list.id, True)
    for number in range(5):
        syncing.scan(f"secret{number:06d}")
    syncing.box.pause_list(syncing.list.id, False)
    wait_until(lambda: len(stub.log) == 5, SOON_S, "what waited is pushed")
    wait_until(lambda: state(syncing) is UpstreamState.ONLINE, SOON_S, "upstream is heard again")
    assert [entry.secret for entry in stub.log] == [f"secret{number:06d}" for number in range(5)]
    assert syncing.scan("secret000007").verdict.is_ok
    assert not syncing.checkin("secret000007").is_offline
    wait_until(lambda: len(stub.log) == 6, SOON_S, "what comes after is pushed as before")


def test_a_pause_survives_a_restart(syncing: Venue, stub: StubUpstream, open_venue: OpenVenue) -> None:
    syncing.box.pause_list(syncing.list.id, True)
    syncing.scan("secret000000")
    syncing.close()
    requests = len(stub.requests)
    again = open_venue()
    again.box.sync.start()
    assert state(again) is UpstreamState.PAUSED
    assert again.scan("secret000001").verdict.is_ok
    assert len(stub.requests) == requests
    again.box.pause_list(again.list.id, False)
    wait_until(lambda: len(stub.log) == 2, SOON_S, "what waited over the restart is pushed")


def test_a_push_under_way_ends_and_nothing_is_told_twice(syncing: Venue, stub: StubUpstream) -> None:
    hold = Hold()
    stub.on("redeem", lambda request: held(hold) if request.secret == "secret000002" else None)
    for number in range(5):
        syncing.scan(f"secret{number:06d}")
    assert hold.reached.wait(SOON_S)
    syncing.box.pause_list(syncing.list.id, True)
    hold.release()
    assert state(syncing) is UpstreamState.PAUSED
    stub.off()
    syncing.box.pause_list(syncing.list.id, False)
    wait_until(
        lambda: {checkin.state for checkin in syncing.checkins()} == {CheckInState.SETTLED}, SOON_S, "all is pushed"
    )
    assert sorted(entry.secret for entry in stub.log) == [f"secret{number:06d}" for number in range(5)]


def test_pausing_twice_changes_nothing(syncing: Venue, stub: StubUpstream) -> None:
    for is_paused in (True, True, False, False):
        syncing.box.pause_list(syncing.list.id, is_paused)
        assert syncing.box.get_list(syncing.list.id).is_paused is is_paused
    syncing.scan("secret000000")
    wait_until(lambda: stub.log, SOON_S, "the list syncs")


def test_pausing_while_gates_scan_loses_nothing(syncing: Venue, stub: StubUpstream) -> None:
    stop = threading.Event()

    def flip() -> None:
        is_paused = True
        while not stop.is_set():
            syncing.box.pause_list(syncing.list.id, is_paused)
            is_paused = not is_paused

    hand = threading.Thread(target=flip)
    hand.start()
    try:
        for number in range(10):
            assert syncing.scan(f"secret{number:06d}").verdict.is_ok
    finally:
        stop.set()
        hand.join()
    syncing.box.pause_list(syncing.list.id, False)
    wait_until(lambda: len({entry.secret for entry in stub.log}) == 10, SOON_S, "all is pushed")
    assert len(stub.log) == 10


def test_a_list_from_a_file_has_nothing_to_pause(syncing: Venue, stub: StubUpstream) -> None:
    stub.list_name = "Another list"
    saved = syncing.box.add_saved({"status": stub.status(), "download": stub.download()}, "a file")
    with pytest.raises(ActionError, match="comes from a file"):
        syncing.box.pause_list(saved.id, True)
    assert not syncing.box.get_list(saved.id).is_paused


def test_an_unknown_list_is_refused(syncing: Venue) -> None:
    with pytest.raises(ActionError, match="no list 9"):
        syncing.box.pause_list(9, True)


def test_a_paused_list_can_be_removed(syncing: Venue) -> None:
    syncing.box.pause_list(syncing.list.id, True)
    syncing.box.remove_list(syncing.list.id)
    assert syncing.box.status() == []
