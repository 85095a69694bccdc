"""A sync that somebody at a page asks for: it runs by itself, and shows how far it is and what came of it."""

from __future__ import annotations

import pytest

from edgebox.box import ActionError
from edgebox.sync import ManualRun
from edgebox.sync.line import Progress, Report
from edgebox.sync.manual import ManualSync
from edgebox.sync.outcome import Synced
from tests.support.box import wait_until
from tests.support.upstream import PORTAL_PAGE, Hold, StubUpstream, always, held
from tests.sync.venue import SOON_S, Venue


def finished(venue: Venue) -> ManualRun:
    """The last run, once it is done."""

    def done() -> ManualRun | None:
        run = venue.box.sync.manual.last
        return run if run is not None and run.is_done else None

    run = wait_until(done, SOON_S, "the sync is done")
    assert run is not None
    return run


def test_before_the_first_there_is_none(venue: Venue) -> None:
    assert venue.box.sync.manual.last is None


def test_it_pushes_and_pulls(venue: Venue, stub: StubUpstream) -> None:
    stub.add_tickets(3)
    venue.box.start_sync()
    assert finished(venue).outcomes == [Synced(venue.list.id, pulled=3, changed=3)]
    venue.scan("secret000000")
    began = venue.box.start_sync()
    run = finished(venue)
    assert run is began
    assert run.is_ok
    assert run.progress == {}
    assert run.outcomes == [Synced(venue.list.id, pushed=1, pulled=3, changed=1)]
    assert [entry.secret for entry in stub.log] == ["secret000000"]


def test_it_shows_how_far_it_is(venue: Venue, stub: StubUpstream) -> None:
    stub.add_tickets(20)
    venue.line.pull()
    for secret in list(stub.tickets):
        venue.scan(secret)
    hold = Hold()
    stub.on("redeem", lambda request: held(hold) if request.secret == "secret000010" else None)
    run = venue.box.start_sync()
    assert hold.reached.wait(SOON_S)
    assert not run.is_done
    assert not run.is_ok
    assert run.progress == {venue.list.id: Progress(venue.list.id, "push", 10, 20)}
    assert venue.box.start_sync() is run, "pressing twice is harmless"
    hold.release()
    assert finished(venue).outcomes[0].pushed == 20
    assert len(stub.log) == 20


def test_upstream_that_is_away_is_told_as_what_came_of_it(venue: Venue, stub: StubUpstream) -> None:
    stub.stop()
    venue.box.start_sync()
    run = finished(venue)
    assert not run.is_ok
    assert "refused" in (run.outcomes[0].problem or "")
    stub.start()
    venue.box.start_sync()
    assert finished(venue).is_ok


def test_a_login_page_is_told_as_one(venue: Venue, stub: StubUpstream) -> None:
    stub.on("*", always(PORTAL_PAGE))
    venue.box.start_sync()
    assert "login page" in (finished(venue).outcomes[0].problem or "")


def test_what_was_parked_is_not_called_well(venue: Venue, stub: StubUpstream) -> None:
    stub.add_tickets(1)
    venue.line.pull()
    venue.scan("secret000000")
    del stub.tickets["secret000000"]
    venue.box.start_sync()
    run = finished(venue)
    assert run.outcomes[0].parked == 1
    assert not run.is_ok


def test_an_unknown_list_is_refused_and_begins_nothing(venue: Venue) -> None:
    with pytest.raises(ActionError, match="no list 9"):
        venue.box.start_sync(9)
    assert venue.box.sync.manual.last is None


def test_a_list_that_was_removed_meanwhile_is_no_problem(venue: Venue) -> None:
    venue.box.remove_list(venue.list.id)
    assert venue.box.sync.now(venue.list.id) == Synced(venue.list.id)


def test_a_bug_ends_the_run_and_it_is_not_called_well(venue: Venue, caplog: pytest.LogCaptureFixture) -> None:
    def one(list_id: int, report: Report) -> Synced:
        if list_id == 2:
            raise ZeroDivisionError
        return Synced(list_id)

    manual = ManualSync(venue.box.clock.now, one)
    run = manual.start([1, 2, 3])
    wait_until(lambda: run.is_done, SOON_S, "the run has ended")
    assert not run.is_ok
    assert [synced.list_id for synced in run.outcomes] == [1]
    assert "ZeroDivisionError" in caplog.text
    assert manual.start([1]) is not run
