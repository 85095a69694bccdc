"""The end: a box stops within seconds, whatever its upstream does meanwhile, and forgets nothing by it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.box import BoxProcess, new_key, wait_until
from tests.support.upstream import (
    Hold,
    StubUpstream,
    always,
    held,
)
from tests.sync.conftest import OpenVenue
from tests.sync.venue import SOON_S, Venue

PROMPTLY_S = 25.0
"""Far below any time-out of a test that uses it, and enough for a busy machine."""
# --- the end ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["status", "download", "redeem"])
def test_a_box_closes_at_once_while_upstream_keeps_it_waiting(
    open_venue: OpenVenue, stub: StubUpstream, verb: str, caplog: pytest.LogCaptureFixture
) -> None:
    stub.add_tickets(1000)
    venue = open_venue(read_timeout_s=60.0)
    venue.line.pull()
    venue.scan("secret000000")
    hold = Hold()
    stub.on(verb, always(held(hold, after=0.5)))
    venue.box.sync.start()
    assert hold.reached.wait(SOON_S)
    began_s = time.monotonic()
    venue.close()
    assert time.monotonic() - began_s < PROMPTLY_S
    assert [record.getMessage() for record in caplog.records if record.levelname in ("ERROR", "WARNING")] == []
    stub.off()
    again = open_venue()
    again.line.push()
    assert (len(stub.accepted("secret000000")), again.checkin("secret000000").conflict) == (1, None)


def test_a_sync_that_staff_asked_for_is_given_up_too(venue: Venue, stub: StubUpstream) -> None:
    hold = Hold()
    stub.on("*", always(held(hold)))
    outcomes: list[str | None] = []
    syncing = threading.Thread(target=lambda: outcomes.extend(s.problem for s in venue.box.sync_now()), daemon=True)
    syncing.start()
    assert hold.reached.wait(SOON_S)
    venue.close()
    syncing.join(SOON_S)
    assert len(outcomes) == 1
    assert outcomes[0]


def test_closing_leaves_no_thread_at_work(open_venue: OpenVenue, stub: StubUpstream) -> None:
    before = set(threading.enumerate())
    venue = open_venue()
    venue.box.sync.start()
    wait_until(lambda: stub.seen("download"), SOON_S, "the first pull")
    venue.close()

    def left() -> list[str]:
        return [
            t.name for t in threading.enumerate() if t not in before and t.name in ("sync", "writer", "APScheduler")
        ]

    wait_until(lambda: not left(), SOON_S, "all threads have ended")


@pytest.fixture
def full_house() -> Iterator[int]:
    """A port of 127.0.0.1 on which connecting hangs: its queue of new connections is full."""
    with ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        port: int = listening.getsockname()[1]
        while True:
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0.5)
            try:
                waiting.connect(("127.0.0.1", port))
            except TimeoutError:
                break
        yield port


def test_a_process_ends_promptly_while_its_upstream_is_silent(box: BoxProcess, stub: StubUpstream) -> None:
    stub.add_tickets(3)
    box.env |= {"EDGEBOX_READ_TIMEOUT_S": "600", "EDGEBOX_LOG_LEVEL": "debug"}
    list_id = box.add_list(stub.url, stub.key)
    key = box.add_device("door", list_id)
    box.start()
    wait_until(lambda: box.lists()[0]["tickets"] == 3, SOON_S, "the first pull")
    hold = Hold()
    stub.on("redeem", always(held(hold)))
    assert box.redeem(key, "secret000000").json()["status"] == "ok"
    assert hold.reached.wait(SOON_S)
    began_s = time.monotonic()
    assert box.stop() == 0
    assert time.monotonic() - began_s < PROMPTLY_S
    assert "Traceback" not in box.output
    assert stub.key not in box.output
    assert "apscheduler" not in box.output
    stub.off()
    box.run("sync")
    assert len(stub.accepted("secret000000")) == 1
    assert [entry["conflict"] for entry in box.journal()] == [None]


def test_a_process_ends_promptly_while_it_waits_for_a_connection(box: BoxProcess, full_house: int) -> None:
    box.env["EDGEBOX_CONNECT_TIMEOUT_S"] = "0.2"
    box.run("lists", "add", f"http://127.0.0.1:{full_house}/pretixdroid/api/demoorga/democon/", new_key())
    box.env["EDGEBOX_CONNECT_TIMEOUT_S"] = "60"
    box.start()
    began_s = time.monotonic()
    assert box.stop(timeout_s=30.0) == 0
    assert time.monotonic() - began_s < PROMPTLY_S
    assert "Traceback" not in box.output
