"""What is no download, or not a whole one: nothing is taken away for it, and what is good of it is kept."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace
from typing import Any

import pytest

from edgebox.upstream import NotUpstream, Unreachable
from tests.support.upstream import (
    BODY_CUT,
    HTML,
    JSON,
    PORTAL_PAGE,
    Response,
    StubUpstream,
    always,
    json_answer,
    times,
)
from tests.sync.raw import Connection, answer
from tests.sync.venue import Venue, download_of, upstream_of

NO_DOWNLOAD: dict[str, Response] = {
    "login page": PORTAL_PAGE,
    "login page that says it is JSON": replace(PORTAL_PAGE, content_type=JSON),
    "nothing": Response(200, "", JSON),
    "a list": json_answer([]),
    "a word": json_answer("results"),
    "null": json_answer(None),
    "no tickets": json_answer({"version": 3}),
    "tickets that are no list": json_answer({"version": 3, "results": {"secret": "x"}}),
    "tickets that are a number": json_answer({"version": 3, "results": 5}),
    "tickets deeper down": json_answer({"version": 3, "data": {"results": []}}),
    "JSON and then a page": Response(200, '{"version": 3, "results": []}<html></html>', HTML),
    "a number without end": Response(200, '{"results": [], "version": ' + "9" * 6000 + "}", JSON),
    "an id that no database holds": json_answer({"version": 3, "results": [{"secret": "abc", "item_id": 2**63}]}),
    "much of nothing": Response(200, " " * 2_000_000 + '{"version": 3, "results": []}', JSON),
    "one huge ticket": json_answer({"version": 3, "results": [{"secret": "x" * 2_000_000}]}),
}
BROKEN_OFF: dict[str, Response] = {
    "in the middle": BODY_CUT,
    "before its last brace": Response(sends=0.999),
    "after its head": Response(sends=0.0),
    "without a length, in the middle": Response(200, '{"version": 3, "results": [{"secret": "abc"', JSON),
}


@pytest.mark.parametrize("case", NO_DOWNLOAD)
def test_what_is_no_download_takes_nothing_away(venue: Venue, stub: StubUpstream, case: str) -> None:
    stub.add_tickets(5)
    venue.line.pull()
    before = venue.box.get_list(venue.list.id).source
    stub.on("download", always(NO_DOWNLOAD[case]))
    with pytest.raises(NotUpstream):
        venue.line.pull()
    assert len(venue.tickets()) == 5
    assert venue.box.get_list(venue.list.id).source == before
    assert venue.state == "not upstream"
    venue.line.probe()
    assert venue.state == "online"
    assert venue.detail.startswith("pull: "), "staff read it until a pull succeeds"


@pytest.mark.parametrize("case", BROKEN_OFF)
def test_a_body_that_breaks_off_takes_nothing_away(venue: Venue, stub: StubUpstream, case: str) -> None:
    stub.add_tickets(5)
    venue.line.pull()
    before = venue.box.get_list(venue.list.id).source
    del stub.tickets["secret000000"]
    stub.on("download", times(1, BROKEN_OFF[case]))
    with pytest.raises(Unreachable):
        venue.line.pull()
    assert len(venue.tickets()) == 5
    assert venue.box.get_list(venue.list.id).source == before
    assert venue.line.pull().withdrawn == 1


def test_what_a_broken_pull_brought_is_kept(venue: Venue, stub: StubUpstream) -> None:
    stub.add_tickets(1000)
    stub.on("download", times(1, BODY_CUT))
    with pytest.raises(Unreachable):
        venue.line.pull()
    # The pieces that were whole: the last one, which the break cut, is not among them.
    assert 200 <= len(venue.tickets()) < 600
    assert venue.scan("secret000000").verdict.is_ok
    assert venue.line.pull().tickets == 1000
    assert len(venue.tickets()) == 1000


@pytest.mark.parametrize(
    "wrong",
    [
        {"secret": None},
        {"secret": ""},
        {"secret": 7},
        {"order": 7},
        {"attendee_name": ["Ada"]},
        {"redeemed": "false"},
        {"redeemed": None},
        {"paid": 1},
        {"checkin_allowed": "yes"},
        {"attention": {}},
        {"addons_text": 3.5},
    ],
    ids=json.dumps,
)
def test_a_ticket_of_the_wrong_shape_is_left_out_and_nothing_is_taken_away(
    venue: Venue, stub: StubUpstream, wrong: dict[str, Any]
) -> None:
    stub.add_tickets(5)
    venue.line.pull()
    del stub.tickets["secret000000"]
    tickets = stub.download()["results"]
    stub.add_ticket("new000000000", attendee_name="Someone Private")
    told = [*tickets, {**stub.told(stub.tickets["new000000000"], False), **wrong}, {**tickets[0], "secret": "behind"}]
    stub.on("download", always(download_of(stub, results=told)))
    with pytest.raises(NotUpstream, match="1 tickets or questions are not as the API has them") as raised:
        venue.line.pull()
    assert "Private" not in str(raised.value)
    assert sorted(venue.tickets()) == ["behind", *(f"secret{number:06d}" for number in range(5))]


@pytest.mark.parametrize("wrong", [None, 7, "ticket", ["secret"]], ids=json.dumps)
def test_what_is_no_ticket_at_all_is_left_out(venue: Venue, stub: StubUpstream, wrong: object) -> None:
    stub.add_tickets(2)
    stub.on("download", always(download_of(stub, results=[*stub.download()["results"], wrong])))
    with pytest.raises(NotUpstream):
        venue.line.pull()
    assert len(venue.tickets()) == 2


@pytest.mark.parametrize(
    "ids", [{"item_id": 0}, {"item_id": -1}, {"item_id": "2"}, {"item_id": 2.5}, {"item_id": True}]
)
def test_an_id_that_is_none_is_found_by_its_name(venue: Venue, stub: StubUpstream, ids: dict[str, object]) -> None:
    stub.add_ticket("secret000000", item_id=2)
    ticket = {**stub.told(stub.tickets["secret000000"], False), **ids}
    stub.on("download", always(download_of(stub, results=[ticket])))
    venue.line.pull()
    found = venue.box.store.tickets.find(venue.list, "secret000000")
    assert found is not None
    assert found.ticket.data.item_id == 2


@pytest.mark.parametrize("question", [None, {"id": "5"}, {"id": 5}, {"id": 5, "type": "T", "items": 2}])
def test_a_question_of_the_wrong_shape_keeps_the_questions_that_the_box_knows(
    venue: Venue, stub: StubUpstream, question: object
) -> None:
    stub.add_question(1, "T", [2])
    venue.line.pull()
    stub.on("download", always(download_of(stub, questions=[question])))
    with pytest.raises(NotUpstream):
        venue.line.pull()
    assert [known.id for known in venue.catalog.questions] == [1]


def test_a_secret_that_comes_twice_counts_once(venue: Venue, stub: StubUpstream) -> None:
    stub.add_tickets(3)
    twice = [ticket for ticket in stub.download()["results"] for _ in range(2)]
    stub.on("download", always(download_of(stub, results=twice)))
    venue.line.pull()
    assert len(venue.tickets()) == 3


@pytest.mark.parametrize("where", ["results", "data", "version", "questions"])
@pytest.mark.parametrize("brackets", ["[]", '{"a":', '[{"a":'], ids=["lists", "objects", "both"])
def test_brackets_within_brackets_cost_no_memory(where: str, brackets: str) -> None:
    """With the whole way to it beside each, these would take a hundred megabytes, and twice as many four times that."""
    opens, depth = brackets.removesuffix("]"), 4_000
    body = f'{{"version": 3, "results": [], "{where}": {opens * depth}'.encode()
    status = answer(json.dumps({"version": 3, "event": {"name": "Demo"}, "items": []}).encode())

    def serve(connection: Connection) -> None:
        while (request := connection.request()) is not None:
            connection.send(answer(body) if b"/download/" in request else status)

    with upstream_of(serve) as upstream:
        catalog = upstream.describe().catalog
        tracemalloc.start()
        try:
            with pytest.raises(NotUpstream, match="nested deeper"), upstream.pull(catalog) as told:
                list(told.tickets())
            _, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak_bytes < 5_000_000


def test_a_pull_keeps_little_in_memory(venue: Venue, stub: StubUpstream) -> None:
    count = 6_000
    ticket = json.dumps(stub.told(stub.add_ticket("secret000000"), False)).encode()
    status = json.dumps(stub.status()).encode()
    pieces = [ticket.replace(b"secret000000", b"secret%06d" % number) for number in range(count)]
    body = b'{"version": 3, "results": [' + b", ".join(pieces) + b"]}"
    download, status = answer(body), answer(status)

    def serve(connection: Connection) -> None:
        while (request := connection.request()) is not None:
            connection.send(download if b"/download/" in request else status)

    with upstream_of(serve) as upstream:
        catalog = upstream.describe().catalog
        tracemalloc.start()
        try:
            with upstream.pull(catalog) as told:
                assert sum(1 for _ in told.tickets()) == count
            _, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert len(body) > 1_400_000
    assert peak_bytes < 700_000
