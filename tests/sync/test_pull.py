"""Pull: what of a download is taken in, what is not believed, and what it may take away."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from edgebox.model import CheckInState, Reason
from edgebox.sync.line import AGAIN_WHEN_STALE_S, BROKEN_PULL_REST_MAX_S, PULL_REST_FACTOR
from edgebox.upstream import Unreachable
from tests.support.event import PENDING, StubItem
from tests.support.upstream import (
    BODY_CUT,
    SERVER_ERROR,
    Hold,
    Request,
    Response,
    StubUpstream,
    always,
    held,
    json_answer,
    times,
)
from tests.sync.conftest import OpenVenue
from tests.sync.raw import Connection, answer
from tests.sync.venue import SOON_S, Ticker, Venue, download_of, upstream_of

# --- what is taken in -------------------------------------------------------------------------------------------------


def test_every_fact_of_a_ticket_is_taken_in(venue: Venue, stub: StubUpstream) -> None:
    stub.include_pending = True
    stub.add_ticket(
        "secret000000", order="ÄBC12", item_id=1, variation_id=2, attendee_name="Žofia Łukasz", attention=True,
        order_status=PENDING, addons_text="Workshop",
    )  # fmt: skip
    taken = venue.line.pull()
    assert (taken.tickets, taken.written) == (1, 1)
    found = venue.box.store.tickets.find(venue.list, "secret000000")
    assert found is not None
    data = found.ticket.data
    assert (data.order_code, data.item_id, data.variation_id) == ("ÄBC12", 1, 2)
    assert (data.attendee_name, data.attention, data.addons_text) == ("Žofia Łukasz", True, "Workshop")
    assert (data.is_paid, data.checkin_allowed, found.is_redeemed) == (False, True, False)


def test_a_second_pull_writes_only_what_has_changed(venue: Venue, stub: StubUpstream) -> None:
    stub.add_tickets(500)
    assert venue.line.pull().written == 500
    stub.tickets["secret000007"].attendee_name = "Grace Hopper"
    stub.add_ticket("new000000000")
    taken = venue.line.pull()
    assert (taken.tickets, taken.written) == (501, 2)
    found = venue.box.store.tickets.find(venue.list, "secret000007")
    assert found is not None
    assert found.ticket.data.attendee_name == "Grace Hopper"


def test_an_empty_list_is_a_whole_snapshot(venue: Venue, stub: StubUpstream) -> None:
    assert venue.line.pull().tickets == 0
    assert venue.box.get_list(venue.list.id).source.last_pull is not None


def test_a_compressed_body_is_understood(venue: Venue, stub: StubUpstream) -> None:
    stub.add_tickets(300)
    body = gzip.compress(json.dumps(stub.download()).encode())
    status = json.dumps(stub.status()).encode()

    def serve(connection: Connection) -> None:
        while (request := connection.request()) is not None:
            is_download = b"/download/" in request
            connection.send(answer(body, Content_Encoding="gzip") if is_download else answer(status))

    with upstream_of(serve) as upstream, upstream.pull(upstream.describe().catalog) as told:
        assert len(list(told.tickets())) == 300


@pytest.mark.parametrize("first", ["questions", "version", "results"])
def test_questions_and_version_may_stand_before_or_after_the_tickets(
    venue: Venue, stub: StubUpstream, first: str
) -> None:
    stub.add_tickets(3)
    stub.add_question(5, "C", [2], options={1: "red", 2: "blue"})
    body = {**stub.download(), "version": 4}
    body = {first: body[first], **{key: value for key, value in body.items() if key != first}}
    stub.on("download", always(json_answer(body)))
    venue.line.pull()
    catalog = venue.catalog
    [question] = catalog.questions
    assert (question.id, question.type, question.item_ids) == (5, "C", {2})
    assert [(option.id, option.text) for option in question.options] == [(1, "red"), (2, "blue")]
    assert catalog.version == 4
    assert len(venue.tickets()) == 3


def test_a_server_of_version_2_is_understood(venue: Venue, stub: StubUpstream) -> None:
    stub.version = 2
    stub.add_ticket("secret000000", item_id=1, variation_id=2)
    stub.add_ticket("secret000001", item_id=2)
    stub.redeem({"secret": "secret000001"})
    venue.line.pull()
    first = venue.box.store.tickets.find(venue.list, "secret000000")
    assert first is not None
    assert (first.ticket.data.item_id, first.ticket.data.variation_id) == (1, 2), "by the names that status/ told"
    assert first.ticket.data.checkin_allowed
    assert venue.tickets() == {"secret000000": False, "secret000001": True}
    assert venue.catalog.version == 2


def test_items_that_only_tickets_name_get_ids_that_stay(venue: Venue, stub: StubUpstream) -> None:
    ticket = {"secret": "secret000000", "order": "A", "item": "Backstage", "variation": "Left"}
    stub.on("download", always(json_answer({"version": 2, "results": [ticket]})))
    venue.line.pull()
    catalog = venue.catalog
    [made_up] = [item for item in catalog.items if item.name == "Backstage"]
    assert made_up.id > 1_000_000_000
    assert [variation.name for variation in made_up.variations] == ["Left"]
    taken = venue.line.pull()
    assert (taken.written, venue.catalog) == (0, catalog)


def test_a_new_item_and_a_new_question_come_with_the_next_pull(venue: Venue, stub: StubUpstream) -> None:
    venue.line.pull()
    stub.items.append(StubItem(3, "Backstage"))
    stub.add_question(9, "T", [3])
    stub.add_ticket("secret000000", item_id=3)
    venue.line.pull()
    assert "Backstage" in [item.name for item in venue.catalog.items]
    assert [question.id for question in venue.catalog.questions_for(3)] == [9]
    refused = venue.scan("secret000000", questions_supported=True).verdict
    assert (refused.reason, [question.id for question in refused.questions]) == (Reason.INCOMPLETE, [9])


def test_an_item_that_upstream_no_longer_has_ends_with_the_next_pull(venue: Venue, stub: StubUpstream) -> None:
    stub.items.append(StubItem(3, "Backstage"))
    venue.line.pull()
    stub.items.pop()
    venue.line.probe()
    assert "Backstage" in [item.name for item in venue.catalog.items], "tickets may still name it"
    venue.line.pull()
    assert "Backstage" not in [item.name for item in venue.catalog.items]


def test_a_pull_or_probe_that_brings_nothing_new_leaves_the_list_as_it_is(venue: Venue, stub: StubUpstream) -> None:
    stub.add_tickets(3)
    stub.add_question(5, "T", [2])
    venue.line.pull()
    version = venue.box.store.lists.version_of(venue.list.id)
    venue.line.probe()
    venue.line.pull()
    venue.line.probe()
    assert venue.box.store.lists.version_of(venue.list.id) == version, "what scanners cache stays good"


def test_a_list_that_was_registered_unseen_gets_its_name_and_tickets(open_venue: OpenVenue, stub: StubUpstream) -> None:
    stub.add_tickets(2)
    stub.list_name = "Main entrance"
    stub.stop()
    venue = open_venue()
    assert (venue.list.name, venue.state) == ("demoorga/democon", "never")
    stub.start()
    venue.line.pull()
    assert venue.box.get_list(venue.list.id).name == "Main entrance"
    assert venue.scan("secret000001").verdict.is_ok


def test_halves_of_characters_do_not_break_a_pull(venue: Venue, stub: StubUpstream) -> None:
    stub.add_ticket("secret000000", attendee_name="half \ud83d", order="\ud800")
    stub.items[0] = replace_name(stub.items[0], "Shirt \udc00")
    stub.add_question(5, "T", [2])
    stub.questions[0]["question"] = "\ud83d?"
    venue.line.pull()
    assert venue.scan("secret000000").verdict.is_ok
    assert venue.line.push().settled == 1


# --- while tickets are scanned ----------------------------------------------------------------------------------------


def test_a_ticket_scanned_while_its_download_is_under_way_is_not_let_in_twice(venue: Venue, stub: StubUpstream) -> None:
    stub.add_tickets(1000)
    venue.line.pull()
    hold = Hold()
    stub.on("download", times(1, held(hold, after=0.5)))  # made before the scan, so it says "not redeemed"
    with pulling(venue):
        assert hold.reached.wait(SOON_S)
        for secret in ("secret000000", "secret000999"):
            assert venue.scan(secret).verdict.is_ok
        venue.line.push()
        assert venue.checkin("secret000000").state is CheckInState.SETTLED
        hold.release()
    for secret in ("secret000000", "secret000999"):
        assert venue.scan(secret).verdict.reason is Reason.ALREADY_REDEEMED
    venue.line.pull()
    assert venue.scan("secret000000").verdict.reason is Reason.ALREADY_REDEEMED


def test_scans_and_pushes_go_on_while_a_download_hangs(venue: Venue, stub: StubUpstream) -> None:
    stub.add_tickets(10)
    venue.line.pull()
    hold = Hold()
    stub.on("download", times(1, held(hold, after=0.5)))
    with pulling(venue):
        assert hold.reached.wait(SOON_S)
        assert venue.scan("secret000000").verdict.is_ok
        assert venue.line.push().settled == 1
        assert venue.state == "online"
        hold.release()


# --- what it takes away -----------------------------------------------------------------------------------------------


def test_an_undo_upstream_takes_effect_with_the_next_pull(venue: Venue, stub: StubUpstream) -> None:
    stub.add_tickets(5)
    venue.line.pull()
    venue.scan("secret000000")
    venue.line.push()
    venue.line.pull()
    assert venue.scan("secret000000").verdict.reason is Reason.ALREADY_REDEEMED
    del stub.checkins["secret000000"]
    assert venue.line.pull().undone == 1
    assert venue.scan("secret000000").verdict.is_ok
    assert venue.line.push().conflicts == 0


def test_what_is_still_pending_is_never_undone(venue: Venue, stub: StubUpstream) -> None:
    stub.add_tickets(5)
    venue.line.pull()
    venue.scan("secret000000")
    assert venue.line.pull().undone == 0
    assert venue.scan("secret000000").verdict.reason is Reason.ALREADY_REDEEMED


def test_a_check_in_made_elsewhere_counts_here_after_the_next_pull(venue: Venue, stub: StubUpstream) -> None:
    stub.add_tickets(2)
    venue.line.pull()
    stub.redeem({"secret": "secret000000"})
    venue.line.pull()
    assert venue.tickets() == {"secret000000": True, "secret000001": False}


def test_a_ticket_that_upstream_no_longer_has_is_withdrawn_and_may_come_back(venue: Venue, stub: StubUpstream) -> None:
    stub.add_tickets(5)
    venue.line.pull()
    gone = stub.tickets.pop("secret000000")
    assert venue.line.pull().withdrawn == 1
    assert venue.scan("secret000000").verdict.reason is Reason.WITHDRAWN
    stub.tickets[gone.secret] = gone
    venue.line.pull()
    assert venue.scan("secret000000").verdict.is_ok


def test_a_download_that_would_withdraw_much_waits_for_staff_and_the_rest_of_it_counts(
    venue: Venue, stub: StubUpstream
) -> None:
    secrets = stub.add_tickets(100)
    venue.line.pull()
    for secret in secrets[:40]:
        del stub.tickets[secret]
    stub.add_ticket("new000000000")
    taken = venue.line.pull()
    assert (taken.withdrawn, taken.held.tickets) == (0, 40)
    assert venue.scan(secrets[0]).verdict.is_ok
    assert venue.scan("new000000000").verdict.is_ok, "all else is applied"
    assert venue.line.pull().held.tickets == 40, "later pulls go on"
    venue.box.accept_held(venue.list.id)
    assert venue.scan(secrets[1]).verdict.reason is Reason.WITHDRAWN


def test_a_download_that_would_undo_much_waits_for_staff(venue: Venue, stub: StubUpstream) -> None:
    for secret in stub.add_tickets(100)[:50]:
        stub.redeem({"secret": secret})
    venue.line.pull()
    stub.checkins.clear()
    taken = venue.line.pull()
    assert (taken.undone, taken.held.checkins) == (0, 50)
    assert venue.scan("secret000000").verdict.reason is Reason.ALREADY_REDEEMED
    venue.box.accept_held(venue.list.id)
    assert venue.scan("secret000000").verdict.is_ok


def test_an_answer_from_a_cache_that_is_older_than_a_scan_takes_nothing_away(venue: Venue, stub: StubUpstream) -> None:
    stub.add_tickets(5)
    venue.line.pull()
    cached = json_answer(stub.download())
    venue.scan("secret000000")
    venue.line.push()
    venue.line.pull()
    stub.on("download", always(replace(cached, headers={"Age": "600"})))
    taken = venue.line.pull()
    assert taken.is_stale
    assert venue.scan("secret000000").verdict.reason is Reason.ALREADY_REDEEMED
    stub.off()
    stub.on("download", always(cached))
    venue.line.pull()
    assert venue.scan("secret000000").verdict.is_ok, "without an Age the same body is an undo"


# --- when -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def timed(open_venue: OpenVenue, stub: StubUpstream) -> tuple[Venue, Ticker]:
    """A box whose time stands still unless the stub, or the test, lets it pass."""
    stub.add_tickets(3)
    ticker = Ticker()
    return open_venue(monotonic=ticker, pull_interval_s=300.0, backoff_max_s=30.0), ticker


def taking(ticker: Ticker, seconds: float, response: Response | None = None) -> Callable[[Request], Response | None]:
    """A hook after which a request has taken so long."""

    def hook(request: Request) -> Response | None:
        ticker.let_pass(seconds)
        return response

    return hook


def test_the_first_pull_is_due_at_once(timed: tuple[Venue, Ticker]) -> None:
    assert timed[0].line.pull_in_s() == 0


def test_a_quick_download_is_asked_for_every_five_minutes(timed: tuple[Venue, Ticker], stub: StubUpstream) -> None:
    venue, ticker = timed
    stub.on("download", taking(ticker, 2.0))
    venue.line.pull()
    assert venue.line.pull_in_s() == 300
    ticker.let_pass(300)
    assert venue.line.pull_in_s() == 0


def test_a_slow_download_rests_for_ten_times_as_long_as_it_took(
    timed: tuple[Venue, Ticker], stub: StubUpstream
) -> None:
    venue, ticker = timed
    stub.on("download", taking(ticker, 60.0))
    venue.line.pull()
    assert venue.line.pull_in_s() == PULL_REST_FACTOR * 60.0 == 600


def test_a_stale_download_is_asked_for_again_soon(timed: tuple[Venue, Ticker], stub: StubUpstream) -> None:
    venue, _ = timed
    venue.line.pull()
    stub.on("download", always(replace(download_of(stub), headers={"Age": "600"})))
    assert venue.line.pull().is_stale
    assert venue.line.pull_in_s() == AGAIN_WHEN_STALE_S


def test_a_pull_that_could_not_begin_is_tried_again_after_the_back_off(
    timed: tuple[Venue, Ticker], stub: StubUpstream
) -> None:
    venue, _ = timed
    stub.on("status", always(SERVER_ERROR))
    with pytest.raises(Unreachable):
        venue.line.pull()
    assert 0 < venue.line.pull_in_s() <= 1


def test_a_pull_that_broke_rests_too_but_not_for_long(timed: tuple[Venue, Ticker], stub: StubUpstream) -> None:
    venue, ticker = timed
    stub.on("download", taking(ticker, 3.0, BODY_CUT))
    with pytest.raises(Unreachable):
        venue.line.pull()
    assert venue.line.pull_in_s() == PULL_REST_FACTOR * 3.0
    stub.on("download", taking(ticker, 90.0, BODY_CUT))
    with pytest.raises(Unreachable):
        venue.line.pull()
    assert venue.line.pull_in_s() == BROKEN_PULL_REST_MAX_S


def test_a_list_stays_online_while_a_long_download_comes_in(timed: tuple[Venue, Ticker], stub: StubUpstream) -> None:
    venue, ticker = timed
    stub.add_tickets(2000)
    venue.line.probe()
    words: list[str] = []

    def step(progress: object) -> None:
        ticker.let_pass(60.0)
        words.append(venue.state)

    venue.line.pull(step)
    assert words == ["online"] * 20
    assert venue.state == "online"


# ----------------------------------------------------------------------------------------------------------------------


def replace_name(item: StubItem, name: str) -> StubItem:
    return StubItem(item.id, name, item.admission, item.variations)


@contextmanager
def pulling(venue: Venue) -> Iterator[None]:
    """A pull that is under way during the block; at its end it must have succeeded."""
    outcomes: list[object] = []

    def pull() -> None:
        try:
            outcomes.append(venue.line.pull())
        except Exception as error:
            outcomes.append(error)

    thread = threading.Thread(target=pull, daemon=True)
    thread.start()
    yield
    thread.join(SOON_S)
    [taken] = outcomes
    assert not isinstance(taken, Exception), taken
