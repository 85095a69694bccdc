"""While a pull is worked on, Python's threads take shorter turns; afterwards they are as they were."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import suppress

import pytest

from edgebox.model import ToldTicket
from edgebox.store.snapshots import Snapshot
from edgebox.sync.yielding import TURN_S, short_turns
from tests.support.upstream import StubUpstream
from tests.sync.venue import Venue


def test_turns_are_short_until_the_last_one_ends() -> None:
    usual_s = sys.getswitchinterval()
    assert usual_s > 2 * TURN_S
    with suppress(KeyError), short_turns():
        with short_turns():
            assert sys.getswitchinterval() == pytest.approx(TURN_S)
        assert sys.getswitchinterval() == pytest.approx(TURN_S)
        raise KeyError
    assert sys.getswitchinterval() == usual_s
    with short_turns():
        assert sys.getswitchinterval() == pytest.approx(TURN_S)
    assert sys.getswitchinterval() == usual_s


def test_a_pull_takes_short_turns(venue: Venue, stub: StubUpstream, monkeypatch: pytest.MonkeyPatch) -> None:
    usual_s, seen_s = sys.getswitchinterval(), set()
    add = Snapshot.add

    def watched(self: Snapshot, tickets: Iterable[ToldTicket]) -> None:
        seen_s.add(round(sys.getswitchinterval(), 6))
        add(self, tickets)

    monkeypatch.setattr(Snapshot, "add", watched)
    stub.add_tickets(3)
    venue.line.pull()
    assert seen_s == {TURN_S}
    assert sys.getswitchinterval() == usual_s
